"""Measure how long one extraction takes: python benchmarks/speed/extraction.py [--only-stack]

Writes extraction.json: each method on 64x64 benchmark scenes after everything is loaded; positions refined from clicks that are
off by 0.7 px, with how far from the truth they end; Tikhonov and the default method on a 512x512 map with 500 defects and a
1024x1024 map with 1000, with the most memory the process has taken so far; and an energy stack of 200 layers of 256x256.
Times are wall-clock medians on the machine that runs it; nothing else should run. Of the stack the processor's seconds stand beside them,
which other programs do not change much; --only-stack measures it alone and keeps the rest of the file.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import time
from pathlib import Path

import numpy as np
import torch

from qpi_core.base.electron import HBAR2_OVER_2M_MEV_NM2
from qpi_core.base.provenance import versions
from qpi_core.evaluation.benchmark.measure import warm_up
from qpi_core.evaluation.benchmark.scenes import TUNING_SEED, draw_benchmark_scene
from qpi_core.extraction.extractor import load_extractor
from qpi_core.extraction.methods import DEFAULT_METHOD, METHODS
from qpi_core.extraction.stacks.stack_extraction import extract_stack
from qpi_core.synthesis.kernel_families.equation_7 import draw_kernel_parameters
from qpi_core.synthesis.simulated_maps.scenes import draw_positions, simulate_observation

LARGE_MAPS, NOISE_LEVEL = (((512, 512), 500), ((1024, 1024), 1000)), 0.2
CLICK_ERROR_PX, CLICK_NOISE, CLICKED = 0.7, 0.1, (10, 40)
STACK_LAYERS, STACK_SHAPE, STACK_DEFECTS, STACK_PITCH_NM, STACK_NOISE = 200, (256, 256), 150, 0.16, 0.1
BAND_EDGE_MEV, MASS = -65.0, 0.40
"""Of the surface state of Ag(111)."""


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


def time_refinement(extractor, scenes):
    """Return seconds of an extraction with refined positions, and how far from the truth they end, over off-grid maps."""
    seconds, distances = [], []
    for index in range(scenes):
        rng = np.random.default_rng([TUNING_SEED, index])
        positions = draw_positions(rng, int(rng.integers(*CLICKED, endpoint=True)), (64, 64), on_grid=False)
        clean = simulate_observation(draw_kernel_parameters(rng, (0, 2, 3, 4, 6)[index % 5]), positions, (64, 64))
        observation = clean + CLICK_NOISE * clean.std() * rng.standard_normal(clean.shape)
        clicks = np.clip(positions + rng.normal(0, CLICK_ERROR_PX, positions.shape), -0.5, 63.5)
        started = time.perf_counter()
        estimate = extractor.extract(observation, clicks, refine_positions=True, pixel_size_nm=10 / 64)
        seconds.append(time.perf_counter() - started)
        distances.append(float(np.median(np.hypot(*(estimate.positions - positions).T))))
    found = {
        "median_s": round(statistics.median(seconds), 3),
        "slowest_s": round(max(seconds), 3),
        "median_error_px": round(statistics.median(distances), 4),
        "worst_error_px": round(max(distances), 4),
        "scenes": scenes,
    }
    print(f"64x64    refined positions: {found}", flush=True)
    return found


def time_stack(extractor):
    """Return seconds for an energy stack of a parabolic band, every layer with its own noise."""
    rng = np.random.default_rng(TUNING_SEED)
    positions = draw_positions(rng, STACK_DEFECTS, STACK_SHAPE, on_grid=False)
    energies = np.linspace(-40.0, 160.0, STACK_LAYERS)
    layers = []
    for wavenumber in np.sqrt((energies - BAND_EDGE_MEV) * MASS / HBAR2_OVER_2M_MEV_NM2):
        pattern = {"symmetry_order": 0, "wavenumber": float(wavenumber), "phase": 0.5, "decay": 0.05}
        clean = simulate_observation(pattern, positions, STACK_SHAPE, pixel_size_nm=STACK_PITCH_NM)
        layers.append((clean + STACK_NOISE * clean.std() * rng.standard_normal(STACK_SHAPE)).astype(np.float32))
    stack = np.stack(layers)
    started, cpu = time.perf_counter(), time.process_time()
    extract_stack(extractor, stack, positions, bias_mv=energies, pixel_size_nm=STACK_PITCH_NM, kernel_size=64)
    seconds, cpu = time.perf_counter() - started, time.process_time() - cpu
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(f"{STACK_LAYERS} layers of {STACK_SHAPE}: {seconds:.1f} s ({cpu:.1f} of the CPU), at most {memory:.2f} GiB so far", flush=True)
    return {"s": round(seconds, 1), "cpu_s": round(cpu, 1), "peak_memory_gib": round(memory, 2)}


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", help="released model (default: the default one)")
    parser.add_argument("--scenes", type=int, default=15, help="64x64 scenes for each method (default 15)")
    parser.add_argument("--out", type=Path, default=Path(__file__).with_suffix(".json"))
    parser.add_argument("--only-stack", action="store_true", help="measure the energy stack alone; the rest of the file stays")
    args = parser.parse_args()
    extractor = load_extractor(args.model, device="cpu")
    stack_name = f"{STACK_LAYERS} layers of {STACK_SHAPE[0]}x{STACK_SHAPE[1]}, {STACK_DEFECTS} defects"
    if args.only_stack:
        known = json.loads(args.out.read_text(encoding="utf-8")) if args.out.exists() else {}
        content = {**known, stack_name: {**time_stack(extractor), "versions": versions()}}
        args.out.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
        return
    methods = [name for name, method in METHODS.items() if extractor.has_model or not method.needs_model]
    large_methods = list(dict.fromkeys(["tikhonov", *(m for m in [DEFAULT_METHOD] if m in methods)]))
    content = {
        "command": "python benchmarks/speed/extraction.py",
        "processor_cores": os.cpu_count(),
        "torch_threads": torch.get_num_threads(),
        "versions": versions(),
        "64x64": time_small(extractor, methods, args.scenes),
        "64x64, refined positions": time_refinement(extractor, args.scenes),
        **{f"{shape[0]}x{shape[1]}, {count} defects": time_large(extractor, large_methods, shape, count) for shape, count in LARGE_MAPS},
        stack_name: time_stack(extractor),
    }
    args.out.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
