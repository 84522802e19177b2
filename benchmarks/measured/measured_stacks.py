"""Classes and energies under a background: python benchmarks/measured/measured_stacks.py [--classes N] [--energies N] [--side PX] ...

Simulates maps with 20 to 30 defects of each class on square maps of 10 nm times their side over 64, kernels of Eq. 7 whose wave vector
grows by a fifth over the energies, white noise of 0.2, a smooth background (correlation length 3 nm, half of it the same at all
energies) and streaks along the rows, all relative to the standard deviation of the clean layer. `extract_classes` (one energy) or
`extract_stack` solves them with and without a noise model. Printed, and with --out FILE.json added to a file, for each: the mean error
of the kernels on their own [0, 1] scale, the shares of their pixels within 1 and 1.96 standard deviations, the share of right symmetry
orders, CPU seconds. Without background and streaks both answers have to be the same.
With --clicks the positions that the solvers are given are off by a Gaussian of that many pixels, with --spread the strengths of the
defects are log-normal with that deviation, with --flips that share has the other sign (mean 1 in every class, the same at all energies);
none of this is said to the solvers.
With --strained the kernels of each class are stretched by 10 % along a direction of its own, the same at all energies (ratio of the axes
1.1); printed then is the ratio that was found, in the mean over classes and layers that have one, and the share of those that have.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import replace
from pathlib import Path

import numpy as np

from qpi_core import extract_stack
from qpi_core.base.grid import DEFAULT_PIXEL_SIZE_NM, kernel_coordinates
from qpi_core.evaluation.benchmark.unusual_kernels import strained_pattern
from qpi_core.extraction.extractor import Extractor
from qpi_core.synthesis.kernel_families.equation_7 import SYMMETRY_ORDERS, KernelParameters, draw_kernel_parameters, evaluate
from qpi_core.synthesis.nuisances.click_errors import ClickErrors, clicked
from qpi_core.synthesis.nuisances.row_noise import Streaks, draw_streaks
from qpi_core.synthesis.nuisances.smooth_background import SmoothBackground, draw_background
from qpi_core.synthesis.nuisances.strengths import FlippedSigns, UnequalStrengths, draw_signs, draw_strengths
from qpi_core.synthesis.simulated_maps.scenes import Pattern, superpose

SIZE, WHITE, FASTER = 64, 0.2, 0.2
_STREAM = 911


def pattern_of(args, index: int, number: int, parameters: KernelParameters) -> Pattern:
    """Return the pattern of a class, stretched where that is asked for."""
    if args.strained:
        return strained_pattern(parameters, np.random.default_rng([_STREAM, args.seed, index, number]))
    return lambda dx, dy: evaluate(parameters, dx, dy)


def scene(args, index: int):
    """Return the stack (energies, side, side), the listed positions of each class, and the kernels (class, energies, k, k)."""
    rng = np.random.default_rng([_STREAM, args.seed, index, args.classes, args.energies, args.side])
    shape, pitch = (args.side, args.side), DEFAULT_PIXEL_SIZE_NM
    positions = [rng.uniform(0, args.side - 1, (int(rng.integers(20, 31)), 2)) for _ in range(args.classes)]
    strengths = [_strengths(args, len(own), rng) for own in positions]
    orders = [SYMMETRY_ORDERS[(index + 2 * number) % len(SYMMETRY_ORDERS)] for number in range(args.classes)]
    drawn = [draw_kernel_parameters(rng, symmetry_order=order) for order in orders]
    smooth = SmoothBackground(1.0)
    common, layers, truth = draw_background(smooth, shape, rng), [], []
    for energy in range(args.energies):
        growth = 1 + FASTER * energy / max(args.energies - 1, 1)
        grown = [replace(one, wavenumber=one.wavenumber * growth) for one in drawn]
        own = [pattern_of(args, index, number, one) for number, one in enumerate(grown)]
        parts = [superpose(*each, shape, pitch, weights) for *each, weights in zip(own, positions, strengths, strict=True)]
        clean = np.sum(parts, axis=0)
        background = np.sqrt(0.5) * (common + draw_background(smooth, shape, rng))
        other = args.background * background + args.streaks * draw_streaks(Streaks(1.0), shape, rng) + WHITE * rng.standard_normal(shape)
        layers.append(clean + clean.std() * other)
        truth.append([one(*kernel_coordinates(SIZE, pitch)) for one in own])
    clicks = [clicked(ClickErrors(args.clicks), own, shape, rng) if args.clicks else own for own in positions]
    return np.array(layers, dtype=np.float32), clicks, orders, np.array(truth).swapaxes(0, 1)


def _strengths(args, count: int, rng) -> np.ndarray:
    """Return the strengths of the defects of a class, of mean 1: as all are listed as 1, that is what the kernel's scale goes by."""
    if not (args.spread or args.flips):
        return np.ones(count)
    strengths = draw_strengths(UnequalStrengths(args.spread), count, rng) * draw_signs(FlippedSigns(args.flips), count, rng)
    return strengths / strengths.mean()


