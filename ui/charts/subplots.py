"""Panels side by side in plotly's dictionary form: the parts that every figure of the app is made of.

Plotly's figure classes take half a second to assemble three panels; a dictionary takes milliseconds. Arrays go out as
float32 in plotly's own base64 form, a third of the text of a list of numbers.
"""

from __future__ import annotations

import base64
from html import escape
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qpi_core.base.units import unit_scale
from ui.charts.colours import plotly_scale

Figure = dict[str, Any]

PLOTLY_CONFIG = {"displaylogo": False, "scrollZoom": True, "modeBarButtonsToRemove": ["select2d", "lasso2d", "autoScale2d"]}
_LONGEST_UNIT = 40
_BAR_STRIP = 14
"""px above the titles, so that plotly's buttons, which come with the pointer, lie on none of them."""
_NO_LINES = {"showgrid": False, "zeroline": False, "constrain": "domain"}


def typed(values: NDArray[Any]) -> dict[str, str]:
    """Return an array as plotly takes it without a detour over text: float32, base64, its shape."""
    array = np.ascontiguousarray(values, dtype="<f4")
    return {"dtype": "f4", "bdata": base64.b64encode(array.tobytes()).decode("ascii"), "shape": ", ".join(map(str, array.shape))}


def axis_name(letter: str, column: int) -> str:
    return letter if column == 1 else f"{letter}{column}"


def axis(figure: Figure, letter: str, column: int) -> dict[str, Any]:
    axis: dict[str, Any] = figure["layout"][f"{letter}axis{'' if column == 1 else column}"]
    return axis


def panels(titles: list[str], height: int, gap: float, font_size: int = 14) -> Figure:
    """Return an empty figure with one panel a title, side by side; the last gap holds the last colour bar.

    It is higher than `height` by the strip for plotly's buttons; figures without them set height and upper margin again.
    """
    width = (1.0 - gap * len(titles)) / len(titles) if gap > 0.03 else (1.0 - gap * (len(titles) - 1)) / len(titles)
    layout: dict[str, Any] = {
        "height": height + _BAR_STRIP,
        "margin": {"l": 8, "r": 8, "t": 34 + _BAR_STRIP, "b": 8},
        "hoverlabel": {"namelength": 0},
        "dragmode": "pan",
        "showlegend": False,
        "annotations": [],
    }
    for column, title in enumerate(titles, start=1):
        start = (column - 1) * (width + gap)
        suffix = "" if column == 1 else str(column)
        layout[f"xaxis{suffix}"] = {"domain": [start, start + width], "anchor": axis_name("y", column), **_NO_LINES}
        layout[f"yaxis{suffix}"] = {"domain": [0.0, 1.0], "anchor": axis_name("x", column), **_NO_LINES}
        layout["annotations"].append(
            {
                "text": title,
                "x": start + width / 2,
                "y": 1.0,
                "xref": "paper",
                "yref": "paper",
                "xanchor": "center",
                "yanchor": "bottom",
                "showarrow": False,
                "font": {"size": font_size},
            }
        )
    return {"data": [], "layout": layout}


def add_image(
    figure: Figure,
    column: int,
    values: NDArray[np.float32],
    origin: tuple[float, float],
    step: tuple[float, float],
    colours: str,
    limits: tuple[float, float],
    bar: str | None,
    **more: Any,
) -> None:
    """Add a picture whose first pixel has its centre at origin = (y, x); `bar` is the unit at the colour bar, None for no bar.

    Values are drawn with the prefix that suits them, so that bar and hover read 100 pm and not 1e-10 m. `hovertemplate` is given
    without the value, which is put behind it; `unit` names it where there is no bar. `root` has the colours follow the square root of
    the values, which shows weak rings beside a bright middle.
    """
    factor, unit = unit_scale(max(abs(end) for end in limits), more.pop("unit", bar or ""))
    if factor != 1.0:
        values, limits = values * np.float32(factor), (limits[0] * factor, limits[1] * factor)
    if "hovertemplate" in more:
        # Plotly reads tags and entities in a text; a unit comes from a file. The empty tag keeps the trace's name away.
        written = "" if unit == "log₁₀" else f" {escape(unit[:_LONGEST_UNIT], quote=False)}".rstrip()
        more["hovertemplate"] += f"<br>{'log₁₀ ' if unit == 'log₁₀' else ''}%{{z:.4~g}}{written}<extra></extra>"
    trace: dict[str, Any] = {
        "type": "heatmap",
        "z": typed(values),
        "x0": origin[1],
        "dx": step[1],
        "y0": origin[0],
        "dy": step[0],
        "xaxis": axis_name("x", column),
        "yaxis": axis_name("y", column),
        "colorscale": plotly_scale(colours, more.pop("root", False)),
        "zmin": limits[0],
        "zmax": limits[1],
        "showscale": bar is not None,
        **more,
    }
    if bar is not None:
        end = axis(figure, "x", column)["domain"][1]
        title = {"text": escape(unit[:_LONGEST_UNIT], quote=False), "side": "top"}
        trace["colorbar"] = {
            "title": title,
            "x": end + 0.004,
            "xanchor": "left",
            "thickness": 10,
            "len": 0.9,
            "exponentformat": "power",
        }
    figure["data"].append(trace)
