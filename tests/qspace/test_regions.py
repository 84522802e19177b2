"""Regions of q-space against their definition, pixel by pixel."""

import numpy as np
import pytest

from qpi_core.base.errors import InputError
from qpi_core.qspace.regions import Disc, Ring, region_mask

PITCH, SIZE = 0.25, 24
Q = 2 * np.pi * (np.arange(SIZE) - SIZE // 2) / (SIZE * PITCH)


def test_masks_hold_the_wave_vectors_inside():
    found = region_mask([Disc(4.0, 0.0, 1.5, copies=4), Ring(0.0, 1.2)], SIZE, PITCH)
    for row, qy in enumerate(Q):
        for column, qx in enumerate(Q):
            near = min(np.hypot(qx - x, qy - y) for x, y in ((4, 0), (-4, 0), (0, 4), (0, -4))) <= 1.5
            assert found[row, column] == (near or np.hypot(qx, qy) <= 1.2)


def test_a_mask_of_ones_own_is_taken_as_it_is():
    mask = np.zeros((SIZE, SIZE), dtype=bool)
    mask[3, 4] = True
    np.testing.assert_array_equal(region_mask(mask, SIZE, PITCH), mask)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Ring(2.0, 1.0), "q_min < q_max"),
        (lambda: Disc(0, 0, 0.0), "must be positive"),
        (lambda: region_mask(np.zeros((3, 3), dtype=bool), SIZE, PITCH), "mask of 24 x 24"),
        (lambda: region_mask(Ring(100.0, 101.0), SIZE, PITCH), "no wave vector"),
    ],
)
def test_bad_regions_get_a_sentence(make, words):
    with pytest.raises(InputError, match=words):
        make()
