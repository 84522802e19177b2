"""Lattices in q-space against independent definitions: the nearest-G test, areas, and the FFT of atoms that are put down one by one."""

import numpy as np
import pytest

from qpi_core.base.errors import InputError
from qpi_core.qspace.surface_lattice import SurfaceLattice, surface_lattice

LATTICES = {
    "square": surface_lattice("square", 0.4, orientation=0.3),
    "rectangular": surface_lattice("rectangular", 0.3, 0.5, orientation=-1.0),
    "hexagonal": surface_lattice("hexagonal", 0.289, orientation=0.1),
    "oblique": surface_lattice("oblique", 0.3, 0.7, 1.2, 0.4),
    "acute": SurfaceLattice(0.3, 0.9, 0.15, 2.0),
    "obtuse": SurfaceLattice(0.5, 0.5, 2.0, 0.0),
}


def is_inside(points: np.ndarray, corners: np.ndarray) -> np.ndarray:
    """Points inside a convex polygon whose corners go round once."""
    edges = np.roll(corners, -1, axis=0) - corners
    cross = edges[:, 0] * (points[:, None, 1] - corners[:, 1]) - edges[:, 1] * (points[:, None, 0] - corners[:, 0])
    return (cross >= 0).all(axis=1)


@pytest.mark.parametrize("name", LATTICES)
def test_zone_holds_what_is_nearest_to_the_origin(name):
    lattice = LATTICES[name]
    corners = lattice.brillouin_zone()
    x, y = corners.T
    area = 0.5 * np.sum(x * np.roll(y, -1) - y * np.roll(x, -1))
    a, b = lattice.vectors
    assert area == pytest.approx((2 * np.pi) ** 2 / abs(a[0] * b[1] - a[1] * b[0]), rel=1e-9)
    # Far-out indices, because the vectors of an acute cell are far from the shortest ones.
    h, k = np.meshgrid(np.arange(-12, 13), np.arange(-12, 13))
    reciprocal = np.stack([h.ravel(), k.ravel()], axis=1) @ lattice.reciprocal_vectors
    points = np.random.default_rng(1).uniform(-1, 1, (4000, 2)) * 1.3 * np.abs(corners).max(axis=0)
    distances = np.linalg.norm(points[:, None] - reciprocal, axis=2)
    at_origin = np.linalg.norm(points, axis=1) <= distances.min(axis=1) + 1e-12
    assert 0.1 < at_origin.mean() < 0.9
    np.testing.assert_array_equal(is_inside(points, corners), at_origin)


def test_zones_of_the_named_kinds():
    assert [len(LATTICES[name].brillouin_zone()) for name in ("square", "rectangular", "hexagonal", "oblique")] == [4, 4, 6, 6]
    square = LATTICES["square"].brillouin_zone()
    np.testing.assert_allclose(np.linalg.norm(square, axis=1), np.sqrt(2) * np.pi / 0.4)
    # The K points of a triangular lattice: 4 pi / 3 a, the first of them along a.
    hexagon = LATTICES["hexagonal"].brillouin_zone()
    np.testing.assert_allclose(np.linalg.norm(hexagon, axis=1), 4 * np.pi / (3 * 0.289))
    assert np.abs(np.angle(np.exp(1j * (np.arctan2(hexagon[:, 1], hexagon[:, 0]) - 0.1)))).min() < 1e-9


def test_reciprocal_vectors_are_dual():
    for lattice in LATTICES.values():
        np.testing.assert_allclose(lattice.vectors @ lattice.reciprocal_vectors.T, 2 * np.pi * np.eye(2), atol=1e-9)


