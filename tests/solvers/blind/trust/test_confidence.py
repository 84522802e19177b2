"""The probability of each defect, against misfits that are computed map by map."""

import numpy as np

from qpi_core.solvers.blind.finish import Finding, on_grid
from qpi_core.solvers.blind.layers import prepare_layers
from qpi_core.solvers.blind.polishing.convolution import Convolution
from qpi_core.solvers.blind.polishing.kernel_step import KernelStep
from qpi_core.solvers.blind.polishing.score import scored
from qpi_core.solvers.blind.start.filter_bank import BankShape, FilterBank
from qpi_core.solvers.blind.trust.confidence import defect_probabilities

RNG = np.random.default_rng(2)
y, x = np.mgrid[:40, :44]
PLACES = RNG.integers(4, 36, (7, 2))
CLEAN = sum(np.cos(np.hypot(x - px, y - py)) * np.exp(-((x - px) ** 2 + (y - py) ** 2) / 20) for px, py in PLACES)
LAYERS = prepare_layers((CLEAN + 0.6 * RNG.standard_normal(CLEAN.shape))[None].astype(np.float32))


def finding() -> Finding:
    activation = np.zeros(CLEAN.shape, dtype=np.float32)
    activation[PLACES[:, 1], PLACES[:, 0]] = 1
    activation[20, 2] = 1  # there is none
    step = KernelStep(FilterBank(BankShape(0, 10.0, 1.0, 1, spot=True), LAYERS.shape), LAYERS)
    return on_grid(scored(step, activation))


def test_the_odds_are_those_of_the_misfit_with_and_without():
    found = finding()
    convolution, expected = Convolution(found.fit, LAYERS.long_waves), []
    variance = found.fit.variances[0]
    for px, py in found.positions.astype(int):
        alone = np.zeros(CLEAN.shape, dtype=np.float32)
        alone[py, px] = 1
        without = found.fit.residuals[0] + convolution(alone)[0] * np.sqrt(variance)
        gain = (np.sum(without**2) - np.sum(found.fit.residuals[0] ** 2)) / (2 * variance)
        expected.append(1 / (1 + np.exp(-(gain - np.log((LAYERS.pixels - 7) / 8)))))
    np.testing.assert_allclose(defect_probabilities(found), expected, rtol=1e-3, atol=1e-6)


def test_a_place_without_a_defect_is_doubted():
    found = finding()
    probabilities, false = defect_probabilities(found), (found.positions == [2, 20]).all(axis=1)
    assert probabilities[~false].min() > 0.99 and probabilities[false].item() < 0.5
