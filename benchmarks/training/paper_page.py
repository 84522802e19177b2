"""Put what the paper's experiment gave where it is quoted: python benchmarks/training/paper_page.py runs/paper [--beside]

Reads the folder that `python run.py paper --preset paper-long --out runs/paper` works in, finished or not, fills the parts between
the marks `<!-- name -->` and `<!-- /name -->` of docs/paper.md, and writes paper_experiment.json with curves and results.
What was not trained or measured yet is said to be so; no number comes from anywhere else. With --beside the folder holds other runs of
the same experiment, trained and measured elsewhere on the same data set: their rows go beside the others, which stay.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.results_tables import filled
from qpi_core.evaluation.benchmark.tables import markdown, number
from qpi_core.evaluation.paper.paper_experiment import PHOTOGRAPHS, PaperExperiment, loss_curves
from qpi_core.evaluation.paper.paper_results import curves
from qpi_core.training.loop import LOSS_NAME
from qpi_core.training.recipes import get_preset

ROOT = Path(__file__).resolve().parents[2]

PRESET = "paper-long"
PAGE, STORE = ROOT / "docs" / "paper.md", Path(__file__).with_name("paper_experiment.json")
NOT_YET = "Not measured yet: the two-step networks are still being trained."


def main() -> int:
    """Fill the page and write the store."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="folder of the run")
    parser.add_argument("--beside", action="store_true", help="runs that are measured apart from the others")
    arguments = parser.parse_args()
    experiment = PaperExperiment(arguments.folder, get_preset(PRESET))
    if arguments.beside:
        return put_beside(experiment)
    made = {"runs": runs_table(experiment), **measured(experiment.folder)}
    PAGE.write_text(filled(PAGE.read_text("utf-8"), made), "utf-8")
    results = experiment.folder / "results.json"
    content = {
        "command": f"python run.py paper --preset {PRESET} --cpu --threads 1 --scenes 2000 --out runs/paper",
        "curves": {PHOTOGRAPHS: photograph_curve(experiment), **curves(experiment)},
        "results": json.loads(results.read_text("utf-8")) if results.is_file() else None,
    }
    if content["results"]:
        content["results"].pop("curves", None)
    if STORE.is_file() and (kept := json.loads(STORE.read_text("utf-8")).get("beside")):
        content["beside"] = kept
    STORE.write_text(json.dumps(content, indent=None, allow_nan=False) + "\n", "utf-8")
    return 0


def put_beside(experiment: PaperExperiment) -> int:
    """Add the runs of a folder to page and store, in their own place."""
    results = experiment.folder / "results.json"
    if not results.is_file():
        print(NOT_YET, file=sys.stderr)
        return 2
    found = json.loads(results.read_text("utf-8"))
    # The classical methods stand in the other table.
    rows = [row for row in found["measured"] if row["method"].startswith(("two_step", "one_step", "decoder_ceiling"))]
    cells = [
        [row["setting"], row["method"], *(number(row["paper_scale"][name]) for name in ("mae", "mse", "rmse"))]
        + [number(row["rmse"]), f"{number(row['rmse_low'])}-{number(row['rmse_high'])}"]
        for row in rows
    ]
    table = markdown(["setting", "method", "MAE", "MSE", "RMSE", "RMSE [0,1]", "95 % interval"], cells)
    made = {"beside": runs_table(experiment) + "\n\n" + table}
    PAGE.write_text(filled(PAGE.read_text("utf-8"), made), "utf-8")
    store = json.loads(STORE.read_text("utf-8"))
    kept = ("data_set", "recipe", "scenes", "rmse_of_kernels", "latent_neighbourhood", "final_losses", "versions")
    store["beside"] = {"measured": rows, "curves": curves(experiment), **{name: found[name] for name in kept}}
    STORE.write_text(json.dumps(store, indent=None, allow_nan=False) + "\n", "utf-8")
    return 0


def photograph_curve(experiment: PaperExperiment) -> list[dict[str, float]]:
    """Return the training loss of the codec of photographs, every fifth line."""
    path = experiment.folder / PHOTOGRAPHS / LOSS_NAME
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()][4::5] if path.is_file() else []


def runs_table(experiment: PaperExperiment) -> str:
    """Return what was trained so far: samples, epochs, first and last losses of every stage that was begun."""
    held = {name: found["held_out"] for name, found in curves(experiment).items()}
    rows = []
    recipe = experiment.recipe.photographs
    if recipe is not None and (lines := photograph_curve(experiment)):
        rows.append(row("photographs", lines, [], recipe.steps, recipe.batch_size))
    for name, lines in loss_curves(experiment).items():
        stage = experiment.recipe.stage(name.split("/")[1])  # type: ignore[arg-type]
        rows.append(row(name, lines, held[name], stage.steps, stage.batch_size))
    return markdown(["run", "samples", "of", "loss, first", "loss, now", "RMSE on pairs kept back"], rows)


def row(name: str, lines: Sequence[Mapping[str, float]], held: Sequence[Mapping[str, float]], steps: int, batch: int) -> list[str]:
    """Return the row of one stage; the loss is the squared error, for Encoder_Y the latent distance."""
    quantity = "latent" if "latent" in lines[-1] else "mse"
    done, planned = int(lines[-1]["step"]) * batch, steps * batch
    last = number(held[-1]["rmse"]) if held else "-"
    return [name, f"{done:,}", f"{planned:,}", number(lines[0][quantity]), number(lines[-1][quantity]), last]


def measured(folder: Path) -> dict[str, str]:
    """Return tables and latent space as text, or the sentence that says that they are not there."""
    if not (folder / "results.json").is_file():
        return {"tables": NOT_YET, "latents": NOT_YET}
    found: dict[str, Any] = json.loads((folder / "results.json").read_text("utf-8"))
    near = found["latent_neighbourhood"]
    latents = (
        f"Among the 5 nearest kernels in the latent space {near['same_order']:.0%} have the same symmetry order "
        f"({near['same_order_chance']:.0%} by chance), and the neighbours' wavenumber B explains {near['wavenumber_explained']:.0%} of its "
        "variance."
    )
    return {"tables": (folder / "tables.md").read_text("utf-8").strip(), "latents": latents}


if __name__ == "__main__":
    sys.exit(main())
