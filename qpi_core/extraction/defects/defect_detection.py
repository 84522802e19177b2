"""Defects of a map whose kernel is not known: what repeats itself in the map, or what stands out of it."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from qpi_core.base.errors import InputError
from qpi_core.base.validation import require_observation
from qpi_core.diagnostics.search_limits import LEAST_SIDE, MOST_PIXELS, why_not_searched
from qpi_core.maps.detection.spots import PATTERNS as SHAPES
from qpi_core.maps.detection.spots import find_spots
from qpi_core.runtime.progress import Progress, no_progress

PATTERNS = ("auto", "repeated", *SHAPES)
DEFAULT_TIME_LIMIT_S = 60.0
_RADIUS_PX = 24.0
"""Of the kernels that are looked for: waves further out are faint, and need not be explained to say where a defect is."""
_MOST_LEFT = 0.05
"""Share of the variance beyond the noise that the defects found and their kernel may leave."""
_ROUNDS, _MOST_LAYERS = 2, 6
_FAINT_SHARE = 0.5
_ROUNDING = 1e-6


def find_defects(
    observation: ArrayLike,
    sensitivity: float = 0.5,
    polarity: str = "auto",
    min_distance: float = 4.0,
    size_px: float | None = None,
    pattern: str = "auto",
    template: ArrayLike | None = None,
    report: Progress | None = None,
    time_limit_s: float = DEFAULT_TIME_LIMIT_S,
) -> NDArray[np.float64]:
    """Return (n, 2) sub-pixel positions (x, y) of defects, the strongest first; n may be 0. A proposal to be looked over.

    What repeats itself in a map is found by the start of `Extractor.extract_blind`: the filter that turns the map into a sparse set of
    points, and the kernel that goes with them. Where nothing does, and where another pattern is asked for, by `maps.find_spots`:
    extrema of differences of Gaussians, centres of wave patterns, or a matched filter.

    Args:
        observation: (height, width), NaN = not measured; or (energies, height, width) with the same defects at every energy, of which only
            what repeats itself is found.
        sensitivity: 0 to 1; of what repeats itself, defects with less than (1 - sensitivity) / 2 of the median strength are left out;
            for spots and waves, see `maps.find_spots`.
        polarity: "bright", "dark", "both", or "auto", of spots.
        min_distance: smallest distance between two spots in pixels; what repeats itself may be closer.
        size_px: width (Gaussian sigma) of the spots or window on the waves in pixels, or None.
        pattern: "repeated": the same pattern at every defect, whatever it looks like; "spots"; "waves"; or "auto": what repeats
            itself, and spots where nothing does, where the map is larger or smaller than can be searched, or where polarity or
            size_px says what spots look like.
        template: (k, k) kernel of an extraction on the same pixels to look for; pattern then plays no part.
        report: called with the share that is done and a few words; what it raises stops the search.
        time_limit_s: the search for what repeats itself ends by then, with the best that it has.

    Raises:
        InputError: an argument outside its range, an observation that is not a 2-D layer, or "repeated" on a map that is too large
            or too small to be searched.

    Example:
        >>> import numpy as np
        >>> import qpi_core
        >>> y, x = np.mgrid[:40, :40]
        >>> spots = sum(np.exp(-((x - cx) ** 2 + (y - cy) ** 2) / 8) for cx, cy in ((10, 8), (29, 31)))
        >>> np.sort(qpi_core.find_defects(spots, polarity="bright").round(), axis=0).tolist()
        [[10.0, 8.0], [29.0, 31.0]]
    """
    if pattern not in PATTERNS:
        raise InputError(f"pattern must be one of {', '.join(map(repr, PATTERNS))}, but it is {pattern!r}.")
    if not (np.isfinite(time_limit_s) and time_limit_s > 0):
        raise InputError(f"time_limit_s must be a positive number of seconds, but it is {time_limit_s!r}.")
    if not 0 <= sensitivity <= 1:
        raise InputError(f"sensitivity must be between 0 and 1, but it is {sensitivity!r}.")
    if np.ndim(observation) == 3:
        return _find_in_stack(observation, sensitivity, time_limit_s, report)
    layer = require_observation(observation)
    if template is None and _repeats_wanted(layer, pattern, polarity, size_px):
        found = _find_repeated(layer[None], sensitivity, time_limit_s, report)
        if found is not None or pattern == "repeated":
            return np.zeros((0, 2)) if found is None else found
    shape = pattern if pattern in SHAPES else "spots"
    return find_spots(observation, sensitivity, polarity, min_distance, size_px, shape, template, report)


def _repeats_wanted(layer: NDArray[np.float32], pattern: str, polarity: str, size_px: float | None) -> bool:
    """Say whether the map is to be searched for what repeats itself.

    Raises:
        InputError: it is, and its size forbids it.
    """
    height, width = layer.shape
    if pattern == "repeated" and (why := why_not_searched(height, width)):
        raise InputError(f"observation cannot be searched for what repeats itself. {why}")
    fits = layer.size <= MOST_PIXELS and min(height, width) >= LEAST_SIDE
    return fits and (pattern == "repeated" or (pattern == "auto" and polarity == "auto" and size_px is None))


def _find_in_stack(observation: ArrayLike, sensitivity: float, time_limit_s: float, report: Progress | None) -> NDArray[np.float64]:
    """Return the defects that all energies of a stack have together.

    Raises:
        InputError: no pixel was measured at every energy, or the maps are too large or too small.
    """
    stack = np.stack([require_observation(layer) for layer in np.asanyarray(observation)])
    if why := why_not_searched(*stack.shape[1:]):
        raise InputError(f"observation cannot be searched for what repeats itself. {why}")
    if not np.isfinite(stack).all(axis=0).any():
        raise InputError("observation has no pixel that was measured at every energy.")
    found = _find_repeated(stack, sensitivity, time_limit_s, report)
    return np.zeros((0, 2)) if found is None else found


def _find_repeated(
    stack: NDArray[np.float32], sensitivity: float, time_limit_s: float, report: Progress | None
) -> NDArray[np.float64] | None:
    """Return the defects of the best explanation, the strongest first; None where none is good enough to be proposed."""
    from qpi_core.runtime.threads import one_thread
    from qpi_core.solvers.blind.finish import Finding
    from qpi_core.solvers.blind.lattice_check import repeats_itself
    from qpi_core.solvers.blind.layers import clearest_layers, prepare_layers
    from qpi_core.solvers.blind.search import BlindSearch, SearchRule
    from qpi_core.solvers.blind.single_pattern import is_single_pattern
    from qpi_core.solvers.blind.trust.verdict import MOST_UNEXPLAINED, weigh

    def explains(finding: Finding) -> bool:
        return weigh(finding).doubt() is None and finding.unexplained <= MOST_UNEXPLAINED

    inside = stack[:, np.isfinite(stack).all(axis=0)].astype(np.float64)
    usable = stack[inside.std(axis=1) > _ROUNDING * np.abs(inside).max(axis=1)]
    if not len(usable):
        return None
    with one_thread():
        layers = prepare_layers(clearest_layers(usable, _MOST_LAYERS))
        if repeats_itself(layers) or is_single_pattern(layers):
            return None
        rule = SearchRule(_RADIUS_PX, time_limit_s, most_rounds=_ROUNDS)
        findings = BlindSearch(layers, rule, explains, report or no_progress).run()
    if not findings or weigh(findings[0]).doubt() is not None or findings[0].unexplained > _MOST_LEFT:
        return None
    weights = findings[0].weights
    kept = weights >= _FAINT_SHARE * (1 - sensitivity) * np.median(weights)
    order = np.argsort(-weights[kept], kind="stable")
    return np.asarray(findings[0].positions[kept][order], dtype=np.float64)
