"""What a solved stack says of the electrons: a band fitted to the maps, and whether a superconducting gap changes its sign."""

from __future__ import annotations

import streamlit as st

from qpi_core.base.errors import InputError
from qpi_core.extraction.stacks.stack_findings import GapSign, find_gap_sign
from qpi_core.qspace.regions import Ring
from ui.charts.stack import gap_sign_chart
from ui.charts.subplots import PLOTLY_CONFIG
from ui.jobs.band_fit import MODELS, start_band_fit
from ui.jobs.stack import StackOutcome, StackView
from ui.stacks.bands.band_title import band_title
from ui.state.workspace import Workspace
from ui.widgets import texts
from ui.widgets.controls.bounded_controls import bounded_number
from ui.widgets.progress_steps import plain

_CHART_HEIGHT = 260


def show_physics(space: Workspace, outcome: StackOutcome, view: StackView, stem: str) -> None:
    """Show both questions side by side, folded."""
    with st.expander("Band and gap", icon=":material/analytics:", key="stack_physics"):
        band, gap = st.columns(2, gap="large")
        with band:
            _show_band(space, outcome)
        with gap:
            _show_gap(space, view, stem)


def _show_band(space: Workspace, outcome: StackOutcome) -> None:
    reason = _why_no_band(space, outcome)
    model = st.selectbox("Band", MODELS, format_func=band_title, key="band_kind", help=texts.BAND_KIND)
    pressed = st.button(
        "Fit this band to the maps",
        key="fit_band",
        icon=":material/show_chart:",
        disabled=bool(reason),
        help=reason or texts.FIT_BAND,
    )
    if pressed:
        start_band_fit(space, outcome, str(model))
        st.rerun()
    if reason:
        st.caption(reason)
    if space.stack_band_problem:
        st.error(plain(space.stack_band_problem))
    fit = space.stack_band
    if fit is None or fit.outcome is not outcome:
        return
    for sentence in fit.model.sentences:
        st.markdown(plain(sentence))
    if fit.model.parameters:
        rows = [{"parameter": name, "value": value, "standard deviation": spread} for name, (value, spread) in fit.model.parameters.items()]
        st.dataframe(rows, hide_index=True, width="stretch", key="band_parameters")


def _why_no_band(space: Workspace, outcome: StackOutcome) -> str:
    if space.jobs.get("band") is not None:
        return "The band is being fitted; wait for it or cancel it."
    if len(outcome.views) > 1:
        return "A band is fitted to one class of defects; give all marks one class for it."
    if outcome.estimate.pixel_size_nm is None:
        return "A band needs the width of the map in nm: give it on the Extract page."
    return ""


def _show_gap(space: Workspace, view: StackView, stem: str) -> None:
    first, second = st.columns(2)
    low = bounded_number("From q (rad/nm)", 0.0, 1e3, usual=1.0, key="gap_q_min", place=first, help=texts.GAP_RING, persist_state="session")
    high = bounded_number("To q (rad/nm)", 0.0, 1e3, usual=4.0, key="gap_q_max", place=second, help=texts.GAP_RING, persist_state="session")
    if st.button("Judge the sign of a gap", key="judge_gap", icon=":material/balance:", help=texts.GAP_SIGN):
        space.stack_gap, space.stack_gap_problem = None, ""
        try:
            space.stack_gap = (view, find_gap_sign(view.estimate, Ring(float(low), float(high))))
        except InputError as error:
            space.stack_gap_problem = str(error)
    if space.stack_gap_problem:
        st.error(plain(space.stack_gap_problem))
    if space.stack_gap is None or space.stack_gap[0] is not view:
        return
    found: GapSign = space.stack_gap[1]
    st.markdown(f"**{found.verdict.verdict.capitalize()}.** {plain(found.verdict.reason)}")
    st.plotly_chart(
        gap_sign_chart(found, _CHART_HEIGHT),
        width="stretch",
        key="gap_chart",
        config=PLOTLY_CONFIG,
        alt="The energy-odd signal of the ring over energy, with its errors and the fitted form",
    )
    for caveat in found.verdict.caveats:
        st.caption(plain(caveat))
    st.download_button(
        "Signal (CSV)",
        found.table,
        f"{stem}_gap_sign.csv",
        "text/csv",
        on_click="ignore",
        key="download_gap",
        icon=":material/download:",
        help="Energy, the energy-odd signal of the ring, its deviation and the fitted form.",
    )
