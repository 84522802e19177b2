"""Every control of the app has a help text and every chart an alternative text: read from the code, so that none is missed."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from tests.ui.app_driver import ROOT

CONTROLS = {
    "button", "selectbox", "slider", "select_slider", "toggle", "checkbox", "number_input", "text_input", "text_area", "segmented_control",
    "file_uploader", "download_button", "popover",
}  # fmt: skip
CHARTS = {"plotly_chart", "data_editor"}


def calls() -> Iterator[tuple[str, str, set[str]]]:
    """Give (place, name, keywords) of every call of a method in ui/ that is named like one of Streamlit's elements."""
    for path in sorted((ROOT / "ui").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in CONTROLS | CHARTS:
                yield f"{path.name}:{node.lineno}", node.func.attr, {keyword.arg or "" for keyword in node.keywords}


def test_every_control_has_help():
    found = [(place, "help" in keywords) for place, name, keywords in calls() if name in CONTROLS]
    assert len(found) > 60 and [place for place, helped in found if not helped] == []


def test_every_chart_has_an_alternative_text():
    found = [(place, "alt" in keywords) for place, name, keywords in calls() if name in CHARTS]
    assert len(found) > 12 and [place for place, described in found if not described] == []
