"""Plots of the benchmark as PNG files: error against noise, error against the number of defects."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from qpi_core.evaluation.benchmark.measure import CEILING, LIMIT
from qpi_core.evaluation.benchmark.records import Record
from qpi_core.evaluation.benchmark.scenes import DEFECT_BINS, VARIANTS, defect_bin
from qpi_core.evaluation.benchmark.summary import Cell, group


def write_plots(records: Sequence[Record], folder: Path) -> list[Path]:
    """Write one plot against noise and one against the number of defects for each variant, and one of all nuisances; returns the files."""
    figures = {}
    variants = dict.fromkeys(record.variant for record in records)
    for variant in (name for name in variants if name in VARIANTS):
        chosen = [record for record in records if record.variant == variant]
        figures[f"{variant}-by-noise.png"] = plot_by_noise(chosen)
        figures[f"{variant}-by-defects.png"] = plot_by_defects(chosen)
    nuisances = [record for record in records if record.variant not in VARIANTS]
    if nuisances:
        figures["nuisances.png"] = plot_by_variant(nuisances)
    for name, figure in figures.items():
        FigureCanvasAgg(figure)
        figure.savefig(folder / name, format="png")
    return [folder / name for name in figures]


def plot_by_noise(records: Sequence[Record]) -> Figure:
    """Return mean RMSE with its interval against the noise level, one line a method."""
    levels = sorted({record.noise_level for record in records})
    cells = group(records, lambda r: (r.method, r.noise_level))
    figure = _draw(records, cells, levels, [f"{level:g}" for level in levels])
    figure.axes[0].set_xlabel("noise (standard deviation / that of the clean map)")
    return figure


def plot_by_defects(records: Sequence[Record]) -> Figure:
    """Return mean RMSE with its interval against the number of defects, one line a method."""
    names = [f"{low}-{high}" for low, high in DEFECT_BINS]
    cells = group(records, lambda r: (r.method, defect_bin(r.defects)))
    figure = _draw(records, cells, names, names)
    figure.axes[0].set_xlabel("number of defects")
    return figure


def plot_by_variant(records: Sequence[Record]) -> Figure:
    """Return mean RMSE with its interval for each variant, all noise levels together, one line a method."""
    variants = list(dict.fromkeys(record.variant for record in records))
    figure = _draw(records, group(records, lambda r: (r.method, r.variant)), variants, variants)
    figure.axes[0].tick_params(axis="x", rotation=90)
    return figure


def _draw(records: Sequence[Record], cells: dict[tuple[str, object], Cell], columns: Sequence[object], labels: Sequence[str]) -> Figure:
    figure = Figure(figsize=(6, 4), dpi=150, layout="constrained")
    axes = figure.add_subplot()
    for method in dict.fromkeys(record.method for record in records):
        places = [
            place for place, column in enumerate(columns) if (cell := cells.get((method, column))) is not None and cell.rmse is not None
        ]
        found = [cells[method, columns[place]] for place in places]
        centre = [cell.rmse or 0.0 for cell in found]
        below = [cell.rmse - cell.rmse_low if cell.rmse is not None and cell.rmse_low is not None else 0.0 for cell in found]
        above = [cell.rmse_high - cell.rmse if cell.rmse is not None and cell.rmse_high is not None else 0.0 for cell in found]
        style = {CEILING: "--", LIMIT: "o:"}.get(method, "o-")
        axes.errorbar(places, centre, yerr=[below, above], label=method.replace("_", " "), capsize=2, fmt=style)
    axes.set_xticks(range(len(labels)), labels)
    axes.set_yscale("log")
    axes.set_ylabel("RMSE on the kernel's [0, 1] scale")
    axes.grid(alpha=0.3)
    if axes.get_legend_handles_labels()[0]:
        axes.legend(fontsize="small")
    return figure
