"""Measure how long one extraction takes: python benchmarks/speed.py

Writes benchmarks/speed.json: each method on 64x64 benchmark scenes after everything is loaded, and Tikhonov and the default
method on a 512x512 map with 500 defects and a 1024x1024 map with 1000, with the most memory the process has taken so far.
Times are wall-clock medians on the machine that runs it; nothing else should run.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np  # noqa: E402
import torch  # noqa: E402

from qpi_core.evaluation.measure import warm_up  # noqa: E402
from qpi_core.evaluation.scenes import TUNING_SEED, draw_benchmark_scene  # noqa: E402
from qpi_core.extraction import load_extractor  # noqa: E402
from qpi_core.methods import DEFAULT_METHOD, METHODS  # noqa: E402
from qpi_core.provenance import versions  # noqa: E402
from qpi_core.synthesis.kernels import draw_kernel_parameters  # noqa: E402
from qpi_core.synthesis.scenes import draw_positions, simulate_observation  # noqa: E402

LARGE_MAPS, NOISE_LEVEL = (((512, 512), 500), ((1024, 1024), 1000)), 0.2


def time_small(extractor, methods, scenes):
    """Return seconds by method over 64x64 scenes at 20 % noise: median and slowest."""
    warm_up(extractor, methods)
    found = {}
    for method in methods:
        seconds = []
        for index in range(scenes):
            scene = draw_benchmark_scene(TUNING_SEED, index, noise_level=NOISE_LEVEL)
            started = time.perf_counter()
            extractor.extract(scene.observation, scene.positions, method=method, pixel_size_nm=scene.pixel_size_nm)
            seconds.append(time.perf_counter() - started)
        found[method] = {"median_s": round(statistics.median(seconds), 4), "slowest_s": round(max(seconds), 4), "scenes": scenes}
        print(f"64x64    {method:16} {found[method]['median_s']:8.3f} s (slowest {found[method]['slowest_s']:.3f})", flush=True)
    return found


def time_large(extractor, methods, shape, count):
    """Return seconds and peak memory by method on one map with so many defects between the pixels."""
    rng = np.random.default_rng(TUNING_SEED)
    positions = draw_positions(rng, count, shape, on_grid=False)
    clean = simulate_observation(draw_kernel_parameters(rng, 4), positions, shape)
    observation = clean + NOISE_LEVEL * clean.std() * rng.standard_normal(shape)
    found = {}
    for method in methods:
        started = time.perf_counter()
        extractor.extract(observation, positions, method=method)
        seconds = time.perf_counter() - started
        # Linux counts in KiB.
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
        found[method] = {"s": round(seconds, 3), "peak_memory_gib": round(memory, 2)}
        print(f"{shape[0]}x{shape[1]}  {method:16} {seconds:8.3f} s, at most {memory:.2f} GiB so far", flush=True)
    return found


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", help="released model (default: the default one)")
    parser.add_argument("--scenes", type=int, default=15, help="64x64 scenes for each method (default 15)")
    parser.add_argument("--out", type=Path, default=Path(__file__).with_name("speed.json"))
    args = parser.parse_args()
    extractor = load_extractor(args.model, device="cpu")
    methods = [name for name, method in METHODS.items() if extractor.has_model or not method.needs_model]
    large_methods = list(dict.fromkeys(["tikhonov", *(m for m in [DEFAULT_METHOD] if m in methods)]))
    content = {
        "command": "python benchmarks/speed.py",
        "processor_cores": os.cpu_count(),
        "torch_threads": torch.get_num_threads(),
        "versions": versions(),
        "64x64": time_small(extractor, methods, args.scenes),
        **{f"{shape[0]}x{shape[1]}, {count} defects": time_large(extractor, large_methods, shape, count) for shape, count in LARGE_MAPS},
    }
    args.out.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
