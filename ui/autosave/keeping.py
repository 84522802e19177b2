"""Work is kept while it is done and brought back when the browser reloads the page; a new tab is offered what was done last.

Four parts are kept apart, so that a click saves a few bytes and not the map: the map, the result, the stack, and marks with settings.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import streamlit as st

from qpi_core.base.errors import InputError
from ui.autosave.state import Autosave
from ui.autosave.store import AutosaveStore
from ui.jobs.workers.queues import FINISHED, Job, JobQueue
from ui.state.workspace import NO_POINTS, Workspace
from ui.streamlit_inside import behind_a_server
from ui.widgets.browser_page import KEY, browser_page


@st.cache_resource(max_entries=1, show_spinner=False)
def store() -> AutosaveStore:
    """Return the store of this server."""
    return AutosaveStore()


@st.cache_resource(max_entries=1, show_spinner=False)
def _queue() -> JobQueue:
    """Return a queue of low priority of its own: to be kept must not wait for somebody's energy stack."""
    return JobQueue(priority=5)


def attend_browser(space: Workspace) -> None:
    """Take over what the browser says and mount its part of the page, before the page itself is drawn.

    Without a server, as in tests of pages, nothing happens.
    """
    if not behind_a_server():
        return
    _take_names(space)
    space.autosave.told = _news(space)
    browser_page(space.autosave.tab, *space.autosave.told)


def has_news(space: Workspace) -> bool:
    """Say whether the browser has to be told something, which takes a run of the whole page."""
    return bool(space.autosave.tab) and space.autosave.told != _news(space)


def _news(space: Workspace) -> tuple[bool, bool | None, bool]:
    """Return (whether work was kept, what was chosen, whether to ask before the page is left)."""
    mine = space.autosave
    not_kept = space.loaded is not None and (mine.off or mine.too_large or not mine.tab)
    ask = not_kept or any(name not in ("latent", "networks") for name, _, _ in space.jobs.running())
    return bool(mine.keys) and not mine.off, mine.chosen, ask


def _take_names(space: Workspace) -> None:
    """Take over the names that the browser sent; a page that was reloaded gets its work back before it is drawn."""
    value = (st.session_state.get(KEY) or {}).get("value")
    mine = space.autosave
    if mine.tab or not isinstance(value, dict):
        return
    tab, latest = (name if isinstance(name, str) else "" for name in (value.get("tab"), value.get("latest")))
    with contextlib.suppress(ValueError, OSError):
        shelf = value.get("shelf")
        store().listed(shelf if isinstance(shelf, str) else "")
        mine.shelf = shelf
    with contextlib.suppress(ValueError, OSError):  # names of another form, or a folder that cannot be read: nothing is kept
        store().saved_at(tab)
        mine.tab, mine.off = tab, value.get("off") is True
        if space.loaded is None and store().saved_at(tab) is not None:
            bring_back(space, tab)
        elif latest != tab and store().saved_at(latest) is not None:
            mine.latest = latest


def bring_back(space: Workspace, tab: str) -> None:
    """Open the work of a tab. Call it from a callback, before the controls are shown."""
    from qpi_core.results.session.session_file import Session, load_session
    from ui.widgets.session_panel import open_session

    parts = store().parts(tab)
    saved_at = store().saved_at(tab)
    space.autosave.latest = ""
    try:
        found = {name: load_session(content, f"{name}.zip") for name, content in parts.items()}
        if "map" not in found:
            return
        marks = found.get("marks", Session(None, NO_POINTS))
        results = found["result"].results if "result" in found else ()
        stack = found["stack"].stack if "stack" in found else None
        open_session(space, Session(found["map"].scan, marks.positions, marks.settings, results, marks.labels, stack))
    except InputError:
        store().forget(tab)
        space.autosave.note = "What was kept of the last work is damaged and cannot be brought back."
        return
    moment = time.strftime("%H:%M", time.localtime(saved_at)) if saved_at else ""
    space.autosave.note = f"Brought back as it was at {moment}."


def keep(space: Workspace, controls: Callable[[], dict[str, Any]]) -> None:
    """Queue what has changed since it was kept last; `controls` gives the settings as a session file keeps them."""
    mine = space.autosave
    if not mine.tab or mine.off or space.loaded is None:
        return
    from ui.widgets.session_panel import marks_of

    marks = marks_of(space, controls())
    keys = {
        "map": space.loaded.token,
        "result": id(space.outcome),
        "stack": id(space.stack_outcome),
        "marks": (space.loaded.token, marks.positions.tobytes(), marks.labels, repr(marks.settings)),
    }
    makers: dict[str, Callable[[], Any]] = {
        "map": lambda scan=space.loaded.scan: _only_map(scan),
        "result": lambda outcome=space.outcome: None if outcome is None else _only_result(outcome),
        "stack": lambda outcome=space.stack_outcome: None if outcome is None else _only_stack(outcome),
        "marks": lambda: marks,
    }
    if space.stack_outcome is None and space.jobs.get("stack") is not None:
        del keys["stack"]  # it is being opened, or computed: what is kept of it stays until there is another one
    for part, key in keys.items():
        if mine.keys.get(part) != key:
            mine.keys[part] = key
            _queue_part(mine, part, makers[part], _as_recent(space) if part == "map" else None)


def _as_recent(space: Workspace) -> Callable[[bytes], None] | None:
    """Return what keeps the map in use among the recent ones; simulated maps are made again in a moment."""
    from ui.autosave.recent import keep_recent, part_of

    shelf, loaded = space.autosave.shelf, space.loaded
    if not shelf or loaded.positions is not None or loaded.simulation is not None:
        return None
    return lambda content: keep_recent(shelf, part_of(loaded.name, loaded.sha256), content)


def _only_map(scan: Any) -> Any:
    from qpi_core.results.session.session_file import Session

    return Session(scan, np.zeros((0, 2)))


def _only_result(outcome: Any) -> Any:
    from qpi_core.results.session.session_file import Session
    from ui.widgets.session_panel import saved_results

    return Session(None, np.zeros((0, 2)), results=saved_results(outcome))


def _only_stack(outcome: Any) -> Any:
    from qpi_core.results.session.session_file import Session
    from ui.state.saved_stack import saved_stack

    return Session(None, np.zeros((0, 2)), stack=saved_stack(outcome))


def _queue_part(mine: Autosave, part: str, make: Callable[[], Any], then: Callable[[bytes], None] | None) -> None:
    before = mine.jobs.get(part)
    if before is not None and before.state == "waiting":
        before.cancel()
    tab = mine.tab

    def work(job: Job) -> None:
        from qpi_core.results.session.session_file import session_bytes

        session = make()
        job.settle()
        if session is None:
            store().forget(tab, part)
            return
        content = session_bytes(session)
        fits = store().save(tab, part, content)
        if then is not None:
            then(content)
        # The marks are small: they say nothing about whether the rest has room.
        mine.too_large = mine.too_large if part == "marks" else not fits

    mine.jobs[part] = _queue().submit("Autosave", work)


def switch(space: Workspace, on: bool) -> None:
    """Switch the keeping on or off; off deletes what is kept."""
    mine = space.autosave
    mine.off, mine.chosen, mine.keys, mine.note, mine.too_large = not on, not on, {}, "", False
    if mine.off and mine.tab:
        for job in mine.jobs.values():
            if job.state not in FINISHED:
                job.cancel()
        _queue().submit("Forget", lambda job: _forget_all(mine))


def _forget_all(mine: Autosave) -> None:
    """Delete what is kept of this tab, and the recent maps of its browser."""
    store().forget(mine.tab)
    if mine.shelf:
        store().forget(mine.shelf)
