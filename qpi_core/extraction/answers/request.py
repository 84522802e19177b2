"""What a method is given and what it gives."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from qpi_core.base.validation import require_kernel_size, require_observation, require_pixel_size, require_positions, require_weights
from qpi_core.estimates.caution import Caution, CautionKind
from qpi_core.runtime.progress import Progress, no_progress

if TYPE_CHECKING:
    from qpi_core.estimates.solution import KernelSolution
    from qpi_core.extraction.answers.first_stage import FirstStage
    from qpi_core.networks.checkpoints import LoadedModels
    from qpi_core.networks.inference import NetworkKernel
    from qpi_core.noise.model import MapNoise
    from qpi_core.solvers.measured.kinds.two_kinds import TwoKinds
    from qpi_core.solvers.positions.catalogue.repaired_positions import RepairedList


@dataclass(frozen=True)
class Request:
    """What a method is given; every value has been checked.

    Attributes:
        observation: (height, width) float32, NaN where not measured, not constant.
        positions: (n, 2) columns (x, y) in pixels.
        weights: (n,) amplitude of each defect.
        kernel_size: side of the kernel in pixels.
        pixel_size_nm: (dy, dx), or None where it is not known.
        models: loads the networks, or raises InputError where there are none.
        has_model: says whether there are networks to load.
        position_sigma: (n,) prior deviation in px of positions that the map itself has moved, None where they are as they were given.
        latent_wanted: whether a method that tries the networks only where it needs them runs them in any case.
        noise_model: "auto": background, coloured noise and unequal defects as the map asks for them; "white": a constant and white noise.
        effort: "full", or "fast": the first stage alone where there is one (see first_estimate).
        on_first: called with the answer of the first stage as soon as there is one; None where nobody asks for it.
        report: progress; called with the share of the solve that is done and a few words.
        begun: first stage of the harmonic solver for this map and list, where it was made already (see first_stage).
    """

    observation: NDArray[np.float32]
    positions: NDArray[np.float64]
    weights: NDArray[np.float64]
    kernel_size: int
    pixel_size_nm: tuple[float, float] | None
    models: Callable[[], LoadedModels]
    has_model: Callable[[], bool]
    position_sigma: NDArray[np.float64] | None = None
    latent_wanted: bool = True
    noise_model: str = "auto"
    effort: str = "full"
    on_first: Callable[[Answer], None] | None = None
    report: Progress = no_progress
    begun: FirstStage | None = None


@dataclass(frozen=True)
class Answer:
    """What a method gives.

    Attributes:
        solution: the kernel.
        network: the networks' own kernel where it ran Encoder_Y.
        repair: the list where it had to be repaired.
        noise: what else the map holds, where that is more than a constant and white noise.
        weights: (n,) of the given defects where the map gave each its own; None: as they were given.
        kinds: the two kinds that a list of one holds, where the map shows them; they are offered, the solution is that of the list.
        notes: further sentences for the user.
    """

    solution: KernelSolution
    network: NetworkKernel | None = None
    repair: RepairedList | None = None
    noise: MapNoise | None = None
    weights: NDArray[np.float64] | None = None
    kinds: TwoKinds | None = None
    notes: tuple[str, ...] = ()


def checked_request(
    observation: ArrayLike,
    positions: ArrayLike,
    kernel_size: int,
    pixel_size_nm: float | tuple[float, float] | None,
    weights: ArrayLike | None,
    networks: tuple[Callable[[], LoadedModels], Callable[[], bool]],
) -> Request:
    """Return the checked arguments of an extraction; networks are what loads them, and what says whether there are some.

    Raises:
        InputError: as Extractor.extract.
    """
    image = require_observation(observation)
    shape = (image.shape[0], image.shape[1])
    points = require_positions(positions, shape)
    return Request(
        observation=image,
        positions=points,
        weights=require_weights(weights, len(points)),
        kernel_size=require_kernel_size(kernel_size, shape),
        pixel_size_nm=None if pixel_size_nm is None else require_pixel_size(pixel_size_nm),
        models=networks[0],
        has_model=networks[1],
    )


def constant_answer(request: Request) -> Answer:
    """Return the empty answer for a map that is constant to rounding."""
    from qpi_core.estimates.solution import KernelSolution

    value = float(np.nanmedian(request.observation))
    zeros = np.zeros((request.kernel_size, request.kernel_size), dtype=np.float32)
    sentence = f"The map is constant (every measured pixel is {value:.6g}): there is no pattern in it, so the kernel is zero."
    return Answer(KernelSolution(zeros, zeros, value, 0.0, warnings=(Caution(sentence, CautionKind.CONSTANT_MAP),)))
