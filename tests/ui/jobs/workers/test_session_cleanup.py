"""Sessions whose browser has left are dropped with their work; those that come back in time are kept."""

from __future__ import annotations

import gc
import threading
import weakref
from collections import OrderedDict

import pytest

from ui.jobs.workers.queues import quick_queue
from ui.jobs.workers.register import KINDS
from ui.jobs.workers.session_cleanup import Departures
from ui.state.workspace import Workspace


@pytest.fixture
def open_sessions() -> set[str]:
    return set()


@pytest.fixture
def closed() -> list[str]:
    return []


@pytest.fixture
def departures(open_sessions: set[str], closed: list[str]) -> Departures:
    return Departures(120.0, open_sessions.__contains__, closed.append)


def test_a_session_is_closed_and_its_work_stopped_when_its_browser_stays_away(departures, open_sessions, closed):
    space = Workspace()
    gate = threading.Event()
    kinds = [space.jobs.start(kind, kind, lambda job: gate.wait(60), lambda job: None, 0.0) for kind in KINDS]
    value = quick_queue().submit("layer", lambda job: None)
    space.jobs.values["layer"] = OrderedDict(key=value)
    departures.watch("a", space)
    open_sessions.add("a")
    assert departures.look(0.0) == 0
    open_sessions.clear()
    assert departures.look(10.0) == departures.look(129.0) == 0 and not closed
    assert not any(job.cancel_requested for job in (*kinds, value))
    assert departures.look(130.0) == 1 and closed == ["a"]
    assert all(job.cancel_requested for job in (*kinds, value)), "every kind of job ends with its browser"
    gate.set()
    assert departures.look(500.0) == 0 and closed == ["a"]


def test_a_browser_that_comes_back_in_time_loses_nothing(departures, open_sessions, closed):
    space = Workspace()
    departures.watch("a", space)
    departures.look(0.0)
    open_sessions.add("a")
    departures.look(100.0)
    open_sessions.clear()
    departures.look(110.0)
    assert departures.look(229.0) == 0 and not closed, "the time counts from the last parting"
    assert departures.look(230.0) == 1


def test_only_the_session_that_left_is_closed_and_nothing_keeps_its_data_alive(departures, open_sessions, closed):
    stays, leaves = Workspace(), Workspace()
    departures.watch("stays", stays)
    departures.watch("leaves", leaves)
    open_sessions.add("stays")
    departures.look(0.0)
    assert departures.look(200.0) == 1 and closed == ["leaves"]
    trace = weakref.ref(leaves)
    del leaves
    gc.collect()
    assert trace() is None
