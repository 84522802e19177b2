"""Recent maps: the last ones that this browser opened, in any of its tabs, kept beside the work of each tab."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass

import streamlit as st

from qpi_core.base.errors import InputError
from ui.autosave.keeping import store
from ui.autosave.store import KEPT_SECONDS
from ui.state.workspace import Workspace
from ui.widgets import texts
from ui.widgets.progress_steps import plain

_MOST = 8
_LONGEST_NAME = 50
_HASH_DIGITS = 16


@dataclass(frozen=True)
class RecentMap:
    """A map that was opened before.

    Attributes:
        part: what it is called in the store: the beginning of the file's hash, and its name.
        opened: when it was opened last (seconds since 1970).
    """

    part: str
    opened: float

    @property
    def name(self) -> str:
        """The file's name, as far as it can be the name of a file here."""
        return self.part[_HASH_DIGITS + 1 :]


def recent_maps(space: Workspace) -> list[RecentMap]:
    """Return the maps that this browser opened in the last week, the latest first, without the one that is open."""
    shelf = space.autosave.shelf
    if not shelf or space.autosave.off:
        return []
    now = None if space.loaded is None else space.loaded.sha256[:_HASH_DIGITS]
    found = [RecentMap(part, opened) for part, opened in store().listed(shelf) if time.time() - opened < KEPT_SECONDS]
    return [one for one in found if one.part[:_HASH_DIGITS] != now][:_MOST]


def part_of(name: str, sha256: str) -> str:
    """Return what a map is called in the store: nothing in it means anything to a file system."""
    safe = re.sub(r"[^\w.-]+", "_", name).strip("._")[-_LONGEST_NAME:] or "map"
    return f"{sha256[:_HASH_DIGITS]}-{safe}"


def keep_recent(shelf: str, part: str, content: bytes) -> None:
    """Keep a map as the latest one; the oldest give way until there is room. One that is too large alone is not kept."""
    earlier = [one for one, _ in store().listed(shelf) if one != part]
    for surplus in earlier[_MOST:]:
        store().forget(shelf, surplus)
    earlier = earlier[:_MOST]
    while not store().save(shelf, part, content) and earlier:
        store().forget(shelf, earlier.pop())


def show_recent(space: Workspace) -> None:
    """Offer the recent maps, folded."""
    maps = recent_maps(space)
    if not maps:
        return
    with st.popover("Recent maps", icon=":material/history:", width="stretch", key="recent", help=texts.RECENT):
        for number, one in enumerate(maps):
            moment = time.strftime("%d %B, %H:%M", time.localtime(one.opened))
            st.button(
                plain(one.name),
                key=f"recent_{number}",
                on_click=open_recent,
                args=(space, one),
                width="stretch",
                type="tertiary",
                help=f"Opened last on {moment}.",
            )


def open_recent(space: Workspace, one: RecentMap) -> None:
    """Open a map that was opened before. Call it from a callback, before the controls are shown."""
    from qpi_core.results.session.session_file import load_session
    from ui.state.loaders import LoadedMap
    from ui.state.map_change import use_map

    content = store().content(space.autosave.shelf, one.part)
    try:
        scan = None if content is None else load_session(content, one.name).scan
    except InputError:
        store().forget(space.autosave.shelf, one.part)
        scan = None
    if scan is None:
        space.problem = f"{one.name} is no longer kept here; load the file again."
        return
    use_map(space, LoadedMap(scan.name, scan.sha256, scan))
