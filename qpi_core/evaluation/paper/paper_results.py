"""What the paper's experiment gives: Tables 1 and 2 with the rows that its later version adds, and its claims with intervals.

Only finished networks are measured. Every network sees the same test observations, and what was measured is kept by the hash of the
weights, so a call that was interrupted goes on and networks that were trained later are added.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from qpi_core.evaluation.benchmark.measure import CEILING, warm_up
from qpi_core.evaluation.benchmark.records import Record, append_records, read_records
from qpi_core.evaluation.benchmark.summary import group
from qpi_core.evaluation.benchmark.tables import markdown, number
from qpi_core.evaluation.metrics import grouped_bootstrap_interval
from qpi_core.evaluation.paper.paper_experiment import (
    ALPHA,
    NOISE,
    RANDOM,
    SIMILAR,
    TURNS,
    WITH,
    WITHOUT,
    PaperExperiment,
    loss_curves,
)
from qpi_core.evaluation.paper.protocol import PUBLISHED_WITHOUT_SYMMETRY_LOSS, SETTINGS, as_json, choose_samples, measure_sample, table_1
from qpi_core.networks.checkpoints import weights_hash
from qpi_core.synthesis.datasets.dataset_files import IN_DOMAIN, OUT_OF_DOMAIN
from qpi_core.synthesis.datasets.dataset_reader import DatasetSample, KernelDataset
from qpi_core.training.loop import HELD_OUT_NAME

if TYPE_CHECKING:
    from qpi_core.extraction.extractor import Extractor

CLASSICAL = ("defect_average", "tikhonov", "harmonic")
MOST_CLASSICAL = 200
"""Test observations of each setting that the classical methods see; some of them take a hundred times as long as a network."""
NEIGHBOURS = 5
CURVE_POINTS = 60
ENDINGS = {WITH: "", WITHOUT: ", no symmetry loss", RANDOM: ", random start", NOISE: ", with noise", TURNS: ", eight orientations"} | {
    SIMILAR: ", turned and stretched"
}
"""What the name of a method ends with, by training run."""


@dataclass(frozen=True)
class Claim:
    """A statement of the paper: one method has the smaller mean RMSE.

    Attributes:
        text: the statement.
        setting: part of the data set.
        better, worse: names of the methods.
        published: ratio of the published RMSEs, worse over better; None where there is none.
    """

    text: str
    setting: str
    better: str
    worse: str
    published: float | None


CLAIMS = (
    Claim("two steps beat one step in domain", IN_DOMAIN, "two_step", "one_step", 0.0340 / 0.0163),
    Claim("two steps beat one step out of domain", OUT_OF_DOMAIN, "two_step", "one_step", 0.1193 / 0.0924),
    Claim("the symmetry loss helps out of domain", OUT_OF_DOMAIN, "two_step", "two_step, no symmetry loss", 0.1004 / 0.0924),
    Claim("the pretrained start helps two steps out of domain", OUT_OF_DOMAIN, "two_step", "two_step, random start", None),
    Claim("the pretrained start helps one step out of domain", OUT_OF_DOMAIN, "one_step", "one_step, random start", None),
    Claim("training with noise helps out of domain", OUT_OF_DOMAIN, "two_step, with noise", "two_step", None),
)


def finished_runs(experiment: PaperExperiment) -> list[str]:
    """Return the training runs whose two-step networks are finished."""
    models = {name: experiment.training(name).model_folder for name in ENDINGS}
    return [name for name, folder in models.items() if all((folder / part).is_dir() for part in ("kernel_vae", "observation_encoder"))]


def measure_networks(experiment: PaperExperiment, extractors: dict[str, Extractor], progress: bool = True) -> list[Record]:
    """Measure the finished networks, and the classical methods beside them, on the test observations.

    Args:
        experiment: as trained.
        extractors: of `finished_runs`.
        progress: show progress bars on standard error.
    """
    dataset = KernelDataset(experiment.folder / "dataset")
    samples = [s for split in SETTINGS for s in choose_samples(dataset, split, experiment.scenes, experiment.plan.seed)]
    records: list[Record] = []
    for name, extractor in extractors.items():
        baseline = (extractor.models().folder / "one_step").is_dir()
        methods = ["one_step"] * baseline + ["two_step"] + [CEILING] * (name != NOISE)
        found = _measured(experiment, f"{name}-{weights_hash(extractor.models().folder)[:12]}", extractor, methods, samples, progress)
        records += [replace(record, method=record.method + ENDINGS[name]) for record in found]
    if extractors:
        few = [s for split in SETTINGS for s in [s for s in samples if s.split == split][:MOST_CLASSICAL]]
        records += _measured(experiment, "classical", next(iter(extractors.values())), CLASSICAL, few, progress)
    return records


def _measured(
    experiment: PaperExperiment, name: str, extractor: Extractor, methods: Sequence[str], samples: Sequence[DatasetSample], progress: bool
) -> list[Record]:
    """Return the records of some methods on the samples, from the file where they stand there already."""
    path = experiment.folder / "records" / f"{name}.jsonl"
    path.parent.mkdir(exist_ok=True)
    known = {_key(record): record for record in read_records(path)}
    wanted = [(sample, method) for sample in samples for method in methods]
    if any(_wanted_key(sample, method) not in known for sample, method in wanted):
        warm_up(extractor, methods)
    found = []
    for sample, method in tqdm(wanted, desc=name, disable=not progress, mininterval=5):
        key = _wanted_key(sample, method)
        if key not in known:
            known[key] = measure_sample(extractor, method, sample)
            append_records(path, [known[key]])
        found.append(known[key])
    return found


def _key(record: Record) -> tuple[str, int | None, int, str]:
    return record.variant, record.kernel, record.index, record.method


def _wanted_key(sample: DatasetSample, method: str) -> tuple[str, int | None, int, str]:
    return sample.split, sample.kernel_index, sample.observation_index, method


def check_claims(records: Sequence[Record]) -> list[dict[str, Any]]:
    """Return, for every claim whose methods were measured, the ratio of the mean RMSEs with its 95 % interval over kernels.

    A claim holds where the whole interval of the ratio, worse over better, lies above 1; it fails where all of it lies below.
    """
    found = []
    for claim in CLAIMS:
        errors = [
            {(r.kernel, r.index): r.rmse for r in records if (r.variant, r.method) == (claim.setting, name) and r.rmse is not None}
            for name in (claim.better, claim.worse)
        ]
        both = sorted(set(errors[0]) & set(errors[1]), key=str)
        kernels = np.array([kernel for kernel, _ in both])
        if len(set(kernels)) < 2:
            continue
        pairs = np.array([[part[place] for part in errors] for place in both], dtype=np.float64)
        low, high = grouped_bootstrap_interval(pairs, kernels, lambda means: means[:, 1] / means[:, 0])
        ratio = float(pairs[:, 1].mean() / pairs[:, 0].mean())
        verdict = "holds" if low > 1 else "fails" if high < 1 else "open"
        entry = {"ratio": ratio, "low": low, "high": high, "verdict": verdict, "scenes": len(both), "kernels": len(set(kernels))}
        found.append({**asdict(claim), "setting": SETTINGS[claim.setting], **entry})
    return found


def latent_neighbourhood(latents: NDArray[np.float32], orders: Sequence[int], wavenumbers: Sequence[float]) -> dict[str, float]:
    """Say what neighbours in the latent space share: the paper finds modes (B) there, and too little of the folds.

    Args:
        latents: (n, 4, 8, 8).
        orders: (n,) symmetry orders.
        wavenumbers: (n,) B in rad/nm.

    Returns:
        same_order: share of the NEIGHBOURS nearest kernels that have the same symmetry order; same_order_chance: expected of random
        ones; wavenumber_explained: 1 - variance of B about the neighbours' mean over its variance (at most 1, 0 is no better than
        the mean of all).
    """
    flat = latents.reshape(len(latents), -1).astype(np.float64)
    distances = np.linalg.norm(flat[:, None] - flat[None], axis=2)
    np.fill_diagonal(distances, np.inf)
    nearest = np.argsort(distances, axis=1)[:, :NEIGHBOURS]
    order, b = np.asarray(orders), np.asarray(wavenumbers, dtype=np.float64)
    counts = np.unique(order, return_counts=True)[1]
    left = b - b[nearest].mean(axis=1)
    return {
        "same_order": float(np.mean(order[nearest] == order[:, None])),
        "same_order_chance": float((counts * (counts - 1)).sum() / (len(order) * (len(order) - 1))),
        "wavenumber_explained": float(1 - np.mean(left**2) / np.var(b)),
    }


def table_2(records: Sequence[Record]) -> str:
    """Return the paper's Table 2 in markdown: out-of-domain, with and without the symmetry loss, on the paper's scale."""
    cells = group(records, lambda record: (record.variant, record.method))
    rows = [["without, published", *(number(PUBLISHED_WITHOUT_SYMMETRY_LOSS[name]) for name in ("mae", "mse", "rmse"))]]
    for label, method in (("with", "two_step"), ("without", "two_step, no symmetry loss")):
        cell = cells.get((OUT_OF_DOMAIN, method))
        if cell is not None:
            rows.append([f"{label}, here", *(number(cell.on_paper_scale(name)) for name in ("mae", "mse", "rmse"))])
    return markdown(["symmetry loss", "MAE", "MSE", "RMSE"], [["with, published", "0.0595", "0.0142", "0.0924"], *rows])


def claims_table(claims: Sequence[dict[str, Any]]) -> str:
    """Return the claims in markdown: published ratio, ratio here with its interval, and whether the claim holds here."""
    rows = [
        [c["text"], number(c["published"], 2), number(c["ratio"], 2), f"{number(c['low'], 2)}-{number(c['high'], 2)}", c["verdict"]]
        for c in claims
    ]
    return markdown(["claim", "published", "here", "95 % interval over kernels", "here it"], rows)


def tables(records: Sequence[Record]) -> str:
    """Return both tables and the claims as one markdown text."""
    claims = claims_table(check_claims(records))
    return f"Table 1\n\n{table_1(records)}\nTable 2, out-of-domain\n\n{table_2(records)}\nRatios of mean RMSE\n\n{claims}"


def results(experiment: PaperExperiment, records: Sequence[Record], latents: dict[str, float]) -> dict[str, Any]:
    """Return everything that was measured as plain values, with thinned loss curves."""
    return {
        "data_set": experiment.plan.as_dict(),
        "recipe": asdict(experiment.recipe),
        "alpha": ALPHA,
        "pretrained": None if experiment.pretrained is None else experiment.pretrained.name,
        "scenes": experiment.scenes,
        "settings": list(SETTINGS.values()),
        **as_json(records),
        "rmse_of_kernels": rmse_of_kernels(records),
        "published_without_symmetry_loss": PUBLISHED_WITHOUT_SYMMETRY_LOSS,
        "claims": check_claims(records),
        "latent_neighbourhood": latents,
        "final_losses": {name: lines[-1] for name, lines in loss_curves(experiment).items() if lines},
        "curves": curves(experiment),
    }


def rmse_of_kernels(records: Sequence[Record]) -> dict[str, dict[str, dict[str, float]]]:
    """Return setting -> method -> kernel -> mean RMSE, from which ratios to runs that are measured elsewhere can be made."""
    cells = group([record for record in records if record.rmse is not None], lambda record: (record.variant, record.method, record.kernel))
    found: dict[str, dict[str, dict[str, float]]] = {}
    for (variant, method, kernel), cell in cells.items():
        found.setdefault(SETTINGS[variant], {}).setdefault(method, {})[str(kernel)] = float(cell.rmse or 0.0)
    return found


def curves(experiment: PaperExperiment) -> dict[str, dict[str, list[dict[str, float]]]]:
    """Return the loss curves of all stages, finished or not: at most CURVE_POINTS of the training loss, all of the held-back pairs."""
    training, held_out = loss_curves(experiment), loss_curves(experiment, HELD_OUT_NAME)
    found = {}
    for name, lines in training.items():
        every = max(1, -(-len(lines) // CURVE_POINTS))
        thinned = [line for place, line in enumerate(reversed(lines)) if place % every == 0][::-1]
        found[name] = {"training": thinned, "held_out": held_out.get(name, [])}
    return found
