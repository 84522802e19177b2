"""The search for a kernel window: trial kernels in windows that grow until they hold the whole pattern.

A trial that is larger than the first is solved on a coarser map (means of f x f pixels) where the first one shows that this loses next to
nothing of the pattern: how far a pattern reaches does not depend on the pixels, and the time goes with their number.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from qpi_core.base.errors import InputError
from qpi_core.base.validation import require_observation, require_positions
from qpi_core.diagnostics.window import LARGEST_WINDOW
from qpi_core.extraction.windows.window_proposal import FIRST_TRIAL, NOTHING, WHOLE, WindowProposal, propose_from_estimate
from qpi_core.operators.coarsening import coarser_map, coarser_pitch, coarser_positions, keeps_pattern
from qpi_core.runtime.progress import Progress, no_progress, part_of
from qpi_core.solvers.least_squares.single_defect import is_one_place

if TYPE_CHECKING:
    from qpi_core.estimates.estimate import KernelEstimate
    from qpi_core.extraction.extractor import Extractor

Array = NDArray[np.float64]

AUTO = "auto"
_LAYERS = 3
_SEARCH = 0.4
"""Share of the time of an extraction that goes into the search for its window, roughly."""


def grow_window(
    solve: Callable[[int, int, Progress], list[KernelEstimate]], shape: tuple[int, int], report: Progress = no_progress
) -> WindowProposal:
    """Return the largest of the windows that kernels ask for; the trial window grows until it holds them or the map ends.

    Args:
        solve: (side of a trial window in px of the coarser map, factor, report) -> estimates, one a class or a layer, of the map whose
            pixels are means of factor x factor pixels.
        shape: (height, width) of the map.
        report: called between the steps; what it raises stops the search.
    """
    largest = min(*shape, LARGEST_WINDOW)
    trial, factor = min(FIRST_TRIAL, largest), 1
    kernels: list[NDArray[np.floating]] = []
    done, most = 0, 1 + max(0, int(np.ceil(np.log2(largest / trial))))
    while True:
        words = f"Looking for the window, trying {trial} px"
        report(done / most, words)
        estimates = solve(trial // factor, factor, _with_words(part_of(report, done / most, (done + 1) / most), words))
        done += 1
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


def _with_words(report: Progress, words: str) -> Progress:
    """Return a report that says the same words whatever it is told: of the steps of a trial nobody but its author knows the meaning."""
    return lambda share, _, /: report(share, words)


@dataclass(frozen=True)
class _Trials:
    """How trial kernels are solved, by `harmonic` on coarser maps."""

    extractor: Extractor
    positions: ArrayLike
    weights: ArrayLike | None
    pixel_size_nm: float | tuple[float, float] | None
    noise_model: str

    def solve(self, images: Sequence[NDArray[np.floating]], size: int, factor: int, report: Progress) -> list[KernelEstimate]:
        """Return the kernel of each map; the size is that of the coarser map."""
        return [
            self.extractor.extract(
                coarser_map(image, factor),
                coarser_positions(self.positions, factor),
                "harmonic",
                size,
                pixel_size_nm=coarser_pitch(self.pixel_size_nm, factor),
                weights=self.weights,
                with_latent=False,
                noise_model=self.noise_model,
                report=part_of(report, index / len(images), (index + 1) / len(images)),
            )
            for index, image in enumerate(images)
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
    report: Progress = no_progress,
) -> WindowProposal:
    """Solve a map by `harmonic` for its window.

    Args:
        extractor: runs the method; no network takes part.
        observation: (height, width), NaN where not measured.
        positions: (n, 2) columns (x, y) in pixels.
        classes: the class of each defect, or None for one class.
        weights, pixel_size_nm, noise_model: as for Extractor.extract; several classes know white noise only.
        report: as for grow_window.

    Raises:
        InputError: as Extractor.extract.
    """
    image = require_observation(observation)
    # Around a single place nothing tells a pattern from a background of the same width: the window holds both.
    alone = is_one_place(require_positions(positions, (image.shape[0], image.shape[1])))

    trials = _Trials(extractor, positions, weights, pixel_size_nm, "white" if alone else noise_model)

    def solve(size: int, factor: int, told: Progress) -> list[KernelEstimate]:
        if classes is None:
            return trials.solve([image], size, factor, told)
        places, pitch = coarser_positions(positions, factor), coarser_pitch(pixel_size_nm, factor)
        seen = coarser_map(image, factor)
        found = extractor.extract_classes(seen, places, classes, "harmonic", size, pixel_size_nm=pitch, weights=weights, report=told)
        return list(found.estimates.values())

    return grow_window(solve, (image.shape[0], image.shape[1]), report)


def find_stack_window(
    extractor: Extractor,
    stack: NDArray[np.floating],
    positions: ArrayLike,
    *,
    weights: ArrayLike | None = None,
    pixel_size_nm: float | tuple[float, float] | None = None,
    report: Progress = no_progress,
) -> WindowProposal:
    """Return the largest window that a few layers, spread over the energies, ask for: one window serves the whole stack.

    Args:
        extractor, positions, weights, pixel_size_nm: as for find_window; the layers are solved with white noise, as stacks are.
        stack: (energies, height, width), NaN where not measured.
        report: as for grow_window.

    Raises:
        InputError: as Extractor.extract, or nothing was measured.
    """
    from qpi_core.solvers.layers.pilots import choose_pilots

    measured = [index for index, layer in enumerate(stack) if np.isfinite(layer).any()]
    if not measured:
        return WindowProposal(min(FIRST_TRIAL, *stack.shape[1:]), 0.0, NOTHING, "Nothing of this stack was measured.")
    chosen = choose_pilots(measured, _LAYERS)

    trials = _Trials(extractor, positions, weights, pixel_size_nm, "white")

    def solve(size: int, factor: int, told: Progress) -> list[KernelEstimate]:
        return trials.solve([stack[index] for index in chosen], size, factor, told)

    return grow_window(solve, (stack.shape[1], stack.shape[2]), report)


def window_and_rest(kernel_size: int | str, report: Progress | None) -> tuple[Progress, Progress]:
    """Return the reports of the search for a window, where one is wanted, and of the extraction in it."""
    if kernel_size != AUTO:
        return no_progress, report or no_progress
    return part_of(report, 0.0, _SEARCH), part_of(report, _SEARCH, 1.0)


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
