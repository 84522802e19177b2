"""Classes of defects whose kernels are symmetric but for a stretch, each class in coordinates of its own (see harmonic.stretch).

What the kernels of the others leave of the map is searched for the stretch of a class as one map is; all kernels are then solved
together in the coordinates that were found, and the joint evidence decides. At its maximum the slope of the misfit by a class's stretch
is the same, whether the others are held or not, so solving for kernels and stretches in turn ends there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from qpi_core.solvers.harmonic.answer import superposition
from qpi_core.solvers.harmonic.joint.fit import JointModel, finish_jointly, in_their_order, ranked_classes
from qpi_core.solvers.harmonic.joint.start import DefectClass, choose_jointly, open_classes
from qpi_core.solvers.harmonic.orders.residual_test import DOUBTFUL
from qpi_core.solvers.harmonic.problem import HarmonicProblem

Array = NDArray[np.float64]

_ROUNDS = 2


def stretched_jointly(problem: HarmonicProblem, classes: Sequence[DefectClass], plain: JointModel) -> JointModel:
    """Return the joint model in the stretched coordinates that the evidence prefers; plain where there are none.

    Args:
        problem: the map.
        classes: of defects.
        plain: their joint model without a stretch.
    """
    joint = plain
    numbers: list[Array | None] = [None] * len(classes)
    for _ in range(_ROUNDS):
        numbers = _searched(problem, classes, joint, numbers)
        if all(found is None for found in numbers):
            break
        joint = fit_stretched(problem, classes, numbers)
    return joint if joint.log_evidence > plain.log_evidence else plain


def fit_stretched(problem: HarmonicProblem, classes: Sequence[DefectClass], numbers: Sequence[Array | None]) -> JointModel:
    """Return the joint model of classes in coordinates that are known, (2,) numbers or None for each."""
    ranks, values, size = ranked_classes(classes), problem.values, problem.kernel_size
    ordered, stretches = [classes[k] for k in ranks], [numbers[k] for k in ranks]
    starts = open_classes(values, ordered, size, problem.pixel_size_nm, problem.symmetry_orders, stretches=stretches)
    chosen = choose_jointly(starts, problem.symmetry_orders)
    return in_their_order(finish_jointly(values, ordered, starts, chosen, size), ranks)


def _searched(
    problem: HarmonicProblem, classes: Sequence[DefectClass], joint: JointModel, known: Sequence[Array | None]
) -> list[Array | None]:
    """Return the stretch of every class by what the others leave, an earlier one improved; None where there is none."""
    shape = (problem.values.shape[0], problem.values.shape[1])
    images = [superposition(model, shape) for model in joint.models]
    found: list[Array | None] = []
    for index, (one, model, stretch) in enumerate(zip(classes, joint.models, known, strict=True)):
        if stretch is None and len(model.fit.hyperparameters.orders) <= 2 and model.excess <= 1:
            # One symmetry with one profile leaves nothing: there is nothing that a stretch could explain.
            found.append(None)
            continue
        rest = problem.values - sum((image for k, image in enumerate(images) if k != index), start=np.zeros(shape, dtype=np.float32))
        own = replace(problem, values=np.asarray(rest, dtype=np.float32), stretch=stretch)
        better = own.stretched(one.positions, one.weights, own.start(one.positions, one.weights), DOUBTFUL)[0]
        found.append(better.stretch)
    return found
