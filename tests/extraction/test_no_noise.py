"""A map without noise and without symmetry: nothing of the kernel is taken for a background, a lattice or unequal defects.

This holds where what orders and profiles leave out of the kernel is below a thousandth of the map's variance; with other positions of the
same defects it can be twice that, and the noise model then takes part of the kernel.
"""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.speed_scenes import DEFAULT_PIXEL_SIZE_NM, SpeedRow, draw_scene
from qpi_core.extraction.extractor import Extractor


@pytest.mark.slow
def test_a_kernel_without_symmetry_is_found_to_rounding():
    scene = draw_scene(SpeedRow("asymmetric", shape=(96, 120), noise=0.0), 73000, 0)
    image, points, truth = (getattr(scene, name) for name in list(scene.__dataclass_fields__)[:3])
    estimate = Extractor("none", device="cpu").extract(image, points, "refined", 64, pixel_size_nm=DEFAULT_PIXEL_SIZE_NM)
    assert np.sqrt(np.mean((estimate.kernel - truth) ** 2)) < 1e-3 * np.ptp(truth)
