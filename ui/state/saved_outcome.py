"""A result of the Extract page as strict JSON beside its arrays, and back."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from qpi_core.base.errors import InputError
from qpi_core.base.provenance import json_ready
from qpi_core.base.validation import NOISE_MODELS
from qpi_core.extraction.methods import METHODS
from qpi_core.results.session.session_file import SavedResult
from ui.charts.colours import COLOUR_MAPS
from ui.extract.map.map_panel import MapView
from ui.jobs.extraction import Outcome, Question, with_kinds
from ui.state.loaders import PreparedLayer, array_hash, atlas, extractor

_KINDS: dict[str, Callable[[Any], bool]] = {
    "name": lambda value: isinstance(value, str),
    "file_sha256": lambda value: isinstance(value, str),
    "method": METHODS.__contains__,
    "kernel_size": lambda value: type(value) is int,
    "auto_window": lambda value: isinstance(value, bool),
    "simulation": lambda value: value is None or isinstance(value, dict),
    "refine_positions": lambda value: isinstance(value, bool),
    "noise_model": NOISE_MODELS.__contains__,
    "blind": lambda value: isinstance(value, bool),
    "channel": lambda value: isinstance(value, str),
    "index": lambda value: type(value) is int,
    "bias_mv": lambda value: value is None or type(value) in (int, float),
    "unit": lambda value: isinstance(value, str),
    "colours": COLOUR_MAPS.__contains__,
    "limits": lambda value: isinstance(value, tuple) and bool(np.isfinite(value).all()),
}
"""What a file may hold for the fields of a question and its view: pages and files to take home rely on it."""


def question_settings(question: Question) -> dict[str, Any]:
    """Return all of a question but the layer's values, in strict JSON types."""
    plain = {entry.name: getattr(question, entry.name) for entry in dataclasses.fields(Question) if entry.name != "view"}
    view = {entry.name: getattr(question.view, entry.name) for entry in dataclasses.fields(MapView) if entry.name != "layer"}
    return json_ready({**plain, "view": {name: _described(value) for name, value in view.items()}})


def outcome_of_all(results: Sequence[SavedResult], with_place: bool = False) -> Outcome | None:
    """Return the latest of saved results, with those of the other classes of defects; None where there is none.

    Raises:
        InputError: as outcome_of.
    """
    if not results:
        return None
    latest = outcome_of(results[-1], with_place)
    classes = results[-1].estimate.provenance.get("classes")
    if not classes:
        return latest
    found = {saved.estimate.provenance["classes"]["class"]: saved for saved in results if saved.estimate.provenance.get("classes")}
    order = [name for name in dict.fromkeys(classes["classes"]) if name in found]
    return with_kinds({name: latest if found[name] is results[-1] else outcome_of(found[name], with_place) for name in order}, latest)


def outcome_of(saved: SavedResult, with_place: bool = False) -> Outcome:
    """Return a saved result as the page shows it.

    Args:
        saved: out of a session file.
        with_place: also look for the place in the latent space, which loads the networks.

    Raises:
        InputError: the settings do not fit together.
    """
    try:
        question = _question(saved)
        seconds = float(saved.settings.get("seconds", 0.0))
    except (KeyError, OverflowError, TypeError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError("the session holds a result without its settings, or with damaged ones; save the session again.") from error
    place, note = None, "The place in the latent space is being looked up."
    if with_place:
        place, note = _place(saved)
    return Outcome(question, saved.estimate, place, note, seconds)


def _question(saved: SavedResult) -> Question:
    settings = saved.settings
    values = np.array(saved.observation, dtype=np.float32)
    values.flags.writeable = False
    view = {name: _restored(name, value) for name, value in settings["view"].items()}
    known = {entry.name for entry in dataclasses.fields(MapView)} - {"layer"}
    view = {name: value for name, value in view.items() if name in known}
    positions = np.asarray(settings["positions"], dtype=np.float64).reshape(-1, 2)
    if not np.isfinite(positions).all() or not len(positions):
        raise InputError("the session holds a result without positions; save the session again.")
    plain = {entry.name for entry in dataclasses.fields(Question)} - {"view", "positions", "labels"}
    asked = {name: value for name, value in settings.items() if name in plain}
    known_method = saved.estimate.method in METHODS
    if not known_method or not all(_KINDS[name](value) for name, value in {**asked, **view}.items() if name in _KINDS):
        raise InputError("the session holds a result whose settings are damaged; save the session again.")
    labels = _labels(settings.get("labels"), len(positions))
    return Question(view=MapView(layer=PreparedLayer(values, array_hash(values)), **view), positions=positions, labels=labels, **asked)


def _labels(listed: Any, count: int) -> tuple[str, ...] | None:
    """Return the classes of the defects; None where all are of one.

    Raises:
        InputError: not one short text for every defect.
    """
    if listed is None:
        return None
    if not isinstance(listed, list) or len(listed) != count or not all(isinstance(name, str) for name in listed):
        raise InputError("the session holds a result whose classes of defects are damaged; save the session again.")
    return tuple(listed)


def _place(saved: SavedResult) -> tuple[Any, str]:
    """Return the place of a saved latent among the training kernels of the model that is installed, or why there is none."""
    if saved.estimate.latent is None:
        return None, "The session holds no latent of this kernel; press Extract to have it computed."
    if not extractor().has_model:
        return None, "No released model is installed, so the kernel has no place in the latent space yet."
    try:
        made_by: Mapping[str, Any] = saved.estimate.provenance.get("model") or {}
        if made_by.get("sha256") != extractor().models().sha256:
            return None, "The session was made with other networks than those installed here; press Extract to find the place."
        return atlas().place(saved.estimate.latent), ""
    except InputError as error:
        return None, str(error)


def _described(value: Any) -> Any:
    """Return strict JSON for a field of the view; a preparation describes itself."""
    return value.to_json() if hasattr(value, "to_json") else value


def _restored(name: str, value: Any) -> Any:
    """Return a field of the view as it was before it became JSON."""
    if name == "preparation":
        from qpi_core.maps.preparation import Preparation

        return Preparation.from_json(value)
    if name in ("pixel_size_nm", "file_pixel_size_nm", "limits") and value is not None:
        low, high = (float(number) for number in value)
        return low, high
    return value
