"""Defects that look like a kernel: a matched filter, with what was found taken out of the map round by round.

A kernel's waves resemble it one wave length further on. So only the strongest responses are believed at first; their patterns are
subtracted, and the rest of the map is judged anew.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.ndimage import map_coordinates
from scipy.signal import fftconvolve
from scipy.sparse import csc_array
from scipy.sparse.linalg import spsolve
from scipy.spatial import cKDTree

from qpi_core.base.errors import InputError
from qpi_core.maps.detection.peaks import local_maxima, parabola_top, thin_out
from qpi_core.maps.preparation.levelling import subtract_polynomial
from qpi_core.operators.correlation import correlate_with_kernel
from qpi_core.runtime.progress import Progress, no_progress

Array = NDArray[np.float64]

MAX_TEMPLATE_PX = 1024
_ROUNDS, _LAST_STEPS = 10, 3
_BELIEVED = 0.7
"""Share of a round's strongest amplitude from which on a peak is believed in that round."""
_LONGEST_STEP_PX = 0.3
_DIAGONAL = 1.1
_BACKGROUND_ORDER = 2
_SEEN = 0.3
"""Share of the template's energy that must fall on measured pixels."""


def require_template(template: ArrayLike) -> Array:
    """Return a kernel to look for as (k, k) float64.

    Raises:
        InputError: not a square of 3 to MAX_TEMPLATE_PX finite numbers, or constant.
    """
    try:
        kernel = np.asarray(template, dtype=np.float64)
    except (TypeError, ValueError):
        raise InputError("template must be a kernel: a square array of numbers.") from None
    if kernel.ndim != 2 or kernel.shape[0] != kernel.shape[1] or not 3 <= kernel.shape[0] <= MAX_TEMPLATE_PX:
        raise InputError(f"template must be a square of 3 to {MAX_TEMPLATE_PX} pixels, but it has shape {kernel.shape}.")
    if not np.isfinite(kernel).all() or np.ptp(kernel) == 0:
        raise InputError("template must be finite and not constant; give the kernel of an extraction.")
    return kernel


def find_like_template(
    layer: Array,
    kernel: Array,
    threshold: float,
    least_share: float,
    min_distance: float,
    report: Progress = no_progress,
) -> Array:
    """Return (n, 2) positions (x, y) of defects that look like a kernel, the strongest first.

    The response at a pixel is the correlation with the kernel over the root of the kernel's energy on measured pixels, so white
    noise gives the same spread everywhere, at the edge too. Every round, the positions and amplitudes of all defects so far take one
    Gauss-Newton step, the positions each for itself and the amplitudes together.

    Args:
        layer: (height, width), NaN where not measured; a second-order background is taken out again after the patterns are.
        kernel: (k, k), centre at index k // 2; its scale plays no part, its sign does.
        threshold: least response in robust standard deviations of the response to the map without the defects.
        least_share: least amplitude, as a share of the median one.
        min_distance: px.
        report: called before each round with the share that is done at most and a few words; what it raises stops the search.
    """
    search = _Search(layer, kernel, min_distance)
    places, amplitudes = np.empty((0, 2)), np.empty(0)
    for number in range(_ROUNDS):
        report(number / (_ROUNDS + _LAST_STEPS), f"Round {number + 1} of at most {_ROUNDS}, {len(places)} found")
        rest, correlation = search.without(places, amplitudes)
        if places.size:
            places, amplitudes = search.step(correlation, places, amplitudes)
        found, strengths = search.strongest(correlation, places)
        if not found.size or (amplitudes.size and float(strengths.max()) < least_share * float(np.median(amplitudes))):
            break
        places, amplitudes = np.vstack([places, found]), np.concatenate([amplitudes, strengths])
    if not places.size:
        return places
    for number in range(_LAST_STEPS):
        report((_ROUNDS + number) / (_ROUNDS + _LAST_STEPS), f"Placing {len(places)} between the pixels")
        rest, correlation = search.without(places, amplitudes)
        places, amplitudes = search.step(correlation, places, amplitudes)
    kept = search.significance(rest, correlation, places, amplitudes) > threshold
    if kept.any():
        kept &= amplitudes >= least_share * np.median(amplitudes[kept])
    order = np.argsort(-amplitudes[kept], kind="stable")
    return np.asarray(places[kept][order], dtype=np.float64)


