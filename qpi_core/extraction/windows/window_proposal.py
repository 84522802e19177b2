"""A kernel window from the pattern itself: as far out as its amplitude is more than the kernel's own uncertainty.

With a(r) the root mean square of the kernel over the angles at radius r, and s(r) that of its posterior deviation, the pattern ends at

    R = min { R' :  max over r > R' of a(r) <= max(s(r), u) },   u^2 = mean of s^2 over the disc that holds nine tenths of the power.

u is there because a posterior that is sure of the form of the decay (circular harmonics under a decaying prior) gives small deviations
where the pattern is small too, so that a(r) never falls under s(r) alone. Where noise is so low that both rules ask for the whole map,
the window ends where 0.1 % of the power is left outside. The maximum over larger radii steps over the zeros of an oscillation.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from qpi_core.base.grid import kernel_polar
from qpi_core.diagnostics.window import LARGEST_WINDOW, LEAST_WINDOW

if TYPE_CHECKING:
    from qpi_core.estimates.estimate import KernelEstimate

Array = NDArray[np.float64]

FIRST_TRIAL = 64
_NEGLIGIBLE_POWER = 1e-3
_MAIN_PART = 0.9
UNCERTAIN, FADED, WHOLE, NOTHING = "uncertain", "faded", "whole", "nothing"


@dataclass(frozen=True)
class WindowProposal:
    """A window and why.

    Attributes:
        kernel_size: side in px.
        radius_px: where the pattern ends, in px of the longer side of a pixel.
        ends: "uncertain": its amplitude falls under its uncertainty there; "faded": nearly all of its power lies within;
            "whole": it goes on beyond the largest window that this map allows; "nothing": no radius shows a pattern.
        reason: a plain sentence.
    """

    kernel_size: int
    radius_px: float
    ends: str
    reason: str


def angular_amplitudes(kernel: NDArray[np.floating], aspect: tuple[float, float] = (1.0, 1.0)) -> tuple[Array, Array]:
    """Return the root mean square over angle of a window (k, k), and the number of pixels, of rings of 1 px: (rings,) each.

    Args:
        kernel: (k, k), centre at index k // 2.
        aspect: (dy, dx) of a pixel in units of its longer side.
    """
    radii, _ = kernel_polar(kernel.shape[0], aspect)
    ring = np.rint(radii).astype(np.intp).ravel()
    count = np.bincount(ring).astype(np.float64)
    power = np.bincount(ring, weights=np.asarray(kernel, dtype=np.float64).ravel() ** 2)
    return np.sqrt(power / np.maximum(count, 1.0)), count


def propose_window(
    wide_kernel: NDArray[np.floating],
    uncertainty: NDArray[np.floating],
    largest: int,
    pixel_size_nm: tuple[float, float] | None = None,
    factor: int = 1,
) -> WindowProposal:
    """Return the window that a solved kernel asks for.

    Args:
        wide_kernel: (K, K), all that was solved.
        uncertainty: (k, k), k <= K, one standard deviation of its central window.
        largest: side in px of the largest window that the map allows.
        pixel_size_nm: (dy, dx) of the kernel's pixels, or None.
        factor: side of the kernel's pixels in px of the map; sizes are returned in px of the map.
    """
    aspect = (1.0, 1.0)
    if pixel_size_nm is not None:
        aspect = (pixel_size_nm[0] / max(pixel_size_nm), pixel_size_nm[1] / max(pixel_size_nm))
    amplitude, count = angular_amplitudes(wide_kernel, aspect)
    deviation = angular_amplitudes(uncertainty, aspect)[0]
    power = np.cumsum(count * amplitude**2)
    # Beyond the window the deviation is not known; that of the main part counts there.
    known = np.zeros_like(amplitude)
    shared = min(len(known), len(deviation))
    known[:shared] = deviation[:shared]
    main = min(int(np.searchsorted(power, _MAIN_PART * power[-1])) + 1, shared)
    typical = float(np.sqrt((count[:main] * known[:main] ** 2).sum() / count[:main].sum()))
    above = np.flatnonzero(amplitude > np.maximum(known, typical))
    held = int(np.searchsorted(power, (1 - _NEGLIGIBLE_POWER) * power[-1]))
    smallest = min(LEAST_WINDOW, largest)
    if not len(above) or power[-1] == 0:
        return WindowProposal(
            min(FIRST_TRIAL, largest), 0.0, NOTHING, "No radius shows a pattern above its uncertainty, so the usual window is kept."
        )
    end = int(above[-1])
    radius, ends = (held, FADED) if held < end else (end, UNCERTAIN)
    wanted = factor * (2 * int(np.ceil(radius / min(aspect))) + 2)
    if wanted > largest:
        ends = WHOLE
    size = int(np.clip(wanted, smallest, largest))
    pitch = max(pixel_size_nm) / factor if pixel_size_nm else None
    return WindowProposal(size, float(factor * radius), ends, _reason(size, factor * radius, ends, pitch))


def _reason(size: int, radius: float, ends: str, pitch: float | None) -> str:
    far = f"{radius:.0f} px" + (f" ({radius * pitch:.3g} nm)" if pitch else "")
    side = f"{size} px" + (f" ({size * pitch:.3g} nm)" if pitch else "")
    if ends == WHOLE:
        return f"The pattern is seen out to {far} from the defect, further than the largest window here: the window of {side} cuts it."
    if ends == FADED:
        return f"All but 0.1 % of the pattern's power lies within {far} of the defect, so the window is {side}."
    return f"The pattern's amplitude falls under its uncertainty {far} from the defect, so the window is {side}."


def propose_from_estimate(estimate: KernelEstimate, factor: int = 1, largest: int | None = None) -> WindowProposal | None:
    """Return the window that an estimate asks for, None where its method gives no uncertainty.

    Args:
        estimate: of a map.
        factor: side of its pixels in px of the map that the window is for.
        largest: side of the largest window of that map; None: that of the estimate's own map.
    """
    if estimate.uncertainty is None or not np.isfinite(estimate.uncertainty).all():
        return None
    bound = largest or min(*estimate.residual.shape, LARGEST_WINDOW)
    return propose_window(estimate.wide_kernel, estimate.uncertainty, bound, estimate.pixel_size_nm, factor)
