"""Finding point defects as spots that stand out of the background: a proposal for the user to correct, not a verdict."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import ndimage
from scipy.spatial import cKDTree

from qpi_core.base.errors import InputError
from qpi_core.base.validation import require_observation
from qpi_core.maps.detection.inversion_symmetry import inversion_response
from qpi_core.maps.detection.peaks import in_deviations, local_maxima, parabola_top, thin_out
from qpi_core.maps.preparation.levelling import subtract_polynomial
from qpi_core.runtime.progress import Progress, no_progress

PATTERNS = ("spots", "waves")
POLARITIES = ("auto", "bright", "dark", "both")

_SCALE_STEP = 1.6
_SCALES_PX = tuple(1.25 * _SCALE_STEP**k for k in range(7))
_SIDE_PER_SCALE = 16
_WINDOW_PX = 5.0
_MAX_SPOT_PX = 200
_MAX_WINDOW_PX = 15
_LOWEST_THRESHOLD = 2.5
_HIGHEST_THRESHOLD = 20.0
_ROUNDING = 1e-9
_LOBE_SHARE = 0.3
_LOBE_REACH = 4.0


def find_spots(
    observation: ArrayLike,
    sensitivity: float = 0.5,
    polarity: str = "auto",
    min_distance: float = 4.0,
    size_px: float | None = None,
    pattern: str = "spots",
    template: ArrayLike | None = None,
    report: Progress | None = None,
) -> NDArray[np.float64]:
    """Return (n, 2) sub-pixel positions (x, y) of spots or of the centres of wave patterns, the strongest first; n may be 0.

    The layer is freed of a bow (second-order polynomial). For spots it is filtered with differences of Gaussians at several widths,
    each in units of its own robust standard deviation; for waves with the symmetry under half a turn about every pixel. Extrema
    above a threshold are refined by a parabola through the neighbours.

    Args:
        observation: (height, width); NaN = not measured, which is neither spot nor edge.
        sensitivity: 0 to 1; the threshold falls from 20 to 2.5 robust standard deviations, for waves also from the strongest
            response to none of it.
        polarity: "bright", "dark", "both", or "auto" for the sign that stands out more.
        min_distance: smallest distance between two positions in pixels; of closer ones the stronger is kept.
        size_px: width (Gaussian sigma) in pixels of the spots, None tries several; or of the window on waves, None is 5.
        pattern: "spots", or "waves" for rings and crosses whose centre need not be an extremum; polarity then plays no part.
        template: (k, k) kernel of an extraction on the same pixels, centre at index k // 2, to look for in place of spots or waves
            by a matched filter; sensitivity then also lowers the least amplitude from all of the strongest one's to none of it, and
            polarity, size_px and pattern play no part.
        report: with a template, called before each round with the share that is done and a few words; what it raises stops the search.

    Raises:
        InputError: an argument outside its range, or an observation that is not a 2-D layer.

    Example:
        >>> import numpy as np
        >>> from qpi_core.maps import find_spots
        >>> y, x = np.mgrid[:40, :40]
        >>> spots = sum(np.exp(-((x - cx) ** 2 + (y - cy) ** 2) / 8) for cx, cy in ((10, 8), (29, 31)))
        >>> np.sort(find_spots(spots, polarity="bright").round(), axis=0).tolist()
        [[10.0, 8.0], [29.0, 31.0]]
    """
    if not 0 <= sensitivity <= 1:
        raise InputError(f"sensitivity must be between 0 and 1, but it is {sensitivity!r}.")
    if polarity not in POLARITIES:
        raise InputError(f"polarity must be one of {', '.join(map(repr, POLARITIES))}, but it is {polarity!r}.")
    if pattern not in PATTERNS:
        raise InputError(f"pattern must be one of {', '.join(map(repr, PATTERNS))}, but it is {pattern!r}.")
    if not 1 <= min_distance <= 1e4:
        raise InputError(f"min_distance must be between 1 and 10000 pixels, but it is {min_distance!r}.")
    largest = _MAX_SPOT_PX if pattern == "spots" else _MAX_WINDOW_PX
    if size_px is not None and not 0.5 <= size_px <= largest:
        raise InputError(f"size_px must be between 0.5 and {largest} pixels for {pattern}, but it is {size_px!r}.")
    require_observation(observation)
    if template is not None:
        from qpi_core.maps.detection.template_search import find_like_template, require_template  # scipy.signal takes a while to load

        kernel = require_template(template)
    layer = subtract_polynomial(np.array(observation, dtype=np.float64), 2)
    measured = np.isfinite(layer)
    if layer[measured].std() <= _ROUNDING * np.nanmax(np.abs(np.asarray(observation, dtype=np.float64))):
        return np.empty((0, 2))
    fitting = tuple(scale for scale in _SCALES_PX if scale <= max(_SCALES_PX[1], min(layer.shape) / _SIDE_PER_SCALE))
    scales = fitting if size_px is None else (size_px,)
    threshold = _HIGHEST_THRESHOLD ** (1 - sensitivity) * _LOWEST_THRESHOLD**sensitivity
    if template is not None:
        return find_like_template(layer, kernel, threshold, 1 - sensitivity, min_distance, report or no_progress)
    if pattern == "waves":
        response = signed = in_deviations(inversion_response(layer, measured, size_px or _WINDOW_PX), measured)
    else:
        response = _strongest_response(layer, measured, scales)
        signed = _with_polarity(response, polarity)
    if pattern == "waves":  # ripples between the defects are far above the noise, so a defect is judged against the strongest one
        threshold = max(threshold, (1 - sensitivity) ** 2 * float(signed[measured].max()))
    peaks = local_maxima(np.where(measured, signed, -np.inf), threshold)
    kept = thin_out(peaks, min_distance)
    if polarity == "both" and pattern == "spots":
        kept = _without_lobes(kept, response, _LOBE_REACH * max(scales))
    return np.array([parabola_top(signed, y, x) for y, x in kept], dtype=np.float64).reshape(-1, 2)


def _strongest_response(layer: NDArray[np.float64], measured: NDArray[np.bool_], scales: tuple[float, ...]) -> NDArray[np.float64]:
    """Return, for every pixel, the difference-of-Gaussians response of largest magnitude in units of its robust deviation.

    The scales must be _SCALE_STEP apart: the wide Gaussian of one is the narrow one of the next.
    """
    # In units of its own deviation the layer fits single precision, which halves the time.
    scale_of_values = float(layer[measured].std()) or 1.0
    filled = np.where(measured, layer / scale_of_values, 0.0).astype(np.float32)
    weights = None if measured.all() else measured.astype(np.float32)
    strongest = np.zeros_like(layer)
    narrow = _smooth(filled, weights, scales[0])
    for scale in scales:
        wide = _smooth(filled, weights, _SCALE_STEP * scale)
        difference, narrow = narrow - wide, wide
        normalised = in_deviations(difference, measured)
        strongest = np.where(np.abs(normalised) > np.abs(strongest), normalised, strongest)
    return strongest


def _smooth(filled: NDArray[np.float32], weights: NDArray[np.float32] | None, sigma: float) -> NDArray[np.float32]:
    """Return the Gaussian mean over measured pixels only; weights None means that all are measured."""
    if weights is None:
        rows, columns = (ndimage.gaussian_filter1d(np.ones(side, np.float32), sigma, mode="constant", truncate=3) for side in filled.shape)
        norm = np.outer(rows, columns)
    else:
        norm = ndimage.gaussian_filter(weights, sigma, mode="constant", truncate=3)
    smooth = ndimage.gaussian_filter(filled, sigma, mode="constant", truncate=3)
    result: NDArray[np.float32] = np.divide(smooth, norm, out=np.zeros_like(smooth), where=norm > 1e-6)
    return result


def _with_polarity(response: NDArray[np.float64], polarity: str) -> NDArray[np.float64]:
    if polarity == "auto":
        polarity = "bright" if float(np.mean(response**3)) >= 0 else "dark"
    if polarity == "both":
        return np.abs(response)
    return response if polarity == "bright" else -response


def _without_lobes(kept: list[tuple[int, int]], response: NDArray[np.float64], reach: float) -> list[tuple[int, int]]:
    """Leave out weak peaks close to a strong one of the other sign: a difference of Gaussians puts such a ring around every spot."""
    if not kept:
        return kept
    places = np.array(kept)
    heights = response[places[:, 0], places[:, 1]]
    tree = cKDTree(places)
    near = tree.query_ball_point(places, reach)
    return [
        place
        for place, height, others in zip(kept, heights, near, strict=True)
        if not (height * heights[others] < -(height**2) / _LOBE_SHARE).any()
    ]
