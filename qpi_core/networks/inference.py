"""From a map and its defects to a kernel through the networks: Decoder_K(Encoder_Y(.)) and the one-step baseline.

The networks see 64x64 pixels. A smaller kernel is the centre of theirs; for a larger one the map is binned by a whole factor, so
that 64 coarse pixels span it, and the result is brought back to the map's pitch (detail finer than a coarse pixel is lost).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor

from qpi_core.base.errors import InputError
from qpi_core.base.grid import central_crop, kernel_offsets
from qpi_core.estimates.caution import Caution, CautionKind
from qpi_core.networks.checkpoints import LoadedModels
from qpi_core.networks.kernel_frame import FRAME_SIZE, ORIENTATIONS, kernel_frame, network_window, turn, turn_back
from qpi_core.networks.kernel_vae import KERNEL_SIZE
from qpi_core.networks.map_windows import map_windows
from qpi_core.operators.convolution import ForwardOperator
from qpi_core.runtime.threads import one_torch_thread
from qpi_core.solvers.harmonic.start import HarmonicStart
from qpi_core.solvers.least_squares.amplitude import fit_amplitude
from qpi_core.solvers.least_squares.regularised import prepare_map

LATENT_SAMPLES = 4
"""Draws of the latent in each orientation for the kernel's deviation."""


@dataclass(frozen=True)
class NetworkKernel:
    """A network's kernel in the units of the observation.

    Attributes:
        kernel: (k, k) float32.
        wide_kernel: the whole window that the network gave, at the map's pitch.
        background: constant b.
        latent: (4, 8, 8) float32, or None for the baseline.
        warnings: plain sentences.
        deviation: (k, k) one standard deviation a pixel of what Encoder_Y is not sure of, None where it was not taught that.
    """

    kernel: NDArray[np.float32]
    wide_kernel: NDArray[np.float32]
    background: float
    latent: NDArray[np.float32] | None
    warnings: tuple[str, ...]
    deviation: NDArray[np.float32] | None = None


@dataclass(frozen=True)
class _Task:
    """A map on the networks' pitch: binned by `factor`."""

    observation: NDArray[np.float32]
    positions: NDArray[np.float64]
    weights: NDArray[np.float64] | None
    factor: int


def two_step_kernel(
    models: LoadedModels,
    observation: NDArray[np.float32],
    positions: NDArray[np.float64],
    kernel_size: int,
    weights: NDArray[np.float64] | None = None,
    start: HarmonicStart | None = None,
) -> NetworkKernel:
    """Return Decoder_K(Encoder_Y(.)) with amplitude and background fitted in closed form.

    An encoder that reads the kernel frame is asked in eight orientations (quarter turns and mirrors), and the kernels are averaged:
    the physics has no preferred direction, a network has. The latent is that of the map as it stands.

    Args:
        models: as loaded.
        observation: (height, width), NaN where not measured.
        positions: (n, 2) columns (x, y) in pixels.
        kernel_size: side of the kernel in pixels.
        weights: amplitude of each defect; None is 1.
        start: first stage of the harmonic solver on this very map (square pixels), where it was made already.
    """
    task = _at_network_pitch(observation, positions, weights, kernel_size)
    with torch.inference_mode():
        known = start if task.factor == 1 else None
        latents, spread = encode_distribution(models, task.observation, task.positions, task.weights, known)
        decoded = average_orientations(models.vae.decode_kernel(latents))[0]
        deviation = None if spread is None else kernel_deviation(models, latents, spread, decoded).cpu().numpy()
    latent = latents[0].cpu().numpy()
    return _finish(decoded.cpu().numpy(), latent, task, observation, positions, kernel_size, weights, deviation)


