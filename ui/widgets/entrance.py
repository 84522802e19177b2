"""The way into a page: always through app.py.

A folder called `pages` makes Streamlit run a page by itself, with a menu of its own, where the first visit of a new server goes
straight to that page (a bookmark, or a tab that was left open): it learns of st.navigation only when app.py has run once.
"""

from __future__ import annotations

import streamlit as st

from ui.streamlit_inside import behind_a_server, takes_pages_for_apps


def enter_through_app() -> None:
    """Start over with app.py where Streamlit has taken the page for an application of its own; without a server, nothing happens."""
    if behind_a_server() and takes_pages_for_apps():
        st.rerun()
