"""Where circular harmonics leave structure: a free correction with one strength for all layers.

The strength is judged on the pilot layers (see solvers.correction). With it fixed, operator, degrees of freedom and uncertainty do
not depend on the values of a layer, so they are computed once; what is left for each layer is a single linear solve.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from qpi_core.base.grid import central_crop
from qpi_core.operators.convolution import ForwardOperator
from qpi_core.solvers.correction import FINAL_ITERATIONS, TOLERANCE, Judgement, judge_correction, solve_correction
from qpi_core.solvers.single_defect import is_one_place
from qpi_core.solvers.tikhonov import centred, gaussian_envelope, solve_shifted, solved_window

LEAST_SHARE = 0.05
"""Size of the correction, as a share of the pilots' kernels, below which none is made: it would add more noise than it takes away error."""


@dataclass(frozen=True, eq=False)
class SharedCorrection:
    """A correction that only waits for the values of a layer.

    Attributes:
        operator: of the solved window.
        mask: (height, width), 1 where measured.
        judgement: strength and width of its prior.
        relative_deviation: (K, K), one standard deviation of the change over that of the noise.
        freedom: degrees of freedom that it takes from a layer.
    """

    operator: ForwardOperator
    mask: NDArray[np.float32]
    judgement: Judgement
    relative_deviation: NDArray[np.float32]
    freedom: float

    def solve(self, residual: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32], float]:
        """Return (change (K, K), what is left (height, width), noise sigma) of a residual whose unmeasured pixels are 0."""
        assert self.judgement.strength is not None, "a correction has a strength"
        mask = torch.from_numpy(self.mask)
        with torch.inference_mode():
            values = centred(torch.from_numpy(residual), mask)
            envelope = gaussian_envelope(self.operator.kernel_size, self.judgement.width)
            strength = torch.tensor([self.judgement.strength])
            change = solve_shifted(self.operator, values, mask, envelope, strength, FINAL_ITERATIONS, TOLERANCE)[0]
            left = centred(values - self.operator(change), mask)
        pixels = float(self.mask.sum())
        power = float(left.double().square().sum())
        noise = (power / max(pixels - self.freedom - 1, 0.02 * pixels)) ** 0.5
        return change.numpy(), left.numpy(), noise


def plan_correction(
    residuals: list[NDArray[np.float32]],
    kernels: list[NDArray[np.float32]],
    mask: NDArray[np.float32],
    positions: NDArray[np.float64],
    weights: NDArray[np.float64],
    kernel_size: int,
) -> SharedCorrection | None:
    """Return the correction that the pilots ask for, or None where most of them ask for none or for a negligible one.

    Args:
        residuals: what the harmonic kernels leave of the pilot layers, (height, width) each, 0 where not measured.
        kernels: (K, K) the pilots' kernels.
        mask: (height, width), 1 where measured.
        positions: (n, 2) px.
        weights: (n,).
        kernel_size: of the kernel that is asked for.
    """
    shape = (mask.shape[0], mask.shape[1])
    if is_one_place(positions) or not residuals:
        return None
    measured = torch.from_numpy(mask)
    decided = []
    with torch.inference_mode():
        operator = ForwardOperator(positions, shape, solved_window(kernel_size, shape), weights)
        for residual, kernel in zip(residuals, kernels, strict=True):
            # The judgement works on values of order one.
            scale = float(residual[mask > 0].std(dtype=np.float64)) or 1.0
            values = centred(torch.from_numpy(residual / np.float32(scale)), measured)
            judgement = judge_correction(values, measured, operator, float((weights**2).sum()))
            if judgement.strength is not None:
                decided.append((judgement, values, scale, float(np.linalg.norm(central_crop(kernel, kernel_size)))))
        if 2 * len(decided) <= len(residuals):
            return None
        strength = float(np.exp(np.mean([np.log(float(judgement.strength or 1.0)) for judgement, *_ in decided])))
        width = float(np.median([judgement.width for judgement, *_ in decided]))
        shared = Judgement(0.0, strength, width)
        middle = len(decided) // 2
        _, values, scale, size = decided[middle]
        solved = solve_correction(values, measured, operator, shared)
        left = centred(values - operator(torch.from_numpy(solved.change)), measured)
    if float(np.linalg.norm(central_crop(solved.change, kernel_size))) * scale < LEAST_SHARE * size:
        return None
    # The noise that solve_correction gives says how many degrees of freedom it counted.
    freedom = float(mask.sum()) - 1 - float(left.double().square().sum()) / solved.noise**2
    return SharedCorrection(operator, mask, shared, solved.deviation / np.float32(solved.noise), max(freedom, 0.0))
