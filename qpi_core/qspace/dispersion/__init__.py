"""Kernels over energy in q-space: how the wave vectors of the rings move."""

from __future__ import annotations

from qpi_core.base.electron import HBAR2_OVER_2M_MEV_NM2
from qpi_core.qspace.dispersion.fit import LineFit, ParabolaFit, fit_line, fit_parabola
from qpi_core.qspace.dispersion.rings import RingTrack, track_rings

__all__ = ["HBAR2_OVER_2M_MEV_NM2", "LineFit", "ParabolaFit", "RingTrack", "fit_line", "fit_parabola", "track_rings"]
