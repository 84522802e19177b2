"""The kernels of all classes in several layers at once: one design for the layers that share their pixels, one projection for each.

Beside the defects the design depends on nothing, so that its Gram matrix serves every layer (see equations.accumulation), and the kernel of
a class is found with those of the others marginalised. That takes hardly longer for all layers than class by class for a few.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from qpi_core.solvers.harmonic.equations.accumulation import ClassBasis, MapEquations, accumulate
from qpi_core.solvers.harmonic.equations.basis import take_samples
from qpi_core.solvers.harmonic.joint.fit import at_joint_optimum, sweep
from qpi_core.solvers.harmonic.joint.start import DefectClass, samples_of
from qpi_core.solvers.harmonic.model import HarmonicModel
from qpi_core.solvers.harmonic.orders.extension import profile_subspace
from qpi_core.solvers.harmonic.start import noise_floor
from qpi_core.solvers.layers.problem import AT_ONCE, StackProblem

Array = NDArray[np.float64]

_SAME = 1e-6
"""Singular value of stacked subspaces, each orthonormal, below which a direction is one of rounding."""


def solve_together(
    problem: StackProblem, classes: Sequence[DefectClass], known: Mapping[int, Sequence[HarmonicModel]], most: int | None
) -> dict[int, list[HarmonicModel]]:
    """Return the models of all classes in every layer, the hyperparameters close to where they were.

    Args:
        problem: the stack.
        classes: the defects as they are by now.
        known: layer -> a model of every class to go on from, of this layer or of one like it.
        most: pixels that take part at most; None is all.
    """
    alike: dict[tuple[object, ...], list[int]] = {}
    for layer, models in known.items():
        measured = np.packbits(np.isfinite(problem.layer(layer))).tobytes()
        stretches = tuple(None if one.stretch is None else tuple(one.stretch.numbers) for one in models)
        alike.setdefault((measured, stretches, tuple(one.splines for one in models)), []).append(layer)
    found: dict[int, list[HarmonicModel]] = {}
    for members in alike.values():
        found.update(_solve_alike(problem, classes, {layer: known[layer] for layer in members}, most))
    return found


def _solve_alike(
    problem: StackProblem, classes: Sequence[DefectClass], known: Mapping[int, Sequence[HarmonicModel]], most: int | None
) -> dict[int, list[HarmonicModel]]:
    """Return what solve_together() does for layers of the same pixels, stretches and radial bases."""
    layers = list(known)
    everywhere, weights = (np.concatenate([getattr(one, name) for one in classes]) for name in ("positions", "weights"))
    common = take_samples(problem.layer(layers[0]), everywhere, weights, problem.aspect, most=most)
    values = np.stack([problem.layer(layer)[common.places] for layer in layers])
    bases = []
    for index, one in enumerate(classes):
        models = [known[layer][index] for layer in layers]
        numbers = None if models[0].stretch is None else models[0].stretch.numbers
        orders = tuple(sorted({order for model in models for order in model.fit.hyperparameters.orders}))
        bases.append(ClassBasis(samples_of(common, one, problem.aspect, numbers), models[0].splines, orders, _span(models)))
    equations = accumulate(bases, values)

    def solved(place: int) -> list[HarmonicModel]:
        return _one_layer(equations, known[layers[place]], place, values[place])

    with ThreadPoolExecutor(AT_ONCE) as pool:
        return dict(zip(layers, pool.map(solved, range(len(layers))), strict=True))


def _span(models: Sequence[HarmonicModel]) -> Array | None:
    """Return orthonormal columns, (nodes, k), that span the profiles of all models; None for all profiles."""
    subspaces = [model.equations.subspace for model in models]
    if all(one is None for one in subspaces):
        return None
    nodes = models[0].splines.nodes
    spans = [
        profile_subspace(model.fit.hyperparameters.radial, nodes) if one is None else one
        for model, one in zip(models, subspaces, strict=True)
    ]
    left, singular, _ = np.linalg.svd(np.concatenate(spans, axis=1), full_matrices=False)
    return np.ascontiguousarray(left[:, singular > _SAME])


def _one_layer(whole: MapEquations, known: Sequence[HarmonicModel], place: int, values: NDArray[np.float32]) -> list[HarmonicModel]:
    equations = whole.narrowed([model.fit.hyperparameters.orders for model in known])
    floor = noise_floor(values)  # of this layer: the models may be those of another one, of another strength
    fits = sweep(equations, [model.fit for model in known], floor, place, sweeps=1, shaped=False)
    found = at_joint_optimum(equations, fits, floor, place)
    background = equations.background([fit.evidence.profiles for _, fit in found], place)
    models = []
    for model, basis, (own, fit) in zip(known, equations.bases, found, strict=True):
        # Whoever asks for the constant of one class looks at the map without the others.
        alone = replace(own, mean_value=own.mean_value + background - own.background(fit.evidence.profiles))
        samples = replace(basis.samples, values=values.astype(np.float64))
        models.append(replace(model, samples=samples, equations=alone, fit=fit, floor=floor))
    return models
