"""How many defects `find_defects` proposes rightly when nothing is known: python benchmarks/blind/find_defects.py

Maps of 200 x 260 px with 25 defects between the pixels, kernels of band structures (T-matrix, families one after another) and white
noise of 0.1 of the clean map's spread. Recall and precision count places within 1 px. Each scene is measured with the default (what
repeats itself) and with spots; --seed names the series, thresholds were chosen on 77, 6203 and 8811. Writes
benchmarks/blind/find_defects.json.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import numpy as np

from benchmarks.results_tables import filled
from qpi_core import find_defects
from qpi_core.base.grid import DEFAULT_PIXEL_SIZE_NM
from qpi_core.synthesis.bands.band_families import draw_band_pattern
from qpi_core.synthesis.simulated_maps.scenes import draw_positions, superpose

SHAPE, DEFECTS, NOISE, EXTENT_NM, STREAM = (200, 260), 25, 0.1, 56.0, 99
NEAR_PX = 1.0
DOCUMENT = Path(__file__).parents[2] / "docs" / "benchmarks.md"


def draw(seed: int, index: int) -> tuple[np.ndarray, np.ndarray]:
    """Return map and true positions of a scene."""
    rng = np.random.default_rng([seed, STREAM, index])
    pattern = draw_band_pattern(rng, extent_nm=EXTENT_NM)
    positions = draw_positions(rng, DEFECTS, SHAPE, False)
    clean = superpose(pattern, positions, SHAPE, DEFAULT_PIXEL_SIZE_NM, np.ones(DEFECTS))
    return clean + NOISE * clean.std() * rng.standard_normal(SHAPE), positions


def judged(found: np.ndarray, truth: np.ndarray) -> tuple[float, float]:
    """Return recall and precision."""
    if not len(found):
        return 0.0, 0.0
    apart = np.hypot(*(truth[:, None] - found).transpose(2, 0, 1))
    return float((apart.min(axis=1) <= NEAR_PX).mean()), float((apart.min(axis=0) <= NEAR_PX).mean())


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seed", type=int, default=8813)
    parser.add_argument("--scenes", type=int, default=10)
    parser.add_argument("--limit", type=float, default=300.0, help="seconds that each search may take (default 300)")
    parser.add_argument("--table", action="store_true", help="put the numbers of the .json into docs/benchmarks.md and measure nothing")
    args = parser.parse_args()
    path = Path(__file__).with_suffix(".json")
    if args.table:
        made = {"find_defects": table(json.loads(path.read_text(encoding="utf-8")))}
        DOCUMENT.write_text(filled(DOCUMENT.read_text(encoding="utf-8"), made), encoding="utf-8")
        return
    scenes = []
    for index in range(args.scenes):
        observation, truth = draw(args.seed, index)
        begun = time.process_time()
        found = judged(find_defects(observation, time_limit_s=args.limit), truth)
        seconds = time.process_time() - begun
        spots = judged(find_defects(observation, pattern="spots"), truth)
        scenes.append([*found, seconds, *spots])
        print(index, np.round(scenes[-1], 2), flush=True)
    means = np.mean(scenes, axis=0)
    names = ("recall", "precision", "processor_seconds", "recall_of_spots", "precision_of_spots")
    values = {name: round(float(value), 3) for name, value in zip(names, means, strict=True)}
    command = f"python benchmarks/blind/find_defects.py --seed {args.seed} --scenes {args.scenes} --limit {args.limit:g}"
    path.write_text(json.dumps({"command": command, **values, "scenes": np.round(scenes, 3).tolist()}, indent=1) + "\n", encoding="utf-8")
    print(values)


def table(values: dict) -> str:
    """Return the scenes and their means as a Markdown table."""
    head = ["scene", "recall", "precision", "CPU s", "recall of spots", "precision of spots"]
    rows = [[str(index), *(f"{one:.2f}" for one in scene)] for index, scene in enumerate(values["scenes"])]
    rows.append(["mean", *(f"{one:.2f}" for one in np.mean(values["scenes"], axis=0))])
    return "\n".join("| " + " | ".join(row) + " |" for row in [head, ["---"] * len(head), *rows])


if __name__ == "__main__":
    main()
