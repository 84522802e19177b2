"""Spectral functions and joint densities of states against explicit sums and against the radii of contours."""

from __future__ import annotations

import numpy as np
import pytest

from qpi_core.base.electron import HBAR2_OVER_2M_MEV_NM2
from qpi_core.base.errors import InputError
from qpi_core.estimates.band_model import BandModel
from qpi_core.qspace.band_spectra import band_structure, band_structure_of, joint_density_of_states, spectral_function, spectral_picture
from qpi_core.qspace.spectra import q_axes
from qpi_core.synthesis.bands.band_structures import EllipticBand
from qpi_core.synthesis.bands.lattices import SquareLattice

SILVER = {"band_edge_mev": -65.0, "effective_mass": 0.40}


def test_a_spectral_function_is_a_lorentzian_around_the_band():
    band = EllipticBand(-65.0, 0.40)
    kx = np.array([0.0, 0.5])
    energy = -65.0 + HBAR2_OVER_2M_MEV_NM2 / 0.40 * kx**2
    expected = 3.0 / np.pi / ((10.0 - energy) ** 2 + 9.0)
    np.testing.assert_allclose(spectral_function(band, 10.0, 3.0, kx, 0 * kx), expected)


def test_a_round_contour_connects_states_up_to_twice_its_radius():
    joint = joint_density_of_states(EllipticBand(-65.0, 0.40), 35.0, 2.0, 64, 0.5)
    q_y, q_x = q_axes((64, 64), 0.5)
    radius = np.hypot(q_y[:, None], q_x)
    k = np.sqrt(100.0 * 0.40 / HBAR2_OVER_2M_MEV_NM2)
    cut = joint[32, 32:]
    inside = cut[1:][(q_x[33:] > 1.0)]
    # Two thin circles of radius k that are q apart cross up to q = 2 k, and nearly touch there: a bright ring.
    assert q_x[33:][q_x[33:] > 1.0][np.argmax(inside)] == pytest.approx(2 * k, abs=0.2)
    assert joint[radius > 2 * k + 1.0].max() < 0.05 * inside.max()
    np.testing.assert_allclose(joint[1:, 1:], joint[1:, 1:][::-1, ::-1], rtol=1e-6)


def test_the_joint_density_of_a_lattice_is_that_of_an_explicit_sum_over_its_zone():
    band = SquareLattice(100.0, -20.0, 0.0, 0.5, 0.0)
    size, pitch, broadening = 20, 0.25, 40.0
    joint = joint_density_of_states(band, -50.0, broadening, size, pitch)
    n = 60
    line = 2 * np.pi / 0.5 * np.arange(n) / n
    kx, ky = np.meshgrid(line, line)
    spectral = spectral_function(band, -50.0, broadening, kx, ky)
    q_y, q_x = q_axes((size, size), pitch)
    for row, column in ((10, 10), (13, 10), (4, 16)):
        shifted = spectral_function(band, -50.0, broadening, kx + q_x[column], ky + q_y[row])
        explicit = np.sum(spectral * shifted) * (line[1] / (2 * np.pi)) ** 2
        assert joint[row, column] == pytest.approx(explicit, rel=2e-3)


@pytest.mark.parametrize(
    ("name", "numbers", "lattice"),
    [
        ("free-electron", SILVER, None),
        ("elliptic", SILVER | {"mass_ratio": 2.0, "angle_rad": 0.3}, None),
        ("hexagonal", SILVER | {"warping": 0.1, "angle_rad": 0.3}, None),
        ("two-bands", {"band_edge_mev_1": -65.0, "effective_mass_1": 0.4, "band_edge_mev_2": -20.0, "effective_mass_2": 0.3}, None),
        ("dirac", {"dirac_energy_mev": -200.0, "velocity_km_per_s": 400.0}, None),
        ("topological", {"dirac_energy_mev": -200.0, "velocity_km_per_s": 400.0, "warping_mev_nm3": 80.0, "angle_rad": 0.1}, None),
        ("square", {"hopping_mev": 100.0, "second_hopping_ratio": 0.1, "band_centre_mev": 50.0}, (0.6, 0.2)),
        ("triangular", {"hopping_mev": 60.0, "second_hopping_ratio": 0.0, "band_centre_mev": 50.0}, (0.6, 0.2)),
        ("honeycomb", {"hopping_mev": -100.0, "dirac_energy_mev": -40.0}, (1.2, 0.2)),
    ],
)
def test_every_model_has_its_pictures(name, numbers, lattice):
    structure = band_structure(name, numbers, lattice)
    joint = joint_density_of_states(structure, 20.0, 5.0, 24, (0.3, 0.25))
    assert joint.shape == (24, 24) and np.isfinite(joint).all() and joint.min() >= -1e-9 * joint.max() and joint.max() > 0
    assert spectral_picture(structure, 20.0, 5.0, 24, (0.3, 0.25)).shape == (24, 24)


def test_what_cannot_be_drawn_is_said():
    with pytest.raises(InputError, match="must hold effective_mass"):
        band_structure("free-electron", {"band_edge_mev": 0.0})
    with pytest.raises(InputError, match="no band model 'kagome'"):
        band_structure("kagome", SILVER)
    with pytest.raises(InputError, match="broadening_mev must be positive"):
        joint_density_of_states(EllipticBand(), 0.0, 0.0, 16, 0.3)
    with pytest.raises(InputError, match="do not show such a band"):
        band_structure_of(BandModel("dirac", {}, False, False, {}, 0.0, 0, ()))
