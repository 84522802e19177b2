"""A warped contour with many angular orders is not taken for a stretched one: both compete with all the orders that they need."""

from __future__ import annotations

import pytest

from qpi_core.solvers.harmonic.fit import solve_harmonic
from qpi_core.synthesis.bands.band_families import BandControls
from qpi_core.synthesis.kernel_families.families import SyntheticKernel
from qpi_core.synthesis.simulated_maps.synthetic_scene import SceneRecipe, simulate_scene

PITCH = 10 / 64
WARPED = SyntheticKernel(
    "warped",
    BandControls("warped", wave_vector=6.0, zone_fraction=0.5, shape=1.0, mean_free_path_nm=2.0, strength=1.0, tip_nm=0.15, angle=0.0),
)
"""The topological surface state as the Synthesize page shows it at first."""


@pytest.mark.slow
@pytest.mark.parametrize("seed", [7, 8])
def test_the_surface_state_of_the_synthesize_page_is_found_six_fold(seed: int):
    scene = simulate_scene(SceneRecipe(WARPED, 20, 0.1, seed, on_grid=True))
    found = solve_harmonic(scene.observation, scene.positions, 64, pixel_size_nm=PITCH)
    assert WARPED.symmetry_order == 6 and found.symmetry_order == 6
    assert "stretch_ratio" not in found.parameters
