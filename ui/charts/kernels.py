"""Figures of kernels: kernel, uncertainty and FFT, and rows of small kernels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qpi_core.base.grid import kernel_offsets
from qpi_core.qspace.view import telling_zoom
from ui.charts.colours import ColourScale, colour_limits, is_signed
from ui.charts.subplots import Figure, add_image, axis, axis_name, panels, typed

KERNEL_COLOURS = "RdBu_r"
FFT_COLOURS = "viridis"
FULL_RANGE = (0.0, 100.0)
UNCERTAINTY_MANNERS = ("own", "kernel", "share")


def display_limits(
    values: NDArray[np.float32], plain_colours: str = "viridis", percentiles: tuple[float, float] = FULL_RANGE
) -> tuple[str, tuple[float, float]]:
    """Return (colour map, limits) for a kernel: diverging and symmetric about 0 where it has both signs."""
    signed = is_signed(values)
    return (KERNEL_COLOURS if signed else plain_colours), colour_limits(values, percentiles, diverging=signed)


@dataclass(frozen=True)
class UncertaintyPicture:
    """How the uncertainty of a kernel is drawn beside it.

    Attributes:
        title: of the panel.
        values: (k, k).
        unit: of the values.
        colours, limits: colour map and the values at its ends.
    """

    title: str
    values: NDArray[np.float32]
    unit: str
    colours: str
    limits: tuple[float, float]


def uncertainty_picture(
    kernel: NDArray[np.float32],
    uncertainty: NDArray[np.float32],
    unit: str,
    manner: str = "own",
    percentiles: tuple[float, float] = FULL_RANGE,
) -> UncertaintyPicture:
    """Return the picture of one standard deviation a pixel.

    Args:
        kernel: (k, k).
        uncertainty: (k, k) one standard deviation, units of the kernel.
        unit: of both.
        manner: one of UNCERTAINTY_MANNERS: on its `own` colour scale from 0, on the `kernel`'s colours and limits, or as a
            `share`: in percent of |kernel|, pixel by pixel, drawn up to 100 %.
        percentiles: at which the colours of the kernel end.
    """
    if manner == "kernel":
        colours, limits = display_limits(kernel, percentiles=percentiles)
        return UncertaintyPicture("Uncertainty, kernel's colours", uncertainty, unit, colours, limits)
    if manner == "share":
        with np.errstate(divide="ignore", invalid="ignore"):
            share = np.minimum(100 * uncertainty / np.abs(kernel), 1e4).astype(np.float32)
        return UncertaintyPicture(
            "Uncertainty ÷ |kernel|", np.where(np.isfinite(share), share, 1e4).astype(np.float32), "%", "cividis", (0.0, 100.0)
        )
    high = colour_limits(uncertainty, (0.0, percentiles[1]))[1]
    return UncertaintyPicture("Uncertainty, 1 σ", uncertainty, unit, "cividis", (0.0, high if high > 0 else 1.0))


@dataclass(frozen=True)
class KernelLook:
    """How a kernel and its FFT are drawn.

    Attributes:
        logarithmic: show log10 of the magnitude, four decades.
        height: of the figure, px.
        uncertainty: what to draw of it, or None.
        percentiles: of the values, at which the colours end.
        gap: room for a colour bar and the next axis, as a share of the width; None suits the width of a page.
    """

    logarithmic: bool = False
    height: int = 430
    uncertainty: UncertaintyPicture | None = None
    percentiles: tuple[float, float] = FULL_RANGE
    gap: float | None = None


def kernel_and_spectrum(
    kernel: NDArray[np.float32],
    magnitude: NDArray[np.float64],
    pixel_size_nm: tuple[float, float] | None,
    unit: str,
    look: KernelLook | None = None,
) -> Figure:
    """Show a kernel (nm) beside the magnitude of its FFT (rad/nm), and its uncertainty between them.

    Kernel and uncertainty are drawn on the pixels of the same (k, k) window and have one zoom; their tick labels carry the physical
    units. The FFT has its own zoom, which begins with the wave vectors that hold the kernel: a pattern of many pixels is a dot in the
    middle of all that the pixels resolve. Without a known pitch the units are px and rad/px.

    Args:
        kernel: (k, k), centre at k // 2.
        magnitude: (m, m) with m a multiple of k (zero padding), q = 0 at m // 2.
        pixel_size_nm: (dy, dx) or None.
        unit: unit of the kernel's values.
        look: how they are drawn; None is as usual.
    """
    chosen = look or KernelLook()
    uncertainty, percentiles, logarithmic = chosen.uncertainty, chosen.percentiles, chosen.logarithmic
    size = kernel.shape[0]
    dy, dx = pixel_size_nm or (1.0, 1.0)
    length = "nm" if pixel_size_nm else "px"
    titles = ["Kernel", *([uncertainty.title] if uncertainty else []), "|FFT| of the kernel"]
    figure = panels(titles, chosen.height, gap=chosen.gap or (0.11 if uncertainty is None else 0.085))
    space, place = ((dy, dx), ("x", "y", length))
    _add_window(figure, 1, kernel, size, space, place, ColourScale(*display_limits(kernel, percentiles=percentiles), unit))
    if uncertainty is not None:
        scale = ColourScale(uncertainty.colours, uncertainty.limits, uncertainty.unit)
        _add_window(figure, 2, uncertainty.values, size, space, place, scale)
    floor = float(magnitude.max()) * 1e-4 or 1e-12
    spectrum = (np.log10(np.maximum(magnitude, floor)) if logarithmic else magnitude).astype(np.float32)
    steps = (2 * np.pi / (size * dy), 2 * np.pi / (size * dx))
    names = ("q<sub>x</sub>", "q<sub>y</sub>", f"rad/{length}")
    zoom = telling_zoom(kernel)
    scale = ColourScale(FFT_COLOURS, _spectrum_limits(spectrum, size, percentiles, zoom), "log₁₀" if logarithmic else unit)
    last = len(titles)
    _add_spectrum(figure, last, spectrum, size, steps, names, scale, zoom)
    figure["layout"]["yaxis"] |= {"scaleanchor": "x", "scaleratio": dy / dx}
    if uncertainty is not None:
        axis(figure, "x", 2)["matches"], axis(figure, "y", 2)["matches"] = "x", "y"
    figure["layout"]["uirevision"] = "kernel"
    return figure


def single_kernel(kernel: NDArray[np.float32], pixel_size_nm: tuple[float, float] | None, unit: str, height: int) -> Figure:
    """Show a kernel (k, k) alone, small enough to stand beside other things: a scale bar in place of axes leaves it all of the height."""
    size = kernel.shape[0]
    dy, dx = pixel_size_nm or (1.0, 1.0)
    length = "nm" if pixel_size_nm else "px"
    figure = panels([""], height, gap=0.2)
    _add_window(figure, 1, kernel, size, (dy, dx), ("x", "y", length), ColourScale(*display_limits(kernel), unit))
    axis(figure, "x", 1)["visible"] = axis(figure, "y", 1)["visible"] = False
    figure["layout"]["xaxis"]["constraintoward"] = "right"  # beside its colour bar
    figure["layout"]["yaxis"] |= {"scaleanchor": "x", "scaleratio": dy / dx}
    figure["data"][0]["colorbar"] |= {"nticks": 3, "len": 1.0}  # more labels than that lie on each other
    _add_scale_bar(figure, size, dx, length)
    figure["layout"].update(height=height, margin={"l": 4, "r": 4, "t": 4, "b": 4}, dragmode=False, uirevision="preview")
    return figure


def _add_scale_bar(figure: Figure, size: int, pitch: float, length: str) -> None:
    """Add a bar of a round length, a quarter of the window or less, in its lower left corner, readable on every colour."""
    most = size * pitch / 4
    power = 10.0 ** np.floor(np.log10(most))
    long = float(power * max(step for step in (1, 2, 5) if step * power <= most))
    left, bottom = -(size // 2) - 0.5 + 0.05 * size, size - size // 2 - 0.5 - 0.06 * size
    ends = {"type": "line", "xref": "x", "yref": "y", "x0": left, "x1": left + long / pitch, "y0": bottom, "y1": bottom}
    figure["layout"]["shapes"] = [{**ends, "line": {"color": colour, "width": width}} for colour, width in (("#20262b", 5), ("#ffffff", 3))]
    words = {"text": f"{long:g} {length}", "x": left, "y": bottom, "xref": "x", "yref": "y", "xanchor": "left", "yanchor": "bottom"}
    look = {"showarrow": False, "yshift": 3, "borderpad": 1, "bgcolor": "rgba(32,38,43,0.6)", "font": {"size": 11, "color": "#ffffff"}}
    figure["layout"]["annotations"].append({**words, **look})


def _add_window(
    figure: Figure,
    column: int,
    values: NDArray[np.float32],
    size: int,
    steps: tuple[float, float],
    names: tuple[str, str, str],
    scale: ColourScale,
) -> None:
    """Add a (k, k) window, or a finer sampling of it, on the axes of its k pixels; `steps` is (dy, dx) in physical units a pixel."""
    finer = values.shape[0] // size
    offsets = kernel_offsets(values.shape[0]) / finer
    physical = np.stack(np.meshgrid(offsets * steps[1], offsets * steps[0]), axis=-1)
    name_x, name_y, unit = names
    hover = f"{name_x} %{{customdata[0]:.3f}} {unit}<br>{name_y} %{{customdata[1]:.3f}} {unit}"
    first = float(offsets[0])
    add_image(
        figure,
        column,
        values,
        (first, first),
        (1 / finer, 1 / finer),
        scale.colours,
        scale.limits,
        scale.bar,
        customdata=typed(physical),
        hovertemplate=hover,
    )
    low, high = -(size // 2) - 0.5, size - size // 2 - 0.5
    common = {"minallowed": low, "maxallowed": high}
    axis(figure, "x", column).update(title={"text": f"{name_x} ({unit})"}, range=[low, high], **common, **_ticks(low, high, steps[1]))
    axis(figure, "y", column).update(
        title={"text": f"{name_y} ({unit})", "standoff": 2}, range=[high, low], **common, **_ticks(low, high, steps[0])
    )


def _add_spectrum(
    figure: Figure,
    column: int,
    values: NDArray[np.float32],
    size: int,
    steps: tuple[float, float],
    names: tuple[str, str, str],
    scale: ColourScale,
    zoom: int,
) -> None:
    """Add a spectrum (m, m) on axes in rad/nm (rad/px) that begin with its inner 1/zoom; `steps` is (dq_y, dq_x) of the (k, k) window."""
    finer = values.shape[0] // size
    step_y, step_x = steps[0] / finer, steps[1] / finer
    first = float(kernel_offsets(values.shape[0])[0])
    name_x, name_y, unit = names
    hover = f"{name_x} %{{x:.3f}} {unit}<br>{name_y} %{{y:.3f}} {unit}"
    origin, step = (first * step_y, first * step_x), (step_y, step_x)
    root = scale.bar != "log₁₀"  # weak rings beside a bright middle
    add_image(figure, column, values, origin, step, scale.colours, scale.limits, scale.bar, hovertemplate=hover, root=root)
    for letter, name, pitch in (("x", name_x, steps[1]), ("y", name_y, steps[0])):
        low, high = (-(size // 2) - 0.5) * pitch, (size - size // 2 - 0.5) * pitch
        shown = [low / zoom, high / zoom]
        title = {"text": f"{name} ({unit})"} | ({"standoff": 2} if letter == "y" else {})
        ends = {"range": shown[:: -1 if letter == "y" else 1], "minallowed": low, "maxallowed": high}
        axis(figure, letter, column).update(title=title, uirevision=f"spectrum {zoom}", **ends)
    axis(figure, "y", column)["scaleanchor"] = axis_name("x", column)


def _spectrum_limits(spectrum: NDArray[np.float32], size: int, percentiles: tuple[float, float], zoom: int) -> tuple[float, float]:
    """Return colour limits without q = 0 (the kernel's mean) and the few brightest pixels of the inner 1/zoom, which outshine the rest."""
    finer = spectrum.shape[0] // size
    offsets = np.abs(kernel_offsets(spectrum.shape[0]))
    distance = np.maximum(offsets[:, None], offsets[None, :])
    away = (distance >= finer) & (distance <= spectrum.shape[0] / (2 * zoom))
    return colour_limits(spectrum[away], (percentiles[0], 0.997 * percentiles[1])) if away.any() else colour_limits(spectrum)


def _ticks(first: float, last: float, unit_per_pixel: float) -> dict[str, Any]:
    """Return tick positions in pixels with their labels in physical units, for a panel from `first` to `last` pixel."""
    raw = (last - first) * unit_per_pixel / 6
    power = 10.0 ** np.floor(np.log10(raw))
    step = power * next(candidate for candidate in (1, 2, 5, 10) if candidate * power >= raw)
    values = np.arange(np.ceil(first * unit_per_pixel / step), np.floor(last * unit_per_pixel / step) + 1) * step
    return {"tickmode": "array", "tickvals": (values / unit_per_pixel).tolist(), "ticktext": [f"{v:g}" for v in np.round(values, 10)]}


def kernel_row(
    pictures: list[tuple[str, NDArray[np.float32]]], limits: tuple[float, float], colours: str, slots: int | None = None, height: int = 210
) -> Figure:
    """Show kernels of one size as a row of small pictures on one colour scale, without axes; `slots` keeps short rows the same size."""
    titles = [title for title, _ in pictures]
    figure = panels(titles + [""] * max(0, (slots or 0) - len(titles)), height, gap=0.015, font_size=12)
    for hidden in [value for name, value in figure["layout"].items() if name.startswith(("xaxis", "yaxis"))]:
        hidden["visible"] = False
    for column, (_, values) in enumerate(pictures, start=1):
        add_image(figure, column, values, (0.0, 0.0), (1.0, 1.0), colours, limits, None, hoverinfo="skip")
        last = values.shape[0] - 0.5
        axis(figure, "x", column).update(visible=False, range=[-0.5, last])
        axis(figure, "y", column).update(visible=False, range=[last, -0.5], scaleanchor=axis_name("x", column))
    figure["layout"].update(height=height, margin={"l": 2, "r": 2, "t": 26, "b": 2}, dragmode=False)
    return figure
