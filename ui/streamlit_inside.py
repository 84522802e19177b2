"""Everything of Streamlit that is not promised to stay: the runtime behind the pages. Nothing else here touches it.

tests/ui/test_streamlit_inside.py says when a new version of Streamlit has changed what is used here.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable

import streamlit as st
from streamlit.runtime import Runtime, exists, get_instance
from streamlit.runtime.pages_manager import PagesManager
from streamlit.runtime.scriptrunner import get_script_run_ctx


def behind_a_server() -> bool:
    """Say whether a server runs the page: tests drive pages with a stand-in for it."""
    return exists() and type(get_instance()) is Runtime


def session_id() -> str | None:
    """Return the server's name of the session that a page is run for, or None outside of one."""
    context = get_script_run_ctx()
    return None if context is None else context.session_id


def takes_pages_for_apps() -> bool:
    """Say whether Streamlit has taken a file of the folder `pages` for an application of its own, and have it do so no more."""
    taken = bool(PagesManager.uses_pages_directory)
    if taken:
        PagesManager.uses_pages_directory = False
    return taken


def session_doors() -> tuple[float, Callable[[str], bool], Callable[[str], None]]:
    """Return the seconds that this server keeps a session without a browser, what says whether one has a browser, and what closes one."""
    server = get_instance()
    patience = float(st.get_option("server.disconnectedSessionTTL"))
    return patience, server.is_active_session, lambda name: close_session(server, name)


def close_session(server: Runtime, name: str) -> None:
    """Let the server's own thread close a session: with its state, its uploads and its pictures."""
    # Streamlit closes sessions on its event loop only and offers no public way there. Without this door the
    # uploaded files stay until the next session comes or goes; the work itself has been given up before.
    with contextlib.suppress(AttributeError, RuntimeError):
        server._get_async_objs().eventloop.call_soon_threadsafe(server.close_session, name)
