"""Kernel, defects and noise model together: the harmonic solver on a map as it is measured.

The kernel and everything else are found in turn. For given hyperparameters the kernel's prior is one more random effect of the map, so
the rest is a problem of variance components (see qpi_core.noise): background and coloured noise, lattice waves, strengths and cores of
the defects. For a given noise model the map is whitened, and everything that the harmonic solver knows holds. Each alone would take
the other's share: so the first fit distrusts long waves and whole rows, and the marginal likelihood of the whole map, the price of all
parameters included, decides which of the fits is believed. Score tests say beforehand whether there is anything to look for, so a map
of white noise is left to the plain solver.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from qpi_core.diagnostics.identifiability import may_be_modelled
from qpi_core.noise.components import MixedModel, evaluate_components, score_group
from qpi_core.noise.lattice_waves import LatticeWave, find_lattice_waves
from qpi_core.noise.selection import TERMS, NoiseFit, SelectionOptions, fit_components, score_white_noise
from qpi_core.noise.stationary import StationaryParameters
from qpi_core.noise.step_line import StepLine, find_step
from qpi_core.noise.whitening import Whitener
from qpi_core.solvers.harmonic.equations.basis import MapSamples
from qpi_core.solvers.harmonic.equations.evidence import low_rank_factor
from qpi_core.solvers.harmonic.equations.normal_equations import StoredDesign
from qpi_core.solvers.harmonic.orders.selection import log_evidence, select_orders
from qpi_core.solvers.harmonic.orders.significant_orders import is_explained
from qpi_core.solvers.harmonic.problem import HarmonicProblem
from qpi_core.solvers.harmonic.search import Fit
from qpi_core.solvers.harmonic.start import HarmonicStart
from qpi_core.solvers.measured.all_pixels import on_all_pixels, residual_of, without_outliers
from qpi_core.solvers.measured.defect_effects import core_columns, may_be_unequal, strength_columns
from qpi_core.solvers.measured.noisy_start import CORES, LATTICE, STEP, STRENGTHS, WAVES, Effects, NoisyStart

Array = NDArray[np.float64]

GENEROUS = StationaryParameters(background=10.0, background_length=12.0, rows=0.3, streaks=0.3, streak_length=6.0)
"""Before anything is known long waves and whole rows are not trusted."""
_ROUNDS = 6
_SETTLED = 0.5
_KERNEL_RANK = 1e-5
_START_SPREAD, _STEP_SHARE = 0.3, 0.1
_STRONG_WAVE = 0.3
"""Amplitude in units of the map's standard deviation that a lattice has and the speckle of a wrong list has not."""
_LEAST_MEAN = 0.2
"""Mean strength, in units of the mean size, below which the sign of a kernel is a matter of taste and the size is kept."""


def find_noise(
    problem: HarmonicProblem,
    positions: Array,
    weights: Array,
    begun: HarmonicStart,
    options: SelectionOptions | None = None,
    unequal: bool = True,
    known: NoisyStart | None = None,
) -> NoisyStart | None:
    """Return the first stage under the noise model that the map asks for; None where white noise explains it.

    Args:
        problem: the map.
        positions, weights: its defects.
        begun: the first stage under white noise.
        options: numbers of the choice.
        unequal: the defects may have strengths and cores of their own, and a step may run through the map.
        known: the answer for another list of the same map, to begin with.
    """
    chosen = options or SelectionOptions()
    if begun.stretch is not None or not may_be_modelled(np.isfinite(problem.values)) or is_explained(begun.selection.best, begun.floor):
        return None
    given, begun = problem, on_all_pixels(problem, positions, weights, begun)
    problem, begun = without_outliers(problem, positions, weights, begun)
    spiky = problem is not given
    search = _Search(problem, positions, weights, begun, chosen, unequal)
    asked = min(search.tested().values()) < chosen.probability
    found = search.run(known) if asked else None
    return search.white() if found is None and spiky else found


