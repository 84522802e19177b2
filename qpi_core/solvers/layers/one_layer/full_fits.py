"""What a layer says of the list of defects once its kernels may have any shape.

Kernels of one symmetry and one profile leave patterns of a richer kernel around every listed defect, and these look like defects that
nobody listed. So before a list is doubted the layers are fitted in full, which is what they are solved with in any case (see pilots),
and it is these kernels that what is left of the layers is searched with.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from qpi_core.solvers.harmonic.answer import superposition
from qpi_core.solvers.harmonic.equations.accumulation import ClassBasis, accumulate
from qpi_core.solvers.harmonic.equations.evidence import evaluate
from qpi_core.solvers.harmonic.joint.start import DefectClass
from qpi_core.solvers.harmonic.model import LEAST_GAIN, HarmonicModel, model_evidence, pattern_gain
from qpi_core.solvers.harmonic.orders.significant_orders import is_explained
from qpi_core.solvers.harmonic.problem import HarmonicProblem
from qpi_core.solvers.layers.problem import AT_ONCE, StackProblem
from qpi_core.solvers.measured.class_map import PlainClasses, fit_plainly
from qpi_core.solvers.measured.model_checks.whiteness import leaves_white_noise
from qpi_core.solvers.positions.score_test import MovesScore, score_moves


@dataclass(frozen=True, eq=False)
class ClassAlone:
    """One class of a layer.

    Attributes:
        values: what the kernels of the others leave of the layer, (height, width).
        model: of the class there.
    """

    values: NDArray[np.float32]
    model: HarmonicModel

    @cached_property
    def score(self) -> MovesScore:
        """What moving the class's defects promises."""
        return score_moves(self.model)


@dataclass(frozen=True, eq=False)
class FullFit:
    """One layer with a list, explained by a constant, white noise and kernels of any shape, a stretched one too.

    Attributes:
        layer: its index.
        problem: the layer.
        classes: the list.
        models: one a class.
        log_evidence: with the price of all hyperparameters and stretches taken off.
        joint: how several classes were solved; None with one.
    """

    layer: int
    problem: HarmonicProblem
    classes: tuple[DefectClass, ...]
    models: tuple[HarmonicModel, ...]
    log_evidence: float
    joint: PlainClasses | None

    @cached_property
    def is_white(self) -> bool:
        """Whether the kernels leave white noise."""
        shape = (self.problem.values.shape[0], self.problem.values.shape[1])
        left = np.asarray(self.problem.values - sum(superposition(model, shape) for model in self.models), dtype=np.float32)
        everywhere = np.concatenate([one.positions for one in self.classes])
        return leaves_white_noise(left, self.models[0].aspect, everywhere)

    def shows(self, index: int) -> bool:
        """Say whether the layer shows a class's pattern, and more than rounding beside it."""
        model = self.models[index]
        return pattern_gain(model) >= LEAST_GAIN and not is_explained(model.fit, model.floor)

    def alone(self, index: int) -> ClassAlone:
        """Return one class on what the others leave of the layer, its hyperparameters kept."""
        values, model = self.problem.values, self.models[index]
        if len(self.models) == 1:
            return ClassAlone(values, model)
        shape = (values.shape[0], values.shape[1])
        others = sum(superposition(other, shape) for k, other in enumerate(self.models) if k != index)
        rest = np.asarray(values - others, dtype=np.float32)
        samples = replace(model.samples, values=rest[model.samples.places].astype(np.float64))
        point, subspace = model.fit.hyperparameters, model.equations.subspace
        equations = accumulate([ClassBasis(samples, model.splines, point.orders, subspace)]).alone()
        evidence = evaluate(equations, model.splines.nodes, point.radial, point.mixing(), model.floor)
        return ClassAlone(rest, replace(model, samples=samples, equations=equations, fit=replace(model.fit, evidence=evidence)))


def fits_in_full(problem: StackProblem, layers: Sequence[int], classes: Sequence[DefectClass]) -> tuple[FullFit, ...]:
    """Return the layers, none of them constant, with a list explained by kernels of any shape and white noise."""
    with ThreadPoolExecutor(AT_ONCE) as pool:
        return tuple(pool.map(lambda layer: _fit_in_full(problem, layer, classes), layers))


def _fit_in_full(problem: StackProblem, layer: int, classes: Sequence[DefectClass]) -> FullFit:
    harmonic = HarmonicProblem(problem.layer(layer), problem.kernel_size, problem.pixel_size_nm)
    if len(classes) > 1:
        plain = fit_plainly(harmonic, classes)
        return FullFit(layer, harmonic, tuple(classes), plain.joint.models, plain.joint.log_evidence, plain.without_designs())
    [one] = classes
    model = harmonic.fit(one.positions, one.weights, harmonic.start(one.positions, one.weights))
    return FullFit(layer, harmonic, tuple(classes), (model,), model_evidence(model), None)
