"""Free kernels predict tiles that they have not seen where the map is nothing but kernels of the listed defects."""

from __future__ import annotations

import numpy as np
import pytest

from qpi_core.operators.reconstruction import reconstruct
from qpi_core.solvers.harmonic.joint.start import DefectClass
from qpi_core.solvers.measured.model_checks.free_kernels import predict_unseen_parts

SHAPE = (90, 100)


def spot(shift, turn):
    """A pattern without symmetry that fades within the window."""
    y, x = np.indices((32, 32)) - 16
    return np.exp(-((x - shift) ** 2 + y**2) / 14) * np.cos(0.8 * (x * np.cos(turn) + y * np.sin(turn)) + 0.3 * x * y / 8)


@pytest.fixture(scope="module")
def scene():
    """A map of two kinds of defects, and its lists."""
    rng = np.random.default_rng(2)
    classes = [DefectClass(rng.uniform((0, 0), (99, 89), (20, 2)), rng.uniform(0.5, 1.5, 20)) for _ in range(2)]
    parts = [reconstruct(spot(2 + 2 * k, 1.3 * k), 0.0, one.positions, one.weights, SHAPE) for k, one in enumerate(classes)]
    return (0.7 + parts[0] + parts[1]).astype(np.float32), classes


def test_kernels_alone_are_predicted_with_pixels_missing_too(scene):
    image, classes = scene
    assert predict_unseen_parts(image, classes, 32)
    image = image.copy()
    image[20:26, 30:41] = np.nan
    assert predict_unseen_parts(1e-9 * image, classes, 32)


@pytest.mark.parametrize("what", ["noise", "background", "rows", "a defect missing", "one kind taken for the other"])
def test_anything_else_is_not(scene, what):
    image, classes = scene
    rng, spread = np.random.default_rng(1), image.std()
    if what == "noise":
        image = image + 0.03 * spread * rng.standard_normal(SHAPE)
    elif what == "background":
        image = image + 0.05 * spread * np.sin(np.arange(100) / 15)
    elif what == "rows":
        image = image + 0.03 * spread * rng.standard_normal(90)[:, None]
    elif what == "a defect missing":
        classes = [DefectClass(classes[0].positions[1:], classes[0].weights[1:]), classes[1]]
    else:
        classes = [DefectClass(*(np.concatenate(parts) for parts in zip(*((c.positions, c.weights) for c in classes), strict=True)))]
    assert not predict_unseen_parts(image.astype(np.float32), classes, 32)
