"""Figures of the tools on the map: |FFT| of the map and a profile along a line."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from qpi_core.base.units import unit_scale
from qpi_core.qspace.map_spectrum import map_spectrum
from ui.charts.colours import colour_limits
from ui.charts.subplots import Figure, add_image, axis, panels, typed

if TYPE_CHECKING:
    from qpi_core.maps.line_profile import LineProfile

_DECADES = 4
_MOST_PIXELS = 256
_LINE = "#0f6e84"
_LINES = ("#0f6e84", "#ff5d3b")


def map_fft_chart(values: NDArray[np.float32], pixel_size_nm: tuple[float, float] | None, logarithmic: bool, height: int) -> Figure:
    """Show the magnitude of a map's Fourier transform (Hann window), the middle of it where the map is large; axes in rad/nm or rad/px."""
    spectrum = map_spectrum(values, np.ones(1), pixel_size_nm, "hann")
    magnitude = np.sqrt(spectrum.power)
    rows, columns = (slice(max(0, side // 2 - _MOST_PIXELS // 2), side // 2 + _MOST_PIXELS // 2) for side in magnitude.shape)
    shown = magnitude[rows, columns]
    floor = float(shown.max()) * 10.0**-_DECADES or 1e-12
    picture = (np.log10(np.maximum(shown, floor)) if logarithmic else shown).astype(np.float32)
    step_y, step_x = spectrum.q_step
    first = (-(magnitude.shape[0] // 2 - rows.start) * step_y, -(magnitude.shape[1] // 2 - columns.start) * step_x)
    unit = "rad/nm" if pixel_size_nm else "rad/px"
    figure = panels(["|FFT| of the map"], height, gap=0.16)
    hover = f"q<sub>x</sub> %{{x:.3f}} {unit}<br>q<sub>y</sub> %{{y:.3f}} {unit}"
    limits = colour_limits(picture, (5.0, 99.9))
    add_image(
        figure, 1, picture, first, (step_y, step_x), "viridis", limits, "log₁₀" if logarithmic else "", hovertemplate=hover
    )  # fmt: skip
    axis(figure, "x", 1).update(title={"text": f"q<sub>x</sub> ({unit})"})
    axis(figure, "y", 1).update(title={"text": f"q<sub>y</sub> ({unit})", "standoff": 2}, autorange="reversed", scaleanchor="x")
    figure["layout"]["uirevision"] = "map fft"
    return figure


def profile_chart(profile: LineProfile, length: str, unit: str, height: int) -> Figure:
    """Show the values of a map along a line."""
    known = profile.values[np.isfinite(profile.values)]
    factor, written = unit_scale(float(np.abs(known).max()) if known.size else 1.0, unit)
    figure = panels([""], height, gap=0.02)
    trace = {
        "type": "scatter",
        "mode": "lines",
        "x": typed(profile.distance),
        "y": typed(profile.values * factor),
        "xaxis": "x",
        "yaxis": "y",
    }
    hover = f"%{{x:.4g}} {length}<br>%{{y:.5~g}}<extra></extra>"
    figure["data"].append({**trace, "line": {"color": _LINE, "width": 1.5}, "hovertemplate": hover})
    axis(figure, "x", 1).update(title={"text": f"distance ({length})"})
    axis(figure, "y", 1).update(title={"text": written, "standoff": 2}, automargin=True)
    figure["layout"].update(margin={"l": 8, "r": 8, "t": 8, "b": 8}, uirevision="profile")
    return figure


def spectra_chart(energies: NDArray[np.float64], lines: list[tuple[str, NDArray[np.float64]]], unit: str, height: int) -> Figure:
    """Show spectra (name, values over the energies in mV) of single pixels."""
    highest = max((float(np.nanmax(np.abs(values))) for _, values in lines if np.isfinite(values).any()), default=1.0)
    factor, written = unit_scale(highest, unit)
    figure = panels([""], height, gap=0.02)
    order = np.argsort(energies)
    for (name, values), colour in zip(lines, _LINES, strict=False):
        trace = {
            "type": "scatter",
            "mode": "lines",
            "x": typed(energies[order]),
            "y": typed(values[order] * factor),
            "xaxis": "x",
            "yaxis": "y",
        }
        hover = f"{name}<br>%{{x:.4g}} mV<br>%{{y:.5~g}}<extra></extra>"
        figure["data"].append({**trace, "name": name, "line": {"color": colour, "width": 1.5}, "hovertemplate": hover})
    axis(figure, "x", 1).update(title={"text": "Bias V (mV)"})
    axis(figure, "y", 1).update(title={"text": written, "standoff": 2}, automargin=True)
    legend = {"orientation": "h", "y": 1.0, "yanchor": "bottom", "x": 0}
    figure["layout"].update(margin={"l": 8, "r": 8, "t": 26, "b": 8}, showlegend=True, legend=legend, uirevision="spectra")
    return figure
