"""What the extraction of an energy stack with several classes of defects returns."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qpi_core.estimates.stack_estimate import LayerKernel, StackEstimate

NO_CLASS = ""
"""The name of the one kernel where defects have no classes."""


@dataclass(frozen=True, eq=False)
class ClassStackEstimates:
    """One stack of kernels a class, Y_e = b_e + sum_c A_{c,e} * M_c + noise_e, and what the classes have in common.

    Attributes:
        estimates: class -> estimate, in the order in which the classes first appear. Each has the kernels, the positions and the weights
            of its own class, and the background and the noise of all classes together.
        classes: the class of each defect.
        positions: (n, 2) float64, all defects, (x, y) in pixels, as used.
        weights: (n,) float64, as used.
    """

    estimates: dict[str, StackEstimate]
    classes: tuple[str, ...]
    positions: NDArray[np.float64]
    weights: NDArray[np.float64]

    def __getitem__(self, name: str) -> StackEstimate:
        """Return the estimate of a class."""
        return self.estimates[name]

    @property
    def names(self) -> tuple[str, ...]:
        """The classes, in the order in which they first appear."""
        return tuple(self.estimates)

    @property
    def bias_mv(self) -> NDArray[np.float64]:
        """(energies,), NaN where it is not known."""
        return self._first.bias_mv

    @property
    def noise_sigma(self) -> NDArray[np.float64]:
        """(energies,) standard deviation of the noise of each layer, units of the stack."""
        return self._first.noise_sigma

    @property
    def done(self) -> NDArray[np.bool_]:
        """(energies,) bool, which layers were computed."""
        return self._first.done

    @property
    def complete(self) -> bool:
        """Say whether every layer was computed."""
        return self._first.complete

    @property
    def method(self) -> str:
        """The method's name."""
        return self._first.method

    @property
    def notes(self) -> tuple[str, ...]:
        """Plain sentences on the stack as a whole."""
        return tuple(dict.fromkeys(note for estimate in self.estimates.values() for note in estimate.notes))

    def with_layers(self, layers: Mapping[int, Mapping[str, LayerKernel]]) -> ClassStackEstimates:
        """Return a copy in which these layers, index -> class -> kernel, take the place of what was there."""
        changed = {
            name: estimate.with_layers({index: found[name] for index, found in layers.items()}) for name, estimate in self.estimates.items()
        }
        return replace(self, estimates=changed)

    @property
    def _first(self) -> StackEstimate:
        return next(iter(self.estimates.values()))


StackResult = StackEstimate | ClassStackEstimates


def stacks_of(result: StackResult) -> dict[str, StackEstimate]:
    """Return class -> estimate; a stack without classes has one with an empty name."""
    return {NO_CLASS: result} if isinstance(result, StackEstimate) else result.estimates


def layers_of(layer: LayerKernel | Mapping[str, LayerKernel]) -> dict[str, LayerKernel]:
    """Return class -> kernel of what `extract_stack` hands to on_layer."""
    return {NO_CLASS: layer} if isinstance(layer, LayerKernel) else dict(layer)


def with_layers(result: StackResult, layers: Mapping[int, Mapping[str, LayerKernel]]) -> StackResult:
    """Return a copy in which these layers, index -> class -> kernel, take the place of what was there."""
    if isinstance(result, StackEstimate):
        return result.with_layers({index: found[NO_CLASS] for index, found in layers.items()})
    return result.with_layers(layers)


def with_source(result: StackResult, source: Mapping[str, Any]) -> StackResult:
    """Return a copy that says where the stack came from (strict-JSON values)."""

    def told(one: StackEstimate) -> StackEstimate:
        return replace(one, provenance={**one.provenance, "input": {**one.provenance["input"], **source}})

    if isinstance(result, StackEstimate):
        return told(result)
    return replace(result, estimates={name: told(one) for name, one in result.estimates.items()})
