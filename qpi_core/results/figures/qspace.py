"""The picture of a kernel in q-space under a view, with the first Brillouin zone and the Bragg peaks of a lattice over it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from qpi_core.base.units import unit_scale
from qpi_core.estimates.estimate import KernelEstimate
from qpi_core.qspace.surface_lattice import SurfaceLattice
from qpi_core.qspace.view import Q_UNITS, QSpacePicture, QSpaceView, kernel_spectrum, qspace_pictures
from qpi_core.results.figures.picture_style import DIVERGING_MAP, PictureStyle
from qpi_core.results.figures.pictures import UNMEASURED_COLOUR, picture_of

COLOUR_MAPS = {"magnitude": "magma", "real": DIVERGING_MAP, "phase": "twilight"}
MOST_PEAKS = 60
"""Bragg peaks that are drawn, from q = 0 outwards."""
_PANEL_INCHES = (5.2, 4.4)


def qspace_picture(
    estimate: KernelEstimate,
    view: QSpaceView,
    style: PictureStyle = PictureStyle(),  # noqa: B008 - frozen
    metadata: Mapping[str, str] | None = None,
) -> bytes:
    """Draw the pictures of a view side by side; the settings go into the PNG's text fields.

    Without a pixel size the axes are in rad/px, and no lattice is drawn.

    Raises:
        InputError: as `qpi_core.qspace.view.qspace_pictures`.
    """
    pitch = estimate.pixel_size_nm
    unit = str(estimate.provenance.get("input", {}).get("unit") or "")
    spectrum = kernel_spectrum(estimate.kernel, view, pitch)
    observation = estimate.reconstruction + estimate.residual
    pictures = qspace_pictures(spectrum, view, observation, estimate.weights, pitch)
    width, height = _PANEL_INCHES
    figure = Figure(figsize=(width * len(pictures), height), dpi=style.dots_per_inch, layout="constrained")
    FigureCanvasAgg(figure)
    reach = tuple(spectrum.values.shape[axis] // 2 * spectrum.q_step[axis] / view.zoom for axis in (0, 1))
    for number, picture in enumerate(pictures, start=1):
        axes = figure.add_subplot(1, len(pictures), number)
        picture, written = _in_handy_unit(picture, unit)
        image = _draw(axes, picture, view, pitch is not None, (reach[0], reach[1]))
        if view.lattice is not None and pitch is not None:
            _draw_lattice(axes, view.lattice, Q_UNITS[view.q_unit], (reach[1], reach[0]))
        if style.colour_bar:
            figure.colorbar(image, ax=axes, fraction=0.046, pad=0.03, label=_bar_label(picture, view, written))
    return picture_of(figure, style, {**view_metadata(view), **(metadata or {})})


def view_metadata(view: QSpaceView) -> dict[str, str]:
    """Return the settings of a view in words, as the text fields of a picture."""
    described = {"Window": view.window, "Zero padding": str(view.padding)}
    if view.symmetrises:
        rotations = f"{view.symmetry_order}-fold" if view.symmetry_order > 1 else "no rotation"
        mirror = "" if view.mirror_angle is None else f", mirror axis at {np.degrees(view.mirror_angle):.4g} degrees"
        described["Symmetrised"] = rotations + mirror
    if view.lattice is not None:
        lattice = view.lattice
        angles = f"angle {np.degrees(lattice.angle):.6g}, orientation {np.degrees(lattice.orientation):.6g} degrees"
        described["Lattice"] = f"a {lattice.a_nm:.9g} nm, b {lattice.b_nm:.9g} nm, {angles}"
    return described


def _draw(axes: Axes, picture: QSpacePicture, view: QSpaceView, known: bool, reach: tuple[float, float]) -> Any:
    """Draw one picture; `reach` is how far the kernel's spectrum goes in (q_y, q_x), so that all have the same limits."""
    factor = Q_UNITS[view.q_unit] if known else 1.0
    height, width = picture.values.shape
    step_y, step_x = (factor * step for step in picture.q_step)
    left, top = (-0.5 - width // 2) * step_x, (-0.5 - height // 2) * step_y
    axes.set_facecolor(UNMEASURED_COLOUR)
    colours: dict[str, Any] = {"cmap": COLOUR_MAPS[picture.kind], "vmin": picture.limits[0], "vmax": picture.limits[1]}
    extent = (left, left + width * step_x, top + height * step_y, top)
    image = axes.imshow(np.ma.masked_invalid(picture.drawn), extent=extent, origin="upper", interpolation="nearest", **colours)
    axes.set_xlim(-factor * reach[1], factor * reach[1])
    axes.set_ylim(factor * reach[0], -factor * reach[0])
    unit = view.q_unit if known else "rad/px"
    axes.set_xlabel(f"$q_x$ ({unit}, 2π included)")
    axes.set_ylabel(f"$q_y$ ({unit}, 2π included)")
    axes.set_title(picture.title)
    return image


def _draw_lattice(axes: Axes, lattice: SurfaceLattice, factor: float, reach: tuple[float, float]) -> None:
    limits = axes.get_xlim(), axes.get_ylim()
    corners = lattice.brillouin_zone() * factor
    zone = np.concatenate([corners, corners[:1]])
    peaks = lattice.bragg_peaks(reach, MOST_PEAKS)[1] * factor
    # A light line on a dark one shows on every colour map.
    for colour, width in (("black", 2.6), ("white", 1.2)):
        axes.plot(zone[:, 0], zone[:, 1], color=colour, linewidth=width)
        axes.scatter(peaks[:, 0], peaks[:, 1], s=34, facecolors="none", edgecolors=colour, linewidths=width)
    axes.set_xlim(limits[0])
    axes.set_ylim(limits[1])


def _in_handy_unit(picture: QSpacePicture, unit: str) -> tuple[QSpacePicture, str]:
    """Return a picture and its unit with the prefix that suits the colour bar; phases and logarithms have none."""
    if picture.kind == "phase" or picture.logarithmic:
        return picture, unit
    factor, written = unit_scale(max(abs(end) for end in picture.limits), unit)
    low, high = picture.limits
    return replace(picture, values=picture.values * factor, limits=(low * factor, high * factor)), written


def _bar_label(picture: QSpacePicture, view: QSpaceView, unit: str) -> str:
    if picture.kind == "phase":
        return "rad"
    # A dollar sign in a unit must not start mathematics.
    plain = unit.replace("$", r"\$")
    return f"log₁₀ of {plain}" if view.logarithmic and plain and picture.kind == "magnitude" else plain
