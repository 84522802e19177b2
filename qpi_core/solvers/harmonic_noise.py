"""Kernel and noise model together: the harmonic solver on a map whose background and noise are not white.

The two are found in turn. For given hyperparameters of the kernel its prior is one more random effect of the map, so the noise model is
a problem of variance components (see qpi_core.noise); for a given noise model the map is whitened, and everything that the harmonic
solver knows holds. Each alone would take the other's share: so the first fit distrusts long waves and whole rows, and the marginal
likelihood of the whole map, price of all parameters included, decides which of the fits is believed.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from qpi_core.noise.components import MixedModel
from qpi_core.noise.selection import NoiseFit, SelectionOptions, fit_components, score_white_noise
from qpi_core.noise.stationary import StationaryParameters
from qpi_core.noise.whitening import Whitener
from qpi_core.solvers.harmonic_basis import take_samples
from qpi_core.solvers.harmonic_evidence import low_rank_factor
from qpi_core.solvers.harmonic_orders import is_explained
from qpi_core.solvers.harmonic_problem import HarmonicProblem
from qpi_core.solvers.harmonic_search import Fit
from qpi_core.solvers.harmonic_selection import log_evidence, select_orders
from qpi_core.solvers.harmonic_start import HarmonicStart
from qpi_core.solvers.normal_equations import StoredDesign

Array = NDArray[np.float64]

GENEROUS = StationaryParameters(background=10.0, background_length=12.0, rows=0.3, streaks=0.3, streak_length=6.0)
"""Before anything is known long waves and whole rows are not trusted."""
MOST_PIXELS = 20_000
_ROUNDS = 3
_SETTLED = 0.5
_KERNEL_RANK = 1e-5


@dataclass(frozen=True)
class NoisyStart:
    """The first stage of the harmonic solver under a noise model.

    Attributes:
        start: its design is whitened.
        noise: the strengths.
        whitener: that made it.
        evidence: log marginal likelihood of the map with the price of all parameters, comparable with that of other noise models.
    """

    start: HarmonicStart
    noise: NoiseFit
    whitener: Whitener
    evidence: float


def find_noise(
    problem: HarmonicProblem, positions: Array, weights: Array, begun: HarmonicStart, options: SelectionOptions | None = None
) -> NoisyStart | None:
    """Return the first stage under the noise model that the map asks for; None where white noise explains it.

    Args:
        problem: the map.
        positions, weights: its defects.
        begun: the first stage under white noise.
        options: numbers of the choice.
    """
    chosen = options or SelectionOptions()
    values = problem.values
    if begun.stretch is not None or int(np.isfinite(values).sum()) > MOST_PIXELS or is_explained(begun.selection.best, begun.floor):
        return None
    search = _Search(problem, positions, weights, begun, chosen)
    scores = search.scores()
    if max(scores.values()) < chosen.score:
        return None
    return search.run()


class _Search:
    """The alternation, with what stays the same during it."""

    def __init__(self, problem: HarmonicProblem, positions: Array, weights: Array, begun: HarmonicStart, options: SelectionOptions) -> None:
        self.problem, self.begun, self.options = problem, begun, options
        values = problem.values
        self.measured = np.isfinite(values)
        self.raw = begun.design
        self.samples = begun.samples
        if begun.samples.values.size < int(self.measured.sum()):
            self.samples = take_samples(values, positions, weights, begun.aspect)
            self.raw = StoredDesign(self.samples, begun.splines, tuple(sorted({0, *problem.symmetry_orders})))
        self.rows, self.columns = begun.frame.indices(self.samples)
        self.model = MixedModel(values.astype(np.float64), (), begun.aspect, begun.floor)

    def scores(self) -> dict[str, float]:
        """Return the score test of every term for the fit under white noise."""
        fit = self.begun.selection.best
        residual = self._image(self.raw.residual(fit.hyperparameters.orders, fit.evidence.profiles)[:, None])[..., 0]
        return score_white_noise(self.model, residual, fit.evidence.variance, self.options)

    def run(self) -> NoisyStart | None:
        """Return the best first stage; None where white noise is as good."""
        pixels = self.model.pixels
        first = self._solved(GENEROUS)
        candidates = [self._noise(self.begun.selection.best, GENEROUS, 1.0), self._noise(first.selection.best, GENEROUS, 1.0)]
        noise = max(candidates, key=lambda fit: fit.worth(pixels))
        best: NoisyStart | None = None
        for _ in range(_ROUNDS):
            found = self._start(noise)
            if best is not None and found.evidence < best.evidence + _SETTLED:
                best = max(best, found, key=lambda one: one.evidence)
                break
            best = found
            noise = self._noise(found.start.selection.best, noise.parameters, 1.0)
        white = log_evidence(self.begun.selection.best, pixels)
        return best if best is not None and not best.noise.parameters.white and best.evidence > white else None

    def _noise(self, kernel: Fit, start: StationaryParameters, strength: float) -> NoiseFit:
        model = replace(self.model, groups=(self._kernel_columns(kernel),))
        return fit_components(model, start, (strength,), self.options)

    def _kernel_columns(self, fit: Fit) -> Array:
        """Return the map's patterns, (height, width, k), that the kernel's prior allows."""
        point = fit.hyperparameters
        factor = low_rank_factor(point.radial.covariance(self.begun.splines.nodes), _KERNEL_RANK)
        self.raw.add_orders(point.orders)
        return self._image(self.raw.prior_columns(point.orders, point.mixing(), factor))

    def _image(self, rows: Array) -> Array:
        image = np.zeros((*self.measured.shape, rows.shape[1]))
        image[self.rows, self.columns] = rows
        return image

    def _start(self, noise: NoiseFit) -> NoisyStart:
        whitener = Whitener(self.measured, noise.parameters, (), self.begun.aspect)
        start = self._solved(noise.parameters, whitener)
        price = 0.5 * (noise.searched - 1) * float(np.log(self.model.pixels))
        evidence = log_evidence(start.selection.best, self.model.pixels) - 0.5 * whitener.log_determinant - price
        return NoisyStart(start, noise, whitener, evidence)

    def _solved(self, parameters: StationaryParameters, whitener: Whitener | None = None) -> HarmonicStart:
        """Return the first stage of the whitened problem."""
        seen = Whitener(self.measured, parameters, (), self.begun.aspect) if whitener is None else whitener
        design = self.raw.whitened(seen, self.rows, self.columns)
        selection = select_orders(design, self.begun.splines.nodes, self.problem.symmetry_orders, self.begun.floor)
        return replace(self.begun, samples=self.samples, design=design, selection=selection, whitener=seen)
