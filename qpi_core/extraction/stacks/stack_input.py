"""What comes in with an energy stack, checked once: layers, energies, and one list of defects for all of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from qpi_core.base.errors import InputError
from qpi_core.base.validation import MAX_PIXELS, require_positions, require_weights
from qpi_core.extraction.classes.class_extraction import require_classes
from qpi_core.solvers.harmonic.joint.start import DefectClass

MAX_STACK_VALUES = 2**31
"""Largest stack that is accepted: 8 GiB in single precision."""


def require_layers(layers: Sequence[int] | None, count: int) -> list[int]:
    """Return the wanted layers, ascending, each once; None is all.

    Raises:
        InputError: not whole numbers from 0 to count - 1.
    """
    if layers is None:
        return list(range(count))
    wanted = sorted({int(index) for index in layers if isinstance(index, (int, np.integer)) and 0 <= index < count})
    if len(wanted) < len(set(layers)):
        raise InputError(f"layers must be whole numbers from 0 to {count - 1}, but they are {list(layers)!r:.200}.")
    return wanted


@dataclass(frozen=True, eq=False)
class ListedDefects:
    """The list of a stack: what each defect is, in the order given.

    Attributes:
        positions: (n, 2) px.
        weights: (n,).
        labels: the class of each defect; one empty name where there are no classes.
    """

    positions: NDArray[np.float64]
    weights: NDArray[np.float64]
    labels: tuple[str, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """The classes in the order in which they first appear."""
        return tuple(dict.fromkeys(self.labels))

    def members(self, name: str) -> NDArray[np.intp]:
        """Return the numbers of the defects of a class."""
        return np.flatnonzero([label == name for label in self.labels])

    def by_class(self) -> tuple[DefectClass, ...]:
        """Return the defects of each class."""
        chosen = [self.members(name) for name in self.names]
        return tuple(DefectClass(self.positions[one], self.weights[one]) for one in chosen)

    def moved(self, classes: Sequence[DefectClass]) -> ListedDefects:
        """Return the list with the positions and weights of by_class() replaced."""
        positions, weights = self.positions.copy(), self.weights.copy()
        for name, one in zip(self.names, classes, strict=True):
            positions[self.members(name)], weights[self.members(name)] = one.positions, one.weights
        return replace(self, positions=positions, weights=weights)


def require_stack(stack: ArrayLike) -> NDArray[np.floating]:
    """Return a stack (energies, height, width) as numbers, NaN where not measured.

    Raises:
        InputError: it is none, or too large.
    """
    array = np.ma.filled(np.ma.asarray(stack), np.nan) if isinstance(stack, np.ma.MaskedArray) else np.asarray(stack)
    if array.ndim != 3 or array.dtype.kind not in "fiu" or not len(array):
        raise InputError(
            f"stack must be real numbers of shape (energies, height, width), but it has shape {array.shape} and holds {array.dtype}."
        )
    shape = (array.shape[1], array.shape[2])
    if min(shape) < 4:
        raise InputError(f"stack has layers of {shape[1]} x {shape[0]} pixels; at least 4 x 4 are needed.")
    if shape[0] * shape[1] > MAX_PIXELS or array.size > MAX_STACK_VALUES:
        raise InputError(f"stack has {array.size} values; at most {MAX_STACK_VALUES} are accepted, so crop it or take fewer layers.")
    if any(np.isinf(layer).any() for layer in array):
        raise InputError("stack holds infinite values; mark unmeasured pixels as NaN instead.")
    return array


def require_list(
    positions: ArrayLike, weights: ArrayLike | None, classes: Sequence[object] | None, shape: tuple[int, int]
) -> ListedDefects:
    """Return the defects of a stack of layers of this shape.

    Raises:
        InputError: positions, weights or classes are not usable, or a class has no defect that shows.
    """
    points = require_positions(positions, shape)
    amplitudes = require_weights(weights, len(points))
    labels = ("",) * len(points) if classes is None else require_classes(classes, len(points))
    listed = ListedDefects(points, amplitudes, labels)
    for name in listed.names:
        if not amplitudes[listed.members(name)].any():
            raise InputError(f"weights are all zero in the class {name!r}; a class needs a defect that shows.")
    return listed


def require_bias(bias_mv: ArrayLike | None, count: int) -> NDArray[np.float64]:
    """Return (energies,) in mV, NaN where they are not known.

    Raises:
        InputError: not one number a layer.
    """
    if bias_mv is None:
        return np.full(count, np.nan)
    energies = np.asarray(bias_mv, dtype=np.float64)
    if energies.shape != (count,):
        raise InputError(f"bias_mv must have shape ({count},), one energy a layer, but it has shape {energies.shape}.")
    return energies
