"""The verdict on the sign of the gap, on simulated superconductors."""

from __future__ import annotations

import json

import numpy as np
import pytest

import qpi_core
from qpi_core.__main__ import main
from qpi_core.extraction.extractor import Extractor
from qpi_core.qspace.phase.gap_sign import SAME_SIGN, SIGN_CHANGING, UNDECIDED, interband_signal, judge_gap_sign
from qpi_core.qspace.phase.phase_resolved import AntisymmetrisedSignal, phase_resolved_signal, signal_of_stack
from qpi_core.qspace.regions import Disc, Ring
from qpi_core.synthesis.bands.superconductor import Pocket, Superconductor, two_pockets
from qpi_core.synthesis.simulated_maps.scenes import superpose

PITCH, SIZE = 0.35, 48
ENERGIES = np.concatenate([np.arange(-8.0, 0.0, 0.5), np.arange(0.5, 8.01, 0.5)])
BETWEEN = Ring(4.2, 5.8)


def crystal(sign: float, potential: float, gaps: tuple[float, float] = (3.0, 5.0)) -> Superconductor:
    return Superconductor((Pocket(1.5, -4.0, gaps[0]), Pocket(3.5, 4.0, sign * gaps[1])), potential)


def clean_kernels(made: Superconductor) -> np.ndarray:
    offsets = (np.arange(SIZE) - SIZE // 2) * PITCH
    return np.stack([made.kernel(energy, offsets[None, :], offsets[:, None]) for energy in ENERGIES])


def judged(clean: np.ndarray, noise: float, seed: int):
    sigma = noise * clean.std(axis=(1, 2), keepdims=True) * np.ones_like(clean)
    noisy = clean + sigma * np.random.default_rng(seed).standard_normal(clean.shape)
    return judge_gap_sign(phase_resolved_signal(noisy, ENERGIES, PITCH, BETWEEN, uncertainties=sigma))


def test_weak_defects_give_the_published_formula():
    energy = np.linspace(0.5, 8, 16)
    for first, second in ((3.0, 5.0), (3.0, -5.0)):
        z = energy + 0.4j
        published = np.imag((z**2 - first * second) / (np.sqrt(z**2 - first**2 + 0j) * np.sqrt(z**2 - second**2 + 0j)))
        born = interband_signal(energy, (first, second), 0.4)
        assert abs(np.corrcoef(born, published)[0, 1]) == pytest.approx(1.0)
        weak = interband_signal(energy, (first, second), 0.4, strength=1e-4)
        np.testing.assert_allclose(weak, born, rtol=1e-2, atol=1e-3)


@pytest.mark.slow
def test_the_right_verdict_in_nearly_all_of_forty():
    right = 0
    for potential in (6.0, 15.0, -15.0, 35.0):
        for sign, expected in ((-1.0, SIGN_CHANGING), (1.0, SAME_SIGN)):
            clean = clean_kernels(crystal(sign, potential))
            right += sum(judged(clean, 0.5, seed).verdict == expected for seed in range(5))
    assert right >= 38


@pytest.mark.slow
@pytest.mark.parametrize(("changing", "expected"), [(True, SIGN_CHANGING), (False, SAME_SIGN)])
def test_pockets_joined_by_discs_of_q_space_are_judged_too(changing, expected):
    offsets = (np.arange(80) - 40) * 0.25
    made = two_pockets(changing)
    clean = np.stack([made.kernel(energy, offsets[None, :], offsets[:, None]) for energy in ENERGIES])
    sigma = 0.5 * clean.std(axis=(1, 2), keepdims=True) * np.ones_like(clean)
    for seed in range(3):
        noisy = clean + sigma * np.random.default_rng(seed).standard_normal(clean.shape)
        signal = phase_resolved_signal(noisy, ENERGIES, 0.25, Disc(6.5, 0.0, 3.0, copies=4), uncertainties=sigma)
        assert judge_gap_sign(signal).verdict == expected


@pytest.mark.slow
def test_gaps_come_out_near_the_true_ones():
    found = judged(clean_kernels(crystal(-1.0, 15.0)), 0.5, 1)
    assert found.gaps_mev == pytest.approx((3.0, 5.0), rel=0.25) and found.probability > 0.99
    assert "changes sign" in found.reason and found.caveats


def test_noise_and_a_normal_metal_are_undecided():
    rng = np.random.default_rng(3)
    told = [judged(1e-9 * rng.standard_normal((len(ENERGIES), SIZE, SIZE)), 1.0, seed).verdict for seed in range(6)]
    assert told.count(UNDECIDED) >= 5
    normal = clean_kernels(crystal(1.0, 15.0, (1e-3, 1e-3)))
    assert [judged(normal, 0.5, seed).verdict for seed in range(2)] == [UNDECIDED] * 2


def test_a_signal_below_its_errors_is_undecided():
    found = judged(clean_kernels(crystal(1.0, 15.0)), 60.0, 0)
    assert found.verdict == UNDECIDED and "do not say" in found.reason


def test_no_signal_at_all_is_undecided():
    flat = AntisymmetrisedSignal(np.arange(1.0, 8.0), np.zeros(7), np.ones(7), 10, True)
    assert judge_gap_sign(flat).verdict == UNDECIDED


def test_equal_signs_are_told_too():
    found = judged(clean_kernels(crystal(1.0, 15.0)), 0.5, 1)
    assert found.verdict == SAME_SIGN and found.probability < 0.05 and "does not change sign" in found.reason


@pytest.mark.slow
def test_the_command_line_writes_the_verdict(tmp_path, capsys):
    made, positions = crystal(-1.0, 15.0), np.array([[20.0, 22.0]])
    energies = np.concatenate([np.arange(-8.0, 0.0), np.arange(1.0, 9.0)])
    layers = np.stack([superpose(made.pattern(energy), positions, (44, 42), PITCH) for energy in energies])
    layers += 0.05 * layers.std() * np.random.default_rng(0).standard_normal(layers.shape)
    np.savez(tmp_path / "stack.npz", didv=layers, bias_mv=energies)
    np.savetxt(tmp_path / "p.csv", positions, delimiter=",", header="x_px,y_px", comments="")
    arguments = ["stack", str(tmp_path / "stack.npz"), "--positions", str(tmp_path / "p.csv"), "--quiet", "--method", "defect_average"]
    arguments += ["--pixel-size-nm", str(PITCH), "--kernel-size", "40", "--out", str(tmp_path / "out"), "--gap-sign"]
    assert main([*arguments, "100", "200"]) == 2 and "no wave vector" in capsys.readouterr().err
    assert main([*arguments, "4.2", "5.8"]) == 0
    told = json.loads((tmp_path / "out" / "stack.json").read_text(encoding="utf-8"))["gap_sign"]
    assert told["verdict"] == SIGN_CHANGING and told["reason"] in capsys.readouterr().out.splitlines()
    rows = np.genfromtxt(tmp_path / "out" / "gap-sign.csv", delimiter=",", names=True)
    np.testing.assert_array_equal(rows["energy_mev"], energies[8:])
    offsets = (np.arange(40) - 20) * PITCH
    true = np.stack([made.kernel(energy, offsets[None, :], offsets[:, None]) for energy in energies])
    np.testing.assert_allclose(
        rows["rho_minus"], phase_resolved_signal(true, energies, PITCH, BETWEEN).signal, atol=0.1 * np.abs(rows["rho_minus"]).max()
    )


@pytest.mark.slow
@pytest.mark.parametrize(("sign", "expected"), [(-1.0, SIGN_CHANGING), (1.0, SAME_SIGN)])
def test_from_maps_of_many_defects_to_the_verdict(sign, expected):
    rng = np.random.default_rng(7)
    positions = rng.uniform(0, 63, (15, 2))
    made = crystal(sign, 15.0)
    clean = np.stack([superpose(made.pattern(energy), positions, (64, 64), PITCH) for energy in ENERGIES])
    maps = clean + 0.5 * clean.std(axis=(1, 2), keepdims=True) * rng.standard_normal(clean.shape)
    found = qpi_core.extract_stack(
        Extractor(device="cpu"), maps, positions, bias_mv=ENERGIES, pixel_size_nm=PITCH, kernel_size=SIZE, method="harmonic"
    )
    assert judge_gap_sign(signal_of_stack(found, BETWEEN)).verdict == expected
