"""Spots at known sub-pixel places, under tilt, noise and holes."""

import numpy as np
import pytest

from qpi_core.base.errors import InputError
from qpi_core.maps import find_spots
from qpi_core.maps.detection.inversion_symmetry import inversion_response

PLACES = np.array([[20.3, 15.6], [60.0, 22.5], [101.7, 80.2], [33.4, 70.9], [80.5, 50.1], [120.2, 30.8]])


def spots(sign=1.0, width=2.0, noise=0.05, shape=(96, 140)):
    y, x = np.mgrid[: shape[0], : shape[1]]
    layer = sum(np.exp(-((x - a) ** 2 + (y - b) ** 2) / (2 * width**2)) for a, b in PLACES)
    return sign * layer + noise * np.random.default_rng(0).normal(size=shape)


def distances(found):
    return np.hypot(*(PLACES[:, np.newaxis] - found[np.newaxis]).transpose(2, 0, 1)).min(axis=1)


@pytest.mark.parametrize("sign", [1.0, -1.0])
@pytest.mark.parametrize("unit", [1.0, 1e-12])
def test_every_spot_is_found_and_no_other(sign, unit):
    y, x = np.mgrid[:96, :140]
    found = find_spots(unit * (spots(sign) + 0.05 * x - 0.1 * y + 20))
    assert found.shape == (len(PLACES), 2) and found.dtype == np.float64
    assert distances(found).max() < 0.35
    assert len(find_spots(spots(sign), polarity="dark" if sign > 0 else "bright", sensitivity=0.3)) == 0


def test_without_noise_positions_are_sub_pixel():
    assert distances(find_spots(spots(noise=1e-3))).max() < 0.1


def test_unmeasured_regions_are_no_defects():
    layer = spots()
    layer[40:60, 70:95] = np.nan  # swallows the spot at (80.5, 50.1)
    layer[90:] = np.nan
    found = find_spots(layer)
    assert len(found) == len(PLACES) - 1
    assert np.sort(distances(found))[:-1].max() < 0.35
    assert np.isfinite(layer[np.round(found[:, 1]).astype(int), np.round(found[:, 0]).astype(int)]).all()


def test_sensitivity_polarity_and_distance():
    layer = spots()
    layer[:, 70:] *= -1
    assert distances(find_spots(layer, polarity="both")).max() < 0.35
    assert len(find_spots(layer, polarity="both")) == len(PLACES)
    assert len(find_spots(layer, polarity="bright", sensitivity=0.2)) == len(find_spots(layer, polarity="dark", sensitivity=0.2)) == 3
    counts = [len(find_spots(spots(noise=0.3), sensitivity=s)) for s in (0.0, 0.5, 1.0)]
    assert counts == sorted(counts) and counts[2] > counts[0]
    found = find_spots(spots(noise=0.5), sensitivity=1.0, min_distance=15)
    apart = np.hypot(*(found[:, np.newaxis] - found[np.newaxis]).transpose(2, 0, 1)) + 1e3 * np.eye(len(found))
    assert apart.min() > 13.5


@pytest.mark.parametrize("phase", [0.0, 0.8, 1.6])
@pytest.mark.parametrize("order", [0, 2, 4])
def test_centres_of_waves_are_found_whatever_the_phase(order, phase):
    y, x = np.mgrid[:96, :140]
    places = np.array([[25.0, 30.0], [70.4, 60.7], [112.0, 25.5]])
    layer = 0.02 * x + 0.05 * np.random.default_rng(0).normal(size=x.shape)
    for a, b in places:
        r, theta = np.hypot(x - a, y - b), np.arctan2(y - b, x - a)
        layer += (1 + 0.8 * np.cos(order * theta)) * np.cos(0.9 * r + phase) * np.exp(-((r / 10) ** 2))
    found = find_spots(layer, pattern="waves")[:3]
    apart = np.hypot(*(places[:, np.newaxis] - found[np.newaxis]).transpose(2, 0, 1)).min(axis=1)
    assert apart.max() < 0.5


def test_inversion_response_is_its_definition():
    layer, sigma, reach = np.random.default_rng(1).normal(size=(9, 11)), 1.0, 3
    layer -= np.median(layer)
    result = inversion_response(layer, np.ones(layer.shape, bool), sigma)
    padded = np.pad(layer, reach)
    expected = np.zeros_like(layer)
    for i in range(9):
        for j in range(11):
            product = energy = 0.0
            for dy in range(-reach, reach + 1):
                for dx in range(-reach, reach + 1):
                    if 0 < dy * dy + dx * dx <= reach * reach:
                        one, other = padded[i + reach + dy, j + reach + dx], padded[i + reach - dy, j + reach - dx]
                        weight = np.exp(-(dy * dy + dx * dx) / (2 * sigma**2)) / 2
                        product, energy = product + weight * one * other, energy + weight * one * one
            expected[i, j] = product * abs(product) / energy
    np.testing.assert_allclose(result, expected / np.mean(layer**2), atol=1e-5)


def test_a_flat_layer_has_no_defects():
    assert find_spots(np.zeros((20, 30))).shape == (0, 2)
    assert find_spots(np.full((20, 30), 5.0)).shape == (0, 2)
    assert find_spots(np.full((20, 30), 5.0), pattern="waves").shape == (0, 2)
    y, x = np.mgrid[:40, :50]
    assert find_spots(1e-9 * (3 + 0.01 * x - 0.02 * y), sensitivity=1).shape == (0, 2)


@pytest.mark.parametrize(
    "arguments",
    [{"sensitivity": 2}, {"sensitivity": float("nan")}, {"polarity": "red"}, {"min_distance": 0}, {"size_px": -1}, {"pattern": "stars"}],
)
def test_wrong_arguments_get_a_sentence(arguments):
    with pytest.raises(InputError, match=next(iter(arguments))):
        find_spots(spots(), **arguments)
