"""Where the blind search works, by the protocol of its peers: python benchmarks/blind/phase_diagram.py

Maps of 64 x 64 sites without edges (peer_scenes.py) over kernel side / map side, defects a site and signal to noise; `extract_blind`
gets the map and the kernel's side. Results are kept scene by scene beside --out, and the same command goes on where it was stopped.
Writes phase_diagram.json and the picture docs/pictures/blind_phase.png: the median cosine with the true kernel, and how many of
the scenes of a cell were trusted. One energy; the peers' maps are larger, so their diagrams are not to be compared cell by cell.
"""

from __future__ import annotations

import argparse
import json
import time
from itertools import product
from pathlib import Path

import numpy as np

from qpi_core.evaluation.metrics import cosine
from qpi_core.extraction.blind.blind_answer import BlindOptions
from qpi_core.extraction.blind.blind_extraction import extract_blind
from qpi_core.extraction.extractor import load_extractor
from qpi_core.runtime.progress import no_progress
from qpi_core.synthesis.simulated_maps.peer_scenes import PeerRecipe, draw_peer_scene

SITES = 64
RATIOS, DENSITIES, SIGNALS = (0.1, 0.2, 0.35), (1e-3, 3e-3, 1e-2, 3e-2, 1e-1), (0.5, 2.0, 9.0)
PICTURE = Path(__file__).parents[2] / "docs" / "pictures" / "blind_phase.png"


def measure(extractor, cell: tuple[float, float, float], seed: int, index: int, limit: float) -> dict[str, object]:
    """Return what was reached on one scene of a cell."""
    ratio, density, signal = cell
    scene = draw_peer_scene(PeerRecipe(ratio, density, signal, SITES, 1), seed, index)
    used = time.process_time()
    options = BlindOptions(len(scene.kernels[0]), time_limit_s=limit, clock=time.process_time)
    found = extract_blind(extractor, scene.observation, options, no_progress)
    size = min(len(found.kernel), len(scene.kernels[0]))
    return {
        "cell": list(cell),
        "seed": seed,
        "index": index,
        "defects": len(scene.positions[0]),
        "trusted": found.trusted,
        "cosine": round(cosine(found.kernel, scene.kernels[0]), 4) if found.kernel.any() and size == len(scene.kernels[0]) else 0.0,
        "processor_seconds": round(time.process_time() - used, 2),
    }


def draw(scenes: list[dict]) -> None:
    """Write the picture: one diagram a signal to noise."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    signals = [one for one in SIGNALS if any(scene["cell"][2] == one for scene in scenes)]
    size = (2.6 * len(signals) + 1.2, 3.2)
    figure, axes = pyplot.subplots(1, len(signals), figsize=size, sharey=True, squeeze=False, layout="constrained")
    for axis, signal in zip(axes[0], signals, strict=True):
        values = np.full((len(DENSITIES), len(RATIOS)), np.nan)
        for (row, density), (column, ratio) in product(enumerate(DENSITIES), enumerate(RATIOS)):
            own = [one for one in scenes if one["cell"] == [ratio, density, signal]]
            if own:
                values[row, column] = np.median([one["cosine"] for one in own])
                trusted = sum(one["trusted"] for one in own)
                words = f"{values[row, column]:.3f}\n{trusted}/{len(own)}"
                axis.text(column, row, words, ha="center", va="center", fontsize=7, color="black" if values[row, column] > 0.97 else "w")
        image = axis.imshow(values, vmin=0.9, vmax=1, cmap="viridis", origin="lower", aspect="auto")
        axis.set_xticks(range(len(RATIOS)), [f"{one:g}" for one in RATIOS])
        axis.set_yticks(range(len(DENSITIES)), [f"{one:g}" for one in DENSITIES])
        axis.set_title(f"signal to noise {signal:g}", fontsize=9)
        axis.set_xlabel("kernel side / map side", fontsize=8)
    axes[0, 0].set_ylabel("defects a site", fontsize=8)
    figure.colorbar(image, ax=axes, label="median cosine with the truth", extend="min")
    PICTURE.parent.mkdir(exist_ok=True)
    figure.savefig(PICTURE, dpi=80)


def main() -> None:
    """Measure what is missing, print, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path(__file__).with_suffix(".json"))
    parser.add_argument("--seed", type=int, default=6203)
    parser.add_argument("--scenes", type=int, default=1, help="scenes a cell (default 1)")
    parser.add_argument("--signals", type=float, nargs="+", default=list(SIGNALS), help="signals to noise (default all)")
    parser.add_argument("--limit", type=float, default=5.0, help="processor seconds that each map may take (default 5)")
    parser.add_argument("--draw", action="store_true", help="draw what --out holds and measure nothing")
    args = parser.parse_args()
    if args.draw:
        draw(json.loads(args.out.read_text(encoding="utf-8"))["scenes"])
        return
    kept = args.out.with_suffix(".jsonl")
    done = [json.loads(line) for line in kept.read_text().splitlines()] if kept.exists() else []
    done = [one for one in done if one["seed"] == args.seed]
    extractor = load_extractor(device="cpu")
    for index, signal, density, ratio in product(range(args.scenes), args.signals, DENSITIES, RATIOS):
        cell = (ratio, density, signal)
        if any(one["cell"] == list(cell) and one["index"] == index for one in done):
            continue
        done.append(measure(extractor, cell, args.seed, index, args.limit))
        with kept.open("a") as file:
            file.write(json.dumps(done[-1]) + "\n")
    command = f"python benchmarks/blind/phase_diagram.py --seed {args.seed} --scenes {args.scenes} --limit {args.limit:g} --signals "
    command += " ".join(f"{one:g}" for one in args.signals)
    args.out.write_text(json.dumps({"command": command, "scenes": done}, indent=1) + "\n", encoding="utf-8")
    draw(done)


if __name__ == "__main__":
    main()
