"""A tour of a minute through the Extract page, on the example that looks measured; it can be left at any step."""

from __future__ import annotations

import streamlit as st

from ui.state.map_change import use_map
from ui.state.measured_example import MEASURED_EXAMPLE_NAME, measured_example
from ui.state.workspace import Workspace, workspace

STEPS = (
    (
        "The map",
        "It looks as maps do: streaks along the scan lines, a background, the atomic lattice. *Preparation* on the left would take them "
        "out step by step; here the solve models them itself.",
    ),
    (
        "The marks",
        "Twelve of the defects are marked, two are missing and two are of another kind. A click adds a mark or takes one away; *Detect* "
        "proposes them, and *Find defects and kernel* needs none at all.",
    ),
    (
        "The kernel",
        "It is being computed since you came here; the bar at the lower edge shows how far it is. The dashed frame in the map is its "
        "window, which the pattern itself chose.",
    ),
    (
        "The verdict",
        "Below the map: trust, doubt or do not use, with the one reason that matters and the button that mends it. The further remarks say "
        "what was modelled, and where the list lacks defects.",
    ),
    (
        "Home",
        "*Everything (ZIP)* holds arrays, pictures, a report and the script that gives the same kernel. Now load a map of your own.",
    ),
)
_TOUR_HELP = "Five steps on a simulated map that looks measured; it can be left at any of them."
_EXAMPLE_HELP = "A simulated map with streaks, a background, the lattice and two kinds of defects; its kernel is extracted at once."


def show_tour(space: Workspace) -> None:
    """Show the step of the tour above the map, as long as it goes on and its example is the map in use."""
    if space.tour is None or space.loaded is None or space.loaded.name != MEASURED_EXAMPLE_NAME:
        return
    title, words = STEPS[space.tour]
    last = space.tour == len(STEPS) - 1
    words_place, buttons = st.container(border=True, key="tour").columns([5, 1], vertical_alignment="center")
    words_place.markdown(f"**{space.tour + 1} of {len(STEPS)}, {title}.** {words}")
    with buttons.container(horizontal=True, horizontal_alignment="right"):
        st.button("Done" if last else "Next", key="tour_next", on_click=_go_on, type="primary", help="What to look at next.")
        if not last:
            st.button("Skip", key="tour_skip", on_click=_leave, type="tertiary", help="Ends the tour; the map stays.")


def show_tour_buttons() -> None:
    """Offer the tour, or its example alone."""
    with st.container(horizontal=True, horizontal_alignment="center"):
        st.button("Take the tour (a minute)", key="tour_start", icon=":material/tour:", on_click=_start, help=_TOUR_HELP)
        st.button("Example that looks measured", key="measured_example", type="tertiary", on_click=_open, help=_EXAMPLE_HELP)


def _open() -> None:
    use_map(workspace(), measured_example(), start=True)


def _start() -> None:
    _open()
    workspace().tour = 0


def _go_on() -> None:
    space = workspace()
    space.tour = None if space.tour is None or space.tour + 1 >= len(STEPS) else space.tour + 1


def _leave() -> None:
    workspace().tour = None
