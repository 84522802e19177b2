"""Figures of the paper's experiment: case studies (Fig. 4), the latent space (Fig. 5), loss curves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from qpi_core.evaluation.paper.paper_experiment import WITH, WITHOUT
from qpi_core.synthesis.datasets.dataset_reader import DatasetSample
from qpi_core.synthesis.kernel_families.equation_7 import SYMMETRY_ORDERS

if TYPE_CHECKING:
    from qpi_core.extraction.extractor import Extractor

NETWORKS = ((WITH, "one_step", "one step"), (WITH, "two_step", "two steps"), (WITHOUT, "two_step", "without\nsymmetry loss"))
"""Training run, method and title of a column."""


def case_studies(samples: Sequence[DatasetSample], extractors: Mapping[str, Extractor]) -> Figure:
    """Return observation, truth and what the networks make of it, one row a symmetry order.

    Args:
        samples: out-of-domain; the first of each order is shown, whatever the networks make of it.
        extractors: by training run; networks that are not there are left out.
    """
    networks = [
        (extractors[run], method, title) for run, method, title in NETWORKS if run in extractors and _holds(extractors[run], method)
    ]
    chosen = [next(s for s in samples if s.symmetry_order == order) for order in SYMMETRY_ORDERS if _has(samples, order)]
    figure = Figure(figsize=(7.5, 1.5 * len(chosen) + 0.4), dpi=130, layout="constrained")
    titles = ["observation", "A", *(title for _, _, title in networks)]
    axes = figure.subplots(len(chosen), len(titles), squeeze=False)
    for row, sample in zip(axes, chosen, strict=True):
        truth = sample.kernel
        kernels = [
            extractor.extract(sample.observation, sample.positions, method=method, kernel_size=len(truth)).kernel
            for extractor, method, _ in networks
        ]
        for place, image in enumerate((sample.observation, truth, *kernels)):
            low, high = (None, None) if place == 0 else (float(truth.min()), float(truth.max()))
            row[place].imshow(image, cmap="cividis", vmin=low, vmax=high)
            row[place].set_xticks([])
            row[place].set_yticks([])
        row[0].set_ylabel(f"n = {sample.symmetry_order}, {len(sample.positions)} defects", fontsize="small")
    for axis, title in zip(axes[0], titles, strict=True):
        axis.set_title(title, fontsize="small")
    return figure


def _holds(extractor: Extractor, method: str) -> bool:
    return method != "one_step" or extractor.models().one_step is not None


def _has(samples: Sequence[DatasetSample], order: int) -> bool:
    return any(sample.symmetry_order == order for sample in samples)


def latent_map(embedding: NDArray[np.float32], orders: Sequence[int], wavenumbers: Sequence[float]) -> Figure:
    """Return the t-SNE of the kernels' latents, (n, 2), coloured by symmetry order and by B."""
    figure = Figure(figsize=(8, 3.6), dpi=130, layout="constrained")
    left, right = figure.subplots(1, 2)
    order = np.asarray(orders)
    for value in sorted(set(orders)):
        left.scatter(*embedding[order == value].T, s=14, label=f"n = {value}")
    left.legend(fontsize="small")
    left.set_title("symmetry order", fontsize="small")
    shown = right.scatter(*embedding.T, s=14, c=np.asarray(wavenumbers), cmap="viridis")
    right.set_title("B (rad/nm)", fontsize="small")
    figure.colorbar(shown, ax=right)
    for axis in (left, right):
        axis.set_xticks([])
        axis.set_yticks([])
    return figure


def loss_figure(curves: Mapping[str, Sequence[Mapping[str, float]]], held_out: Mapping[str, Sequence[Mapping[str, float]]]) -> Figure:
    """Return the squared error (latent distance for Encoder_Y) against the step, one line a stage of each run.

    Args:
        curves: training losses by "run/stage".
        held_out: the same on pairs that were kept back from training, dashed.
    """
    figure = Figure(figsize=(7, 4.5), dpi=130, layout="constrained")
    axes = figure.add_subplot()
    for name, lines in curves.items():
        quantity = "latent" if lines and "latent" in lines[0] else "mse"
        line = axes.plot([line["step"] for line in lines], [line[quantity] for line in lines], lw=1, label=f"{name} ({quantity})")[0]
        kept_back = held_out.get(name, ())
        axes.plot([entry["step"] for entry in kept_back], [entry[quantity] for entry in kept_back], "--", color=line.get_color())
    axes.set_yscale("log")
    axes.set_xlabel("step (dashed: pairs kept back from training)")
    axes.set_ylabel("loss")
    axes.legend(fontsize="x-small")
    axes.grid(alpha=0.3)
    return figure
