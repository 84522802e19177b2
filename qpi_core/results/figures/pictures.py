"""Pictures as the bytes of a PNG, SVG or PDF file: maps in nm, spectra in rad/nm, with colour bar and scale bar.

Only matplotlib's object interface is used (a Figure and an Agg canvas): no global state, so several threads may draw at once.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from numpy.typing import ArrayLike, NDArray

from qpi_core.base.errors import InputError
from qpi_core.base.units import unit_scale
from qpi_core.base.validation import require_pixel_size
from qpi_core.qspace.spectra import q_axes
from qpi_core.results.figures.picture_style import DEFAULT_STYLE, DIVERGING_MAP, ColourScale, PictureStyle, colour_scale

UNMEASURED_COLOUR = "0.75"
PANEL_HEIGHT_INCHES = 4.4
PANEL_WIDTH_INCHES = (2.8, 9.0)
_DECADES = 4
# For all figures of the process and never changed: text stays text, so that it can be edited, and the same picture gives the same bytes.
matplotlib.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "qpi", "pdf.fonttype": 42})

UNIT_LENGTHS = (1.0, 2.0, 5.0)
"""A scale bar is one of these times a power of ten."""


def kernel_picture(
    kernel: ArrayLike,
    pixel_size_nm: float | tuple[float, float] | None = None,
    title: str = "Kernel",
    unit: str = "",
    style: PictureStyle = DEFAULT_STYLE,
    metadata: Mapping[str, str] | None = None,
) -> bytes:
    """Draw a kernel, its centre pixel at the origin; axes in nm, or in pixels where the pixel size is not known."""
    image = _require_picture(kernel)
    figure, (axes,) = _figure(1, image.shape, pixel_size_nm, style)
    origin = (image.shape[1] // 2, image.shape[0] // 2)
    _draw_real_space(axes, image, pixel_size_nm, origin, title, unit, style)
    return picture_of(figure, style, metadata)


def fft_picture(
    spectrum: ArrayLike,
    pixel_size_nm: float | tuple[float, float] | None = None,
    title: str = "|FFT| of the kernel",
    style: PictureStyle = PictureStyle(colour_map="magma"),  # noqa: B008 - frozen
    metadata: Mapping[str, str] | None = None,
    unit: str = "",
) -> bytes:
    """Draw a real spectrum (magnitude, real part ...) with q = 0 at index n // 2; axes in rad/nm, or rad/px without a pixel size."""
    image = _require_picture(spectrum)
    if style.logarithmic:
        image, unit = np.log10(np.maximum(image, float(np.nanmax(image)) * 10.0**-_DECADES or 1e-12)), "log₁₀"
    figure, (axes,) = _figure(1, image.shape, pixel_size_nm, style)
    q_y, q_x = q_axes((image.shape[0], image.shape[1]), 1.0 if pixel_size_nm is None else pixel_size_nm)
    half_y, half_x = (q_y[1] - q_y[0]) / 2, (q_x[1] - q_x[0]) / 2
    extent = (q_x[0] - half_x, q_x[-1] + half_x, q_y[-1] + half_y, q_y[0] - half_y)
    q_unit = "rad/px" if pixel_size_nm is None else "rad/nm"
    _draw(axes, image, extent, title, unit, style)
    axes.set_xlabel(f"$q_x$ ({q_unit}, 2π included)")
    axes.set_ylabel(f"$q_y$ ({q_unit}, 2π included)")
    return picture_of(figure, style, metadata)


def map_picture(
    observation: ArrayLike,
    pixel_size_nm: float | tuple[float, float] | None = None,
    positions: ArrayLike | None = None,
    title: str = "Observation",
    unit: str = "",
    style: PictureStyle = DEFAULT_STYLE,
    metadata: Mapping[str, str] | None = None,
) -> bytes:
    """Draw a map, x to the right and y downwards as stored, with the defects (n, 2) in pixels as rings; NaN is grey."""
    image = _require_picture(observation)
    figure, (axes,) = _figure(1, image.shape, pixel_size_nm, style)
    _draw_real_space(axes, image, pixel_size_nm, (0, 0), title, unit, style)
    _mark(axes, positions, pixel_size_nm)
    return picture_of(figure, style, metadata)


