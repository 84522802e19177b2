"""Rings and dispersions against exact Green's functions and made-up tracks."""

import numpy as np
import pytest
from scipy.special import hankel1

import qpi_core
from qpi_core.base.electron import HBAR2_OVER_2M_MEV_NM2
from qpi_core.base.errors import InputError
from qpi_core.base.grid import kernel_polar
from qpi_core.extraction.bands.band import band_sentences, find_band
from qpi_core.extraction.extractor import Extractor
from qpi_core.qspace.dispersion.evidence import Shape
from qpi_core.qspace.dispersion.fit import fit_line, fit_parabola
from qpi_core.qspace.dispersion.rings import RingTrack, track_rings
from qpi_core.synthesis.simulated_maps.scenes import superpose

PITCH, EDGE, MASS = 0.3, -65.0, 0.40


def surface_state(energy):
    """Return -Im[exp(i delta) H0(k r)^2] with a mean free path: the pattern of one defect in a free-electron-like state."""
    k = np.sqrt((energy - EDGE) * MASS / HBAR2_OVER_2M_MEV_NM2)

    def pattern(dx, dy):
        r = np.hypot(np.hypot(dx, dy), 0.15)
        return -np.imag(np.exp(-1.2j) * hankel1(0, k * r) ** 2) * np.exp(-r / 8.0) * k

    return pattern


@pytest.mark.slow
def test_silver_surface_state_from_noisy_maps_to_band_edge_and_mass():
    rng = np.random.default_rng(5)
    energies = np.linspace(-25.0, 85.0, 7)
    shape = (80, 80)
    positions = rng.uniform(0, 79, (25, 2))
    clean = np.stack([superpose(surface_state(energy), positions, shape, PITCH) for energy in energies])
    maps = clean + 0.2 * clean.std(axis=(1, 2), keepdims=True) * rng.standard_normal(clean.shape)
    found = qpi_core.extract_stack(
        Extractor(device="cpu"), maps, positions, bias_mv=energies, pixel_size_nm=PITCH, kernel_size=56, method="harmonic"
    )
    fit = fit_parabola(track_rings(found.kernels, energies, PITCH, uncertainties=found.uncertainties))
    (edge, edge_deviation), (mass, mass_deviation) = fit.band_edge_mev, fit.effective_mass
    assert abs(edge - EDGE) < min(3.0, 3 * edge_deviation)
    assert abs(mass - MASS) < min(0.03 * MASS, 3 * mass_deviation)
    assert fit.layers >= 6
    band = find_band(found)
    assert band.claimed and band.evidence.shape is Shape.PARABOLA and "m* = 0." in band_sentences(band)[0]


def test_layers_without_a_ring_or_without_values_are_left_out():
    radius, _ = kernel_polar(48, PITCH)
    kernels = np.stack([np.cos(2.5 * radius) / (radius + 1), np.full((48, 48), np.nan), np.random.default_rng(0).normal(size=(48, 48))])
    track = track_rings(kernels, [0.0, 1.0, 2.0], PITCH)
    assert track.q[0] == pytest.approx(2.5, rel=0.02) and np.isnan(track.q[1:]).all()
    with pytest.raises(InputError, match="only 1 layers show a ring"):
        fit_parabola(track)


def test_line_through_a_dirac_point_with_an_outlier():
    q = np.linspace(0.5, 3.0, 12)
    energies = -120.0 + 0.5 * 329.1 * q
    energies[4] += 200.0
    fit = fit_line(RingTrack(energies, q, np.full(12, 0.02)))
    # hbar v = 329.1 meV nm is v = 500 km/s.
    assert fit.velocity_km_per_s[0] == pytest.approx(500.0, rel=0.03)
    assert fit.crossing_mev[0] == pytest.approx(-120.0, abs=12.0)


def test_a_small_window_is_said_in_plain_words():
    with pytest.raises(InputError, match="window of 8 pixels is too small to show a ring: choose a kernel size of at least 12"):
        track_rings(np.zeros((3, 8, 8)), [1.0, 2.0, 3.0], 0.1)
