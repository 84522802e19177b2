"""One way of saying how far work is, and of stopping it, whatever the work."""

import inspect

import numpy as np
import pytest

import qpi_core
from qpi_core.extraction.extractor import Extractor
from qpi_core.extraction.stability.assessment import assess, assess_classes
from qpi_core.extraction.stability.stack_stability import assess_stack
from qpi_core.runtime.progress import OutOfTime, Progress, Stopped, in_time, no_progress, part_of, stop_when
from qpi_core.solvers.positions.refinement import refine

PLACES = np.array([[8.0, 9.0], [21.0, 12.0], [14.0, 24.0], [25.0, 26.0]])
MAP = np.random.default_rng(1).standard_normal((32, 32))
OPTIONS = {"method": "defect_average", "kernel_size": 16}


def run_map(report):
    return Extractor(device="cpu").extract(MAP, PLACES, report=report, **OPTIONS)


def run_classes(report):
    return Extractor(device="cpu").extract_classes(MAP, PLACES, ["A", "A", "B", "B"], report=report, **OPTIONS)


def run_stack(report):
    return qpi_core.extract_stack(Extractor(device="cpu"), np.stack([MAP, 2 * MAP]), PLACES, report=report, **OPTIONS)


def test_a_part_lies_between_its_two_shares_of_the_whole():
    told = []
    part_of(lambda share, words: told.append((share, words)), 0.2, 0.6)(0.5, "half of it")
    assert told == [(pytest.approx(0.4), "half of it")]
    assert part_of(None, 0.2, 0.6)(0.5, "to nobody") is None


def test_work_that_is_timed_goes_on_until_time_is_up_and_the_last_step_is_told():
    told, clock = [], iter([1.0, 2.0, 2.5])
    timed = in_time(lambda share, words: told.append(words), lambda: next(clock), 2.0)
    timed(0.1, "early")
    timed(0.2, "just in time")
    with pytest.raises(OutOfTime):
        timed(0.3, "late")
    assert told == ["early", "just in time", "late"] and issubclass(OutOfTime, Stopped)


def test_work_is_stopped_at_its_next_step():
    answers = iter([False, True])
    report = stop_when(lambda: next(answers))
    report(0.0, "first step")
    with pytest.raises(Stopped):
        report(0.5, "second step")


@pytest.mark.parametrize("run", [run_map, run_classes, run_stack])
def test_every_extraction_tells_shares_that_grow_and_words(run):
    told = []
    run(lambda share, words: told.append((share, words)))
    shares = [share for share, _ in told]
    assert shares == sorted(shares) and shares[0] >= 0 and shares[-1] <= 1
    assert all(words for _, words in told)


@pytest.mark.parametrize("run", [run_map, run_classes])
def test_one_map_has_no_parts_to_keep_and_passes_the_stop_on(run):
    with pytest.raises(Stopped):
        run(stop_when(lambda: True))


def test_a_stack_that_is_stopped_at_once_has_no_layer_and_keeps_its_list():
    found = run_stack(stop_when(lambda: True))
    assert not found.done.any() and np.isnan(found.kernels).all()
    np.testing.assert_array_equal(found.positions, PLACES)


def test_an_error_of_the_report_ends_a_stack_as_any_other_work():
    def broken(share, words, /):
        raise RuntimeError("the page is gone")

    with pytest.raises(RuntimeError, match="the page is gone"):
        run_stack(broken)


@pytest.mark.parametrize(
    "function",
    [
        Extractor.extract,
        Extractor.extract_classes,
        Extractor.extract_blind,
        qpi_core.extract_stack,
        qpi_core.find_defects,
        assess,
        assess_classes,
        assess_stack,
        refine,
    ],
)
def test_all_long_work_is_asked_in_the_same_words(function):
    parameters = inspect.signature(function).parameters
    assert "Progress" in str(parameters["report"].annotation)
    assert parameters["report"].default in (None, no_progress)
    assert {"progress", "cancelled", "say", "stop", "should_stop"}.isdisjoint(parameters)


def test_the_protocol_is_a_share_and_words():
    assert list(inspect.signature(Progress.__call__).parameters) == ["self", "share", "words"]
