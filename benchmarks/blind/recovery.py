"""How well kernels and defects are found from the map alone: python benchmarks/blind/recovery.py

Simulates maps (rows of scenes.py) and runs `extract_blind` on each with nothing but the map. Results are kept scene by scene in a
.jsonl file beside --out, and the same command goes on where it was stopped. Writes recovery.json: for every row the share of
scenes that are trusted, the shares with a kernel of cosine 0.98 and 0.99 or more, the median cosine, the worst of the trusted ones, the
share of the defects found within 1 px, the places found without one, and median and maximum of the processor seconds. The time limit is
in processor seconds too. `--table` puts what the file holds into docs/benchmarks.md and measures nothing.

--seed names the series of scenes. Thresholds were chosen on TUNING_SEED; the released numbers are of REPORTED_SEED, which chose nothing.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path

import numpy as np

from benchmarks.blind.scenes import ROWS, UNKNOWABLE, draw_blind_scene
from benchmarks.results_tables import filled
from qpi_core.base.grid import DEFAULT_PIXEL_SIZE_NM
from qpi_core.base.validation import require_pixel_size
from qpi_core.evaluation.metrics import cosine
from qpi_core.extraction.blind.blind_answer import BlindOptions
from qpi_core.extraction.blind.blind_extraction import extract_blind
from qpi_core.extraction.extractor import load_extractor
from qpi_core.runtime.progress import no_progress

TUNING_SEED, REPORTED_SEED = 77, 6203
GOOD, VERY_GOOD = 0.98, 0.99
NEAR_PX = 1.0
DOCUMENT = Path(__file__).parents[2] / "docs" / "benchmarks.md"


def measure(extractor, seed: int, row: int, index: int, limit: float) -> dict[str, object]:
    """Return what the blind extraction reached on one scene."""
    scene = draw_blind_scene(seed, row, index)
    kernel, positions = scene.kernel, scene.positions
    began, used = time.monotonic(), time.process_time()
    options = BlindOptions(scene.size, require_pixel_size(DEFAULT_PIXEL_SIZE_NM), time_limit_s=limit, clock=time.process_time)
    found = extract_blind(extractor, scene.observation, options, no_progress)
    values: dict[str, object] = {
        "row": list(ROWS)[row],
        "seed": seed,
        "index": index,
        "defects": len(positions),
        "trusted": found.trusted,
        "reason": found.reason,
        "cosine": None if kernel is None else round(cosine(found.kernel, kernel), 5),
        "seconds": round(time.monotonic() - began, 2),
        "processor_seconds": round(time.process_time() - used, 2),
    }
    if len(positions) and len(found.positions):
        apart = np.hypot(*(positions[:, None] - found.positions).transpose(2, 0, 1))
        values["found"] = round(float((apart.min(axis=1) <= NEAR_PX).mean()), 3)
        values["false"] = int((apart.min(axis=0) > NEAR_PX).sum())
    record = found.provenance["blind"]
    return {**values, **{key: record.get(key) for key in ("symmetry_order", "unexplained_share", "residual_correlation")}}


def summary(scenes: list[dict]) -> dict[str, object]:
    """Return the numbers of one row."""
    trusted = [one for one in scenes if one["trusted"]]
    seconds = [one["processor_seconds"] for one in scenes]
    values: dict[str, object] = {
        "scenes": len(scenes),
        "trusted": round(len(trusted) / len(scenes), 3),
        "median_processor_seconds": round(float(np.median(seconds)), 1),
        "most_processor_seconds": max(seconds),
    }
    if scenes[0]["row"] in UNKNOWABLE:
        return values
    cosines = np.array([one["cosine"] for one in scenes])
    return {
        **values,
        **{f"cosine_at_least_{least}": round(float(np.mean(cosines >= least)), 3) for least in (GOOD, VERY_GOOD)},
        "median_cosine": round(float(np.median(cosines)), 5),
        "worst_cosine_trusted": min((one["cosine"] for one in trusted), default=None),
        "found_within_1_px": round(float(np.mean([one.get("found", 0.0) for one in scenes])), 3),
        "false_defects": round(float(np.mean([one.get("false", 0) for one in scenes])), 2),
    }


def table(rows: dict[str, dict]) -> str:
    """Return the rows as a Markdown table."""
    head = (
        "map", "scenes", "trusted", "cosine >= .98", ">= .99", "median cosine", "worst trusted", "defects found", "false ones",
        "CPU s, median / most",
    )  # fmt: skip
    lines = ["| " + " | ".join(head) + " |", "|" + " --- |" * len(head)]
    for name, row in rows.items():
        known = "median_cosine" in row
        worst = row.get("worst_cosine_trusted")
        cells = [name, str(row["scenes"]), f"{row['trusted']:.0%}"]
        cells += [f"{row[f'cosine_at_least_{least}']:.0%}" for least in (GOOD, VERY_GOOD)] if known else ["-"] * 2
        cells += [f"{row['median_cosine']:.4f}", "-" if worst is None else f"{worst:.4f}"] if known else ["-"] * 2
        cells += [f"{row['found_within_1_px']:.0%}", f"{row['false_defects']:.1f}"] if known else ["-"] * 2
        cells.append(f"{row['median_processor_seconds']:.1f} / {row['most_processor_seconds']:.0f}")
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main() -> None:
    """Measure what is missing, print, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path(__file__).with_suffix(".json"))
    parser.add_argument("--seed", type=int, default=REPORTED_SEED)
    parser.add_argument("--scenes", type=int, default=10, help="scenes a row (default 10)")
    parser.add_argument("--rows", type=int, nargs="+", default=list(range(len(ROWS))), help="numbers of the rows, from 0 (default all)")
    parser.add_argument("--limit", type=float, default=30.0, help="processor seconds that each map may take (default 30)")
    parser.add_argument("--table", action="store_true", help="put the numbers of --out into docs/benchmarks.md and measure nothing")
    args = parser.parse_args()
    if args.table:
        rows = json.loads(args.out.read_text(encoding="utf-8"))["rows"]
        DOCUMENT.write_text(filled(DOCUMENT.read_text(encoding="utf-8"), {"blind": table(rows)}), encoding="utf-8")
        return
    kept = args.out.with_suffix(".jsonl")
    done = [json.loads(line) for line in kept.read_text().splitlines()] if kept.exists() else []
    done = [one for one in done if one["seed"] == args.seed]
    extractor = load_extractor(device="cpu")
    # Scene by scene through all rows, so that a run that is stopped early has measured every row.
    for index in range(args.scenes):
        for row in args.rows:
            if any(one["row"] == list(ROWS)[row] and one["index"] == index for one in done):
                continue
            done.append(measure(extractor, args.seed, row, index, args.limit))
            with kept.open("a") as file:
                file.write(json.dumps(done[-1]) + "\n")
            print(done[-1], file=sys.stderr, flush=True)
    rows = {name: summary([one for one in done if one["row"] == name]) for name in ROWS if any(one["row"] == name for one in done)}
    for name, values in rows.items():
        print(name, values)
    command = f"python benchmarks/blind/recovery.py --seed {args.seed} --scenes {args.scenes} --limit {args.limit:g}"
    if len(args.rows) < len(ROWS):
        command += f" --rows {' '.join(map(str, args.rows))}"
    # Rows that were measured at another time stay, with the command that they are of.
    kept_rows = json.loads(args.out.read_text(encoding="utf-8"))["rows"] if args.out.exists() else {}
    every = {**kept_rows, **{name: {"command": command, **values} for name, values in rows.items()}}
    ordered = {name: every[name] for name in ROWS if name in every}
    args.out.write_text(json.dumps({"rows": ordered}, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
