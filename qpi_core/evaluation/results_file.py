"""Results as they lie in files: a model's metrics.json, the summary.json of a benchmark folder, the results of `paper` or `evaluate`.

    metrics.json      {"commands": [...], "benchmark": <summary.json>, "evaluation": <evaluation.json>, "paper_protocol": <results.json>}
    summary.json      {"benchmark": {what was asked for, versions, model}, "cells": [{variant, noise_level, defects, method, **Cell}]}
    results.json      {"published": [...], "measured": [...], "published_without_symmetry_loss": {...}, ...}

Parts may be missing. Keys that are not known are left out, measures that a file does not hold are None, so older and newer files load.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from qpi_core.base.errors import InputError
from qpi_core.evaluation.benchmark.scenes import VARIANTS
from qpi_core.evaluation.benchmark.summary import Cell
from qpi_core.evaluation.paper.protocol import PUBLISHED, PUBLISHED_WITHOUT_SYMMETRY_LOSS, SETTINGS
from qpi_core.synthesis.datasets.dataset_files import OUT_OF_DOMAIN

ALL_DEFECTS = "1-100"
MAX_BYTES = 16 * 2**20
MAX_CELLS = 20_000
WITHOUT_SYMMETRY = "two_step, no symmetry loss"
_ERRORS = ("mae", "mse", "rmse")
_LARGEST = 1e300
_COUNTS = ("scenes", "failures")


@dataclass(frozen=True)
class ResultCell:
    """What one method reached on one group of scenes: `defects` is ALL_DEFECTS or a range such as "11-40"."""

    variant: str
    noise_level: float
    defects: str
    method: str
    cell: Cell


@dataclass(frozen=True)
class PaperRow:
    """One row of the paper's tables, on the paper's scale.

    Attributes:
        table: 1, or 2 (symmetry loss on and off, out-of-domain).
        setting: "ID" or "OOD".
        method: name, or "with" and "without" the symmetry loss in Table 2.
        published: whether the numbers are the paper's.
        mae, mse, rmse: None where the file does not hold them.
    """

    table: int
    setting: str
    method: str
    published: bool
    mae: float | None
    mse: float | None
    rmse: float | None


@dataclass(frozen=True)
class PaperTables:
    """Tables 1 and 2 as far as they were measured, and what the networks of the measurement were trained on."""

    rows: tuple[PaperRow, ...]
    about: str


@dataclass(frozen=True)
class Results:
    """All that a file holds.

    Attributes:
        name: of the model or the file.
        cells: of the benchmark.
        commands: that made the numbers, where the file says so.
        environment: what was asked for, versions, model, threads.
        evaluation: the released networks on the paper's data, or None.
        paper_protocol: networks trained as in the paper on its data, or None.
    """

    name: str
    cells: tuple[ResultCell, ...] = ()
    commands: tuple[str, ...] = ()
    environment: Mapping[str, Any] = field(default_factory=dict)
    evaluation: PaperTables | None = None
    paper_protocol: PaperTables | None = None

    def variants(self) -> list[str]:
        """Return the kinds of scenes, the protocol's own first, in whatever order the file has them."""
        found = _distinct(cell.variant for cell in self.cells)
        return [*(name for name in VARIANTS if name in found), *(name for name in found if name not in VARIANTS)]

    def noise_levels(self, variant: str | None = None) -> list[float]:
        """Return the noise levels, of one variant or of all."""
        return sorted({cell.noise_level for cell in self.cells if variant in (None, cell.variant)})

    def methods(self) -> list[str]:
        """Return the methods, in the order of the file."""
        return _distinct(cell.method for cell in self.cells)

    def find(self, variant: str, noise_level: float, method: str, defects: str = ALL_DEFECTS) -> Cell | None:
        """Return one cell, None where it was not measured."""
        wanted = (variant, noise_level, defects, method)
        return next((c.cell for c in self.cells if (c.variant, c.noise_level, c.defects, c.method) == wanted), None)

    @property
    def model_sha256(self) -> str | None:
        """Hash of the weights that were measured, None where the file does not say."""
        model = self.environment.get("model")
        value = model.get("sha256") if isinstance(model, Mapping) else None
        return value if isinstance(value, str) else None


def read_results(content: bytes, name: str) -> Results:
    """Read the content of a results file.

    Raises:
        InputError: too large, no JSON, or nothing in it that is a result.
    """
    if len(content) > MAX_BYTES:
        raise InputError(f"{name} is larger than {MAX_BYTES // 2**20} MiB; give the summary.json of a benchmark folder or a metrics.json.")
    try:
        values = json.loads(content)
        json.dumps(values, ensure_ascii=False).encode()  # halves of characters, which no page can show, are refused here
    except (ValueError, RecursionError):
        raise InputError(f"{name} is no JSON; give the summary.json of a benchmark folder or a model's metrics.json.") from None
    return results_from(values, name)


