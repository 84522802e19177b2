"""The sliders of the Synthesize page and the scene they make."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from qpi_core.grid import DEFAULT_PIXEL_SIZE_NM
from qpi_core.synthesis.kernels import SYMMETRY_ORDERS, KernelParameters, evaluate, phenomenological_kernel
from qpi_core.synthesis.scenes import BENCHMARK_SHAPE, draw_positions, superpose
from ui import texts

PIXEL_SIZE_NM = (DEFAULT_PIXEL_SIZE_NM, DEFAULT_PIXEL_SIZE_NM)


@dataclass(frozen=True)
class SyntheticScene:
    """A simulated 64 x 64 map with its truth.

    Attributes:
        parameters: the kernel of Eq. 7.
        kernel: (64, 64) truth.
        positions: (n, 2) px.
        observation: (64, 64) with noise.
        noise_sigma: standard deviation of the noise, units of the observation.
    """

    parameters: KernelParameters
    kernel: NDArray[np.float32]
    positions: NDArray[np.float64]
    observation: NDArray[np.float32]
    noise_sigma: float


def make_scene(parameters: KernelParameters, count: int, noise_level: float, seed: int, on_grid: bool) -> SyntheticScene:
    """Simulate a map; positions and noise field depend on the seed alone, so moving one slider changes one thing."""
    positions = draw_positions(np.random.default_rng([seed, 0]), 100, BENCHMARK_SHAPE, on_grid)[:count]
    clean = superpose(lambda dx, dy: evaluate(parameters, dx, dy), positions, BENCHMARK_SHAPE, PIXEL_SIZE_NM)
    sigma = float(noise_level * clean.std())
    noisy = clean + sigma * np.random.default_rng([seed, 1]).standard_normal(BENCHMARK_SHAPE)
    return SyntheticScene(parameters, phenomenological_kernel(**parameters.as_dict()), positions, noisy.astype(np.float32), sigma)


def choose_scene() -> SyntheticScene:
    """Show the sliders and return the scene they describe."""
    help_of = texts.SYNTHESIS
    keep = "session"
    order = int(
        st.select_slider("Symmetry n", list(SYMMETRY_ORDERS), value=4, key="syn_order", help=help_of["symmetry_order"], persist_state=keep)
    )
    fixed = order == 0
    angle = st.slider(
        "Orientation φ₁ (rad)",
        0.0,
        3.14,
        0.3,
        0.01,
        key="syn_orientation",
        persist_state=keep,
        disabled=fixed,
        help="An isotropic kernel has no orientation: φ₁ is π/2." if fixed else help_of["orientation"],
    )
    wavenumber = st.slider(
        "Wave number B (rad/nm)", 0.5, 8.0, 3.0, 0.05, key="syn_wavenumber", help=help_of["wavenumber"], persist_state=keep
    )
    phase = st.slider("Phase φ₂ (rad)", 0.0, 3.14, 0.5, 0.01, key="syn_phase", help=help_of["phase"], persist_state=keep)
    decay = st.slider("Decay c (nm⁻²)", 0.02, 1.0, 0.2, 0.01, key="syn_decay", help=help_of["decay"], persist_state=keep)
    count = st.slider("Defects N", 1, 100, 20, 1, key="syn_count", help=help_of["count"], persist_state=keep)
    noise = st.slider("Noise σ (std of the clean map)", 0.0, 1.0, 0.1, 0.01, key="syn_noise", help=help_of["noise"], persist_state=keep)
    left, right = st.columns([1, 1], vertical_alignment="bottom")
    seed = left.number_input("Seed", 0, 2**31 - 1, 7, key="syn_seed", help=help_of["seed"], persist_state=keep)
    off_grid = right.toggle("Off-grid", key="syn_off_grid", persist_state=keep, help="Defects anywhere instead of on pixel centres.")
    parameters = KernelParameters(order, np.pi / 2 if fixed else float(angle), float(wavenumber), float(phase), float(decay))
    return make_scene(parameters, int(count), float(noise), int(seed), not off_grid)
