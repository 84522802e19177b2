""" "Make it look measured": which nuisances a simulated map has, and how strong each is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import streamlit as st

from qpi_core.synthesis.simulated_maps.measured_recipe import Nuisance
from qpi_core.synthesis.simulated_maps.measured_variants import NUISANCES, named_levels
from ui.widgets.controls.bounded_controls import bounded_slider

WHAT = (
    "Adds what measured maps have beside kernels and white noise. Each has a random stream of its own: adding one leaves the rest of the "
    "map as it is."
)
MIXTURE = "Sets all of these controls to a mixture; change them afterwards as you like."
SITES = "Puts every defect on a site of the lattice, where it sees the same phase of every wave."
LISTED = "Lists the defects of the second kind as if they were of the first; otherwise the list leaves them out."
_MIXTURES = {"Weak": "all-weak", "Medium": "all-medium"}
_SPREAD = "std of the clean map"


@dataclass(frozen=True)
class NuisanceControl:
    """One slider.

    Attributes:
        title: of the nuisance.
        unit: of its level, in words.
        help: what it is.
        high, usual, step: largest and usual level, and the slider's step.
    """

    title: str
    unit: str
    help: str
    high: float
    usual: float
    step: float


CONTROLS: Mapping[str, NuisanceControl] = MappingProxyType(
    {
        "streaks": NuisanceControl("Streaks", _SPREAD, "1/f noise along the rows, and an offset for every row.", 2.0, 0.3, 0.05),
        "drift": NuisanceControl("Drift of the lines", _SPREAD, "The level of the rows walks at random from the first on.", 3.0, 1.0, 0.1),
        "blur2": NuisanceControl("Blurred noise", _SPREAD, "Noise after a filter of 2 px, in place of white noise.", 2.0, 0.2, 0.05),
        "background": NuisanceControl("Smooth background", _SPREAD, "A Gaussian random field, correlation length 3 nm.", 3.0, 1.0, 0.1),
        "lattice": NuisanceControl("Atomic lattice", _SPREAD, "Waves of a square or hexagonal lattice.", 3.0, 1.0, 0.1),
        "amplitudes": NuisanceControl("Unequal strengths", "%", "Log-normal: standard deviation of the logarithm.", 100.0, 50.0, 5.0),
        "flips": NuisanceControl("Flipped signs", "% of the defects", "Defects that lower the map where others raise it.", 40.0, 20.0, 5.0),
        "second": NuisanceControl("Second kind of defect", "% of the defects", "Defects with a kernel of their own.", 40.0, 10.0, 5.0),
        "step": NuisanceControl("Step edge", _SPREAD, "A step of this height across the map, with standing waves.", 4.0, 1.0, 0.1),
        "cores": NuisanceControl(
            "Cores not alike", "of the kernel's peak", "A spot of radius 2 px and random height at each defect.", 4.0, 1.0, 0.1
        ),
        "spikes": NuisanceControl("Spikes", "% of the pixels", "Pixels off by ten standard deviations of the noise.", 5.0, 1.0, 0.1),
        "signal-noise": NuisanceControl("Noise that follows the signal", _SPREAD, "On top of the white noise.", 2.0, 0.3, 0.05),
        "creep": NuisanceControl("Creep", "px", "How far off the scan starts; it is forgotten after 15 % of the rows.", 4.0, 2.0, 0.5),
        "shear": NuisanceControl("Shear", "%", "Drift along the rows.", 5.0, 1.0, 0.5),
        "clicks": NuisanceControl("Clicks off", "px", "Error of the listed positions in x and in y.", 2.0, 0.5, 0.1),
    }
)
"""Name of measured_variants.NUISANCES -> its slider."""


def choose_nuisances() -> tuple[Nuisance, ...]:
    """Show the controls, folded away until something is chosen, and return the nuisances that they describe."""
    st.session_state.setdefault("syn_nuisances", [])
    with st.expander("Make it look measured", icon=":material/grain:", expanded=bool(st.session_state["syn_nuisances"])):
        chosen = st.multiselect(
            "What the map also holds",
            list(CONTROLS),
            format_func=lambda name: CONTROLS[name].title,
            key="syn_nuisances",
            help=WHAT,
            placeholder="Nothing",
            persist_state="session",
        )
        with st.container(horizontal=True, gap="small"):
            for title, variant in _MIXTURES.items():
                st.button(title, key=f"syn_{variant}", help=MIXTURE, on_click=put_mixture, args=(variant,))
        return tuple(_choose(name) for name in chosen)


def put_mixture(variant: str) -> None:
    """Set the controls to a mixture of measured_variants.MIXTURES."""
    levels = dict(named_levels(variant))
    st.session_state["syn_nuisances"] = list(levels)
    for name, level in levels.items():
        st.session_state[f"syn_level_{name}"] = level
    st.session_state["syn_on_sites"] = st.session_state["syn_listed"] = False


def _choose(name: str) -> Nuisance:
    control, key = CONTROLS[name], f"syn_level_{name}"
    title = f"{control.title} ({control.unit})"
    level = float(
        bounded_slider(
            title, 0.0, control.high, key=key, usual=control.usual, step=control.step, help=control.help, persist_state="session"
        )
    )
    if name == "lattice" and st.toggle("Defects on its sites", key="syn_on_sites", help=SITES, persist_state="session"):
        return NUISANCES["lattice-sites"](level)
    if name == "second" and st.toggle("Listed as the first kind", key="syn_listed", help=LISTED, persist_state="session"):
        return NUISANCES["second-listed"](level)
    return NUISANCES[name](level)