def measure(args, index: int, noise_model: str) -> dict[str, object]:
    """Return what one noise model reaches on one scene."""
    stack, positions, orders, truth = scene(args, index)
    labels = [str(number) for number, own in enumerate(positions) for _ in own]
    places, pitch = np.vstack(positions), DEFAULT_PIXEL_SIZE_NM
    extractor, begun = Extractor("none", device="cpu"), time.process_time()
    common = {"method": args.method, "kernel_size": SIZE, "pixel_size_nm": pitch, "noise_model": noise_model}
    if args.energies == 1:
        several = extractor.extract_classes(stack[0], places, labels, **common)
        found = [several[str(k)] for k in range(args.classes)]
        kernels, deviations = ([getattr(one, name)[None] for one in found] for name in ("kernel", "uncertainty"))
        named, said = [[one.symmetry_order] for one in found], [one.parameters for one in found]
    else:
        result = extract_stack(extractor, stack, places, classes=labels if args.classes > 1 else None, **common)
        found = [result[str(k)] for k in range(args.classes)] if args.classes > 1 else [result]
        kernels, deviations = ([getattr(one, name) for one in found] for name in ("kernels", "uncertainties"))
        named, said = [list(one.symmetry_order) for one in found], [layer for one in found for layer in one.parameters]
    seconds = time.process_time() - begun
    scale = np.ptp(truth, axis=(2, 3))
    missed = np.array(kernels) - truth
    off = np.abs(missed) / np.array(deviations)
    return {
        "scene": index,
        "noise_model": noise_model,
        "rmse": float(np.mean(np.sqrt(np.mean(missed**2, axis=(2, 3))) / scale)),
        "within_1_sd": float(np.mean(off < 1)),
        "within_1.96_sd": float(np.mean(off < 1.96)),
        "orders_right": float(np.mean([name == order for own, order in zip(named, orders, strict=True) for name in own])),
        **({"stretch": _stretch_of(said)} if args.strained else {}),
        "cpu_seconds": round(seconds, 1),
    }


def _stretch_of(said) -> dict[str, float | None]:
    """Return the share of kernels that are told to be stretched, and the mean ratio of their axes."""
    ratios = [one["stretch_ratio"][0] for one in said if "stretch_ratio" in one]
    return {"share": len(ratios) / len(said), "ratio": float(np.mean(ratios)) if ratios else None}


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--classes", type=int, default=2)
    parser.add_argument("--energies", type=int, default=1)
    parser.add_argument("--side", type=int, default=64)
    parser.add_argument("--scenes", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--background", type=float, default=1.0)
    parser.add_argument("--streaks", type=float, default=0.3)
    parser.add_argument("--clicks", type=float, default=0.0, metavar="PX")
    parser.add_argument("--spread", type=float, default=0.0)
    parser.add_argument("--flips", type=float, default=0.0)
    parser.add_argument("--strained", action="store_true")
    parser.add_argument("--method", default="refined")
    parser.add_argument("--noise-models", nargs="+", default=["white", "auto"])
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    records: list[dict[str, object]] = []
    for index in range(args.scenes):
        for name in args.noise_models:
            records.append(measure(args, index, name))
            print(records[-1], flush=True)
    if args.out is not None:
        settings = {name: value for name, value in vars(args).items() if name not in ("out", "noise_models")}
        case = f"{args.classes} classes, {args.energies} energies, {args.side} px" + (", strained" if args.strained else "")
        case += f", background {args.background:g}, streaks {args.streaks:g}"
        case += "".join(f", {name} {getattr(args, name):g}" for name in ("clicks", "spread", "flips") if getattr(args, name))
        table = json.loads(args.out.read_text(encoding="utf-8")) if args.out.exists() else {}
        args.out.write_text(json.dumps({**table, case: {**settings, "records": records}}, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
