"""The embedding of the latent space as a scatter plot, coloured by a parameter of Eq. 7."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ui.colours import plotly_scale
from ui.panels import Figure, typed

if TYPE_CHECKING:
    from qpi_core.latent import LatentAtlas, Placement

COLOUR_BY = {
    "symmetry_order": "Symmetry n",
    "wavenumber": "Wave number B (rad/nm)",
    "decay": "Decay c (nm⁻²)",
    "orientation": "Orientation φ₁ (rad)",
    "phase": "Phase φ₂ (rad)",
}
_ORDER_COLOURS = ("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#888888")
_HOVER = "n = %{customdata[1]:.0f}<br>B = %{customdata[3]:.2f} rad/nm<br>c = %{customdata[5]:.2f} nm⁻²<extra></extra>"


def latent_scatter(
    atlas: LatentAtlas, colour_by: str, place: Placement | None = None, selected: int | None = None, height: int = 560, marker_size: int = 6
) -> Figure:
    """Show every training kernel as a point; a star marks the extracted kernel, a ring the selected point.

    The customdata of a point is its index in the atlas followed by its five parameters.
    """
    figure: Figure = {"data": [], "layout": _layout(height)}
    rows = np.column_stack([np.arange(len(atlas.parameters)), atlas.parameters])
    if colour_by == "symmetry_order":
        orders = atlas.column("symmetry_order")
        for colour, order in zip(_ORDER_COLOURS, np.unique(orders), strict=False):
            chosen = orders == order
            name = "isotropic" if order == 0 else f"{order:.0f}-fold"
            figure["data"].append(_points(atlas.embedding[chosen], rows[chosen], {"color": colour, "size": marker_size}, name))
    else:
        marker = {"size": marker_size, **_continuous(atlas.column(colour_by), colour_by)}
        figure["data"].append(_points(atlas.embedding, rows, marker, ""))
        figure["layout"]["showlegend"] = False
    if selected is not None:
        ring = {"symbol": "circle-open", "size": marker_size + 9, "color": "#d62728", "line": {"width": 2.5}}
        figure["data"].append(_mark(*atlas.embedding[selected], ring, "selected"))
    if place is not None:
        star = {"symbol": "star", "size": 18, "color": "#d62728", "line": {"width": 1.5, "color": "#ffffff"}}
        figure["data"].append(_mark(place.x, place.y, star, "your kernel"))
    return figure


def _points(embedding: NDArray[np.float32], rows: NDArray[np.float64], marker: dict[str, Any], name: str) -> dict[str, Any]:
    return {
        "type": "scatter",
        "mode": "markers",
        "x": typed(embedding[:, 0]),
        "y": typed(embedding[:, 1]),
        "customdata": typed(rows),
        "marker": {"opacity": 0.8, **marker},
        "name": name,
        "hovertemplate": _HOVER,
        "unselected": {"marker": {"opacity": 0.8}},
    }


def _mark(x: float, y: float, marker: dict[str, Any], name: str) -> dict[str, Any]:
    return {"type": "scatter", "mode": "markers", "x": [float(x)], "y": [float(y)], "marker": marker, "name": name, "hoverinfo": "name"}


def _continuous(values: NDArray[np.float64], name: str) -> dict[str, Any]:
    """Return the colours of a continuous parameter; the decay is drawn log-uniformly and shown so, the angles on a cyclic scale."""
    bar: dict[str, Any] = {"title": {"text": COLOUR_BY[name], "side": "right"}, "thickness": 12}
    if name in ("orientation", "phase"):
        return {"color": typed(values), "cmin": 0.0, "cmax": float(np.pi), "colorscale": "Phase", "colorbar": bar}
    if name == "decay":
        ticks = [value for value in (0.05, 0.1, 0.2, 0.5, 1.0) if values.min() <= value <= values.max()]
        bar |= {"tickvals": np.log10(ticks).tolist(), "ticktext": [f"{value:g}" for value in ticks]}
        values = np.log10(values)
    return {"color": typed(values), "colorscale": plotly_scale("viridis"), "colorbar": bar}


def _layout(height: int) -> dict[str, Any]:
    hidden = {"showgrid": False, "zeroline": False, "showticklabels": False}
    return {
        "height": height,
        "margin": {"l": 4, "r": 4, "t": 8, "b": 4},
        "xaxis": {**hidden, "title": {"text": "t-SNE 1 (no unit)"}},
        "yaxis": {**hidden, "title": {"text": "t-SNE 2 (no unit)"}, "scaleanchor": "x"},
        "legend": {"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0},
        "dragmode": "pan",
        "hovermode": "closest",
        "uirevision": "latent",
    }
