"""A band from the maps themselves: the truth within its errors, and nothing claimed where there is none."""

from __future__ import annotations

import json

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter
from scipy.special import hankel1

import qpi_core
from qpi_core.__main__ import main
from qpi_core.base.electron import HBAR2_OVER_2M_MEV_NM2
from qpi_core.base.errors import InputError
from qpi_core.extraction.bands.band_model import compare_band_models, fit_band_model
from qpi_core.synthesis.simulated_maps.scenes import superpose
from tests.measured_data import GRID as REAL_GRID

EDGE, MASS, PITCH, SHAPE = -65.0, 0.40, 0.3, (64, 60)
ENERGIES = np.linspace(-20.0, 120.0, 8)


def silver(seed: int, noise: float = 0.5, background: float = 0.3, mass: float = MASS, edge: float = EDGE):
    """Maps of a surface state with a mean free path of 8 nm, in noise and under a smooth background of its own at every energy."""
    rng = np.random.default_rng(seed)
    positions = rng.uniform(0, SHAPE[1] - 1, (15, 2))
    radii = np.linspace(0.0, 40.0, 8001)
    layers = []
    for energy in ENERGIES:
        k = np.sqrt((energy - edge) * mass / HBAR2_OVER_2M_MEV_NM2)
        profile = -np.imag(np.exp(-1.2j) * hankel1(0, k * np.hypot(radii, PITCH / 2)) ** 2) * np.exp(-radii / 8.0)
        clean = superpose(lambda dx, dy, profile=profile: np.interp(np.hypot(dx, dy), radii, profile), positions, SHAPE, PITCH)
        smooth = gaussian_filter(rng.standard_normal(SHAPE), 3.0 / PITCH, mode="reflect")
        layers.append(clean + clean.std() * (noise * rng.standard_normal(SHAPE) + background * smooth / smooth.std()))
    return np.stack(layers), positions


@pytest.fixture(scope="module")
def fitted():
    layers, positions = silver(1)
    return fit_band_model(layers, positions, ENERGIES, PITCH)


def test_edge_and_mass_come_out_within_their_errors(fitted):
    (edge, edge_sigma), (mass, mass_sigma) = fitted.parameters["band_edge_mev"], fitted.parameters["effective_mass"]
    assert abs(edge - EDGE) < min(3 * edge_sigma, 3.0) and abs(mass - MASS) < min(3 * mass_sigma, 0.03 * MASS)
    path, path_sigma = fitted.parameters["mean_free_path_nm"]
    assert abs(path - 8.0) < max(3 * path_sigma, 0.8)
    assert fitted.claimed and fitted.explains and fitted.layers == 8 and fitted.explained > 0.95
    assert "E0 = -6" in fitted.sentences[0] and "explains the maps better" in fitted.sentences[1]


@pytest.mark.slow
def test_a_hole_like_band_has_a_negative_mass():
    layers, positions = silver(2, mass=-MASS, edge=160.0)
    found = fit_band_model(layers, positions, ENERGIES, PITCH)
    assert found.parameters["effective_mass"][0] == pytest.approx(-MASS, rel=0.02)
    assert found.parameters["band_edge_mev"][0] == pytest.approx(160.0, abs=2.0)


def nothing(kind: str, seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    positions = rng.uniform(0, 47, (12, 2))
    noise = rng.standard_normal((len(ENERGIES), 48, 48))
    if kind == "noise":
        return noise, positions
    if kind == "background":
        return np.stack([gaussian_filter(layer, 4.0) for layer in noise]), positions
    y, x = np.mgrid[:48, :48] * PITCH
    lattice = sum(np.cos(2 * np.pi / 1.1 * (np.cos(a) * x + np.sin(a) * y)) for a in np.pi / 3 * np.arange(3))
    return lattice * np.linspace(1, 2, len(ENERGIES))[:, None, None] + 0.5 * noise, positions


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["noise", "background", "lattice"])
def test_nothing_is_claimed_where_there_is_no_band(kind):
    for seed in range(3):
        found = fit_band_model(*nothing(kind, seed), ENERGIES, PITCH)
        assert not found.claimed and not found.parameters


