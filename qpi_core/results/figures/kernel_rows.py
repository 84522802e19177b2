"""Kernels over energy as one picture: a column an energy, the kernel above and its |FFT| below."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray

from qpi_core.base.errors import InputError
from qpi_core.estimates.stack_estimate import StackEstimate
from qpi_core.qspace.spectra import fft_magnitude
from qpi_core.results.figures.picture_style import PictureStyle, colour_scale
from qpi_core.results.figures.pictures import picture_of

MOST_COLUMNS = 8
_PANEL_INCHES = 1.5


def shown_layers(estimate: StackEstimate, most: int = MOST_COLUMNS) -> NDArray[np.intp]:
    """Return the layers of a picture: those with a kernel, thinned evenly to `most`, the first and the last among them."""
    usable = np.flatnonzero(estimate.usable)
    if len(usable) <= most:
        return usable
    return usable[np.linspace(0, len(usable) - 1, most).round().astype(np.intp)]


def kernel_rows_figure(
    estimate: StackEstimate,
    style: PictureStyle = PictureStyle(),  # noqa: B008 - frozen
    metadata: Mapping[str, str] | None = None,
) -> bytes:
    """Draw kernels and their |FFT|, every panel with colours of its own, since amplitudes change with energy.

    Raises:
        InputError: no layer has a kernel.
    """
    layers = shown_layers(estimate)
    if not len(layers):
        raise InputError("a picture of kernels over energy needs at least one layer with a kernel.")
    known = bool(np.isfinite(estimate.bias_mv).all())
    figure = Figure(figsize=(_PANEL_INCHES * len(layers), 2.2 * _PANEL_INCHES), dpi=style.dots_per_inch, layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(2, len(layers), squeeze=False)
    spectrum_style = PictureStyle("magma")
    for column, layer in enumerate(layers):
        kernel = np.asarray(estimate.kernels[layer], dtype=np.float64)
        title = f"{estimate.bias_mv[layer]:.4g} mV" if known else f"Layer {layer}"
        rows = ((kernel, style, title), (fft_magnitude(kernel), spectrum_style, ""))
        for axes, (image, drawn, text) in zip(panels[:, column], rows, strict=True):
            scale = colour_scale(image, drawn)
            axes.imshow(image, cmap=scale.name, vmin=scale.low, vmax=scale.high, interpolation="nearest")
            axes.set_axis_off()
            axes.set_title(text, fontsize=9)
    return picture_of(figure, style, metadata)
