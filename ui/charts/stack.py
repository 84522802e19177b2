"""The figure of E(q): spectra over energy, the layer in view, rings and the band through them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from qpi_core.base.electron import HBAR2_OVER_2M_MEV_NM2, MEV_NM_IN_KM_PER_S
from ui.charts.colours import colour_limits
from ui.charts.subplots import Figure, add_image, axis, panels, typed

if TYPE_CHECKING:
    from qpi_core.extraction.bands.band import Band
    from qpi_core.extraction.stacks.stack_findings import GapSign
    from qpi_core.qspace.dispersion.energy_map import EnergyMap

RING_COLOUR = "#ffffff"
_SIGNAL_COLOUR = "#1f9bb5"
BAND_COLOUR = "#ff5d3b"
SCALES = {"linear": "Linear", "log": "Logarithmic", "each": "Each energy alike"}
"""How E(q) is coloured -> its title."""
_DECADES = 3
_PLACES, _LEAST_PLACES, _MOST_POINTS = 24, 8, 1600
_BRIGHT_RINGS = 2
"""Rings around q = 0 that set no colour limits: they hold the kernel's mean and outshine the rest."""


@dataclass(frozen=True)
class EnergyLook:
    """How E(q) is drawn.

    Attributes:
        title: of the figure.
        scale: one of SCALES.
        clickable: whether places on it can be picked with the mouse.
        height: of the figure, px.
        unit: of |FFT|.
    """

    title: str = "E(q): ring average of |FFT|"
    scale: str = "linear"
    clickable: bool = False
    height: int = 360
    unit: str = ""


def energy_chart(spectra: EnergyMap, band: Band, fit: str, index: int, length: str = "nm", look: EnergyLook | None = None) -> Figure:
    """Show E(q) with the current layer as a line.

    Args:
        spectra: of all layers; those without a kernel stay empty.
        band: rings, drawn as points with error bars, and fits.
        fit: `parabola`, `line` or `none`.
        index: the layer in view.
        length: nm, or px without a known pitch.
        look: how it is drawn; None is as usual.
    """
    chosen = look or EnergyLook()
    scale = chosen.scale
    figure = panels([chosen.title], chosen.height, gap=0.13)
    energies, order = np.unique(spectra.energies, return_index=True)
    rows = scaled(spectra.magnitude[order], scale)
    unit = "mV" if spectra.energies_known else ""
    step = float(spectra.q[1])
    add_image(
        figure,
        1,
        rows,
        (float(energies[0]), 0.0),
        (1.0, step),
        "magma",
        colour_limits(rows[:, min(_BRIGHT_RINGS, rows.shape[1] - 1) :], (0.5, 99.5)),
        {"log": "log₁₀", "each": ""}.get(scale, chosen.unit),
        y=typed(energies),
        hovertemplate=f"q %{{x:.3f}} rad/{length}<br>%{{y:.4g}} {unit}",
    )
    energy = float(spectra.energies[index])
    figure["layout"]["shapes"] = [
        {"type": "line", "xref": "paper", "x0": 0, "x1": axis(figure, "x", 1)["domain"][1], "y0": energy, "y1": energy}
        | {"line": {"color": "#4fc3f7", "width": 1.5, "dash": "dot"}}
    ]
    if chosen.clickable:
        _add_places(figure, energies, float(spectra.q[-1]), unit, length)
    _add_rings(figure, band)
    _add_fit(figure, spectra, band, fit)
    last = float(spectra.q[-1])
    axis(figure, "x", 1).update(title={"text": f"q (rad/{length})"}, range=[0, last], minallowed=0, maxallowed=last)
    half = 0.5 * float(energies[1] - energies[0]) if len(energies) > 1 else 0.5
    title = {"text": "Bias V (mV)" if spectra.energies_known else "Layer", "standoff": 2}
    low, high = float(energies[0]) - half, float(energies[-1]) + half
    axis(figure, "y", 1).update(title=title, range=[low, high], minallowed=low, maxallowed=high)
    figure["layout"]["uirevision"] = "energies"
    return figure


