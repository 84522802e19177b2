"""Which axis of a stack of three dimensions counts the energies, and vectors that say how far apart its layers and pixels are."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from qpi_core.maps.readers.shared.units import mv_per_unit, nm_per_unit

BIAS_NAMES = ("bias", "energy", "energies", "voltage", "v", "u", "e", "v_bias", "bias_v", "sample_bias", "sample bias", "sweep")
"""Names of an axis of energies, in lower case, without their unit."""
_SUFFIXES = {"_mv": 1.0, "_mev": 1.0, "_v": 1e3, "_ev": 1e3}


def energy_axis(shape: tuple[int, ...], energies: int | None, usual: int) -> int:
    """Return the axis of a stack along which the energies run.

    Args:
        shape: three lengths.
        energies: how many energies the file lists, None where it lists none.
        usual: the axis by convention, which stands wherever the list fits it or fits no other.
    """
    if energies is None or shape[usual] == energies:
        return usual
    other = 2 - usual
    return other if shape[other] == energies else usual


def bias_in_mv(name: str, unit: str, values: NDArray[np.float64]) -> NDArray[np.float64] | None:
    """Return a vector's energies in mV where its name says that it holds some and its name or unit says in what, else None."""
    plain = name.rpartition("/")[2].lower()
    for suffix, factor in _SUFFIXES.items():
        if plain.endswith(suffix) and plain.removesuffix(suffix) in BIAS_NAMES:
            return values * factor
    factor = mv_per_unit(unit)
    if plain in BIAS_NAMES and not np.isnan(factor):
        return values * factor
    return values if plain == "bias" and not unit else None


def steps_nm(vectors: Mapping[str, tuple[NDArray[np.float64], str]], shape: tuple[int, ...]) -> tuple[float, float] | None:
    """Return (dy, dx) in nm from even vectors named y and x of a map's height and width whose unit is a length, else None."""
    steps: dict[str, float] = {}
    for name, (values, unit) in vectors.items():
        axis = name.rpartition("/")[2].lower()
        factor = nm_per_unit(unit)
        if axis not in ("x", "y") or np.isnan(factor) or len(values) != shape[-1 if axis == "x" else -2]:
            continue
        differences = np.diff(values)
        step = abs(float(differences.mean()))
        if step > 0 and np.isfinite(step) and np.abs(np.abs(differences) - step).max() < 0.01 * step:
            steps[axis] = step * factor
    return (steps["y"], steps["x"]) if len(steps) == 2 else None
