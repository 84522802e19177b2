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
from typing import Generic

import numpy as np
from numpy.typing import NDArray

from qpi_core.noise.components import MixedModel, evaluate_components, score_group
from qpi_core.noise.lattice_waves import LatticeWave, find_lattice_waves
from qpi_core.noise.row_drift import drift_columns, drift_variance
from qpi_core.noise.selection import TERMS, NoiseFit, SelectionOptions, fit_components, score_white_noise
from qpi_core.noise.stationary import StationaryParameters
from qpi_core.noise.step_line import StepLine, find_step
from qpi_core.noise.whitening import Whitener
from qpi_core.solvers.measured.noise_model.kernel_part import KernelPart, Stage
from qpi_core.solvers.measured.noise_model.noisy_start import (
    CORES,
    DRIFT,
    LATTICE,
    OF_THE_DESIGN,
    PLACES,
    STEP,
    STRENGTHS,
    WAVES,
    Effects,
    NoisyStage,
)
from qpi_core.solvers.positions.catalogue.repair import DECISIVE

Array = NDArray[np.float64]

GENEROUS = StationaryParameters(background=10.0, background_length=12.0, rows=0.3, streaks=0.3, streak_length=6.0)
"""Before anything is known long waves and whole rows are not trusted."""
_ROUNDS = 6
_SETTLED = 0.5
_START_SPREAD, _START_MOVE, _STEP_SHARE = 0.3, 0.3, 0.1
_LEAST_SPREAD = 0.1
"""Deviation of the places, in the solver's units, below which they are taken as listed: whatever else is wrong moves them by as much."""


