"""Symmetrising as a projector about the centre pixel, against explicit averages and patterns of known symmetry."""

import numpy as np
import pytest

from qpi_core.base.errors import InputError
from qpi_core.qspace.symmetrising import find_mirror_axis, symmetrise

RNG = np.random.default_rng(2)


def pattern(shape, pitch=(1.0, 1.0), order=6, angle=0.2, q=0.5, spread=7.0):
    """Plane waves in `order` directions under a Gaussian, about the pixel n // 2."""
    y, x = ((np.arange(side) - side // 2) * step for side, step in zip(shape, pitch, strict=True))
    turns = angle + 2 * np.pi * np.arange(order) / order
    waves = sum(np.cos(q * (x[None, :] * np.cos(t) + y[:, None] * np.sin(t)) + 0.4) for t in turns)
    return waves * np.exp(-(x[None, :] ** 2 + y[:, None] ** 2) / (2 * spread**2))


@pytest.mark.parametrize(("order", "mirror"), [(2, None), (4, None), (1, 0.0), (1, np.pi / 2), (1, np.pi / 4), (4, 0.0), (2, -np.pi / 4)])
@pytest.mark.parametrize("size", [24, 25])
def test_where_pixels_meet_pixels_it_is_a_projector(order, mirror, size):
    image = RNG.normal(size=(size, size))
    once = symmetrise(image, order, mirror)
    twice = symmetrise(once.kept, order, mirror)
    np.testing.assert_allclose(once.kept + once.removed, image, atol=1e-12)
    np.testing.assert_allclose(twice.kept, once.kept, atol=1e-12)
    assert 0.1 < once.removed_share < 0.9 and twice.removed_share < 1e-24
    assert once.removed_share == pytest.approx((once.removed**2).sum() / (image**2).sum())


def test_the_centre_is_pixel_n_half():
    """180 degrees takes offset d to -d about pixel 8 of 16; what has no partner inside stays."""
    image = RNG.normal(size=(16, 16))
    kept = symmetrise(image, 2).kept
    for row in range(1, 16):
        for column in range(1, 16):
            assert kept[row, column] == pytest.approx((image[row, column] + image[16 - row, 16 - column]) / 2, abs=1e-12)
    np.testing.assert_allclose(kept[0], image[0], atol=1e-12)


def test_a_quarter_turn_goes_from_x_to_y_downwards():
    image = np.zeros((9, 9))
    image[4, 7] = 4.0
    kept = symmetrise(image, 4).kept
    np.testing.assert_allclose([kept[4, 7], kept[7, 4], kept[4, 1], kept[1, 4]], 1.0)
    mirrored = symmetrise(image, 1, np.pi / 4).kept
    assert mirrored[4, 7] == pytest.approx(2.0) and mirrored[7, 4] == pytest.approx(2.0), "the diagonal from top left to bottom right"


@pytest.mark.parametrize("pitch", [(1.0, 1.0), (0.8, 1.1)])
@pytest.mark.parametrize("order", [3, 6])
def test_between_the_pixels_smooth_patterns_of_that_symmetry_stay(order, pitch):
    mine, other = pattern((64, 60), pitch, order), pattern((64, 60), pitch, 4, 0.5)
    assert symmetrise(mine, order, pixel_size=pitch).removed_share < 1e-5
    parts = symmetrise(mine + other, order, pixel_size=pitch)
    assert parts.removed_share > 0.05
    assert np.linalg.norm(symmetrise(parts.kept, order, pixel_size=pitch).removed) < 2e-3 * np.linalg.norm(parts.kept)
    wrong = symmetrise(mine, 4, pixel_size=pitch)
    assert wrong.removed_share > 0.05


def test_non_square_pixels_turn_on_the_surface():
    """A four-fold pattern is four-fold in nm, not in pixels."""
    image = pattern((50, 70), (1.4, 1.0), 4)
    assert symmetrise(image, 4, pixel_size=(1.4, 1.0)).removed_share < 1e-4
    assert symmetrise(image, 4).removed_share > 0.05


@pytest.mark.parametrize("angle", [0.0, 0.2, 1.3])
@pytest.mark.parametrize(("order", "pitch"), [(1, (1.0, 1.0)), (3, (1.0, 1.0)), (4, (0.8, 1.1))])
def test_mirror_axis_is_found(angle, order, pitch):
    image = pattern((64, 64), pitch, order, angle)
    found = find_mirror_axis(image, order, pitch)
    period = np.pi / order
    assert abs((found.angle - angle + period / 2) % period - period / 2) < 1e-3
    assert found.even_share > 0.999 and found.angular_share > 0.1
    assert symmetrise(image, order, found.angle, pitch).removed_share < 1e-4
    noisy = find_mirror_axis(image + 0.3 * RNG.normal(size=image.shape), order, pitch)
    assert abs((noisy.angle - angle + period / 2) % period - period / 2) < 0.1


def test_no_mirror_is_told_from_a_mirror():
    chiral = pattern((64, 64), order=3, angle=0.1, q=0.4) + 0.8 * pattern((64, 64), order=3, angle=0.1 + np.pi / 6, q=0.9)
    found = find_mirror_axis(chiral, 3)
    assert found.even_share < 0.99 and symmetrise(chiral, 3, found.angle).removed_share > 0.01
    y, x = np.mgrid[-20:21, -20:21]
    assert find_mirror_axis(np.exp(-(x**2 + y**2) / 50)).angular_share < 1e-6
    assert find_mirror_axis(np.zeros((8, 8))).angular_share == 0 and symmetrise(np.zeros((8, 8)), 4).removed_share == 0


@pytest.mark.parametrize(
    "call",
    [
        lambda: symmetrise(np.zeros((4, 4)), 5),
        lambda: symmetrise(np.zeros((4, 4)), True),
        lambda: symmetrise(np.zeros((4, 4)), 2, np.nan),
        lambda: symmetrise(np.full((4, 4), np.nan), 2),
        lambda: symmetrise(np.zeros((4, 4, 2)), 2),
        lambda: symmetrise(np.zeros((4, 4)), 2, pixel_size=0.0),
        lambda: find_mirror_axis(np.zeros((4, 4)), 7),
    ],
)
def test_bad_input_gets_a_sentence(call):
    with pytest.raises(InputError, match=r"\w+ .*\."):
        call()
