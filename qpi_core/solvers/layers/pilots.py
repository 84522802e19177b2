"""A few layers, spread over the energies, that are solved in full and tell the rest what kind of kernel to look for.

The symmetry of a kernel comes from crystal and defect and hardly changes with energy; comparing all symmetry orders, and
looking for further angular orders, is the expensive part of the harmonic solver. So it is done for the pilot layers, and
every layer then chooses among the kinds of model that the pilots found, with hyperparameters of its own.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qpi_core.diagnostics.identifiability import may_be_modelled
from qpi_core.noise.tiles import can_be_modelled
from qpi_core.solvers.harmonic.answer import superposition
from qpi_core.solvers.harmonic.joint.stretch import fit_stretched
from qpi_core.solvers.harmonic.model import LEAST_GAIN, HarmonicModel, fit_harmonics, model_evidence, pattern_gain
from qpi_core.solvers.harmonic.orders.selection import log_evidence
from qpi_core.solvers.harmonic.problem import HarmonicProblem
from qpi_core.solvers.harmonic.search import SHARED, Hyperparameters
from qpi_core.solvers.harmonic.start import SYMMETRY_ORDERS
from qpi_core.solvers.harmonic.stretch import Stretch
from qpi_core.solvers.layers.problem import StackProblem
from qpi_core.solvers.measured.all_pixels import residual_of
from qpi_core.solvers.measured.class_map import PlainClasses, explain_classes
from qpi_core.solvers.measured.large_map import find_noise_of_large_map, left_of_part
from qpi_core.solvers.measured.model_checks.kernel_or_noise import KernelTrial, has_long_waves
from qpi_core.solvers.measured.model_checks.whiteness import leaves_white_noise
from qpi_core.solvers.measured.noise_model.find_noise import find_noise
from qpi_core.solvers.measured.noise_model.noisy_start import NoisyStage, NoisyStart

Array = NDArray[np.float64]

PILOTS, FEWER_PILOTS = 5, 3
"""Layers for one class of defects, and for several, whose joint solve takes as many times longer."""
_MOST_KINDS = 3


@dataclass(frozen=True, eq=False)
class Pilot:
    """One class of defects in a layer that was solved in full.

    Attributes:
        layer: its index.
        hyperparameters: the best ones.
        gain: log evidence of its kernel over plain noise.
        excess: how much more of the residual lies in patterns around the defects than white noise would put there, >= 1.
        evidence: log evidence of the layer under the kernels of all classes and white noise, the price of stretches taken off.
        stretch: of the coordinates in which the hyperparameters hold; None is nothing.
    """

    layer: int
    hyperparameters: Hyperparameters
    gain: float
    excess: float
    evidence: float
    stretch: Stretch | None = None

    @property
    def kind(self) -> tuple[tuple[int, ...], str, int, int]:
        """Angular orders, how their profiles hang together, the number of wave vectors and of hyperparameters."""
        point = self.hyperparameters
        return point.orders, point.mixing_kind, point.waves, point.searched


@dataclass(frozen=True, eq=False)
class ModelKind:
    """Pilots that chose the same kind of model, in the order of their layers."""

    pilots: tuple[Pilot, ...]

    @property
    def orders(self) -> tuple[int, ...]:
        """Angular orders of the kind."""
        return self.pilots[0].hyperparameters.orders

    def starts(self, layer: int) -> list[Hyperparameters]:
        """Return where a search for a layer may begin: the nearest pilot's optimum, and between those on both sides of it."""
        nearest = min(self.pilots, key=lambda pilot: abs(pilot.layer - layer)).hyperparameters
        before = [pilot for pilot in self.pilots if pilot.layer <= layer]
        after = [pilot for pilot in self.pilots if pilot.layer > layer]
        if not before or not after or before[-1].hyperparameters.pivot != after[0].hyperparameters.pivot:
            return [nearest]
        left, right = before[-1], after[0]
        share = (layer - left.layer) / (right.layer - left.layer)
        between = (1 - share) * left.hyperparameters.vector + share * right.hyperparameters.vector
        return [nearest, replace(left.hyperparameters, vector=between)]


def choose_pilots(layers: Iterable[int], count: int = PILOTS) -> tuple[int, ...]:
    """Return at most count layers, evenly spread, each in the middle of its share."""
    every = list(layers)
    wanted = min(count, len(every))
    return tuple(every[int((2 * k + 1) * len(every) / (2 * wanted))] for k in range(wanted))