def scaled(rows: NDArray[np.float64], scale: str) -> NDArray[np.float32]:
    """Return spectra (energies, q) as they are coloured: as they are, as their logarithm, or each energy in units of its own maximum.

    Args:
        rows: NaN in layers without a kernel.
        scale: one of SCALES.
    """
    away = np.abs(rows[:, min(_BRIGHT_RINGS, rows.shape[1] - 1) :])
    if scale == "linear" or not np.isfinite(away).any():
        return rows.astype(np.float32)
    if scale == "log":
        floor = float(np.nanmax(away)) * 10.0**-_DECADES or 1e-12
        return np.log10(np.maximum(rows, floor)).astype(np.float32)
    top = np.max(np.where(np.isfinite(away), away, 0.0), axis=1, keepdims=True)
    return np.divide(rows, top, out=np.full_like(rows, np.nan), where=top > 0).astype(np.float32)


def _add_places(figure: Figure, energies: NDArray[np.float64], last: float, unit: str, length: str) -> None:
    """Add points that are not seen, for the mouse: a picture itself hands no click on."""
    q, energy = np.meshgrid(np.linspace(0, last, max(_LEAST_PLACES, min(_PLACES, _MOST_POINTS // len(energies)))), energies)
    unseen = {"opacity": 0}
    _scatter(
        figure,
        q.ravel().tolist(),
        energy.ravel().tolist(),
        mode="markers",
        marker={"size": 14, **unseen},
        selected={"marker": unseen},
        unselected={"marker": unseen},
        hovertemplate=f"q %{{x:.3f}} rad/{length}<br>%{{y:.4g}} {unit}<br>click: show this energy<extra></extra>",
        name="places",
    )


def _add_rings(figure: Figure, band: Band) -> None:
    if band.track is None:
        return
    found = np.isfinite(band.track.q)
    marker = {"symbol": "circle-open", "size": 7, "color": RING_COLOUR, "line": {"width": 1.5}}
    error = {"type": "data", "array": band.track.q_deviation[found].tolist(), "color": RING_COLOUR, "thickness": 1, "width": 2}
    hover = "ring: q %{x:.3f} ± %{error_x.array:.3f} rad/nm<br>%{y:.4g} mV<extra></extra>"
    _scatter(
        figure, band.track.q[found].tolist(), band.track.bias_mv[found].tolist(), mode="markers", marker=marker, error_x=error,
        hovertemplate=hover, name="rings", unselected={"marker": {"opacity": 1}},
    )  # fmt: skip


def _add_fit(figure: Figure, spectra: EnergyMap, band: Band, fit: str) -> None:
    q = np.linspace(0, float(spectra.q[-1]), 200)
    if fit == "parabola" and band.parabola is not None:
        energy = band.parabola.band_edge_mev[0] + HBAR2_OVER_2M_MEV_NM2 * (q / 2) ** 2 / band.parabola.effective_mass[0]
    elif fit == "line" and band.line is not None:
        energy = band.line.crossing_mev[0] + band.line.velocity_km_per_s[0] / MEV_NM_IN_KM_PER_S * q / 2
    else:
        return
    _scatter(
        figure, q.tolist(), energy.tolist(), mode="lines", line={"color": BAND_COLOUR, "width": 2}, hoverinfo="skip", name="fit"
    )  # fmt: skip


def _scatter(figure: Figure, x: list[float], y: list[float], **more: Any) -> None:
    figure["data"].append({"type": "scatter", "x": x, "y": y, "xaxis": "x", "yaxis": "y", "showlegend": False, **more})


def gap_sign_chart(found: GapSign, height: int) -> Figure:
    """Show the energy-odd signal of a ring of q-space over energy, with its errors, and the form that fits best."""
    figure = panels(["ρ₋(E) over the ring"], height, gap=0.02)
    signal = found.signal
    error = {"error_y": {"type": "data", "array": signal.deviation.tolist(), "thickness": 1, "width": 2}} if signal.known_deviation else {}
    hover = "%{x:.4g} mV<br>%{y:.4g}<extra></extra>"
    energy = signal.energy_mev.tolist()
    _scatter(
        figure, energy, signal.signal.tolist(), mode="markers", marker={"size": 6, "color": _SIGNAL_COLOUR}, hovertemplate=hover, **error
    )  # fmt: skip
    _scatter(figure, energy, found.verdict.fitted.tolist(), mode="lines", line={"color": BAND_COLOUR, "width": 2}, hoverinfo="skip")
    axis(figure, "x", 1).update(title={"text": "Energy (meV)"})
    axis(figure, "y", 1).update(title={"text": "ρ₋", "standoff": 2}, zeroline=True, automargin=True)
    figure["layout"]["uirevision"] = "gap sign"
    return figure
