"""The part of the app that belongs to the browser tab: an inline component without a picture of its own, on every page.

It names the tab for the autosave (ui.autosave.keeping), asks before the tab is left while something would be lost, keeps the wheel for
scrolling when the pointer happens to be over a chart, and loads a file that is dropped on the map.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import streamlit as st

KEY = "browser_page"
_SCRIPT = (Path(__file__).parent / "component" / "main.js").read_text(encoding="utf-8")
_HIDDEN = f".st-key-{KEY}_place {{ display: none; }}"

_COMPONENT = st.components.v2.component("qpi_browser_page", html="<span></span>", css=_HIDDEN, js=_SCRIPT, isolate_styles=False)


def browser_page(known: str, saved: bool, off: bool | None, ask: bool) -> Any:
    """Mount the component; its value is {tab, latest, shelf, off}.

    Those are the names of this tab, of the one that saved last, and of the place of the recent maps, and whether keeping is off.

    Args:
        known: the tab's name as far as it has arrived; "" asks for it.
        saved: whether this tab has saved something, so that a new tab can offer it.
        off: what the user has chosen in this tab, for the browser to remember; None leaves it.
        ask: whether to ask before the tab is left.
    """
    data = {"known": known, "saved": saved, "off": off, "ask": ask}
    with st.container(key=f"{KEY}_place"):
        return _COMPONENT(key=KEY, data=data, on_value_change=lambda: None, default={"value": None})
