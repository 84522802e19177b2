"""The times of the app in the documents are those that were measured."""

from __future__ import annotations

import json
from pathlib import Path

from benchmarks.app.times_table import HEADER, rows
from benchmarks.results_tables import markdown

ROOT = Path(__file__).resolve().parents[3]


def test_the_document_has_the_table_of_the_file():
    content = json.loads((ROOT / "benchmarks" / "app" / "times.json").read_text(encoding="utf-8"))
    assert markdown(HEADER, rows(content)) in (ROOT / "docs" / "benchmarks.md").read_text(encoding="utf-8")


def test_what_was_not_measured_is_left_out():
    marker = {"marks": 1000, "median_ms": 60.0, "longest_ms": 90.0, "load_before": 0.5}
    assert rows({"marker": marker}) == [("click to the new mark, 1000 marks", "60.0 ms in the median, at most 90.0 ms", "100 ms", "0.5")]
    assert rows({"command": "python"}) == []
