"""The table and the pictures of a comparison of methods."""

from __future__ import annotations

import streamlit as st

from qpi_core.base.units import counted
from ui.charts.kernels import display_limits, kernel_row
from ui.extract.kernel.kernel_panel import method_title
from ui.jobs.comparison import Comparison
from ui.synthesize.texts import kernel_line

_PER_ROW = 5


def show_comparison(comparison: Comparison) -> None:
    """Show the error of every method against the truth, and the kernels on the truth's colour scale."""
    import pandas as pd

    truth = comparison.scene.kernel
    st.subheader("Every method on one map", anchor=False)
    st.caption(
        f"Truth when the button was pressed: {kernel_line(comparison.scene.recipe.kernel)}, "
        f"{counted(len(comparison.scene.positions), 'defect')}, noise σ = {comparison.scene.noise_sigma:.3g}. "
        "Errors on the truth's own [0, 1] scale: lower is better. "
        "Cosine and FFT correlation: 1 is perfect."
    )
    found = sorted(
        (result for result in comparison.results if result.errors), key=lambda result: result.errors.rmse if result.errors else 0.0
    )
    frame = pd.DataFrame(
        [
            {
                "Method": method_title(result.method),
                "RMSE": result.errors.rmse,
                "MAE": result.errors.mae,
                "Cosine": result.errors.cosine,
                "FFT correlation": result.errors.fft_correlation,
                "Symmetry found": _order(result.symmetry_order),
                "Seconds": result.seconds,
            }
            for result in found
            if result.errors
        ]
    )
    formats = {name: st.column_config.NumberColumn(format="%.3g") for name in ("RMSE", "MAE")}
    formats |= {name: st.column_config.NumberColumn(format="%.4f") for name in ("Cosine", "FFT correlation")}
    st.dataframe(
        frame,
        hide_index=True,
        width="stretch",
        column_config={**formats, "Seconds": st.column_config.NumberColumn(format="%.2f")},
        key="comparison_table",
    )
    for result in comparison.results:
        if result.problem:
            st.caption(f"{method_title(result.method)}: {result.problem}")
    colours, limits = display_limits(truth)
    panels = [("Truth", truth)] + [(method_title(result.method), result.kernel) for result in found if result.kernel is not None]
    for start in range(0, len(panels), _PER_ROW):
        row = panels[start : start + _PER_ROW]
        st.plotly_chart(
            kernel_row(row, limits, colours, slots=_PER_ROW),
            width="stretch",
            key=f"comparison_{start}",
            config={"displayModeBar": False},
            alt="Kernels: " + ", ".join(title for title, _ in row),
        )


def _order(order: int | None) -> str:
    return "-" if order is None else str(order)
