"""The one way in which work says how far it is, and the one way to stop it.

Whatever may take long has an argument `report`. It is called between the steps of the work, and what it raises stops the work there.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol


class Progress(Protocol):
    """What is told how far some work is."""

    def __call__(self, share: float, words: str, /) -> None:
        """Take notice.

        Args:
            share: of the work that is done, 0 to 1, roughly.
            words: a few, on what is being done now.

        Raises:
            Stopped: whoever asked wants no more. Work in parts (the layers of a stack, the items of an executor) gives the parts that
                are finished by then; any other work passes it on.
        """


class Stopped(BaseException):
    """Raised by a Progress to stop the work; like KeyboardInterrupt, no failure that the work could deal with."""


class OutOfTime(Stopped):
    """Raised by the report of `in_time` once time is up."""


def no_progress(share: float, words: str, /) -> None:
    """Report to nobody."""


def part_of(report: Progress | None, first: float, last: float) -> Progress:
    """Return the report of a part of some work, between two shares of the whole; None reports to nobody."""
    if report is None:
        return no_progress
    whole = report
    return lambda share, words, /: whole(first + (last - first) * share, words)


def in_time(report: Progress, clock: Callable[[], float], end: float) -> Progress:
    """Return a report that also raises OutOfTime at the first step after clock() has passed the end."""

    def timed(share: float, words: str, /) -> None:
        report(share, words)
        if clock() > end:
            raise OutOfTime

    return timed


def stop_when(asked: Callable[[], bool]) -> Progress:
    """Return what tells nobody, and stops the work at its next step once asked() says True."""

    def report(share: float, words: str, /) -> None:
        if asked():
            raise Stopped

    return report
