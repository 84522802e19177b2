"""Jobs: one at a time, in order, with cancel, and every failure a sentence."""

from __future__ import annotations

import threading

import pytest

from qpi_core.errors import InputError
from ui.jobs import Job, JobQueue


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
