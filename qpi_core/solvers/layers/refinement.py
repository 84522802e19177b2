"""Positions and amplitudes of the defects of a stack, by several of its layers together.

Every layer shows the same defects, so what the layers say about a position adds up: the information of a Gauss-Newton step is the sum
over the layers, and so is the log likelihood of another valley of the misfit. Kernels and defects are solved in turn as for one map
(see positions.refinement); with several classes, each one in turn on what the kernels of the others leave.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from qpi_core.operators.reconstruction import reconstruct
from qpi_core.solvers.harmonic.joint import DefectClass
from qpi_core.solvers.harmonic.model import LEAST_GAIN, HarmonicModel, pattern_gain
from qpi_core.solvers.harmonic.posterior import Renderer
from qpi_core.solvers.harmonic.problem import HarmonicProblem
from qpi_core.solvers.layers.pilots import choose_pilots
from qpi_core.solvers.layers.problem import AT_ONCE, StackProblem
from qpi_core.solvers.positions.jacobian import Sensitivities, sensitivities, solve_again
from qpi_core.solvers.positions.local_minima import Misfit, ValleySearch
from qpi_core.solvers.positions.refinement import DefectPrior, gauss_newton_step

Array = NDArray[np.float64]

LAYERS = 5
"""Layers that take part, spread over the energies: what each of them adds falls with the root of their number, its time does not."""
_ROUNDS = 12
_RESELECT_AFTER = 4
_SEARCH_IN = (1, 3, 5)
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
    say: Callable[[str], None] = lambda message: None,
    stop: Callable[[], bool] = lambda: False,
) -> RefinedList:
    """Return the list that the layers support best.

    Args:
        problem: checked.
        layers: those that hold something, out of which some are chosen.
        sigma_px: standard deviation of the clicks in each direction.
        move, resize: positions are free; amplitudes are free.
        say: told before each round what is going on.
        stop: asked before each round; once it says True, the list as it is then is returned.
    """
    rounds = _LayerRounds(problem, choose_pilots(layers, LAYERS), sigma_px, move, resize)
    classes, deviation = rounds.run(say, stop)
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
        self.classes = list(self.problem.classes)
        self.models: dict[tuple[int, int], HarmonicModel] = {}
        self.patterns: dict[tuple[int, int], NDArray[np.float32]] = {}

    def run(self, say: Callable[[str], None], stop: Callable[[], bool]) -> tuple[tuple[DefectClass, ...], Array]:
        """Return the classes with their defects moved, and the deviation of each position."""
        count = len(self.classes)
        say("Looking for the kernels of some layers, to move the defects by")
        # Twice, because at first nothing is known of the other classes.
        for index in [*range(count), *(range(count) if count > 1 else ())]:
            self._solve(index, select=True)
        deviations = [np.full(len(one.positions), self.sigma) for one in self.classes]
        pace = [np.ones(len(one.positions)) for one in self.classes]
        last = [np.zeros_like(one.positions) for one in self.classes]
        for attempt in range(_ROUNDS):
            if stop():
                break
            say(f"Moving the defects by {len(self.layers)} layers together, round {attempt + 1} of at most {_ROUNDS}")
            furthest = 0.0
            for index in range(count):
                telling = [layer for layer in self.layers if pattern_gain(self.models[index, layer]) >= LEAST_GAIN]
                if not telling:
                    continue
                points, weights, deviations[index] = self._step(index, telling, attempt in _SEARCH_IN)
                moved = points - self.classes[index].positions
                # Two defects that share one spot push each other to and fro: whoever turns back walks half as far from then on.
                back = np.sum(moved * last[index], axis=1) < 0
                pace[index] = np.where(back, 0.5 * pace[index], np.minimum(1.0, 1.5 * pace[index]))
                last[index] = pace[index][:, None] * moved
                furthest = max(furthest, float(np.abs(last[index]).max()))
                self.classes[index] = replace(self.classes[index], positions=self.classes[index].positions + last[index], weights=weights)
                self._solve(index, select=attempt == _RESELECT_AFTER)
            if attempt > _RESELECT_AFTER and furthest < _SETTLED_PX:
                break
        return tuple(self.classes), np.concatenate(deviations)

    def _solve(self, index: int, select: bool) -> None:
        """Solve for the kernel of a class in every layer, with its angular orders chosen anew or as they are."""
        one, problem = self.classes[index], self.problem

        def solved(layer: int) -> HarmonicModel:
            rest = self._rest(index, layer)
            if select:
                harmonic = HarmonicProblem(rest, problem.kernel_size, problem.pixel_size_nm)
                return harmonic.simple_fit(one.positions, one.weights)
            return solve_again(rest, self.models[index, layer], one.positions, one.weights)

        with ThreadPoolExecutor(AT_ONCE) as pool:
            for layer, model in zip(self.layers, pool.map(solved, self.layers), strict=True):
                self.models[index, layer] = model
                self.patterns[index, layer] = _pattern(model, one, (problem.stack.shape[1], problem.stack.shape[2]))

    def _rest(self, index: int, layer: int) -> NDArray[np.float32]:
        """Return a layer without the patterns of the other classes, as far as they are known."""
        others = [self.patterns[k, layer] for k in range(len(self.classes)) if k != index and (k, layer) in self.patterns]
        return np.asarray(self.problem.layer(layer) - sum(others, start=np.float32(0)), dtype=np.float32)

    def _step(self, index: int, layers: Sequence[int], search: bool) -> tuple[Array, Array, Array]:
        """Return positions, amplitudes and the positions' deviations after one step, or after moves to better valleys."""
        one, given = self.classes[index], self.problem.classes[index]
        rests = {layer: self._rest(index, layer) for layer in layers}

        def seen(layer: int) -> Sensitivities:
            return sensitivities(rests[layer], self.models[index, layer], one.positions, one.weights)

        with ThreadPoolExecutor(AT_ONCE) as pool:
            systems = list(pool.map(seen, layers))
        deviation = self._deviation(systems, len(one.positions))
        if search and self.move:
            pairs = zip(layers, systems, strict=True)
            misfits = tuple(Misfit(rests[k], self.models[index, k], one.positions, one.weights, s.variance) for k, s in pairs)
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


def _pattern(model: HarmonicModel, one: DefectClass, shape: tuple[int, int]) -> NDArray[np.float32]:
    """Return A*M of a class on the whole map; nothing where the map shows no pattern of it."""
    if pattern_gain(model) < LEAST_GAIN:
        return np.zeros(shape, dtype=np.float32)
    grid = model.frame.grid(2 * model.frame.reach(model.splines.radius) + 1)
    wide = Renderer(grid, model.splines, model.fit.hyperparameters.orders)(model.fit.evidence.profiles).astype(np.float32)
    return reconstruct(wide, 0.0, one.positions, one.weights, shape)
