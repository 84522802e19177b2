"""The editable table of defects, in step with the picture."""

from __future__ import annotations

from typing import Any

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from ui.state.workspace import FIRST_CLASS, MOST_CLASSES, DefectList
from ui.widgets import texts

_BASE = "defect_table_base"
CLASS_COLUMN = "class"


def apply_edits(points: NDArray[np.float64], edits: dict[str, Any], columns: tuple[str, str]) -> NDArray[np.float64] | None:
    """Return the points after the edits of a st.data_editor, or None while a row is still incomplete.

    Args:
        points: (n, 2) the table's own starting values.
        edits: edited_rows, added_rows and deleted_rows as Streamlit keeps them.
        columns: names of the x and the y column.
    """
    rows: list[list[Any]] = points.tolist()
    for index, changes in edits.get("edited_rows", {}).items():
        for axis, name in enumerate(columns):
            if name in changes:
                rows[int(index)][axis] = changes[name]
    deleted = {int(index) for index in edits.get("deleted_rows", [])}
    rows = [row for index, row in enumerate(rows) if index not in deleted]
    rows += [[row.get(columns[0]), row.get(columns[1])] for row in edits.get("added_rows", [])]
    if any(value is None for row in rows for value in row):
        return None
    return np.asarray(rows, dtype=np.float64).reshape(-1, 2)


def apply_class_edits(labels: tuple[str, ...], edits: dict[str, Any]) -> tuple[str, ...]:
    """Return the classes after the edits of a st.data_editor; a row without one is of the first class.

    Args:
        labels: the table's own starting values.
        edits: as for apply_edits.
    """
    kept = list(labels)
    for index, changes in edits.get("edited_rows", {}).items():
        if CLASS_COLUMN in changes:
            kept[int(index)] = changes[CLASS_COLUMN]
    deleted = {int(index) for index in edits.get("deleted_rows", [])}
    kept = [label for index, label in enumerate(kept) if index not in deleted]
    kept += [row.get(CLASS_COLUMN) for row in edits.get("added_rows", [])]
    return tuple(str(label or "").strip() or FIRST_CLASS for label in kept)


def show_defect_table(defects: DefectList, pixel_size_nm: tuple[float, float] | None, shape: tuple[int, int], height: int) -> None:
    """Show the table; an edit becomes the new list, and a list from elsewhere becomes a fresh table.

    The table keeps its identity while it is edited itself, so that the keyboard focus stays where it is.
    """
    unit = _unit(pixel_size_nm)
    scale = np.array([pixel_size_nm[1], pixel_size_nm[0]]) if unit == "nm" and pixel_size_nm else np.ones(2)
    columns = (f"x ({unit})", f"y ({unit})")
    base = st.session_state.get(_BASE)
    if base is None or base["unit"] != unit or (defects.source != "table" and base["rev"] != defects.rev):
        serial = base["serial"] + 1 if base else 0
        base = {"serial": serial, "rev": defects.rev, "unit": unit, "points": defects.points * scale, "labels": defects.labels}
        st.session_state[_BASE] = base
    key = f"defect_table_{base['serial']}"

    def take_edits() -> None:
        try:
            points = apply_edits(base["points"], st.session_state[key], columns)
            labels = None if base["labels"] is None else apply_class_edits(base["labels"], st.session_state[key])
        except (KeyError, TypeError, ValueError, IndexError):
            return
        if points is None:
            return
        in_px = points / scale
        limit = np.array([shape[1], shape[0]]) - 0.5
        outside = (in_px < -0.5).any(axis=1) | (in_px > limit).any(axis=1) | ~np.isfinite(in_px).all(axis=1)
        st.session_state["defect_table_problem"] = _outside_sentence(points[outside], unit) if outside.any() else ""
        if labels is not None and len(set(labels)) > MOST_CLASSES:
            st.session_state["defect_table_problem"] = f"At most {MOST_CLASSES} classes are told apart; give some marks the same one."
            return
        if not outside.any():
            defects.replace(in_px, "table", labels)

    import pandas as pd

    count = len(base["points"])
    decimals = 3 if unit == "nm" else 2
    frame = pd.DataFrame(shown_points(base["points"], decimals), columns=list(columns), index=pd.RangeIndex(1, count + 1))
    if base["labels"] is not None:
        frame[CLASS_COLUMN] = list(base["labels"])
    narrow = None if base["labels"] is None else 62
    number = st.column_config.NumberColumn(format=f"%.{decimals}f", required=True, width=narrow)
    st.data_editor(
        frame,
        key=key,
        num_rows="dynamic",
        hide_index=False,
        height=height,
        width="stretch",
        column_config={
            "_index": st.column_config.NumberColumn("#", width=40),
            columns[0]: number,
            columns[1]: number,
            **_class_column(base["labels"]),
        },
        on_change=take_edits,
        alt="Table of defect positions",
    )
    if problem := st.session_state.get("defect_table_problem"):
        st.error(problem)


def shown_points(points: NDArray[np.float64], decimals: int) -> NDArray[np.float64]:
    """Return the points (n, 2) as they are shown, without the minus sign of what rounds to zero."""
    return np.where(np.abs(points) < 0.5 * 10.0**-decimals, 0.0, points)


def _class_column(labels: tuple[str, ...] | None) -> dict[str, Any]:
    """Return the column of the classes, where there are several."""
    if labels is None:
        return {}
    return {CLASS_COLUMN: st.column_config.TextColumn(width=56, max_chars=40, help=texts.CLASS_COLUMN)}


def _unit(pixel_size_nm: tuple[float, float] | None) -> str:
    if pixel_size_nm is None:
        return "px"
    chosen = st.segmented_control(
        "Units",
        ["nm", "px"],
        default="nm",
        required=True,
        key="defect_units",
        help=texts.UNITS,
        label_visibility="collapsed",
        persist_state="session",
    )
    return str(chosen or "nm")


def _outside_sentence(points: NDArray[np.float64], unit: str) -> str:
    x, y = points[0]
    return f"x = {x:.6g} {unit}, y = {y:.6g} {unit} lies outside the map; the table keeps it, but it is not used until it is corrected."
