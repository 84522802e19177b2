"""The picture of E(q) along a path through points of high symmetry."""

from __future__ import annotations

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from qpi_core.base.errors import InputError
from qpi_core.qspace.zone_path import PathMap
from qpi_core.results.figures.energy_map import cell_edges
from qpi_core.results.figures.picture_style import PictureStyle
from qpi_core.results.figures.pictures import UNMEASURED_COLOUR, picture_of

_SIZE_INCHES = (5.6, 4.4)
_CENTRE_SHARE, _TOP = 0.06, 99.5


def path_map_figure(found: PathMap, style: PictureStyle = PictureStyle(colour_map="magma")) -> bytes:  # noqa: B008 - frozen
    """Draw |FFT| over energy and the way along the path, whose corners are named; grey where nothing is known.

    Raises:
        InputError: fewer than two energies.
    """
    energies, order = np.unique(found.energies, return_index=True)
    if len(energies) < 2:
        raise InputError("a picture of a path needs at least two layers at different energies.")
    rows = found.magnitude[order]
    # Around the zone's centre lies the kernel's mean, which outshines the rest.
    corners = np.array([at for _, at in found.corners])
    away = np.hypot(found.q_x, found.q_y) > _CENTRE_SHARE * corners[-1]
    shown = rows[:, away][np.isfinite(rows[:, away])]
    figure = Figure(figsize=_SIZE_INCHES, dpi=style.dots_per_inch, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    axes.set_facecolor(UNMEASURED_COLOUR)
    top = float(np.percentile(shown, _TOP)) if shown.size else 1.0
    axes.pcolormesh(
        cell_edges(found.distance), cell_edges(energies), np.ma.masked_invalid(rows), cmap=style.colour_map, vmin=0.0, vmax=top or 1.0
    )
    axes.set_xticks(corners, [name for name, _ in found.corners])
    for corner in corners[1:-1]:
        axes.axvline(corner, color="white", linewidth=0.8, alpha=0.6)
    axes.set_ylabel("Bias V (mV)")
    axes.set_title("E(q): |FFT| along the path")
    return picture_of(figure, style, None)
