"""Models of every class of defects in a few layers, each class solved on what the kernels of the others leave of a layer.

They serve whatever asks what the layers together say of the list of defects: its positions and amplitudes, and whether it is whole.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from qpi_core.operators.reconstruction import reconstruct
from qpi_core.solvers.harmonic.joint.start import DefectClass
from qpi_core.solvers.harmonic.model import LEAST_GAIN, HarmonicModel, pattern_gain
from qpi_core.solvers.harmonic.posterior.kernel import Renderer
from qpi_core.solvers.harmonic.problem import HarmonicProblem
from qpi_core.solvers.harmonic.start import HarmonicStart, noise_floor
from qpi_core.solvers.layers.one_layer.models_together import solve_together
from qpi_core.solvers.layers.problem import AT_ONCE, StackProblem
from qpi_core.solvers.measured.model_checks.whiteness import start_leaves_white_noise
from qpi_core.solvers.positions.jacobian import solve_again
from qpi_core.solvers.positions.shape_score import shape_evidence

_Chosen = tuple[HarmonicProblem, HarmonicStart, HarmonicModel]
"""A layer in the coordinates that were chosen for a class, where its solve begins, and its model of one symmetry."""
_MOST_TELLING = 2
"""Layers that choose the angular orders of a class of another shape than one symmetry."""


class LayerModels:
    """The models, and the defects that they belong to.

    Attributes:
        classes: the defects of each class, to be replaced as they change.
        models: (class, layer) -> model of one shared profile, or of more for a class of another shape.
        extended: the classes whose kernels may have more angular orders than those of one symmetry.
    """

    def __init__(self, problem: StackProblem, layers: Sequence[int]) -> None:
        """Begin with the defects as given, and no kernel."""
        self.problem, self.layers = problem, tuple(layers)
        self.classes = list(problem.classes)
        self.models: dict[tuple[int, int], HarmonicModel] = {}
        self.extended: set[int] = set()
        self._shown: dict[tuple[int, int], DefectClass] = {}
        self._patterns: dict[tuple[int, int], NDArray[np.float32]] = {}

    def choose(self) -> None:
        """Solve for all kernels, their angular orders chosen anew; twice where there are several, as at first nothing is known."""
        count = len(self.classes)
        for index in [*range(count), *(range(count) if count > 1 else ())]:
            self.solve(index, select=True)

    def take(self, index: int, layer: int, model: HarmonicModel) -> None:
        """Go on from a model of a class that was found elsewhere, on what the others leave of a layer."""
        self.models[index, layer] = model
        # Drawn when another class asks for it: of an only class, or a model that is replaced before, never.
        self._shown[index, layer] = self.classes[index]
        self._patterns.pop((index, layer), None)

    def solve(self, index: int, select: bool, extended: bool = False) -> None:
        """Solve for the kernel of a class in every layer.

        Args:
            index: of the class.
            select: its angular orders are chosen anew; else they are as they are.
            extended: more of them than those of one symmetry may be chosen, where a layer has evidence for a kernel of another shape
                (shape_evidence): what is not modelled of a lattice-like pattern moves the defects (measured at a signal to noise of
                1: to 0.4 px from their true places). One layer is enough: where the pattern is weak, or places are off, the test speaks
                against any shape, by as much as it speaks for one elsewhere.
        """
        one = self.classes[index]

        def again(layer: int) -> HarmonicModel:
            return solve_again(self.rest(index, layer), self.models[index, layer], one.positions, one.weights)

        with ThreadPoolExecutor(AT_ONCE) as pool:
            if select:
                chosen = list(pool.map(lambda layer: self._chosen(index, layer), self.layers))
                found = [model for _, _, model in chosen]
                if extended:
                    found = self._extended(index, chosen, pool)
            else:
                found = list(pool.map(again, self.layers))
        for layer, model in zip(self.layers, found, strict=True):
            self.take(index, layer, model)

    def _extended(self, index: int, chosen: Sequence[_Chosen], pool: ThreadPoolExecutor) -> list[HarmonicModel]:
        """Return the models of a class, with more angular orders where it is of another shape.

        The layers with most evidence for it choose the orders; a layer that is like one of them takes its model to begin with.
        """
        one, evidence = self.classes[index], [shape_evidence(start) for _, start, _ in chosen]
        if max(evidence) <= 0:
            return [model for _, _, model in chosen]
        self.extended.add(index)
        telling = [int(place) for place in np.argsort(evidence)[-_MOST_TELLING:] if evidence[place] > 0]

        def fitted(place: int) -> HarmonicModel:
            problem, start, _ = chosen[place]
            return problem.fit(one.positions, one.weights, start)

        fits = dict(zip(telling, pool.map(fitted, telling), strict=True))

        def like_the_nearest(place: int) -> HarmonicModel:
            if place in fits:
                return fits[place]
            rest, nearest = self.rest(index, self.layers[place]), min(telling, key=lambda other: abs(other - place))
            return solve_again(rest, replace(fits[nearest], floor=noise_floor(rest)), one.positions, one.weights)

        return list(pool.map(like_the_nearest, range(len(chosen))))

    def solve_together(self, most: int | None) -> None:
        """Solve for the kernels of all classes in all layers, the angular orders as they are, from at most so many pixels (None: all).

        A layer without models yet begins with those of the nearest one that has them.
        """
        count = len(self.classes)
        having = sorted({layer for _, layer in self.models})
        near = {layer: min(having, key=lambda other: abs(other - layer)) for layer in self.layers}
        known = {layer: [self.models[k, near[layer]] for k in range(count)] for layer in self.layers}
        for layer, models in solve_together(self.problem, self.classes, known, most).items():
            for index, model in enumerate(models):
                self.take(index, layer, model)

    def move(self, index: int, moved: DefectClass) -> None:
        """Take over the defects of a class where they are now, its kernels as they are."""
        self.classes[index] = moved
        for layer in self.layers:
            self.take(index, layer, self.models[index, layer])

    def _chosen(self, index: int, layer: int) -> _Chosen:
        """Return the model of one symmetry that explains a layer best, and where it begins."""
        one, problem, rest = self.classes[index], self.problem, self.rest(index, layer)
        harmonic = HarmonicProblem(rest, problem.kernel_size, problem.pixel_size_nm)
        begun = harmonic.start(one.positions, one.weights)
        # Wrong positions can pass for a stretch of the kernel; one that leaves white noise is none of these.
        stretched, start = harmonic.stretched(one.positions, one.weights, begun)
        if stretched is not harmonic and start_leaves_white_noise(start, rest):
            return stretched, start, stretched.simple_fit(one.positions, one.weights, start)
        return harmonic, begun, harmonic.simple_fit(one.positions, one.weights, begun)

    def rest(self, index: int, layer: int) -> NDArray[np.float32]:
        """Return a layer without the patterns of the other classes, as far as they are known."""
        others = [self._pattern(k, layer) for k in range(len(self.classes)) if k != index and (k, layer) in self.models]
        return np.asarray(self.problem.layer(layer) - sum(others, start=np.float32(0)), dtype=np.float32)

    def _pattern(self, index: int, layer: int) -> NDArray[np.float32]:
        """Return A*M of a class in a layer with the defects that its model was taken for."""
        key = index, layer
        if key not in self._patterns:
            shape = self.problem.stack.shape[1], self.problem.stack.shape[2]
            self._patterns[key] = _pattern(self.models[key], self._shown[key], shape)
        return self._patterns[key]

    def telling(self, index: int) -> list[int]:
        """Return the layers that show the pattern of a class."""
        return [layer for layer in self.layers if pattern_gain(self.models[index, layer]) >= LEAST_GAIN]


def _pattern(model: HarmonicModel, one: DefectClass, shape: tuple[int, int]) -> NDArray[np.float32]:
    """Return A*M of a class on the whole map; nothing where the map shows no pattern of it."""
    if pattern_gain(model) < LEAST_GAIN:
        return np.zeros(shape, dtype=np.float32)
    grid = model.frame.grid(2 * model.frame.reach(model.splines.radius) + 1)
    wide = Renderer(grid, model.splines, model.fit.hyperparameters.orders)(model.fit.evidence.profiles).astype(np.float32)
    return reconstruct(wide, 0.0, one.positions, one.weights, shape)
