"""Put what the benchmark measured where it is quoted: python benchmarks/results_tables.py results/benchmark

Reads all records of a folder that `python run.py benchmark` wrote in one or several calls, fills the tables between the marks
`<!-- name -->` and `<!-- /name -->` of README.md, docs/benchmarks.md and the model's card, and replaces the benchmark in the model's
metrics.json. A folder without the protocol's own scenes fills the tables of its own scenes only.
The least error among the methods that know neither the formula nor the true kernel is in bold.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from qpi_core.evaluation.benchmark.measure import LIMIT
from qpi_core.evaluation.benchmark.records import read_records
from qpi_core.evaluation.benchmark.run import RECORDS, REFERENCES
from qpi_core.evaluation.benchmark.scenes import VARIANTS
from qpi_core.evaluation.benchmark.summary import as_json
from qpi_core.extraction.methods import DEFAULT_METHOD, METHODS
from qpi_core.synthesis.simulated_maps.measured_variants import MEASURED_VARIANTS, PLAIN, T_MATRIX_ENDING

ROOT = Path(__file__).resolve().parents[1]

ALL = "1-100"
OTHER_METHODS = ("tikhonov", "harmonic", "two_step", "refined", *REFERENCES)
RATIO_METHODS = ("parametric", "harmonic", "refined")
NOT_COMPARED = ("parametric", *REFERENCES)
PROTOCOL = "on-grid"
ORDER = (*VARIANTS, *MEASURED_VARIANTS, *(name + T_MATRIX_ENDING for name in MEASURED_VARIANTS))

Cell = dict[str, Any]


def main() -> int:
    """Fill all tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="folder of the benchmark's records")
    folder = parser.parse_args().folder
    # Every call of the command summarises its own plan only; the records hold all of them.
    records = list({record.key: record for record in read_records(folder / RECORDS)}.values())
    records.sort(key=lambda record: ORDER.index(record.variant) if record.variant in ORDER else len(ORDER))
    cells = as_json(records)
    settings = {
        **json.loads((folder / "summary.json").read_text("utf-8"))["benchmark"],
        "methods": _methods({record.method for record in records}),
        "variants": list(dict.fromkeys(record.variant for record in records)),
        "noise_levels": sorted({record.noise_level for record in records}),
        "scenes": 1 + max(record.index for record in records),
    }
    model = ROOT / "models" / settings["model"]["name"]
    made = tables(cells, settings["methods"])
    for page in (ROOT / "README.md", ROOT / "docs" / "benchmarks.md", model / "README.md"):
        page.write_text(filled(page.read_text("utf-8"), made), "utf-8")
    if PROTOCOL not in settings["variants"]:
        return 0
    metrics = model / "metrics.json"
    held = json.loads(metrics.read_text("utf-8"))
    metrics.write_text(json.dumps({**held, "benchmark": {"benchmark": settings, "cells": cells}}, indent=1) + "\n", "utf-8")
    return 0


def _methods(found: set[str]) -> list[str]:
    """Return methods and references in their order, each followed by itself with endings such as "+classes"."""
    known = (*METHODS, *REFERENCES)
    return [name for one in known for name in sorted(found, key=len) if name == one or name.startswith(f"{one}+")]


def tables(cells: Sequence[Cell], methods: Sequence[str]) -> dict[str, str]:
    """Return name -> table in markdown, of the scenes that there are."""
    grid = [cell for cell in cells if cell["variant"] == PROTOCOL and cell["defects"] == ALL]
    off = [cell for cell in cells if cell["variant"] == "off-grid" and cell["defects"] == ALL]
    nuisances = [cell for cell in cells if cell["variant"] not in VARIANTS and cell["defects"] == ALL]
    made = {} if not nuisances else {"nuisances": with_nuisances(nuisances, methods), "nuisances_said": said_of_nuisances(nuisances)}
    if not grid:
        return made
    return {
        **made,
        "main": by_noise(grid, methods),
        "main_iv": by_noise(grid, methods, with_interval),
        "ratio": ratio(grid),
        "quality": quality(grid),
        "bins": by_defects(cells, methods),
        "off": by_noise(off, OTHER_METHODS),
        "others": others(cells),
    }


