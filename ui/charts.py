"""Plotly figures as plain dictionaries: kernel beside FFT, maps side by side, rows of kernels.

Plotly's figure classes take half a second to assemble three panels; a dictionary takes milliseconds. Arrays go out as
float32 in plotly's own base64 form, a third of the text of a list of numbers.
"""

from __future__ import annotations

import base64
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qpi_core.grid import kernel_offsets
from ui.colours import colour_limits, is_signed, plotly_scale

Figure = dict[str, Any]

PLOTLY_CONFIG = {"displaylogo": False, "scrollZoom": True, "modeBarButtonsToRemove": ["select2d", "lasso2d", "autoScale2d"]}
KERNEL_COLOURS = "RdBu_r"
FFT_COLOURS = "viridis"
_NO_LINES = {"showgrid": False, "zeroline": False, "constrain": "domain"}


def typed(values: NDArray[Any]) -> dict[str, str]:
    """Return an array as plotly takes it without a detour over text: float32, base64, its shape."""
    array = np.ascontiguousarray(values, dtype="<f4")
    return {"dtype": "f4", "bdata": base64.b64encode(array.tobytes()).decode("ascii"), "shape": ", ".join(map(str, array.shape))}


def display_limits(values: NDArray[np.float32], plain_colours: str = "viridis") -> tuple[str, tuple[float, float]]:
    """Return (colour map, limits) for a kernel: diverging and symmetric about 0 where it has both signs."""
    signed = is_signed(values)
    return (KERNEL_COLOURS if signed else plain_colours), colour_limits(values, diverging=signed)


def kernel_and_spectrum(
    kernel: NDArray[np.float32],
    magnitude: NDArray[np.float64],
    pixel_size_nm: tuple[float, float] | None,
    unit: str,
    logarithmic: bool = False,
    height: int = 430,
) -> Figure:
    """Show a kernel (nm) beside the magnitude of its FFT (rad/nm) with one zoom for both.

    Kernel and FFT are drawn on the pixels of the same (k, k) window, and their axes are tied: a zoom in one shows the same
    fraction of the other. The tick labels carry the physical units; without a known pitch they are px and rad/px.

    Args:
        kernel: (k, k), centre at k // 2.
        magnitude: (m, m) with m a multiple of k (zero padding), q = 0 at m // 2.
        pixel_size_nm: (dy, dx) or None.
        unit: unit of the kernel's values.
        logarithmic: show log10 of the magnitude, four decades.
        height: of the figure, px.
    """
    size = kernel.shape[0]
    dy, dx = pixel_size_nm or (1.0, 1.0)
    length = "nm" if pixel_size_nm else "px"
    figure = _panels(["Kernel", "|FFT| of the kernel"], height, gap=0.11)
    colours, limits = display_limits(kernel)
    _add_window(figure, 1, kernel, size, (dy, dx), ("x", "y", length), colours, limits, unit)
    floor = float(magnitude.max()) * 1e-4 or 1e-12
    spectrum = (np.log10(np.maximum(magnitude, floor)) if logarithmic else magnitude).astype(np.float32)
    steps = (2 * np.pi / (size * dy), 2 * np.pi / (size * dx))
    names = ("q<sub>x</sub>", "q<sub>y</sub>", f"rad/{length}")
    _add_window(figure, 2, spectrum, size, steps, names, FFT_COLOURS, _spectrum_limits(spectrum, size), "log₁₀" if logarithmic else unit)
    # The second panel's axes follow the first one's, so one anchor holds both. (Where dx and dy differ, a pixel's shape in q
    # is the inverse of its shape in r, and tied axes can be true to one of them only: the kernel.)
    figure["layout"]["yaxis"] |= {"scaleanchor": "x", "scaleratio": dy / dx}
    figure["layout"]["uirevision"] = "kernel"
    return figure


def map_with_defects(
    observation: NDArray[np.float32],
    positions: NDArray[np.float64],
    pixel_size_nm: tuple[float, float] | None,
    unit: str,
    height: int = 330,
) -> Figure:
    """Show a map with its defects as circles, axes in nm (px without a known pitch)."""
    figure = _panels(["Map and defects"], height, gap=0.16)
    length = "nm" if pixel_size_nm else "px"
    _add_map(figure, 1, observation, pixel_size_nm or (1.0, 1.0), length, "viridis", colour_limits(observation), unit, positions)
    figure["layout"]["uirevision"] = "map"
    return figure


