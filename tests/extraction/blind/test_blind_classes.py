"""Several kinds from the map alone: what is made of the lists that the search finds, and what is refused."""

import time

import numpy as np
import pytest

from qpi_core import InputError, load_extractor
from qpi_core.estimates.blind_class_estimate import BlindClassEstimates, BlindClassStackEstimates
from qpi_core.evaluation.metrics import cosine
from qpi_core.extraction.blind.blind_answer import BlindOptions
from qpi_core.extraction.blind.blind_extraction import extract_blind
from qpi_core.results.script import python_snippet
from qpi_core.runtime.progress import Stopped, no_progress, stop_when
from qpi_core.solvers.blind.kinds.joint_kernels import solve_kinds
from qpi_core.solvers.blind.kinds.kinds_search import KindsRule, search_kinds
from qpi_core.solvers.blind.kinds.kinds_trust import doubt_about_kinds
from qpi_core.solvers.blind.layers import prepare_layers
from tests.solvers.blind.kinds.test_kinds import CLEAN, PLACES, SIDE, STEPS, activation, pattern

EXTRACTOR = load_extractor(device="cpu")
MAP = CLEAN + 0.2 * CLEAN.std() * np.random.default_rng(3).standard_normal(CLEAN.shape)


def found_by(layers, parts):
    """Return the kinds of known lists on other layers."""
    from qpi_core.solvers.blind.polishing.kernel_step import KernelStep

    return solve_kinds([(KernelStep(step.bank, layers), activation(places)) for step, places in parts])


def searching(places):
    """Return a search that comes to lists, tells of them, and can be stopped."""

    def search(layers, rule, accepts, report):
        found = found_by(layers, zip(STEPS[::-1], places[::-1], strict=True))
        report(0.1, "Looking for kinds")
        accepts(found)
        report(0.2, "Looking for kinds")
        return [found]

    return search


@pytest.fixture
def known_lists(monkeypatch):
    monkeypatch.setattr("qpi_core.extraction.blind.blind_classes.search_kinds", searching(PLACES))


WRONG = [[*places[:6], *((row, (column + 5) % SIDE) for row, column in places[6:])] for places in PLACES]


@pytest.fixture
def wrong_lists(monkeypatch):
    monkeypatch.setattr("qpi_core.extraction.blind.blind_classes.search_kinds", searching(WRONG))


def kernel_truths():
    """Return kernels of the kinds, the strongest first, and their defects as the set of (row, column)."""
    y, x = np.mgrid[-12:12, -12:12]
    kinds = [(pattern(x, y, wave, order), set(places)) for wave, order, places in zip((0.9, 1.7), (0, 4), PLACES, strict=True)]
    return sorted(kinds, key=lambda kind: -np.sum(kind[0] ** 2))


@pytest.mark.slow
def test_every_kind_has_its_list_and_kernel(known_lists):
    found = EXTRACTOR.extract_blind(MAP, 24, classes=2, time_limit_s=600)
    assert isinstance(found, BlindClassEstimates) and found.trusted and found.names == ("A", "B") and "each kind" in found.reason
    for name, (truth, places) in zip("AB", kernel_truths(), strict=True):
        assert cosine(found[name].kernel, truth) > 0.97
        assert {tuple(place) for place in np.rint(found[name].positions[:, ::-1]).astype(int)} == places
    assert found["A"].provenance["blind"]["trusted"] is True and len(found.alternatives[0]) == 2


@pytest.mark.slow
def test_the_lists_serve_all_energies(known_lists):
    found = EXTRACTOR.extract_blind(np.stack([MAP, MAP * 2]), 24, classes=2, bias_mv=[1.0, 2.0], time_limit_s=600)
    assert isinstance(found, BlindClassStackEstimates) and found["A"].kernels.shape == (2, 24, 24)
    np.testing.assert_allclose(found["B"].kernels[1], 2 * found["B"].kernels[0], atol=1e-3 * np.abs(found["B"].kernels).max())


def test_a_list_that_leaves_much_keeps_the_kernels_of_the_search(wrong_lists, monkeypatch):
    monkeypatch.setattr("qpi_core.extraction.blind.blind_classes.solve_classes_as_listed", None)  # which would take minutes
    found = EXTRACTOR.extract_blind(MAP, 24, classes=2)
    assert not found.trusted and "%" in found.reason and "time limit" not in found.reason
    for name, kind in zip("AB", found.alternatives[0], strict=True):
        np.testing.assert_array_equal(found[name].kernel, kind.kernel)
        np.testing.assert_array_equal(found[name].positions, kind.positions)
    np.testing.assert_allclose(found.reconstruction + found.residual, MAP, atol=1e-4)
    assert any("not to be trusted" in sentence for sentence in found.all_warnings())
    code = python_snippet(found["B"])
    assert "    classes=2,\n" in code and "estimate = found['B']" in code and compile(code, "reproduce.py", "exec")


def clock_after(calls):
    """Return a clock that stands still for some calls and is far on then."""
    left = iter([0.0] * calls)
    return lambda: next(left, 1e6)


def test_a_time_limit_that_ends_the_last_solve_is_told_and_the_kernels_are_those_of_the_search(known_lists):
    # Read at the beginning, after the search, at its answer, and then before every step of the solve.
    options = BlindOptions(24, time_limit_s=9.0, classes=2, clock=clock_after(3))
    found = extract_blind(EXTRACTOR, MAP, options, no_progress)
    assert not found.trusted and "The time limit of 9 s was reached before the kernels were solved for" in found.reason
    assert found["A"].provenance["blind"]["ended_by"] == "time" and len(found.alternatives) == 1
    for name, (truth, places) in zip("AB", kernel_truths(), strict=True):
        assert cosine(found[name].kernel, truth) > 0.95 and len(found[name].positions) == len(places)


def test_energies_that_time_is_up_for_take_the_kernels_of_the_search(known_lists):
    stack = np.stack([MAP, 2 * MAP, np.full(MAP.shape, 3.0)])
    options = BlindOptions(24, time_limit_s=9.0, classes=2, clock=clock_after(3))
    found = extract_blind(EXTRACTOR, stack, options, no_progress)
    assert isinstance(found, BlindClassStackEstimates) and found.complete and not found.trusted and "time limit of 9 s" in found.reason
    for name, (truth, _) in zip("AB", kernel_truths(), strict=True):
        assert cosine(found[name].kernels[0], truth) > 0.95
        np.testing.assert_allclose(found[name].kernels[1], 2 * found[name].kernels[0], rtol=1e-3, atol=1e-4)
        assert not found[name].kernels[2].any()
    np.testing.assert_allclose(found["A"].background, [np.mean(MAP), 2 * np.mean(MAP), 3.0], rtol=1e-4)


def test_whoever_stops_the_search_has_the_best_so_far(wrong_lists):
    best, steps = [], iter([False, True])
    with pytest.raises(Stopped):
        EXTRACTOR.extract_blind(MAP, 24, classes=2, on_best=best.append, report=stop_when(lambda: next(steps)))
    assert len(best) == 1 and len(best[0].kinds) == 2 and best[0].best is best[0].kinds[0]
    found = best[0].answer()
    assert isinstance(found, BlindClassEstimates) and not found.trusted and found["A"].provenance["blind"]["ended_by"] == "stop"
    np.testing.assert_array_equal(found["A"].kernel, best[0].best.kernel)


def test_marks_are_for_one_kind():
    with pytest.raises(InputError, match="marks are where the search for one kind"):
        EXTRACTOR.extract_blind(MAP, 24, classes=2, marks=[[3.0, 4.0]])


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
