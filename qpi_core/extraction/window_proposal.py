"""A kernel window from the pattern itself: as far out as its amplitude is more than the kernel's own uncertainty.

With a(r) the root mean square of the kernel over the angles at radius r, and s(r) that of its posterior deviation, the pattern ends at

    R = min { R' :  max over r > R' of a(r) <= max(s(r), u) },   u^2 = mean of s^2 over the disc that holds nine tenths of the power.

u is there because a posterior that is sure of the form of the decay (circular harmonics under a decaying prior) gives small deviations
where the pattern is small too, so that a(r) never falls under s(r) alone. Where noise is so low that both rules ask for the whole map,
the window ends where 0.1 % of the power is left outside. The maximum over larger radii steps over the zeros of an oscillation.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from qpi_core.base.errors import InputError
from qpi_core.base.grid import kernel_polar
from qpi_core.base.validation import require_observation, require_positions
from qpi_core.diagnostics.window import LARGEST_WINDOW, LEAST_WINDOW
from qpi_core.solvers.single_defect import is_one_place

if TYPE_CHECKING:
    from qpi_core.estimates.estimate import KernelEstimate
    from qpi_core.extraction.extractor import Extractor

Array = NDArray[np.float64]

AUTO = "auto"
_FIRST_TRIAL = 64
_NEGLIGIBLE_POWER = 1e-3
_MAIN_PART = 0.9
_LAYERS = 3
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
) -> WindowProposal:
    """Return the window that a solved kernel asks for.

    Args:
        wide_kernel: (K, K), all that was solved.
        uncertainty: (k, k), k <= K, one standard deviation of its central window.
        largest: side in px of the largest window that the map allows.
        pixel_size_nm: (dy, dx), or None.
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
            min(_FIRST_TRIAL, largest), 0.0, NOTHING, "No radius shows a pattern above its uncertainty, so the usual window is kept."
        )
    end = int(above[-1])
    radius, ends = (held, FADED) if held < end else (end, UNCERTAIN)
    wanted = 2 * int(np.ceil(radius / min(aspect))) + 2
    if wanted > largest:
        ends = WHOLE
    size = int(np.clip(wanted, smallest, largest))
    return WindowProposal(size, float(radius), ends, _reason(size, radius, ends, pixel_size_nm))


def _reason(size: int, radius: float, ends: str, pixel_size_nm: tuple[float, float] | None) -> str:
    pitch = max(pixel_size_nm) if pixel_size_nm else None
    far = f"{radius:.0f} px" + (f" ({radius * pitch:.3g} nm)" if pitch else "")
    side = f"{size} px" + (f" ({size * pitch:.3g} nm)" if pitch else "")
    if ends == WHOLE:
        return f"The pattern is seen out to {far} from the defect, further than the largest window here: the window of {side} cuts it."
    if ends == FADED:
        return f"All but 0.1 % of the pattern's power lies within {far} of the defect, so the window is {side}."
    return f"The pattern's amplitude falls under its uncertainty {far} from the defect, so the window is {side}."


def propose_from_estimate(estimate: KernelEstimate) -> WindowProposal | None:
    """Return the window that an estimate asks for, None where its method gives no uncertainty."""
    if estimate.uncertainty is None or not np.isfinite(estimate.uncertainty).all():
        return None
    largest = min(*estimate.residual.shape, LARGEST_WINDOW)
    return propose_window(estimate.wide_kernel, estimate.uncertainty, largest, estimate.pixel_size_nm)


def grow_window(solve: Callable[[int], list[KernelEstimate]], shape: tuple[int, int]) -> WindowProposal:
    """Return the largest of the windows that kernels ask for; the trial window grows until it holds them or the map ends.

    Args:
        solve: side of a trial window in px -> estimates, one a class or a layer.
        shape: (height, width) of the map.
    """
    largest = min(*shape, LARGEST_WINDOW)
    trial = min(_FIRST_TRIAL, largest)
    while True:
        estimates = solve(trial)
        proposals = [found for found in map(propose_from_estimate, estimates) if found is not None]
        if not proposals:
            return WindowProposal(trial, 0.0, NOTHING, "The map shows no pattern, so the usual window is kept.")
        proposal = max(proposals, key=lambda one: (one.ends != NOTHING, one.kernel_size))
        solved = min(len(estimate.wide_kernel) for estimate in estimates)
        if trial == largest or proposal.kernel_size + 2 < min(solved, largest):
            return proposal
        trial = min(2 * trial, largest)


