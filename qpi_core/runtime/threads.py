"""One thread for every solve, in BLAS and in torch, also when several threads solve at once.

Small linear systems are solved twice as fast by one BLAS thread. Torch's threads wait for one another by spinning: where something else
keeps a core busy, a solve that they share takes a hundred times longer (64 x 64 pixels, `tikhonov`, two cores of which one is busy: 0.09
against 13.7 s of CPU), and on a machine at rest they save a third of it from 512 x 512 pixels on, and nothing below. And the number of
threads decides on the last digits, which the search for hyperparameters can turn into a different answer: every way to a kernel has to
use the same. Work that is shared goes to threads or processes that each do a whole layer or map (see executor).
"""

from __future__ import annotations

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
_torch_threads = 1
# threadpoolctl obeys only the thread that set a limit first, so that one thread has to set and restore it for all.
_owner = ThreadPoolExecutor(max_workers=1, thread_name_prefix="blas-threads")


@contextmanager
def one_thread() -> Iterator[None]:
    """Let BLAS and torch use one thread until the last of all threads that are in such a context has left it.

    BLAS's number of threads belongs to the process: a context that restored it on its own would give it back to a solve that still runs.
    Torch has one number for each thread and one for those to come: whoever leaves last restores its own and the latter.
    """
    import torch

    global _inside, _limits, _torch_threads
    with _lock:
        if _inside == 0:
            # A thread that left before the last one still has one thread itself.
            _limits, _torch_threads = _set_limit(), max(_torch_threads, torch.get_num_threads())
        _inside += 1
    torch.set_num_threads(1)
    try:
        yield
    finally:
        with _lock:
            _inside -= 1
            if _inside == 0 and _limits is not None:
                # Leaving it as a context also hands the control over BLAS back.
                _take_back(_limits)
                _limits = None
                torch.set_num_threads(_torch_threads)


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
