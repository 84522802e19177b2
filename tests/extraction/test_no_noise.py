"""A map without noise and without symmetry: nothing of the kernel is taken for a background, a lattice or unequal defects."""

from __future__ import annotations

import numpy as np
import pytest

from qpi_core.base.grid import DEFAULT_PIXEL_SIZE_NM, kernel_coordinates
from qpi_core.extraction.extractor import Extractor
from qpi_core.synthesis.simulated_maps.scenes import superpose


def uneven(dx, dy):
    """Return a plane wave under an envelope and a bump beside it, offsets in nm: nothing turns it into itself."""
    x, y = dx / DEFAULT_PIXEL_SIZE_NM, dy / DEFAULT_PIXEL_SIZE_NM
    return np.exp(-(x**2 + y**2) / 60) * np.cos(0.8 * x + 0.2 * y) + 0.3 * np.exp(-((x - 4) ** 2 + (y - 1) ** 2) / 6)


@pytest.mark.slow
def test_a_kernel_without_symmetry_is_found_to_rounding():
    rng = np.random.default_rng(11)
    shape = (96, 120)
    points = np.stack([rng.uniform(0, 119, 40), rng.uniform(0, 95, 40)], axis=1)
    image = superpose(uneven, points, shape, DEFAULT_PIXEL_SIZE_NM).astype(np.float32)
    truth = uneven(*kernel_coordinates(64, DEFAULT_PIXEL_SIZE_NM))
    estimate = Extractor("none", device="cpu").extract(image, points, "refined", 64, pixel_size_nm=DEFAULT_PIXEL_SIZE_NM)
    assert np.sqrt(np.mean((estimate.kernel - truth) ** 2)) < 1e-3 * np.ptp(truth)
    assert set(estimate.noise_model) == {"white_noise_sigma"}
