"""Kernel-frame inputs of Encoder_Y: what the map says about the kernel, gathered in the window around one defect.

The channels are estimates of the kernel, so the network never sees the map's own size and only has to correct them:

    0      mean of the crops around the defects (adjoint over coverage)
    1 - 4  conjugate-gradient estimates at four regularisation strengths, strongest first
    5      coverage: the share of defects that show this offset inside the map
    6      log10 of the number of defects, over 3
    7      the harmonic solver's first estimate: one rotation symmetry, one radial profile

Channels 0 to 4 and 7 are in units of `scale`, the largest value of the second-strongest estimate.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from qpi_core.networks.kernel_vae import KERNEL_SIZE
from qpi_core.operators.convolution import ForwardOperator
from qpi_core.solvers.harmonic.start import start_harmonics
from qpi_core.solvers.least_squares.regularised import centred, gaussian_envelope, solve_shifted

CHANNELS = 8
START_CHANNEL = 7
"""The estimate that Encoder_Y starts from when it begins as Encoder_K."""
FRAME_SIZE = KERNEL_SIZE + 1
"""Odd, so that turning and mirroring the frame about its centre is exact; the network reads the first 64 rows and columns."""
SOLVED_WINDOW = 95
ENVELOPE_WIDTH_PX = 12.0
RELATIVE_STRENGTHS = (1e-4, 1e-3, 1e-2, 1e-1)
ITERATIONS = 24
ORIENTATIONS = 8
"""Quarter turns, and the same mirrored: what a square grid allows without interpolation."""
LIMIT = 3.0


@dataclass(frozen=True)
class KernelFrame:
    """Inputs (batch, CHANNELS, FRAME_SIZE, FRAME_SIZE) and the scale (batch,) in units of the values that went in."""

    inputs: Tensor
    scale: Tensor


@torch.no_grad()
def kernel_frame(
    values: Tensor,
    mask: Tensor,
    positions: Sequence[NDArray[np.float64]],
    weights: Sequence[NDArray[np.float64]] | None = None,
    harmonic: Sequence[NDArray[np.float32]] | None = None,
) -> KernelFrame:
    """Gather the evidence of a batch of maps of one shape.

    Args:
        values: (batch, height, width), mean 0 and standard deviation 1, zero where not measured.
        mask: (batch, height, width), 1 where measured.
        positions: one (n, 2) array of (x, y) in pixels a map.
        weights: one (n,) array of amplitudes a map; None is 1.
        harmonic: one (FRAME_SIZE, FRAME_SIZE) harmonic estimate a map, in units of the values, where it is known already.
    """
    if harmonic is None:
        harmonic = [
            harmonic_image(values[k], mask[k], positions[k], None if weights is None else weights[k]) for k in range(len(positions))
        ]
    shape = (values.shape[-2], values.shape[-1])
    operator = ForwardOperator(list(positions), shape, SOLVED_WINDOW, weights, device=values.device)
    count = torch.tensor([float(len(p)) for p in positions], device=values.device)
    power = count if weights is None else torch.tensor([float((w**2).sum()) for w in weights], device=values.device)
    strengths = torch.tensor(RELATIVE_STRENGTHS, device=values.device)[:, None] * power
    envelope = gaussian_envelope(SOLVED_WINDOW, ENVELOPE_WIDTH_PX).to(values.device)
    estimates = solve_shifted(operator, values, mask, envelope, strengths, ITERATIONS).flip(0)
    # Defects of other amplitudes count by the square of it; without amplitudes this counts the defects that show an offset.
    squares = None if weights is None else [w**2 for w in weights]
    counting = ForwardOperator(list(positions), shape, SOLVED_WINDOW, squares, device=values.device)
    seen = counting.adjoint(mask).clamp_min(0)
    average = operator.adjoint(centred(values, mask)) / torch.maximum(seen, 0.5 * (power / count)[:, None, None])
    start = SOLVED_WINDOW // 2 - FRAME_SIZE // 2
    crop = slice(start, start + FRAME_SIZE)
    guess = torch.from_numpy(np.stack(harmonic)).to(values.device)[:, None]
    images = torch.cat([torch.cat([average[None], estimates])[..., crop, crop].transpose(0, 1), guess], dim=1)
    scale = images[:, 2].abs().amax(dim=(-2, -1)).clamp_min(1e-6)
    images = (images / scale[:, None, None, None]).clamp(-LIMIT, LIMIT)
    coverage = (seen[:, None, crop, crop] / power[:, None, None, None]).clamp(0, 2)
    level = (torch.log10(count) / 3)[:, None, None, None].expand_as(coverage)
    return KernelFrame(torch.cat([images[:, :5], coverage, level, images[:, 5:]], dim=1), scale)


def harmonic_image(
    values: Tensor, mask: Tensor, positions: NDArray[np.float64], weights: NDArray[np.float64] | None
) -> NDArray[np.float32]:
    """Return the harmonic solver's first estimate, (FRAME_SIZE, FRAME_SIZE), of one map (height, width) in units of its values."""
    measured = np.where(mask.cpu().numpy() > 0, values.cpu().numpy(), np.nan).astype(np.float32)
    amplitudes = np.ones(len(positions)) if weights is None else weights
    return start_harmonics(measured, positions, FRAME_SIZE, amplitudes).kernel(FRAME_SIZE)


def turn_back(frames: Tensor, orientation: int) -> Tensor:
    """Undo `turn`."""
    unmirrored = frames.flip(-1) if orientation >= 4 else frames
    return torch.rot90(unmirrored, -(orientation % 4), dims=(-2, -1))


def turn(frames: Tensor, orientation: int) -> Tensor:
    """Return odd-sized frames (..., n, n) in one of eight orientations: quarter turns 0-3, and mirrored for 4-7."""
    turned = torch.rot90(frames, orientation % 4, dims=(-2, -1))
    return turned.flip(-1) if orientation >= 4 else turned


def network_window(frames: Tensor) -> Tensor:
    """Return the 64x64 part of the frames that the network reads; the centre stays at index 32."""
    return frames[..., :KERNEL_SIZE, :KERNEL_SIZE]
