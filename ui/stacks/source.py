"""Where the stack comes from: one file, several scans of the same place, or the example."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import streamlit as st

from qpi_core.base.errors import InputError
from ui.extract.map.map_panel import take_file
from ui.state.example_stack import example_stack
from ui.state.loaders import LoadedMap
from ui.state.map_change import use_map
from ui.state.workspace import Workspace, workspace
from ui.widgets import texts
from ui.widgets.progress_steps import plain
from ui.widgets.upload import take_upload


def show_stack_source(space: Workspace) -> None:
    """Show upload and example, folded once there is a stack; files that cannot be read leave everything as it was."""
    with st.expander("Open a stack", expanded=space.loaded is None, icon=":material/folder_open:"):
        left, right = st.columns([2.4, 1], gap="medium", vertical_alignment="center")
        with left:
            take_upload(
                "One file with all energies, or one scan for every energy",
                "stack_upload",
                _take,
                texts.STACK_FILES,
                type=None,
                accept_multiple_files=True,
            )
        right.button(
            "Try the example stack",
            key="example_stack",
            icon=":material/play_arrow:",
            width="stretch",
            on_click=_take_example,
            help=texts.STACK_EXAMPLE,
        )
        right.page_link("pages/extract.py", label="Mark its defects", icon=":material/center_focus_strong:")
    if space.stack_load_problem:
        st.error(plain(space.stack_load_problem))


def _take_example() -> None:
    use_map(workspace(), example_stack())
    workspace().stack_at_once = True


def _take(uploads: list[Any]) -> None:
    space = workspace()
    space.stack_load_problem = ""
    try:
        if len(uploads) == 1:
            take_file(space, uploads[0].name, uploads[0].getvalue())
        else:
            use_map(space, series([(upload.name, upload.getvalue()) for upload in uploads]))
    except InputError as error:
        space.stack_load_problem = str(error)


def series(files: list[tuple[str, bytes]]) -> LoadedMap:
    """Read (name, content) of several scans as one stack, moved onto the first of them in the order of their names.

    Raises:
        InputError: as qpi_core.maps.series.load_stack.
    """
    from qpi_core.maps.series import load_stack

    with tempfile.TemporaryDirectory() as folder:
        paths = []
        for number, (name, content) in enumerate(sorted(files)):
            # A name from a browser is no path; equal names stay apart in folders of their own.
            path = Path(folder) / str(number) / Path(name.replace("\\", "/")).name
            path.parent.mkdir()
            path.write_bytes(content)
            paths.append(path)
        scan = load_stack(paths)
    return LoadedMap(scan.name, scan.sha256, scan)
