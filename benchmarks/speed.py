"""Measure how long one extraction takes: python benchmarks/speed.py

Writes benchmarks/speed.json: each method on 64x64 benchmark scenes after everything is loaded, and Tikhonov and the default
method on a 512x512 map with 500 defects. Times are wall-clock medians on the machine that runs it; nothing else should run.
"""

from __future__ import annotations

import argparse
import json
import os
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

LARGE_SHAPE, LARGE_COUNT, NOISE_LEVEL = (512, 512), 500, 0.2


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


def time_large(extractor, methods):
    """Return seconds by method on one 512x512 map with 500 defects between the pixels."""
    rng = np.random.default_rng(TUNING_SEED)
    positions = draw_positions(rng, LARGE_COUNT, LARGE_SHAPE, on_grid=False)
    clean = simulate_observation(draw_kernel_parameters(rng, 4), positions, LARGE_SHAPE)
    observation = clean + NOISE_LEVEL * clean.std() * rng.standard_normal(LARGE_SHAPE)
    found = {}
    for method in methods:
        started = time.perf_counter()
        extractor.extract(observation, positions, method=method)
        found[method] = {"s": round(time.perf_counter() - started, 3)}
        print(f"512x512  {method:16} {found[method]['s']:8.3f} s", flush=True)
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
    content = {
        "command": "python benchmarks/speed.py",
        "processor_cores": os.cpu_count(),
        "torch_threads": torch.get_num_threads(),
        "versions": versions(),
        "64x64": time_small(extractor, methods, args.scenes),
        "512x512, 500 defects": time_large(extractor, list(dict.fromkeys(["tikhonov", *(m for m in [DEFAULT_METHOD] if m in methods)]))),
    }
    args.out.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
