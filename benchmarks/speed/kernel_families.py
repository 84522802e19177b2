"""Measure the time of every family of kernels beside that of Eq. 7: python benchmarks/speed/kernel_families.py

Each scene is solved by `tikhonov` and by the other methods one after another in one process: CPU seconds on another machine differ,
their ratios hardly. Results are kept scene by scene in kernel_families.json, so a measurement that was cut short goes on where
it ended; `--fresh` begins again. `--table` puts what is there into docs/benchmarks.md. Set OMP_NUM_THREADS=1 for CPU seconds of one
core. `--stages` says where the time of one scene a row goes, by the profiler.
"""

from __future__ import annotations

import argparse
import cProfile
import json
import pstats
import resource
import statistics
import time
from pathlib import Path

import numpy as np

from benchmarks.results_tables import filled, markdown
from benchmarks.speed.scenes import KERNEL_SIZE, SpeedRow, SpeedScene, draw_scene, rows
from qpi_core.base.grid import DEFAULT_PIXEL_SIZE_NM
from qpi_core.base.provenance import versions
from qpi_core.extraction.extractor import Extractor, load_extractor

ROOT = Path(__file__).resolve().parents[2]

BASE, MEASURED = "tikhonov", ("refined",)
SEED = 73_000
"""Of the published table; thresholds are chosen on other seeds."""
RESULTS = Path(__file__).with_suffix(".json")
STAGES = {
    "start_harmonics": "symmetry orders",
    "chances_of_white_noise": "score tests of the noise",
    "find_noise": "noise model",
    "find_stretch": "stretch",
    "choose_orders": "angular orders",
    "repair_list": "list repair",
    "solve_refined": "free correction",
    "run_two_step": "networks",
}
"""Functions by which the profile is divided; one may be called within another."""


def measure(extractor: Extractor, scene: SpeedScene, method: str) -> dict[str, object]:
    """Return what one extraction takes and how good it is."""
    started, cpu = time.perf_counter(), time.process_time()
    estimate = extractor.extract(
        scene.observation, scene.positions, method=method, kernel_size=KERNEL_SIZE, pixel_size_nm=DEFAULT_PIXEL_SIZE_NM
    )
    cpu, wall = time.process_time() - cpu, time.perf_counter() - started
    error, scale = estimate.kernel - scene.kernel, float(np.ptp(scene.kernel))
    errors = () if estimate.uncertainty is None else np.abs(error) / estimate.uncertainty
    return {
        "cpu_s": round(cpu, 3),
        "wall_s": round(wall, 3),
        "rmse": float(np.sqrt(np.mean(error**2))) / scale,
        "inside_68": float(np.mean(errors <= 1)) if len(errors) else None,
        "inside_95": float(np.mean(errors <= 2)) if len(errors) else None,
        "symmetry_order": estimate.symmetry_order,
        "defects": len(estimate.positions),
        # Linux counts in KiB.
        "peak_gib": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20, 2),
    }


def stages(extractor: Extractor, scene: SpeedScene) -> dict[str, float]:
    """Return the share of the time that is spent in each of STAGES, by the default method."""
    profile = cProfile.Profile()
    profile.enable()
    extractor.extract(scene.observation, scene.positions, kernel_size=KERNEL_SIZE, pixel_size_nm=DEFAULT_PIXEL_SIZE_NM)
    profile.disable()
    found = pstats.Stats(profile)
    spent = {STAGES[name]: timing[3] for (_, _, name), timing in found.stats.items() if name in STAGES}
    return {name: round(seconds / found.total_tt, 2) for name, seconds in spent.items()}


