"""The picture of E(q): energy upwards, wave vector to the right."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray

from qpi_core.base.errors import InputError
from qpi_core.qspace.dispersion.energy_map import EnergyMap
from qpi_core.results.figures.picture_style import PictureStyle, colour_scale
from qpi_core.results.figures.pictures import UNMEASURED_COLOUR, picture_of

_SIZE_INCHES = (5.6, 4.4)
_BRIGHT_RINGS = 2
"""Rings around q = 0 that set no colour limits: they hold the kernel's mean and outshine the rest."""


@dataclass(frozen=True, eq=False)
class DispersionMarks:
    """What is drawn over E(q).

    Attributes:
        rings: (n, 3) energy in mV, q in rad/nm and its deviation.
        band: (m, 4) energy, mean q and its least and largest over directions, of a fitted band, or None.
        label: of the band.
    """

    rings: NDArray[np.float64]
    band: NDArray[np.float64] | None = None
    label: str = ""


def energy_map_figure(
    spectra: EnergyMap,
    pixel_size_known: bool = True,
    title: str = "E(q): ring average of |FFT|",
    style: PictureStyle = PictureStyle(colour_map="magma"),  # noqa: B008 - frozen
    metadata: Mapping[str, str] | None = None,
    marks: DispersionMarks | None = None,
) -> bytes:
    """Draw E(q); layers without a kernel are grey, layers at an energy that occurs before are left out. Marks are drawn over it.

    Raises:
        InputError: fewer than two energies.
    """
    energies, order = np.unique(spectra.energies, return_index=True)
    if len(energies) < 2:
        raise InputError("a picture of E(q) needs at least two layers at different energies.")
    rows = spectra.magnitude[order]
    scale = colour_scale(rows[:, min(_BRIGHT_RINGS, rows.shape[1] - 1) :], style)
    figure = Figure(figsize=_SIZE_INCHES, dpi=style.dots_per_inch, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    axes.set_facecolor(UNMEASURED_COLOUR)
    picture = axes.pcolormesh(
        cell_edges(spectra.q), cell_edges(energies), np.ma.masked_invalid(rows), cmap=scale.name, vmin=scale.low, vmax=scale.high
    )
    if marks is not None:
        _draw_marks(axes, marks)
    axes.set_xlim(0, float(spectra.q[-1]))
    axes.set_xlabel(f"q ({'rad/nm' if pixel_size_known else 'rad/px'}, 2π included)")
    axes.set_ylabel("Bias V (mV)" if spectra.energies_known else "Layer")
    axes.set_title(title.replace("$", r"\$"))
    if style.colour_bar:
        figure.colorbar(picture, ax=axes, fraction=0.046, pad=0.03)
    return picture_of(figure, style, metadata)


def _draw_marks(axes: Axes, marks: DispersionMarks) -> None:
    """Draw rings with their errors and the band: its mean, and between which q it lies where its contours are no circles."""
    if len(marks.rings):
        energy, q, deviation = marks.rings.T
        axes.errorbar(q, energy, xerr=deviation, fmt="o", color="white", ecolor="white", markersize=3, capsize=2, label="rings")
    if marks.band is not None and len(marks.band):
        energy, mean, least, largest = marks.band[np.argsort(marks.band[:, 0])].T
        axes.fill_betweenx(energy, least, largest, color="#4fc3f7", alpha=0.3, linewidth=0)
        axes.plot(mean, energy, color="#4fc3f7", linewidth=1.5, label=marks.label)
    if axes.get_legend_handles_labels()[1]:
        axes.legend(loc="lower right", fontsize=8, framealpha=0.7)


def cell_edges(centres: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return (n + 1,) borders halfway between ascending centres (n >= 2)."""
    middle = (centres[1:] + centres[:-1]) / 2
    return np.concatenate([[2 * centres[0] - middle[0]], middle, [2 * centres[-1] - middle[-1]]])
