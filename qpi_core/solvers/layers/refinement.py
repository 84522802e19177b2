"""Positions and amplitudes of the defects of a stack, by several of its layers together.

Every layer shows the same defects, so what the layers say about a position adds up: the information of a Gauss-Newton step is the sum
over the layers, and so is the log likelihood of another valley of the misfit. Kernels and defects are solved in turn as for one map
(see positions.refinement); with several classes, each one in turn on what the kernels of the others leave.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from qpi_core.runtime.progress import Progress, no_progress
from qpi_core.solvers.harmonic.joint.start import DefectClass
from qpi_core.solvers.layers.one_layer.layer_models import LayerModels
from qpi_core.solvers.layers.pilots import choose_pilots
from qpi_core.solvers.layers.problem import AT_ONCE, StackProblem
from qpi_core.solvers.positions.jacobian import Sensitivities, sensitivities
from qpi_core.solvers.positions.local_minima import Misfit, ValleySearch
from qpi_core.solvers.positions.refinement import DefectPrior, gauss_newton_step

Array = NDArray[np.float64]

LAYERS = 5
"""Layers that take part, spread over the energies: what each of them adds falls with the root of their number, its time does not."""
_ROUNDS = 16
_RESELECT_AFTER = 4
_SEARCH_IN = (1, 3, 5, 8)
_SETTLED_PX = 0.01


@dataclass(frozen=True)
class RefinedList:
    """The defects after refinement.

    Attributes:
        classes: with the positions and amplitudes that the layers support best.
        moved_px: (n,) how far each defect moved, class after class.
        deviation_px: (n,) one standard deviation of a position in each direction, the kernels as they are.
        layers: which took part.
    """

    classes: tuple[DefectClass, ...]
    moved_px: Array
    deviation_px: Array
    layers: tuple[int, ...]


def refine_over_layers(
    problem: StackProblem,
    layers: Sequence[int],
    sigma_px: float,
    move: bool,
    resize: bool,
    report: Progress = no_progress,
) -> RefinedList:
    """Return the list that the layers support best.

    Args:
        problem: checked.
        layers: those that hold something, out of which some are chosen.
        sigma_px: standard deviation of the clicks in each direction.
        move, resize: positions are free; amplitudes are free.
        report: called before each round; what it raises stops the work.
    """
    rounds = _LayerRounds(problem, choose_pilots(layers, LAYERS), sigma_px, move, resize)
    classes, deviation = rounds.run(report)
    moved = np.concatenate([np.hypot(*(new.positions - old.positions).T) for new, old in zip(classes, problem.classes, strict=True)])
    return RefinedList(classes, moved, deviation, rounds.layers)


@dataclass
class _LayerRounds:
    """The alternation: models of every class and layer, and the defects."""

    problem: StackProblem
    layers: tuple[int, ...]
    sigma: float
    move: bool
    resize: bool

    def __post_init__(self) -> None:
        """Begin with the defects as given, and no kernel."""
        self.state = LayerModels(self.problem, self.layers)

    def run(self, report: Progress) -> tuple[tuple[DefectClass, ...], Array]:
        """Return the classes with their defects moved, and the deviation of each position."""
        state, classes = self.state, self.state.classes
        report(0.0, "Looking for the kernels of some layers, to move the defects by")
        state.choose()
        deviations = [np.full(len(one.positions), self.sigma) for one in classes]
        pace = [np.ones(len(one.positions)) for one in classes]
        last = [np.zeros_like(one.positions) for one in classes]
        for attempt in range(_ROUNDS):
            words = f"Moving the defects by {len(self.layers)} layers together, round {attempt + 1} of at most {_ROUNDS}"
            report(attempt / _ROUNDS, words)
            furthest = 0.0
            for index, one in enumerate(classes):
                telling = state.telling(index)
                if not telling:
                    continue
                points, weights, deviations[index] = self._step(index, telling, attempt in _SEARCH_IN)
                moved = points - one.positions
                # Two defects that share one spot push each other to and fro: whoever turns back walks half as far from then on.
                back = np.sum(moved * last[index], axis=1) < 0
                pace[index] = np.where(back, 0.5 * pace[index], np.minimum(1.0, 1.5 * pace[index]))
                last[index] = pace[index][:, None] * moved
                furthest = max(furthest, float(np.abs(last[index]).max()))
                classes[index] = replace(one, positions=one.positions + last[index], weights=weights)
                state.solve(index, select=attempt == _RESELECT_AFTER, extended=True)
            if attempt > _RESELECT_AFTER and furthest < _SETTLED_PX:
                break
        return tuple(classes), np.concatenate(deviations)

    def _step(self, index: int, layers: Sequence[int], search: bool) -> tuple[Array, Array, Array]:
        """Return positions, amplitudes and the positions' deviations after one step, or after moves to better valleys."""
        one, given, models = self.state.classes[index], self.problem.classes[index], self.state.models
        rests = {layer: self.state.rest(index, layer) for layer in layers}

        def seen(layer: int) -> Sensitivities:
            return sensitivities(rests[layer], models[index, layer], one.positions, one.weights)

        with ThreadPoolExecutor(AT_ONCE) as pool:
            systems = list(pool.map(seen, layers))
        deviation = self._deviation(systems, len(one.positions))
        if search and self.move:
            pairs = zip(layers, systems, strict=True)
            misfits = tuple(Misfit(rests[k], models[index, k], one.positions, one.weights, s.variance) for k, s in pairs)
            found = ValleySearch(misfits, given.positions, self.sigma).moved()
            if not np.array_equal(found, one.positions):
                return found, one.weights, deviation
        prior = DefectPrior(given.positions, given.weights, self.sigma, self.move, self.resize)
        shape = (self.problem.stack.shape[1], self.problem.stack.shape[2])
        return *gauss_newton_step(systems, prior, one.positions, one.weights, shape), deviation

    def _deviation(self, systems: Sequence[Sensitivities], count: int) -> Array:
        places = slice(0, 2 * count)
        information = sum((one.information[places, places] / one.variance for one in systems), start=np.eye(2 * count) / self.sigma**2)
        return np.asarray(np.sqrt(np.linalg.inv(information).diagonal().reshape(2, count).mean(axis=0)))
