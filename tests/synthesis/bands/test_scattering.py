"""T-matrix kernels against sums over sites and wave vectors written out, the Hankel function, and their own symmetry."""

import numpy as np
import pytest
from scipy.special import hankel1

from qpi_core.base.electron import HBAR2_OVER_2M_MEV_NM2
from qpi_core.base.errors import InputError
from qpi_core.synthesis.bands.band_structures import EllipticBand, WarpedBand
from qpi_core.synthesis.bands.lattices import HoneycombLattice, SquareLattice, TriangularLattice
from qpi_core.synthesis.bands.scattering import (
    SCATTERER_NM,
    DefectScattering,
    band_pattern,
    green_function,
    local_green_function,
    t_matrix,
)

CELLS = 48
POINTS = np.array([[0.0, 0.0], [0.3, -0.1], [0.5, 0.5], [-0.8, 0.9], [1.4, 0.2]])


def zone_sum(scattering, matrices):
    """Return R -> (1 / cells^2) sum over k of exp(i k R) G(k), the k gathered in a double loop; matrices(k) is (z - H)^-1."""
    reciprocal = 2 * np.pi * np.linalg.inv(scattering.structure.lattice_vectors).T
    waves, values = [], []
    for i in range(CELLS):
        for j in range(CELLS):
            waves.append((i * reciprocal[0] + j * reciprocal[1]) / CELLS)
            values.append(matrices(waves[-1]))
    return lambda shift: np.tensordot(np.exp(1j * np.array(waves) @ shift), np.array(values), axes=1) / CELLS**2


def summed_over_sites(scattering, matrices, offsets):
    """delta rho at POINTS from sum_R W(r - R) G0(R), W a normalised Gaussian orbital, on every site of the cells nearby."""
    vectors, tip = scattering.structure.lattice_vectors, scattering.tip_nm
    at_cell = zone_sum(scattering, matrices)
    green = np.zeros(len(POINTS), dtype=complex)
    for i in range(-6, 7):
        for j in range(-6, 7):
            cell = i * vectors[0] + j * vectors[1]
            for offset, value in zip(offsets, at_cell(cell)[:, 0], strict=True):
                away = ((POINTS - cell - offset) ** 2).sum(axis=1)
                green += value * np.exp(-away / (4 * tip**2)) / np.sqrt(2 * np.pi * tip**2)
    strength = scattering.potential_mev / (1 - scattering.potential_mev * at_cell(np.zeros(2))[0, 0])
    return -np.imag(strength * green**2) / np.pi


@pytest.mark.parametrize("kind", [SquareLattice, TriangularLattice])
def test_lattice_kernel_is_the_sum_over_sites_and_wave_vectors(kind):
    lattice = kind(100.0, 20.0, -40.0, 0.5, angle=0.3)
    scattering = DefectScattering(lattice, -150.0, 60.0, 250.0, 0.15)
    expected = summed_over_sites(
        scattering, lambda k: np.array([[1 / (scattering.energy - lattice.energies_mev(k[0], k[1])[0])]]), [np.zeros(2)]
    )
    found = band_pattern(scattering, 8.0)(*POINTS.T)
    np.testing.assert_allclose(found, expected, atol=4e-4 * np.abs(expected).max())


def test_honeycomb_kernel_is_the_sum_over_both_sites():
    lattice = HoneycombLattice(100.0, 0.0, 0.0, 0.5, angle=0.3)
    scattering = DefectScattering(lattice, -150.0, 60.0, 250.0, 0.15)
    first, second = lattice.lattice_vectors

    def matrices(k):
        # B of this cell, and the B sites one cell back along either vector, are the neighbours of A.
        hopping = -100.0 * (1 + np.exp(-1j * k @ first) + np.exp(-1j * k @ second))
        return np.linalg.inv(scattering.energy * np.eye(2) - np.array([[0, hopping], [np.conj(hopping), 0]]))

    expected = summed_over_sites(scattering, matrices, [np.zeros(2), (first + second) / 3])
    found = band_pattern(scattering, 8.0)(*POINTS.T)
    np.testing.assert_allclose(found, expected, atol=4e-4 * np.abs(expected).max())


