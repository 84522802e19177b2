"""Which stretched coordinates the kernels of a stack live in: the pilots ask for them, their evidence decides.

Strain and the ellipse of a band are the same at every energy, so all layers share one stretch a class (the mean of the pilots', each
with the weight of its precision) where that has at least the evidence of a stretch for each layer by itself, whose two numbers every
layer pays for. Else the stretch of a layer lies between those of the pilots around it.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np

from qpi_core.solvers.harmonic.model import LEAST_GAIN
from qpi_core.solvers.layers.one_layer.layer_stretch import LayerStretch, StackStretch, common_stretch
from qpi_core.solvers.layers.pilots import Pilot, solve_stretched_pilot
from qpi_core.solvers.layers.problem import StackProblem


@dataclass(frozen=True, eq=False)
class SettledPilots:
    """The pilots in the coordinates that were chosen.

    Attributes:
        pilots: class by class, layers ascending.
        stretches: of each class, None where it has none.
    """

    pilots: list[list[Pilot]]
    stretches: tuple[StackStretch | None, ...]

    def at(self, layer: int) -> tuple[LayerStretch | None, ...]:
        """Return the stretch of every class in a layer."""
        return tuple(None if one is None else one.at(layer) for one in self.stretches)

    @property
    def is_shared(self) -> bool:
        """Whether all layers live in the same coordinates."""
        return all(one is None or one.is_shared for one in self.stretches)


def settle_stretch(pilots: Sequence[Sequence[Pilot]], noisy: Collection[int], problem: StackProblem) -> SettledPilots:
    """Return the pilots in the coordinates that their evidence prefers.

    Args:
        pilots: class by class, layers ascending, each in its own coordinates.
        noisy: layers with a noise model, under which no stretch is looked for.
        problem: the stack.
    """
    white = [[pilot for pilot in own if pilot.layer not in noisy] for own in pilots]
    asking = [[pilot for pilot in own if pilot.stretch is not None and pilot.gain > LEAST_GAIN] for own in white]
    if not any(asking):
        return SettledPilots([list(own) for own in pilots], (None,) * len(pilots))
    common = [common_stretch([one.stretch for one in own if one.stretch is not None]) if own else None for own in asking]
    numbers = [None if one is None else one.numbers for one in common]
    layers = [pilot.layer for pilot in white[0]]
    again = [solve_stretched_pilot(layer, problem, numbers) for layer in layers]
    # Solved one by one, every layer has paid for the numbers of its stretches; shared ones are paid for once.
    stretched = sum(one is not None for one in common)
    repaid = stretched * (len(layers) - 1) * float(np.log(np.isfinite(problem.layer(layers[0])).sum()))
    together, each = sum(one[0].evidence for one in again) + repaid, sum(pilot.evidence for pilot in white[0])
    if together >= each:
        # Pilots under a noise model were solved in other coordinates, and tell nothing of these.
        shared = tuple(None if one is None else StackStretch((layers[0],), (one,)) for one in common)
        return SettledPilots([[one[k] for one in again] for k in range(len(pilots))], shared)
    return SettledPilots(white, tuple(_over_layers(own) if asked else None for own, asked in zip(white, asking, strict=True)))


def _over_layers(pilots: Sequence[Pilot]) -> StackStretch:
    """Return the stretch of a class as the pilots that show its kernel have it, one by one."""
    known = [
        (pilot.layer, LayerStretch(np.zeros(2), np.zeros((2, 2))))
        if pilot.stretch is None
        else (pilot.layer, LayerStretch(pilot.stretch.numbers, pilot.stretch.covariance))
        for pilot in pilots
        if pilot.gain > LEAST_GAIN
    ]
    return StackStretch(tuple(layer for layer, _ in known), tuple(one for _, one in known))
