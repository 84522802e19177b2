"""The example of the Stacks page: a simulated surface state that disperses, with its defects."""

from __future__ import annotations

import io

import numpy as np
import streamlit as st

from ui.state.loaders import LoadedMap, content_hash

EXAMPLE_STACK_NAME = "surface-state.npz"
EDGE_MEV, MASS = -65.0, 0.40
_ENERGIES_MEV = np.linspace(-30.0, 120.0, 7)
_SHAPE, _PITCH_NM, _DEFECTS, _NOISE = (80, 80), 0.25, 12, 0.3


@st.cache_resource(max_entries=1, show_spinner=False)
def example_stack() -> LoadedMap:
    """Return seven maps of 20 x 20 nm of a surface state like that of Ag(111), scattered by twelve defects, with white noise."""
    from qpi_core.maps import load_map
    from qpi_core.synthesis.bands.band_structures import EllipticBand
    from qpi_core.synthesis.bands.scattering import DefectScattering, band_pattern
    from qpi_core.synthesis.simulated_maps.scenes import draw_positions, superpose

    rng = np.random.default_rng(111)
    positions = draw_positions(rng, _DEFECTS, _SHAPE, on_grid=False)
    band = EllipticBand(band_edge_mev=EDGE_MEV, effective_mass=MASS)
    layers = []
    for energy in _ENERGIES_MEV:
        pattern = band_pattern(DefectScattering(band, energy_mev=float(energy), broadening_mev=15.0))
        clean = superpose(pattern, positions, _SHAPE, _PITCH_NM)
        layers.append(clean + _NOISE * clean.std() * rng.standard_normal(_SHAPE))
    buffer = io.BytesIO()
    np.savez(buffer, didv=np.array(layers, dtype=np.float32), bias_mv=_ENERGIES_MEV, pixel_size_nm=_PITCH_NM)
    content = buffer.getvalue()
    return LoadedMap(EXAMPLE_STACK_NAME, content_hash(content), load_map(content, EXAMPLE_STACK_NAME), positions)
