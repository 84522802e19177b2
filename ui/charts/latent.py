"""The embedding of the latent space as a scatter plot, coloured by any trait of its kernels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from qpi_core.networks.atlas import TRAITS
from qpi_core.synthesis.kernel_families.families import FAMILIES
from ui.charts.colours import plotly_scale
from ui.charts.subplots import Figure, typed

if TYPE_CHECKING:
    from qpi_core.networks.atlas import LatentAtlas, Placement

COLOUR_BY = {
    "symmetry_order": "Symmetry n",
    "family": "Family",
    "wave_vector_rad_per_nm": "Wave vector q (rad/nm)",
    "decay_per_nm2": "Decay c (nm⁻²)",
    "mean_free_path_nm": "Mean free path ℓ (nm)",
    "orientation_rad": "Orientation φ₁ (rad)",
    "phase_rad": "Phase φ₂ (rad)",
}
_CATEGORY_COLOURS = ("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#7f6d00", "#8a63d2", "#00a6a6", "#a05050")
_SYMBOLS = ("circle", "diamond", "square", "cross", "triangle-up")
_UNKNOWN = "#b8b8b8"
_BUTTONS, _LEGEND = 28, 42
"""Heights above the picture, px: of plotly's buttons, which come with the pointer, and of a legend of two lines."""


@dataclass(frozen=True)
class PathMarks:
    """A path in the embedding: (n, 2) places along it, and which of them is shown now."""

    places: NDArray[np.float64]
    now: int


def latent_scatter(
    atlas: LatentAtlas,
    colour_by: str,
    place: Placement | None = None,
    selected: int | None = None,
    height: int = 530,
    marker_size: int = 6,
    path: PathMarks | None = None,
) -> Figure:
    """Show every kernel of the atlas as a point; a star marks the extracted kernel, a ring the selected point, a line the path.

    The first number of a point's customdata is its index in the atlas. Points without the number asked for are grey.
    """
    figure: Figure = {"data": [], "layout": _layout(height)}
    if colour_by in ("symmetry_order", "family"):
        for number, (name, chosen) in enumerate(_categories(atlas, colour_by)):
            # Ten families are more than colours alone keep apart.
            symbol = _SYMBOLS[number % len(_SYMBOLS)] if colour_by == "family" else "circle"
            marker = {"color": _CATEGORY_COLOURS[number % len(_CATEGORY_COLOURS)], "symbol": symbol, "size": marker_size}
            figure["data"].append(_points(atlas, chosen, marker, name))
    else:
        values = atlas.column(colour_by)
        known = np.isfinite(values)
        if not known.all():
            figure["data"].append(_points(atlas, ~known, {"color": _UNKNOWN, "size": max(3, marker_size - 2)}, "no such number"))
        if known.any():
            marker = {"size": marker_size, **_continuous(values[known], colour_by)}
            figure["data"].append(_points(atlas, known, marker, ""))
        figure["layout"]["showlegend"] = False
    if path is not None:
        figure["data"] += _path_traces(path)
    if selected is not None:
        ring = {"symbol": "circle-open", "size": marker_size + 9, "color": "#d62728", "line": {"width": 2.5}}
        figure["data"].append(_mark(atlas.embedding[selected], ring, "selected"))
    if place is not None:
        star = {"symbol": "star", "size": 18, "color": "#d62728", "line": {"width": 1.5, "color": "#ffffff"}}
        figure["data"].append(_mark(np.array([place.x, place.y]), star, "your kernel"))
    return figure


def _categories(atlas: LatentAtlas, colour_by: str) -> list[tuple[str, NDArray[np.bool_]]]:
    """Return (name, which kernels) of each symmetry order or family."""
    if colour_by == "family":
        return [(FAMILIES[name].title, atlas.families == name) for name in FAMILIES if (atlas.families == name).any()]
    orders = atlas.column("symmetry_order")
    found: list[tuple[str, NDArray[np.bool_]]] = [
        ("isotropic" if order == 0 else f"{order:.0f}-fold", orders == order) for order in np.unique(orders[np.isfinite(orders)])
    ]
    none = ~np.isfinite(orders)
    return [*found, ("no symmetry", none)] if none.any() else found


