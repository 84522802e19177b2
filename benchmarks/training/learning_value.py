"""What is learning good for here: python benchmarks/training/learning_value.py OUT [--scenes N] [--model NAME] [--seed S]

Measures `refined` with and without the networks on the same unseen scenes, by kernel family x number of defects x list quality x
background, and `two_step` beside them. OUT receives records.jsonl (a call that was stopped goes on, a larger N adds scenes),
table.md and value.json. Maps have 64 x 64 pixels, defects between the pixels, white noise of 0.5 of the clean map's spread.

A ratio is the mean RMSE without the networks over that with them, with its 95 % bootstrap interval over scenes: above 1 they help.
"""

from __future__ import annotations

import argparse
import itertools
import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from qpi_core.base.grid import DEFAULT_PIXEL_SIZE_NM
from qpi_core.evaluation.benchmark.measure import measure, warm_up
from qpi_core.evaluation.benchmark.records import Record, append_records, read_records
from qpi_core.evaluation.benchmark.tables import markdown, number
from qpi_core.evaluation.metrics import bootstrap_interval
from qpi_core.extraction.extractor import Extractor, load_extractor
from qpi_core.synthesis.bands.band_families import draw_band_pattern
from qpi_core.synthesis.kernel_families.equation_7 import draw_kernel_parameters, evaluate
from qpi_core.synthesis.kernel_families.harmonic_patterns import draw_harmonic_pattern
from qpi_core.synthesis.kernel_families.spline_patterns import draw_spline_pattern
from qpi_core.synthesis.kernel_families.uneven_patterns import draw_uneven_pattern
from qpi_core.synthesis.nuisances.smooth_background import SmoothBackground, draw_background
from qpi_core.synthesis.simulated_maps.scenes import Pattern, draw_positions, superpose
from qpi_core.training.data.streams import sample_on_window

SEED = 770_014
"""Of the table. Nothing is trained or tuned on it."""
SHAPE = (64, 64)
NOISE = 0.5
WITHOUT = "refined, no networks"
FAMILIES = ("equation-7", "signed", "spline", "elliptic", "several-bands", "one-sided", "drifted", "bands", "edge")
DEFECTS = {"1-5": (1, 5), "6-20": (6, 20), "21-80": (21, 80)}
LISTS = ("right", "off-0.7", "missing-20", "invented-10")
BACKGROUNDS = ("none", "background-1")


@dataclass(frozen=True)
class Setting:
    """One cell of the table."""

    family: str
    defects: str
    listed: str
    background: str

    @property
    def name(self) -> str:
        """Return the name that its records carry."""
        return "|".join((self.family, self.defects, self.listed, self.background))


SETTINGS = tuple(Setting(*chosen) for chosen in itertools.product(FAMILIES, DEFECTS, LISTS, BACKGROUNDS))


def draw_pattern(rng: np.random.Generator, family: str) -> Pattern:
    """Draw a kernel of a family."""
    if family == "equation-7":
        parameters = draw_kernel_parameters(rng)
        return lambda dx, dy: evaluate(parameters, dx, dy)
    draw: dict[str, Callable[[], Pattern]] = {
        "signed": lambda: draw_harmonic_pattern(rng),
        "spline": lambda: draw_spline_pattern(rng),
        "elliptic": lambda: draw_band_pattern(rng, "elliptic"),
        "several-bands": lambda: draw_band_pattern(rng, "several"),
    }
    return draw[family]() if family in draw else draw_uneven_pattern(rng, family)  # type: ignore[arg-type]


def wrong_list(rng: np.random.Generator, positions: np.ndarray, listed: str) -> np.ndarray:
    """Return the list as it is given to the methods."""
    least, most = np.zeros(2), np.array([SHAPE[1] - 1, SHAPE[0] - 1], dtype=float)
    if listed == "off-0.7":
        return np.clip(positions + rng.normal(0, 0.7, positions.shape), least, most)
    if listed == "missing-20":
        return positions[: max(1, len(positions) - round(0.2 * len(positions)))]
    if listed == "invented-10":
        return np.concatenate([positions, rng.uniform(least, most, (max(1, round(0.1 * len(positions))), 2))])
    return positions


