"""Kernels of bands against Hankel functions, against sums over square grids, and against their own contours."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import hankel1

from qpi_core.base.electron import HBAR2_OVER_2M_MEV_NM2
from qpi_core.base.errors import InputError
from qpi_core.solvers.band_model.families.by_name import BAND_MODELS, band_family
from qpi_core.solvers.band_model.fit import BandCost
from qpi_core.solvers.band_model.kernels.kernel_space import KernelSpace
from qpi_core.solvers.band_model.layers import Layer, solve_free, solve_free_orders
from qpi_core.solvers.band_model.projections import project_stack
from qpi_core.solvers.band_model.search import BandFitRule, BandSearch
from qpi_core.solvers.harmonic.equations.basis import RadialSplines, angular_functions
from qpi_core.synthesis.bands.band_structures import EllipticBand, WarpedBand
from qpi_core.synthesis.bands.lattices import HoneycombLattice, SquareLattice
from qpi_core.synthesis.bands.scattering import DefectScattering, band_pattern

ORDERS = (0, 2, 4, 6)
PITCH = 0.2
DIRECTIONS = np.linspace(0.05, 2 * np.pi, 17)


@pytest.fixture(scope="module")
def space() -> KernelSpace:
    return KernelSpace(RadialSplines(0.8, 50.0), PITCH, ORDERS, 3.2)


def far(space: KernelSpace) -> np.ndarray:
    return (space.radii() > 1.0) & (space.radii() < 9.0)


def misfit(patterns: np.ndarray, truth: np.ndarray, radii: np.ndarray) -> float:
    """The share that the best complex amplitudes of some patterns (m, r, angles) leave of a real kernel."""
    weight = np.sqrt(radii)[:, None]
    columns = np.concatenate([patterns.real, patterns.imag])
    columns = (np.broadcast_to(columns, (len(columns), *truth.shape)) * weight).reshape(len(columns), -1).T
    wanted = (truth * weight).ravel()
    left = wanted - columns @ np.linalg.lstsq(columns, wanted, rcond=None)[0]
    return float(np.linalg.norm(left) / np.linalg.norm(wanted))


def test_polar_coordinates_give_the_hankel_function_of_an_ellipse(space):
    s = np.array([4.0 + 0.6j, 9.0 + 0.9j])
    turned, stretch = space.angles - 0.3, np.exp(0.25)
    distance = space.radii()[:, None] * np.hypot(np.cos(turned) * np.sqrt(stretch), np.sin(turned) / np.sqrt(stretch))
    exact = hankel1(0, np.sqrt(s)[:, None, None] * distance) ** 2
    found = band_family("elliptic").patterns(s[None], np.array([0.5, 0.3, 0.0]), space, 0.125)[0]
    ratio = (found / exact)[:, far(space)]
    assert np.abs(ratio / ratio.mean(axis=(1, 2), keepdims=True) - 1).max() < 0.04


CASES = {
    "topological": (WarpedBand(-300.0, 260.0, 60.0, 0.4), 200.0, [500 / 260 + 20j / 260], [60 / 260, 0.4, np.hypot(0.15, 0.1)]),
    "elliptic": (
        EllipticBand(-65.0, 0.4, 2.0, 0.7),
        300.0,
        [(365 + 20j) * 0.4 / HBAR2_OVER_2M_MEV_NM2],
        [np.log(2.0), 0.7, np.hypot(0.15, 0.1)],
    ),
    "square": (SquareLattice(100.0, -15.0, -200.0, 0.6, 0.2), 20.0, [(20 - 200 + 20j) / -200], [-0.15, 0.3]),
    "honeycomb": (HoneycombLattice(100.0, 0.0, -20.0, 1.2, 0.2), 50.0, [(50 - 20 + 20j) / 100], [0.3]),
}
OF_A_LATTICE = ("square", "honeycomb")


@pytest.mark.parametrize("name", CASES)
def test_kernels_are_those_of_a_t_matrix_summed_over_a_square_grid(space, name):
    structure, energy, s, shape = CASES[name]
    lattice = (structure.lattice_constant_nm, structure.angle) if name in OF_A_LATTICE else ()
    kernel = band_pattern(DefectScattering(structure, energy, 20.0, 300.0, 0.3 if name in OF_A_LATTICE else 0.15), 12.0)
    radii = space.radii()[far(space)]
    truth = kernel(radii[:, None] * np.cos(space.angles), radii[:, None] * np.sin(space.angles))
    patterns = band_family(name, *lattice).patterns(np.array([s]), np.array(shape), space, 0.125)
    assert misfit(patterns[:, 0][:, far(space)], truth, radii) < (0.1 if name == "square" else 0.03)


@pytest.mark.parametrize("s", [-0.4, 0.7])
def test_small_contours_of_a_honeycomb_lie_around_the_corner_of_its_zone(s):
    family = band_family("honeycomb", 1.2, 0.2)
    radius = family.contour(np.array([s, 0.001]), np.array([0.3]), DIRECTIONS)
    corner = 4 * np.pi / 3.6
    kx, ky = corner * np.cos(0.2) + radius[0] * np.cos(DIRECTIONS), corner * np.sin(0.2) + radius[0] * np.sin(DIRECTIONS)
    np.testing.assert_allclose(size_of_honeycomb(1.2, kx, ky), abs(s), atol=1e-9)
    np.testing.assert_allclose(radius[1], 0.001 / (0.5 * np.sqrt(3) * 1.2), rtol=2e-3)  # a cone of slope t a sqrt(3) / 2
    assert np.isnan(family.contour(np.array([3.2]), np.array([0.3]), DIRECTIONS)).all()


def test_the_two_sites_of_a_honeycomb_turn_its_pattern_by_half_a_turn(space):
    patterns = band_family("honeycomb", 1.2, 0.0).patterns(np.array([[0.5 + 0.1j]]), np.array([0.2]), space, 0.125)[0, 0]
    third, half = len(space.angles) // 3, len(space.angles) // 2
    size = np.abs(patterns[far(space)]).max()
    assert np.abs(patterns - np.roll(patterns, third, axis=1))[far(space)].max() < 0.02 * size
    assert np.abs(patterns - np.roll(patterns, half, axis=1))[far(space)].max() > 0.2 * size


def size_of_honeycomb(a, kx, ky):
    """|f| by the lattice vectors: |f|^2 = 3 + 2 sum of the cosines over them."""
    turns = 0.2 + np.arange(3) * np.pi / 3
    return np.sqrt(np.maximum(3 + 2 * sum(np.cos(a * (kx * np.cos(t) + ky * np.sin(t))) for t in turns), 0.0))


def test_a_cone_is_the_topological_state_without_warping(space):
    s = np.array([[1.5 + 0.1j, -2.0 + 0.1j]])
    cone = band_family("dirac").patterns(s, np.array([]), space, 0.125)
    whole = band_family("topological").patterns(s, np.array([0.0, 0.0, 0.0]), space, 0.125)[0]
    radii = space.radii()[far(space)]
    for index in (0, 1):
        assert misfit(cone[:, index][:, far(space)], whole[index][far(space)].real, radii) < 0.04


@pytest.mark.parametrize("name", [name for name in BAND_MODELS if name != "two-bands"])
def test_contours_lie_where_the_band_has_their_energy(name):
    family = band_family(name, 0.6, 0.2)
    shape = np.array([one.starts[0] for one in family.shape])
    s = np.array([1.2, 1.6])
    k = family.contour(s, shape, DIRECTIONS)
    energies = (0.0, 100.0)
    numbers = family.numbers(energies, np.array([s]), shape)
    kx, ky = k * np.cos(DIRECTIONS), k * np.sin(DIRECTIONS)
    expected = np.repeat(np.array(energies)[:, None], DIRECTIONS.size, axis=1)
    np.testing.assert_allclose(energies_of(name, numbers, kx, ky), expected, atol=0.3)


def energies_of(name: str, numbers, kx: np.ndarray, ky: np.ndarray) -> np.ndarray:
    """The energies of a band from its formula, numbers as a fit gives them."""
    k, phi = np.hypot(kx, ky), np.arctan2(ky, kx)
    if name in ("square", "triangular"):
        a, t, centre, ratio = 0.6, numbers["hopping_mev"], numbers["band_centre_mev"], numbers["second_hopping_ratio"]
        turns = np.arange(2) * np.pi / 2 if name == "square" else np.arange(3) * np.pi / 3
        second = np.pi / 4 if name == "square" else np.pi / 6
        far_away = np.sqrt(2) if name == "square" else np.sqrt(3)
        near = sum(np.cos(k * a * np.cos(phi - 0.2 - turn)) for turn in turns)
        next_near = sum(np.cos(k * a * far_away * np.cos(phi - 0.2 - second - turn)) for turn in turns)
        return centre - 2 * t * (near + ratio * next_near)
    if name == "honeycomb":
        return numbers["dirac_energy_mev"] + numbers["hopping_mev"] * size_of_honeycomb(0.6, kx, ky)
    if name in ("dirac", "topological"):
        velocity = numbers["velocity_km_per_s"] / 1.5192674
        cubic = numbers.get("warping_mev_nm3", 0.0) * k**3 * np.cos(3 * (phi - numbers.get("angle_rad", 0.0)))
        return numbers["dirac_energy_mev"] + np.hypot(velocity * k, cubic)
    curvature = HBAR2_OVER_2M_MEV_NM2 / numbers["effective_mass"]
    shape = 1.0
    if name == "elliptic":
        ratio = np.sqrt(numbers["mass_ratio"])
        shape = np.cos(phi - numbers["angle_rad"]) ** 2 / ratio + np.sin(phi - numbers["angle_rad"]) ** 2 * ratio
    if name == "hexagonal":
        shape = 1 - 2 * numbers["warping"] * np.cos(6 * (phi - numbers["angle_rad"]))
    return numbers["band_edge_mev"] + curvature * k**2 * shape


def test_two_bands_hold_all_pairs_of_their_waves(space):
    s = np.array([[4.0 + 0.2j], [1.0 + 0.2j]])
    first, cross, second = band_family("two-bands").patterns(s, np.array([]), space, 0.125)[:, 0]
    np.testing.assert_allclose(cross**2, first * second)
    numbers = band_family("two-bands").numbers((0.0, 100.0), np.array([[1.0, 2.0], [4.0, 6.0]]), np.array([]))
    assert numbers["band_edge_mev_1"] == pytest.approx(-200.0) and numbers["band_edge_mev_2"] == pytest.approx(-100.0)


def test_columns_are_the_angular_orders_of_a_pattern(space):
    radii = space.radii()
    pattern = np.exp(-radii / 3)[:, None] * (1 + 0.5 * np.cos(4 * space.angles - 0.3) + 2j * np.sin(2 * space.angles))
    columns = space.columns(pattern[None, None])[0]
    r, theta = np.array([4.0, 11.0, 30.0]), np.array([0.2, 1.9, -2.5])
    functions = np.stack(angular_functions(r * np.cos(theta), r * np.sin(theta), r, ORDERS))
    first, pieces = space.splines.pieces(r)
    blocks = columns.reshape(-1, space.splines.count, 2)[:, first[:, None] + np.arange(6)]
    found = np.einsum("ar,rk,arkm->rm", functions, pieces, blocks)
    envelope = np.exp(-r * PITCH / 3)
    np.testing.assert_allclose(found[:, 0], envelope * (1 + 0.5 * np.cos(4 * theta - 0.3)), rtol=0.01)
    np.testing.assert_allclose(found[:, 1], envelope * 2 * np.sin(2 * theta), rtol=0.01)


def test_integrating_a_part_out_leaves_the_same_evidence():
    rng = np.random.default_rng(5)
    root = rng.standard_normal((12, 8))
    layer = Layer(root.T @ root, rng.standard_normal(8), 20.0, -3.0, np.ones(1))
    first, second, prior = rng.standard_normal((8, 3)), rng.standard_normal((8, 2)), np.array([0.5, 1.0, 2.0, 0.3, 4.0])
    together = layer.log_marginal(np.concatenate([first, second], axis=1), prior)
    assert layer.integrated(first, prior[:3]).log_marginal(second, prior[3:]) == pytest.approx(together)


def test_a_free_kernel_of_several_orders_sees_what_an_isotropic_one_misses():
    rng = np.random.default_rng(6)
    positions = rng.uniform(0, 39, (6, 2))
    y, x = np.mgrid[:40, :40]
    clean = 0.0
    for px, py in positions:
        r, theta = np.hypot(x - px, y - py), np.arctan2(y - py, x - px)
        clean = clean + np.cos(0.9 * r) * np.exp(-r / 6) * np.cos(2 * theta)
    stack = (clean + 0.3 * rng.standard_normal((40, 40)))[None]
    statistics = project_stack(stack, positions, np.ones(6), (1.0, 1.0), 20.0, (0, 2))
    found, plain = solve_free_orders(statistics, 0, 0.9), solve_free(statistics.isotropic(), 0, 0.9)
    assert found.log_marginal > plain.log_marginal + 100
    deviation = np.sqrt(statistics.count @ found.layer.variances / statistics.count.sum())
    assert deviation == pytest.approx(0.3, rel=0.06)


def test_a_lattice_has_to_be_given():
    with pytest.raises(InputError, match="lattice_constant_nm must be 0.1 to 5 nm"):
        band_family("triangular")
    with pytest.raises(InputError, match="finite angle"):
        band_family("square", 0.4, np.nan)
    with pytest.raises(InputError, match="lattice_constant_nm"):
        band_family("honeycomb", 7.0)


@pytest.mark.parametrize("name", ["hexagonal", "elliptic"])
def test_a_search_may_turn_a_contour_round_and_round(name):
    """Where a map shows no direction the angle is free: the cost repeats with every turn, however far away."""
    layers = np.random.default_rng(2).standard_normal((3, 24, 24))
    positions = np.array([[5.0, 6.0], [15.0, 11.0], [9.0, 19.0]])
    family = band_family(name)
    statistics = project_stack(layers, positions, np.ones(3), (1.0, 1.0), 8.0, family.orders)
    search = BandSearch(statistics, np.array([0.0, 50.0, 100.0]), 0.3, BandFitRule())
    cost = BandCost(search, family)
    point = np.array([2.0, 4.0, 0.1, 0.3, 0.15, np.log(2.0), np.log(0.5)])
    turns = np.zeros(point.size)
    turns[cost.angles] = 300 * cost.ranges[cost.angles, 1]
    assert len(cost.angles) == 1 and np.isfinite(cost(point))
    assert cost(point + turns) == pytest.approx(cost(point), rel=1e-9)