class NoiseSearch(Generic[Stage]):
    """The alternation, with what stays the same during it."""

    def __init__(
        self,
        values: NDArray[np.float32],
        kernels: KernelPart[Stage],
        options: SelectionOptions,
        unequal: bool = True,
        movable: bool = False,
    ) -> None:
        """Begin with the kernels under white noise.

        Args:
            values: (height, width) the map, NaN where not measured.
            kernels: its kernels.
            options: numbers of the choice.
            unequal: the defects may have strengths and cores of their own, and a step may run through the map.
            movable: the listed places may be off.
        """
        self.movable, self._moving = movable, False
        self.values, self.kernels, self.options, self.unequal = values, kernels, options, unequal
        self.measured = np.isfinite(values)
        self.waves: tuple[LatticeWave, ...] = ()
        self.step: StepLine | None = None
        self.model = MixedModel(values.astype(np.float64), (), kernels.aspect, kernels.floor)
        self._drift = drift_columns((values.shape[0], values.shape[1]))

    def tested(self) -> dict[str, float]:
        """Look for lattice waves and return how probable white noise is, term by term; any wave counts as beyond chance."""
        self.look_for_waves()
        return {**self._chances(), WAVES: 0.0 if self.waves else 1.0}

    def look_for_waves(self) -> None:
        """Look for lattice waves in what the fit under white noise leaves, and then in the map itself."""
        if find_lattice_waves(np.where(self.measured, self.kernels.left(self.kernels.white), np.nan)):
            # The kernel has taken its share of a wave there; the map has all of it.
            self.waves = find_lattice_waves(np.where(self.measured, self.values, np.nan).astype(np.float64))

    def _chances(self) -> dict[str, float]:
        """Return the probability that the score test of every term gives white noise, for the fit under white noise."""
        stage = self.kernels.white
        found = score_white_noise(self.model, self.kernels.left(stage), stage.variance, self.options)
        own = self.kernels.defect_groups(stage) if self.unequal else {}
        if own:
            white = StationaryParameters()
            model = replace(self.model, groups=(self.kernels.columns(stage),))
            for name, columns in own.items():
                found[name] = score_group(model, white, (1.0,), columns)
        return found

    def white(self) -> NoisyStage[Stage]:
        """Return the first stage under white noise, on the map without its outliers."""
        stage, parameters = self.kernels.white, StationaryParameters()
        model = replace(self.model, groups=(self.kernels.columns(stage),))
        noise = NoiseFit(parameters, (1.0,), evaluate_components(model, parameters, (1.0,)), 1)
        evidence = stage.log_evidence(self.model.pixels)
        return NoisyStage(self.values, stage, noise, Effects((), ()), (), evidence, evidence, self.kernels.given)

    def run(self, known: NoisyStage[Stage] | None = None) -> NoisyStage[Stage] | None:
        """Return the best first stage; None where white noise is as good."""
        best = self._settled(self._first() if known is None else self._like(known), known is not None)
        if self.unequal and self.step is None and best.start.whitener is not None:
            self.step = find_step(best.start.whitener, self.kernels.left(best.start), self.measured)
            if self.step is not None:
                with_step = self._settled(self._improved(best, False), False)
                best = max(best, with_step, key=lambda stage: stage.evidence)
        best = self._moved(best) if self.movable and best.strength(PLACES) == 0 else best
        nothing = best.noise.parameters.white and not any(best.noise.strengths[1:])
        return best if not nothing and best.evidence > best.white else None

    def _moved(self, best: NoisyStage[Stage]) -> NoisyStage[Stage]:
        """Return the stage with other places than those of the list, where the map clearly asks for them."""
        columns = self.kernels.place_columns(best.start)
        if columns is None:
            return best
        model, strengths = self._mixed(best.start, best.effects), (1.0, *best.noise.strengths[1:])
        if score_group(model, best.noise.parameters, strengths, columns) >= self.options.probability:
            return best
        self._moving = True
        found = self._settled(self._improved(best, False), False)
        gain, spread = found.evidence - best.evidence, np.sqrt(found.strength(PLACES) * found.start.variance)
        return replace(found, moving_gain=gain) if spread > _LEAST_SPREAD and gain > DECISIVE else best

    def _settled(self, best: NoisyStage[Stage], revived: bool) -> NoisyStage[Stage]:
        """Return the stage after as many rounds as raise its evidence."""
        for number in range(_ROUNDS):
            found = self._improved(best, revived and number == 0)
            if found.evidence < best.evidence + _SETTLED:
                break
            best = found
        return best

    def _like(self, known: NoisyStage[Stage]) -> NoisyStage[Stage]:
        """Return the stage with the background, the drift and the lattice that go with another list."""
        self.waves, self.step = known.waves or self.waves, known.step
        effects = self._structures(known.strength(DRIFT) > 0)
        if self.movable and known.moves is not None:
            self._moving = True
            self.kernels.move(known.moves)
            effects = self._with_places(effects, self.kernels.white)
        strengths = tuple(known.strength(name) or self._first_strength(name, self.kernels.white) for name in effects.names)
        return self._start(replace(known.noise, strengths=(1.0, *strengths)), effects)

    def _first(self) -> NoisyStage[Stage]:
        """Return the stage under the noise model for the better of two kernels: that of white noise, and one that distrusts long waves.

        Which one that is shows before the strengths are searched for (measured, seed 8901: in 31 of 32 maps of eleven kinds, by 1 to 4,000
        in log likelihood there and about as much at the optimum; in the other one both ended within 0.5).
        """
        white = self.kernels.white
        model = replace(self.model, groups=(self.kernels.columns(white),))
        drifts = score_group(model, StationaryParameters(), (1.0,), self._drift) < self.options.probability
        effects = self._structures(drifts)
        strengths = tuple(self._first_strength(name, white) for name in effects.names)
        stages = [white, self._solved(GENEROUS, effects, strengths)]
        cost = {k: evaluate_components(self._mixed(stage, effects), GENEROUS, (1.0, *strengths)).cost for k, stage in enumerate(stages)}
        return self._start(self._noise(stages[min(cost, key=cost.__getitem__)], GENEROUS, effects, strengths), effects)

    def _improved(self, best: NoisyStage[Stage], revived: bool) -> NoisyStage[Stage]:
        """Return the stage after one more round: the noise model for its kernel, then the kernel for that noise model.

        With revived the terms that were not there are tried once more.
        """
        stage = best.start
        self._look_again(stage)
        strengths = {name: best.strength(name) for name in best.effects.names}
        lattice = self._structures(False)
        groups = dict(zip(lattice.names, lattice.columns, strict=True))
        if self.step is not None:
            groups[STEP] = self.step.columns((self.measured.shape[0], self.measured.shape[1]))
        own = {DRIFT: self._drift} | (self.kernels.defect_groups(stage) if self.unequal else {})
        if self._moving and (places := self.kernels.place_columns(stage)) is not None:
            groups[PLACES] = places
            strengths[PLACES] = best.strength(PLACES) or self._first_strength(PLACES, stage)
        known = [name for name in (LATTICE, STEP, PLACES, DRIFT, STRENGTHS, CORES) if strengths.get(name, 0.0) > 0]
        model = replace(self.model, groups=(self.kernels.columns(stage), *((groups | own)[name] for name in known)))
        for name, columns in own.items():
            if name not in known:
                chance = score_group(model, best.noise.parameters, (1.0, *(strengths[k] for k in known)), columns)
                if chance >= self.options.probability:
                    continue
                strengths[name] = self._first_strength(name, stage)
            groups[name] = columns
        effects = Effects(tuple(groups), tuple(groups.values()))
        started = tuple(strengths.get(name, 0.0) or self._first_strength(name, stage) for name in effects.names)
        parameters = best.noise.parameters if not best.noise.parameters.white else GENEROUS
        if revived:
            absent = [needed for needed in TERMS.values() if getattr(parameters, needed[0]) == 0]
            parameters = replace(parameters, **{name: getattr(GENEROUS, name) for needed in absent for name in needed})
        noise = self._noise(stage, parameters, effects, started)
        self._follow(noise, effects)
        return self._start(noise, self._with_places(effects, stage) if PLACES in effects.names else effects)

    def _look_again(self, stage: Stage) -> None:
        """Find the waves of the lattice again, in the map without the kernel's part: weak ones show, and wave vectors are sharper."""
        self.waves = find_lattice_waves(np.where(self.measured, self.kernels.left(stage), np.nan)) or self.waves

    def _follow(self, noise: NoiseFit, effects: Effects) -> None:
        """Give the defects the strengths and places that the model finds most probable; those of the list where they have no spread."""
        found = {name: k for k, name in enumerate(effects.names, start=1) if noise.strengths[k] > 0}
        for name in OF_THE_DESIGN:
            if name in found:
                self.kernels.follow(name, noise.components.effects[found[name]])
            else:
                self.kernels.use_listed(name)

    def _with_places(self, effects: Effects, stage: Stage) -> Effects:
        """Return the effects with the map's dependence on the places as they are in use now."""
        columns, groups = self.kernels.place_columns(stage), dict(zip(effects.names, effects.columns, strict=True))
        if columns is not None:
            groups[PLACES] = columns
        return Effects(tuple(groups), tuple(groups.values()))

    def _first_strength(self, name: str, stage: Stage) -> float:
        """Return v_g where a search begins: a spread of 0.3 of the strengths, cores as strong as the noise."""
        if name == STRENGTHS:
            return _START_SPREAD**2 / stage.variance
        if name == LATTICE:
            # Generous: the strongest wave's own.
            return max(wave.amplitude for wave in self.waves) ** 2 / self.kernels.white.variance
        if name == PLACES:
            return _START_MOVE**2 / stage.variance
        if name in (STEP, DRIFT):
            unit = drift_variance(self.measured.shape[0]) if name == DRIFT else 1.0
            return _STEP_SHARE * float(np.nanvar(self.model.values)) / (unit * stage.variance)
        return 1.0

    def _structures(self, drifts: bool) -> Effects:
        """Return what runs through the whole map: the lattice where there is one, and the drift of the lines where that is wanted."""
        shape = (self.measured.shape[0], self.measured.shape[1])
        waves = {LATTICE: np.concatenate([wave.columns(shape) for wave in self.waves], axis=2)} if self.waves else {}
        found = waves | ({DRIFT: self._drift} if drifts else {})
        return Effects(tuple(found), tuple(found.values()))

    def _noise(self, stage: Stage, start: StationaryParameters, effects: Effects, strengths: tuple[float, ...]) -> NoiseFit:
        return fit_components(self._mixed(stage, effects), start, (1.0, *strengths), self.options)

    def _mixed(self, stage: Stage, effects: Effects) -> MixedModel:
        """Return the map with the kernels of a stage and the effects as groups."""
        return replace(self._shifted(effects), groups=(self.kernels.columns(stage), *effects.columns))

    def _shifted(self, effects: Effects) -> MixedModel:
        """Return the model for the strengths and places in use: their deviations from the list are random effects of mean zero."""
        values = self.model.values
        for name, columns in zip(effects.names, effects.columns, strict=True):
            if name in OF_THE_DESIGN:
                values = values + columns @ self.kernels.deviations(name)
        return replace(self.model, values=values)

    def _start(self, noise: NoiseFit, effects: Effects) -> NoisyStage[Stage]:
        self.kernels.take(self._shifted(effects).values)
        start = self._solved(noise.parameters, effects, noise.strengths[1:])
        assert start.whitener is not None
        # The place of a step are two more numbers.
        own = noise.searched - 1 + (2 if STEP in effects.names else 0)
        price = 0.5 * own * float(np.log(self.model.pixels))
        evidence = start.log_evidence(self.model.pixels) - 0.5 * start.whitener.log_determinant - price
        white = self.kernels.white.log_evidence(self.model.pixels)
        return NoisyStage(
            self.values, start, noise, effects, self.waves, evidence, white, self.kernels.given, self.step, self.kernels.moves
        )

    def _solved(self, parameters: StationaryParameters, effects: Effects, strengths: tuple[float, ...]) -> Stage:
        """Return the kernels of the whitened problem."""
        columns = [np.sqrt(v) * group for v, group in zip(strengths, effects.columns, strict=True) if v > 0]
        return self.kernels.solved(Whitener(self.measured, parameters, columns, self.kernels.aspect))
