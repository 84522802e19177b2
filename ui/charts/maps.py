"""Figures of maps: one with its defects, and a map beside its reconstruction and residual."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ui.charts.colours import ColourScale, colour_limits
from ui.charts.subplots import Figure, add_image, axis, axis_name, panels, typed

RESIDUAL_COLOURS = "RdBu_r"
_MOST_DRAWN = 512


def map_with_defects(
    observation: NDArray[np.float32],
    positions: NDArray[np.float64],
    pixel_size_nm: tuple[float, float] | None,
    unit: str,
    height: int = 330,
) -> Figure:
    """Show a map with its defects as circles, axes in nm (px without a known pitch)."""
    figure = panels(["Map and defects"], height, gap=0.16)
    _add_map(figure, 1, observation, pixel_size_nm, ColourScale("viridis", colour_limits(observation), unit), positions)
    figure["layout"]["uirevision"] = "map"
    return figure


@dataclass(frozen=True, eq=False)
class MapParts:
    """Three pictures of one map: two parts of it, or the map and what explains it, and what is left.

    Attributes:
        first, second, left: (height, width) each.
        pixel_size_nm: (dy, dx), or None.
        unit: of the values.
        titles: above them.
    """

    first: NDArray[np.float32]
    second: NDArray[np.float32]
    left: NDArray[np.float32]
    pixel_size_nm: tuple[float, float] | None
    unit: str
    titles: tuple[str, str, str] = ("Map", "Reconstruction", "Residual, same span about 0")


def fit_panels(parts: MapParts, colours: str, limits: tuple[float, float], height: int = 340) -> Figure:
    """Show three pictures of a map with one zoom; large ones as means of blocks.

    Axes are in nm (px without a known pitch). The first two share their colours. The last one is drawn about 0 over the same span of
    values, so its contrast can be compared.
    """
    figure = panels(list(parts.titles), height, gap=0.07)
    half = (limits[1] - limits[0]) / 2
    pictures = [(parts.first, colours, limits), (parts.second, colours, limits), (parts.left, RESIDUAL_COLOURS, (-half, half))]
    every = block_side(parts.first.shape)
    for column, (full, colour_map, ends) in enumerate(pictures, start=1):
        scale = ColourScale(colour_map, ends, parts.unit if column > 1 else None)
        _add_map(figure, column, block_means(full, every), parts.pixel_size_nm, scale, every=every, unit=parts.unit)
        if column > 1:
            figure["layout"][f"xaxis{column}"]["matches"] = "x"
            figure["layout"][f"yaxis{column}"].pop("scaleanchor")
            figure["layout"][f"yaxis{column}"] |= {"matches": "y", "showticklabels": False, "title": None}
    return figure


@dataclass(frozen=True, eq=False)
class StepPicture:
    """One picture of a preparation step.

    Attributes:
        title: above it.
        values: (height, width), NaN where not measured, or nothing was taken.
        span: of its colours, units of the values.
        pixel_size_nm: (dy, dx), or None.
        unit: of the values.
    """

    title: str
    values: NDArray[np.floating]
    span: float
    pixel_size_nm: tuple[float, float] | None
    unit: str


def step_panels(pictures: list[StepPicture], height: int) -> Figure:
    """Show a map before and after a step, and what the step took out, each about its own median.

    Args:
        pictures: each with the span of its colours.
        height: of the figure, px.
    """
    figure = panels([picture.title for picture in pictures], height, gap=0.07)
    for column, picture in enumerate(pictures, start=1):
        bar = picture.unit if column == len(pictures) else None
        values, pitch, span = np.asarray(picture.values, dtype=np.float32), picture.pixel_size_nm, picture.span
        every = block_side(values.shape)
        middle = float(np.nanmedian(values)) if np.isfinite(values).any() else 0.0
        # About 0, so that the one bar at the end holds for all of them.
        ends = (-span / 2, span / 2)
        drawn = block_means(values - np.float32(middle), every)
        _add_map(figure, column, drawn, pitch, ColourScale("viridis", ends, bar), every=every, unit=picture.unit)
        if column > 1:
            figure["layout"][f"yaxis{column}"] |= {"title": None, "showticklabels": False}
    figure["layout"]["uirevision"] = "step"
    return figure


def block_side(shape: tuple[int, ...]) -> int:
    """Return the side of the blocks of pixels whose means are drawn, 1 for maps that are not larger than the screen."""
    return -(-max(shape) // _MOST_DRAWN)


def block_means(values: NDArray[np.float32], side: int) -> NDArray[np.float32]:
    """Return the means of the measured values in blocks of side x side pixels, smaller ones at the far edges, NaN where there are none."""
    if side == 1:
        return values
    rows, columns = (-(-length // side) * side for length in values.shape)
    whole = np.full((rows, columns), np.nan)
    whole[: values.shape[0], : values.shape[1]] = values
    blocks = whole.reshape(rows // side, side, columns // side, side)
    count = np.isfinite(blocks).sum(axis=(1, 3))
    total = np.nansum(blocks, axis=(1, 3))
    return np.where(count > 0, total / np.maximum(count, 1), np.nan).astype(np.float32)


def _add_map(
    figure: Figure,
    column: int,
    values: NDArray[np.float32],
    pixel_size_nm: tuple[float, float] | None,
    scale: ColourScale,
    positions: NDArray[np.float64] | None = None,
    every: int = 1,
    unit: str | None = None,
) -> None:
    """Add a map with axes in physical units, y downwards, and its defects as open circles; values are means of every x every pixels."""
    (dy, dx), length = pixel_size_nm or (1.0, 1.0), "nm" if pixel_size_nm else "px"
    rows, columns = (side * every for side in values.shape)
    first = (every - 1) / 2
    hover = f"x %{{x:.3f}} {length}<br>y %{{y:.3f}} {length}"
    origin, step = (first * dy, first * dx), (every * dy, every * dx)
    bar = scale.bar
    add_image(figure, column, values, origin, step, scale.colours, scale.limits, bar, hovertemplate=hover, unit=bar or unit or "")
    if positions is not None:
        points = positions * np.array([dx, dy])
        marker = {"symbol": "circle-open", "size": 7, "color": "#ff5d3b", "line": {"width": 1.5}}
        where = {"xaxis": axis_name("x", column), "yaxis": axis_name("y", column)}
        figure["data"].append(
            {
                "type": "scatter",
                "mode": "markers",
                "x": typed(points[:, 0]),
                "y": typed(points[:, 1]),
                "marker": marker,
                "hoverinfo": "skip",
                **where,
            }
        )
    right, bottom = (columns - 0.5) * dx, (rows - 0.5) * dy
    axis(figure, "x", column).update(title={"text": f"x ({length})"}, range=[-dx / 2, right], minallowed=-dx / 2, maxallowed=right)
    axis(figure, "y", column).update(
        title={"text": f"y ({length})", "standoff": 2}, range=[bottom, -dy / 2], minallowed=-dy / 2, maxallowed=bottom,
        scaleanchor=axis_name("x", column),
    )  # fmt: skip
