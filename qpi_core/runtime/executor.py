"""Running one function over many items: in this process, in local processes, or on a Dask cluster that exists already.

The three give the same outcomes: a failing item is an outcome like any other, and what is finished is handed over at once, so
whoever asks can write it down before the next one is there.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

from qpi_core.base.errors import InputError
from qpi_core.runtime.progress import Progress, Stopped, no_progress

Item = TypeVar("Item")
Result = TypeVar("Result")

_PATIENCE_SECONDS = 2.0
_CONNECT_SECONDS = 10
_ENDED = "the process that worked on it ended, perhaps for want of memory; try it alone"


@dataclass(frozen=True)
class Outcome(Generic[Result]):
    """What became of one item: a value, or the error that it ended with.

    Attributes:
        index: place of the item in the sequence.
        value: what the function returned, None after an error.
        error: the exception, None after success.
    """

    index: int
    value: Result | None = None
    error: Exception | None = None


class _Told:
    """Tells how many items are finished, until whoever is told wants no more."""

    def __init__(self, report: Progress, total: int) -> None:
        self.stopped = False
        self._report, self._total, self._finished = report, total, 0
        self._tell()

    def one_more(self) -> None:
        """Tell that another item is finished."""
        self._finished += 1
        self._tell()

    def _tell(self) -> None:
        try:
            self._report(self._finished / max(1, self._total), f"{self._finished} of {self._total} finished")
        except Stopped:
            self.stopped = True


class Executor(Protocol):
    """Whatever can run a function over items."""

    @property
    def at_once(self) -> int:
        """How many items are worked on at a time."""

    def map(
        self,
        function: Callable[[Item], Result],
        items: Sequence[Item],
        report: Progress = no_progress,
    ) -> Iterator[Outcome[Result]]:
        """Yield the outcome of every item as it comes, in any order.

        Args:
            function: of one item, importable by name, as other processes must find it.
            items: arguments that can be sent to other processes.
            report: called before the first item and after each; where it raises Stopped, nothing more is begun.
        """


class InProcess:
    """One item after the other, here."""

    at_once = 1

    def map(
        self,
        function: Callable[[Item], Result],
        items: Sequence[Item],
        report: Progress = no_progress,
    ) -> Iterator[Outcome[Result]]:
        """Yield the outcomes in the order of the items; arguments as in Executor.map."""
        told = _Told(report, len(items))
        for index, item in enumerate(items):
            if told.stopped:
                return
            try:
                outcome = Outcome(index, function(item))
            except Exception as error:  # one item's failure is its own outcome
                outcome = Outcome(index, error=error)
            yield outcome
            told.one_more()


class LocalProcesses:
    """Several items at a time, each in a process of its own with one thread."""

    def __init__(self, workers: int) -> None:
        """Remember how many processes to use.

        Raises:
            InputError: fewer than one.
        """
        if workers < 1:
            raise InputError(f"workers is {workers}; at least 1 is needed.")
        self.workers = self.at_once = workers

    def map(
        self,
        function: Callable[[Item], Result],
        items: Sequence[Item],
        report: Progress = no_progress,
    ) -> Iterator[Outcome[Result]]:
        """Yield the outcomes as they come; arguments as in Executor.map.

        A process that dies takes the others of its pool with it: what they had in hand is then done again one by one, so that
        only the item that kills its process fails.
        """
        waiting, suspects, told = deque(range(len(items))), deque[int](), _Told(report, len(items))
        while waiting or suspects:
            alone = bool(suspects)
            source, workers = (suspects, 1) if alone else (waiting, self.workers)
            for index, value, error in _pool_outcomes(function, items, source, workers, told):
                if isinstance(error, BrokenProcessPool):
                    if not alone:
                        suspects.append(index)
                        continue
                    error = InputError(f"{_ENDED}.")
                yield Outcome(index, value, error)
                told.one_more()
            if told.stopped:
                return


class DaskCluster:
    """Items sent to the workers of a running Dask cluster, which need this program installed but none of the files."""

    def __init__(self, address: str) -> None:
        """Connect to a scheduler.

        Args:
            address: such as tcp://10.0.0.5:8786.

        Raises:
            InputError: the package distributed is missing, or no scheduler answers.
        """
        try:
            from distributed import Client
        except ImportError:
            command = "python -m pip install distributed"
            raise InputError(f"a scheduler needs the package distributed, which is not installed ({command}).") from None
        try:
            self._client = Client(address, timeout=_CONNECT_SECONDS, set_as_default=False)
        except (OSError, ValueError, TypeError) as error:
            raise InputError(f"no Dask scheduler answers at {address!r}; give its address, such as tcp://10.0.0.5:8786.") from error

    @property
    def at_once(self) -> int:
        """How many items the cluster works on at a time."""
        return max(1, sum(int(threads) for threads in self._client.nthreads().values()))

    def map(
        self,
        function: Callable[[Item], Result],
        items: Sequence[Item],
        report: Progress = no_progress,
    ) -> Iterator[Outcome[Result]]:
        """Yield the outcomes as they come; arguments as in Executor.map."""
        from distributed import as_completed

        # A few items beyond the workers keep them busy without sending every file at once.
        at_once = 2 * self.at_once
        numbers: dict[Any, int] = {}
        running = as_completed(loop=self._client.loop)
        waiting = iter(range(len(items)))
        told = _Told(report, len(items))

        def send() -> None:
            index = next(waiting, None)
            if index is not None and not told.stopped:
                future = self._client.submit(function, items[index], pure=False)
                numbers[future.key] = index
                running.add(future)

        try:
            for _ in range(at_once):
                send()
            for future in running:
                index, error = numbers.pop(future.key), future.exception()
                yield Outcome(index, None if error else future.result(), _as_exception(error))
                future.release()
                told.one_more()
                send()
        finally:
            running.clear()

    def close(self) -> None:
        """Leave the cluster, which stays as it is."""
        self._client.close()


def choose_executor(workers: int | None = None, scheduler: str | None = None) -> InProcess | LocalProcesses | DaskCluster:
    """Return the executor for what was asked for: a scheduler's address, a number of local processes, or neither.

    Raises:
        InputError: both at once, or one that cannot be had.
    """
    if workers is not None and scheduler is not None:
        raise InputError("workers and a scheduler exclude each other: the cluster has its own workers; leave one out.")
    if scheduler is not None:
        return DaskCluster(scheduler)
    return InProcess() if workers is None else LocalProcesses(workers)


def _pool_outcomes(
    function: Callable[[Item], Result],
    items: Sequence[Item],
    waiting: deque[int],
    workers: int,
    told: _Told,
) -> Iterator[tuple[int, Result | None, Exception | None]]:
    """Yield (index, value, error) for items in hand until nothing is waiting, or until the pool is broken."""
    before = set(multiprocessing.active_children())
    # Fresh processes: a forked one would inherit the state of torch's threads.
    pool = ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn"), initializer=_prepare_process)
    running: dict[Future[Result], int] = {}
    broken = complete = False
    try:
        while running or (waiting and not broken):
            while waiting and not broken and len(running) < workers and not told.stopped:
                try:
                    running[pool.submit(function, items[waiting[0]])] = waiting[0]
                except BrokenProcessPool:
                    broken = True
                else:
                    waiting.popleft()
            if not running:
                break
            done, _ = wait(running, return_when=FIRST_COMPLETED)
            for future in done:
                error = _as_exception(future.exception())
                broken = broken or isinstance(error, BrokenProcessPool)
                yield running.pop(future), None if error else future.result(), error
        complete = True
    finally:
        pool.shutdown(wait=complete, cancel_futures=True)
        if not complete:  # stopped from outside: what runs would be lost anyway
            for process in set(multiprocessing.active_children()) - before:
                process.terminate()
                process.join(_PATIENCE_SECONDS)
                process.kill()  # one that is too busy to end, on a crowded machine; nothing happens to one that has ended


def _prepare_process() -> None:
    # Ctrl+C goes to the whole group: the parent decides what it means.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """End this process when the one that started it is gone, killed for instance: nobody waits for its work any more."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _as_exception(error: BaseException | None) -> Exception | None:
    if error is None or isinstance(error, Exception):
        return error
    return RuntimeError(f"{type(error).__name__}: {error}")
