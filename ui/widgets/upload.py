"""An upload that is taken over once: in the callback of its uploader, or else by the page itself.

The page looks whether the uploader's files are those that it took, so that no file which the uploader shows is left lying there, whatever
becomes of the callback while the page is drawn anew.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import streamlit as st

_TAKEN = "taken_from_"


def take_upload(label: str, key: str, take: Callable[[list[Any]], None], explanation: str, **options: Any) -> None:
    """Show an uploader and hand over its files, once each time they change.

    Args:
        label: of the uploader.
        key: its Streamlit key.
        take: gets the uploaded files, at least one; tells what is wrong with them by itself.
        explanation: its help.
        options: of st.file_uploader.
    """
    st.file_uploader(label, key=key, on_change=lambda: _take(key, take), help=explanation, **options)
    if _take(key, take):
        st.rerun()


def _take(key: str, take: Callable[[list[Any]], None]) -> bool:
    """Hand over the files of an uploader that were not taken yet; say whether there were any."""
    held = st.session_state.get(key)
    files = [] if held is None else held if isinstance(held, list) else [held]
    names = [file.file_id for file in files]
    if not files or names == st.session_state.get(_TAKEN + key):
        return False
    take(files)
    st.session_state[_TAKEN + key] = names
    return True
