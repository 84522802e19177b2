"""A solved stack of the Stacks page as strict JSON beside its arrays, and back."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from qpi_core.base.errors import InputError
from qpi_core.base.provenance import json_ready
from qpi_core.extraction.bands.band import find_band
from qpi_core.extraction.methods import METHODS
from qpi_core.extraction.windows.window_search import AUTO
from qpi_core.maps.preparation import Preparation
from qpi_core.maps.scan_map import ScanMap
from qpi_core.results.session.session_file import SavedStack
from ui.jobs.stack import StackOutcome, StackQuestion, seen_stack

_DAMAGED = "the session holds a stack whose settings are damaged; save the session again."


def saved_stack(outcome: StackOutcome) -> SavedStack:
    """Return a stack as a session file keeps it."""
    question = outcome.question
    plain = {entry.name: getattr(question, entry.name) for entry in dataclasses.fields(StackQuestion) if entry.name != "scan"}
    pitch = question.scan.pixel_size_nm if question.scan.pixel_size_known else None
    unit = next(iter(outcome.views.values())).unit
    settings = json_ready({**plain, "pixel_size_nm": pitch, "unit": unit})
    return SavedStack({name: view.estimate for name, view in outcome.views.items()}, settings)


def stack_question(saved: SavedStack, scan: ScanMap) -> StackQuestion:
    """Return what was asked of a saved stack of a map.

    Raises:
        InputError: settings that the pages cannot use, or another map.
    """
    asked: dict[str, Any] = dict(saved.settings)
    try:
        positions = np.asarray(asked["positions"], dtype=np.float64).reshape(-1, 2)
        labels = None if asked["labels"] is None else tuple(str(label) for label in asked["labels"])
        layers = None if asked["layers"] is None else (int(asked["layers"][0]), int(asked["layers"][1]))
        known = asked["pixel_size_nm"] is not None and not scan.pixel_size_known
        used = scan.with_pixel_size(tuple(asked["pixel_size_nm"])) if known else scan
        question = StackQuestion(
            str(asked["name"]),
            str(asked["file_sha256"]),
            used,
            str(asked["channel"]),
            Preparation.from_json(asked["steps"]).to_json(),
            positions,
            str(asked["method"]),
            asked["kernel_size"],
            labels,
            layers,
            asked.get("refine_positions", False) is True,
        )
        first = next(iter(saved.estimates.values()))
        fits = (
            question.method in METHODS
            and (question.kernel_size == AUTO or type(question.kernel_size) is int)
            and question.file_sha256 == scan.sha256
            and question.channel in scan.channels
            and len(first.kernels) == len(scan.stack(question.channel))
            and len(positions) > 0
            and bool(np.isfinite(positions).all())
            and (labels is None or len(labels) == len(positions))
            and set(saved.estimates) == ({""} if question.classes is None else set(question.classes))
            and (question.classes is None or {"positions_px", "weights"} <= set(first.provenance.get("classes", {})))
            and isinstance(first.provenance.get("input"), dict)
        )
    except (KeyError, IndexError, TypeError, ValueError) as error:
        raise InputError(_DAMAGED) from error
    if not fits:
        raise InputError(_DAMAGED)
    return question


def stack_outcome_of(saved: SavedStack, scan: ScanMap) -> StackOutcome:
    """Return a saved stack as the page shows it; its rings are followed again.

    Raises:
        InputError: as stack_question.
    """
    question = stack_question(saved, scan)
    return seen_stack(
        question, {name: (one, find_band(one)) for name, one in saved.estimates.items()}, str(saved.settings.get("unit") or "")
    )
