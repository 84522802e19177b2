"""What a map is made of: the kernel's part, the background, and what neither explains."""

from __future__ import annotations

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from ui.charts.colours import colour_limits
from ui.charts.maps import MapParts, fit_panels
from ui.charts.subplots import PLOTLY_CONFIG
from ui.jobs.extraction import Outcome
from ui.widgets import texts


def show_parts(outcome: Outcome) -> None:
    """Show the kernel's part, the background and the residual side by side, with their shares of the map's variance."""
    estimate, view = outcome.estimate, outcome.question.view
    assert estimate.background_map is not None
    background = estimate.background_map - np.float32(estimate.background)
    kernel_part = estimate.reconstruction - estimate.background_map
    measured = np.isfinite(view.layer.values)
    total = float(np.var(view.layer.values[measured], dtype=np.float64)) or 1.0

    def share(image: NDArray[np.float32]) -> str:
        return f"{100 * float(np.var(image[measured], dtype=np.float64)) / total:.0f} %"

    st.markdown("**What the map is made of**", help=texts.PARTS)
    limits = colour_limits(np.where(measured, kernel_part, np.nan).astype(np.float32), (0.5, 99.5))
    half = max(abs(limits[0]), abs(limits[1]), float(np.abs(background).max()))
    titles = (f"Kernel, {share(kernel_part)}", f"Background, {share(background)}", f"Residual, {share(estimate.residual)}")
    parts = MapParts(kernel_part, background, estimate.residual, estimate.pixel_size_nm, view.unit, titles)
    figure = fit_panels(parts, view.colours, (-half, half))
    alt = "The kernel's part of the map, the background and the residual on the same colour scale"
    st.plotly_chart(figure, width="stretch", key="parts", config=PLOTLY_CONFIG, alt=alt)
    if len(estimate.positions) == 1:
        st.caption(texts.ONE_DEFECT_OR_BACKGROUND)