def table(content: dict) -> str:
    """Return a row for each kind of scene: CPU seconds of the base and of the default method, and their ratio."""
    written = []
    for row in rows():
        found = content["rows"].get(row.name, {})
        scenes = [scene for scene in found.values() if MEASURED[0] in scene]
        if not scenes:
            continue
        base = statistics.median(scene[BASE]["cpu_s"] for scene in scenes)
        own = [scene[MEASURED[0]] for scene in scenes]
        seconds = [one["cpu_s"] for one in own]
        shares = next((scene["stages"] for scene in found.values() if "stages" in scene), {})
        most = sorted(shares.items(), key=lambda item: -item[1])[:2]
        written.append(
            [
                row.family,
                f"{row.shape[0]} x {row.shape[1]}, {row.count}",
                row.given,
                f"{row.noise:g}",
                str(len(scenes)),
                f"{base:.2f}",
                f"{statistics.median(seconds):.2f} / {max(seconds):.2f}",
                f"{statistics.median(seconds) / base:.1f}",
                f"{statistics.fmean(one['rmse'] for one in own):.5f}",
                " / ".join(f"{100 * statistics.fmean(one[name] for one in own):.0f}" for name in ("inside_68", "inside_95")),
                ", ".join(f"{name} {100 * share:.0f} %" for name, share in most) or "-",
            ]
        )
    header = [
        "kernel",
        "map, defects",
        "list",
        "noise",
        "scenes",
        "`tikhonov` CPU s",
        "`refined` CPU s, median / most",
        "ratio",
        "RMSE",
        "% within 1 / 2 s.d.",
    ]
    return markdown([*header, "where most of it goes"], written)


def main() -> None:
    """Measure what is not there yet, write after every scene."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--scenes", type=int, default=3, help="scenes a row (default 3)")
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--rows", nargs="*", help="only rows whose name holds all of these words")
    parser.add_argument("--sizes", choices=("all", "small"), default="all")
    parser.add_argument("--methods", nargs="*", default=list(MEASURED))
    parser.add_argument("--out", type=Path, default=RESULTS)
    parser.add_argument("--stages", action="store_true")
    parser.add_argument("--fresh", action="store_true")
    parser.add_argument("--table", action="store_true", help="fill the table of docs/benchmarks.md, measure nothing")
    args = parser.parse_args()
    content = json.loads(args.out.read_text("utf-8")) if args.out.is_file() and not args.fresh else {"rows": {}}
    if args.table:
        page = ROOT / "docs" / "benchmarks.md"
        page.write_text(filled(page.read_text("utf-8"), {"speed_kernels": table(content)}), "utf-8")
        return
    if content["rows"] and content["seed"] != args.seed:
        parser.error(f"{args.out} holds scenes of the seed {content['seed']}; use --fresh or another --out.")
    content |= {"command": "python benchmarks/speed/kernel_families.py", "seed": args.seed, "versions": versions()}
    extractor = load_extractor(device="cpu")
    # Imports and caches are no part of an extraction.
    for method in (BASE, *args.methods):
        measure(extractor, draw_scene(SpeedRow("eq7", count=5), args.seed, 0), method)
    for row in rows(args.sizes):
        if args.rows and not all(word in row.name for word in args.rows):
            continue
        for index in range(args.scenes):
            _measure_scene(extractor, row, index, args, content)
    if not args.rows:
        print(table(content))


def _measure_scene(extractor: Extractor, row: SpeedRow, index: int, args: argparse.Namespace, content: dict) -> None:
    held = content["rows"].setdefault(row.name, {}).setdefault(str(index), {})
    missing = [method for method in args.methods if method not in held]
    profiled = args.stages and index == 0 and "stages" not in held
    if not missing and not profiled:
        return
    scene = draw_scene(row, args.seed, index)
    if missing:
        for method in (BASE, *missing):
            held[method] = measure(extractor, scene, method)
            if method != BASE:
                one = held[method]
                print(
                    f"{row.name}, {index}: {method} {one['cpu_s']:.2f} s, {BASE} {held[BASE]['cpu_s']:.2f}, {one['rmse']:.5f}", flush=True
                )
    if profiled:
        held["stages"] = stages(extractor, scene)
        print(f"{row.name}: {held['stages']}", flush=True)
    args.out.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
