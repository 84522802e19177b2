"""The three executors give the same outcomes, whatever fails on the way."""

import contextlib
import itertools
import math
import multiprocessing
import sys
import time

import pytest

from qpi_core.base.errors import InputError
from qpi_core.runtime.executor import DaskCluster, InProcess, LocalProcesses, choose_executor
from qpi_core.runtime.progress import stop_when


def as_dict(outcomes):
    return {outcome.index: outcome.value if outcome.error is None else str(outcome.error) for outcome in outcomes}


@pytest.fixture(scope="module")
def cluster():
    """A Dask cluster of two workers, reached through sockets."""
    distributed = pytest.importorskip("distributed", reason="distributed (requirements-cluster.txt) is not installed")
    with distributed.LocalCluster(n_workers=2, threads_per_worker=1, processes=False, protocol="tcp://", dashboard_address=None) as cluster:
        yield cluster


@pytest.fixture(params=["in-process", pytest.param("processes", marks=pytest.mark.slow), "cluster"])
def executor(request):
    if request.param == "cluster":
        there = DaskCluster(request.getfixturevalue("cluster").scheduler_address)
        with contextlib.closing(there):
            yield there
    else:
        yield InProcess() if request.param == "in-process" else LocalProcesses(2)


def test_every_item_has_its_outcome_and_progress_counts_them(executor):
    counts = []
    outcomes = as_dict(executor.map(math.sqrt, [0.0, 1.0, -1.0, 4.0], lambda share, words: counts.append(share)))
    assert outcomes.pop(2) in ("math domain error", "expected a nonnegative input, got -1.0")
    assert outcomes == {0: 0, 1: 1, 3: 2}
    assert counts == [n / 4 for n in range(5)]
    seen = []
    for outcome in executor.map(math.sqrt, list(range(100)), stop_when(lambda: len(seen) >= 2)):
        seen.append(outcome.index)
    assert 2 <= len(seen) <= 8, "nothing is begun after cancelling"


@pytest.mark.slow
def test_an_item_that_kills_its_process_fails_alone_and_leaving_ends_the_processes():
    code = ["1", "__import__('os').kill(__import__('os').getpid(), 9)", "3", "4", "__import__('time').sleep(100)"]
    before = set(multiprocessing.active_children())
    outcomes = LocalProcesses(2).map(eval, code)
    found = as_dict(itertools.islice(outcomes, 4))
    assert "process that worked on it ended" in found.pop(1)
    assert found == {0: 1, 2: 3, 3: 4}
    outcomes.close()
    # Asked again and again: while the pool's own thread collects an ended process, one question about it may still say alive.
    deadline = time.monotonic() + 60
    while left := set(multiprocessing.active_children()) - before:
        assert time.monotonic() < deadline, left
        time.sleep(0.05)


def test_wrong_executors_get_a_sentence(monkeypatch):
    with pytest.raises(InputError, match="exclude each other"):
        choose_executor(2, "tcp://localhost:1")
    with pytest.raises(InputError, match="workers is 0"):
        choose_executor(0)
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(InputError, match="pip install distributed"):
        choose_executor(scheduler="tcp://localhost:1")


def test_a_scheduler_that_is_not_there_gets_a_sentence(monkeypatch):
    pytest.importorskip("distributed", reason="distributed (requirements-cluster.txt) is not installed")
    monkeypatch.setattr("qpi_core.runtime.executor._CONNECT_SECONDS", 0.5)
    with pytest.raises(InputError, match="no Dask scheduler answers at 'tcp://127.0.0.1:9'"):
        DaskCluster("tcp://127.0.0.1:9")
