"""The solver's coordinates: there and back, slopes, and windows that hold a radius."""

import numpy as np
import pytest

from qpi_core.solvers.harmonic.frame import SolverFrame, stretch_matrix

FRAMES = [SolverFrame((1.0, 1.0)), SolverFrame((1.25, 0.8)), SolverFrame((1.25, 0.8), stretch_matrix(np.array([0.2, -0.1])))]


@pytest.mark.parametrize("frame", FRAMES)
def test_there_and_back(frame):
    points = np.random.default_rng(0).uniform(-20, 20, (7, 2))
    np.testing.assert_allclose(frame.pixels(frame.coordinates(points)), points)


@pytest.mark.parametrize("frame", FRAMES)
def test_grid_and_slopes_are_those_of_the_coordinates(frame):
    grid, offsets = frame.grid(5), np.stack(np.meshgrid(np.arange(5) - 2.0, np.arange(5) - 2.0), axis=-1)
    np.testing.assert_allclose(np.stack([grid.dx, grid.dy], axis=-1), frame.coordinates(offsets))

    def value(points):
        u, v = np.moveaxis(frame.coordinates(points), -1, 0)
        return np.sin(u) * v

    u, v = grid.dx, grid.dy
    by_x, by_y = frame.by_pixel(np.cos(u) * v, np.sin(u))
    for axis, slope in ((0, by_x), (1, by_y)):
        step = 1e-6 * np.eye(2)[axis]
        np.testing.assert_allclose(slope, (value(offsets + step) - value(offsets - step)) / 2e-6, atol=1e-8)


@pytest.mark.parametrize("frame", FRAMES)
def test_reach_holds_the_radius_in_every_direction(frame):
    angle = np.linspace(0, 2 * np.pi, 181)
    furthest = np.abs(frame.pixels(30 * np.stack([np.cos(angle), np.sin(angle)], axis=1))).max()
    assert furthest <= frame.reach(30.0) + 1 <= furthest * 1.3 + 2