def test_spins_of_the_warped_band_by_matrices():
    """Half of Tr[G(r) T G(-r)] with 2 x 2 matrices, the wave-vector sum as a product of exponentials."""
    scattering = DefectScattering(WarpedBand(0.0, 255.0, 150.0, angle=0.2), 300.0, 120.0, 400.0, 0.25)
    q = 2 * np.pi / 48 * np.arange(-100, 101)
    kx, ky = (axis.ravel() for axis in np.meshgrid(q, q))
    along, across = kx * np.cos(0.2) + ky * np.sin(0.2), ky * np.cos(0.2) - kx * np.sin(0.2)
    off, up = 255.0 * (-across - 1j * along), 150.0 * ((along + 1j * across) ** 3).real
    matrices = np.moveaxis(np.array([[scattering.energy - up, -off], [-np.conj(off), scattering.energy + up]]), -1, 0)
    weight = np.sqrt(8 * np.pi) * SCATTERER_NM * np.exp(-(kx**2 + ky**2) * (0.25**2 + SCATTERER_NM**2)) / 48**2
    inverses = np.linalg.inv(matrices) * weight[:, None, None]
    strength = t_matrix(400.0, local_green_function(scattering, 48.0))
    expected = []
    for x, y in POINTS:
        there, back = (np.tensordot(np.exp(1j * sign * (kx * x + ky * y)), inverses, axes=1) for sign in (1, -1))
        expected.append(-np.imag(strength * np.trace(there @ back) / 2) / np.pi)
    found = band_pattern(scattering, 8.0)(*POINTS.T)
    np.testing.assert_allclose(found, expected, atol=4e-4 * np.abs(expected).max())


def test_parabolic_band_gives_the_hankel_function():
    """Away from the defect G = -i m / (2 hbar^2) H0(k r), times the form factor at the complex k."""
    scattering = DefectScattering(EllipticBand(-400.0, 0.4), 0.0, 50.0, 300.0, 0.2)
    green = green_function(scattering, 8.0)
    middle = green.terms[0][1].shape[0] // 2
    steps = np.arange(15, 76)
    r = steps * green.step_nm
    k = np.sqrt((scattering.energy + 400.0) * 0.4 / HBAR2_OVER_2M_MEV_NM2)
    factor = np.sqrt(8 * np.pi) * SCATTERER_NM * np.exp(-(k**2) * (0.2**2 + SCATTERER_NM**2))
    expected = -0.25j * 0.4 / HBAR2_OVER_2M_MEV_NM2 * hankel1(0, k * r) * factor
    np.testing.assert_allclose(green.terms[0][1][middle, middle + steps], expected, atol=4e-4 * np.abs(expected).max())


def test_local_green_function_has_the_density_of_states_of_a_parabola():
    """-Im G0(0) / pi is m / (2 pi hbar^2) times |w(k)|^2 of the defect's orbital, well above the band edge."""
    scattering = DefectScattering(EllipticBand(-800.0, 0.4), 0.0, 20.0)
    k = np.sqrt(800.0 * 0.4 / HBAR2_OVER_2M_MEV_NM2)
    density = 0.4 / (4 * np.pi * HBAR2_OVER_2M_MEV_NM2) * 8 * np.pi * SCATTERER_NM**2 * np.exp(-2 * k**2 * SCATTERER_NM**2)
    assert -local_green_function(scattering, 200.0).imag / np.pi == pytest.approx(density, rel=0.03)


def test_weak_potential_is_the_born_limit_and_a_strong_one_saturates():
    square = SquareLattice()
    offsets = np.linspace(0.3, 4, 50), np.linspace(-1, 1, 50)
    weak, twice, wall, higher = (
        band_pattern(DefectScattering(square, -150.0, 30.0, potential), 8.0)(*offsets) for potential in (0.01, 0.02, 1e7, 2e7)
    )
    np.testing.assert_allclose(twice, 2 * weak, atol=1e-3 * np.abs(weak).max())
    np.testing.assert_allclose(higher, wall, atol=1e-4 * np.abs(wall).max())
    green = green_function(DefectScattering(square, -150.0, 30.0), 8.0)
    values, middle = green.terms[0][1], green.terms[0][1].shape[0] // 2
    x = 20 * green.step_nm
    born = band_pattern(DefectScattering(square, -150.0, 30.0, 0.01), 8.0)(x, 0.0)
    assert float(born) == pytest.approx(-0.01 / np.pi * np.imag(values[middle, middle + 20] ** 2), rel=1e-3)


