"""Crops of photographs: what the codec learns from before it sees a kernel, as the paper's pretrained VAE learned from photographs.

Only pictures that lie in scikit-image's own package are used; nothing is downloaded.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from qpi_core.networks.kernel_vae import KERNEL_SIZE

PHOTOGRAPHS = (
    "astronaut.png",
    "brick.png",
    "camera.png",
    "cell.png",
    "chelsea.png",
    "clock_motion.png",
    "coffee.png",
    "coins.png",
    "grass.png",
    "gravel.png",
    "hubble_deep_field.jpg",
    "ihc.png",
    "moon.png",
    "motorcycle_left.png",
    "page.png",
    "retina.jpg",
    "rocket.jpg",
)
"""Photographs, micrographs and scans; drawings, test charts and the second picture of a stereo pair are left out."""
HALVINGS = 3
"""Each photograph is used at its own size and halved up to so many times, while a crop still fits in."""


def load_photographs() -> list[NDArray[np.float32]]:
    """Return the photographs in grey, from -1 (black) to 1 (white), and their halved copies."""
    import skimage
    from skimage.color import rgb2gray
    from skimage.io import imread
    from skimage.transform import downscale_local_mean

    folder = Path(skimage.__file__).parent / "data"
    found: list[NDArray[np.float32]] = []
    for name in PHOTOGRAPHS:
        picture = imread(folder / name)
        grey = rgb2gray(picture) if picture.ndim == 3 else picture / 255.0
        for _ in range(1 + HALVINGS):
            if min(grey.shape) < KERNEL_SIZE:
                break
            found.append((2 * grey - 1).astype(np.float32))
            grey = downscale_local_mean(grey[: grey.shape[0] // 2 * 2, : grey.shape[1] // 2 * 2], (2, 2))  # type: ignore[no-untyped-call]
    return found


class PhotographCrops:
    """64x64 crops, flipped and turned by quarters; crop i depends on (seed, i) alone. Every picture is as likely as another."""

    def __init__(self, seed: int) -> None:
        self.pictures = load_photographs()
        self.seed = seed

    def __call__(self, first: int, count: int) -> tuple[Tensor, Tensor]:
        """Return crops (count, 1, 64, 64) between -1 and 1 and symmetry orders (count,), all 1: no symmetry."""
        crops = [self._crop(np.random.default_rng([self.seed, index])) for index in range(first, first + count)]
        return torch.from_numpy(np.stack(crops)[:, None]), torch.ones(count, dtype=torch.long)

    def _crop(self, rng: np.random.Generator) -> NDArray[np.float32]:
        picture = self.pictures[int(rng.integers(len(self.pictures)))]
        row, column = (int(rng.integers(side - KERNEL_SIZE + 1)) for side in picture.shape)
        turned = np.rot90(picture[row : row + KERNEL_SIZE, column : column + KERNEL_SIZE], int(rng.integers(4)))
        return np.ascontiguousarray(turned[:, ::-1] if rng.integers(2) else turned)
