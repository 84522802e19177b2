"""What a session knows of the keeping of its own work."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from ui.jobs.workers.queues import Job


@dataclass
class Autosave:
    """State of the autosave.

    Attributes:
        tab: name of the browser tab, "" before it has arrived.
        latest: the tab that kept work last in this browser, to be offered, or "".
        shelf: name under which the recent maps of this browser are kept, "" before it has arrived.
        off: whether the user wants none of it.
        chosen: what was chosen in this session, for the browser to remember, or None.
        keys: part -> what it was when it was queued last.
        jobs: part -> the job that keeps it.
        note: sentence about what was brought back, or why it could not be.
        too_large: whether the work is larger than what is kept.
        told: what the browser knows of it.
    """

    tab: str = ""
    latest: str = ""
    shelf: str = ""
    off: bool = False
    chosen: bool | None = None
    keys: dict[str, Any] = field(default_factory=dict)
    jobs: dict[str, Job] = field(default_factory=dict)
    note: str = ""
    too_large: bool = False
    told: tuple[bool, bool | None, bool] = (False, None, False)
