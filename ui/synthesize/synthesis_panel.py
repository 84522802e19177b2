"""The controls of the Synthesize page and the scene they make."""

from __future__ import annotations

import streamlit as st

from qpi_core.base.grid import DEFAULT_PIXEL_SIZE_NM
from qpi_core.synthesis.kernel_families.families import SyntheticKernel
from qpi_core.synthesis.simulated_maps.synthetic_scene import CleanScene, SceneRecipe, SyntheticScene, clean_scene, simulate_scene
from ui.synthesize.family_controls import choose_kernel
from ui.synthesize.nuisance_controls import choose_nuisances
from ui.synthesize.texts import SCENE
from ui.widgets.controls.bounded_controls import bounded_number, bounded_slider

PIXEL_SIZE_NM = (DEFAULT_PIXEL_SIZE_NM, DEFAULT_PIXEL_SIZE_NM)


def choose_scene() -> SyntheticScene:
    """Show the controls and return the scene they describe.

    Raises:
        InputError: the kernel cannot be computed; the sentence says which control to move.
    """
    recipe = choose_recipe()
    return simulate_scene(recipe, _clean(recipe.kernel, recipe.count, recipe.seed, recipe.on_grid))


@st.cache_resource(max_entries=32, show_spinner=False)
def _clean(kernel: SyntheticKernel, count: int, seed: int, on_grid: bool) -> CleanScene:
    """Keep the last kernels: a change of the noise alone computes no band structure."""
    return clean_scene(kernel, count, seed, on_grid)


def choose_recipe() -> SceneRecipe:
    """Show the controls of the kernel, the defects and the noise."""
    kernel = choose_kernel()
    kept = {"persist_state": "session"}
    count = bounded_slider("Defects N", 1, 100, usual=20, step=1, key="syn_count", help=SCENE["count"], **kept)
    noise = bounded_slider("Noise σ (std of the clean map)", 0.0, 1.0, usual=0.1, step=0.01, key="syn_noise", help=SCENE["noise"], **kept)
    left, right = st.columns([1, 1], vertical_alignment="bottom")
    seed = bounded_number("Seed", 0, 2**31 - 1, usual=7, place=left, key="syn_seed", help=SCENE["seed"], **kept)
    off_grid = right.toggle("Off-grid", key="syn_off_grid", persist_state="session", help=SCENE["off_grid"])
    return SceneRecipe(kernel, int(count), float(noise), int(seed), not off_grid, choose_nuisances())
