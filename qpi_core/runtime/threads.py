"""One thread for every solve, in BLAS and in torch, also when several threads solve at once.

Small linear systems are solved twice as fast by one BLAS thread. Torch's threads wait for one another by spinning: where something else
keeps a core busy, a solve that they share takes a hundred times longer (64 x 64 pixels, `tikhonov`, two cores of which one is busy: 0.09
against 13.7 s of CPU), and on a machine at rest they save a third of it from 512 x 512 pixels on, and nothing below. And the number of
threads decides on the last digits, which the search for hyperparameters can turn into a different answer: every way to a kernel has to
use the same. Work that is shared goes to threads or processes that each do a whole layer or map (see executor).
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

# A library that is loaded later would escape the limit, and scipy brings a BLAS of its own.
import scipy.linalg  # noqa: F401
from threadpoolctl import threadpool_limits

_lock = threading.Lock()
_inside = 0
_limits: threadpool_limits | None = None
_torch_threads = 0
"""Of torch outside of a solve; 0 until it was seen in one."""
# threadpoolctl obeys only the thread that set a limit first, so that one thread has to set and restore it for all.
_owner = ThreadPoolExecutor(max_workers=1, thread_name_prefix="blas-threads")


@contextmanager
def one_thread() -> Iterator[None]:
    """Let BLAS and torch use one thread until the last of all threads that are in such a context has left it.

    BLAS's number of threads belongs to the process: a context that restored it on its own would give it back to a solve that still runs.
    Torch has one number for each thread and one for those to come: whoever leaves last restores its own and the latter. Torch itself is
    not imported here, which takes longer than a small solve; where it is in the meantime, one_torch_thread follows.
    """
    global _inside, _limits
    with _lock:
        if _inside == 0:
            _limits = _set_limit()
        _inside += 1
    one_torch_thread()
    try:
        yield
    finally:
        with _lock:
            _inside -= 1
            if _inside == 0 and _limits is not None:
                # Leaving it as a context also hands the control over BLAS back.
                _take_back(_limits)
                _limits = None
                if _torch_threads:
                    sys.modules["torch"].set_num_threads(_torch_threads)


def one_torch_thread() -> None:
    """Let torch, once it is there, use one thread in this thread of a solve; outside of a solve nothing changes."""
    global _torch_threads
    torch = sys.modules.get("torch")
    with _lock:
        if torch is None or not _inside:
            return
        # A thread that left a solve before the last one still has one itself.
        _torch_threads = max(_torch_threads, torch.get_num_threads())
        torch.set_num_threads(1)


def _set_limit() -> threadpool_limits:
    try:
        task = _owner.submit(threadpool_limits, 1, "blas")
    except RuntimeError:  # the process is about to end: its pools take no work any more, but a last solve may still run
        return threadpool_limits(1, "blas")
    return task.result()


def _take_back(limits: threadpool_limits) -> None:
    try:
        task = _owner.submit(limits.__exit__, None, None, None)
    except RuntimeError:  # as above; there is nobody left to give the threads back to
        return
    task.result()