class _Search:
    """The map, the kernel, and what the kernel's energy is around every pixel."""

    def __init__(self, layer: Array, kernel: Array, min_distance: float) -> None:
        measured = np.isfinite(layer)
        self._layer, self._measured, self._kernel, self._min_distance = layer, measured, kernel, min_distance
        total = float((kernel**2).sum())
        self._energy = np.maximum(correlate_with_kernel(measured.astype(np.float64), kernel**2), _SEEN * total)
        self._judged = measured & (self._energy > _SEEN * total)
        self._correlated = fftconvolve(kernel, kernel[::-1, ::-1])
        self._zero = (kernel.shape[0] - 1, kernel.shape[0] - 1)
        row, column = self._zero
        near = self._correlated[row - 1 : row + 2, column - 1 : column + 2]
        cross = (near[2, 2] - near[2, 0] - near[0, 2] + near[0, 0]) / 4
        across, down = near[1, 2] - 2 * near[1, 1] + near[1, 0], near[2, 1] - 2 * near[1, 1] + near[0, 1]
        self._curvature = np.array([[across, cross], [cross, down]])

    def without(self, places: Array, amplitudes: Array) -> tuple[Array, Array]:
        """Return the map from which the defects and the background have been taken out, and the kernel's correlation with it."""
        rest = self._layer - _patterns(self._kernel, places, amplitudes, self._layer.shape) if places.size else self._layer
        # The background of the whole map is not that of the map without the patterns, whose mean need not be zero.
        level = subtract_polynomial(rest, _BACKGROUND_ORDER)
        return level, correlate_with_kernel(np.where(self._measured, level, 0.0), self._kernel)

    def step(self, correlation: Array, places: Array, amplitudes: Array) -> tuple[Array, Array]:
        """Return places and amplitudes after a step towards what the rest of the map still shows at each of them."""
        height, width = correlation.shape
        x, y = np.clip(np.rint(places).astype(np.intp), 1, [width - 2, height - 2]).T
        slope = np.stack([correlation[y, x + 1] - correlation[y, x - 1], correlation[y + 1, x] - correlation[y - 1, x]], axis=1) / 2
        share = self._energy[y, x] / self._correlated[*self._zero]
        moves = -slope @ np.linalg.inv(self._curvature) / (amplitudes * share)[:, None]
        moved = np.clip(places + np.clip(moves, -_LONGEST_STEP_PX, _LONGEST_STEP_PX), -0.5, [width - 0.5, height - 0.5])
        overlaps = self._overlaps(places, np.sqrt(share))
        stronger = amplitudes + spsolve(overlaps, correlation[y, x])
        return moved, np.clip(stronger, 0.1 * np.median(amplitudes), 3 * np.median(amplitudes))

    def _overlaps(self, places: Array, visible: Array) -> csc_array:
        """Return the products of the patterns of any two defects, (n, n); a larger diagonal keeps it regular."""
        count = len(places)
        pairs = cKDTree(places).query_pairs(self._kernel.shape[0], p=np.inf, output_type="ndarray").reshape(-1, 2)
        across, down = (places[pairs[:, 0]] - places[pairs[:, 1]]).T
        product = map_coordinates(self._correlated, [self._zero[0] + down, self._zero[1] + across], order=1, cval=0.0)
        values = product * visible[pairs[:, 0]] * visible[pairs[:, 1]]
        own = _DIAGONAL * self._correlated[*self._zero] * visible**2
        diagonal = np.arange(count)
        rows, columns = np.concatenate([pairs.T, pairs.T[::-1], [diagonal, diagonal]], axis=1)
        return csc_array((np.concatenate([values, values, own]), (rows, columns)), shape=(count, count))

    def strongest(self, correlation: Array, places: Array) -> tuple[Array, Array]:
        """Return positions and amplitudes of peaks nearly as strong as the strongest, apart from each other and from places."""
        amplitude = np.where(self._judged, correlation / self._energy, -np.inf)
        top = float(amplitude.max())
        peaks = thin_out(local_maxima(amplitude, _BELIEVED * top), self._min_distance) if np.isfinite(top) and top > 0 else []
        positions = np.array([parabola_top(correlation, y, x) for y, x in peaks]).reshape(-1, 2)
        strengths = np.array([amplitude[y, x] for y, x in peaks])
        if places.size and positions.size:
            free = cKDTree(places).query(positions)[0] >= self._min_distance
            return positions[free], strengths[free]
        return positions, strengths

    def significance(self, rest: Array, correlation: Array, places: Array, amplitudes: Array) -> Array:
        """Return the response to each defect in robust standard deviations of the response to the rest of the map.

        At least those that white noise with the spread of the rest would give: patterns that were fitted to noise take the very
        response away by which they would be judged.
        """
        response = (correlation / np.sqrt(self._energy))[self._judged]
        spread = max(_robust_deviation(response), _robust_deviation(rest[self._measured]))
        x, y = np.clip(np.rint(places).astype(np.intp), 0, np.array(correlation.shape)[::-1] - 1).T
        return np.asarray(amplitudes * np.sqrt(self._energy[y, x]) / max(spread, np.finfo(np.float64).tiny))


def _robust_deviation(values: Array) -> float:
    # 1.4826 makes the median absolute deviation the standard deviation of a normal distribution.
    return 1.4826 * float(np.median(np.abs(values - np.median(values)))) if values.size else 0.0


def _patterns(kernel: Array, positions: Array, amplitudes: Array, shape: tuple[int, ...]) -> Array:
    from qpi_core.operators.reconstruction import reconstruct

    return reconstruct(kernel.astype(np.float32), 0.0, positions, amplitudes, shape).astype(np.float64)
