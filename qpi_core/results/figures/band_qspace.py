"""The picture of a measured pattern in q-space beside what a band model expects there."""

from __future__ import annotations

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray

from qpi_core.qspace.spectra import fft_magnitude, q_axes
from qpi_core.results.figures.energy_map import cell_edges
from qpi_core.results.figures.picture_style import PictureStyle
from qpi_core.results.figures.pictures import picture_of

_SIZE_INCHES = (10.2, 3.8)
_INNER_PX = 2
_TOP = 99.7


def band_qspace_figure(
    kernel: NDArray[np.floating],
    joint: NDArray[np.float64],
    spectral: NDArray[np.float64],
    pixel_size_nm: tuple[float, float],
    title: str,
    style: PictureStyle = PictureStyle(colour_map="magma"),  # noqa: B008 - frozen
) -> bytes:
    """Draw |FFT| of a kernel, the joint density of states and the spectral function, (k, k) each, on the same axes.

    Args:
        kernel: (k, k), finite.
        joint, spectral: as qpi_core.qspace.band_spectra gives them for this size and pitch.
        pixel_size_nm: (dy, dx).
        title: over all.
        style: of the picture.
    """
    magnitude = fft_magnitude(kernel, "hann")
    q_y, q_x = q_axes((magnitude.shape[0], magnitude.shape[1]), pixel_size_nm)
    figure = Figure(figsize=_SIZE_INCHES, dpi=style.dots_per_inch, layout="constrained")
    FigureCanvasAgg(figure)
    named = (("measured: |FFT| of the kernel", magnitude), ("joint density of states", joint), ("spectral function A(k)", spectral))
    for index, (name, values) in enumerate(named, 1):
        axes = figure.add_subplot(1, 3, index)
        middle = values.shape[0] // 2
        away = values.copy()
        if index < 3:  # states connect with themselves, and a kernel has a mean: neither sets the colours
            away[middle - _INNER_PX : middle + _INNER_PX + 1, middle - _INNER_PX : middle + _INNER_PX + 1] = 0.0
        axes.pcolormesh(
            cell_edges(q_x), cell_edges(q_y), values, cmap=style.colour_map, vmin=0.0, vmax=float(np.percentile(away, _TOP)) or 1.0
        )
        axes.set_aspect("equal")
        axes.invert_yaxis()
        axes.set_title(name, fontsize=10)
        axes.set_xlabel(f"{'k' if index == 3 else 'q'} (rad/nm, 2π included)")
    figure.suptitle(title.replace("$", r"\$"), fontsize=10)
    return picture_of(figure, style, None)