@pytest.mark.slow
@pytest.mark.skipif(not REAL_GRID.is_file(), reason="the measured grid lies outside of the repository")
def test_no_band_is_claimed_on_a_measured_grid_of_five_nanometres():
    scan = qpi_core.load_map(REAL_GRID)
    found = fit_band_model(scan.stack()[::8], [[14.6, 3.6], [4.4, 12.3]], scan.bias_mv[::8], scan.pixel_size_nm)
    assert not found.claimed


def test_a_wave_that_stands_still_is_no_band():
    rng = np.random.default_rng(4)
    positions = rng.uniform(0, 47, (12, 2))
    radii = np.linspace(0.0, 30.0, 3001)
    profile = -np.imag(hankel1(0, 1.5 * np.hypot(radii, PITCH)) ** 2) * np.exp(-radii / 5.0)
    clean = superpose(lambda dx, dy: np.interp(np.hypot(dx, dy), radii, profile), positions, (48, 48), PITCH)
    layers = clean + 0.3 * clean.std() * rng.standard_normal((len(ENERGIES), 48, 48))
    found = fit_band_model(layers, positions, ENERGIES, PITCH)
    assert not found.claimed and "does not change with energy" in found.sentences[0]


def test_bad_input_gets_a_sentence():
    layers, positions = nothing("noise", 0)
    with pytest.raises(InputError, match="honeycomb, but it is 'kagome'"):
        fit_band_model(layers, positions, ENERGIES, PITCH, model="kagome")
    with pytest.raises(InputError, match="lattice_constant_nm must be 0.1 to 5 nm for the model 'square'"):
        fit_band_model(layers, positions, ENERGIES, PITCH, model="square")
    with pytest.raises(InputError, match="list of different names"):
        compare_band_models(layers, positions, ENERGIES, PITCH, models=["dirac", "dirac"])
    with pytest.raises(InputError, match="at least 3 measured layers"):
        fit_band_model(layers[:2], positions, ENERGIES[:2], PITCH)
    with pytest.raises(InputError, match="finite energies"):
        fit_band_model(layers, positions, ENERGIES[:3], PITCH)


@pytest.mark.slow
def test_the_command_line_writes_the_band_beside_the_kernels(tmp_path, capsys):
    layers, positions = silver(3)
    np.savez(tmp_path / "stack.npz", didv=layers, bias_mv=ENERGIES)
    np.savetxt(tmp_path / "p.csv", positions, delimiter=",", header="x_px,y_px", comments="")
    arguments = ["stack", str(tmp_path / "stack.npz"), "--positions", str(tmp_path / "p.csv"), "--out", str(tmp_path / "out"), "--quiet"]
    arguments += ["--method", "defect_average", "--kernel-size", "24", "--band", "free-electron", "--joint-density"]
    arguments += ["--path", "hexagonal", "--lattice", "0.9", "10", "--pictures", "png", "svg"]
    assert main(arguments) == 2 and "--pixel-size-nm" in capsys.readouterr().err
    assert main([*arguments, "--pixel-size-nm", str(PITCH)]) == 0
    model = json.loads((tmp_path / "out" / "stack.json").read_text(encoding="utf-8"))["band_model"]
    assert abs(model["parameters"]["band_edge_mev"][0] - EDGE) < 2 and model["claimed"]
    assert model["sentences"][0] in capsys.readouterr().out.splitlines()
    joint = np.load(tmp_path / "out" / "joint-density.npy")
    assert joint.shape == (len(ENERGIES), 24, 24) and (joint >= 0).all()
    for name in ("band-qspace.png", "dispersion.svg", "path-map.png"):
        assert (tmp_path / "out" / name).stat().st_size > 5000
    table = np.genfromtxt(tmp_path / "out" / "band.csv", delimiter=",", skip_header=1)
    truth = 2 * np.sqrt((table[:, 0] - EDGE) * MASS / HBAR2_OVER_2M_MEV_NM2)
    assert len(table) == len(ENERGIES) and np.abs((table[:, 1] - truth) / table[:, 2]).max() < 3.5
    assert (tmp_path / "out" / "path-map.csv").read_text(encoding="utf-8").startswith("distance_rad_per_nm")
