"""A few layers, spread over the energies, that are solved in full and tell the rest what kind of kernel to look for.

The symmetry of a kernel comes from crystal and defect and hardly changes with energy; comparing all symmetry orders, and
looking for further angular orders, is the expensive part of the harmonic solver. So it is done for the pilot layers, and
every layer then chooses among the kinds of model that the pilots found, with hyperparameters of its own.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from qpi_core.solvers.harmonic.joint import fit_jointly
from qpi_core.solvers.harmonic.model import LEAST_GAIN, HarmonicModel, fit_harmonics, pattern_gain
from qpi_core.solvers.harmonic.search import Hyperparameters
from qpi_core.solvers.harmonic.start import SYMMETRY_ORDERS
from qpi_core.solvers.layers.problem import StackProblem

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
    """

    layer: int
    hyperparameters: Hyperparameters
    gain: float
    excess: float

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


def solve_pilot(layer: int, problem: StackProblem) -> tuple[Pilot, ...]:
    """Solve one layer, which is not constant, in full: one pilot a class, all classes solved together."""
    values, size, pitch = problem.layer(layer), problem.kernel_size, problem.pixel_size_nm
    models: tuple[HarmonicModel, ...]
    if len(problem.classes) == 1:
        [one] = problem.classes
        models = (fit_harmonics(values, one.positions, size, one.weights, pitch, SYMMETRY_ORDERS),)
    else:
        models = fit_jointly(values, problem.classes, size, pitch).models
    return tuple(Pilot(layer, model.fit.hyperparameters, pattern_gain(model), model.excess) for model in models)


def kinds_of_model(pilots: Sequence[Pilot]) -> tuple[ModelKind, ...]:
    """Return the kinds of model that the pilots with a kernel found, those that explain most first; without any, all pilots' kinds."""
    telling = [pilot for pilot in pilots if pilot.gain > LEAST_GAIN] or list(pilots)
    found: dict[tuple[tuple[int, ...], str, int, int], list[Pilot]] = {}
    for pilot in sorted(telling, key=lambda pilot: pilot.layer):
        found.setdefault(pilot.kind, []).append(pilot)
    ranked = sorted(found.values(), key=lambda group: -sum(pilot.gain for pilot in group))
    return tuple(ModelKind(tuple(group)) for group in ranked[:_MOST_KINDS])
