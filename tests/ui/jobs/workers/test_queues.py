"""Jobs: one at a time, in order, with cancel, and every failure a sentence."""

from __future__ import annotations

import threading

import pytest

from qpi_core.base.errors import InputError
from ui.jobs.workers.queues import FINISHED, Cancelled, Job, JobQueue
from ui.jobs.workers.register import SessionJobs


@pytest.fixture
def queue():
    made = JobQueue()
    yield made
    made._pool.shutdown(wait=True)


def test_result_comes_back(queue: JobQueue):
    job = queue.submit("sum", lambda job: 2 + 3)
    assert job.wait(10) and (job.state, job.result) == ("done", 5)


def test_one_at_a_time_in_order(queue: JobQueue):
    gate, order = threading.Event(), []
    first = queue.submit("first", lambda job: (gate.wait(10), order.append(1)))
    second = queue.submit("second", lambda job: order.append(2))
    assert queue.ahead_of(second) == 1 and second.state == "waiting"
    gate.set()
    assert first.wait(10) and second.wait(10)
    assert order == [1, 2] and queue.ahead_of(second) == 0


def test_cancel_stops_at_the_next_step(queue: JobQueue):
    started, gate, after = threading.Event(), threading.Event(), []

    def work(job: Job) -> None:
        started.set()
        gate.wait(10)
        job.step(0.5, "half")
        after.append(True)

    job = queue.submit("long", work)
    assert started.wait(10)
    job.cancel()
    gate.set()
    assert job.wait(10) and job.state == "cancelled" and not after


def test_waiting_job_can_be_cancelled(queue: JobQueue):
    gate, ran = threading.Event(), []
    queue.submit("first", lambda job: gate.wait(10))
    second = queue.submit("second", lambda job: ran.append(True))
    second.cancel()
    gate.set()
    assert second.wait(10) and second.state == "cancelled" and not ran


def test_bad_input_is_told_in_its_own_words(queue: JobQueue):
    def work(job: Job) -> None:
        raise InputError("kernel_size is 900 pixels, larger than the map.")

    job = queue.submit("bad", work)
    assert job.wait(10) and (job.state, job.problem) == ("failed", "kernel_size is 900 pixels, larger than the map.")


def test_internal_error_shows_no_details_and_the_queue_goes_on(queue: JobQueue):
    def work(job: Job) -> None:
        raise RuntimeError("/secret/path")

    broken = queue.submit("broken", work)
    assert broken.wait(10) and broken.state == "failed" and "RuntimeError" in broken.problem and "secret" not in broken.problem
    assert queue.submit("next", lambda job: 1).wait(10)


def test_a_stage_that_never_asks_is_interrupted(queue: JobQueue):
    started, ended = threading.Event(), []

    def work(job: Job) -> None:
        started.set()
        try:
            while True:
                sum(range(1000))
        finally:
            ended.append(True)

    job = queue.submit("endless", work)
    assert started.wait(10)
    job.cancel()
    assert job.wait(10) and job.state == "cancelled" and ended == [True]
    assert queue.submit("next", lambda job: 7).wait(10), "the worker itself goes on"


def test_what_brings_home_the_finished_part_is_not_interrupted(queue: JobQueue, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("ui.jobs.workers.queues._GRACE_SECONDS", 0.0)
    monkeypatch.setattr("ui.jobs.workers.queues._AGAIN_SECONDS", 0.01)
    started, gate = threading.Event(), threading.Event()

    def work(job: Job) -> str:
        try:
            started.set()
            while True:
                sum(range(1000))
        except Cancelled:
            job.settle()
            gate.wait(0.2)
            return "kept"

    job = queue.submit("long", work)
    assert started.wait(10)
    job.cancel()
    assert job.wait(10) and (job.state, job.result) == ("done", "kept")


@pytest.mark.slow
def test_no_interruption_arrives_after_the_work(queue: JobQueue, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("ui.jobs.workers.queues._GRACE_SECONDS", 0.0)
    monkeypatch.setattr("ui.jobs.workers.queues._AGAIN_SECONDS", 0.0)
    for _ in range(200):
        job = queue.submit("short", lambda job: sum(range(20_000)))
        job.cancel()
        assert job.wait(10)
    assert queue.submit("next", lambda job: 7).wait(10)


def test_short_work_overtakes_long_work():
    gate, space = threading.Event(), SessionJobs()
    taken = []
    long = [space.start(kind, kind, lambda job: gate.wait(60), taken.append, 0.0) for kind in ("stack", "stability")]
    kernel = space.start("extraction", "kernel", lambda job: 1, taken.append)
    assert kernel.wait(10) and kernel.state == "done" and not any(job.state in FINISHED for job in long)
    space.collect()
    assert taken == [kernel] and space.get("extraction") is None and space.get("stack") is long[0]
    space.leave()
    gate.set()
    assert all(job.wait(10) for job in long)


def test_a_result_is_told_of_until_its_page_is_open():
    space = SessionJobs()
    space.start("stack", "Energy stack", lambda job: 1, lambda job: None, 10.0)
    space.collect()
    space.seen_on("Extract")
    assert space.unseen == {"stack": "Energy stack"}
    space.seen_on("Stacks")
    assert space.unseen == {}


def test_the_jobs_of_a_map_end_with_it_and_are_not_taken_over():
    gate, taken, space = threading.Event(), [], SessionJobs()
    jobs = {kind: space.start(kind, kind, lambda job: gate.wait(60), taken.append, 0.0) for kind in ("extraction", "comparison")}
    space.drop_those_of_the_map()
    gate.set()
    assert all(job.wait(10) for job in jobs.values())
    space.collect()
    assert taken == [jobs["comparison"]] and jobs["extraction"].cancel_requested
