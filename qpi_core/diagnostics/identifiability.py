"""Sentences that say what the data cannot determine, the same for every method."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from qpi_core.base.grid import kernel_offsets
from qpi_core.estimates.caution import ONE_DEFECT, Caution, CautionKind

SAME_PLACE_PX = 0.5
MOST_MODELLED_PIXELS = 20_000
"""Measured pixels up to which background and noise are modelled as a whole; larger maps are modelled in tiles (qpi_core.noise.tiles)."""
MOST_GAPS = 2_000
"""Pixels that were not measured up to which they are: each is a column of the algebra."""
STRUCTURED_CORRELATION = 0.2
"""Lag-one correlation of the residual from which on it is called structured."""
NEGLIGIBLE_RESIDUAL = 0.02
"""Residuals below this fraction of the map's standard deviation are not judged."""
UNEXPLAINED_VARIANCE = 0.95
"""Share of the map's variance from which on the noise is called all that there is."""
HARDLY_EXPLAINED = (
    "Hardly any of the map's variation is explained by this kernel at the marked defects: what is shown may be noise, or wrong."
)
UNSEEN_SHARE = 0.05
"""Share of the kernel window, from which on unseen pixels are told: the outermost corners alone are no news."""


def warn_about_input(observation: NDArray[np.float32], positions: NDArray[np.float64], kernel_size: int) -> list[Caution]:
    """Return what the map and the positions themselves leave open.

    Args:
        observation: (height, width), NaN where not measured.
        positions: (n, 2) columns (x, y) in pixels, on the map.
        kernel_size: side of the kernel window in pixels.
    """
    sentences = [*_about_positions(observation, positions)]
    measured = np.isfinite(observation)
    missing = 1.0 - float(measured.mean())
    if missing > 0:
        share = f"{100 * missing:.1f} %" if missing >= 0.0005 else "less than 0.1 %"
        sentences.append(Caution(f"{share} of the map was not measured; those pixels took no part.", CautionKind.NOT_MEASURED))
    seen = coverage(positions, (observation.shape[0], observation.shape[1]), kernel_size)
    unseen = float((seen == 0).mean())
    if unseen >= UNSEEN_SHARE:
        sentences.append(
            Caution(
                f"{100 * unseen:.0f} % of the kernel window lies outside the map for every defect: "
                "there the kernel is what the method assumes, not what was measured; a smaller kernel_size avoids it.",
                CautionKind.UNSEEN_WINDOW,
                _seen_side(seen),
            )
        )
    count = int(measured.sum())
    if kernel_size**2 > count:
        sentences.append(
            Caution(
                f"The kernel has {kernel_size**2} pixels, but only {count} were measured: the data alone cannot fix it.",
                CautionKind.FEW_PIXELS,
                int(np.sqrt(count)),
            )
        )
    return sentences


def _seen_side(seen: NDArray[np.int64]) -> int:
    """Return the side in px of the largest central window, of those that lie within (k, k), of which every pixel is seen."""
    offsets = np.abs(kernel_offsets(len(seen)))
    reach = np.maximum(offsets[:, None], offsets[None, :])[seen == 0].min()
    return max(1, 2 * int(reach) - 1)


def _about_positions(observation: NDArray[np.float32], positions: NDArray[np.float64]) -> list[Caution]:
    sentences = []
    if len(positions) == 1:
        sentences.append(ONE_DEFECT)
    pairs = cKDTree(positions).query_pairs(SAME_PLACE_PX)
    if pairs:
        first = min(pairs)
        x, y = positions[first[0]]
        sentences.append(
            Caution(
                f"{len(pairs)} pair{'s' if len(pairs) > 1 else ''} of defects lie within {SAME_PLACE_PX} px of each other, the first at "
                f"x = {x:.1f} px, y = {y:.1f} px: they count as one defect of double strength; remove one of each pair.",
                CautionKind.SAME_PLACE,
            )
        )
    columns, rows = np.rint(positions).astype(int).T
    inside_x, inside_y = np.clip(columns, 0, observation.shape[1] - 1), np.clip(rows, 0, observation.shape[0] - 1)
    unmeasured = int(np.isnan(observation[inside_y, inside_x]).sum())
    if unmeasured:
        lost = f"{unmeasured} of {len(positions)} defects lie where the map was not measured."
        sentences.append(Caution(lost, CautionKind.DEFECTS_NOT_MEASURED))
    return sentences