def find_window(
    extractor: Extractor,
    observation: ArrayLike,
    positions: ArrayLike,
    *,
    classes: Sequence[object] | None = None,
    weights: ArrayLike | None = None,
    pixel_size_nm: float | tuple[float, float] | None = None,
    noise_model: str = "auto",
) -> WindowProposal:
    """Solve a map by `harmonic` for its window.

    Args:
        extractor: runs the method; no network takes part.
        observation: (height, width), NaN where not measured.
        positions: (n, 2) columns (x, y) in pixels.
        classes: the class of each defect, or None for one class.
        weights, pixel_size_nm, noise_model: as for Extractor.extract; several classes know white noise only.

    Raises:
        InputError: as Extractor.extract.
    """
    image = require_observation(observation)
    # Around a single place nothing tells a pattern from a background of the same width: the window holds both.
    alone = is_one_place(require_positions(positions, (image.shape[0], image.shape[1])))

    def solve(size: int) -> list[KernelEstimate]:
        if classes is not None:
            found = extractor.extract_classes(image, positions, classes, "harmonic", size, pixel_size_nm=pixel_size_nm, weights=weights)
            return list(found.estimates.values())
        return [
            extractor.extract(
                image,
                positions,
                "harmonic",
                size,
                pixel_size_nm=pixel_size_nm,
                weights=weights,
                with_latent=False,
                noise_model="white" if alone else noise_model,
            )
        ]

    return grow_window(solve, (image.shape[0], image.shape[1]))


def find_stack_window(
    extractor: Extractor,
    stack: NDArray[np.floating],
    positions: ArrayLike,
    *,
    weights: ArrayLike | None = None,
    pixel_size_nm: float | tuple[float, float] | None = None,
) -> WindowProposal:
    """Return the largest window that a few layers, spread over the energies, ask for: one window serves the whole stack.

    Args:
        extractor, positions, weights, pixel_size_nm: as for find_window; the layers are solved with white noise, as stacks are.
        stack: (energies, height, width), NaN where not measured.

    Raises:
        InputError: as Extractor.extract, or nothing was measured.
    """
    from qpi_core.solvers.layers.pilots import choose_pilots

    measured = [index for index, layer in enumerate(stack) if np.isfinite(layer).any()]
    if not measured:
        return WindowProposal(min(_FIRST_TRIAL, *stack.shape[1:]), 0.0, NOTHING, "Nothing of this stack was measured.")
    chosen = choose_pilots(measured, _LAYERS)

    def solve(size: int) -> list[KernelEstimate]:
        return [
            extractor.extract(
                stack[index],
                positions,
                "harmonic",
                size,
                pixel_size_nm=pixel_size_nm,
                weights=weights,
                with_latent=False,
                noise_model="white",
            )
            for index in chosen
        ]

    return grow_window(solve, (stack.shape[1], stack.shape[2]))


def resolve_window(kernel_size: int | str, find: Callable[[], WindowProposal]) -> tuple[int, WindowProposal | None]:
    """Return the side that is asked for as it is, or that of a proposal with the proposal.

    Args:
        kernel_size: a number of pixels, or "auto".
        find: makes the proposal, called only where it is asked for.

    Raises:
        InputError: another word than "auto", or as find.
    """
    if not isinstance(kernel_size, str):
        return kernel_size, None
    if kernel_size != AUTO:
        raise InputError(f'kernel_size must be a whole number of pixels or "auto", but it is {kernel_size!r}.')
    proposal = find()
    return proposal.kernel_size, proposal


def kernel_size_argument(text: str) -> int | str:
    """Return a number of pixels or "auto" from an argument of the command line.

    Raises:
        argparse.ArgumentTypeError: neither.
    """
    if text == AUTO:
        return text
    try:
        return int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"it must be a whole number of pixels or auto, but it is {text!r}") from None


def with_proposal(estimate: KernelEstimate, proposal: WindowProposal) -> KernelEstimate:
    """Return an estimate that says how its window was chosen; where the pattern goes on beyond it, in a warning too."""
    provenance = {**estimate.provenance, "window": {"chosen": AUTO, **asdict(proposal)}}
    said = (proposal.reason,) if proposal.ends in (WHOLE, NOTHING) else ()
    return replace(estimate, provenance=provenance, warnings=tuple(dict.fromkeys((*estimate.warnings, *said))))
