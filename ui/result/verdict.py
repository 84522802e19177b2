"""The verdict on top of a result: trust, doubt or do not use, the one reason, the one button that mends it, and the details folded."""

from __future__ import annotations

from collections.abc import Callable, MutableMapping
from typing import Any

import numpy as np
import streamlit as st

from qpi_core.diagnostics.verdict import RULES, Remedy, Trust, Verdict, verdict_of
from qpi_core.estimates.caution import kind_of
from ui.extract.defects.proposal_bar import proposal_sentence
from ui.jobs.blind import TIME_LIMIT_S
from ui.jobs.defect_search import start_search
from ui.jobs.extraction import Outcome
from ui.result.corrected_list import adopt_corrected_list, corrected_list
from ui.state.workspace import Workspace
from ui.widgets import texts
from ui.widgets.controls.window_control import set_window
from ui.widgets.progress_steps import plain

TITLES = {Trust.TRUST: "Trust", Trust.DOUBT: "Doubt", Trust.DO_NOT_USE: "Do not use"}
COLOURS = {Trust.TRUST: "green", Trust.DOUBT: "orange", Trust.DO_NOT_USE: "red"}
_SAME_PLACE_PX = 0.5
_LONGER = 4
_SENSITIVITY = 0.5


def verdict_on(outcome: Outcome) -> Verdict:
    """Return the verdict on an outcome, of one class where there are several."""
    return verdict_of(outcome.estimate, outcome.together)


def show_verdict(space: Workspace, outcome: Outcome, stale: bool) -> None:
    """Show the verdict; its button is offered as long as the result belongs to what stands above it."""
    verdict = verdict_on(outcome)
    box = {Trust.TRUST: st.success, Trust.DOUBT: st.warning, Trust.DO_NOT_USE: st.error}[verdict.trust]
    icon = {Trust.TRUST: ":material/verified:", Trust.DOUBT: ":material/help:", Trust.DO_NOT_USE: ":material/block:"}[verdict.trust]
    with st.container(key="verdict", gap="small"):
        box(f"**{TITLES[verdict.trust]}.** {plain(verdict.reason)}", icon=icon)
        if verdict.remedy is not None and not stale:
            label, act = _button(space, outcome, verdict)
            if st.button(label, key="mend", type="primary", icon=":material/build:", on_click=act, help=texts.MEND):
                st.rerun()  # the whole page: the remedy acts on what stands above the result
            if verdict.remedy is Remedy.FIND_MISSING:
                _say_what_was_found(space)
        if verdict.others:
            with st.expander(f"{len(verdict.others)} further {'remark' if len(verdict.others) == 1 else 'remarks'}"):
                for sentence in verdict.others:
                    weight = RULES[kind_of(sentence)].trust
                    st.markdown(f"- {'' if weight is Trust.TRUST else ':orange[:material/help:] '}{plain(sentence)}")


def _say_what_was_found(space: Workspace) -> None:
    """Say what the search for more defects has found: it shows at the map and in its panel, which may both be out of sight."""
    if space.jobs.get("search") is not None:
        st.caption("Looking for more defects in the map.")
    elif len(space.proposal):
        st.caption(f"{proposal_sentence(space)} They are in the map above, with buttons under it.")
    elif space.proposal_note:
        st.caption(space.proposal_note)


def _button(space: Workspace, outcome: Outcome, verdict: Verdict) -> tuple[str, Callable[[], None]]:
    """Return the label of the button that mends a result, and what it does."""
    state, provenance = st.session_state, outcome.estimate.provenance

    def window() -> None:
        set_window(state, "kernel_size", int(verdict.value))
        space.start_at_once = True

    def adopt() -> None:
        listed = corrected_list({name: one.estimate for name, one in (outcome.kinds or {"": outcome}).items()})
        assert listed is not None, "the verdict says that the list was repaired"
        adopt_corrected_list(space, listed, lambda: setattr(space, "start_at_once", True))

    def split() -> None:
        space.defects.replace(outcome.question.positions, "kinds", outcome.estimate.proposed_classes)
        space.start_at_once = True

    def drop() -> None:
        listed = provenance["refinement"]
        given = np.array(listed["given_positions_px"])
        _extract_at(space, np.delete(given, listed["unsupported"], axis=0), "repaired")

    def merge() -> None:
        _extract_at(space, _merged(outcome.question.positions), "repaired")

    def search() -> None:
        space.search_at_once = _LONGER * TIME_LIMIT_S if verdict.remedy is Remedy.SEARCH_LONGER else TIME_LIMIT_S

    def like_kernel() -> None:
        start_search(space, outcome.question.view, _SENSITIVITY, outcome.estimate.kernel, "auto")

    size = f"{verdict.value:.0f} px" if np.isfinite(verdict.value) else ""
    return {
        Remedy.ENLARGE_WINDOW: (f"Enlarge the kernel to {size} and extract again", window),
        Remedy.SHRINK_WINDOW: (f"Take a kernel of {size} and extract again", window),
        Remedy.ADOPT_LIST: (texts.ADOPT_LIST, adopt),
        Remedy.SPLIT_KINDS: ("Mark the two kinds as classes and extract again", split),
        Remedy.DROP_UNSUPPORTED: (f"Take {verdict.value:.0f} unsupported away and extract again", drop),
        Remedy.MERGE_DUPLICATES: ("Merge them and extract again", merge),
        Remedy.MODEL_NOISE: ("Model background and noise", lambda: _extract_with(space, state, "model_noise", True)),
        Remedy.USE_REFINED: ("Extract with Refined", lambda: _extract_with(space, state, "method", "refined")),
        Remedy.FIND_MISSING: ("Look for more defects like this kernel", like_kernel),
        Remedy.FIND_DEFECTS: ("Find defects and kernel in the map itself", search),
        Remedy.SEARCH_LONGER: (f"Search longer, up to {_LONGER * TIME_LIMIT_S / 60:.0f} min", search),
    }[verdict.remedy or Remedy.FIND_DEFECTS]


def _extract_with(space: Workspace, state: MutableMapping[Any, Any], key: str, value: Any) -> None:
    state[key] = value
    space.start_at_once = True


def _extract_at(space: Workspace, points: np.ndarray[Any, Any], source: str) -> None:
    """Put a list in place of the marks, which Undo above the map brings back, and extract again."""
    space.defects.replace(points, source)
    space.start_at_once = True


def _merged(points: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Return positions (n, 2) px without those that lie at the place of an earlier one."""
    kept: list[np.ndarray[Any, Any]] = []
    for point in points:
        if all(np.hypot(*(point - other)) > _SAME_PLACE_PX for other in kept):
            kept.append(point)
    return np.array(kept)
