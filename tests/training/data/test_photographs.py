"""Crops of photographs: only pictures of scikit-image's own package, drawn from the seed alone, flipped and turned."""

import copy
from importlib.resources import files

import numpy as np
import pytest
import skimage
from skimage.io import imread

from qpi_core.training.data.photographs import PHOTOGRAPHS, PhotographCrops


@pytest.fixture(scope="module")
def crops():
    return PhotographCrops(3)


def test_crops_are_pieces_of_the_photographs(crops):
    crops = copy.copy(crops)
    picture = 2 * imread(f"{skimage.__path__[0]}/data/camera.png").astype(np.float64) / 255 - 1
    whole = next(p for p in crops.pictures if p.shape == picture.shape and np.allclose(p, picture, atol=1e-6))
    crops.pictures = [whole]
    images, orders = crops(0, 20)
    assert images.shape == (20, 1, 64, 64) and (orders == 1).all()
    windows = np.lib.stride_tricks.sliding_window_view(whole, (64, 64))
    seen = set()
    for image in images[:, 0].numpy():
        ways = [np.rot90(image[:, ::-1] if flip else image, turn) for flip in (False, True) for turn in range(4)]
        found = [k for k, way in enumerate(ways) if _stands_in(windows, way)]
        assert found, "every crop, turned back, stands somewhere in the photograph"
        seen.update(found)
    assert len(seen) >= 6, "all orientations are drawn"


def _stands_in(windows, image):
    places = np.ones(windows.shape[:2], dtype=bool)
    for row, column in np.random.default_rng(0).integers(0, 64, (40, 2)):
        places &= np.abs(windows[..., row, column] - image[row, column]) < 1e-6
    return any(np.allclose(windows[row, column], image, atol=1e-6) for row, column in zip(*np.nonzero(places), strict=True))


def test_a_crop_depends_on_seed_and_number_alone(crops):
    whole, _ = crops(0, 6)
    parts = [crops(first, 2)[0] for first in (0, 2, 4)]
    assert np.array_equal(np.concatenate([part.numpy() for part in parts]), whole.numpy())
    other = copy.copy(crops)
    other.seed = 4
    assert not np.array_equal(other(0, 6)[0].numpy(), whole.numpy())
    assert float(whole.min()) >= -1 and float(whole.max()) <= 1


def test_every_photograph_comes_with_the_package():
    assert all((files("skimage") / "data" / name).is_file() for name in PHOTOGRAPHS)
