"""Does the kernel's window hold the pattern? What lies outside of it is in the reconstruction, but not in the kernel."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from qpi_core.base.grid import central_crop, kernel_offsets
from qpi_core.estimates.caution import Caution, CautionKind

LEAST_WINDOW, LARGEST_WINDOW = 16, 256
"""Sides in px between which a window is proposed or chosen; a smaller map is taken whole."""
CUT_SHARE = 0.05
"""Share of the pattern's power outside of the window, from which on the window is said to cut it."""
_ENOUGH = 0.99
"""Share of the power that a proposed window holds."""
_WAVE_VECTORS = ("wave_vector_rad_per_nm", "wave_vector_rad_per_px")


def share_outside(wide_kernel: NDArray[np.floating], size: int) -> float:
    """Return the share of the power of a kernel (K, K) outside of its central (size, size) window, 0 for a zero kernel."""
    values = np.asarray(wide_kernel, dtype=np.float32)
    whole, inside = (float((part.astype(np.float64) ** 2).sum()) for part in (values, central_crop(values, size)))
    return 0.0 if whole == 0 else max(0.0, 1.0 - inside / whole)


def window_that_holds(wide_kernel: NDArray[np.floating], share: float = _ENOUGH) -> int:
    """Return the side in px of the smallest central window with a share of the power of a kernel (K, K)."""
    side = wide_kernel.shape[0]
    offsets = np.abs(kernel_offsets(side))
    reach = np.maximum(offsets[:, None], offsets[None, :])
    power = np.bincount(reach.astype(int).ravel(), weights=np.asarray(wide_kernel, dtype=np.float64).ravel() ** 2)
    half = int(np.searchsorted(np.cumsum(power), share * power.sum()))
    return min(2 * half + 1, int(side))


def warn_about_window(
    kernel: NDArray[np.float32],
    wide_kernel: NDArray[np.float32],
    parameters: Mapping[str, tuple[float, float]],
    pixel_size_nm: tuple[float, float] | None,
) -> list[Caution]:
    """Return what the window of a kernel leaves out.

    Args:
        kernel: (k, k), the window.
        wide_kernel: (K, K) with K >= k, all that was solved.
        parameters: of the kernel, name with its unit -> (value, standard deviation).
        pixel_size_nm: (dy, dx), or None.
    """
    size = kernel.shape[0]
    pitch = max(pixel_size_nm) if pixel_size_nm else 1.0
    unit = "nm" if pixel_size_nm else "px"
    side = f"{size} px" + (f" ({size * pitch:.3g} nm)" if pixel_size_nm else "")
    sentences = []
    outside = share_outside(wide_kernel, size)
    if outside > CUT_SHARE:
        enough = window_that_holds(wide_kernel)
        sentences.append(
            Caution(
                f"The kernel window of {side} cuts the pattern: {100 * outside:.0f} % of its power lies outside, in the reconstruction but "
                f"not in the kernel. A window of {enough} px would hold it.",
                CautionKind.WINDOW_CUTS,
                enough,
            )
        )
    q = next((parameters[name][0] for name in _WAVE_VECTORS if name in parameters), float("nan"))
    if np.isfinite(q) and q > 0 and 2 * np.pi / q > size * pitch:
        sentences.append(
            Caution(
                f"The period of the oscillation, 2π/q = {2 * np.pi / q:.3g} {unit}, is longer than the window of {side}: its wave vector "
                "and symmetry are not to be trusted; enlarge the window.",
                CautionKind.PERIOD_BEYOND_WINDOW,
                int(np.ceil(2 * 2 * np.pi / (q * pitch))),
            )
        )
    return sentences
