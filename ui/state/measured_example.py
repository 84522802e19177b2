"""An example that looks measured: streaks, a background, the lattice, two kinds of defects, and a list that lacks a few."""

from __future__ import annotations

import io

import numpy as np
import streamlit as st

from qpi_core.base.grid import DEFAULT_PIXEL_SIZE_NM
from ui.state.loaders import LoadedMap, content_hash

MEASURED_EXAMPLE_NAME = "looks-measured.npy"
_SEED, _SCENE, _SHAPE = 2507, 3, (80, 80)
_LEFT_OUT = 2


@st.cache_resource(max_entries=1, show_spinner=False)
def measured_example() -> LoadedMap:
    """Return a simulated map of 12.5 x 12.5 nm with most of its defects of the first kind listed, and none of the second."""
    from qpi_core.maps import load_map
    from qpi_core.synthesis.nuisances.atomic_lattice import AtomicLattice
    from qpi_core.synthesis.nuisances.row_noise import Streaks
    from qpi_core.synthesis.nuisances.second_kind import SecondKind
    from qpi_core.synthesis.nuisances.smooth_background import SmoothBackground
    from qpi_core.synthesis.simulated_maps.measured_recipe import MeasuredRecipe
    from qpi_core.synthesis.simulated_maps.measured_scene import draw_measured_scene

    nuisances = (Streaks(0.3), SmoothBackground(0.5), AtomicLattice(0.3), SecondKind(0.1))
    scene = draw_measured_scene(MeasuredRecipe(nuisances, defects=(16, 16)), _SEED, _SCENE, _SHAPE)
    buffer = io.BytesIO()
    np.save(buffer, scene.observation, allow_pickle=False)
    content = buffer.getvalue()
    scan = load_map(content, MEASURED_EXAMPLE_NAME, pixel_size_nm=DEFAULT_PIXEL_SIZE_NM)
    return LoadedMap(MEASURED_EXAMPLE_NAME, content_hash(content), scan, scene.positions[_LEFT_OUT:])
