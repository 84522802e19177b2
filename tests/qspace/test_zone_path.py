"""E(q) along a path: corners where the lattice has them, values those of the Fourier transform."""

from __future__ import annotations

import numpy as np
import pytest

from qpi_core.base.errors import InputError
from qpi_core.qspace.spectra import fft_magnitude, q_axes
from qpi_core.qspace.surface_lattice import surface_lattice
from qpi_core.qspace.zone_path import PathPoint, high_symmetry_path, path_map


@pytest.mark.parametrize(
    ("kind", "names", "lengths"),
    [("square", "ΓXMΓ", (1.0, np.sqrt(2.0))), ("hexagonal", "ΓMKΓ", (2 / np.sqrt(3.0), 4 / 3)), ("rectangular", None, None)],
)
def test_the_corners_are_those_of_the_zone(kind, names, lengths):
    lattice = surface_lattice(kind, 0.5, 0.7 if kind == "rectangular" else None, orientation=0.2)
    path = high_symmetry_path(lattice)
    assert path[0] == path[-1] and (path[0].q_x, path[0].q_y) == (0.0, 0.0)
    if names is None:
        # The middle of the nearest side is half of the shortest reciprocal vector.
        assert np.hypot(path[1].q_x, path[1].q_y) == pytest.approx(np.pi / 0.7)
        return
    assert "".join(one.name for one in path) == names
    found = [np.hypot(one.q_x, one.q_y) / (np.pi / 0.5) for one in path[1:3]]
    np.testing.assert_allclose(found, lengths)


def test_values_are_those_of_the_transform_at_its_own_wave_vectors():
    kernels = np.random.default_rng(1).standard_normal((3, 16, 16))
    kernels[1] = np.nan
    pitch = (0.4, 0.3)
    q_y, q_x = q_axes((16, 16), pitch)
    path = [PathPoint("a", 0.0, 0.0), PathPoint("b", float(q_x[12]), 0.0), PathPoint("c", float(q_x[12]), float(q_y[11]))]
    found = path_map(kernels, [1.0, 2.0, 3.0], pitch, path)
    magnitude = fft_magnitude(kernels[2], "hann")
    np.testing.assert_allclose(found.magnitude[2, [0, -1]], magnitude[[8, 11], [8, 12]])
    assert found.corners[1][1] == pytest.approx(q_x[12]) and np.isnan(found.magnitude[1]).all()
    # A linear way from one grid point to the next.
    assert found.magnitude[0, :2].mean() != found.magnitude[0, 0]
    header, first = found.table().decode().splitlines()[:2]
    assert header.startswith("distance_rad_per_nm,q_x_rad_per_nm") and first.split(",")[4] == ""


def test_a_path_that_goes_nowhere_is_refused():
    with pytest.raises(InputError, match="at least two points"):
        path_map(np.ones((2, 8, 8)), [0.0, 1.0], 0.3, [PathPoint("a", 0.0, 0.0)])
    with pytest.raises(InputError, match="no two neighbours"):
        path_map(np.ones((2, 8, 8)), [0.0, 1.0], 0.3, [PathPoint("a", 1.0, 0.0), PathPoint("b", 1.0, 0.0)])
