"""Several kinds from the map alone: what is made of the lists that the search finds, and what is refused."""

import time

import numpy as np
import pytest

from qpi_core import InputError, load_extractor
from qpi_core.estimates.blind_class_estimate import BlindClassEstimates, BlindClassStackEstimates
from qpi_core.evaluation.metrics import cosine
from qpi_core.solvers.blind.kinds.joint_kernels import solve_kinds
from qpi_core.solvers.blind.kinds.kinds_search import KindsRule, search_kinds
from qpi_core.solvers.blind.kinds.kinds_trust import doubt_about_kinds
from qpi_core.solvers.blind.layers import prepare_layers
from tests.solvers.blind.kinds.test_kinds import CLEAN, PLACES, STEPS, activation, pattern

EXTRACTOR = load_extractor(device="cpu")
MAP = CLEAN + 0.2 * CLEAN.std() * np.random.default_rng(3).standard_normal(CLEAN.shape)


def found_by(layers, parts):
    """Return the kinds of known lists on other layers."""
    from qpi_core.solvers.blind.polishing.kernel_step import KernelStep

    return solve_kinds([(KernelStep(step.bank, layers), activation(places)) for step, places in parts])


@pytest.fixture
def known_lists(monkeypatch):
    monkeypatch.setattr(
        "qpi_core.extraction.blind.blind_classes.search_kinds",
        lambda layers, rule, accepts, report: [found_by(layers, zip(STEPS[::-1], PLACES[::-1], strict=True))],
    )


@pytest.mark.slow
def test_every_kind_has_its_list_and_kernel(known_lists):
    found = EXTRACTOR.extract_blind(MAP, 24, classes=2)
    assert isinstance(found, BlindClassEstimates) and found.trusted and found.names == ("A", "B") and "each kind" in found.reason
    y, x = np.mgrid[-12:12, -12:12]
    kernels = [pattern(x, y, 0.9, 0), pattern(x, y, 1.7, 4)]
    first = int(np.argmax([np.sum(kernel**2) for kernel in kernels]))
    for name, truth, places in zip("AB", np.roll(kernels, -first, axis=0), PLACES[first:] + PLACES[:first], strict=True):
        assert cosine(found[name].kernel, truth) > 0.97
        assert {tuple(place) for place in np.rint(found[name].positions[:, ::-1]).astype(int)} == set(places)
    assert found["A"].provenance["blind"]["trusted"] is True and len(found.alternatives[0]) == 2


def test_the_lists_serve_all_energies(known_lists):
    found = EXTRACTOR.extract_blind(np.stack([MAP, MAP[:, ::-1][:, ::-1] * 2]), 24, classes=2, bias_mv=[1.0, 2.0])
    assert isinstance(found, BlindClassStackEstimates) and found["A"].kernels.shape == (2, 24, 24)
    np.testing.assert_allclose(found["B"].kernels[1], 2 * found["B"].kernels[0], atol=1e-3 * np.abs(found["B"].kernels).max())


def test_a_map_that_shows_nothing_is_refused_in_words():
    with pytest.raises(InputError, match="classes is 2, but nothing can be told from this map"):
        EXTRACTOR.extract_blind(np.full((40, 40), 2.0), 24, classes=2)


@pytest.mark.slow
def test_the_search_finds_two_kinds_from_nothing():
    layers = prepare_layers(MAP[None].astype(np.float32))
    rule = KindsRule(2, 14.0, 40.0, clock=time.process_time)
    found = search_kinds(layers, rule, lambda kinds: doubt_about_kinds(kinds) is None, lambda share, words: None)
    assert doubt_about_kinds(found[0]) is None
    lists = [set(zip(*np.nonzero(kind.activation), strict=True)) for kind in found[0]]
    assert min(max(len(own & set(places)) for own in lists) for places in PLACES) >= 8
