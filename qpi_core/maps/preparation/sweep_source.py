"""Where the values of a layer come from in its file: sums over channels and energies, which steps over the whole sweep change."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

Weights = Mapping[tuple[str, int], float]


@dataclass(frozen=True, eq=False)
class SweepSource:
    """A layer as sum_(c, j) w_(c, j) I_c(E_j), of channels c and layers j of one file.

    Attributes:
        stack: returns (energies, height, width) of a channel.
        channels: all channels of the file.
        channel: the one that was chosen.
        index: of the layer.
        energies: returns the energies of a channel's layers in mV, (energies,), NaN where they are not known.
        weights: returns the weights w of the layer with an index.
    """

    stack: Callable[[str], NDArray[np.floating[Any]]]
    channels: tuple[str, ...]
    channel: str
    index: int
    energies: Callable[[str], NDArray[np.float64]]
    weights: Callable[[int], Weights]

    @classmethod
    def of_layer(
        cls,
        stack: Callable[[str], NDArray[np.floating[Any]]],
        channels: tuple[str, ...],
        channel: str,
        index: int,
        energies: Callable[[str], NDArray[np.float64]],
    ) -> SweepSource:
        """Return the source of a layer as it is in the file."""
        return cls(stack, channels, channel, index, energies, lambda layer: {(channel, layer): 1.0})

    @property
    def bias_mv(self) -> NDArray[np.float64]:
        """Return the energies of the chosen channel."""
        return self.energies(self.channel)

    def over_layers(self, combine: Callable[[int], Mapping[int, float]]) -> SweepSource:
        """Return the source whose layer k is sum_j combine(k)[j] times layer j of this one."""

        def weights(index: int) -> Weights:
            total: dict[tuple[str, int], float] = {}
            for other, weight in combine(index).items():
                for place, inner in self.weights(other).items():
                    total[place] = total.get(place, 0.0) + weight * inner
            return total

        return replace(self, weights=weights)

    def averaged_with(self, partners: Mapping[str, str]) -> SweepSource:
        """Return the mean of this source and of that in which every channel is replaced by its partner."""

        def weights(index: int) -> Weights:
            total: dict[tuple[str, int], float] = {}
            for (channel, layer), weight in self.weights(index).items():
                for name in (channel, partners[channel]):
                    total[name, layer] = total.get((name, layer), 0.0) + 0.5 * weight
            return total

        return replace(self, weights=weights)

    def values(self) -> NDArray[np.float64]:
        """Return the layer, (height, width); NaN where one of its parts was not measured."""
        parts = self.weights(self.index)
        total: NDArray[np.float64] = np.zeros(self.stack(self.channel).shape[1:])
        for (channel, layer), weight in parts.items():
            total += weight * self.stack(channel)[layer]
        return total
