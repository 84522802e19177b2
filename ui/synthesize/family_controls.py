"""Which kernel is simulated: the family, its controls, and "Draw one"."""

from __future__ import annotations

import math

import numpy as np
import streamlit as st

from qpi_core.synthesis.bands import band_families
from qpi_core.synthesis.bands.band_families import BandControls
from qpi_core.synthesis.kernel_families.equation_7 import SYMMETRY_ORDERS, KernelParameters
from qpi_core.synthesis.kernel_families.families import EQUATION_7, FAMILIES, HARMONIC, SPLINE, SyntheticKernel, draw_synthetic_kernel
from ui.synthesize import texts
from ui.widgets.controls.bounded_controls import bounded_number, bounded_slider

_LARGEST_SEED = 2**31 - 1
_STRENGTHS = [round(0.1 * step, 1) for step in range(-50, 51) if step]
_USUAL_SHAPE = {"warped": 1.0, "elliptic": 2.0, "several": 0.6}


def choose_kernel() -> SyntheticKernel:
    """Show the family and its controls, and return the kernel that they describe."""
    st.session_state.setdefault("syn_family", EQUATION_7)
    family = str(
        st.selectbox(
            "Kernel family",
            list(FAMILIES),
            format_func=lambda name: FAMILIES[name].title,
            key="syn_family",
            help=texts.FAMILY,
            persist_state="session",
        )
    )
    seed = _choose_seed(family)
    if family == EQUATION_7:
        return SyntheticKernel(family, _equation_7())
    if family in (HARMONIC, SPLINE):
        return SyntheticKernel(family, seed)
    return SyntheticKernel(family, _band(family))


def put_kernel(kernel: SyntheticKernel) -> None:
    """Set the controls to a kernel, as near as their ranges and steps allow."""
    st.session_state["syn_family"] = kernel.family
    if isinstance(kernel.parameters, int):
        st.session_state["syn_kernel_seed"] = kernel.parameters
    elif isinstance(kernel.parameters, BandControls):
        _put_band(kernel.parameters)
    else:
        _put_equation_7(kernel.parameters)


def _choose_seed(family: str) -> int:
    """Show the seed of the kernel beside "Draw one"; only the random families have no other control."""
    left, right = st.columns([1, 1], vertical_alignment="bottom")
    only = family in (HARMONIC, SPLINE)
    seed = bounded_number(
        "Kernel seed",
        0,
        _LARGEST_SEED,
        usual=0,
        place=left,
        key="syn_kernel_seed",
        on_change=lambda: _draw(0),
        help=texts.KERNEL_SEED_ONLY if only else texts.KERNEL_SEED,
        persist_state="session",
    )
    right.button("Draw one", icon=":material/casino:", key="syn_draw", width="stretch", on_click=lambda: _draw(1), help=texts.DRAW)
    return int(seed)


def _draw(step: int) -> None:
    """Move the seed and set the controls of the current family to the kernel that it draws."""
    state = st.session_state
    state["syn_kernel_seed"] = (int(state["syn_kernel_seed"]) + step) % (_LARGEST_SEED + 1)
    put_kernel(draw_synthetic_kernel(str(state["syn_family"]), state["syn_kernel_seed"]))


def _put_equation_7(parameters: KernelParameters) -> None:
    st.session_state["syn_order"] = int(parameters.symmetry_order)
    _put("syn_orientation", parameters.orientation % math.pi, 0.0, 3.14, 0.01)
    _put("syn_wavenumber", parameters.wavenumber, 0.5, 8.0, 0.05)
    _put("syn_phase", parameters.phase % math.pi, 0.0, 3.14, 0.01)
    _put("syn_decay", parameters.decay, 0.02, 1.0, 0.01)


