"""Bands against Bloch sums over neighbours written out one by one, and against textbook values."""

import numpy as np
import pytest

from qpi_core.base.errors import InputError
from qpi_core.synthesis.bands.band_structures import EllipticBand, SeveralBands, WarpedBand, contour_radius, surface_state_wavenumber
from qpi_core.synthesis.bands.lattices import HoneycombLattice, SquareLattice, TriangularLattice

A = 0.5
K = np.random.default_rng(0).uniform(-9, 9, (2, 40))


def bloch_sum(lattice, sites, hopping_at, kx, ky):
    """-sum over all lattice sites of t(|R|) exp(i k R), by brute force over a patch."""
    total = 0
    for i in range(-sites, sites + 1):
        for j in range(-sites, sites + 1):
            x, y = i * lattice.lattice_vectors[0] + j * lattice.lattice_vectors[1]
            total = total - hopping_at(np.hypot(x, y)) * np.exp(1j * (kx * x + ky * y))
    return total


@pytest.mark.parametrize(("kind", "second"), [(SquareLattice, np.sqrt(2)), (TriangularLattice, np.sqrt(3))])
def test_lattice_band_is_the_bloch_sum_over_neighbours(kind, second):
    lattice = kind(80.0, -17.0, 30.0, A, angle=0.4)
    expected = bloch_sum(lattice, 3, lambda r: 80.0 * np.isclose(r, A) - 17.0 * np.isclose(r, second * A), *K) - 30.0
    np.testing.assert_allclose(lattice.energies_mev(*K)[0], expected, atol=1e-9)


def test_honeycomb_bands_are_the_eigenvalues_of_the_bloch_matrix():
    lattice = HoneycombLattice(80.0, 9.0, -20.0, A, angle=0.3)
    diagonal = bloch_sum(lattice, 2, lambda r: 9.0 * np.isclose(r, A), *K) + 20.0
    bond = lattice.lattice_vectors.mean(axis=0) * 2 / 3  # from an A site to the B site in the middle of its up triangle
    off = 0
    for i in range(-2, 3):
        for j in range(-2, 3):
            x, y = bond + i * lattice.lattice_vectors[0] + j * lattice.lattice_vectors[1]
            off = off - 80.0 * np.isclose(np.hypot(x, y), A / np.sqrt(3)) * np.exp(1j * (K[0] * x + K[1] * y))
    matrices = np.moveaxis(np.array([[diagonal, off], [np.conj(off), diagonal]]), -1, 0)
    np.testing.assert_allclose(lattice.energies_mev(*K).T, np.linalg.eigvalsh(matrices), atol=1e-9)


def test_honeycomb_has_a_dirac_point_at_the_corner():
    lattice = HoneycombLattice(100.0, 0.0, 0.0, A)
    corner = 4 * np.pi / 3 / A
    np.testing.assert_allclose(lattice.energies_mev(np.array([corner]), np.array([0.0])), 0.0, atol=1e-9)
    radius = contour_radius(lattice, 2.0, [0.1, 2.0, 4.0], centre=(corner, 0.0))
    np.testing.assert_allclose(radius, 2.0 / (np.sqrt(3) / 2 * 100.0 * A), rtol=0.02)


def test_warped_bands_are_the_eigenvalues_of_fus_hamiltonian():
    band = WarpedBand(-200.0, 255.0, 250.0)
    pauli = np.array([[[0, 1], [1, 0]], [[0, -1j], [1j, 0]], [[1, 0], [0, -1]]])
    for kx, ky in K.T / 5:
        cubic = ((kx + 1j * ky) ** 3).real
        matrix = -200.0 * np.eye(2) + 255.0 * (kx * pauli[1] - ky * pauli[0]) + 250.0 * cubic * pauli[2]
        np.testing.assert_allclose(band.energies_mev(kx, ky), np.linalg.eigvalsh(matrix), atol=1e-9)


def test_warping_makes_a_snowflake():
    band = WarpedBand(0.0, 255.0, 250.0)
    radius = contour_radius(band, 500.0, np.arange(12) * np.pi / 6)
    np.testing.assert_allclose(radius[1::2], 500.0 / 255.0, rtol=1e-4)  # cos 3 phi = 0: no warping
    assert np.ptp(radius[::2]) < 1e-9 and radius[0] < 0.8 * radius[1]


def test_elliptic_contour_has_its_long_axis_along_the_angle():
    band = EllipticBand(-300.0, 0.5, mass_ratio=2.25, angle=0.7)
    along, across = contour_radius(band, 0.0, [0.7, 0.7 + np.pi / 2])
    assert along / across == pytest.approx(1.5, rel=1e-4)
    assert np.sqrt(along * across) == pytest.approx(surface_state_wavenumber(0.0, -300.0, 0.5), rel=1e-4)


def test_surface_state_of_silver():
    """k_F = 0.83 rad/nm for Ag(111) with E0 = -65 meV, m* = 0.40."""
    assert surface_state_wavenumber(0.0) == pytest.approx(0.826, abs=0.001)
    assert np.isnan(surface_state_wavenumber([-70.0, -65.0])[0])
    assert surface_state_wavenumber(-65.0) == 0.0


def test_contour_is_missing_outside_the_band():
    lattice = SquareLattice(100.0, 0.0, 0.0, A)
    assert np.isnan(contour_radius(lattice, 500.0, [0.0, 1.0])).all()
    assert contour_radius(lattice, -100.0, [0.0])[0] == pytest.approx(2 * np.pi / 3 / A, rel=1e-3)


@pytest.mark.parametrize(
    ("structure", "order"),
    [
        (SquareLattice(), 4),
        (TriangularLattice(), 6),
        (HoneycombLattice(), 3),
        (WarpedBand(), 6),
        (WarpedBand(warping_mev_nm3=0.0), 0),
        (EllipticBand(), 0),
        (EllipticBand(mass_ratio=2.0), 2),
        (SeveralBands((EllipticBand(), EllipticBand(-200.0))), 0),
        (SeveralBands((EllipticBand(), EllipticBand(mass_ratio=2.0))), 2),
    ],
)
def test_symmetry_order(structure, order):
    assert structure.symmetry_order == order


@pytest.mark.parametrize(
    ("make", "name"),
    [
        (lambda: SquareLattice(hopping_mev=0.0), "hopping_mev"),
        (lambda: TriangularLattice(lattice_constant_nm=-0.4), "lattice_constant_nm"),
        (lambda: HoneycombLattice(chemical_potential_mev=float("nan")), "chemical_potential_mev"),
        (lambda: EllipticBand(effective_mass=0.0), "effective_mass"),
        (lambda: EllipticBand(mass_ratio=0.5), "mass_ratio"),
        (lambda: WarpedBand(velocity_mev_nm=float("inf")), "velocity_mev_nm"),
        (lambda: WarpedBand(angle="north"), "angle"),
        (lambda: SeveralBands((EllipticBand(),)), "bands"),
        (lambda: surface_state_wavenumber(0.0, effective_mass=-1.0), "effective_mass"),
    ],
)
def test_bad_values_are_named(make, name):
    with pytest.raises(InputError, match=name):
        make()
