"""The paper's own experiment: Table 1, in-domain and out-of-domain, beside the published numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from tqdm import tqdm

from qpi_core.base.errors import InputError
from qpi_core.evaluation.benchmark.measure import check_methods, measure, warm_up
from qpi_core.evaluation.benchmark.records import Record
from qpi_core.evaluation.benchmark.summary import Cell, group
from qpi_core.evaluation.benchmark.tables import markdown, number
from qpi_core.synthesis.datasets.dataset import DatasetPlan, draw_observation, draw_parameters, kernel_splits, observation_splits
from qpi_core.synthesis.datasets.dataset_files import IN_DOMAIN, OUT_OF_DOMAIN
from qpi_core.synthesis.datasets.dataset_reader import DatasetSample, KernelDataset
from qpi_core.synthesis.kernel_families.equation_7 import SYMMETRY_ORDERS, phenomenological_kernel

if TYPE_CHECKING:
    from qpi_core.extraction.extractor import Extractor

SETTINGS = {IN_DOMAIN: "ID", OUT_OF_DOMAIN: "OOD"}
PUBLISHED = {
    (IN_DOMAIN, "one_step"): {"mae": 0.0213, "mse": 0.0019, "rmse": 0.0340},
    (IN_DOMAIN, "two_step"): {"mae": 0.0099, "mse": 0.0003, "rmse": 0.0163},
    (OUT_OF_DOMAIN, "one_step"): {"mae": 0.0722, "mse": 0.0216, "rmse": 0.1193},
    (OUT_OF_DOMAIN, "two_step"): {"mae": 0.0595, "mse": 0.0142, "rmse": 0.0924},
}
"""Table 1 of Ji et al., arXiv 2506.05325."""
PUBLISHED_WITHOUT_SYMMETRY_LOSS = {"mae": 0.0636, "mse": 0.0179, "rmse": 0.1004}
"""Table 2, out-of-domain, two-step trained without the symmetry loss."""
_ERRORS = ("mae", "mse", "rmse")
_CHOICE_STREAM = 0x50524F54


def planned_sample(plan: DatasetPlan, kernel: int, observation: int, split: str) -> DatasetSample:
    """Return one sample of a simulated data set without writing the data set."""
    parameters = draw_parameters(plan, kernel)
    image, positions = draw_observation(plan, kernel, observation)
    pattern = phenomenological_kernel(**parameters.as_dict(), size=plan.size, pixel_size_nm=plan.pixel_size_nm)  # type: ignore[arg-type]
    return DatasetSample(
        observation=image,
        positions=positions,
        kernel=pattern,
        parameters=parameters,
        symmetry_order=parameters.symmetry_order,
        split=split,
        kernel_index=kernel,
        observation_index=observation,
        pixel_size_nm=plan.pixel_size_nm,
    )


def planned_indices(plan: DatasetPlan, split: str) -> list[tuple[int, int]]:
    """Return (kernel, observation) of every sample in one part of a simulated data set."""
    kernels = kernel_splits([SYMMETRY_ORDERS[kernel % len(SYMMETRY_ORDERS)] for kernel in range(plan.kernels)])
    return [
        (kernel, number)
        for kernel, kernel_split in enumerate(kernels)
        for number, part in enumerate(observation_splits(kernel_split, plan.observations))
        if part == split
    ]


def choose_samples(source: DatasetPlan | KernelDataset, split: str, count: int, seed: int) -> list[DatasetSample]:
    """Return a random choice of samples from one part of a data set, all of them where it has fewer.

    Raises:
        InputError: the part is empty.
    """
    places: Sequence[Any] = source.indices(split) if isinstance(source, KernelDataset) else planned_indices(source, split)
    if not places:
        raise InputError(f"the data set has no {split.replace('_', '-')} part; it needs at least 5 kernels with 5 observations each.")
    rng = np.random.default_rng([seed, _CHOICE_STREAM])
    chosen = [places[place] for place in np.sort(rng.permutation(len(places))[:count])]
    if isinstance(source, KernelDataset):
        return [source[place] for place in chosen]
    return [planned_sample(source, kernel, observation, split) for kernel, observation in chosen]


def run_protocol(
    extractor: Extractor,
    source: DatasetPlan | KernelDataset,
    methods: Sequence[str],
    scenes: int,
    seed: int,
    progress: bool = True,
) -> list[Record]:
    """Measure methods on the two test parts of a data set, every method on the same samples.

    Args:
        extractor: with the model to evaluate.
        source: a data set on disk, or the plan of a simulated one.
        methods: names that measure.check_methods accepts.
        scenes: samples of each part.
        seed: of the choice of samples.
        progress: show a progress bar on standard error.

    Raises:
        InputError: an unknown method, no scenes, or a data set without one of the parts.
    """
    check_methods(methods)
    if scenes < 1:
        raise InputError(f"scenes is {scenes}; at least 1 is needed.")
    samples = [sample for split in SETTINGS for sample in choose_samples(source, split, scenes, seed)]
    warm_up(extractor, methods)
    records = []
    for sample in tqdm(samples, desc="scenes", disable=not progress):
        records += [measure_sample(extractor, method, sample) for method in methods]
    return records


def measure_sample(extractor: Extractor, method: str, sample: DatasetSample) -> Record:
    """Return the record of a method on a sample of a data set."""
    blank = Record(
        sample.split,
        0.0,
        sample.observation_index,
        len(sample.positions),
        "",
        symmetry_true=sample.symmetry_order,
        kernel=sample.kernel_index,
    )
    return measure(extractor, method, sample.observation, sample.positions, sample.kernel, sample.pixel_size_nm, blank)


def table_1(records: Sequence[Record]) -> str:
    """Return the paper's Table 1 in markdown: published rows, then what was measured, on both scales."""
    cells = group(records, lambda record: (record.variant, record.method))
    rows = []
    for split, setting in SETTINGS.items():
        for (published_split, method), values in PUBLISHED.items():
            if published_split == split:
                rows.append([setting, f"{method}, published", *(number(values[name]) for name in _ERRORS), "-", "-", "-", "-", "-"])
        for (part, method), cell in cells.items():
            if part == split:
                rows.append(_measured_row(setting, method, cell))
    header = ["setting", "method", "MAE", "MSE", "RMSE", "MAE [0,1]", "MSE [0,1]", "RMSE [0,1]", "95 % interval", "s"]
    return markdown(header, rows)