def solve_pilot(layer: int, problem: StackProblem, plain: PlainClasses | None = None) -> tuple[tuple[Pilot, ...], NoisyStage[Any] | None]:
    """Solve one layer, which is not constant, in full: one pilot a class, all classes solved together.

    Args:
        layer: its index.
        problem: the stack.
        plain: what several classes are under white noise, where that is known already.

    Returns:
        The pilots, and the noise model that the layer asked for, None where white noise explains it.
    """
    harmonic = HarmonicProblem(problem.layer(layer), problem.kernel_size, problem.pixel_size_nm)
    if len(problem.classes) == 1:
        model, noisy = _one_class(harmonic, problem)
        return _pilots(layer, [model], model_evidence(model)), noisy
    found = explain_classes(harmonic, problem.classes, problem.noise_model, plain=plain, movable=problem.movable)
    return _pilots(layer, found.joint.models, found.joint.log_evidence), found.stage


def solve_stretched_pilot(layer: int, problem: StackProblem, numbers: Sequence[Array | None]) -> tuple[Pilot, ...]:
    """Solve one layer under white noise in coordinates that are known, (2,) numbers of the stretch of each class or None."""
    harmonic = HarmonicProblem(problem.layer(layer), problem.kernel_size, problem.pixel_size_nm)
    if len(problem.classes) == 1:
        [one], own = problem.classes, replace(harmonic, stretch=numbers[0])
        model = own.fit(one.positions, one.weights, own.start(one.positions, one.weights))
        return _pilots(layer, [model], model_evidence(model))
    joint = fit_stretched(harmonic, problem.classes, numbers)
    return _pilots(layer, joint.models, joint.log_evidence)


def _pilots(layer: int, models: Sequence[HarmonicModel], evidence: float) -> tuple[Pilot, ...]:
    return tuple(Pilot(layer, model.fit.hyperparameters, pattern_gain(model), model.excess, evidence, model.stretch) for model in models)


def _one_class(harmonic: HarmonicProblem, problem: StackProblem) -> tuple[HarmonicModel, NoisyStart | None]:
    """Return the model of the only class, under the noise model that goes with it."""
    [one] = problem.classes
    values = harmonic.values
    given = (one.positions, problem.kernel_size, one.weights, problem.pixel_size_nm, SYMMETRY_ORDERS)
    begun = harmonic.start(one.positions, one.weights)
    model = fit_harmonics(values, *given, start=begun, stretchable=True)
    if problem.noise_model == "white" or not can_be_modelled(np.isfinite(values)):
        return model, None
    left = np.asarray(values - superposition(model, (values.shape[0], values.shape[1])), dtype=np.float64)
    gain = log_evidence(model.fit, model.equations.pixels) - begun.log_evidence(begun.samples.values.size)
    shared = model.fit.hyperparameters.mixing_kind == SHARED
    small = may_be_modelled(np.isfinite(values))
    if small:
        settled = KernelTrial(values, residual_of(values, begun), left, gain, shared).suffices(problem.aspect, one.positions)
    else:
        first = left_of_part(values, one.positions, one.weights, begun)
        settled = not has_long_waves(first, problem.aspect, one.positions) and leaves_white_noise(left, problem.aspect, one.positions)
    if settled:
        return model, None
    noisy = (
        find_noise(harmonic, one.positions, one.weights, begun, movable=problem.movable)
        if small
        else find_noise_of_large_map(harmonic, one.positions, one.weights, begun)
    )
    if noisy is None:
        return model, None
    under = replace(harmonic, values=noisy.values).fit(noisy.places(one.positions), noisy.start.samples.weights, noisy.start)
    pixels = under.equations.pixels
    evidence = noisy.evidence + log_evidence(under.fit, pixels) - noisy.start.log_evidence(pixels)
    return (under, noisy) if evidence > model_evidence(model) else (model, None)


def kinds_of_model(pilots: Sequence[Pilot]) -> tuple[ModelKind, ...]:
    """Return the kinds of model that the pilots with a kernel found, those that explain most first; without any, all pilots' kinds."""
    telling = [pilot for pilot in pilots if pilot.gain > LEAST_GAIN] or list(pilots)
    found: dict[tuple[tuple[int, ...], str, int, int], list[Pilot]] = {}
    for pilot in sorted(telling, key=lambda pilot: pilot.layer):
        found.setdefault(pilot.kind, []).append(pilot)
    ranked = sorted(found.values(), key=lambda group: -sum(pilot.gain for pilot in group))
    return tuple(ModelKind(tuple(group)) for group in ranked[:_MOST_KINDS])
