"""The radial splines, against those of scipy."""

import numpy as np
import pytest
from scipy.interpolate import BSpline

from qpi_core.solvers.harmonic.equations.basis import DEGREE, RadialSplines

SPLINES = RadialSplines(0.8, 17.3)
# The spline of coefficient j begins DEGREE knots before the j-th one.
KNOTS = SPLINES.step * (np.arange(SPLINES.count + DEGREE + 1) - DEGREE)
RADII = np.random.default_rng(3).uniform(0, SPLINES.radius, 200)


def assembled(first, weights):
    matrix = np.zeros((RADII.size, SPLINES.count))
    np.put_along_axis(matrix, first[:, None] + np.arange(DEGREE + 1), weights, axis=1)
    return matrix


@pytest.mark.parametrize("slope", [False, True])
def test_pieces_and_slopes_are_those_of_scipy(slope):
    first, weights, slopes = SPLINES.pieces_with_slopes(RADII)
    oracle = BSpline(KNOTS, np.eye(SPLINES.count), DEGREE)
    expected = (oracle.derivative() if slope else oracle)(RADII)
    np.testing.assert_allclose(assembled(first, slopes if slope else weights), expected, atol=1e-12)


def test_profiles_go_through_their_values_at_the_nodes():
    values = np.random.default_rng(4).normal(size=(2, SPLINES.nodes.size))
    spline = BSpline(KNOTS, SPLINES.interpolation @ values.T, DEGREE)
    inside = (SPLINES.nodes >= 0) & (SPLINES.nodes <= SPLINES.radius)
    np.testing.assert_allclose(spline(SPLINES.nodes[inside]).T, values[:, inside], atol=0.01)
    np.testing.assert_allclose(SPLINES.evaluate(values, RADII), spline(RADII).T, atol=1e-12)
    assert not SPLINES.evaluate(values, np.array([SPLINES.radius + 0.1])).any()
