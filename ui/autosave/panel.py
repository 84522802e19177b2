"""The controls of the autosave on the Extract page: on or off, what came back, and what a new tab is offered."""

from __future__ import annotations

import time

import streamlit as st

from ui.autosave.keeping import bring_back, store, switch
from ui.state.workspace import Workspace
from ui.widgets import texts
from ui.widgets.progress_steps import plain

_KEY = "autosave"


def show_autosave(space: Workspace) -> None:
    """Show the switch, and what has to be said; nothing before the browser has told its name."""
    mine = space.autosave
    if not mine.tab:
        return
    # The state is the switch's own first value and is never written to it: the browser answers a written value with the one that it had
    # before, where something else happens at that moment, and that would count as switched off by the user and delete what was kept.
    st.toggle(
        "Keep for a reload",
        value=not mine.off,
        key=_KEY,
        on_change=lambda: switch(space, bool(st.session_state[_KEY])),
        help=texts.AUTOSAVE,
    )
    if mine.too_large and not mine.off:
        st.caption("This work is too large to be kept for a reload; Save session keeps it.")
    if mine.note:
        st.caption(plain(mine.note))


def show_offer(space: Workspace) -> None:
    """Offer a new tab what was done last in this browser, and say why nothing came back."""
    mine = space.autosave
    if mine.note:
        st.caption(plain(mine.note))
    if not mine.latest or mine.off or space.loaded is not None:
        return
    saved_at = store().saved_at(mine.latest)
    if saved_at is None:
        return
    moment = time.strftime("%d %B, %H:%M", time.localtime(saved_at))
    st.button(
        "Go on where you were",
        key="bring_back",
        icon=":material/history:",
        width="stretch",
        on_click=bring_back,
        args=(space, mine.latest),
        help=f"Opens the map, the marks, the settings and the result that this browser had last ({moment}).",
    )
