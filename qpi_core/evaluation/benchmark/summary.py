"""From records to the numbers of a table: means with bootstrap intervals, by noise and by number of defects."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from qpi_core.evaluation.benchmark.records import Record
from qpi_core.evaluation.benchmark.scenes import VARIANTS, defect_bin
from qpi_core.evaluation.metrics import PAPER_SCALE, bootstrap_interval, grouped_bootstrap_interval
from qpi_core.evaluation.wording.nuisance_words import share_named
from qpi_core.synthesis.simulated_maps.measured_variants import is_measured_variant, parse_variant


@dataclass(frozen=True)
class Cell:
    """What a method reached on a group of scenes.

    Attributes:
        scenes: how many it answered.
        failures: how many it refused.
        mae, mse, rmse, cosine, fft_correlation: means over the answered scenes, errors on the [0, 1] scale; None without any.
        rmse_low, rmse_high: 95 % bootstrap interval of the mean RMSE, None below two scenes; over kernels where scenes share them.
        symmetry_right: share of scenes with a true order in which the method names it, None where the method names none at all.
        coverage_68, coverage_95: mean shares, None without uncertainties.
        seconds: median.
        cpu_seconds: median processor time, None where it was not recorded.
        cpu_seconds_most: largest processor time.
        accused: share of scenes with a right list in which a warning calls it wrong, None without such scenes.
        named: mean share of the nuisances in a scene that a warning names, None on scenes without.
    """

    scenes: int
    failures: int
    mae: float | None
    mse: float | None
    rmse: float | None
    rmse_low: float | None
    rmse_high: float | None
    cosine: float | None
    fft_correlation: float | None
    symmetry_right: float | None
    coverage_68: float | None
    coverage_95: float | None
    seconds: float | None
    cpu_seconds: float | None = None
    cpu_seconds_most: float | None = None
    accused: float | None = None
    named: float | None = None

    def on_paper_scale(self, name: str) -> float | None:
        """Return mae, mse or rmse times the factor of the [-1, 1] scale."""
        value: float | None = getattr(self, name)
        return None if value is None else PAPER_SCALE[name] * value


def summarise(records: Sequence[Record]) -> Cell:
    """Return the cell of a group of records of one method."""
    answered = [record for record in records if record.failure is None]
    measured = [record for record in answered if record.rmse is not None]
    errors = [float(record.rmse or 0.0) for record in measured]
    kernels = [record.kernel for record in measured]
    low: float | None
    high: float | None
    if None not in kernels and len(set(kernels)) >= 2:
        low, high = grouped_bootstrap_interval(errors, np.array(kernels))
    else:
        low, high = bootstrap_interval(errors) if len(errors) >= 2 else (None, None)
    ordered = [record for record in answered if record.symmetry_true is not None]
    names_orders = any(record.symmetry_found is not None for record in ordered)
    right = [record.symmetry_found == record.symmetry_true for record in ordered]
    times = [record.seconds for record in answered if record.seconds is not None]
    processor = [record.cpu_seconds for record in answered if record.cpu_seconds is not None]
    return Cell(
        scenes=len(answered),
        failures=len(records) - len(answered),
        mae=_mean(record.mae for record in answered),
        mse=_mean(record.mse for record in answered),
        rmse=_mean(errors),
        rmse_low=low,
        rmse_high=high,
        cosine=_mean(record.cosine for record in answered),
        fft_correlation=_mean(record.fft_correlation for record in answered),
        symmetry_right=float(np.mean(right)) if names_orders else None,
        coverage_68=_mean(record.coverage_68 for record in answered),
        coverage_95=_mean(record.coverage_95 for record in answered),
        seconds=float(np.median(times)) if times else None,
        cpu_seconds=float(np.median(processor)) if processor else None,
        cpu_seconds_most=max(processor) if processor else None,
        accused=_mean(None if record.accused is None else float(record.accused) for record in answered),
        named=_mean(_named(record) for record in answered),
    )


def group(records: Iterable[Record], key: Callable[[Record], Hashable]) -> dict[Any, Cell]:
    """Return one cell for each value of a key, in the order of first appearance."""
    groups: defaultdict[Hashable, list[Record]] = defaultdict(list)
    for record in records:
        groups[key(record)].append(record)
    return {value: summarise(members) for value, members in groups.items()}


def as_json(records: Sequence[Record]) -> list[dict[str, Any]]:
    """Return the cells by variant, noise level and method, and by number of defects too, as plain values."""
    rows = []
    for (variant, level, method), cell in group(records, lambda r: (r.variant, r.noise_level, r.method)).items():
        rows.append({"variant": variant, "noise_level": level, "defects": "1-100", "method": method, **asdict(cell)})
    for (variant, level, method, bin_), cell in group(
        records, lambda r: (r.variant, r.noise_level, r.method, defect_bin(r.defects))
    ).items():
        rows.append({"variant": variant, "noise_level": level, "defects": bin_, "method": method, **asdict(cell)})
    return rows


def _named(record: Record) -> float | None:
    if record.variant in VARIANTS or not is_measured_variant(record.variant):
        return None
    return share_named(record.warnings, parse_variant(record.variant).nuisances)


def _mean(values: Iterable[float | None]) -> float | None:
    present = [value for value in values if value is not None]
    return float(np.mean(present)) if present else None
