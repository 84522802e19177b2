"""The benchmark: all methods on the same scenes, resumable, in one process or several."""

from __future__ import annotations

import json
import multiprocessing
import os
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, replace
from functools import lru_cache
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tqdm import tqdm

from qpi_core.base.errors import InputError
from qpi_core.base.provenance import versions
from qpi_core.evaluation.benchmark.formula_limit import formula_limit
from qpi_core.evaluation.benchmark.measure import CEILING, LIMIT, REFINE, SPLIT, check_methods, measure, warm_up
from qpi_core.evaluation.benchmark.records import Record, append_records, read_records
from qpi_core.evaluation.benchmark.scenes import (
    EQUATION_7_VARIANTS,
    HELD_OUT_SEED,
    NOISE_LEVELS,
    VARIANTS,
    BenchmarkScene,
    draw_benchmark_scene,
)
from qpi_core.evaluation.wording.list_blame import blames_list
from qpi_core.extraction.methods import METHODS
from qpi_core.synthesis.simulated_maps.measured_recipe import WHITE_NOISE
from qpi_core.synthesis.simulated_maps.measured_variants import MEASURED_VARIANTS, is_measured_variant

if TYPE_CHECKING:
    from qpi_core.extraction.extractor import Extractor

RECORDS, SETTINGS = "records.jsonl", "settings.json"
REFERENCES = (CEILING, LIMIT)
"""What the tables show beside the methods."""


@dataclass(frozen=True)
class BenchmarkPlan:
    """What to measure.

    Attributes:
        methods: names of methods.METHODS, also with the ending "+positions" or "+classes", and of REFERENCES.
        variants: names of scenes.VARIANTS, or of what measured maps add (synthesis.measured_variants.parse_variant).
        noise_levels: relative to the standard deviation of the clean observation; None is what each variant is published with.
        scenes: number of scenes of each variant and noise level.
        seed: of the scenes.
        model: released model, None for the default one.
        device: where the networks run.
    """

    methods: tuple[str, ...] = (*METHODS, *REFERENCES)
    variants: tuple[str, ...] = ("on-grid",)
    noise_levels: tuple[float, ...] | None = None
    scenes: int = 100
    seed: int = HELD_OUT_SEED
    model: str | None = None
    device: str = "auto"

    def __post_init__(self) -> None:
        check_methods(self.methods, REFERENCES)
        for variant in self.variants:
            if variant not in VARIANTS and not is_measured_variant(variant):
                known = ", ".join([*VARIANTS, *MEASURED_VARIANTS])
                raise InputError(f"variants holds {variant!r}; the variants are {known}, and other levels and sums (+) of the nuisances.")
        if any(not 0 <= level < 1e3 for level in self.noise_levels or ()):
            raise InputError(f"noise_levels holds a value outside 0 to 1000: {self.noise_levels}.")
        if self.scenes < 1 or self.seed < 0:
            raise InputError(f"scenes is {self.scenes} and seed {self.seed}; at least one scene and a seed of 0 or more are needed.")

    def scene_keys(self) -> list[tuple[str, float, int]]:
        """Return (variant, noise level, index) of every scene; the noise levels of one scene follow each other."""
        return [
            (variant, level, index)
            for variant in self.variants
            for index, level in product(range(self.scenes), self.noise_levels_of(variant))
        ]

    def noise_levels_of(self, variant: str) -> tuple[float, ...]:
        """Return the noise levels that a variant is measured at."""
        if self.noise_levels is not None:
            return self.noise_levels
        return NOISE_LEVELS if variant in VARIANTS else (WHITE_NOISE,)

    def methods_on(self, variant: str) -> tuple[str, ...]:
        """Return what is measured on the scenes of a variant: without Eq. 7 there is no limit of the formula."""
        return tuple(method for method in self.methods if method != LIMIT or variant in EQUATION_7_VARIANTS)


def run_benchmark(plan: BenchmarkPlan, folder: str | Path, workers: int = 1, progress: bool = True) -> list[Record]:
    """Measure what a folder does not hold yet, and return the records of the whole plan.

    Methods, variants, noise levels and scenes may be added to a folder by later calls; seed, model and its weights may not change.

    Args:
        plan: what to measure.
        folder: where records are appended as they come.
        workers: processes; each loads the model and computes in one thread. 1 measures in this process.
        progress: show a progress bar on standard error.

    Raises:
        InputError: the folder holds records of another seed, model or weights, or a method needs a model that is not there.
    """
    if any(_needs_model(method) for method in plan.methods):
        _extractor(plan.model, plan.device, ()).models()
    out = Path(folder)
    _open(out, plan)
    # What a method refused is asked again: the reason may have been mended since.
    records = {record.key: record for record in read_records(out / RECORDS) if record.failure is None}
    tasks = [
        (plan, scene, missing)
        for scene in plan.scene_keys()
        if (missing := tuple(method for method in plan.methods_on(scene[0]) if (*scene, method) not in records))
    ]
    with tqdm(total=len(plan.scene_keys()), initial=len(plan.scene_keys()) - len(tasks), desc="scenes", disable=not progress) as bar:
        for found in _measured(tasks, workers):
            append_records(out / RECORDS, found)
            records.update({record.key: record for record in found})
            bar.update()
    return [records[(*scene, method)] for scene in plan.scene_keys() for method in plan.methods_on(scene[0])]


