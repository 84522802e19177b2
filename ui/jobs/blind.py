"""The search for defects and kernel in the map alone, as a job: what is asked, what is known so far, and what becomes of the answer."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from ui.jobs.extraction import Outcome, Question, placed, source_of, with_kinds
from ui.jobs.network_view import start_network_view
from ui.jobs.workers.queues import Cancelled, Job
from ui.state.loaders import extractor
from ui.state.workspace import NO_POINTS, Workspace

if TYPE_CHECKING:
    from qpi_core.estimates.blind_class_estimate import BlindCandidate, BlindClassEstimates
    from qpi_core.estimates.blind_estimate import BlindEstimate

TITLE, TITLE_OF_KINDS = "Search", "Search for several kinds"
TIME_LIMIT_S = 60.0
MOST_KINDS = 3


@dataclass(frozen=True, eq=False)
class BlindResult:
    """What a search came to.

    Attributes:
        outcome: kernel and defects, with those of the other kinds, or None where no defect was found.
        reason: why it is trusted, or why not.
    """

    outcome: Outcome | None
    reason: str


def find_defects_and_kernel(job: Job, question: Question, time_limit_s: float, kinds: int = 1) -> BlindResult:
    """Search the layer of a question for so many kinds of defects inside a job; a cancel keeps the best that is known so far.

    Raises:
        InputError: the map cannot be searched, or does not show so many kinds; the sentence says why.
        Cancelled: stopped before anything was found.
    """
    started = time.perf_counter()

    def keep(candidate: BlindCandidate) -> None:
        job.best = candidate

    try:
        found = extractor().extract_blind(
            question.view.layer.values,
            question.kernel_size,
            kinds,
            pixel_size_nm=question.view.pixel_size_nm,
            report=job.step,
            time_limit_s=time_limit_s,
            on_best=keep,
        )
    except Cancelled:
        if job.best is None:
            raise
        job.settle()
        job.message = "Solving for the kernel at the defects found so far"
        found = job.best.answer()
    seconds = time.perf_counter() - started
    return _result_of_kinds(question, found, seconds) if kinds > 1 else _result(question, found, seconds)


def _result(question: Question, found: BlindEstimate, seconds: float) -> BlindResult:
    if not len(found.positions):
        return BlindResult(None, found.reason)
    asked = replace(question, positions=found.positions, method=found.method, refine_positions=False, labels=None)
    asked = replace(asked, blind=True, auto_window=False)
    return BlindResult(Outcome(asked, found.with_source(source_of(asked)), None, "", seconds), found.reason)


def _result_of_kinds(question: Question, found: BlindClassEstimates, seconds: float) -> BlindResult:
    positions = np.concatenate([one.positions for one in found.estimates.values()])
    labels = tuple(name for name, one in found.estimates.items() for _ in one.positions)
    method = next(iter(found.estimates.values())).method
    asked = replace(question, positions=positions, labels=labels, method=method, refine_positions=False, blind=True, auto_window=False)
    outcomes = {name: placed(asked, one, seconds) for name, one in found.estimates.items()}
    return BlindResult(with_kinds(outcomes), found.reason)


def start_blind_search(space: Workspace, question: Question, time_limit_s: float, kinds: int = 1) -> None:
    """Queue the search for the layer and kernel size of a question; its marks, if there are any, are left alone.

    Args:
        space: of the session.
        question: with the layer.
        time_limit_s: the search ends by then.
        kinds: of defects that are looked for, 1 to MOST_KINDS.
    """
    space.problem = space.blind_note = ""
    space.proposal = NO_POINTS

    def work(job: Job) -> BlindResult:
        return find_defects_and_kernel(job, question, time_limit_s, kinds)

    space.jobs.start("blind", TITLE if kinds == 1 else TITLE_OF_KINDS, work, lambda job: _take(space, job), 0.0)


def _take(space: Workspace, job: Job) -> None:
    """Take over what a search left: the kernel, and its defects as marks, or as a proposal where there are other marks."""
    if job.state == "failed":
        space.blind_note = job.problem
    if job.state != "done":
        return
    result: BlindResult = job.result
    if result.outcome is None:
        space.blind_note = result.reason
        return
    space.outcome, space.extract_problem = result.outcome, ""
    found = result.outcome.question.positions
    if not len(space.defects.points):
        space.defects.replace(found, "blind", result.outcome.question.labels)
    elif not np.array_equal(space.defects.points, found):
        space.proposal, space.searched = found, result.outcome.question.view.layer.sha256
    start_network_view(space)
