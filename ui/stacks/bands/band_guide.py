"""A band beside the measured pattern: sliders, its wave vector over E(q), and its joint density of states on the pattern's axes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from qpi_core.qspace.band_spectra import band_structure, joint_density_of_states
from qpi_core.qspace.dispersion.energy_map import energy_map
from qpi_core.qspace.spectra import fft_magnitude
from qpi_core.synthesis.bands.band_structures import contour_radius
from ui.charts.band_guide import band_over_energy_chart, joint_density_chart
from ui.charts.subplots import PLOTLY_CONFIG
from ui.jobs.stack import StackView
from ui.stacks.bands.band_title import band_title
from ui.widgets import texts
from ui.widgets.controls.bounded_controls import bounded_slider

if TYPE_CHECKING:
    from qpi_core.estimates.band_model import BandModel

_SLIDERS = {
    "free-electron": {"band_edge_mev": (-1000.0, 1000.0, -65.0), "effective_mass": (-2.0, 2.0, 0.4)},
    "dirac": {"dirac_energy_mev": (-1000.0, 1000.0, -300.0), "velocity_km_per_s": (50.0, 1500.0, 400.0)},
}
_TITLES = {
    "band_edge_mev": "Band edge E0 (meV)",
    "effective_mass": "Effective mass (electron masses)",
    "dirac_energy_mev": "Dirac energy (meV)",
    "velocity_km_per_s": "Velocity (km/s)",
}
_HEIGHT = 330
_DIRECTIONS = np.linspace(0.0, 2 * np.pi, 24, endpoint=False) + 0.03
_BROADENING = 5.0
_LEAST_MASS = 1e-2


@st.fragment
def show_band_guide(view: StackView, index: int, fitted: BandModel | None) -> None:
    """Draw a band of chosen numbers, or the fitted one, beside the pattern of the layer in view; only where it is asked for."""
    estimate = view.estimate
    pitch = estimate.pixel_size_nm
    if pitch is None or estimate.usable.sum() < 2 or not np.isfinite(estimate.bias_mv).all():
        return
    if not st.toggle("Draw a band over it", key="band_guide", help=texts.BAND_GUIDE):
        return
    claimed = fitted is not None and fitted.claimed
    kinds = [*(("fitted",) if claimed else ()), *_SLIDERS]
    kind = str(
        st.segmented_control(
            "Band to draw",
            kinds,
            format_func=band_title,
            default=kinds[0],
            required=True,
            key="band_guide_kind",
            help=texts.BAND_GUIDE_KIND,
        )
    )
    if kind == "fitted" and fitted is not None:
        name, lattice = fitted.name, fitted.lattice
        numbers = {key: value for key, (value, _) in fitted.parameters.items()}
    else:
        name, lattice, numbers = kind, None, _sliders(kind, fitted if claimed else None)
    structure = band_structure(name, numbers, lattice)
    reach = float(np.pi / max(pitch))
    energies = np.unique(estimate.bias_mv)
    radii = [contour_radius(structure, float(energy), _DIRECTIONS, reach=reach).mean() for energy in energies]
    left, right = st.columns(2, gap="large")
    spectra = energy_map(estimate.kernels, estimate.bias_mv, pitch)
    with left:
        st.plotly_chart(
            band_over_energy_chart(spectra, index, energies, 2 * np.array(radii), _HEIGHT),
            width="stretch",
            key="band_guide_energies",
            config=PLOTLY_CONFIG,
            alt="E(q) of the stack with the wave vector of the band drawn over it",
        )
    with right:
        energy, width = float(estimate.bias_mv[index]), numbers.get("broadening_mev", _BROADENING)
        joint = _joint(name, tuple(sorted(numbers.items())), lattice, energy, width, estimate.kernels.shape[-1], pitch)
        measured = fft_magnitude(estimate.kernels[index], "hann") if estimate.usable[index] else None
        st.plotly_chart(
            joint_density_chart(measured, joint, pitch, energy, _HEIGHT),
            width="stretch",
            key="band_guide_joint",
            config=PLOTLY_CONFIG,
            alt="The measured pattern in q-space and the joint density of states of the band on the same axes",
        )


def _sliders(kind: str, fitted: BandModel | None) -> dict[str, float]:
    """Return the numbers that the sliders stand on; they begin where the fit ended."""
    numbers = {}
    for place, (name, (low, high, usual)) in zip(st.columns(len(_SLIDERS[kind])), _SLIDERS[kind].items(), strict=True):
        begin = fitted.parameters[name][0] if fitted is not None and name in fitted.parameters else usual
        step = 0.01 if high <= 2 else 1.0
        value = bounded_slider(
            _TITLES[name], low, high, usual=float(begin), place=place, step=step, key=f"band_guide_{name}", help=texts.BAND_GUIDE_NUMBER
        )
        # A mass of zero is no band.
        numbers[name] = value if name != "effective_mass" or abs(value) >= _LEAST_MASS else _LEAST_MASS
    return numbers


@st.cache_data(max_entries=32, show_spinner=False)
def _joint(
    name: str,
    numbers: tuple[tuple[str, float], ...],
    lattice: tuple[float, float] | None,
    energy: float,
    broadening: float,
    size: int,
    pitch: tuple[float, float],
) -> NDArray[np.float64]:
    """Return the joint density of states, kept while the sliders go elsewhere and come back."""
    return joint_density_of_states(band_structure(name, dict(numbers), lattice), energy, broadening, size, pitch)
