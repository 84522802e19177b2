"""How well kernels of several classes of defects are told apart: python benchmarks/classes/defect_classes.py

Simulates maps of 64 x 64 pixels with a kernel of Eq. 7 a class (3 to 39 defects each, symmetry orders 0 to 6, on and between pixels,
noise 0.05 to 0.5 of the clean map's spread) and compares `extract_classes` with the truth, and with `extract` on the map from which
the other classes' exact patterns have been taken out. Writes defect_classes.json: the shares of the kernels' pixels within 1
and 1.96 standard deviations, and the geometric mean over classes of the error's ratio to that with the other kernels known.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import numpy as np

from qpi_core.base.grid import DEFAULT_PIXEL_SIZE_NM, kernel_coordinates
from qpi_core.extraction.extractor import load_extractor
from qpi_core.synthesis.kernel_families.equation_7 import SYMMETRY_ORDERS, draw_kernel_parameters, evaluate
from qpi_core.synthesis.simulated_maps.scenes import draw_positions, superpose

SHAPE, SIZE = (64, 64), 64
NOISE_LEVELS = (0.05, 0.1, 0.2, 0.5)
CASES = {"2 classes": ("harmonic", 2, 50), "3 classes": ("harmonic", 3, 12), "2 classes, tikhonov": ("tikhonov", 2, 6)}
"""Name -> method, number of classes, number of maps."""
_STREAM = 91


def scene(index: int, classes: int):
    """Return the map, and of each class the positions, the pattern in the map and the kernel."""
    rng = np.random.default_rng([_STREAM, index, classes])
    orders = [SYMMETRY_ORDERS[(index + 2 * number + index // 5) % 5] for number in range(classes)]
    counts = [int(rng.integers(3, 40)) for _ in range(classes)]
    parameters = [draw_kernel_parameters(rng, symmetry_order=order) for order in orders]
    places = draw_positions(rng, sum(counts), SHAPE, on_grid=bool((index // 4) % 2))
    positions = np.split(places, np.cumsum(counts)[:-1])
    parts = [
        superpose(lambda dx, dy, one=one: evaluate(one, dx, dy), own, SHAPE, DEFAULT_PIXEL_SIZE_NM)
        for one, own in zip(parameters, positions, strict=True)
    ]
    clean = sum(parts)
    noise = NOISE_LEVELS[index % len(NOISE_LEVELS)] * clean.std() * rng.standard_normal(SHAPE)
    truth = [evaluate(one, *kernel_coordinates(SIZE, DEFAULT_PIXEL_SIZE_NM)) for one in parameters]
    return clean + noise, positions, parts, truth


def measure(extractor, method: str, classes: int, maps: int) -> dict[str, float | int | str | None]:
    """Return what a method reached on so many maps."""
    inside, ratios = [], []
    for index in range(maps):
        observation, positions, parts, truth = scene(index, classes)
        labels = [str(number) for number, own in enumerate(positions) for _ in own]
        found = extractor.extract_classes(observation, np.vstack(positions), labels, method, SIZE, pixel_size_nm=DEFAULT_PIXEL_SIZE_NM)
        for number in range(classes):
            rest = observation - sum(part for other, part in enumerate(parts) if other != number)
            alone = extractor.extract(rest, positions[number], method, SIZE, pixel_size_nm=DEFAULT_PIXEL_SIZE_NM)
            together = found.estimates[str(number)]
            errors = [float(np.sqrt(np.mean((one.kernel - truth[number]) ** 2))) for one in (together, alone)]
            ratios.append(errors[0] / errors[1])
            if together.uncertainty is not None:
                off = np.abs(together.kernel - truth[number]) / together.uncertainty
                inside.append([float(np.mean(off < 1)), float(np.mean(off < 1.96))])
        print(f"{method}, {classes} classes: map {index + 1} of {maps}", file=sys.stderr, flush=True)
    coverage = np.mean(inside, axis=0).round(3).tolist() if inside else [None, None]
    ratio = float(np.exp(np.mean(np.log(ratios))))
    return {
        "method": method,
        "classes": classes,
        "maps": maps,
        "within_1_sd": coverage[0],
        "within_1.96_sd": coverage[1],
        "error_ratio": round(ratio, 3),
        "worst_error_ratio": round(max(ratios), 2),
    }


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path(__file__).with_suffix(".json"))
    args = parser.parse_args()
    extractor = load_extractor(device="cpu")
    found = {name: measure(extractor, *case) for name, case in CASES.items()}
    for name, values in found.items():
        print(name, values)
    args.out.write_text(json.dumps({"command": "python benchmarks/classes/defect_classes.py", **found}, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