def fit_picture(
    observation: ArrayLike,
    reconstruction: ArrayLike,
    pixel_size_nm: float | tuple[float, float] | None = None,
    positions: ArrayLike | None = None,
    unit: str = "",
    style: PictureStyle = DEFAULT_STYLE,
    metadata: Mapping[str, str] | None = None,
) -> bytes:
    """Draw observation, reconstruction and residual side by side.

    The first two share their colours. The residual is drawn about 0 over the same span of values, so that its contrast
    can be compared with the observation's.
    """
    measured, modelled = _require_picture(observation), _require_picture(reconstruction)
    if measured.shape != modelled.shape:
        raise InputError(f"reconstruction must have the observation's shape {measured.shape}, but it has {modelled.shape}.")
    figure, panels = _figure(3, measured.shape, pixel_size_nm, style)
    shared = colour_scale(measured, style)
    half = (shared.high - shared.low) / 2
    pictures = (
        ("Observation", measured, shared),
        ("Reconstruction", modelled, shared),
        ("Residual", measured - modelled, ColourScale(DIVERGING_MAP, -half, half)),
    )
    for axes, (title, image, scale) in zip(panels, pictures, strict=True):
        _draw_real_space(axes, image, pixel_size_nm, (0, 0), title, unit, style, scale)
    _mark(panels[0], positions, pixel_size_nm)
    return picture_of(figure, style, metadata)


def scale_bar_length(width: float) -> float:
    """Return a round length (1, 2 or 5 times a power of ten) of at most a quarter of the width, and more than a tenth."""
    power = 10.0 ** np.floor(np.log10(width / 4))
    return float(max(step * power for step in UNIT_LENGTHS if step * power <= width / 4 * (1 + 1e-9)))


def _require_picture(image: ArrayLike) -> NDArray[np.float64]:
    values = np.asarray(image)
    if values.ndim != 2 or min(values.shape) < 2 or values.dtype.kind not in "fiub":
        raise InputError(f"a picture needs a real 2-D array of at least 2 x 2, but it has shape {values.shape} and holds {values.dtype}.")
    return values.astype(np.float64)


def _figure(
    panels: int, shape: tuple[int, ...], pixel_size_nm: float | tuple[float, float] | None, style: PictureStyle
) -> tuple[Figure, list[Axes]]:
    """Return a figure with panels side by side, as wide as the picture's own proportions ask for."""
    dy, dx = (1.0, 1.0) if pixel_size_nm is None else require_pixel_size(pixel_size_nm)
    height = PANEL_HEIGHT_INCHES
    width = float(np.clip((height - 0.8) * shape[1] * dx / (shape[0] * dy) + 1.6, *PANEL_WIDTH_INCHES))
    figure = Figure(figsize=(width * panels, height), dpi=style.dots_per_inch, layout="constrained")
    FigureCanvasAgg(figure)
    return figure, [figure.add_subplot(1, panels, number + 1) for number in range(panels)]


def _draw_real_space(
    axes: Axes,
    image: NDArray[np.float64],
    pixel_size_nm: float | tuple[float, float] | None,
    origin: tuple[int, int],
    title: str,
    unit: str,
    style: PictureStyle,
    scale: ColourScale | None = None,
) -> None:
    """Draw an image whose pixel `origin` (x, y) has the coordinate 0."""
    dy, dx = (1.0, 1.0) if pixel_size_nm is None else require_pixel_size(pixel_size_nm)
    height, width = image.shape
    left, top = (-0.5 - origin[0]) * dx, (-0.5 - origin[1]) * dy
    _draw(axes, image, (left, left + width * dx, top + height * dy, top), title, unit, style, scale)
    label = "px" if pixel_size_nm is None else "nm"
    axes.set_xlabel(f"x ({label})")
    axes.set_ylabel(f"y ({label})")
    if style.scale_bar and pixel_size_nm is not None:
        _draw_scale_bar(axes, width * dx)


