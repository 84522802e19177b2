"""How the posterior mean of the profiles follows the hyperparameters, against differences of the mean itself."""

from dataclasses import replace

import numpy as np
import pytest

from qpi_core.solvers.harmonic.equations.accumulation import ClassBasis, accumulate
from qpi_core.solvers.harmonic.equations.basis import RadialSplines, take_samples
from qpi_core.solvers.harmonic.equations.evidence import evaluate
from qpi_core.solvers.harmonic.equations.normal_equations import in_subspace
from qpi_core.solvers.harmonic.posterior.kernel import slopes_of_mean
from qpi_core.solvers.harmonic.search import INDEPENDENT, SHARED, Fit, Hyperparameters

FLOOR = 1e-4
HEAD = (np.log(1 / 20), np.log(6.0), 0.8, 0.5, np.log(1.5))


@pytest.mark.parametrize("within", [False, True])
@pytest.mark.parametrize(
    "point",
    [
        Hyperparameters(np.array([*HEAD, np.log(3.0), -0.4, 0.7]), 1, (0, 2), SHARED, pivot=1, gaussian=False),
        Hyperparameters(np.array([*HEAD, np.log(3.0), np.log(0.5)]), 1, (0, 2), INDEPENDENT, gaussian=False),
    ],
)
def test_slopes_of_the_mean_are_its_differences(point, within):
    rng = np.random.default_rng(5)
    values, positions = rng.standard_normal((20, 20)).astype(np.float32), rng.uniform(2, 18, (4, 2))
    splines = RadialSplines(0.8, 20.0)
    equations = accumulate([ClassBasis(take_samples(values, positions, np.ones(4)), splines, (0, 2))]).alone()
    if within:
        equations = in_subspace(equations, np.linalg.qr(np.cos(np.outer(splines.nodes, np.arange(12) / 8)))[0])

    def mean(vector):
        at = replace(point, vector=vector)
        return evaluate(equations, splines.nodes, at.radial, at.mixing(), FLOOR)

    slopes = slopes_of_mean(equations, splines.nodes, Fit(point, mean(point.vector), 0.0))
    for index in range(point.vector.size):
        step = 3e-3 * (np.arange(point.vector.size) == index)
        differences = (mean(point.vector + step).profiles - mean(point.vector - step).profiles) / 6e-3
        assert np.abs(slopes[index] - differences).max() < 0.01 * np.abs(differences).max()
