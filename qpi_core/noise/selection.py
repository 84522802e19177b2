"""Which parts of the background and noise model a map asks for.

A score test against white noise (variance components at zero) decides whether anything is asked for at all. Then all terms are fitted
together by the marginal likelihood and its gradient, and a term stays only if it raises the log likelihood by more than the price of
its parameters (half the logarithm of the number of pixels each, Schwarz).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from qpi_core.noise.average_information import scored
from qpi_core.noise.components import Components, MixedModel, chance_of, evaluate_components
from qpi_core.noise.stationary import StationaryCovariance, StationaryParameters

Array = NDArray[np.float64]

TERMS: dict[str, tuple[str, ...]] = {
    "background": ("background", "background_length"),
    "rows": ("rows",),
    "streaks": ("streaks", "streak_length"),
}
"""Terms of the stationary covariance with their parameters."""
_VARIANCE_STEP, _LENGTH_STEP = 1.0, 0.4
"""Longest steps of the logarithms."""


@dataclass(frozen=True)
class SelectionOptions:
    """Numbers that the choice depends on.

    Attributes:
        probability: of white noise below which a term may be there; some ten terms are tested.
        tried_lengths: correlation lengths in px at which a background is looked for.
        least: variance ratio at which a term is started, and below which it is nothing.
        most: largest variance ratio.
        steps: of one search.
        gain: in log likelihood at which a search ends.
    """

    probability: float = 1e-5
    tried_lengths: tuple[float, ...] = (3.0, 8.0, 16.0)
    least: float = 1e-3
    most: float = 1e6
    steps: int = 30
    gain: float = 0.02


@dataclass(frozen=True)
class NoiseFit:
    """Strengths at their optimum.

    Attributes:
        parameters: of the stationary covariance.
        strengths: v_g of the groups; 0 where a group was dropped.
        components: the marginal likelihood there.
        searched: number of parameters that the data chose.
    """

    parameters: StationaryParameters
    strengths: tuple[float, ...]
    components: Components
    searched: int

    def worth(self, pixels: int) -> float:
        """Return the log likelihood with the price of the parameters taken off."""
        return -self.components.cost - 0.5 * self.searched * float(np.log(pixels))


def score_white_noise(model: MixedModel, residual: Array, variance: float, options: SelectionOptions) -> dict[str, float]:
    """Return how probable white noise makes what a fit's residual shows of each term.

    For a term D the statistic is z^T D z / sigma^2, z the residual (zero where not measured): a sum of squares with mean tr D and
    variance 2 tr D^2. What the fit itself took up makes it smaller, never larger.
    """
    shape = (model.values.shape[0], model.values.shape[1])
    height, width = shape
    measured = np.isfinite(model.values)
    image = (np.where(measured, residual, 0.0) / np.sqrt(variance))[..., None]
    found = {}
    for length in options.tried_lengths:
        down = np.exp(-0.5 * (np.subtract.outer(np.arange(height), np.arange(height)) * model.aspect[0] / length) ** 2)
        across = np.exp(-0.5 * (np.subtract.outer(np.arange(width), np.arange(width)) * model.aspect[1] / length) ** 2)
        form = float(np.sum(image[..., 0] * (down @ image[..., 0] @ across)))
        found[f"background {length:g}"] = chance_of(form, model.pixels, 2 * float(np.sum(down**2) * np.sum(across**2)))
    covariance = StationaryCovariance(shape, StationaryParameters(rows=1.0, streaks=1.0), model.aspect)
    forms = dict(zip(StationaryParameters.names(), covariance.quadratic_forms(image), strict=True))
    streaky = np.exp(-np.abs(np.subtract.outer(np.arange(width), np.arange(width))) * model.aspect[1] / 6.0)
    found["rows"] = chance_of(forms["rows"], model.pixels, 2.0 * height * width**2)
    found["streaks"] = chance_of(forms["streaks"], model.pixels, 2.0 * height * float(np.sum(streaky**2)))
    return found


def fit_components(
    model: MixedModel, parameters: StationaryParameters, strengths: tuple[float, ...], options: SelectionOptions, fixed: int = 1
) -> NoiseFit:
    """Return the strengths that maximise the marginal likelihood, with the terms that pay for themselves.

    Args:
        model: the map; the first `fixed` groups (the kernel) are never dropped.
        parameters, strengths: where to start; a term that starts at 0 stays out.
        options: numbers of the search.
        fixed: number of groups that stay.
    """
    fit = _optimised(model, parameters, strengths, options)
    while True:
        trials = []
        for needed in TERMS.values():
            if getattr(fit.parameters, needed[0]) > 0:
                trials.append((replace(fit.parameters, **{needed[0]: 0.0}), fit.strengths))
        for index in range(fixed, len(fit.strengths)):
            if fit.strengths[index] > 0:
                trials.append((fit.parameters, (*fit.strengths[:index], 0.0, *fit.strengths[index + 1 :])))
        best: NoiseFit | None = None
        for parameters_without, strengths_without in trials:
            price = 0.5 * (fit.searched - _count(parameters_without, strengths_without)) * float(np.log(model.pixels))
            try:
                quick = evaluate_components(model, parameters_without, strengths_without).cost - fit.components.cost
                if quick > 40 + price:
                    continue
                shorter = _optimised(model, parameters_without, strengths_without, options)
            except np.linalg.LinAlgError:  # nearly no noise is left without this term: it is needed
                continue
            if shorter.worth(model.pixels) > (fit if best is None else best).worth(model.pixels):
                best = shorter
        if best is None:
            return fit
        fit = best


def _count(parameters: StationaryParameters, strengths: tuple[float, ...]) -> int:
    """Number of parameters in use."""
    terms = sum(len(needed) for needed in TERMS.values() if getattr(parameters, needed[0]) > 0)
    return terms + sum(1 for v in strengths if v > 0)


def _optimised(model: MixedModel, parameters: StationaryParameters, strengths: tuple[float, ...], options: SelectionOptions) -> NoiseFit:
    """Return the local optimum of the terms in use; lengths stay on the map."""
    names = StationaryParameters.names()
    active = [k for needed in TERMS.values() if getattr(parameters, needed[0]) > 0 for k in (names.index(n) for n in needed)]
    groups = [k for k, v in enumerate(strengths) if v > 0]
    start = np.log([*(getattr(parameters, names[k]) for k in active), *(strengths[k] for k in groups)])
    side = max(model.values.shape[0] * model.aspect[0], model.values.shape[1] * model.aspect[1])
    limits = {"background_length": (0.8, 0.6 * side), "streak_length": (0.5, 2 * side)}
    least, most = 1e-3 * options.least, options.most
    bounds = [tuple(np.log(limits.get(names[k], (least, most)))) for k in active] + [(-60.0, 60.0)] * len(groups)

    def unpacked(vector: Array) -> tuple[StationaryParameters, tuple[float, ...]]:
        values = np.exp(vector)
        known = {names[k]: float(v) for k, v in zip(active, values, strict=False)}
        own = list(strengths)
        for place, k in enumerate(groups):
            own[k] = float(values[len(active) + place])
        return replace(parameters, **known), tuple(own)

    chosen = [*active, *(len(names) + k for k in groups)]

    def objective(vector: Array) -> tuple[Components, Array, Array]:
        found = evaluate_components(model, *unpacked(vector))
        return found, found.gradient[chosen], found.information[np.ix_(chosen, chosen)]

    if not start.size:
        return NoiseFit(parameters, strengths, evaluate_components(model, parameters, strengths), 0)
    lower, upper = np.array(bounds).T
    scales = np.array([_LENGTH_STEP if names[k] in limits else _VARIANCE_STEP for k in active] + [_VARIANCE_STEP] * len(groups))
    point, components = scored(objective, start, scales, lower, upper, options.gain, options.steps)
    return NoiseFit(*unpacked(point), components, len(active) + len(groups))
