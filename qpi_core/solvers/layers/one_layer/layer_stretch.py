"""The stretched coordinates of a class's kernels over the layers of a stack (see harmonic.stretch)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from qpi_core.solvers.harmonic.stretch import Stretch

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class LayerStretch:
    """The stretch of a class in one layer.

    Attributes:
        numbers: (2,) a and b.
        covariance: (2, 2) of them.
    """

    numbers: Array
    covariance: Array

    def described(self, profiles: Array) -> Stretch:
        """Return the stretch of a kernel with these profiles, (a, nodes), as if they did not follow it: that errs on the wide side."""
        return Stretch(self.numbers, self.covariance, np.zeros((2, *profiles.shape)))


@dataclass(frozen=True, eq=False)
class StackStretch:
    """The stretch of a class over the layers, known in some of them.

    Attributes:
        layers: ascending; a single one where all layers share one stretch.
        known: the stretch in each of them.
    """

    layers: tuple[int, ...]
    known: tuple[LayerStretch, ...]

    @property
    def is_shared(self) -> bool:
        """Whether all layers have the same stretch."""
        return len(self.layers) == 1

    def at(self, layer: int) -> LayerStretch:
        """Return the stretch of a layer: on the line through those on both sides of it, or through the two that are nearest."""
        if self.is_shared:
            return self.known[0]
        second = int(np.clip(np.searchsorted(self.layers, layer), 1, len(self.layers) - 1))
        first = second - 1
        share = (layer - self.layers[first]) / (self.layers[second] - self.layers[first])
        left, right = self.known[first], self.known[second]
        numbers = (1 - share) * left.numbers + share * right.numbers
        # As if the two erred together: what lies between them is no straight line either.
        return LayerStretch(numbers, abs(1 - share) * left.covariance + abs(share) * right.covariance)


def common_stretch(found: Sequence[Stretch]) -> LayerStretch:
    """Return the mean of several stretches, each with the weight of its precision."""
    precisions = [np.linalg.inv(one.covariance) for one in found]
    covariance = np.linalg.inv(np.sum(precisions, axis=0))
    pull = np.sum([precision @ one.numbers for precision, one in zip(precisions, found, strict=True)], axis=0)
    return LayerStretch(covariance @ pull, covariance)
