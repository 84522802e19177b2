"""Conjugate gradients for (N + shift) u = b, for several shifts at once.

All shifted systems share one Krylov space, so every regularisation strength costs no more than the weakest one.
Source: B. Jegerlehner, hep-lat/9612014 (multi-shift CG).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor


def multi_shift_cg(
    normal: Callable[[Tensor], Tensor], right_side: Tensor, shifts: Sequence[float] | Tensor, iterations: int, tolerance: float = 0.0
) -> Tensor:
    """Solve (normal + shift) u = right_side for every shift.

    Args:
        normal: symmetric positive semidefinite operator on tensors (..., k, k); leading axes are separate problems.
        right_side: (..., k, k).
        shifts: positive and ascending; the first system is iterated, the others follow from it. A tensor (s, ...) gives every
            problem its own shifts.
        iterations: at most this many.
        tolerance: stop when every problem's residual is below tolerance times its right side (checked every tenth iteration).

    Returns:
        (len(shifts), ..., k, k) solutions.
    """
    lead = right_side.shape[:-2]
    sigma = torch.as_tensor(shifts, dtype=right_side.dtype, device=right_side.device)
    sigma = sigma.reshape(len(sigma), *([1] * len(lead)) if sigma.ndim == 1 else sigma.shape[1:]).expand(len(sigma), *lead)
    gap = (sigma - sigma[0])[..., None, None]
    base = sigma[0][..., None, None]
    residual, direction = right_side.clone(), right_side.clone()
    solutions = torch.zeros((len(sigma), *right_side.shape), dtype=right_side.dtype, device=right_side.device)
    directions = right_side.expand_as(solutions).clone()
    zeta = torch.ones_like(gap)
    zeta_before = torch.ones_like(gap)
    alpha_before, beta = torch.ones_like(base), torch.zeros_like(base)
    power = _power(residual)
    floor = 1e-12 * power + torch.finfo(right_side.dtype).tiny
    target = tolerance**2 * power
    for iteration in range(iterations):
        image = normal(direction) + base * direction
        # A problem that has converged to rounding stands still (alpha = 0) instead of dividing noise by noise.
        alive = power > floor
        alpha = torch.where(alive, power / (direction * image).sum(dim=(-2, -1), keepdim=True).clamp_min(1e-30), torch.zeros_like(power))
        denominator = alpha_before * zeta_before * (1 + alpha * gap) + alpha * beta * (zeta_before - zeta)
        zeta_next = torch.where(denominator.abs() > 1e-30, zeta * zeta_before * alpha_before / denominator, torch.zeros_like(zeta))
        ratio = torch.where(zeta.abs() > 1e-30, zeta_next / zeta, torch.zeros_like(zeta))
        solutions += alpha * ratio * directions
        residual = residual - alpha * image
        power_next = _power(residual)
        beta = torch.where(alive, power_next / power.clamp_min(1e-30), torch.zeros_like(power))
        directions = zeta_next * residual + beta * ratio**2 * directions
        direction = residual + beta * direction
        zeta_before, zeta = zeta, zeta_next
        alpha_before = torch.where(alive, alpha, alpha_before)
        power = power_next
        if tolerance and iteration % 10 == 9 and bool((power <= target).all()):
            break
    return solutions


def _power(values: Tensor) -> Tensor:
    return values.square().sum(dim=(-2, -1), keepdim=True)
