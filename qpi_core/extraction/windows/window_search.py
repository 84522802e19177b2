"""The search for a kernel window: trial kernels in windows that grow until they hold the whole pattern.

A trial that is larger than the first is solved on a coarser map (means of f x f pixels) where the first one shows that this loses next to
nothing of the pattern: how far a pattern reaches does not depend on the pixels, and the time goes with their number.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from qpi_core.base.errors import InputError
from qpi_core.base.validation import require_observation, require_positions
from qpi_core.diagnostics.window import LARGEST_WINDOW
from qpi_core.extraction.windows.window_proposal import FIRST_TRIAL, NOTHING, WHOLE, WindowProposal, propose_from_estimate
from qpi_core.operators.coarsening import coarser_map, coarser_pitch, coarser_positions, keeps_pattern
from qpi_core.solvers.least_squares.single_defect import is_one_place

if TYPE_CHECKING:
    from qpi_core.estimates.estimate import KernelEstimate
    from qpi_core.extraction.extractor import Extractor

Array = NDArray[np.float64]

AUTO = "auto"
_LAYERS = 3


def grow_window(solve: Callable[[int, int], list[KernelEstimate]], shape: tuple[int, int]) -> WindowProposal:
    """Return the largest of the windows that kernels ask for; the trial window grows until it holds them or the map ends.

    Args:
        solve: (side of a trial window in px of the coarser map, factor) -> estimates, one a class or a layer, of the map whose pixels
            are means of factor x factor pixels.
        shape: (height, width) of the map.
    """
    largest = min(*shape, LARGEST_WINDOW)
    trial, factor = min(FIRST_TRIAL, largest), 1
    kernels: list[NDArray[np.floating]] = []
    while True:
        estimates = solve(trial // factor, factor)
        proposals = [found for one in estimates if (found := propose_from_estimate(one, factor, largest)) is not None]
        if not proposals:
            return WindowProposal(trial, 0.0, NOTHING, "The map shows no pattern, so the usual window is kept.")
        proposal = max(proposals, key=lambda one: (one.ends != NOTHING, one.kernel_size))
        solved = factor * min(len(estimate.wide_kernel) for estimate in estimates)
        if trial == largest or proposal.kernel_size + 2 * factor < min(solved, largest):
            return proposal
        kernels = kernels or [estimate.kernel for estimate in estimates]
        trial = 2 * trial if 2.5 * trial < largest else largest
        factor = next((f for f in (4, 2) if trial >= f * FIRST_TRIAL and keeps_pattern(kernels, f)), 1)


def _trial_kernels(
    extractor: Extractor,
    images: Sequence[NDArray[np.floating]],
    places: Array,
    size: int,
    factor: int,
    pitch: float | tuple[float, float] | None,
    weights: ArrayLike | None,
    noise_model: str,
) -> list[KernelEstimate]:
    """Return the kernel of each map, solved by `harmonic` on its coarser map; size, places and pitch are those of the coarser map."""
    return [
        extractor.extract(
            coarser_map(image, factor),
            places,
            "harmonic",
            size,
            pixel_size_nm=pitch,
            weights=weights,
            with_latent=False,
            noise_model=noise_model,
        )
        for image in images
    ]


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

    def solve(size: int, factor: int) -> list[KernelEstimate]:
        places, pitch = coarser_positions(positions, factor), coarser_pitch(pixel_size_nm, factor)
        if classes is not None:
            seen = coarser_map(image, factor)
            found = extractor.extract_classes(seen, places, classes, "harmonic", size, pixel_size_nm=pitch, weights=weights)
            return list(found.estimates.values())
        return _trial_kernels(extractor, [image], places, size, factor, pitch, weights, "white" if alone else noise_model)

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
        return WindowProposal(min(FIRST_TRIAL, *stack.shape[1:]), 0.0, NOTHING, "Nothing of this stack was measured.")
    chosen = choose_pilots(measured, _LAYERS)

    def solve(size: int, factor: int) -> list[KernelEstimate]:
        places, pitch = coarser_positions(positions, factor), coarser_pitch(pixel_size_nm, factor)
        return _trial_kernels(extractor, [stack[index] for index in chosen], places, size, factor, pitch, weights, "white")

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
