"""Kernel by empirical-Bayes circular harmonics.

A kernel with n-fold symmetry has the angular orders 0, n, 2 n, ... only. Its radial profiles get a Gaussian-process prior, a
decaying oscillation; decay, wave vector, coherence, noise and the symmetry order itself follow from the marginal
likelihood of the map. Nothing is assumed of the formula of the kernel.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from qpi_core.base.errors import InputError
from qpi_core.base.validation import is_constant, require_pixel_size, require_problem
from qpi_core.estimates.solution import KernelSolution
from qpi_core.runtime.threads import one_thread
from qpi_core.solvers.harmonic.answer import harmonic_solution, with_superposition
from qpi_core.solvers.harmonic.model import fit_harmonics
from qpi_core.solvers.harmonic.start import SYMMETRY_ORDERS, HarmonicStart

Array = NDArray[np.float64]


@one_thread()
def solve_harmonic(
    observation: ArrayLike,
    positions: ArrayLike,
    kernel_size: int,
    *,
    weights: ArrayLike | None = None,
    pixel_size_nm: float | tuple[float, float] | None = None,
    symmetry_orders: tuple[int, ...] = SYMMETRY_ORDERS,
    start: HarmonicStart | None = None,
) -> KernelSolution:
    """Return the kernel, its uncertainty, symmetry, wave vector and decay.

    Args:
        observation: (height, width), NaN where not measured.
        positions: (n, 2) columns (x, y) in px, fractions allowed and used exactly.
        kernel_size: side of the kernel window in px.
        weights: amplitude of each defect; None is 1 for each.
        pixel_size_nm: (dy, dx) or one number; gives the parameters' units and makes rings round on pixels that are not square.
        symmetry_orders: candidates, out of 0 (isotropic), 1 (none), 2, 3, 4, 6, ...
        start: the first stage of this very problem, where it was made already.

    Raises:
        InputError: an argument is not usable; the sentence says which.
    """
    values, points, size, amplitudes = require_problem(observation, positions, kernel_size, weights)
    pitch = None if pixel_size_nm is None else require_pixel_size(pixel_size_nm)
    candidates = _require_orders(symmetry_orders)
    if is_constant(values):
        return nothing_to_see(values, size)
    model = fit_harmonics(values, points, size, amplitudes, pitch, candidates, start=start, stretchable=True)
    solution = harmonic_solution(model, size, pitch, len(points), remainder=model.remainder)
    return with_superposition(solution, model, points, values, model.remainder)


def _require_orders(symmetry_orders: tuple[int, ...]) -> tuple[int, ...]:
    candidates = tuple(dict.fromkeys(1 if order is None else int(order) for order in symmetry_orders))
    if not candidates or min(candidates) < 0 or max(candidates) > 12:
        raise InputError(f"symmetry_orders must hold whole numbers from 0 to 12, but it is {symmetry_orders!r}.")
    return candidates


def nothing_to_see(values: NDArray[np.float32], size: int) -> KernelSolution:
    """Return the empty answer for a constant map."""
    zero = np.zeros((size, size), dtype=np.float32)
    sentence = "The map is constant: it holds no information about a kernel."
    return KernelSolution(zero, zero, float(np.nanmean(values)), 0.0, None, None, {}, (sentence,), {})
