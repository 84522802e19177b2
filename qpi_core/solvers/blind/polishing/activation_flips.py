"""Activation maps of 0 and 1 for given kernels: defects added, removed and moved one by one while the score gains by it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from qpi_core.solvers.blind.polishing.convolution import Convolution, Image

_MOST_FLIPS = 300
_LEAST_GAIN = 1e-6
_SMALL_KERNEL = 4
"""Share of the map's side below which overlaps are taken as those of whole patterns, which needs no transform of the map."""

_WHOLE = 0.999

Window = tuple[tuple[slice, slice], Image]


class ActivationFlips:
    """An activation map, and what each pixel would gain by a defect.

    Attributes:
        activation: (height, width) 0 and 1.
        changes: how many defects were added, removed or moved so far.
    """

    def __init__(self, convolution: Convolution, layers: Image, activation: Image) -> None:
        """Take the kernels and layers (energies, height, width), both in units of the noise, and where to begin."""
        self.convolution, self.layers = convolution, layers
        self.activation = activation.astype(np.float32).copy()
        self.changes = 0
        self._half_energy = convolution.energy / 2
        small = convolution.kernels.shape[-1] * _SMALL_KERNEL <= min(activation.shape)
        self._whole = convolution.autocorrelation() if small else None
        # A pattern that is cut by the border or by a gap overlaps with itself by less.
        self._shown_whole = convolution.shown > _WHOLE * convolution.whole**2
        self._refresh()

    def improve(self, sweeps: int) -> Image:
        """Return the activation map after so many sweeps of additions, removals and moves, or fewer where nothing changes."""
        for _ in range(sweeps):
            before = self.changes
            self.add_and_remove()
            self.move()
            self._refresh()
            if self.changes == before:
                break
        return self.activation

    def add_and_remove(self) -> None:
        """Flip the pixel that gains most until none gains."""
        for _ in range(_MOST_FLIPS):
            price = self._price()
            keep = self._match + self._half_energy - price
            gain = np.where(self.activation > 0, -keep, self._match - self._half_energy - price)
            place = int(np.argmax(gain))
            row, column = divmod(place, gain.shape[1])
            if gain[row, column] <= _LEAST_GAIN:
                break
            self._flip(row, column, self._overlap(row, column))
            self.changes += 1

    def move(self) -> None:
        """Take every defect, the least needed first, to the pixel where it explains most."""
        rows, columns = np.nonzero(self.activation)
        needed = self._match[rows, columns] + self._half_energy[rows, columns]
        for number in np.argsort(needed):
            row, column = int(rows[number]), int(columns[number])
            if self.activation[row, column] == 0:
                continue
            window = self._overlap(row, column)
            (down, across), overlap = window
            stays = self._match[row, column] + self._half_energy[row, column]
            gain = self._match[down, across] + overlap - self._half_energy[down, across]
            gain[self.activation[down, across] > 0] = -np.inf
            place = int(np.argmax(gain))
            if gain.flat[place] > stays + _LEAST_GAIN:
                there = divmod(place, gain.shape[1])
                self._flip(row, column, window)
                target = (there[0] + (down.start or 0), there[1] + (across.start or 0))
                self._flip(*target, self._overlap(*target))
                self.changes += 1

    def _price(self) -> float:
        """Return the log odds against a defect at a pixel, by the number of defects that there are."""
        count = float(self.activation.sum())
        return float(np.log(max(self.activation.size - count, 1) / (count + 1)))

    def _refresh(self) -> None:
        self._match: NDArray[np.float32] = self.convolution.adjoint(self.layers - self.convolution(self.activation))

    def _flip(self, row: int, column: int, window: Window) -> None:
        place, overlap = window
        sign = 1 if self.activation[row, column] > 0 else -1
        self._match[place] += sign * overlap
        self.activation[row, column] = 0 if sign > 0 else 1

    def _overlap(self, row: int, column: int) -> Window:
        if self._whole is None or not self._shown_whole[row, column]:
            return (slice(None), slice(None)), self.convolution.overlap(row, column)
        reach = len(self._whole) // 2
        height, width = self.activation.shape
        down, across = (
            slice(max(0, row - reach), min(height, row + reach + 1)),
            slice(max(0, column - reach), min(width, column + reach + 1)),
        )
        part = self._whole[down.start - row + reach : down.stop - row + reach, across.start - column + reach : across.stop - column + reach]
        waves = self.convolution.in_long_waves
        if waves is not None:
            part = part - np.tensordot(waves[:, row, column], waves[:, down, across], axes=1)
        return (down, across), part