@pytest.mark.parametrize("name", ["square", "hexagonal", "oblique"])
def test_bragg_peaks_are_those_of_a_simulated_lattice(name):
    """Atoms at n a + m b on pixels that are not square, y downwards: |FFT| is large at the peaks and nowhere else."""
    lattice, (dy, dx), shape = LATTICES[name], (0.05, 0.07), (200, 180)
    n, m = np.meshgrid(np.arange(-80, 81), np.arange(-80, 81))
    first, second = lattice.orientation, lattice.orientation + lattice.angle
    along_x = n * lattice.a_nm * np.cos(first) + m * lattice.b_nm * np.cos(second)
    downwards = n * lattice.a_nm * np.sin(first) + m * lattice.b_nm * np.sin(second)
    atoms = np.stack([along_x.ravel(), downwards.ravel()], axis=1)
    y, x = np.arange(shape[0]) * dy, np.arange(shape[1]) * dx
    inside = (np.abs(atoms[:, 0] - x.mean()) < x.mean() + 0.4) & (np.abs(atoms[:, 1] - y.mean()) < y.mean() + 0.4)
    image = np.zeros(shape)
    for atom_x, atom_y in atoms[inside]:
        image += np.exp(-((y[:, None] - atom_y) ** 2) / (2 * 0.06**2)) * np.exp(-((x[None, :] - atom_x) ** 2) / (2 * 0.06**2))
    image -= image.mean()
    strength = np.abs(np.fft.fft2(image * np.outer(np.hanning(shape[0]), np.hanning(shape[1]))))
    q_y, q_x = 2 * np.pi * np.fft.fftfreq(shape[0], dy), 2 * np.pi * np.fft.fftfreq(shape[1], dx)
    limit = 24.0
    _, peaks = lattice.bragg_peaks((limit + 4, limit + 4))
    distance = np.hypot(q_x[None, :, None] - peaks[:, 0], q_y[:, None, None] - peaks[:, 1])
    step = max(q_y[1], q_x[1])
    near, region = (distance < 2.5 * step).any(axis=2), (np.abs(q_y[:, None]) < limit) & (np.abs(q_x) < limit)
    assert strength[region & ~near].max() < 0.05 * strength.max()
    for column in range(len(peaks)):
        close = np.where(distance[..., column] < 2.5 * step, strength, 0)
        row, col = np.unravel_index(np.argmax(close), shape)
        # A weak peak further out is still a peak, at its place within a pixel of q.
        assert close.max() > 20 * np.median(strength[region])
        assert abs(q_x[col] - peaks[column, 0]) < 0.6 * q_x[1] and abs(q_y[row] - peaks[column, 1]) < 0.6 * q_y[1]


def test_peaks_are_ordered_by_length_and_come_in_whole_shells():
    indices, peaks = LATTICES["hexagonal"].bragg_peaks((100.0, 100.0), most=8)
    assert len(peaks) == 6 and not (indices == 0).all(axis=1).any()
    np.testing.assert_allclose(np.linalg.norm(peaks, axis=1), 4 * np.pi / (np.sqrt(3) * 0.289))
    np.testing.assert_allclose(indices @ LATTICES["hexagonal"].reciprocal_vectors, peaks)
    everything = LATTICES["oblique"].bragg_peaks((60.0, 40.0))[1]
    h, k = np.meshgrid(np.arange(-20, 21), np.arange(-20, 21))
    brute = np.stack([h.ravel(), k.ravel()], axis=1) @ LATTICES["oblique"].reciprocal_vectors
    assert len(everything) == ((np.abs(brute) <= [60.0, 40.0]).all(axis=1)).sum() - 1
    assert len(surface_lattice("square", 900.0).bragg_peaks((60.0, 60.0), 20)[1]) == 20
    assert not len(surface_lattice("square", 0.1).bragg_peaks((20.0, 20.0))[1])


@pytest.mark.parametrize(
    "call",
    [
        lambda: surface_lattice("cubic", 0.4),
        lambda: surface_lattice("square", 0.4, 0.5),
        lambda: surface_lattice("rectangular", 0.4),
        lambda: surface_lattice("oblique", 0.4, 0.5),
        lambda: surface_lattice("hexagonal", 0.4, angle=1.0),
        lambda: surface_lattice("square", float("nan")),
        lambda: surface_lattice("square", -0.4),
        lambda: SurfaceLattice(0.4, 0.4, 0.01),
        lambda: SurfaceLattice(0.4, 0.4, orientation=float("inf")),
        lambda: LATTICES["square"].bragg_peaks((0.0, 10.0)),
    ],
)
def test_bad_input_gets_a_sentence(call):
    with pytest.raises(InputError, match=r"\w+ .*\."):
        call()
