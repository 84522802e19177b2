"""Positions and amplitudes of the defects of a stack, by several of its layers together.

Every layer shows the same defects, so what the layers say about a position adds up: the information of a Gauss-Newton step is the sum
over the layers, and so is the log likelihood of another valley of the misfit. Kernels and defects are solved in turn as for one map
(see positions.refinement), the kernels of all classes together (see one_layer.models_together), the defects of one class after the other.
A few layers find the way; in the end all of them say where exactly the defects are.
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
from qpi_core.solvers.positions.jacobian import KERNEL_PIXELS, Sensitivities, sensitivities
from qpi_core.solvers.positions.local_minima import Misfit, ValleySearch
from qpi_core.solvers.positions.refinement import DefectPrior, gauss_newton_step

Array = NDArray[np.float64]

LAYERS, MOST_LAYERS = 5, 25
"""Layers that take part at first, when much has to be tried, and in the end, when the places are nearly right; spread over the energies."""
_ROUNDS, _LAST_ROUNDS = 16, 3
_RESELECT_AFTER = (4, 7)
"""Rounds after which angular orders are chosen anew, in the later one of classes that had no evidence for another shape by then: the first
class to be asked is asked while the pattern of the others is still blurred."""
_SEARCH_IN = (1, 3, 5, 8)
_NEARLY_SETTLED_PX, _SETTLED_PX = 0.05, 0.01
"""Moves of a round at which all layers take over from a few (nine of ten defects), and at which places have settled (all of them)."""


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
    rounds = _LayerRounds(problem, choose_pilots(layers, LAYERS), choose_pilots(layers, MOST_LAYERS), sigma_px, move, resize)
    classes, deviation = rounds.run(report)
    moved = np.concatenate([np.hypot(*(new.positions - old.positions).T) for new, old in zip(classes, problem.classes, strict=True)])
    return RefinedList(classes, moved, deviation, rounds.state.layers)


@dataclass
class _LayerRounds:
    """The alternation: models of every class and layer, and the defects."""

    problem: StackProblem
    layers: tuple[int, ...]
    every: tuple[int, ...]
    sigma: float
    move: bool
    resize: bool

    def __post_init__(self) -> None:
        """Begin with the defects as given, and no kernel."""
        self.state = LayerModels(self.problem, self.layers)
        self._deviations = [np.full(len(one.positions), self.sigma) for one in self.problem.classes]
        self._pace = [np.ones(len(one.positions)) for one in self.problem.classes]
        self._last = [np.zeros_like(one.positions) for one in self.problem.classes]

    def run(self, report: Progress) -> tuple[tuple[DefectClass, ...], Array]:
        """Return the classes with their defects moved, and the deviation of each position."""
        state = self.state
        report(0.0, "Looking for the kernels of some layers, to move the defects by")
        state.choose()
        more = len(self.every) > len(state.layers) or self.problem.stack[0].size > KERNEL_PIXELS
        for attempt in range(_ROUNDS):
            self._say(report, attempt)
            moves = self._round(attempt in _SEARCH_IN, attempt in _RESELECT_AFTER)
            nearly = more and attempt > _RESELECT_AFTER[-1] and np.quantile(moves, 0.9) < _NEARLY_SETTLED_PX
            settled = attempt > _RESELECT_AFTER[0] and moves.max() < _SETTLED_PX
            # Of defects in the wrong places a kernel seems to have orders that it has not, and lacks weak ones.
            if (nearly or settled) and not (more and self._new_shapes()):
                break
        else:
            if more:
                self._new_shapes()
        if more:
            state.layers = self.every
            state.solve_together(most=None)
            for attempt in range(_LAST_ROUNDS):
                self._say(report, _ROUNDS + attempt)
                if self._round(search=False, select=False, most=None).max() < _SETTLED_PX:
                    break
        return tuple(state.classes), np.concatenate(self._deviations)

    def _new_shapes(self) -> bool:
        """Choose all orders anew, and say whether a class turned out to be of another shape than one symmetry."""
        before = set(self.state.extended)
        for index in range(len(self.state.classes)):
            self.state.solve(index, select=True, extended=True)
        return self.state.extended != before

    def _say(self, report: Progress, attempt: int) -> None:
        words = f"Moving the defects by {len(self.state.layers)} layers together, round {attempt + 1} of at most {_ROUNDS + _LAST_ROUNDS}"
        report(attempt / (_ROUNDS + _LAST_ROUNDS), words)

    def _round(self, search: bool, select: bool, most: int | None = KERNEL_PIXELS) -> Array:
        """Move the defects of every class, then solve for all kernels again; return the moves, (n,) in px.

        Args:
            search: look for better valleys of the misfit.
            select: choose the angular orders anew.
            most: pixels that the kernels are solved from at most; None is all.
        """
        state, selected, moves = self.state, 0, [np.zeros(1)]
        for index, one in enumerate(list(state.classes)):
            telling = state.telling(index)
            if not telling:
                continue
            points, weights, self._deviations[index] = self._step(index, telling, search)
            moved = points - one.positions
            # Two defects that share one spot push each other to and fro: whoever turns back walks half as far from then on.
            back = np.sum(moved * self._last[index], axis=1) < 0
            self._pace[index] = np.where(back, 0.5 * self._pace[index], np.minimum(1.0, 1.5 * self._pace[index]))
            self._last[index] = self._pace[index][:, None] * moved
            moves.append(np.abs(self._last[index]).max(axis=1))
            state.move(index, replace(one, positions=one.positions + self._last[index], weights=weights))
            if select and index not in state.extended:
                state.solve(index, select=True, extended=True)
                selected += 1
        if selected < len(state.classes):
            state.solve_together(most)
        return np.concatenate(moves)

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
