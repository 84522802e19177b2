"""Markdown tables of the benchmark."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from qpi_core.evaluation.benchmark.records import Record
from qpi_core.evaluation.benchmark.scenes import DEFECT_BINS, VARIANTS, defect_bin, meaning
from qpi_core.evaluation.benchmark.summary import Cell, group, summarise
from qpi_core.synthesis.simulated_maps.measured_variants import is_measured_variant


def markdown(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a markdown table."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"


def number(value: float | None, digits: int = 4) -> str:
    """Return a value with fixed digits, "-" where there is none."""
    return "-" if value is None else f"{value:.{digits}f}"


def error_number(value: float) -> str:
    """Return an error with four digits after the point, five below 0.01."""
    return number(value, 4 if value >= 0.01 else 5)


def percent(value: float | None) -> str:
    """Return a share in percent, "-" where there is none."""
    return "-" if value is None else f"{100 * value:.0f} %"


def error_with_interval(cell: Cell) -> str:
    """Return the mean RMSE with its 95 % interval, and how many scenes the method refused."""
    if cell.rmse is None:
        return "-"
    low, high = cell.rmse_low, cell.rmse_high
    interval = "" if low is None or high is None else f" ({error_number(low)}-{error_number(high)})"
    refused = f", {cell.failures} refused" if cell.failures else ""
    return f"{error_number(cell.rmse)}{interval}{refused}"


def by_noise(records: Sequence[Record]) -> str:
    """Return mean RMSE by method (rows) and noise level (columns), with intervals."""
    cells = group(records, lambda r: (r.method, r.noise_level))
    methods, levels = _distinct(r.method for r in records), sorted({r.noise_level for r in records})
    rows = [[f"`{method}`", *(error_with_interval(cells[method, level]) for level in levels)] for method in methods]
    return markdown(["method", *(f"noise {level:g}" for level in levels)], rows)


def by_defects(records: Sequence[Record]) -> str:
    """Return mean RMSE by method and number of defects, over all noise levels in the records."""
    cells = group(records, lambda r: (r.method, defect_bin(r.defects)))
    bins = [f"{low}-{high}" for low, high in DEFECT_BINS]
    bins = [name for name in bins if any(defect_bin(r.defects) == name for r in records)]
    rows = [
        [f"`{method}`", *(error_with_interval(cells[method, name]) for name in bins)] for method in _distinct(r.method for r in records)
    ]
    return markdown(["method", *(f"{name} defects" for name in bins)], rows)


def other_measures(records: Sequence[Record]) -> str:
    """Return the measures beside RMSE, one row for each method and noise level."""
    rows = []
    for (method, level), cell in group(records, lambda r: (r.method, r.noise_level)).items():
        rows.append(
            [
                f"`{method}`",
                f"{level:g}",
                number(cell.mae),
                number(cell.mse, 6),
                number(cell.on_paper_scale("rmse")),
                number(cell.cosine),
                number(cell.fft_correlation),
                percent(cell.symmetry_right),
                percent(cell.coverage_68),
                percent(cell.coverage_95),
                number(cell.seconds, 3),
            ]
        )
    header = [
        "method",
        "noise",
        "MAE",
        "MSE",
        "RMSE, paper scale",
        "cosine",
        "FFT corr.",
        "symmetry",
        "within 1 s.d.",
        "within 1.96 s.d.",
        "s",
    ]
    return markdown(header, sorted(rows, key=lambda row: (float(row[1]), row[0])))


def by_nuisance(records: Sequence[Record]) -> str:
    """Return one row for each variant, noise and method: error, error bars, symmetry, accusations and processor time."""
    rows = [
        [
            variant,
            f"{level:g}",
            f"`{method}`",
            error_with_interval(cell),
            percent(cell.coverage_68),
            percent(cell.coverage_95),
            percent(cell.symmetry_right),
            percent(cell.accused),
            percent(cell.named),
            number(cell.cpu_seconds, 1),
            number(cell.cpu_seconds_most, 1),
        ]
        for (variant, level, method), cell in group(records, lambda r: (r.variant, r.noise_level, r.method)).items()
    ]
    judged = ["within 1 s.d.", "within 1.96 s.d.", "right order", "right lists accused", "nuisances named"]
    return markdown(["scenes", "noise", "method", "RMSE", *judged, "CPU s", "at most"], rows)


def report(records: Sequence[Record]) -> str:
    """Return all tables of a benchmark, variant by variant; what measured maps add is one table in front."""
    variants = _distinct(record.variant for record in records)
    nuisances = [variant for variant in variants if variant not in VARIANTS and is_measured_variant(variant)]
    measured = [record for record in records if record.variant in nuisances]
    parts = []
    if measured:
        parts.append(f"## What measured maps add\n\nMean RMSE on the kernel's [0, 1] scale, median CPU time.\n\n{by_nuisance(measured)}")
    for variant in (variant for variant in variants if variant not in nuisances):
        chosen = [record for record in records if record.variant == variant]
        scenes = summarise(
            [record for record in chosen if record.method == chosen[0].method and record.noise_level == chosen[0].noise_level]
        )
        title = f"## {variant}: {meaning(variant)}"
        count = scenes.scenes + scenes.failures
        parts.append(f"{title}\n\nMean RMSE on the kernel's [0, 1] scale, {count} scenes a column, 95 % interval.\n\n{by_noise(chosen)}")
        parts.append(f"By number of defects, all noise levels together:\n\n{by_defects(chosen)}")
        parts.append(f"Other measures (median seconds; symmetry: share of scenes with the right order):\n\n{other_measures(chosen)}")
    return "\n".join(parts)


def _distinct(values: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(values))
