"""What one browser session works on. Everything lives in session_state, so two browsers never see each other's data."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from ui.autosave.state import Autosave
from ui.jobs.workers.register import SessionJobs
from ui.jobs.workers.session_cleanup import departures
from ui.streamlit_inside import behind_a_server, session_id

_KEY = "workspace"
MAX_POINTS = 20_000
FIRST_CLASS = "A"
MOST_CLASSES = 12
_LONGEST_CLASS = 40
NO_POINTS: NDArray[np.float64] = np.zeros((0, 2))


@dataclass
class DefectList:
    """Positions (n, 2) in pixels with their version; `source` names who changed them last.

    `labels` is the class of each, or None where all are of one class.
    """

    rev: int = 0
    points: NDArray[np.float64] = field(default_factory=lambda: NO_POINTS)
    source: str = "start"
    labels: tuple[str, ...] | None = None

    def replace(self, points: NDArray[np.float64], source: str, labels: Sequence[str] | None = None) -> None:
        """Put in a new list made on the Python side."""
        self.points = np.asarray(points, dtype=np.float64).reshape(-1, 2)
        self.labels = one_or_many(labels)
        self.rev += 1
        self.source = source

    def adopt(self, value: Any, map_id: str) -> bool:
        """Take the picture's list where it is as new as ours or newer; say whether something changed.

        The browser is not trusted: a value of the wrong form is left out.
        """
        if not isinstance(value, dict) or value.get("map") != map_id:
            return False
        try:
            rev, points = int(value["rev"]), np.asarray(value["points"], dtype=np.float64).reshape(-1, 2)
            labels = _labels_from_browser(value.get("labels"), len(points))
        except (KeyError, OverflowError, TypeError, ValueError):
            return False
        if (
            rev < self.rev
            or len(points) > MAX_POINTS
            or not np.isfinite(points).all()
            or (rev == self.rev and np.array_equal(points, self.points) and labels == self.labels)
        ):
            return False
        self.rev, self.points, self.source, self.labels = rev, points, "picture", labels
        return True


def one_or_many(labels: Sequence[str] | None) -> tuple[str, ...] | None:
    """Return the class of each defect, or None where all are of the first class."""
    return None if labels is None or set(labels) <= {FIRST_CLASS} else tuple(labels)


def _labels_from_browser(labels: Any, count: int) -> tuple[str, ...] | None:
    """Return checked classes.

    Raises:
        ValueError: of another form.
    """
    if labels is None:
        return None
    if not isinstance(labels, list) or len(labels) != count or not all(isinstance(label, str) and label for label in labels):
        raise ValueError
    if len(set(labels)) > MOST_CLASSES or max(map(len, labels), default=0) > _LONGEST_CLASS:
        raise ValueError
    return one_or_many(labels)


@dataclass
class Workspace:
    """State of one session.

    Attributes:
        session: random name of this browser session.
        autosave: the keeping of the work for a reload (ui.autosave.keeping).
        loaded: the map in use (ui.state.loaders.LoadedMap) or None.
        defects: the marked defects.
        shown: the (rev, points, classes) that the picker was last given; unchanged while the picture itself makes the changes,
            so that Streamlit need not send the map again.
        jobs: everything that is computed for it (ui.jobs.workers.register).
        outcome: the last finished extraction (ui.jobs.extraction.Outcome) or None.
        drawn: the question whose result has been shown, in whole or its kernel alone.
        stale: whether the result below belongs to other inputs than those above it.
        shown_outcome: the outcome that the lower part of the page shows.
        area_taken: serial of the last area that was drawn on the map and taken over.
        whole_page: whether the whole page is being run, or only its upper part.
        previous: the map before with all that belongs to it (ui.state.map_change.EarlierMap), so that a change loses nothing.
        carried: sentence about what was kept of the map before.
        proposal: (n, 2) positions that the detection proposes and nobody has accepted yet.
        extract_problem: sentence about why the last extraction failed.
        searched: sha256 of the layer that it was made on.
        proposal_note: sentence of the detection when it proposes nothing.
        blind_note: sentence of the search for defects and kernel when it finds nothing, or cannot be done.
        start_at_once: extract in the next run without a press on the button (the example, or what mends a result).
        search_at_once: search for defects and kernel in the next run, for at most so many seconds; 0 is not to.
        preparations: sha256 of a map to its preparation (ui.state.preparation_state.PreparationState).
        problem: sentence about what went wrong last, shown until the next action.
        latent_ready: whether the networks are loaded for the Latent space page; None before they were asked for.
        assessed: the outcome whose stability was asked for last.
        assessment, assessment_problem: what came of it (qpi_core.Assessment), or why nothing did.
        methods, methods_problem: the same two for the methods side by side on the Extract page.
        comparison, comparison_problem: the same two for the Synthesize page.
        stack_outcome, stack_problem: the same two for the Stacks page.
        stack_band, stack_band_problem: the band fitted to the maps of a stack (ui.jobs.band_fit.BandFit) or None, and why there is none.
        stack_stability, stack_stability_problem: its stability (ui.jobs.stability.StackStability) or None, and why there is none.
        stack_gap, stack_gap_problem: (view, GapSign) of the sign of a gap or None, and why there is none.
        tour: the step of the tour that is shown (ui.extract.tour), or None.
        stack_search_note: sentence of the search for defects in all energies when it finds nothing, or cannot be done.
        stack_load_problem: sentence about files of a stack that could not be read.
        stack_at_once: compute the stack in the next run of its page without a press on the button (the example).
        qspace_view: how the kernel is looked at in q-space (qpi_core.qspace.view.QSpaceView), for the files, or None.
        ring_asked: the outcome whose noise was asked for last.
        ring_halves, ring_problem: the differences of half kernels that came of it, or why nothing did.
    """

    session: str = field(default_factory=lambda: secrets.token_hex(8))
    autosave: Autosave = field(default_factory=Autosave)
    loaded: Any = None
    defects: DefectList = field(default_factory=DefectList)
    shown: tuple[int, NDArray[np.float64], tuple[str, ...] | None] = (0, NO_POINTS, None)
    jobs: SessionJobs = field(default_factory=SessionJobs)
    outcome: Any = None
    drawn: Any = None
    stale: bool = False
    shown_outcome: Any = None
    area_taken: Any = None
    whole_page: bool = False
    previous: Any = None
    carried: str = ""
    proposal: NDArray[np.float64] = field(default_factory=lambda: NO_POINTS)
    searched: str = ""
    extract_problem: str = ""
    proposal_note: str = ""
    blind_note: str = ""
    start_at_once: bool = False
    search_at_once: float = 0.0
    preparations: dict[str, Any] = field(default_factory=dict)
    problem: str = ""
    latent_ready: bool | None = None
    assessed: Any = None
    assessment: Any = None
    assessment_problem: str = ""
    methods: Any = None
    methods_problem: str = ""
    comparison: Any = None
    comparison_problem: str = ""
    stack_outcome: Any = None
    stack_problem: str = ""
    stack_band: Any = None
    stack_band_problem: str = ""
    stack_stability: Any = None
    stack_stability_problem: str = ""
    stack_gap: Any = None
    stack_gap_problem: str = ""
    tour: int | None = None
    stack_search_note: str = ""
    stack_load_problem: str = ""
    stack_at_once: bool = False
    qspace_view: Any = None
    ring_asked: Any = None
    ring_halves: Any = None
    ring_problem: str = ""

    def leave(self) -> None:
        """Stop what runs for this session: its browser has left."""
        self.jobs.leave()


def workspace() -> Workspace:
    """Return this session's workspace, made on first use."""
    if _KEY not in st.session_state:
        space = st.session_state[_KEY] = Workspace()
        name = session_id()
        if name is not None and behind_a_server():
            departures().watch(name, space)
    return st.session_state[_KEY]


def page_workspace(page: str) -> Workspace:
    """Return the workspace for a page that is being drawn, with everything taken over that has ended meanwhile."""
    space = workspace()
    space.jobs.collect()
    space.jobs.seen_on(page)
    return space