def one_step_kernel(
    models: LoadedModels,
    observation: NDArray[np.float32],
    positions: NDArray[np.float64],
    kernel_size: int,
    weights: NDArray[np.float64] | None = None,
) -> NetworkKernel:
    """Return the paper's baseline, averaged over 64x64 windows of the map; arguments as for two_step_kernel.

    Raises:
        InputError: the model has no one-step network.
    """
    if models.one_step is None:
        raise InputError(f"model {models.name!r} holds no one-step network; choose another model or the method two_step.")
    task = _at_network_pitch(observation, positions, weights, kernel_size)
    with torch.inference_mode():
        windows = map_windows(task.observation, task.positions).to(models.device)
        decoded = models.one_step(windows).mean(dim=0)[0].cpu().numpy()
    return _finish(decoded, None, task, observation, positions, kernel_size, weights)


def encode_observation(
    models: LoadedModels,
    observation: NDArray[np.float32],
    positions: NDArray[np.float64],
    weights: NDArray[np.float64] | None = None,
    start: HarmonicStart | None = None,
) -> Tensor:
    """Return Encoder_Y's standardised latents of a map at the networks' pitch.

    Returns:
        (8, 4, 8, 8), one for each orientation of `turn`, the first of the map as it stands; or (1, 4, 8, 8) for an encoder that reads
        (Y, M): it sees every window of the map, and their latents are averaged.
    """
    return encode_distribution(models, observation, positions, weights, start)[0]


def encode_distribution(
    models: LoadedModels,
    observation: NDArray[np.float32],
    positions: NDArray[np.float64],
    weights: NDArray[np.float64] | None = None,
    start: HarmonicStart | None = None,
) -> tuple[Tensor, Tensor | None]:
    """Return Encoder_Y's latents as encode_observation does, with their standard deviations, None where it was not taught them."""
    if models.encoder.config["input_kind"] == "map":
        mean, spread = models.encoder.distribution(map_windows(observation, positions).to(models.device))
        # The windows share their defects and their kernel: averaging them is not taken to make the latent any surer.
        return mean.mean(dim=0, keepdim=True), None if spread is None else spread.square().mean(dim=0, keepdim=True).sqrt()
    prepared = prepare_map(observation)
    values, mask = (torch.from_numpy(array)[None].to(models.device) for array in (prepared.values, prepared.mask))
    known = None if start is None else [start.kernel(FRAME_SIZE) / np.float32(prepared.scale)]
    frame = kernel_frame(values, mask, [positions], None if weights is None else [weights], known).inputs
    inputs = torch.cat([network_window(turn(frame, orientation)) for orientation in range(ORIENTATIONS)])
    found: tuple[Tensor, Tensor | None] = models.encoder.distribution(inputs)
    return found


def average_orientations(kernels: Tensor) -> Tensor:
    """Return the mean (1, 64, 64) of kernels (8, 1, 64, 64) decoded in the orientations of `turn`; a single kernel is left alone."""
    if len(kernels) == 1:
        return kernels[0]
    frames, seen = _turned_back(kernels)
    return network_window(frames.sum(dim=0) / seen.sum(dim=0).clamp_min(1))


def kernel_deviation(models: LoadedModels, latents: Tensor, spread: Tensor, kernel: Tensor) -> Tensor:
    """Return one standard deviation a pixel, (64, 64), of kernels decoded from latents drawn about their means.

    Args:
        models: with Decoder_K.
        latents, spread: (8, 4, 8, 8) or (1, 4, 8, 8), standardised means and standard deviations.
        kernel: (64, 64), the kernel that the draws deviate from.
    """
    generator = torch.Generator().manual_seed(0)
    total, count = torch.zeros_like(kernel), torch.zeros_like(kernel)
    for _ in range(LATENT_SAMPLES):
        noise = torch.randn(latents.shape, generator=generator).to(latents.device)
        drawn = models.vae.decode_kernel(latents + spread * noise)
        frames, seen = _turned_back(drawn) if len(drawn) > 1 else (drawn, torch.ones_like(drawn))
        windows, there = network_window(frames)[:, 0], network_window(seen)[:, 0]
        total += ((windows - kernel).square() * there).sum(dim=0)
        count += there.sum(dim=0)
    return (total / count.clamp_min(1)).sqrt()