def by_noise(cells: Sequence[Cell], methods: Sequence[str], show: Callable[[Cell], str] | None = None) -> str:
    """Return a row a method and a column a noise level: the error, the least one of a column in bold, or what is asked for."""
    levels = sorted({cell["noise_level"] for cell in cells})
    rows = {method: [f"`{method}`"] for method in methods if any(cell["method"] == method for cell in cells)}
    for level in levels:
        found = {cell["method"]: cell for cell in cells if cell["noise_level"] == level}
        written = errors(found, list(rows)) if show is None else [show(found[method]) if method in found else "-" for method in rows]
        for method, text in zip(rows, written, strict=True):
            rows[method].append(text)
    return markdown(["method", *(f"noise {level:g}" for level in levels)], list(rows.values()))


def errors(found: Mapping[str, Cell], methods: Sequence[str]) -> list[str]:
    """Return the mean RMSE of each method on the same scenes; those that read like the least one are in bold."""
    values = {method: found[method]["rmse"] if method in found else None for method in methods}
    compared = [value for method, value in values.items() if value is not None and method not in NOT_COMPARED]
    best = number(min(compared)) if compared else None
    written = {method: number(value) for method, value in values.items()}
    return [f"**{text}**" if text == best and method not in NOT_COMPARED else text for method, text in written.items()]


def with_interval(cell: Cell) -> str:
    """Return the mean RMSE with its 95 % interval."""
    return f"{number(cell['rmse'])} ({number(cell['rmse_low'])}-{number(cell['rmse_high'])})"


def ratio(cells: Sequence[Cell]) -> str:
    """Return the mean RMSE over that of the formula's limit, which is zero without noise."""
    levels = sorted({cell["noise_level"] for cell in cells} - {0.0})
    errors_of = {(cell["method"], cell["noise_level"]): cell["rmse"] for cell in cells}

    def times(method: str, level: float) -> str:
        error, limit = errors_of.get((method, level)), errors_of.get((LIMIT, level))
        return f"{error / limit:.2f}" if error is not None and limit else "-"

    rows = [[f"`{method}`", *(times(method, level) for level in levels)] for method in RATIO_METHODS]
    return markdown([f"RMSE / `{LIMIT}`", *(f"noise {level:g}" for level in levels)], rows)


def quality(cells: Sequence[Cell]) -> str:
    """Return how often symmetry orders and error bars are right."""
    levels = sorted({cell["noise_level"] for cell in cells})
    found = {(cell["method"], cell["noise_level"]): cell for cell in cells}
    measures = (("right symmetry order", "symmetry_right"), ("within 1 s.d.", "coverage_68"), ("within 1.96 s.d.", "coverage_95"))
    rows = [
        [f"`{method}`", title, *(f"{100 * found[method, level][name]:.0f} %" for level in levels)]
        for method in ("harmonic", "refined")
        for title, name in measures
    ]
    return markdown(["method", "measure", *(f"noise {level:g}" for level in levels)], rows)


def by_defects(cells: Sequence[Cell], methods: Sequence[str]) -> str:
    """Return the mean RMSE by number of defects, all noise levels together."""
    chosen = [cell for cell in cells if cell["variant"] == PROTOCOL and cell["defects"] != ALL]
    bins = sorted({cell["defects"] for cell in chosen}, key=lambda name: int(name.split("-")[0]))
    rows = []
    for method in methods:
        row = [f"`{method}`"]
        for bin_ in bins:
            part = [cell for cell in chosen if (cell["method"], cell["defects"]) == (method, bin_) and cell["scenes"]]
            row.append(number(sum(cell["rmse"] * cell["scenes"] for cell in part) / sum(cell["scenes"] for cell in part) if part else None))
        rows.append(row)
    return markdown(["method", *(f"{name} defects" for name in bins)], rows)