def coverage(positions: NDArray[np.float64], shape: tuple[int, int], kernel_size: int) -> NDArray[np.int64]:
    """Return how many defects see each kernel pixel within the map, (k, k); positions are rounded to pixels."""
    offsets = kernel_offsets(kernel_size)
    columns = np.rint(positions[:, :1]) + offsets
    rows = np.rint(positions[:, 1:]) + offsets
    on_columns = ((columns >= 0) & (columns < shape[1])).astype(np.int64)
    on_rows = ((rows >= 0) & (rows < shape[0])).astype(np.int64)
    return np.asarray(on_rows.T @ on_columns)


def warn_about_fit(
    observation: NDArray[np.float32], residual: NDArray[np.float32], noise_sigma: float, whitened: NDArray[np.float64] | None = None
) -> list[Caution]:
    """Return how far the reconstruction explains the map.

    Args:
        observation: (height, width), without the background where that is modelled.
        residual: (height, width), what the reconstruction leaves.
        noise_sigma: standard deviation of the noise.
        whitened: the residual as a noise model leaves it, to be judged in its place; None: the noise is taken for white.
    """
    spread = float(np.nanstd(observation, dtype=np.float64))
    left = float(np.nanstd(residual, dtype=np.float64))
    if left <= NEGLIGIBLE_RESIDUAL * spread:
        return []
    sentences = []
    if left > spread:
        sentences.append(
            Caution(
                f"The residual (standard deviation {left:.3g}) is larger than the map's own variation ({spread:.3g}): "
                "this kernel does not describe the map.",
                CautionKind.WORSE_THAN_NOTHING,
            )
        )
    elif noise_sigma**2 >= UNEXPLAINED_VARIANCE * spread**2:
        hardly = (
            "Hardly any of the map's variation is explained by this kernel at the marked defects: what is shown may be noise, or wrong."
        )
        sentences.append(Caution(hardly, CautionKind.NOTHING_EXPLAINED))
    correlation = neighbour_correlation(residual if whitened is None else whitened)
    if correlation > STRUCTURED_CORRELATION:
        sentences.append(
            Caution(
                f"The residual is not white noise (neighbouring pixels correlate by {correlation:.2f}): something in the map is not one "
                "kernel at the marked positions, such as missing or shifted defects, a second kind of defect, steps or a slope.",
                CautionKind.STRUCTURE_LEFT,
            )
        )
    return sentences


def warn_about_gaps(residual: NDArray[np.float32]) -> list[Caution]:
    """Return that a map with many gaps was taken with white noise, where its residual is not white."""
    if neighbour_correlation(residual) <= STRUCTURED_CORRELATION:
        return []
    return [
        Caution(
            "This map has too many gaps for its background and coloured noise to be modelled, and was taken with white noise. "
            "Crop it to a part that was measured throughout, or level it first.",
            CautionKind.TOO_MANY_GAPS_FOR_NOISE,
        )
    ]


def may_be_modelled(measured: NDArray[np.bool_]) -> bool:
    """Say whether a map is small and whole enough for its background and noise to be modelled as a whole."""
    return int(measured.sum()) <= MOST_MODELLED_PIXELS and int((~measured).sum()) <= MOST_GAPS


def neighbour_correlation(image: NDArray[np.floating]) -> float:
    """Return the smaller of the correlations between neighbours along x and along y; NaN pixels are left out, 0 for a constant.

    The smaller one, because a scan line's noise is correlated along the line without any structure in the map.
    """
    values = image.astype(np.float64) - np.nanmean(image, dtype=np.float64)
    variance = float(np.nanmean(values**2))
    if variance == 0:
        return 0.0
    both = []
    for product in (values[:, 1:] * values[:, :-1], values[1:] * values[:-1]):
        pairs = product[np.isfinite(product)]
        both.append(float(pairs.mean()) / variance if pairs.size else 0.0)
    return min(both)
