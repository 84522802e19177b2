"""The list of defects: picture and table in step, whatever the browser sends."""

from __future__ import annotations

import numpy as np
import pytest

from ui.extract.defects.defect_table import apply_edits
from ui.state.workspace import DefectList

POINTS = np.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])
COLUMNS = ("x (px)", "y (px)")


def test_newer_list_of_the_picture_is_taken():
    defects = DefectList()
    defects.replace(POINTS, "table")
    assert defects.adopt({"map": "m", "rev": 2, "points": [[7, 8]]}, "m")
    np.testing.assert_array_equal(defects.points, [[7, 8]])
    assert (defects.rev, defects.source) == (2, "picture")


def test_picture_wins_a_tie_and_older_lists_are_left_out():
    defects = DefectList()
    defects.replace(POINTS, "table")
    assert defects.adopt({"map": "m", "rev": 1, "points": [[9, 9]]}, "m")
    assert not defects.adopt({"map": "m", "rev": 0, "points": []}, "m")
    np.testing.assert_array_equal(defects.points, [[9, 9]])


@pytest.mark.parametrize(
    "value",
    [
        None,
        "text",
        {},
        {"map": "m"},
        {"map": "other", "rev": 9, "points": [[1, 1]]},
        {"map": "m", "rev": "x", "points": [[1, 1]]},
        {"map": "m", "rev": float("inf"), "points": [[1, 1]]},
        {"map": "m", "rev": 9, "points": [[1, 2, 3]]},
        {"map": "m", "rev": 9, "points": [[float("nan"), 1]]},
        {"map": "m", "rev": 9, "points": "abc"},
    ],
)
def test_nonsense_from_the_browser_changes_nothing(value: object):
    defects = DefectList()
    defects.replace(POINTS, "table")
    assert not defects.adopt(value, "m")
    np.testing.assert_array_equal(defects.points, POINTS)
    assert defects.rev == 1


def test_edits_of_the_table():
    edits = {
        "edited_rows": {"0": {"x (px)": 10.0}, 2: {"y (px)": -1.0}},
        "deleted_rows": [1],
        "added_rows": [{"x (px)": 7.0, "y (px)": 8.0}],
    }
    np.testing.assert_array_equal(apply_edits(POINTS, edits, COLUMNS), [[10, 2], [5, -1], [7, 8]])


def test_unfinished_row_waits():
    assert apply_edits(POINTS, {"added_rows": [{"x (px)": 7.0}]}, COLUMNS) is None
    assert apply_edits(POINTS, {"edited_rows": {0: {"x (px)": None}}}, COLUMNS) is None


def test_last_row_can_go():
    assert apply_edits(POINTS[:1], {"deleted_rows": [0]}, COLUMNS).shape == (0, 2)
