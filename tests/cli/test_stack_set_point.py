"""stack --set-point: a wave that stands still is named with the channels that have it too."""

from __future__ import annotations

import json

import numpy as np
import pytest
from scipy.special import hankel1

from qpi_core.__main__ import main
from qpi_core.synthesis.simulated_maps.scenes import superpose

PITCH, SHAPE = 0.3, (64, 64)
ENERGIES = np.linspace(-20.0, 160.0, 10)


def standing(q: float, positions: np.ndarray) -> np.ndarray:
    def pattern(dx, dy):
        r = np.hypot(np.hypot(dx, dy), PITCH / 2)
        return -np.imag(hankel1(0, q / 2 * r) ** 2) * np.exp(-r / 8)

    return superpose(pattern, positions, SHAPE, PITCH)


@pytest.fixture
def files(tmp_path):
    rng = np.random.default_rng(7)
    positions = rng.uniform(8, 55, (12, 2))
    fixed = standing(5.0, positions)
    didv = np.stack([fixed + standing(2.0 + 0.15 * index, positions) for index in range(ENERGIES.size)])
    noise = 0.05 * fixed.std() * rng.standard_normal((11, *SHAPE))
    np.savez(tmp_path / "stack.npz", didv=didv + noise[:10], Z=fixed + noise[10], bias_mv=ENERGIES)
    np.savetxt(tmp_path / "p.csv", positions, delimiter=",", header="x_px,y_px", comments="")
    return [str(tmp_path / "stack.npz"), "--positions", str(tmp_path / "p.csv"), "--out", str(tmp_path / "out"), "--quiet"], tmp_path


@pytest.mark.slow
def test_the_wave_is_named_and_the_channel_that_has_it(files, capsys):
    arguments, folder = files
    asked = ["--method", "tikhonov", "--kernel-size", "48", "--channel", "didv", "--set-point", "Z"]
    assert main(["stack", *arguments, *asked]) == 2 and "--pixel-size-nm" in capsys.readouterr().err
    assert main(["stack", *arguments, *asked, "--pixel-size-nm", str(PITCH)]) == 0
    (found,) = json.loads((folder / "out" / "stack.json").read_text(encoding="utf-8"))["set_point"]["found"]
    assert found["q"] == pytest.approx(5.0, abs=0.4) and found["elsewhere"] == ["Z"]
    assert "so have the kernels of Z" in capsys.readouterr().out


def test_a_channel_that_is_not_there_is_said_before_anything_is_solved(files, capsys):
    arguments, folder = files
    assert main(["stack", *arguments, "--set-point", "current", "--pixel-size-nm", "0.3"]) == 2
    assert "current" in capsys.readouterr().err and not (folder / "out").exists()
