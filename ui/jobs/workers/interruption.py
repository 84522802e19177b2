"""Stopping a computation in another thread, also inside a long stage that does not ask whether it should stop.

CPython raises an exception in a thread at its next step in Python; what a single call of a library takes is waited for.
"""

from __future__ import annotations

import ctypes
import sys
import threading
from types import FrameType

_NOT_INSIDE = ("<frozen importlib._bootstrap>", "threads.py")
"""What must not be broken off: an import (NumPy and torch cannot be loaded twice), and the counting of threads."""


class Interruptible:
    """The part of a thread in which an exception may be raised from outside; afterwards none arrives any more."""

    def __init__(self, reason: type[BaseException]) -> None:
        """Use this class of exceptions."""
        self._reason = reason
        self._thread: int | None = None
        self._lock = threading.Lock()

    def begin(self) -> None:
        """Open the part for the calling thread."""
        self._thread = threading.get_ident()

    def end(self) -> None:
        """Close it. The calling thread may receive one last exception while it does, which is dropped."""
        while True:
            try:
                with self._lock:
                    self._thread = None
                _raise_in(threading.get_ident(), None)
                return
            except BaseException as error:
                if not isinstance(error, self._reason):
                    raise

    def interrupt(self) -> bool:
        """Raise the exception in the thread; say whether that was possible just now."""
        with self._lock:
            if self._thread is None or _busy_with(sys._current_frames().get(self._thread)):
                return False
            return _raise_in(self._thread, self._reason) > 0


def _busy_with(frame: FrameType | None) -> bool:
    while frame is not None:
        if frame.f_code.co_filename.endswith(_NOT_INSIDE):
            return True
        frame = frame.f_back
    return False


def _raise_in(thread: int, reason: type[BaseException] | None) -> int:
    wanted = None if reason is None else ctypes.py_object(reason)
    return int(ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread), wanted))
