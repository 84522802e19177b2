"""The line that is always in sight: four steps, which are done, what is missing."""

from __future__ import annotations

import re

import streamlit as st

from ui.widgets.texts import METHOD_TITLES


def show_steps(
    map_name: str | None,
    defect_count: int,
    kernel_done: bool,
    stale: bool,
    kernel: str = "Kernel",
    press: str = "Extract",
    home: str = "PNG, NPY, JSON, ZIP",
) -> None:
    """Show Map, Defects, Kernel, Take home as badges with what each one still needs.

    Args:
        map_name: of the map in use, or None.
        defect_count: marked defects.
        kernel_done: whether there is a result.
        stale: whether it belongs to other inputs than the present ones.
        kernel, press, home: what the result is called on this page, the button that makes it, and what can be taken home.
    """
    steps = [
        (f"1 Map: {_short(map_name)}" if map_name else "1 Map: load one or take the example", map_name is not None),
        (f"2 Defects: {defect_count}" if defect_count else "2 Defects: mark at least one", defect_count > 0),
        (
            f"3 {kernel}: " + ("out of date, extract again" if stale else "ready" if kernel_done else f"press {press}"),
            kernel_done and not stale,
        ),
        (f"4 Take home: {home}", kernel_done),
    ]
    current = next((i for i, (_, done) in enumerate(steps[:3]) if not done), 3)
    with st.container(horizontal=True, gap="small", vertical_alignment="center", key="steps"):
        for i, (label, done) in enumerate(steps):
            icon = ":material/check:" if done else ":material/arrow_forward:" if i == current else ":material/circle:"
            st.badge(label, icon=icon, color="green" if done else "blue" if i == current else "gray")


def _short(name: str) -> str:
    """Keep user text from breaking the badge's Markdown or its width."""
    plain = "".join(character for character in name if character.isalnum() or character in " ._-+")
    return plain if len(plain) <= 32 else plain[:20] + "…" + plain[-10:]


_WORDS_FOR = {
    "kernel_size": "kernel size",
    "pixel_size_nm": "pixel size (nm)",
    "bias_mv": "bias (mV)",
    "noise_sigma": "noise",
    "lattice_constant_nm": "lattice constant (nm)",
    "min_length": "shortest streak",
    "max_width": "widest streak",
    "smoothing_nm": "smoothing (nm)",
    "refine_positions": "moved defects",
    **{name: f"“{title}”" for name, title in METHOD_TITLES.items() if "_" in name},
}
_ARGUMENT = re.compile(rf"(?<![\w./-])({'|'.join(_WORDS_FOR)})(?![\w/-]|\.\w)")


def in_words(sentence: str) -> str:
    """Return a sentence of the library with the names of its arguments and methods as the page calls them."""

    def word(match: re.Match[str]) -> str:
        found = _WORDS_FOR[match.group(1)]
        return found[:1].upper() + found[1:] if match.start() == 0 else found

    return _ARGUMENT.sub(word, sentence)


def plain(sentence: str) -> str:
    """Put a sentence in the page's words and escape what Markdown would read as formatting: file names stand in sentences."""
    sentence = in_words(sentence)
    return "".join("\\" + character if character in "\\`*_{}[]<>#$~|:" else character for character in sentence)