def environment(plan: BenchmarkPlan, workers: int = 1) -> dict[str, Any]:
    """Return what a table must say about how it was made: arguments, versions, model hash, threads."""
    import torch

    extractor = _extractor(plan.model, plan.device, ())
    models = extractor.models() if extractor.has_model else None
    return {
        **asdict(plan),
        "noise_levels": sorted({level for variant in plan.variants for level in plan.noise_levels_of(variant)}),
        "model": None if models is None else {"name": models.name, "sha256": models.sha256, "device": str(models.device)},
        "versions": versions(),
        "processor_cores": os.cpu_count(),
        "threads": torch.get_num_threads() if workers == 1 else 1,
        "workers": workers,
    }


def _needs_model(method: str) -> bool:
    return method == CEILING or method != LIMIT and METHODS[method.removesuffix(REFINE).removesuffix(SPLIT)].needs_model


def _measured(tasks: list[Any], workers: int) -> Iterator[list[Record]]:
    if workers == 1:
        yield from map(_measure_scene, tasks)
        return
    # Fresh processes: a forked one would inherit torch's threads in an undefined state.
    pool = ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn"), initializer=_one_thread)
    try:
        yield from pool.map(_measure_scene, tasks)
    finally:
        # After Ctrl+C the scenes that have not started are dropped; those that were measured are on disk.
        pool.shutdown(cancel_futures=True)


def _one_thread() -> None:
    import torch
    from threadpoolctl import threadpool_limits

    torch.set_num_threads(1)
    threadpool_limits(1)


def _measure_scene(task: tuple[BenchmarkPlan, tuple[str, float, int], tuple[str, ...]]) -> list[Record]:
    plan, (variant, level, index), methods = task
    extractor = _extractor(plan.model, plan.device, plan.methods)
    scene = draw_benchmark_scene(plan.seed, index, variant, level)
    blank = Record(variant, level, index, len(scene.true_positions), "", symmetry_true=scene.symmetry_order)
    return [_measure_method(extractor, method, scene, blank) for method in methods]


def _measure_method(extractor: Extractor, method: str, scene: BenchmarkScene, blank: Record) -> Record:
    if method == LIMIT:
        return replace(blank, method=method, **asdict(formula_limit(scene)))
    found = measure(extractor, method, scene.observation, scene.positions, scene.kernel, scene.pixel_size_nm, blank, scene.noise_sigma)
    judged = scene.list_is_right and method != CEILING and found.failure is None
    return replace(found, accused=blames_list(found.warnings)) if judged else found


@lru_cache(maxsize=1)
def _extractor(model: str | None, device: str, methods: tuple[str, ...]) -> Extractor:
    """Return an extractor that has loaded its model and run every method once."""
    from qpi_core.extraction.extractor import load_extractor

    extractor = load_extractor(model, device=device)
    warm_up(extractor, [method for method in methods if method != LIMIT])
    return extractor


def _open(folder: Path, plan: BenchmarkPlan) -> None:
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{folder.name} is a file; give a folder for the benchmark.")
    folder.mkdir(parents=True, exist_ok=True)
    settings = {"seed": plan.seed, "model": plan.model, "weights_sha256": _weights(plan.model)}
    path = folder / SETTINGS
    if path.is_file():
        found = json.loads(path.read_text(encoding="utf-8"))
        same = {name: found.get(name) for name in settings}
        if same["weights_sha256"] != settings["weights_sha256"] and same["seed"] == plan.seed and same["model"] == plan.model:
            raise InputError(
                f"the folder {folder.name} was measured with other weights of the same model ({_short(same['weights_sha256'])}, now "
                f"{_short(settings['weights_sha256'])}); give a new folder."
            )
        if same != settings:
            asked = {"seed": plan.seed, "model": plan.model}
            raise InputError(
                f"the folder {folder.name} holds a benchmark with { {name: same[name] for name in asked} }, not {asked}; give a new folder."
            )
    elif (folder / RECORDS).exists():
        raise InputError(f"the folder {folder.name} holds records without their settings; give a new folder.")
    else:
        path.write_text(json.dumps(settings), encoding="utf-8")


def _weights(model: str | None) -> str | None:
    """Return the hash of the model's weights; None where there is no model, which the solvers do without."""
    from qpi_core.networks.checkpoints import resolve_model, weights_hash

    try:
        return weights_hash(resolve_model(model))
    except InputError:
        return None


def _short(digest: object) -> str:
    return str(digest)[:12] if digest else "none"