def fit_panels(
    observation: NDArray[np.float32],
    reconstruction: NDArray[np.float32],
    residual: NDArray[np.float32],
    pixel_size_nm: tuple[float, float] | None,
    unit: str,
    colours: str,
    limits: tuple[float, float],
    height: int = 380,
) -> Figure:
    """Show map, reconstruction and residual with one zoom, axes in nm (px without a known pitch).

    The first two share their colours. The residual is drawn about 0 over the same span of values, so its contrast can be compared.
    """
    figure = _panels(["Map", "Reconstruction", "Residual, same span about 0"], height, gap=0.07)
    half = (limits[1] - limits[0]) / 2
    pictures = [(observation, colours, limits), (reconstruction, colours, limits), (residual, KERNEL_COLOURS, (-half, half))]
    for column, (values, scale, ends) in enumerate(pictures, start=1):
        bar = unit if column > 1 else None
        _add_map(figure, column, values, pixel_size_nm or (1.0, 1.0), "nm" if pixel_size_nm else "px", scale, ends, bar)
        if column > 1:
            figure["layout"][f"xaxis{column}"]["matches"] = "x"
            figure["layout"][f"yaxis{column}"].pop("scaleanchor")
            figure["layout"][f"yaxis{column}"] |= {"matches": "y", "showticklabels": False, "title": None}
    return figure


def kernel_row(
    panels: list[tuple[str, NDArray[np.float32]]], limits: tuple[float, float], colours: str, slots: int | None = None, height: int = 210
) -> Figure:
    """Show kernels of one size as a row of small pictures on one colour scale, without axes; `slots` keeps short rows the same size."""
    titles = [title for title, _ in panels]
    figure = _panels(titles + [""] * max(0, (slots or 0) - len(titles)), height, gap=0.015, font_size=12)
    for axis in [value for name, value in figure["layout"].items() if name.startswith(("xaxis", "yaxis"))]:
        axis["visible"] = False
    for column, (_, values) in enumerate(panels, start=1):
        _add_image(figure, column, values, (0.0, 0.0), (1.0, 1.0), colours, limits, None, hoverinfo="skip")
        last = values.shape[0] - 0.5
        _axis(figure, "x", column).update(visible=False, range=[-0.5, last])
        _axis(figure, "y", column).update(visible=False, range=[last, -0.5], scaleanchor=_name("x", column))
    figure["layout"].update(margin={"l": 2, "r": 2, "t": 26, "b": 2}, dragmode=False)
    return figure


def _name(letter: str, column: int) -> str:
    return letter if column == 1 else f"{letter}{column}"


def _axis(figure: Figure, letter: str, column: int) -> dict[str, Any]:
    axis: dict[str, Any] = figure["layout"][f"{letter}axis{'' if column == 1 else column}"]
    return axis


def _panels(titles: list[str], height: int, gap: float, font_size: int = 14) -> Figure:
    """Return an empty figure with one panel a title, side by side; the last gap holds the last colour bar."""
    width = (1.0 - gap * len(titles)) / len(titles) if gap > 0.03 else (1.0 - gap * (len(titles) - 1)) / len(titles)
    layout: dict[str, Any] = {
        "height": height,
        "margin": {"l": 8, "r": 8, "t": 34, "b": 8},
        "hoverlabel": {"namelength": 0},
        "dragmode": "pan",
        "showlegend": False,
        "annotations": [],
    }
    for column, title in enumerate(titles, start=1):
        start = (column - 1) * (width + gap)
        suffix = "" if column == 1 else str(column)
        layout[f"xaxis{suffix}"] = {"domain": [start, start + width], "anchor": _name("y", column), **_NO_LINES}
        layout[f"yaxis{suffix}"] = {"domain": [0.0, 1.0], "anchor": _name("x", column), **_NO_LINES}
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


