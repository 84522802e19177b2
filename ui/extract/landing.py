"""What stands in place of the map before there is one: what the application does, in words and in a picture."""

from __future__ import annotations

import numpy as np
import streamlit as st

from qpi_core.base.grid import DEFAULT_PIXEL_SIZE_NM
from qpi_core.synthesis.kernel_families.equation_7 import phenomenological_kernel
from ui.charts.colours import colour_limits
from ui.charts.subplots import Figure, add_image, axis, axis_name, panels, typed
from ui.extract.tour import show_tour_buttons
from ui.state.loaders import EXAMPLE_PARAMETERS, LoadedMap, example_map

_WIDTH = 640
_KERNEL_SIZE = 64


def show_first_page(height: int) -> None:
    """Show a box of so many CSS pixels; its picture also brings the charts' code to the browser before a result needs it."""
    with st.container(border=True, height=height, vertical_alignment="center", horizontal_alignment="center"):
        st.subheader("From an STM map to the pattern of a single defect", anchor=False, text_alignment="center", width=_WIDTH)
        st.markdown(
            "Every defect leaves the same ripple pattern around itself, and a map shows the sum of all: "
            "Y\u00a0=\u00a0b\u00a0+\u00a0A\u00a0∗\u00a0M\u00a0+\u00a0noise. "
            "Load a map, click on its defects, press Extract: out comes the kernel A, with its error bars and its Fourier transform.",
            text_alignment="center",
            width=_WIDTH,
        )
        st.plotly_chart(
            sum_of_defects(example_map()),
            width=_WIDTH,
            key="first_page",
            config={"displayModeBar": False},
            alt="A simulated map, the defects in it, and the kernel that each of them leaves",
        )
        show_tour_buttons()


def sum_of_defects(example: LoadedMap, height: int = 230) -> Figure:
    """Show a simulated map, its defects, and the kernel that it was made with, on the scale of lengths of the map."""
    figure = panels(["Map Y", "= defects M", "∗ kernel A, to be found"], height, gap=0.02, font_size=13)
    values = example.scan.layer().astype(np.float32)
    side = values.shape[0]
    kernel = phenomenological_kernel(**EXAMPLE_PARAMETERS.as_dict(), size=_KERNEL_SIZE, pixel_size_nm=DEFAULT_PIXEL_SIZE_NM)
    start = (side - _KERNEL_SIZE) / 2
    add_image(figure, 1, values, (0.0, 0.0), (1.0, 1.0), "viridis", colour_limits(values, (0.5, 99.5)), None, hoverinfo="skip")
    add_image(figure, 3, kernel.astype(np.float32), (start, start), (1.0, 1.0), "viridis", colour_limits(kernel), None, hoverinfo="skip")
    positions = example.positions if example.positions is not None else np.zeros((0, 2))
    figure["data"].append(
        {
            "type": "scatter",
            "mode": "markers",
            "x": typed(positions[:, 0]),
            "y": typed(positions[:, 1]),
            "xaxis": axis_name("x", 2),
            "yaxis": axis_name("y", 2),
            "marker": {"size": 6, "color": "#ff5d3b"},
            "hoverinfo": "skip",
        }
    )
    for column in (1, 2, 3):
        axis(figure, "x", column).update(visible=False, range=[-0.5, side - 0.5])
        axis(figure, "y", column).update(visible=False, range=[side - 0.5, -0.5], scaleanchor=axis_name("x", column))
    frame = {"type": "rect", "xref": "x2", "yref": "y2", "x0": -0.5, "x1": side - 0.5, "y0": -0.5, "y1": side - 0.5}
    figure["layout"] |= {"height": height, "margin": {"l": 8, "r": 8, "t": 34, "b": 8}}  # no strip for buttons
    figure["layout"] |= {"dragmode": False, "shapes": [frame | {"line": {"width": 1, "color": "rgba(128,128,128,0.5)"}}]}
    return figure
