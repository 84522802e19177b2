"""Plotly figures: kernel beside FFT, maps side by side, scatter of the latent space. Arrays go out as float32."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from qpi_core.grid import kernel_offsets, q_axis
from ui.colours import colour_limits, is_signed, plotly_scale

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

PLOTLY_CONFIG = {"displaylogo": False, "scrollZoom": True, "modeBarButtonsToRemove": ["select2d", "lasso2d", "autoScale2d"]}
KERNEL_COLOURS = "RdBu_r"
FFT_COLOURS = "viridis"
_MARGIN = {"l": 8, "r": 8, "t": 34, "b": 8}


def _nice_step(span: float, count: int = 6) -> float:
    raw = span / count
    power = 10.0 ** np.floor(np.log10(raw))
    return float(power * next(step for step in (1, 2, 5, 10) if step * power >= raw))


def _ticks(first: float, last: float, unit_per_pixel: float) -> dict[str, Any]:
    """Return tick positions in pixels with their labels in physical units, for a panel from `first` to `last` pixel."""
    step = _nice_step((last - first) * unit_per_pixel)
    low, high = np.ceil(first * unit_per_pixel / step), np.floor(last * unit_per_pixel / step)
    values = np.arange(low, high + 1) * step
    return {"tickmode": "array", "tickvals": (values / unit_per_pixel).tolist(), "ticktext": [f"{v:g}" for v in np.round(values, 10)]}


def _panels(titles: list[str], gap: float = 0.11) -> Figure:
    from plotly.subplots import make_subplots

    figure = make_subplots(rows=1, cols=len(titles), subplot_titles=titles, horizontal_spacing=gap)
    figure.update_layout(margin=_MARGIN, hoverlabel={"namelength": 0}, dragmode="pan", showlegend=False)
    figure.update_annotations(font_size=14)
    return figure


def _colour_bar(figure: Figure, column: int, title: str) -> dict[str, Any]:
    domain = figure.layout[f"xaxis{column if column > 1 else ''}"].domain
    return {"title": {"text": title, "side": "right"}, "x": domain[1] + 0.005, "xanchor": "left", "thickness": 10, "len": 0.9, "exponentformat": "SI"}


def display_limits(values: NDArray[np.float32], signed_colours: str = KERNEL_COLOURS, plain_colours: str = "viridis") -> tuple[str, tuple[float, float]]:
    """Return (colour map, limits) for a kernel: diverging and symmetric about 0 where it has both signs."""
    signed = is_signed(values)
    return (signed_colours if signed else plain_colours), colour_limits(values, diverging=signed)


def kernel_and_spectrum(
    kernel: NDArray[np.float32],
    magnitude: NDArray[np.float32],
    pixel_size_nm: tuple[float, float] | None,
    unit: str,
    logarithmic: bool,
    height: int = 430,
) -> Figure:
    """Show a kernel (nm) beside the magnitude of its FFT (rad/nm) with one zoom for both.

    Both panels are drawn on the pixels of the same (k, k) window, and their axes are tied: a zoom in one shows the same
    fraction of the other. The tick labels carry the physical units; without a known pitch they are px and rad/px.
    """
    import plotly.graph_objects as go

    size = kernel.shape[0]
    dy, dx = pixel_size_nm or (1.0, 1.0)
    length = "nm" if pixel_size_nm else "px"
    offsets = kernel_offsets(size)
    dqx, dqy = (float(np.diff(q_axis(size, pitch)[:2])[0]) if size > 1 else 1.0 for pitch in (dx, dy))
    figure = _panels(["Kernel", "|FFT| of the kernel"])
    colours, (low, high) = display_limits(kernel)
    spectrum = np.log10(np.maximum(magnitude, magnitude.max() * 1e-4 or 1e-12)) if logarithmic else magnitude
    spectrum_bar = _colour_bar(figure, 2, f"log₁₀ |FFT| ({unit or 'a.u.'})" if logarithmic else unit)
    if logarithmic:
        spectrum_bar["exponentformat"] = "none"
    for column, (values, scale, limits, step_x, step_y, of, bar) in enumerate(
        [
            (kernel, colours, (low, high), dx, dy, ("x", "y", length, unit), _colour_bar(figure, 1, unit)),
            (spectrum, FFT_COLOURS, colour_limits(spectrum), dqx, dqy, ("q<sub>x</sub>", "q<sub>y</sub>", f"rad/{length}", ""), spectrum_bar),
        ],
        start=1,
    ):
        physical = np.stack(np.meshgrid(offsets * step_x, offsets * step_y), axis=-1).astype(np.float32)
        hover = f"{of[0]} %{{customdata[0]:.3f}} {of[2]}<br>{of[1]} %{{customdata[1]:.3f}} {of[2]}<br>%{{z:.4s}} {of[3]}"
        figure.add_trace(
            go.Heatmap(
                z=values.astype(np.float32), x0=int(offsets[0]), dx=1, y0=int(offsets[0]), dy=1, customdata=physical, hovertemplate=hover,
                colorscale=plotly_scale(scale), zmin=limits[0], zmax=limits[1], colorbar=bar,
            ),
            row=1, col=column,
        )  # fmt: skip
        edges = [float(offsets[0]) - 0.5, float(offsets[-1]) + 0.5]
        figure.update_xaxes(
            title_text=f"{of[0]} ({of[2]})", range=edges, minallowed=edges[0], maxallowed=edges[1], matches="x", constrain="domain",
            showgrid=False, zeroline=False, row=1, col=column, **_ticks(*edges, step_x),
        )  # fmt: skip
        figure.update_yaxes(
            title_text=f"{of[1]} ({of[2]})", range=edges[::-1], minallowed=edges[0], maxallowed=edges[1], matches="y", constrain="domain",
            scaleanchor="x", scaleratio=dy / dx if column == 1 else dx / dy, showgrid=False, zeroline=False, title_standoff=2,
            row=1, col=column, **_ticks(*edges, step_y),
        )  # fmt: skip
    figure.update_layout(height=height, uirevision="kernel")
    return figure


def maps_side_by_side(
    panels: list[tuple[str, NDArray[np.float32]]],
    pixel_size_nm: tuple[float, float] | None,
    unit: str,
    colours: str,
    limits: tuple[float, float],
    height: int = 380,
    positions: NDArray[np.float64] | None = None,
) -> Figure:
    """Show maps of one shape on one colour scale, axes in nm (px without a known pitch), one zoom for all."""
    import plotly.graph_objects as go

    dy, dx = pixel_size_nm or (1.0, 1.0)
    length = "nm" if pixel_size_nm else "px"
    figure = _panels([title for title, _ in panels], gap=0.04)
    rows, columns = panels[0][1].shape
    for column, (_, values) in enumerate(panels, start=1):
        last = column == len(panels)
        bar = _colour_bar(figure, column, unit) if last else None
        figure.add_trace(
            go.Heatmap(
                z=values.astype(np.float32), x0=0, dx=dx, y0=0, dy=dy, colorscale=plotly_scale(colours), zmin=limits[0], zmax=limits[1],
                showscale=last, colorbar=bar, hovertemplate=f"x %{{x:.3f}} {length}<br>y %{{y:.3f}} {length}<br>%{{z:.4s}} {unit}",
            ),
            row=1, col=column,
        )  # fmt: skip
        if positions is not None and column == 1:
            figure.add_trace(
                go.Scatter(
                    x=(positions[:, 0] * dx).astype(np.float32), y=(positions[:, 1] * dy).astype(np.float32), mode="markers",
                    marker={"symbol": "circle-open", "size": 7, "color": "#ff5d3b", "line": {"width": 1.5}}, hoverinfo="skip",
                ),
                row=1, col=column,
            )  # fmt: skip
        x_range, y_range = [-dx / 2, (columns - 0.5) * dx], [(rows - 0.5) * dy, -dy / 2]
        figure.update_xaxes(title_text=f"x ({length})", range=x_range, matches="x", constrain="domain", showgrid=False, zeroline=False, row=1, col=column)
        figure.update_yaxes(
            range=y_range, matches="y", constrain="domain", scaleanchor="x", showgrid=False, zeroline=False, showticklabels=column == 1,
            title_text=f"y ({length})" if column == 1 else None, title_standoff=2, row=1, col=column,
        )  # fmt: skip
    figure.update_layout(height=height)
    return figure


def kernel_row(panels: list[tuple[str, NDArray[np.float32]]], limits: tuple[float, float], colours: str, height: int = 190) -> Figure:
    """Show kernels of one size as a row of small pictures on one colour scale, without axes."""
    import plotly.graph_objects as go

    figure = _panels([title for title, _ in panels], gap=0.015)
    for column, (_, values) in enumerate(panels, start=1):
        figure.add_trace(
            go.Heatmap(z=values.astype(np.float32), colorscale=plotly_scale(colours), zmin=limits[0], zmax=limits[1], showscale=False, hoverinfo="skip"),
            row=1, col=column,
        )  # fmt: skip
        figure.update_xaxes(visible=False, constrain="domain", row=1, col=column)
        figure.update_yaxes(visible=False, constrain="domain", autorange="reversed", scaleanchor=f"x{column if column > 1 else ''}", row=1, col=column)
    figure.update_annotations(font_size=12)
    figure.update_layout(height=height, margin={"l": 2, "r": 2, "t": 26, "b": 2}, dragmode=False)
    return figure
