"""The figures of a band beside a measured pattern: its wave vector over E(q), and its joint density of states in q-space."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from qpi_core.extraction.bands.band import Band
from qpi_core.qspace.dispersion.energy_map import EnergyMap
from qpi_core.qspace.spectra import q_axes
from ui.charts.stack import BAND_COLOUR, EnergyLook, energy_chart
from ui.charts.subplots import Figure, add_image, axis, panels

Array = NDArray[np.float64]

_INNER, _TOP = 2, 99.7


def band_over_energy_chart(spectra: EnergyMap, index: int, energies: Array, q: Array, height: int) -> Figure:
    """Show E(q) with the wave vector q of a band at every energy, NaN where it has no contour, both (n,)."""
    figure = energy_chart(spectra, Band(), "none", index, look=EnergyLook("E(q) and q = 2k of the band", height=height))
    shown = np.isfinite(q)
    trace = {"type": "scatter", "mode": "lines", "x": q[shown].tolist(), "y": energies[shown].tolist(), "xaxis": "x", "yaxis": "y"}
    figure["data"].append(trace | {"line": {"color": BAND_COLOUR, "width": 2}, "hoverinfo": "skip", "showlegend": False, "name": "band"})
    return figure


def joint_density_chart(measured: Array | None, joint: Array, pixel_size_nm: tuple[float, float], energy_mev: float, height: int) -> Figure:
    """Show |FFT| of a kernel, where it has one, beside the joint density of states on the same axes, (k, k) each."""
    q_y, q_x = q_axes((joint.shape[0], joint.shape[1]), pixel_size_nm)
    named = [(f"|FFT| at {energy_mev:.4g} mV", measured), ("Joint density of states", joint)]
    figure = panels([title for title, _ in named], height, gap=0.1)
    middle = joint.shape[0] // 2
    for column, (_, values) in enumerate(named, 1):
        shown = np.zeros_like(joint) if values is None else values
        away = shown.copy()
        # The kernel's mean, and that states connect with themselves, set no colours.
        away[middle - _INNER : middle + _INNER + 1, middle - _INNER : middle + _INNER + 1] = 0.0
        limits = (0.0, float(np.percentile(away, _TOP)) or 1.0)
        step = float(q_y[1] - q_y[0]), float(q_x[1] - q_x[0])
        add_image(figure, column, shown.astype(np.float32), (float(q_y[0]), float(q_x[0])), step, "magma", limits, None)
        axis(figure, "x", column).update(title={"text": "q (rad/nm)"})
        axis(figure, "y", column).update(autorange="reversed")
    return figure