def measure_scene(extractors: dict[str, Extractor], setting: Setting, seed: int, index: int) -> list[Record]:
    """Return the records of one scene: kernel, defects and noise depend on (seed, index, family, number of defects) alone."""
    rng = np.random.default_rng([seed, index, FAMILIES.index(setting.family), list(DEFECTS).index(setting.defects)])
    pattern = draw_pattern(rng, setting.family)
    least, most = DEFECTS[setting.defects]
    positions = draw_positions(rng, int(rng.integers(least, most + 1)), SHAPE, False)
    truth = sample_on_window(pattern)
    clean = superpose(pattern, positions, SHAPE, DEFAULT_PIXEL_SIZE_NM)
    # The truth is on the networks' scale; the map follows it.
    clean = clean / max(float(np.abs(pattern(*_window())).max()), 1e-12)
    sigma = NOISE * float(clean.std())
    observation = clean + sigma * rng.standard_normal(SHAPE)
    nuisances = np.random.default_rng([seed, index, 7])
    if setting.background != "none":
        field = draw_background(SmoothBackground(), SHAPE, nuisances)
        observation = observation + float(clean.std()) * field / field.std()
    told = wrong_list(nuisances, positions, setting.listed)
    blank = Record(setting.name, NOISE, index, len(positions), "")
    found = []
    for method, extractor in extractors.items():
        name = "refined" if method == WITHOUT else method
        image = observation.astype(np.float32)
        record = measure(extractor, name, image, told, truth, DEFAULT_PIXEL_SIZE_NM, blank, sigma)
        found.append(replace(record, method=method))
    return found


def _window() -> tuple[np.ndarray, np.ndarray]:
    from qpi_core.base.grid import kernel_coordinates

    return kernel_coordinates(64, DEFAULT_PIXEL_SIZE_NM)


def value(records: Sequence[Record], part: Callable[[Setting], str]) -> dict[str, dict[str, Any]]:
    """Return, for each value of one property of the settings, mean errors and the ratio with its interval."""
    names = {setting.name: part(setting) for setting in SETTINGS}
    errors: dict[str, dict[tuple[str, int], dict[str, float]]] = {}
    for record in records:
        if record.rmse is not None:
            errors.setdefault(names[record.variant], {}).setdefault((record.variant, record.index), {})[record.method] = record.rmse
    found = {}
    for label, scenes in errors.items():
        pairs = np.array([[scene[WITHOUT], scene["refined"], scene["two_step"]] for scene in scenes.values() if len(scene) == 3])
        if len(pairs) < 2:
            continue
        means = pairs.mean(axis=0)

        def ratio(chosen: np.ndarray, axis: int, rows: np.ndarray = pairs) -> np.ndarray:
            drawn = rows[chosen.astype(int)].mean(axis=axis)
            return np.asarray(drawn[..., 0] / drawn[..., 1])

        low, high = bootstrap_interval(np.arange(len(pairs)), ratio)
        found[label] = {
            "scenes": len(pairs), "without": means[0], "with": means[1], "two_step": means[2],
            "ratio": means[0] / means[1], "low": low, "high": high,
        }  # fmt: skip
    return found


def tables(records: Sequence[Record]) -> tuple[str, dict[str, Any]]:
    """Return the tables as markdown, and their numbers."""
    parts: dict[str, Callable[[Setting], str]] = {
        "family": lambda s: s.family,
        "defects": lambda s: s.defects,
        "list": lambda s: s.listed,
        "background": lambda s: s.background,
        "family and defects": lambda s: f"{s.family}, {s.defects}",
    }
    numbers = {title: value(records, part) for title, part in parts.items()}
    text = []
    for title, found in numbers.items():
        rows = [
            [name, str(cell["scenes"]), *(number(cell[key]) for key in ("without", "with", "two_step"))]
            + [number(cell["ratio"], 2), f"{number(cell['low'], 2)}-{number(cell['high'], 2)}"]
            for name, cell in found.items()
        ]
        text.append(markdown([title, "scenes", WITHOUT, "refined", "two_step", "ratio", "95 % interval"], rows))
    return "\n\n".join(text) + "\n", numbers


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure what is missing, and write the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--scenes", type=int, default=5, help="of each setting (default 5)")
    parser.add_argument("--model", help="released model (default: the default one)")
    parser.add_argument("--seed", type=int, default=SEED)
    asked = parser.parse_args(arguments)
    asked.out.mkdir(parents=True, exist_ok=True)
    path = asked.out / "records.jsonl"
    known = {(record.variant, record.index) for record in read_records(path)}
    networks = load_extractor(asked.model, "cpu")
    extractors = {"refined": networks, WITHOUT: Extractor(asked.out / "no-model-here", "cpu"), "two_step": networks}
    wanted = [(setting, index) for index in range(asked.scenes) for setting in SETTINGS if (setting.name, index) not in known]
    if wanted:
        warm_up(networks, ("refined", "two_step"))
    for setting, index in tqdm(wanted, mininterval=5):
        append_records(path, measure_scene(extractors, setting, asked.seed, index))
    records = read_records(path)
    text, numbers = tables(records)
    (asked.out / "table.md").write_text(text, "utf-8")
    content = {"model": networks.models().sha256, "seed": asked.seed, "noise": NOISE, "settings": [asdict(s) for s in SETTINGS]}
    (asked.out / "value.json").write_text(json.dumps({**content, "tables": numbers}, indent=1), "utf-8")
    print(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
