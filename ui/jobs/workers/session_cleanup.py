"""Browsers that have left: their work is given back to the machine, although nobody asks the server for anything any more.

Streamlit keeps a session for a while, so that a short break of the network loses nothing, but looks at what has expired only when the
next session comes or goes: after the last browser its maps and results would stay in memory for good.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import threading
import time
import weakref
from collections.abc import Callable
from typing import Any, Protocol

import streamlit as st

from ui.streamlit_inside import session_doors

_LOOK_EVERY_SECONDS = 10.0


class Leaving(Protocol):
    """What a session holds and gives up in the end."""

    def leave(self) -> None:
        """Stop the work that runs for it."""


class Departures:
    """The sessions of this server and when their browsers left.

    Attributes:
        patience: seconds that a session without a browser is kept.
    """

    def __init__(self, patience: float, is_there: Callable[[str], bool], close: Callable[[str], None]) -> None:
        """Watch no session yet.

        Args:
            patience: seconds that a session without a browser is kept.
            is_there: says whether a session has a browser.
            close: drops a session with all that the server holds for it.
        """
        self.patience = patience
        self._is_there, self._close = is_there, close
        self._held: weakref.WeakValueDictionary[str, Any] = weakref.WeakValueDictionary()
        self._left: dict[str, float] = {}
        self._lock = threading.Lock()

    def watch(self, session_id: str, held: Leaving) -> None:
        """Remember what a session holds."""
        with self._lock:
            self._held[session_id] = held

    def look(self, now: float) -> int:
        """Close the sessions whose browser left longer than `patience` ago and return how many these are."""
        closed = 0
        with self._lock:
            sessions = dict(self._held)
            self._left = {name: since for name, since in self._left.items() if name in sessions}
        for session_id, held in sessions.items():
            if self._is_there(session_id):
                self._left.pop(session_id, None)
            elif now - self._left.setdefault(session_id, now) >= self.patience:
                held.leave()
                self._close(session_id)
                with self._lock:
                    self._held.pop(session_id, None)
                closed += 1
        return closed

    def keep_looking(self) -> None:
        """Look again and again, and give the memory of closed sessions back."""
        while True:
            time.sleep(_LOOK_EVERY_SECONDS)
            if self.look(time.monotonic()):
                time.sleep(1.0)  # the sessions are closed by the server's own thread
                give_memory_back()


def give_memory_back() -> None:
    """Collect what only cycles hold (Streamlit's sessions are such), and let the C library return its free pages."""
    gc.collect()
    with contextlib.suppress(OSError, AttributeError):  # there is no malloc_trim outside of glibc
        ctypes.CDLL("libc.so.6").malloc_trim(0)


@st.cache_resource(max_entries=1, show_spinner=False)
def departures() -> Departures:
    """Return the list that all sessions of this server share; its thread ends with the server."""
    found = Departures(*session_doors())
    threading.Thread(target=found.keep_looking, name="qpi-departures", daemon=True).start()
    return found