@pytest.mark.parametrize(
    ("structure", "energy", "order"),
    [
        (SquareLattice(angle=0.2), -150.0, 4),
        (TriangularLattice(angle=0.2), -200.0, 6),
        (HoneycombLattice(lattice_constant_nm=0.6, angle=0.2), -150.0, 3),
        (WarpedBand(-300.0, 255.0, 80.0, angle=0.2), 0.0, 6),
        (EllipticBand(-300.0, mass_ratio=2.0, angle=0.2), 0.0, 2),
        (EllipticBand(-300.0), 0.0, 7),
    ],
)
def test_kernel_has_its_rotational_symmetry_and_no_higher_one(structure, energy, order):
    pattern = band_pattern(DefectScattering(structure, energy, 40.0), 10.0)
    rng = np.random.default_rng(1)
    r, theta = rng.uniform(0.2, 5, 400), rng.uniform(0, 2 * np.pi, 400)

    def turned(angle):
        return pattern(r * np.cos(theta + angle), r * np.sin(theta + angle))

    values, scale = turned(0.0), np.abs(turned(0.0)).max()
    np.testing.assert_allclose(turned(2 * np.pi / order), values, atol=1e-3 * scale)
    if pattern.symmetry_order:
        assert pattern.symmetry_order == order
        assert np.abs(turned(np.pi / order) - values).max() > 0.02 * scale


@pytest.mark.parametrize("wave_vector", [4.0, 8.0])
def test_ring_radius_is_twice_the_contours(wave_vector):
    mass = 0.4
    edge = -HBAR2_OVER_2M_MEV_NM2 / mass * (wave_vector / 2) ** 2
    broadening = HBAR2_OVER_2M_MEV_NM2 / mass * wave_vector / 8.0  # a mean free path of 4 nm
    pattern = band_pattern(DefectScattering(EllipticBand(edge, mass), 0.0, broadening), 18.0)
    r = np.linspace(1.0, 16.0, 1500)
    radial = pattern(r, np.zeros_like(r)) * r * np.exp(r / 4.0) * np.hanning(r.size)
    q = np.linspace(1, 15, 1401)
    spectrum = np.abs(np.exp(-1j * np.outer(q, r)) @ radial)
    assert q[spectrum.argmax()] == pytest.approx(wave_vector, abs=0.1)


def test_pattern_ends_smoothly_at_its_extent():
    pattern = band_pattern(DefectScattering(SquareLattice(), -150.0, 30.0), 6.0)
    assert np.all(pattern(np.array([6.0, 7.0, 500.0]), np.array([0.5, 0.0, -3.0])) == pytest.approx(0.0, abs=1e-9))
    wider = band_pattern(DefectScattering(SquareLattice(), -150.0, 30.0), 9.0)
    inside = np.linspace(0, 5.2, 60)
    np.testing.assert_allclose(pattern(inside, 0 * inside), wider(inside, 0 * inside), atol=2e-4 * np.abs(wider(inside, 0)).max())


def test_too_little_broadening_is_refused(monkeypatch):
    monkeypatch.setattr("qpi_core.synthesis.bands.scattering.LARGEST_GRID", 300)
    with pytest.raises(InputError, match="broadening_mev = 0.5 is too small"):
        band_pattern(DefectScattering(SquareLattice(), -150.0, 0.5), 5.0)


@pytest.mark.parametrize(
    ("field", "value"), [("broadening_mev", 0.0), ("tip_nm", 0.0), ("potential_mev", 0.0), ("energy_mev", float("nan"))]
)
def test_bad_values_are_named(field, value):
    with pytest.raises(InputError, match=field):
        DefectScattering(SquareLattice(), **{field: value})
