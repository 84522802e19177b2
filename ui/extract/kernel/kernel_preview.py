"""The kernel beside the map, small: what comes of the marks is seen without scrolling."""

from __future__ import annotations

import streamlit as st

from ui.charts.subplots import Figure
from ui.jobs.extraction import Outcome
from ui.jobs.workers.queues import Job

_HEIGHT = 156
"""Leaves room for two lines below: a wave vector with its error does not fit beside a symmetry that was not determined."""
_POLL_SECONDS = 1.0


def show_kernel_preview(outcome: Outcome, stale: bool) -> None:
    """Show the kernel of a finished extraction with its symmetry and wave vector."""
    from ui.result.numbers import symmetry_words, wave_vector_words  # the solvers' results are not needed for the first page
    from ui.result.verdict import COLOURS, TITLES, verdict_on

    estimate = outcome.estimate
    st.plotly_chart(
        preview_figure(outcome), width="stretch", key="kernel_preview", config={"displayModeBar": False}, alt="The extracted kernel, small"
    )
    symmetry = "symmetry not determined" if estimate.symmetry_order is None else symmetry_words(estimate)
    words = f"{symmetry} · q = {wave_vector_words(estimate)}" if wave_vector_words(estimate) else symmetry
    trust = verdict_on(outcome).trust
    # No caption: those are pale, and a badge in pale letters on its own colour is hard to read.
    st.markdown(":orange[Out of date: press Extract.]" if stale else f":{COLOURS[trust]}-badge[{TITLES[trust]}] :small[{words}]")


@st.fragment(run_every=_POLL_SECONDS)
def show_first_estimate(job: Job, kept: bool) -> None:
    """Show the first estimate of an extraction that goes on checking it, looked at again and again; kept: a cancel keeps it."""
    if job.best is None:
        st.caption("The first estimate comes here in a moment.")
        st.skeleton(height=_HEIGHT)
        return
    chart = preview_figure(job.best)
    st.plotly_chart(chart, width="stretch", key="first_estimate", config={"displayModeBar": False}, alt="The first estimate, small")
    st.markdown(f":orange-badge[First estimate] :small[still checking{'; Cancel keeps it' if kept else ''}]")


def preview_figure(outcome: Outcome, height: int = _HEIGHT) -> Figure:
    """Return a picture of the kernel alone, axes in nm (px without a known pitch)."""
    from ui.charts.kernels import single_kernel

    estimate = outcome.estimate
    return single_kernel(estimate.kernel, estimate.pixel_size_nm, outcome.question.view.unit, height)