def _points(atlas: LatentAtlas, chosen: NDArray[np.bool_], marker: dict[str, Any], name: str) -> dict[str, Any]:
    indices = np.flatnonzero(chosen)
    return {
        "type": "scatter",
        "mode": "markers",
        "x": typed(atlas.embedding[chosen, 0]),
        "y": typed(atlas.embedding[chosen, 1]),
        "customdata": typed(indices[:, None]),
        "text": [_hover(atlas, index) for index in indices],
        "marker": {"opacity": 0.8, **marker},
        "name": name,
        "hovertemplate": "%{text}<extra></extra>",
        "unselected": {"marker": {"opacity": 0.8}},
    }


def _hover(atlas: LatentAtlas, index: int) -> str:
    found = dict(zip(TRAITS, atlas.traits[index], strict=True))
    order = found["symmetry_order"]
    lines = [FAMILIES[str(atlas.families[index])].title, "no symmetry" if np.isnan(order) else f"n = {order:.0f}"]
    if np.isfinite(found["wave_vector_rad_per_nm"]):
        lines.append(f"q = {found['wave_vector_rad_per_nm']:.2f} rad/nm")
    return "<br>".join(lines)


def _path_traces(path: PathMarks) -> list[dict[str, Any]]:
    line = {
        "type": "scatter",
        "mode": "lines",
        "x": typed(path.places[:, 0]),
        "y": typed(path.places[:, 1]),
        "line": {"color": "#888888", "width": 2, "dash": "dot"},
        "name": "path",
        "hoverinfo": "skip",
    }
    diamond = {"symbol": "diamond", "size": 13, "color": "#ffffff", "line": {"width": 2.5, "color": "#333333"}}
    first, last = ({"symbol": "circle-open", "size": 15, "color": "#888888", "line": {"width": 2.5}} for _ in range(2))
    ends = [_mark(path.places[0], first, "A"), _mark(path.places[-1], last, "B")]
    return [line, *ends, _mark(path.places[path.now], diamond, "on the path")]


def _mark(place: NDArray[np.floating], marker: dict[str, Any], name: str) -> dict[str, Any]:
    x, y = place
    return {"type": "scatter", "mode": "markers", "x": [float(x)], "y": [float(y)], "marker": marker, "name": name, "hoverinfo": "name"}


def _continuous(values: NDArray[np.float64], name: str) -> dict[str, Any]:
    """Return the colours of a continuous parameter; the decay is drawn log-uniformly and shown so, the angles on a cyclic scale."""
    bar: dict[str, Any] = {"title": {"text": COLOUR_BY[name], "side": "right"}, "thickness": 12}
    if name in ("orientation_rad", "phase_rad"):
        return {"color": typed(values), "cmin": 0.0, "cmax": float(np.pi), "colorscale": "Phase", "colorbar": bar}
    if name == "decay_per_nm2":
        ticks = [value for value in (0.05, 0.1, 0.2, 0.5, 1.0) if values.min() <= value <= values.max()]
        bar |= {"tickvals": np.log10(ticks).tolist(), "ticktext": [f"{value:g}" for value in ticks]}
        values = np.log10(values)
    return {"color": typed(values), "colorscale": plotly_scale("viridis"), "colorbar": bar}


def _layout(height: int) -> dict[str, Any]:
    hidden = {"showgrid": False, "zeroline": False, "showticklabels": False}
    return {
        "height": height,
        "margin": {"l": 4, "r": 4, "t": _BUTTONS + _LEGEND, "b": 4},
        "xaxis": {**hidden, "title": {"text": "t-SNE 1 (no unit)"}},
        "yaxis": {**hidden, "title": {"text": "t-SNE 2 (no unit)"}, "scaleanchor": "x"},
        "legend": {"orientation": "h", "yref": "container", "y": 1 - _BUTTONS / height, "yanchor": "top", "x": 0},
        "dragmode": "pan",
        "hovermode": "closest",
        "uirevision": "latent",
    }
