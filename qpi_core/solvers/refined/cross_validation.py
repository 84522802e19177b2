"""Which prior mean, and how much of a correction, the data prefer: judged on tiles of the map that nothing has seen.

Wrong positions and missing defects leave a residual that neighbouring pixels share, so single held-out pixels flatter whatever was
fitted close to them. Here whole tiles are held out, every candidate is made afresh without them, and standard errors are those
of tiles, not of pixels.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from qpi_core.operators.convolution import ForwardOperator
from qpi_core.solvers.least_squares.regularised import gaussian_envelope, solve_shifted

TILE_PX = 8
HELD_OUT = 0.2
ENVELOPE_WIDTHS = (0.08, 0.18)
"""Candidate widths of a correction, in units of the solved window's side."""
RELATIVE_STRENGTHS = tuple(float(10.0**e) for e in np.arange(-6.0, 1.1, 1.0))
"""Candidate strengths, in units of the sum of squared weights."""
ITERATIONS = 50
DECISIVE = 2.5
"""Standard errors of a tile's gain from which on a correction is taken."""
PREFERRED = 1.0
"""Standard errors by which a rival has to beat the most trusted candidate."""


@dataclass(frozen=True)
class Verdict:
    """The winner.

    Attributes:
        index: of the candidate.
        strength: of its best correction, None where none is decisive.
        width: of the correction's envelope in px.
        errors: mean squared error on the held-out tiles of every candidate, with its best correction.
    """

    index: int
    strength: float | None
    width: float
    errors: tuple[float, ...]


def held_out_tiles(mask: NDArray[np.float32]) -> tuple[NDArray[np.bool_], NDArray[np.intp]]:
    """Return the pixels of a fixed random fifth of the tiles, and the tile that each pixel belongs to, both (height, width)."""
    y, x = np.indices(mask.shape) // TILE_PX
    label = np.asarray(y * (int(x.max()) + 1) + x, dtype=np.intp)
    count = int(label.max()) + 1
    chosen = np.random.default_rng(3).permutation(count)[: max(1, round(HELD_OUT * count))]
    return np.isin(label, chosen) & (mask > 0), label


def judge_candidates(
    residuals: Tensor, mask: NDArray[np.float32], held: NDArray[np.bool_], label: NDArray[np.intp], operator: ForwardOperator, power: float
) -> Verdict:
    """Return the best candidate with its best correction; the first one is the most trusted.

    Args:
        residuals: (candidates, height, width), what each leaves of the map, made without the held-out tiles.
        mask: (height, width), 1 where measured.
        held, label: of held_out_tiles.
        operator: for the window of a correction.
        power: sum of squared weights.
    """
    whole = torch.from_numpy(mask)
    kept = whole - torch.from_numpy(held.astype(np.float32))
    residuals = (residuals - _mean(residuals, kept)) * whole
    plain = _tile_errors(residuals, held, label)
    best: list[tuple[NDArray[np.float64], float | None, float]] = [(errors, None, 0.0) for errors in plain]
    strengths = torch.tensor(RELATIVE_STRENGTHS) * power
    for fraction in ENVELOPE_WIDTHS:
        width = fraction * operator.kernel_size
        changes = solve_shifted(operator, residuals, kept, gaussian_envelope(operator.kernel_size, width), strengths, ITERATIONS)
        left = residuals - operator(changes)
        errors = _tile_errors(left - _mean(left, kept), held, label)
        for candidate, own in enumerate(plain):
            index = int(errors[:, candidate].sum(axis=-1).argmin())
            corrected = errors[index, candidate]
            if _gain(own, corrected) > DECISIVE and corrected.sum() < best[candidate][0].sum():
                best[candidate] = (corrected, float(strengths[index]), width)
    winner = 0
    for candidate in range(1, len(best)):
        needed = PREFERRED if winner == 0 else 0.0
        if _gain(best[winner][0], best[candidate][0]) > needed:
            winner = candidate
    means = tuple(float(errors.sum()) / max(int(held.sum()), 1) for errors, _, _ in best)
    return Verdict(winner, best[winner][1], best[winner][2], means)


def _mean(images: Tensor, mask: Tensor) -> Tensor:
    return (images * mask).sum(dim=(-2, -1), keepdim=True) / mask.sum().clamp_min(1)


def _tile_errors(images: Tensor, held: NDArray[np.bool_], label: NDArray[np.intp]) -> NDArray[np.float64]:
    """Return the sums of squares, (..., tiles), of images (..., height, width) over the held-out tiles."""
    squares = images.numpy()[..., held].astype(np.float64) ** 2
    _, tile = np.unique(label[held], return_inverse=True)
    return np.asarray(squares @ (tile[:, None] == np.arange(int(tile.max()) + 1)).astype(np.float64))


def _gain(before: NDArray[np.float64], after: NDArray[np.float64]) -> float:
    """Return by how many standard errors over tiles the sum of squares falls."""
    gains = before - after
    error = float(gains.std() * np.sqrt(len(gains)))
    return float(gains.sum()) / max(error, 1e-30 + 1e-9 * float(before.sum()))
