"""Sentences for files that say a thing twice, and differently: both statements are named, and which one was taken."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

_SAME = 1e-3


def two_energies(taken: str, taken_mv: ArrayLike, other: str, other_mv: ArrayLike) -> tuple[str, ...]:
    """Return a sentence where two statements on the energies differ by more than a thousandth of their range, or are no match.

    Args:
        taken, other: names of the two, as they stand in the file.
        taken_mv, other_mv: (layers,) energies in mV; a statement with an unknown energy is none.
    """
    first, second = np.ravel(np.asarray(taken_mv, dtype=np.float64)), np.ravel(np.asarray(other_mv, dtype=np.float64))
    if not (first.size and second.size and np.isfinite(first).all() and np.isfinite(second).all()):
        return ()
    if first.shape == second.shape and np.abs(first - second).max() <= _SAME * max(1.0, float(np.abs(first).max())):
        return ()
    return (f"The file gives two energies: {taken} ({_range(first)}) and {other} ({_range(second)}); the former was taken.",)


def two_sizes(taken: str, taken_nm: tuple[float, float] | None, other: str, other_nm: tuple[float, float] | None) -> tuple[str, ...]:
    """Return a sentence where two pixel sizes (dy, dx) in nm differ by more than a hundredth."""
    if taken_nm is None or other_nm is None or np.allclose(taken_nm, other_nm, rtol=0.01, atol=0):
        return ()
    first, second = (f"{size[1]:.6g} x {size[0]:.6g} nm" for size in (taken_nm, other_nm))
    return (f"The file gives two sizes of a pixel: {taken} ({first}) and {other} ({second}); the former was taken.",)


def more_than_declared(declared: int, held: int) -> tuple[str, ...]:
    """Return a sentence where a file holds more values than its header declares."""
    if held <= declared:
        return ()
    return (
        f"The header declares {declared} values, but the file holds {held}: the size in the header was taken, and the map may be wrong.",
    )


def _range(energies_mv: np.ndarray[tuple[int], np.dtype[np.float64]]) -> str:
    if len(energies_mv) == 1:
        return f"{energies_mv[0]:.6g} mV"
    return f"{energies_mv[0]:.6g} to {energies_mv[-1]:.6g} mV in {len(energies_mv)} steps"
