"""Defects found by the kernel of some of them, on maps whose defects are known."""

import numpy as np
import pytest
from scipy.spatial import cKDTree

from qpi_core import InputError, KernelParameters, find_defects, load_extractor, phenomenological_kernel, simulate_observation

KERNEL = {"symmetry_order": 4, "orientation": 0.3, "wavenumber": 3.0, "phase": 0.7, "decay": 0.4}
TEMPLATE = phenomenological_kernel(**KERNEL, size=51)


def scene(noise=0.2, shape=(88, 96)):
    """A map of 20 defects that are at least 7 px apart."""
    rng = np.random.default_rng(3)
    places = [rng.uniform((1, 1), (94, 86))]
    while len(places) < 20:
        place = rng.uniform((1, 1), (94, 86))
        if cKDTree(places).query(place)[0] > 7:
            places.append(place)
    clean = simulate_observation(KernelParameters(**KERNEL), places, shape)
    return clean + noise * clean.std() * rng.normal(size=shape), np.array(places)


def assert_found(found, places, within):
    assert len(found) == len(places)
    assert cKDTree(found).query(places)[0].max() < within


@pytest.mark.parametrize("unit", [1.0, 1e-12])
def test_every_defect_is_found_and_nothing_else(unit):
    observation, places = scene()
    assert_found(find_defects(unit * (observation + 3), template=TEMPLATE), places, 0.4)


def test_missing_entries_are_found_by_the_kernel_of_the_others():
    observation, places = scene()
    kernel = load_extractor(device="cpu").extract(observation, places[:14], "tikhonov", 41).kernel
    assert_found(find_defects(observation, template=kernel), places, 0.7)


def test_unmeasured_regions_hold_no_defect_and_hide_no_other():
    observation, places = scene()
    observation[30:50, 40:70] = np.nan
    x, y = places.T
    hidden = (x > 36) & (x < 74) & (y > 26) & (y < 54)
    found = find_defects(observation, template=TEMPLATE)
    assert cKDTree(found).query(places[~hidden])[0].max() < 0.5
    assert np.isfinite(observation[np.rint(found[:, 1]).astype(int), np.rint(found[:, 0]).astype(int)]).all()


def test_noise_and_the_opposite_sign_hold_nothing_like_the_kernel():
    noise = np.random.default_rng(0).normal(size=(64, 64))
    assert find_defects(noise, template=TEMPLATE).shape == (0, 2)
    alone = -simulate_observation(KernelParameters(**KERNEL), [[30.0, 30.0]], (64, 64)) + 0.001 * noise
    found = find_defects(alone, template=TEMPLATE, sensitivity=0.3)
    assert not len(found) or cKDTree(found).query([30.0, 30.0])[0] > 1


@pytest.mark.parametrize("template", [np.ones((5, 5)), np.zeros((4, 5)), np.full((5, 5), np.nan), "kernel", np.eye(2)])
def test_what_is_no_kernel_gets_a_sentence(template):
    with pytest.raises(InputError, match="template"):
        find_defects(np.zeros((20, 20)), template=template)
