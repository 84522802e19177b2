"""Starts from Eq. 7: the bank holds the patterns, and Whittle's likelihood prefers the one that made the map."""

import numpy as np
import pytest

from qpi_core.solvers.blind.layers import prepare_layers
from qpi_core.solvers.blind.polishing.kernel_step import KernelStep
from qpi_core.solvers.blind.start import formula_start
from qpi_core.solvers.blind.start.filter_bank import BankShape, FilterBank
from qpi_core.solvers.blind.start.formula_start import FormulaStarts, pattern_coefficients
from qpi_core.solvers.blind.start.spectral_start import SpectralStarts, WhittleLikelihood


def formula(order, wave, decay, phase, orientation, half):
    y, x = np.mgrid[-half : half + 1, -half : half + 1].astype(float)
    radius = np.hypot(x, y)
    angular = np.sin(order / 2 * np.arctan2(y, x) + orientation) ** 2
    return angular * np.sin(wave * radius / 2 + phase) ** 2 * np.exp(-decay * radius**2)


@pytest.mark.parametrize("order", [0, 3, 4])
def test_the_bank_holds_the_patterns(order):
    bank = FilterBank(BankShape(order, 28.0, 1.0, 1), (64, 64))
    coefficients = pattern_coefficients(bank)
    waves, decays, phases = formula_start._WAVES, formula_start._DECAYS, formula_start._PHASES
    assert len(coefficients) == len(waves) * len(decays) * len(phases) * (6 if order else 1)
    turn = 2 if order else 0
    number = ((turn * len(waves) + 5) * len(decays) + 2) * len(phases) + 1
    orientation = formula_start._ORIENTATIONS[2] if order else np.pi / 2
    expected = formula(order, waves[5], decays[2], phases[1], orientation, bank.half)
    # Next to the centre a ring has too few pixels for an angle, and the bank has no filter there.
    y, x = np.mgrid[-bank.half : bank.half + 1, -bank.half : bank.half + 1]
    apart = (bank.kernel(coefficients[number]) - expected)[np.hypot(x, y) >= 3]
    assert np.linalg.norm(apart) < 0.02 * np.linalg.norm(expected)


def test_the_likelihood_of_a_shape_is_that_of_its_power_at_the_strength_of_the_map():
    rng = np.random.default_rng(3)
    layer = rng.standard_normal((24, 20)).astype(np.float32)
    bank = FilterBank(BankShape(2, 6.0, 1.0, 1), (24, 20))
    likelihood = WhittleLikelihood(bank, layer, np.ones((24, 20), dtype=bool), 0.2)
    coefficients = rng.standard_normal((2, bank.count))
    shapes = likelihood.in_prior(coefficients)
    np.testing.assert_allclose(likelihood.from_prior(shapes[1]), coefficients[1], atol=1e-9)
    values, factors = likelihood.of_shapes(shapes)
    rows, columns = np.fft.fftfreq(24), np.fft.rfftfreq(20)
    for shape, value, factor in zip(shapes, values, factors, strict=True):
        kernel = factor * bank.kernel(likelihood.from_prior(shape))
        places = np.arange(-bank.half, bank.half + 1)
        spectrum = np.exp(-2j * np.pi * np.outer(rows, places)) @ kernel @ np.exp(-2j * np.pi * np.outer(places, columns))
        variance = (np.abs(spectrum) ** 2)[likelihood.kept] + 0.2
        assert value == pytest.approx(-np.sum(likelihood.power / variance + np.log(variance)), rel=1e-4)
        assert np.sum(variance - 0.2) == pytest.approx(max(np.sum(likelihood.power - 0.2), 1.0), rel=1e-4)


def test_a_dense_map_leads_to_the_pattern_that_made_it():
    rng = np.random.default_rng(8)
    shape, order = (48, 48), 4
    truth = formula(order, 1.1, 0.008, 0.7, 0.4, 28)
    places = rng.choice(48 * 48, 60, replace=False)
    layer = np.zeros((48 + 56,) * 2)
    for row, column in zip(*divmod(places, 48), strict=True):
        layer[row : row + 57, column : column + 57] += truth
    layer = layer[28:-28, 28:-28]
    layer = layer + 0.2 * layer.std() * rng.standard_normal(shape)
    layers = prepare_layers(layer[None].astype(np.float32))
    step = KernelStep(FilterBank(BankShape(order, 28.0, 1.0, 1, spot=True), shape), layers)
    starts = FormulaStarts([SpectralStarts(layers, order, step)])
    inside = (slice(8, 49),) * 2

    def likeness(kernel):
        middle = len(kernel) // 2
        cut = kernel[middle - 20 : middle + 21, middle - 20 : middle + 21]
        return float(np.corrcoef(cut.ravel(), truth[inside].ravel())[0, 1])

    assert max(likeness(guess.pattern) for guess in starts._guesses) > 0.85
    drawn = list(starts.draw(False, 100))
    assert drawn and max(likeness(candidate.fit.kernels[0]) for candidate in drawn) > 0.9