def _turned_back(kernels: Tensor) -> tuple[Tensor, Tensor]:
    """Return kernels (8, 1, 64, 64) in the orientations of `turn` as frames (8, 1, 65, 65) as they stand, and where each is known."""
    # The window of 64 pixels has no pixel opposite to its first row and column: turned kernels leave a margin to the others.
    frames = torch.nn.functional.pad(kernels, (0, 1, 0, 1))
    seen = torch.nn.functional.pad(torch.ones_like(kernels), (0, 1, 0, 1))
    back, there = (torch.stack([turn_back(part[k], k) for k in range(ORIENTATIONS)]) for part in (frames, seen))
    return back, there


def _at_network_pitch(
    observation: NDArray[np.float32], positions: NDArray[np.float64], weights: NDArray[np.float64] | None, kernel_size: int
) -> _Task:
    factor = -(-kernel_size // KERNEL_SIZE)
    if factor == 1:
        return _Task(observation, positions, weights, 1)
    rows, columns = (-(-side // factor) for side in observation.shape)
    # Whole coarse pixels, the last ones partly beyond the map: no defect at its edge is lost.
    beyond = ((0, rows * factor - observation.shape[0]), (0, columns * factor - observation.shape[1]))
    blocks = np.pad(observation, beyond, constant_values=np.nan).reshape(rows, factor, columns, factor)
    measured = np.isfinite(blocks)
    counts = measured.sum(axis=(1, 3))
    sums = np.where(measured, blocks, 0.0).sum(axis=(1, 3))
    binned = np.where(counts > 0, sums / np.maximum(counts, 1), np.nan).astype(np.float32)
    # The centre of a coarse pixel lies between its fine pixels.
    return _Task(binned, (positions + 0.5) / factor - 0.5, weights, factor)


def _finish(
    decoded: NDArray[np.float32],
    latent: NDArray[np.float32] | None,
    task: _Task,
    observation: NDArray[np.float32],
    positions: NDArray[np.float64],
    kernel_size: int,
    weights: NDArray[np.float64] | None,
    deviation: NDArray[np.float32] | None = None,
) -> NetworkKernel:
    shape = _at_map_pitch(decoded, task.factor)
    operator = ForwardOperator(positions, observation.shape, shape.shape[0], weights)
    scale, background = fit_amplitude(observation, operator(torch.from_numpy(shape)).numpy())
    wide = (scale * shape).astype(np.float32)
    warnings = []
    if task.factor > 1:
        warnings.append(
            Caution(
                f"The networks see {KERNEL_SIZE} pixels: the map was binned by {task.factor} for a kernel of {kernel_size} pixels, "
                "so finer detail is missing from their kernel.",
                CautionKind.COARSE_NETWORK,
            )
        )
    if scale == 0.0:
        nothing = "The network's kernel does not explain the map at all: the amplitude that fits is zero."
        warnings.append(Caution(nothing, CautionKind.NOTHING_EXPLAINED))
    if deviation is not None:
        deviation = central_crop((scale * _at_map_pitch(deviation, task.factor)).astype(np.float32), kernel_size).copy()
    return NetworkKernel(central_crop(wide, kernel_size).copy(), wide, background, latent, tuple(warnings), deviation)


def _at_map_pitch(kernel: NDArray[np.float32], factor: int) -> NDArray[np.float32]:
    """Return the kernel resampled from the coarse to the map's pitch, centre onto centre."""
    one_torch_thread()
    if factor == 1:
        return kernel
    coordinates = kernel_offsets(KERNEL_SIZE * factor) / factor + KERNEL_SIZE // 2
    grid = np.meshgrid(coordinates, coordinates, indexing="ij")
    return np.asarray(ndimage.map_coordinates(kernel, grid, order=3, mode="nearest"), dtype=np.float32)