def _add_image(
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
    """Add a picture whose first pixel has its centre at origin = (y, x); `bar` is the colour bar's title, None for no bar."""
    trace: dict[str, Any] = {
        "type": "heatmap",
        "z": typed(values),
        "x0": origin[1],
        "dx": step[1],
        "y0": origin[0],
        "dy": step[0],
        "xaxis": _name("x", column),
        "yaxis": _name("y", column),
        "colorscale": plotly_scale(colours),
        "zmin": limits[0],
        "zmax": limits[1],
        "showscale": bar is not None,
        **more,
    }
    if bar is not None:
        end = _axis(figure, "x", column)["domain"][1]
        title = {"text": bar, "side": "right"}
        trace["colorbar"] = {
            "title": title,
            "x": end + 0.004,
            "xanchor": "left",
            "thickness": 10,
            "len": 0.9,
            "exponentformat": "none" if bar == "log₁₀" else "SI",
        }
    figure["data"].append(trace)


def _add_window(
    figure: Figure,
    column: int,
    values: NDArray[np.float32],
    size: int,
    steps: tuple[float, float],
    names: tuple[str, str, str],
    colours: str,
    limits: tuple[float, float],
    bar: str,
) -> None:
    """Add a (k, k) window, or a finer sampling of it, on the axes of its k pixels; `steps` is (dy, dx) in physical units a pixel."""
    finer = values.shape[0] // size
    offsets = kernel_offsets(values.shape[0]) / finer
    physical = np.stack(np.meshgrid(offsets * steps[1], offsets * steps[0]), axis=-1)
    name_x, name_y, unit = names
    hover = f"{name_x} %{{customdata[0]:.3f}} {unit}<br>{name_y} %{{customdata[1]:.3f}} {unit}<br>%{{z:.4s}}"
    first = float(offsets[0])
    _add_image(
        figure,
        column,
        values,
        (first, first),
        (1 / finer, 1 / finer),
        colours,
        limits,
        bar,
        customdata=typed(physical),
        hovertemplate=hover,
    )
    low, high = -(size // 2) - 0.5, size - size // 2 - 0.5
    common = {"minallowed": low, "maxallowed": high}
    _axis(figure, "x", column).update(title={"text": f"{name_x} ({unit})"}, range=[low, high], **common, **_ticks(low, high, steps[1]))
    _axis(figure, "y", column).update(
        title={"text": f"{name_y} ({unit})", "standoff": 2}, range=[high, low], **common, **_ticks(low, high, steps[0])
    )
    if column > 1:
        _axis(figure, "x", column)["matches"] = "x"
        _axis(figure, "y", column)["matches"] = "y"


def _add_map(
    figure: Figure,
    column: int,
    values: NDArray[np.float32],
    pixel_size: tuple[float, float],
    length: str,
    colours: str,
    limits: tuple[float, float],
    bar: str | None,
    positions: NDArray[np.float64] | None = None,
) -> None:
    """Add a map with axes in physical units, y downwards, and its defects as open circles."""
    dy, dx = pixel_size
    rows, columns = values.shape
    hover = f"x %{{x:.3f}} {length}<br>y %{{y:.3f}} {length}<br>%{{z:.4s}}"
    _add_image(figure, column, values, (0.0, 0.0), (dy, dx), colours, limits, bar, hovertemplate=hover)
    if positions is not None:
        points = positions * np.array([dx, dy])
        marker = {"symbol": "circle-open", "size": 7, "color": "#ff5d3b", "line": {"width": 1.5}}
        where = {"xaxis": _name("x", column), "yaxis": _name("y", column)}
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
    _axis(figure, "x", column).update(title={"text": f"x ({length})"}, range=[-dx / 2, (columns - 0.5) * dx])
    title = {"text": f"y ({length})", "standoff": 2}
    _axis(figure, "y", column).update(title=title, range=[(rows - 0.5) * dy, -dy / 2], scaleanchor=_name("x", column))


def _spectrum_limits(spectrum: NDArray[np.float32], size: int) -> tuple[float, float]:
    """Return colour limits without q = 0 (the kernel's mean) and the few brightest pixels around it, which outshine the rest."""
    finer = spectrum.shape[0] // size
    offsets = np.abs(kernel_offsets(spectrum.shape[0]))
    away = np.maximum(offsets[:, None], offsets[None, :]) >= finer
    return colour_limits(spectrum[away], (0.0, 99.7)) if away.any() else colour_limits(spectrum)


def _ticks(first: float, last: float, unit_per_pixel: float) -> dict[str, Any]:
    """Return tick positions in pixels with their labels in physical units, for a panel from `first` to `last` pixel."""
    raw = (last - first) * unit_per_pixel / 6
    power = 10.0 ** np.floor(np.log10(raw))
    step = power * next(candidate for candidate in (1, 2, 5, 10) if candidate * power >= raw)
    values = np.arange(np.ceil(first * unit_per_pixel / step), np.floor(last * unit_per_pixel / step) + 1) * step
    return {"tickmode": "array", "tickvals": (values / unit_per_pixel).tolist(), "ticktext": [f"{v:g}" for v in np.round(values, 10)]}
