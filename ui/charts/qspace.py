"""Figures in q-space: pictures side by side with a lattice over them, and profiles."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qpi_core.qspace.spectra import Profile
from qpi_core.qspace.surface_lattice import SurfaceLattice
from qpi_core.qspace.view import QSpacePicture
from ui.charts.subplots import Figure, add_image, axis, axis_name, panels

COLOURS = {"magnitude": "viridis", "real": "RdBu_r", "phase": "twilight"}
MOST_PEAKS = 60
_INNER, _OUTER = "#ffffff", "#20262b"
_GREY = "#8a949b"


def qspace_chart(
    pictures: tuple[QSpacePicture, ...],
    unit: str,
    q_unit: str,
    factor: float,
    lattice: SurfaceLattice | None = None,
    cut: tuple[float, float] | None = None,
    height: int = 380,
    zoom: int = 1,
) -> Figure:
    """Show spectra side by side with one zoom.

    Args:
        pictures: the first one sets the axes of all.
        unit: of magnitudes and real parts.
        q_unit, factor: unit of the axes, and its number in one rad/nm (rad/px).
        lattice: drawn over every picture, or None.
        cut: (direction in rad, width in rad/nm) of the cut that is marked in every picture, or None.
        height: of the figure, px.
        zoom: the axes begin with the inner 1/zoom of the wave vectors.
    """
    figure = panels([picture.title for picture in pictures], height, gap=0.12)
    side = pictures[0].values.shape[0]
    ends = [tuple(factor * step * edge for edge in (-(side // 2) - 0.5, side - side // 2 - 0.5)) for step in pictures[0].q_step]
    for column, picture in enumerate(pictures, start=1):
        rows, columns = picture.values.shape
        step_y, step_x = (factor * step for step in picture.q_step)
        bar = "rad" if picture.kind == "phase" else "log₁₀" if picture.logarithmic else unit
        hover = f"q<sub>x</sub> %{{x:.4g}} {q_unit}<br>q<sub>y</sub> %{{y:.4g}} {q_unit}"
        origin, step = (-(rows // 2) * step_y, -(columns // 2) * step_x), (step_y, step_x)
        values = picture.drawn.astype(np.float32)
        root = picture.kind == "magnitude" and not picture.logarithmic  # weak rings beside a bright middle
        colours, limits = COLOURS[picture.kind], picture.limits
        add_image(figure, column, values, origin, step, colours, limits, bar, hovertemplate=hover, root=root)
        _add_axes(figure, column, q_unit, ends, zoom)
        if lattice is not None:
            reach = (side // 2 * pictures[0].q_step[1] / zoom, side // 2 * pictures[0].q_step[0] / zoom)
            _add_lattice(figure, column, lattice, factor, reach)
        if cut is not None:
            _add_cut(figure, column, cut, factor, ends)
    figure["layout"]["uirevision"] = f"qspace {q_unit} {zoom}"
    return figure


def _add_axes(figure: Figure, column: int, q_unit: str, ends: list[tuple[float, float]], zoom: int) -> None:
    (top, bottom), (left, right) = ends
    along, down = axis(figure, "x", column), axis(figure, "y", column)
    along.update(
        title={"text": f"q<sub>x</sub> ({q_unit}, 2π included)"}, range=[left / zoom, right / zoom], minallowed=left, maxallowed=right
    )
    down.update(range=[bottom / zoom, top / zoom], minallowed=top, maxallowed=bottom)
    if column == 1:
        down.update(title={"text": f"q<sub>y</sub> ({q_unit})", "standoff": 2}, scaleanchor="x")
    else:
        along["matches"], down["matches"] = "x", "y"


def _add_lattice(figure: Figure, column: int, lattice: SurfaceLattice, factor: float, reach: tuple[float, float]) -> None:
    """Add the zone, and the peaks up to `reach` in (q_x, q_y), each in a dark and a light line, so that they show on every colour."""
    corners = lattice.brillouin_zone() * factor
    zone = np.concatenate([corners, corners[:1]])
    indices, peaks = lattice.bragg_peaks(reach, MOST_PEAKS)
    names = [f"Bragg peak ({h} {k})" for h, k in indices]
    for colour, width in ((_OUTER, 3.0), (_INNER, 1.4)):
        _scatter(figure, column, zone, mode="lines", line={"color": colour, "width": width}, hoverinfo="skip")
        marker = {"symbol": "circle-open", "size": 11, "color": colour, "line": {"width": width}}
        _scatter(figure, column, peaks * factor, mode="markers", marker=marker, text=names, hovertemplate="%{text}<extra></extra>")


def _add_cut(figure: Figure, column: int, cut: tuple[float, float], factor: float, ends: list[tuple[float, float]]) -> None:
    """Add the two edges of the strip, or the line where it has no width."""
    angle, width = cut
    along, across = np.array([np.cos(angle), np.sin(angle)]), np.array([-np.sin(angle), np.cos(angle)])
    reach = min(end[1] * factor_of for end, factor_of in ((ends[1], 1 / max(abs(along[0]), 1e-9)), (ends[0], 1 / max(abs(along[1]), 1e-9))))
    for side in (-0.5, 0.5) if width > 0 else (0.0,):
        line = np.array([-reach * along, reach * along]) + side * width * factor * across
        for colour, thick in ((_OUTER, 2.4), (_INNER, 1.1)):
            _scatter(figure, column, line, mode="lines", line={"color": colour, "width": thick, "dash": "dash"}, hoverinfo="skip")


def _scatter(figure: Figure, column: int, points: NDArray[np.float64], **more: Any) -> None:
    where = {"xaxis": axis_name("x", column), "yaxis": axis_name("y", column)}
    figure["data"].append({"type": "scatter", "x": points[:, 0].tolist(), "y": points[:, 1].tolist(), "showlegend": False, **where, **more})


@dataclass(frozen=True)
class ProfileAxes:
    """The axes of profiles over q.

    Attributes:
        title, label: of the figure and of the vertical axis.
        q_unit, factor: as `qspace_chart`.
        logarithmic: vertical axis.
        limits: of the vertical axis (in values), or None for what the lines need.
        zoom: as `qspace_chart`.
    """

    title: str
    label: str
    q_unit: str
    factor: float
    logarithmic: bool = False
    limits: tuple[float, float] | None = None
    zoom: int = 1


def profile_chart(
    lines: dict[str, Profile], axes: ProfileAxes, levels: dict[str, float] | None = None, manner: str = "lines", height: int = 380
) -> Figure:
    """Show profiles over q.

    Args:
        lines: name -> profile.
        axes: of the figure.
        levels: name -> value of level lines.
        manner: `lines`, or `markers` for phases from -pi/2 to 3 pi/2, which jump by 2 pi.
        height: of the figure, px.
    """
    title, label, q_unit, factor = axes.title, axes.label, axes.q_unit, axes.factor
    logarithmic, limits, zoom = axes.logarithmic, axes.limits, axes.zoom
    figure = panels([title], height, gap=0.02)
    for name, line in lines.items():
        data = {"type": "scatter", "mode": manner, "marker": {"size": 4}, "name": name, "x": (line.q * factor).tolist()}
        values = [float(value) if np.isfinite(value) else None for value in line.values]
        hover = f"q %{{x:.4g}} {q_unit}<br>{escape(name, quote=False)} %{{y:.4~g}}<extra></extra>"
        figure["data"].append({**data, "y": values, "hovertemplate": hover, "xaxis": "x", "yaxis": "y"})
    last = max(float(line.q[-1]) for line in lines.values()) * factor
    first = min(float(line.q[0]) for line in lines.values()) * factor
    for name, value in (levels or {}).items():
        ends = {"x": [first, last], "y": [value, value]}
        style = {"mode": "lines", "line": {"color": _GREY, "width": 1.5, "dash": "dot"}, "hoverinfo": "skip"}
        figure["data"].append({"type": "scatter", "name": name, **ends, **style, "xaxis": "x", "yaxis": "y"})
    axis(figure, "x", 1).update(title={"text": f"q ({q_unit}, 2π included)"}, range=[first / zoom, last / zoom])
    axis(figure, "y", 1).update(title={"text": label, "standoff": 4}, automargin=True, type="log" if logarithmic else "linear")
    if logarithmic:
        axis(figure, "y", 1)["dtick"] = 1
    if manner == "markers":
        quarters = [n * float(np.pi) / 2 for n in range(-1, 4)]
        axis(figure, "y", 1).update(tickmode="array", tickvals=quarters, ticktext=["−π/2", "0", "π/2", "π", "3π/2"])
    if limits is not None:
        axis(figure, "y", 1)["range"] = [float(np.log10(end)) for end in limits] if logarithmic else list(limits)
    legend = {"orientation": "h", "x": 0, "y": -0.22, "yanchor": "top"}
    figure["layout"].update(showlegend=True, legend=legend, uirevision=f"{title} {q_unit} {zoom}")
    return figure