def results_from(values: Any, name: str) -> Results:
    """Return the results in a decoded metrics.json, summary.json, or results of `paper` or `evaluate`.

    Raises:
        InputError: nothing in it is a result, or a number is not one.
    """
    if not isinstance(values, Mapping):
        raise InputError(_nothing(name))
    nested = isinstance(values.get("benchmark"), Mapping) and "cells" in values["benchmark"]
    summary = values["benchmark"] if nested else values
    cells = tuple(_cell(row, name) for row in _rows(summary.get("cells"), name))
    commands = values.get("commands")
    environment = summary.get("benchmark")
    found = Results(
        name,
        cells,
        tuple(str(line) for line in commands) if isinstance(commands, list) else (),
        environment if isinstance(environment, Mapping) else {},
        _paper_tables(values.get("evaluation"), name) or (None if "recipe" in values else _paper_tables(values, name)),
        _paper_tables(values.get("paper_protocol"), name) or (_paper_tables(values, name) if "recipe" in values else None),
    )
    if not (found.cells or found.evaluation or found.paper_protocol):
        raise InputError(_nothing(name))
    return found


def _nothing(name: str) -> str:
    return (
        f"{name} holds no results; give the summary.json of a benchmark folder, a model's metrics.json, "
        "or the results of evaluate or paper."
    )


def _rows(value: Any, name: str) -> list[Mapping[str, Any]]:
    if value is None:
        return []
    if not isinstance(value, list) or len(value) > MAX_CELLS or not all(isinstance(row, Mapping) for row in value):
        raise InputError(f"{name} is no results file: its rows must be a list of at most {MAX_CELLS} objects.")
    return value


def _cell(row: Mapping[str, Any], name: str) -> ResultCell:
    measures = {item.name: _number(row.get(item.name), name, item.name) for item in fields(Cell) if item.name not in _COUNTS}
    counts = {key: int(_number(row.get(key), name, key) or 0) for key in _COUNTS}
    level = _number(row.get("noise_level"), name, "noise_level")
    if level is None or not all(isinstance(row.get(key), str) for key in ("variant", "defects", "method")):
        raise InputError(f"{name} is no benchmark summary: each cell needs variant, noise_level, defects and method.")
    return ResultCell(row["variant"], level, row["defects"], row["method"], Cell(**counts, **measures))  # type: ignore[arg-type]


def _number(value: Any, name: str, key: str) -> float | None:
    if value is None:
        return None
    # JSON has whole numbers of any length.
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not -_LARGEST < value < _LARGEST:
        raise InputError(f"{name} is no results file: {key} must be a number, but it is {str(value)[:40]!r}.")
    return float(value)


def _paper_tables(values: Any, name: str) -> PaperTables | None:
    """Return Tables 1 and 2 of an `evaluate` or `paper` file; the published rows are the paper's whatever the file says."""
    if not isinstance(values, Mapping) or "measured" not in values:
        return None
    rows = [PaperRow(1, SETTINGS[split], method, True, **errors) for (split, method), errors in PUBLISHED.items()]
    measured = [_measured(row, name) for row in _rows(values["measured"], name)]
    rows += [row for row in measured if row.method != WITHOUT_SYMMETRY]
    without = [row for row in measured if row.method == WITHOUT_SYMMETRY and row.setting == "OOD"]
    if without:
        rows.append(PaperRow(2, "OOD", "with", True, **PUBLISHED[OUT_OF_DOMAIN, "two_step"]))
        rows.append(PaperRow(2, "OOD", "without", True, **PUBLISHED_WITHOUT_SYMMETRY_LOSS))
        labelled = [("with", row) for row in measured if (row.setting, row.method) == ("OOD", "two_step")] + [("without", without[0])]
        rows += [PaperRow(2, "OOD", label, False, row.mae, row.mse, row.rmse) for label, row in labelled]
    return PaperTables(tuple(rows), _about(values))


def _measured(row: Mapping[str, Any], name: str) -> PaperRow:
    errors = row.get("paper_scale")
    if not isinstance(errors, Mapping) or not all(isinstance(row.get(key), str) for key in ("setting", "method")):
        raise InputError(f"{name} is no results file: each measured row needs setting, method and paper_scale.")
    mae, mse, rmse = (_number(errors.get(key), name, key) for key in _ERRORS)
    return PaperRow(1, row["setting"], row["method"], False, mae, mse, rmse)


def _about(values: Mapping[str, Any]) -> str:
    """Return one sentence on what the networks were trained on, as far as the file says."""
    recipe, model = values.get("recipe"), values.get("model")
    if not isinstance(recipe, Mapping):
        name = f"of the model {model.get('name')}" if isinstance(model, Mapping) else "of the default model"
        return f"The networks {name}; its model card says what they were trained on. The published ones were trained on the ID kernels."
    steps = [
        f"{stage.replace('_', ' ')} {recipe[stage].get('steps')} steps of {recipe[stage].get('batch_size')}"
        for stage in ("kernel_vae", "observation_encoder", "one_step")
        if isinstance(recipe.get(stage), Mapping)
    ]
    start = "from the pretrained weights" if values.get("pretrained") else "from random weights"
    return (
        f"Networks trained on the data set's training kernels, preset {recipe.get('name')}, {start}: {', '.join(steps)}; "
        f"{values.get('scenes')} test observations of each setting."
    )


def _distinct(values: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(values))