def chances_of_white_noise(problem: HarmonicProblem, positions: Array, weights: Array, begun: HarmonicStart) -> dict[str, float]:
    """Return how probable white noise makes what the first stage leaves, term by term; empty where it leaves nothing to look at."""
    if begun.stretch is not None or not may_be_modelled(np.isfinite(problem.values)) or is_explained(begun.selection.best, begun.floor):
        return {}
    search = _Search(problem, positions, weights, on_all_pixels(problem, positions, weights, begun), SelectionOptions(), True)
    found = search.tested()
    strongest = max((wave.amplitude for wave in search.waves), default=0.0)
    return {**found, LATTICE: 0.0 if strongest > _STRONG_WAVE * float(np.nanstd(problem.values)) else 1.0}


class _Search:
    """The alternation, with what stays the same during it."""

    def __init__(
        self, problem: HarmonicProblem, positions: Array, weights: Array, begun: HarmonicStart, options: SelectionOptions, unequal: bool
    ) -> None:
        self.problem, self.begun, self.options = problem, begun, options
        self.whole, self.unequal = unequal, unequal and may_be_unequal(len(positions))
        values = problem.values
        self.measured = np.isfinite(values)
        self.given = weights
        self.positions = positions
        self.waves: tuple[LatticeWave, ...] = ()
        self.step: StepLine | None = None
        self.model = MixedModel(values.astype(np.float64), (), begun.aspect, begun.floor)
        self.raw, self.samples = begun.design, begun.samples
        self.rows, self.columns = begun.frame.indices(self.samples)

    def tested(self) -> dict[str, float]:
        """Look for lattice waves and return how probable white noise is, term by term; any wave counts as beyond chance."""
        key = ("white noise", self.options, self.unequal)
        self.waves, found = self.begun.remembered(key, lambda: (self._waves_of_the_map(), self._chances()))
        return {**found, WAVES: 0.0 if self.waves else 1.0}

    def _waves_of_the_map(self) -> tuple[LatticeWave, ...]:
        """Return the map's own waves where what the fit under white noise leaves has some: the kernel has taken its share of them."""
        if not find_lattice_waves(residual_of(self.problem.values, self.begun)):
            return ()
        return find_lattice_waves(np.where(self.measured, self.problem.values, np.nan).astype(np.float64))

    def _chances(self) -> dict[str, float]:
        """Return the probability that the score test of every term gives white noise, for the fit under white noise."""
        fit = self.begun.selection.best
        residual = self._image(self.raw.residual(fit.hyperparameters.orders, fit.evidence.profiles)[:, None])[..., 0]
        found = score_white_noise(self.model, residual, fit.evidence.variance, self.options)
        if self.unequal:
            white = StationaryParameters()
            model = replace(self.model, groups=(self._kernel_columns(fit),))
            for name, columns in self._defect_groups(fit).items():
                found[name] = score_group(model, white, (1.0,), columns)
        return found

    def white(self) -> NoisyStart:
        """Return the first stage under white noise, on the map without its outliers."""
        fit, parameters = self.begun.selection.best, StationaryParameters()
        model = replace(self.model, groups=(self._kernel_columns(fit),))
        noise = NoiseFit(parameters, (1.0,), evaluate_components(model, parameters, (1.0,)), 1)
        evidence = log_evidence(fit, self.model.pixels)
        return NoisyStart(self.problem.values, self.begun, noise, Effects((), ()), (), evidence, evidence, self.given)

    def run(self, known: NoisyStart | None = None) -> NoisyStart | None:
        """Return the best first stage; None where white noise is as good."""
        best = self._settled(self._first() if known is None else self._like(known), known is not None)
        if self.whole and self.step is None and best.start.whitener is not None:
            left = self._image(self.raw.residual(*_kernel_of(best))[:, None])[..., 0]
            self.step = find_step(best.start.whitener, left, self.measured)
            if self.step is not None:
                with_step = self._settled(self._improved(best, False), False)
                best = max(best, with_step, key=lambda stage: stage.evidence)
        nothing = best.noise.parameters.white and not any(best.noise.strengths[1:])
        return best if not nothing and best.evidence > best.white else None

    def _settled(self, best: NoisyStart, revived: bool) -> NoisyStart:
        """Return the stage after as many rounds as raise its evidence."""
        for number in range(_ROUNDS):
            found = self._improved(best, revived and number == 0)
            if found.evidence < best.evidence + _SETTLED:
                break
            best = found
        return best

    def _like(self, known: NoisyStart) -> NoisyStart:
        """Return the stage with the background and the lattice that go with another list."""
        self.waves, self.step = known.waves or self.waves, known.step
        lattice = self._lattice()
        strengths = tuple(known.strength(LATTICE) or self._wide(lattice)[0] for _ in lattice.names)
        return self._start(replace(known.noise, strengths=(1.0, *strengths)), lattice)

    def _first(self) -> NoisyStart:
        """Return the stage under the better of two noise models: for the kernel of white noise, and for one that distrusts long waves."""
        lattice = self._lattice()
        kernels = [self.begun.selection.best, self._solved(GENEROUS, lattice, self._wide(lattice)).selection.best]
        tried = [self._noise(kernel, GENEROUS, lattice, self._wide(lattice)) for kernel in kernels]
        return self._start(max(tried, key=lambda fit: fit.worth(self.model.pixels)), lattice)

    def _improved(self, best: NoisyStart, revived: bool) -> NoisyStart:
        """Return the stage after one more round: the noise model for its kernel, then the kernel for that noise model.

        With revived the terms that were not there are tried once more.
        """
        fit = best.start.selection.best
        self._look_again(fit)
        strengths = {name: best.strength(name) for name in best.effects.names}
        groups = dict(zip(self._lattice().names, self._lattice().columns, strict=True))
        if self.step is not None:
            groups[STEP] = self.step.columns((self.measured.shape[0], self.measured.shape[1]))
        if self.unequal:
            own = self._defect_groups(fit)
            kernel = self._kernel_columns(fit)
            known = [name for name in (LATTICE, STEP, STRENGTHS, CORES) if strengths.get(name, 0.0) > 0]
            model = replace(self.model, groups=(kernel, *((groups | own)[name] for name in known)))
            for name, columns in own.items():
                if name not in known:
                    chance = score_group(model, best.noise.parameters, (1.0, *(strengths[k] for k in known)), columns)
                    if chance >= self.options.probability:
                        continue
                    strengths[name] = self._first_strength(name, fit)
                groups[name] = columns
        effects = Effects(tuple(groups), tuple(groups.values()))
        started = tuple(strengths.get(name, 0.0) or self._first_strength(name, fit) for name in effects.names)
        parameters = best.noise.parameters if not best.noise.parameters.white else GENEROUS
        if revived:
            absent = [needed for needed in TERMS.values() if getattr(parameters, needed[0]) == 0]
            parameters = replace(parameters, **{name: getattr(GENEROUS, name) for needed in absent for name in needed})
        noise = self._noise(fit, parameters, effects, started)
        if STRENGTHS in effects.names:
            self._reweigh(noise, effects)
        return self._start(noise, effects)

    def _look_again(self, fit: Fit) -> None:
        """Find the waves of the lattice again, in the map without the kernel's part: weak ones show, and wave vectors are sharper."""
        left = self._image(self.raw.residual(fit.hyperparameters.orders, fit.evidence.profiles)[:, None])[..., 0]
        self.waves = find_lattice_waves(np.where(self.measured, left, np.nan)) or self.waves

    def _reweigh(self, noise: NoiseFit, effects: Effects) -> None:
        """Give the defects the strengths that the model finds most probable, and make the design afresh."""
        index = effects.names.index(STRENGTHS)
        if noise.strengths[1 + index] == 0:
            return
        change, now = noise.components.effects[1 + index], self.samples.weights
        # The columns leave out the common factor, which is the kernel's: along the weights in use everything stays.
        weights = self.given + change + now * float(now @ (now - self.given - change)) / float(now @ now)
        self.samples = replace(self.samples, weights=_on_the_scale_of(weights, self.given))

    def _first_strength(self, name: str, fit: Fit) -> float:
        """Return v_g where a search begins: a spread of 0.3 of the strengths, cores as strong as the noise."""
        if name == STRENGTHS:
            return _START_SPREAD**2 / fit.evidence.variance
        if name == LATTICE:
            return self._wide(self._lattice())[0]
        if name == STEP:
            return _STEP_SHARE * float(np.nanvar(self.model.values)) / fit.evidence.variance
        return 1.0

    def _lattice(self) -> Effects:
        if not self.waves:
            return Effects((), ())
        shape = (self.measured.shape[0], self.measured.shape[1])
        return Effects((LATTICE,), (np.concatenate([wave.columns(shape) for wave in self.waves], axis=2),))

    def _wide(self, lattice: Effects) -> tuple[float, ...]:
        """Return a generous strength of the lattice group: the strongest wave's own."""
        strongest = max((wave.amplitude for wave in self.waves), default=0.0)
        return tuple(strongest**2 / self.begun.selection.best.evidence.variance for _ in lattice.names)

    def _noise(self, kernel: Fit, start: StationaryParameters, effects: Effects, strengths: tuple[float, ...]) -> NoiseFit:
        model = replace(self._shifted(effects), groups=(self._kernel_columns(kernel), *effects.columns))
        return fit_components(model, start, (1.0, *strengths), self.options)

    def _shifted(self, effects: Effects) -> MixedModel:
        """Return the model for the weights in use: their deviations from the given ones are random effects of mean zero."""
        if STRENGTHS not in effects.names:
            return self.model
        columns = effects.columns[effects.names.index(STRENGTHS)]
        return replace(self.model, values=self.model.values + columns @ (self.samples.weights - self.given))

    def _kernel_columns(self, fit: Fit) -> Array:
        """Return the map's patterns, (height, width, k), that the kernel's prior allows."""
        point = fit.hyperparameters
        factor = low_rank_factor(point.radial.covariance(self.begun.splines.nodes), _KERNEL_RANK)
        self.raw.add_orders(point.orders)
        return self._image(self.raw.prior_columns(point.orders, point.mixing(), factor))

    def _defect_groups(self, fit: Fit) -> dict[str, Array]:
        strengths = strength_columns(self.samples, self.begun.splines, fit)
        return {STRENGTHS: self._image(strengths), CORES: self._image(core_columns(self.samples))}

    def _image(self, rows: Array) -> Array:
        image = np.zeros((*self.measured.shape, rows.shape[1]))
        image[self.rows, self.columns] = rows
        return image

    def _design(self, samples: MapSamples) -> StoredDesign:
        return StoredDesign(samples, self.begun.splines, tuple(sorted({0, *self.problem.symmetry_orders})))

    def _start(self, noise: NoiseFit, effects: Effects) -> NoisyStart:
        shifted = self._shifted(effects).values[self.rows, self.columns]
        self.raw = self._design(replace(self.samples, values=shifted))
        start = self._solved(noise.parameters, effects, noise.strengths[1:])
        assert start.whitener is not None
        # The place of a step are two more numbers.
        own = noise.searched - 1 + (2 if STEP in effects.names else 0)
        price = 0.5 * own * float(np.log(self.model.pixels))
        evidence = log_evidence(start.selection.best, self.model.pixels) - 0.5 * start.whitener.log_determinant - price
        white = log_evidence(self.begun.selection.best, self.model.pixels)
        return NoisyStart(self.problem.values, start, noise, effects, self.waves, evidence, white, self.given, self.step)

    def _solved(self, parameters: StationaryParameters, effects: Effects, strengths: tuple[float, ...]) -> HarmonicStart:
        """Return the first stage of the whitened problem."""
        columns = [np.sqrt(v) * group for v, group in zip(strengths, effects.columns, strict=True) if v > 0]
        whitener = Whitener(self.measured, parameters, columns, self.begun.aspect)
        design = self.raw.whitened(whitener, self.rows, self.columns)
        selection = select_orders(design, self.begun.splines.nodes, self.problem.symmetry_orders, self.begun.floor)
        return replace(self.begun, samples=self.samples, design=design, selection=selection, whitener=whitener)


def _kernel_of(stage: NoisyStart) -> tuple[tuple[int, ...], Array]:
    """Return the orders and the profiles of a stage's kernel."""
    fit = stage.start.selection.best
    return fit.hyperparameters.orders, fit.evidence.profiles


def _on_the_scale_of(weights: Array, given: Array) -> Array:
    """Return weights times the factor that keeps their mean, weighted with the given ones; their size where the signs cancel."""
    projection, size = float(weights @ given), float(np.abs(weights) @ np.abs(given))
    kept = projection if projection > _LEAST_MEAN * size else size
    return weights * (float(given @ given) / max(kept, 1e-300))