def _put_band(controls: BandControls) -> None:
    family = band_families.FAMILIES[controls.family]
    _put("syn_wave_vector", controls.wave_vector, *band_families.WAVE_VECTOR_RANGE, 0.1)
    if family.zone_range is not None:
        _put(f"syn_zone_{controls.family}", controls.zone_fraction, *family.zone_range, 0.01)
    _put(f"syn_shape_{controls.family}", controls.shape, *family.shape_range, 0.01)
    _put("syn_free_path", controls.mean_free_path_nm, *band_families.MEAN_FREE_PATH_RANGE, 0.1)
    _put("syn_tip", controls.tip_nm, 0.1, 0.4, 0.01)
    _put("syn_angle", controls.angle, 0.0, 6.28, 0.01)
    st.session_state["syn_strength"] = min(_STRENGTHS, key=lambda value: abs(value - controls.strength))


def _put(key: str, value: float, low: float, high: float, step: float) -> None:
    st.session_state[key] = float(np.clip(round(value / step) * step, low, high))


def _slider(label: str, low: float, high: float, usual: float, step: float, key: str, help_text: str, disabled: bool = False) -> float:
    more = {"disabled": disabled, "persist_state": "session"}
    return float(bounded_slider(label, low, high, usual=usual, step=step, key=key, help=help_text, **more))


def _equation_7() -> KernelParameters:
    st.session_state.setdefault("syn_order", 4)
    order = int(
        st.select_slider("Symmetry n", list(SYMMETRY_ORDERS), key="syn_order", help=texts.EQUATION_7["order"], persist_state="session")
    )
    fixed = order == 0
    help_text = "An isotropic kernel has no orientation: φ₁ is π/2." if fixed else texts.EQUATION_7["orientation"]
    angle = _slider("Orientation φ₁ (rad)", 0.0, 3.14, 0.3, 0.01, "syn_orientation", help_text, fixed)
    wavenumber = _slider("Wave number B (rad/nm)", 0.5, 8.0, 3.0, 0.05, "syn_wavenumber", texts.EQUATION_7["wavenumber"])
    phase = _slider("Phase φ₂ (rad)", 0.0, 3.14, 0.5, 0.01, "syn_phase", texts.EQUATION_7["phase"])
    decay = _slider("Decay c (nm⁻²)", 0.02, 1.0, 0.2, 0.01, "syn_decay", texts.EQUATION_7["decay"])
    return KernelParameters(order, math.pi / 2 if fixed else angle, wavenumber, phase, decay)


def _band(name: str) -> BandControls:
    family, help_of = band_families.FAMILIES[name], texts.BANDS
    wave_vector = _slider("Wave vector 2k (rad/nm)", 2.0, 12.0, 6.0, 0.1, "syn_wave_vector", help_of["wave_vector"])
    if family.zone_range is None:
        zone = 0.5
        bounded_slider("Zone fraction", 0.0, 1.0, usual=0.5, key="syn_zone_none", disabled=True, help=help_of["no_zone"])
    else:
        low, high = family.zone_range
        zone = _slider("Zone fraction", low, high, round((low + high) / 2, 2), 0.01, f"syn_zone_{name}", help_of["zone_fraction"])
    title = f"Shape: {family.shape_title}"
    shape = _slider(title, *family.shape_range, _USUAL_SHAPE.get(name, 0.0), 0.01, f"syn_shape_{name}", help_of[f"shape_{name}"])
    free_path = _slider("Mean free path ℓ (nm)", 0.5, 4.0, 2.0, 0.1, "syn_free_path", help_of["mean_free_path"])
    st.session_state.setdefault("syn_strength", 1.0)
    strength = st.select_slider("Strength V|G₀|", _STRENGTHS, key="syn_strength", help=help_of["strength"], persist_state="session")
    tip = _slider("Tip width w (nm)", 0.1, 0.4, 0.15, 0.01, "syn_tip", help_of["tip"])
    round_ = name == "several"
    angle = _slider("Angle α (rad)", 0.0, 6.28, 0.0, 0.01, "syn_angle", help_of["no_angle"] if round_ else help_of["angle"], round_)
    return BandControls(name, wave_vector, zone, shape, free_path, float(strength), tip, 0.0 if round_ else angle)