def others(cells: Sequence[Cell]) -> str:
    """Return a row for each other variant and noise level."""
    known = [cell for cell in cells if cell["variant"] in VARIANTS]
    chosen = [cell for cell in known if cell["variant"] not in (PROTOCOL, "off-grid") and cell["defects"] == ALL]
    methods = [method for method in OTHER_METHODS if any(cell["method"] == method for cell in chosen)]
    rows = []
    for variant in VARIANTS:
        for level in sorted({cell["noise_level"] for cell in chosen if cell["variant"] == variant}):
            found = {cell["method"]: cell for cell in chosen if (cell["variant"], cell["noise_level"]) == (variant, level)}
            rows.append([variant, f"{level:g}", *errors(found, methods), *inside_and_seconds(found.get("refined"))])
    header = ["scenes", "noise", *(f"`{method}`" for method in methods), "`refined`: within 1 / 1.96 s.d.", "seconds"]
    return markdown(header, rows)


def with_nuisances(cells: Sequence[Cell], methods: Sequence[str]) -> str:
    """Return a row for each kind of scene: the error of every method, and that of the default one over its own on the plain scenes."""
    columns = [method for method in methods if any(cell["method"] == method for cell in cells)]
    rows = []
    for variant, level in dict.fromkeys((cell["variant"], cell["noise_level"]) for cell in cells):
        found = {cell["method"]: cell for cell in cells if (cell["variant"], cell["noise_level"]) == (variant, level)}
        plain = PLAIN + T_MATRIX_ENDING if variant.endswith(T_MATRIX_ENDING) else PLAIN
        keys = (DEFAULT_METHOD, plain, level)
        base = next((cell["rmse"] for cell in cells if (cell["method"], cell["variant"], cell["noise_level"]) == keys), None)
        own = found[DEFAULT_METHOD]["rmse"] if DEFAULT_METHOD in found else None
        count = max(cell["scenes"] + cell["failures"] for cell in found.values())
        rows.append([f"`{variant}`", str(count), f"{level:g}", *errors(found, columns), f"{own / base:.1f}" if own and base else "-"])
    header = ["kind", "scenes", "white noise", *(f"`{method}`" for method in columns), f"`{DEFAULT_METHOD}` / plain"]
    return markdown(header, rows)


def said_of_nuisances(cells: Sequence[Cell]) -> str:
    """Return a row for each kind of scene and method with error bars: whether these, the symmetry and the list are judged rightly."""

    def share(value: float | None) -> str:
        return "-" if value is None else f"{100 * value:.0f} %"

    rows = [
        [
            f"`{cell['variant']}`",
            f"`{cell['method']}`",
            share(cell["coverage_68"]),
            share(cell["coverage_95"]),
            share(cell["symmetry_right"]),
            share(cell["accused"]),
            share(cell["named"]),
            "-" if cell["cpu_seconds"] is None else f"{cell['cpu_seconds']:.1f} / {cell['cpu_seconds_most']:.1f}",
        ]
        for cell in cells
        if cell["coverage_68"] is not None
    ]
    judged = ["within 1 s.d.", "within 1.96 s.d.", "right order", "right lists accused", "nuisances named"]
    return markdown(["kind", "method", *judged, "CPU s, median / most"], rows)


def inside_and_seconds(cell: Cell | None) -> tuple[str, str]:
    """Return how often the error bars are right, and the median time."""
    if cell is None or cell["coverage_68"] is None:
        return "-", "-"
    return f"{100 * cell['coverage_68']:.0f} % / {100 * cell['coverage_95']:.0f} %", f"{cell['seconds']:.1f}"


def number(value: float | None) -> str:
    """Return an error with about three significant digits, and no more than five decimals; "-" where there is none."""
    if value is None:
        return "-"
    return f"{value:.4f}" if value >= 0.01 else f"{value:.5f}"


def markdown(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def filled(page: str, made: dict[str, str]) -> str:
    """Return a page with its marked tables replaced."""
    for name, table in made.items():
        page = re.sub(rf"(<!-- {name} -->\n).*?(\n<!-- /{name} -->)", lambda match, new=table: match[1] + new + match[2], page, flags=re.S)
    return page


if __name__ == "__main__":
    sys.exit(main())
