"""Which layer of a stack each row of a list of points belongs to: the column that sweeps through its values at every point.

A spectrum at every point is listed as x, y, bias, dI/dV with as many rows a point as there are energies. Read as a map, its rows would be
averaged over all energies; so the sweep is found by what it does, whatever its column is called.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from qpi_core.maps.channel_choice import Signal, signal_of
from qpi_core.maps.readers.shared.stack_axes import BIAS_NAMES
from qpi_core.maps.readers.shared.units import mv_per_unit

_LEAST_FILLED, _LEAST_FILLED_UNNAMED = 0.5, 0.9
_MOST_LEVELS = 10_000
_SAME_LEVEL = 1e-6


@dataclass(frozen=True, eq=False)
class PointLayers:
    """The layers of a list.

    Attributes:
        column: the one that sweeps, None where the list is one layer.
        layer: (points,) number of the layer of each row.
        bias_mv: (layers,) energies, NaN where the column has no unit of voltage or energy; None for one layer of unknown energy.
        warnings: plain sentences.
    """

    column: int | None
    layer: NDArray[np.int64]
    bias_mv: NDArray[np.float64] | None
    warnings: tuple[str, ...] = ()


def find_layers(table: NDArray[np.float64], columns: Sequence[tuple[str, str]], cells: NDArray[np.int64]) -> PointLayers:
    """Return the layers of a list.

    Args:
        table: (points, columns), x and y first.
        columns: (name, unit) of each column.
        cells: (points,) number of the pixel of each row.
    """
    visits = np.unique(cells, return_counts=True)[1]
    named = [k for k in range(2, len(columns)) if _is_energy(*columns[k])] if len(columns) > 3 else []
    named.sort(key=lambda k: np.isnan(mv_per_unit(columns[k][1])))
    others = [k for k in range(2, len(columns)) if k not in named] if visits.max() > 1 and len(columns) > 3 else []
    for k in (*named, *others):
        levels = _levels(table[:, k])
        least = _LEAST_FILLED if k in named else _LEAST_FILLED_UNNAMED
        if levels is None or (len(levels[0]) == 1 and k not in named):
            continue
        pairs = len(np.unique(cells * len(levels[0]) + levels[1]))
        if pairs >= least * len(visits) * len(levels[0]):
            return _swept(k, *columns[k], *levels)
    sentence = f"Points are listed up to {visits.max()} times, and no column tells the rows of a point apart: their values were averaged."
    return PointLayers(None, np.zeros(len(table), dtype=np.int64), None, (sentence,) if visits.max() > 1 else ())


def _swept(k: int, name: str, unit: str, levels: NDArray[np.float64], layer: NDArray[np.int64]) -> PointLayers:
    factor = mv_per_unit(unit)
    sentence = (
        f"The column {name!r} runs from {levels[0]:.6g} to {levels[-1]:.6g} at every point, without a unit of voltage or energy: the list "
        "is a stack whose layers have no energy. Write the unit into the heading, as in 'bias (mV)'."
    )
    return PointLayers(k, layer, levels * factor, (sentence,) if np.isnan(factor) else ())


def _is_energy(name: str, unit: str) -> bool:
    return signal_of(name) == Signal.BIAS or name.lower() in BIAS_NAMES or (not np.isnan(mv_per_unit(unit)) and len(name) == 1)


def _levels(values: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.int64]] | None:
    """Return the distinct values, but for rounding, and the number of each row's; None where they are too many or not all known."""
    if not np.isfinite(values).all():
        return None
    span = float(np.ptp(values))
    rounded = np.round((values - values.min()) / (_SAME_LEVEL * span)) if span > 0 else np.zeros(len(values))
    _, first, layer = np.unique(rounded, return_index=True, return_inverse=True)
    return None if len(first) > _MOST_LEVELS else (values[first], layer.reshape(-1))
