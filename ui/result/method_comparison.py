"""Methods side by side on the user's own map: a button, and what each of them gives."""

from __future__ import annotations

from typing import Any

import numpy as np
import streamlit as st

from qpi_core.base.units import duration, in_handy_unit
from qpi_core.estimates.estimate import KernelEstimate
from ui.charts.kernels import display_limits, kernel_row
from ui.extract.kernel.kernel_panel import available_methods, method_title
from ui.jobs.extraction import Outcome
from ui.jobs.method_comparison import MethodComparison, compare_on_map, correlation
from ui.jobs.workers.queues import Job
from ui.result.numbers import explained_part, symmetry_words, wave_vector_words, with_unit
from ui.state.workspace import Workspace
from ui.widgets import texts
from ui.widgets.progress_steps import plain

_PER_ROW = 4
_NOT_GIVEN = "–"
"""No hyphen: a cell of a table that begins with one is read as a list."""


def show_method_comparison(space: Workspace, outcome: Outcome, buttons: Any) -> None:
    """Show the button in the container for buttons and, once it was pressed for this very result, the methods beside each other below."""
    running = space.jobs.get("methods") is not None
    pressed = buttons.button(
        "Compare methods",
        icon=":material/view_column:",
        key="compare_methods",
        disabled=running,
        help="The methods are being compared." if running else texts.COMPARE_METHODS,
    )
    if pressed:
        space.methods, space.methods_problem = None, ""
        methods = available_methods()
        space.jobs.start("methods", "Methods", lambda job: compare_on_map(job, outcome, methods), lambda job: _take(space, job))
        st.rerun()
    if space.methods_problem:
        st.error(plain(space.methods_problem))
    if space.methods is not None and space.methods.outcome.question is outcome.question:
        _show(space.methods)


def _show(comparison: MethodComparison) -> None:
    found = [(method_title(answer.method), answer) for answer in comparison.answers if answer.estimate is not None]
    colours, limits = display_limits(comparison.outcome.estimate.kernel)
    for start in range(0, len(found), _PER_ROW):
        row = [(title, answer.estimate.kernel) for title, answer in found[start : start + _PER_ROW] if answer.estimate is not None]
        st.plotly_chart(
            kernel_row(row, limits, colours, slots=_PER_ROW, height=240),
            width="stretch",
            key=f"methods_{start}",
            config={"displayModeBar": False},
            alt="Kernels on one colour scale: " + ", ".join(title for title, _ in row),
        )
    st.table(comparison_rows(comparison), border="horizontal")
    for answer in comparison.answers:
        if answer.problem:
            st.caption(plain(f"{method_title(answer.method)}: {answer.problem}"))


def comparison_rows(comparison: MethodComparison) -> dict[str, list[str]]:
    """Return the columns of the table, one row a method that gave a kernel."""
    chosen, view = comparison.outcome.estimate, comparison.outcome.question.view
    rows = []
    for answer in comparison.answers:
        estimate = answer.estimate
        if estimate is None:
            continue
        rows.append(
            (
                method_title(answer.method),
                f"{correlation(estimate.kernel, chosen.kernel):.3f}",
                symmetry_words(estimate),
                wave_vector_words(estimate) or _NOT_GIVEN,
                with_unit(*in_handy_unit(estimate.noise_sigma, view.unit)),
                f"{100 * explained_part(estimate, view.layer.values):.1f} %",
                _error_bar(estimate, view.unit),
                duration(answer.seconds),
            )
        )
    titles = ("Method", "r", "Symmetry", "Wave vector q", "Noise σ", "Explained", "Kernel ± 1 σ, rms", "Time")
    return {title: [row[column] for row in rows] for column, title in enumerate(titles)}


def _error_bar(estimate: KernelEstimate, unit: str) -> str:
    if estimate.uncertainty is None:
        return _NOT_GIVEN
    return with_unit(*in_handy_unit(float(np.sqrt(np.mean(estimate.uncertainty**2))), unit))


def _take(space: Workspace, job: Job) -> None:
    if job.state == "done":
        space.methods = job.result
    space.methods_problem = job.problem
