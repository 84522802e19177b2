"""Eq. 7 as a prior mean of `refined`: taken where the map prefers it to a kernel without a formula, and leaves nothing to correct.

    log p(map | Eq. 7) - log p(map | harmonic)  >  DECISIVE,

both with the price of their parameters taken off (Schwarz): the harmonic kernel's evidence is marginal over all its profiles, so a
formula of five numbers that explains the map as well gains what the profiles had to be learned with. A kernel that is not of Eq. 7
leaves a residual that costs more than that as soon as the noise lets it be seen; below, the formula is as good as anything. What the
formula leaves is judged on held-out pixels like that of every other prior mean (refined.solve_refined). Under a noise model both
evidences are those of the whitened map, and they alone decide: held-out pixels know white noise only.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from qpi_core.estimates.solution import KernelSolution
from qpi_core.solvers.formula.equation_fit import EquationFit, fit_equation_seven, superposition_of_fit
from qpi_core.solvers.harmonic.answer import missed_by_splines
from qpi_core.solvers.harmonic.model import LEAST_GAIN, HarmonicModel, pattern_gain
from qpi_core.solvers.harmonic.orders.selection import log_evidence
from qpi_core.solvers.harmonic.posterior.kernel import KernelGrid
from qpi_core.solvers.positions.catalogue.selection import ListedFit
from qpi_core.solvers.refined.refined import Prior, uncorrected

Array = NDArray[np.float64]

DECISIVE = 3.0
"""Log evidence by which the formula must beat the kernel without one."""
FREEDOM = 6.0
"""Numbers of the formula and the background, fitted to the map."""


def formula_answer(
    listed: ListedFit, harmonic: KernelSolution, observation: NDArray[np.float32], position_variance: Callable[[], Array | None]
) -> KernelSolution | None:
    """Return the answer with Eq. 7 as the prior mean, None where the map does not prefer it or holds more than the formula.

    Args:
        listed: the harmonic model with its list of defects.
        harmonic: the answer of that model.
        observation: (height, width), NaN where not measured.
        position_variance: makes (k, k) what every pixel of the kernel owes to positions that are not known, None where all are.
    """
    prior = formula_prior(listed.model, harmonic, (observation.shape[0], observation.shape[1]))
    if prior is None:
        return None
    doubt = position_variance()
    if doubt is not None and prior.uncertainty is not None:
        prior = replace(prior, uncertainty=np.sqrt(prior.uncertainty**2 + doubt).astype(np.float32))
    return uncorrected(observation, listed.positions, len(prior.kernel), Prior("formula", prior, FREEDOM), listed.weights)


def formula_prior(model: HarmonicModel, harmonic: KernelSolution, shape: tuple[int, int]) -> KernelSolution | None:
    """Return the harmonic answer with the kernel of Eq. 7 in place of its own, None where the map does not prefer it.

    Args:
        model: of the map and its defects, also one under a noise model.
        harmonic: the answer of that model.
        shape: (height, width) of the map.
    """
    orders = model.fit.hyperparameters.orders
    simple = len(orders) <= 2 and orders[-1] != 1 and model.equations.subspace is None
    # Where the map shows more than one symmetry with a given list, and coordinates as they are, no formula is tried.
    if not simple or model.stretch is not None or model.excess > 1 or model.remainder is not None:
        return None
    if pattern_gain(model) < LEAST_GAIN:
        return None
    fit = fit_equation_seven(model, (orders[-1],))
    pixels = model.equations.pixels
    gain = fit.log_evidence(pixels, model.floor) - log_evidence(model.fit, pixels)
    return _with_formula(model, harmonic, fit, gain, shape) if gain > DECISIVE else None


def _with_formula(model: HarmonicModel, harmonic: KernelSolution, fit: EquationFit, gain: float, shape: tuple[int, int]) -> KernelSolution:
    """Return the harmonic answer with the fitted formula's kernel, error bars, noise and background."""
    formula, covariance = fit.kernels[0], fit.part(0)
    size, wide_size = len(harmonic.kernel), len(harmonic.wide_kernel)
    grid = KernelGrid.of_size(wide_size, model.aspect)
    wide, slopes = formula.values(grid.dx, grid.dy)
    start = wide_size // 2 - size // 2
    crop = slice(start, start + size)
    variance = np.einsum("iyx,ij,jyx->yx", slopes[:, crop, crop], covariance, slopes[:, crop, crop])
    noise = fit.misfit / max(model.equations.pixels - fit.searched - 1, 1)
    if model.whitener is not None:
        # Whitened, a map of blurred noise is nearly free of it: there the floor, and what the splines of the normal equations miss, count.
        variance = variance * (noise + model.floor) / noise + missed_by_splines(model, wide, size) ** 2
        noise += model.floor
    exact = None if harmonic.superposition is None else superposition_of_fit(fit, model, shape)
    return replace(
        harmonic,
        kernel=wide[crop, crop].astype(np.float32),
        wide_kernel=wide.astype(np.float32),
        background=fit.background,
        noise_sigma=float(np.sqrt(noise)),
        uncertainty=np.sqrt(np.maximum(variance, 0.0)).astype(np.float32),
        superposition=exact,
        details={**harmonic.details, "log_evidence_of_formula": gain},
    )
