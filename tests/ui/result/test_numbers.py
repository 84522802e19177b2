"""The numbers of a result: what the kernel explains is the kernel's, whatever a background beside it takes."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from qpi_core import load_extractor
from tests.ui.app_driver import POSITIONS, noiseless_map
from ui.result.numbers import explained_part, explained_words


@pytest.fixture(scope="module")
def estimate():
    return load_extractor(device="cpu").extract(noiseless_map(), POSITIONS, "tikhonov", 32, with_latent=False)


def test_without_a_background_it_is_what_the_residual_leaves(estimate):
    values = noiseless_map()
    left = np.mean((estimate.residual - estimate.residual.mean()) ** 2) / np.mean((values - values.mean()) ** 2)
    assert explained_part(estimate, values) == pytest.approx(1 - left, abs=1e-4) and explained_part(estimate, values) > 0.5
    assert explained_part(estimate, np.full_like(values, 2.0)) == 0.0


def test_a_background_does_not_count(estimate):
    kernel_part = estimate.reconstruction - np.float32(estimate.background)
    background = np.float32(3 * kernel_part.std()) * np.sin(np.arange(64, dtype=np.float32))[:, None] * np.ones((1, 64), dtype=np.float32)
    values = kernel_part + background
    values[:5] = np.nan
    whole = dataclasses.replace(
        estimate, background_map=background, reconstruction=kernel_part + background, residual=np.zeros_like(kernel_part)
    )
    expected = np.var(kernel_part[5:]) / np.var(values[5:])
    assert explained_part(whole, values) == pytest.approx(expected, rel=1e-4) and expected < 0.3


def test_what_a_search_does_not_vouch_for_is_doubtful(estimate):
    values = noiseless_map()
    words = f"{100 * explained_part(estimate, values):.1f} %"
    assert explained_words(estimate, values) == words
    for trusted, ending in ((True, ""), (False, ", doubtful")):
        found = dataclasses.replace(estimate, provenance={**estimate.provenance, "blind": {"trusted": trusted}})
        assert explained_words(found, values) == words + ending
