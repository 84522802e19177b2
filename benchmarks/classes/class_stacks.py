"""Kernels of two classes of defects at every energy: python benchmarks/classes/class_stacks.py [--scenes N] [--clicks PX]

Simulates stacks of 25 energies, 185 x 185 pixels, with 60 defects of each of two classes whose kernels are lattice-like, 48 pixels wide
and change with energy, at a signal to noise of 1 (equal variances), and compares `extract_stack(classes=...)` with the truth and with
one class alone on the stack from which the other one's exact pattern has been taken out. With --clicks the positions are off by a
Gaussian of that many pixels and are refined by all energies together; the comparison is with the exact positions, and with what exact
kernels would find. Writes
benchmarks/classes/class_stacks.json, or with --clicks class_stacks_clicks.json.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from pathlib import Path

import numpy as np

from qpi_core import extract_stack
from qpi_core.extraction.extractor import Extractor
from qpi_core.synthesis.simulated_maps.scenes import superpose

ENERGIES, SIDE, SIZE, DEFECTS, PERIOD_PX = 25, 185, 48, 60, 7.0
CLASSES = ("A", "B")
_STREAM, _DIFFERENCE_PX = 107, 0.02


def pattern(waves, weights, ring, phase):
    """Return a function of offsets in px: plane waves of a lattice and a ring of the length of the last one, under a Gaussian."""
    length = float(np.hypot(*waves[-1]))

    def evaluate(x, y):
        radius = np.hypot(x, y)
        plane = sum(weight * np.cos(wave[0] * x + wave[1] * y) for weight, wave in zip(weights, waves, strict=True))
        return (plane + ring * np.cos(length * radius + phase)) * np.exp(-(radius**2) / (2 * (SIZE / 6) ** 2))

    return evaluate


def scene(seed: int):
    """Return the noisy stack, the positions and patterns of both classes, the true kernels (class, energy, k, k), and as functions."""
    rng = np.random.default_rng([_STREAM, seed])
    offsets = np.arange(SIZE) - SIZE // 2
    dx, dy = np.meshgrid(offsets, offsets)
    positions = [rng.uniform(0, SIDE - 1, (DEFECTS, 2)) for _ in CLASSES]
    parts, truth, functions = [], [], []
    for own in positions:
        turn, drift = rng.uniform(0, np.pi / 2), rng.uniform(0.1, 0.3)
        mix, phases = rng.uniform(0.4, 1.0, 3), rng.uniform(0, 2 * np.pi, 3)
        kernels, patterns, evaluates = [], [], []
        for energy in range(ENERGIES):
            length = 2 * np.pi / PERIOD_PX * (1 + drift * energy / ENERGIES)
            angles = turn + np.arange(4) * np.pi / 2
            waves = [scale * length * np.array([np.cos(a), np.sin(a)]) for scale in (0.5, 1.0) for a in angles]
            evaluate = pattern(waves, np.repeat(mix[:2], 4), mix[2], phases[0] + 0.1 * energy)
            kernels.append(evaluate(dx, dy))
            patterns.append(superpose(evaluate, own, (SIDE, SIDE), 1.0))
            evaluates.append(evaluate)
        spread = np.std(patterns, axis=(1, 2), keepdims=True)
        parts.append(np.array(patterns) / spread)
        truth.append(np.array(kernels) / spread)
        functions.append([lambda x, y, e=e, s=float(s): e(x, y) / s for e, s in zip(evaluates, spread[:, 0, 0], strict=True)])
    clean = sum(parts)
    noise = clean.std(axis=(1, 2), keepdims=True) * rng.standard_normal(clean.shape)
    return (clean + noise).astype(np.float32), positions, [part.astype(np.float32) for part in parts], truth, functions


def found_by_exact_kernels(stack, positions, parts, functions):
    """Return how far, (n,) px, places would end from the truth if all kernels were known: one Gauss-Newton step from it."""
    y, x = np.mgrid[:SIDE, :SIDE].astype(float)
    size = 2 * sum(len(own) for own in positions)
    information, pull = np.zeros((size, size)), np.zeros(size)
    for energy, layer in enumerate(stack):
        slopes = []
        for own, of_class in zip(positions, functions, strict=True):
            at, step = of_class[energy], _DIFFERENCE_PX
            for dx, dy in ((step, 0.0), (0.0, step)):
                slopes += [(at(x - px - dx, y - py - dy) - at(x - px + dx, y - py + dy)).ravel() / (2 * step) for px, py in own]
        matrix, clean = np.array(slopes), sum(part[energy] for part in parts).astype(float)
        information += matrix @ matrix.T / clean.var()
        pull += matrix @ (layer - clean).ravel() / clean.var()
    change = np.linalg.solve(information, pull).reshape(len(positions), 2, -1)
    return np.concatenate([np.hypot(*one) for one in change])


def cosines(found, truth):
    """Return the cosine of every energy's kernel with the truth."""
    a, b = found.reshape(len(found), -1), truth.reshape(len(truth), -1)
    return (a * b).sum(axis=1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)


def rmse(found, truth):
    """Return the error of the kernels of all energies."""
    return float(np.sqrt(np.mean((found - truth) ** 2)))


def measure(seed: int, clicks: float) -> dict[str, float]:
    """Return what was reached on one stack."""
    stack, positions, parts, truth, functions = scene(seed)
    labels = [name for name, own in zip(CLASSES, positions, strict=True) for _ in own]
    places = np.vstack(positions)
    extractor = Extractor(device="cpu")
    arguments = {"classes": labels, "kernel_size": SIZE}
    given = places + clicks * np.random.default_rng([_STREAM, seed, 1]).standard_normal(places.shape) if clicks else places
    begun, cpu = time.perf_counter(), time.process_time()
    refine = {"refine_positions": True} if clicks else {}
    found = extract_stack(extractor, stack, np.clip(given, 0, SIDE - 1), **arguments, **refine)
    record = {"seconds": time.perf_counter() - begun, "cpu_seconds": time.process_time() - cpu}
    errors = [rmse(found[name].kernels, own) for name, own in zip(CLASSES, truth, strict=True)]
    record["cosine"] = float(np.mean([cosines(found[name].kernels, own).mean() for name, own in zip(CLASSES, truth, strict=True)]))
    record["rmse"] = float(np.sqrt(np.mean(np.square(errors))))
    if clicks:
        exact = extract_stack(extractor, stack, places, **arguments)
        record["position_error_px"] = float(np.median(np.hypot(*(found.positions - places).T)))
        record["position_error_of_exact_kernels_px"] = float(np.median(found_by_exact_kernels(stack, positions, parts, functions)))
        known = [rmse(exact[name].kernels, own) for name, own in zip(CLASSES, truth, strict=True)]
    else:
        known = []
        for k, own in enumerate(positions):
            alone = extract_stack(extractor, stack - parts[1 - k], own, kernel_size=SIZE)
            known.append(rmse(alone.kernels, truth[k]))
    record["ratio"] = record["rmse"] / float(np.sqrt(np.mean(np.square(known))))
    return record


def main() -> None:
    """Measure the scenes and write the table's file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scenes", type=int, default=3)
    parser.add_argument("--clicks", type=float, default=0.0, metavar="PX")
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    out = args.out or Path(__file__).with_name("class_stacks_clicks.json" if args.clicks else "class_stacks.json")
    records = []
    for seed in range(args.scenes):
        records.append(measure(seed, args.clicks))
        print(seed, records[-1], flush=True)
        out.write_text(json.dumps({"clicks_px": args.clicks, "cores": os.cpu_count(), "scenes": records}, indent=1) + "\n")


if __name__ == "__main__":
    main()