def as_json(records: Sequence[Record]) -> dict[str, Any]:
    """Return the published and the measured values as plain values."""
    cells = group(records, lambda record: (record.variant, record.method))
    return {
        "published": [{"setting": SETTINGS[split], "method": method, **values} for (split, method), values in PUBLISHED.items()],
        "measured": [
            {
                "setting": SETTINGS[split],
                "method": method,
                "paper_scale": {name: cell.on_paper_scale(name) for name in _ERRORS},
                **asdict(cell),
            }
            for (split, method), cell in cells.items()
        ],
    }


def load_source(dataset: str | Path | None, seed: int) -> DatasetPlan | KernelDataset:
    """Return a data set on disk, or the plan of the paper's data set with this seed."""
    return DatasetPlan(seed=seed) if dataset is None else KernelDataset(dataset)


def _measured_row(setting: str, method: str, cell: Cell) -> list[str]:
    paper = [number(cell.on_paper_scale(name)) for name in _ERRORS]
    own = [number(cell.mae), number(cell.mse, 6), number(cell.rmse)]
    interval = "-" if cell.rmse_low is None else f"{number(cell.rmse_low)}-{number(cell.rmse_high)}"
    refused = f" ({cell.failures} refused)" if cell.failures else ""
    return [setting, f"{method}{refused}", *paper, *own, interval, number(cell.seconds, 3)]
