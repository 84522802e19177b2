"""Losses of the two steps. Every loss is a mean over pixels (or latent elements) and over the batch, unless it says otherwise."""

from __future__ import annotations

import torch
from torch import Tensor


def rotate_about_centre(images: Tensor, angles: Tensor) -> tuple[Tensor, Tensor]:
    """Rotate images (batch, 1, n, n) by angles (batch,) in rad about the pixel n // 2, where r = 0 lies.

    Returns:
        The rotated images (bicubic) and the mask (batch, 1, n, n) of pixels whose source lies well inside the window.
    """
    n = images.shape[-1]
    offsets = torch.arange(n, device=images.device, dtype=torch.float32) - n // 2
    y, x = torch.meshgrid(offsets, offsets, indexing="ij")
    cos, sin = torch.cos(angles)[:, None, None], torch.sin(angles)[:, None, None]
    source_x, source_y = cos * x - sin * y + n // 2, sin * x + cos * y + n // 2
    # align_corners=True: -1 and 1 are the centres of the first and last pixel.
    grid = torch.stack([source_x, source_y], dim=-1) * (2 / (n - 1)) - 1
    rotated = torch.nn.functional.grid_sample(images.float(), grid, mode="bicubic", align_corners=True)
    # Bicubic interpolation reads one pixel further; the tolerance forgives the rounding of quarter turns.
    least, most = 1 - 1e-3, n - 2 + 1e-3
    inside = (source_x >= least) & (source_x <= most) & (source_y >= least) & (source_y <= most)
    return rotated, inside[:, None].float()


def symmetry_loss(reconstruction: Tensor, kernel: Tensor, symmetry_order: Tensor) -> Tensor:
    """Return L_SYM (Eq. 3): the reconstruction, rotated by the kernel's own symmetry angle, against the kernel.

    Isotropic kernels (order 0) are turned by a quarter; kernels without rotational symmetry (order 1) take no part.
    Only pixels that the rotation leaves inside the window count.
    """
    symmetric = symmetry_order != 1
    if not bool(symmetric.any()):
        return reconstruction.sum() * 0.0
    orders = symmetry_order[symmetric].float()
    angles = 2 * torch.pi / torch.where(orders == 0, torch.full_like(orders, 4.0), orders)
    rotated, inside = rotate_about_centre(reconstruction[symmetric], angles)
    return ((rotated - kernel[symmetric]).square() * inside).sum() / inside.sum()


def divergence(mean: Tensor, logvar: Tensor) -> Tensor:
    """Return the Kullback-Leibler divergence from the standard normal: a sum over the latent, a mean over the batch."""
    return 0.5 * (mean.square() + logvar.exp() - 1.0 - logvar).sum(dim=(1, 2, 3)).mean()


def uncertainty_loss(error: Tensor, logvar: Tensor) -> Tensor:
    """Return the negative log-likelihood of an error under a normal distribution of log-variance `logvar`, but for a constant.

    The error is taken as given: a network learns how far off it is without being drawn to where it is easily sure of itself
    (Seitzer et al., On the Pitfalls of Heteroscedastic Uncertainty Estimation, 2022).
    """
    return 0.5 * (logvar + error.detach().square() * torch.exp(-logvar)).mean()
