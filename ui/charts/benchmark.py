"""Measures of the benchmark against noise, number of defects or kind of scene: one line a method."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from html import escape
from typing import Any

from qpi_core.evaluation.benchmark.measure import CEILING, LIMIT
from qpi_core.evaluation.benchmark.summary import Cell
from qpi_core.evaluation.results_file import Results
from ui.charts.subplots import Figure
from ui.extract.kernel.kernel_panel import method_title

_COLOURS = ("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#7f6d00", "#666666", "#a02050")
_DASHES = ("solid", "dash", "dot", "dashdot")


@dataclass(frozen=True)
class Measure:
    """One number of a cell: its title, how it is written, whether small values matter (logarithmic), and what it means."""

    title: str
    digits: str
    logarithmic: bool
    help: str


MEASURES = {
    "rmse": Measure("RMSE", "%.3g", True, "Root mean square error of the 64 × 64 kernel on its own [0, 1] scale; mean over the scenes."),
    "mae": Measure("MAE", "%.3g", True, "Mean absolute error on the same scale."),
    "mse": Measure("MSE", "%.3g", True, "Mean square error on the same scale."),
    "cosine": Measure("Cosine", "%.4f", False, "Cosine between kernel and truth; 1 is perfect."),
    "fft_correlation": Measure("FFT correlation", "%.4f", False, "Correlation of the FFT magnitudes; 1 is perfect."),
    "symmetry_right": Measure("Symmetry right", "%.2f", False, "Share of scenes in which the method names the right symmetry order."),
    "coverage_68": Measure("Within 1 σ", "%.3f", False, "Share of kernel pixels within one stated standard deviation; 0.68 is honest."),
    "coverage_95": Measure("Within 1.96 σ", "%.3f", False, "Share within 1.96 stated standard deviations; 0.95 is honest."),
    "seconds": Measure("Seconds", "%.3f", True, "Median time of one extraction."),
}


@dataclass(frozen=True)
class Slice:
    """The cells along one axis: its title, its ticks, and the cell of (results, method, tick), None where nothing was measured."""

    title: str
    ticks: tuple[str, ...]
    find: Callable[[Results, str, int], Cell | None]


def value_of(cell: Cell | None, measure: str) -> float | None:
    """Return one measure of a cell, None where there is none."""
    return None if cell is None else getattr(cell, measure)


def measure_chart(sources: Sequence[Results], part: Slice, measure: str, height: int = 380) -> Figure:
    """Return the chart; the 95 % bootstrap interval is drawn for RMSE, and further sources are dashed."""
    shown = MEASURES[measure]
    part = replace(part, ticks=tuple(escape(tick, quote=False) for tick in part.ticks))
    methods = list(dict.fromkeys(method for source in sources for method in source.methods()))
    figure: Figure = {"data": [], "layout": _layout(part, shown, height)}
    for number, source in enumerate(sources):
        for place, method in enumerate(methods):
            cells = [part.find(source, method, tick) for tick in range(len(part.ticks))]
            values = [value_of(cell, measure) for cell in cells]
            if all(value is None for value in values):
                continue
            # Plotly reads tags and entities in names; these come from a file.
            name = escape(method_name(method) + (f" ({source.name})" if number else ""), quote=False)
            figure["data"].append(_line(name, part, values, cells if measure == "rmse" else None, place, number, method))
    return figure


def method_name(method: str) -> str:
    """Return the title of a method of the benchmark."""
    base, plus, _ = method.partition("+")
    if base == CEILING:
        return "Decoder ceiling"
    if base == LIMIT:
        return "Formula limit"
    return method_title(base) + (", positions refined" if plus else "")


def _line(
    name: str, part: Slice, values: list[float | None], cells: list[Cell | None] | None, place: int, number: int, method: str
) -> dict[str, Any]:
    colour = _COLOURS[place % len(_COLOURS)]
    dash = "longdash" if method in (CEILING, LIMIT) else _DASHES[number % len(_DASHES)]
    line: dict[str, Any] = {
        "type": "scatter",
        "mode": "lines" if method == CEILING and len(values) > 1 else "lines+markers",
        "x": list(part.ticks),
        "y": values,
        "name": name,
        "line": {"color": colour, "dash": dash, "width": 2},
        "marker": {"size": 7},
        "hovertemplate": f"{name}<br>%{{x}}: %{{y:.3g}}<extra></extra>",
    }
    if cells is not None:
        line["error_y"] = {
            "type": "data",
            "symmetric": False,
            "array": [_distance(cell, "rmse_high") for cell in cells],
            "arrayminus": [_distance(cell, "rmse_low") for cell in cells],
            "thickness": 1,
            "width": 3,
        }
    return line


def _distance(cell: Cell | None, end: str) -> float:
    value = value_of(cell, end)
    return 0.0 if cell is None or value is None or cell.rmse is None else abs(value - cell.rmse)


def _layout(part: Slice, measure: Measure, height: int) -> dict[str, Any]:
    return {
        "height": height,
        "margin": {"l": 8, "r": 8, "t": 30, "b": 8},  # plotly's buttons lie above the legend
        "xaxis": {"title": {"text": part.title}, "type": "category", "categoryarray": list(part.ticks)},
        "yaxis": {
            "title": {"text": measure.title},
            **({"type": "log", "dtick": 1, "exponentformat": "power"} if measure.logarithmic else {}),
        },
        "legend": {"orientation": "v"},
        "hovermode": "closest",
        "uirevision": "benchmark",
    }