def _draw(
    axes: Axes,
    image: NDArray[np.float64],
    extent: tuple[float, float, float, float],
    title: str,
    unit: str,
    style: PictureStyle,
    scale: ColourScale | None = None,
) -> None:
    scale = scale or colour_scale(image, style)
    factor, written = unit_scale(max(abs(scale.low), abs(scale.high)), unit)
    image, scale = image * factor, ColourScale(scale.name, scale.low * factor, scale.high * factor)
    axes.set_facecolor(UNMEASURED_COLOUR)
    colours: dict[str, Any] = {"cmap": scale.name, "vmin": scale.low, "vmax": scale.high}
    picture = axes.imshow(np.ma.masked_invalid(image), extent=extent, origin="upper", interpolation="nearest", **colours)
    # A dollar sign in a channel's name must not start mathematics.
    axes.set_title(title.replace("$", r"\$"))
    if style.colour_bar:
        axes.figure.colorbar(picture, ax=axes, fraction=0.046, pad=0.03, label=written.replace("$", r"\$"))


def _draw_scale_bar(axes: Axes, width_nm: float) -> None:
    length = scale_bar_length(width_nm)
    fraction = length / width_nm
    box: dict[str, Any] = {"transform": axes.transAxes, "zorder": 5}
    axes.add_patch(Rectangle((0.04, 0.03), fraction + 0.04, 0.105, facecolor="black", alpha=0.55, linewidth=0, **box))
    axes.add_patch(Rectangle((0.06, 0.045), fraction, 0.014, facecolor="white", linewidth=0, **box))
    axes.text(0.06 + fraction / 2, 0.07, f"{length:g} nm", color="white", ha="center", va="bottom", fontsize=8, **box)


def _mark(axes: Axes, positions: ArrayLike | None, pixel_size_nm: float | tuple[float, float] | None) -> None:
    if positions is None:
        return
    dy, dx = (1.0, 1.0) if pixel_size_nm is None else require_pixel_size(pixel_size_nm)
    points = np.asarray(positions, dtype=np.float64).reshape(-1, 2)
    limits = axes.get_xlim(), axes.get_ylim()
    # A white ring around a dark one shows on every colour map.
    for size, colour, width in ((34, "black", 2.2), (34, "white", 1.0)):
        axes.scatter(points[:, 0] * dx, points[:, 1] * dy, s=size, facecolors="none", edgecolors=colour, linewidths=width)
    axes.set_xlim(limits[0])
    axes.set_ylim(limits[1])


def picture_of(figure: Figure, style: PictureStyle, metadata: Mapping[str, str] | None) -> bytes:
    """Return a figure as the content of a file of the style's format, with text fields, and without a date."""
    buffer = io.BytesIO()
    fields = _text_fields(dict(metadata or {}), style.file_format)
    figure.savefig(buffer, format=style.file_format, dpi=style.dots_per_inch, metadata=fields)
    return buffer.getvalue()


def _text_fields(metadata: dict[str, str], file_format: str) -> dict[str, Any]:
    """Return text fields by the names that a format knows: PNG any, SVG and PDF a title and one text with all the rest."""
    if file_format == "png":
        return dict(metadata)
    title = metadata.pop("Title", "")
    rest = "; ".join(f"{name}: {value}" for name, value in metadata.items())
    if file_format == "svg":
        return {"Date": None, **({"Title": title} if title else {}), **({"Description": rest} if rest else {})}
    return {"CreationDate": None, **({"Title": title} if title else {}), **({"Subject": rest} if rest else {})}
