"""Measured maps taken apart: python benchmarks/measured/measured_maps.py FOLDER [--page docs/measured_maps.md]

FOLDER holds the files that docs/measured_maps.md names, with their sources. Each map is explained twice, with the noise model that it
asks for and with a constant background and white noise. Written into measured_maps.json: how the variance of the map divides
into kernel, background and the rest, the terms of the noise model, what is said of the kernel, and the verdict. With --page the table
of that page is filled from the JSON; with --table-only nothing is computed.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from qpi_core.diagnostics.verdict import verdict_of
from qpi_core.extraction.extractor import Extractor
from qpi_core.maps import level, load_map
from qpi_core.maps.detection.spots import find_spots

MARK = "measured_maps"


@dataclass(frozen=True)
class Case:
    """One map of a file.

    Attributes:
        name: in the table.
        file: below the folder.
        kernel_size: side of the kernel in px.
        channel, bias_mv: of the layer; None is the default one.
        levelled: kind of levelling beforehand.
        positions: (x, y) in px of the defects; None: the strongest that find_spots proposes.
        pattern, sensitivity: that find_spots looks for, and with.
        most: number of its proposals that are taken.
    """

    name: str
    file: str
    kernel_size: int
    channel: str | None = None
    bias_mv: float | None = None
    levelled: str | None = None
    positions: tuple[tuple[float, float], ...] | None = None
    pattern: str = "spots"
    sensitivity: float = 0.5
    most: int = 40


CASES = (
    Case(
        "grid of spectra, 149 mV",
        "nanonis_grid/NanonisReader_STS_grid_lockin.3ds",
        20,
        channel="LockinX (V)",
        bias_mv=150.0,
        positions=((14.6, 3.6), (4.4, 12.3)),
    ),
    Case("scan of 10 nm, height", "scans/nanonis.sxm", 32, levelled="plane", sensitivity=0.75),
    Case("scan of 10 nm, current", "scans/nanonis.sxm", 32, channel="Current (A)", levelled="plane"),
    Case("one defect with its ring", "scans/createc_scan_11nm.dat", 256, levelled="plane", pattern="waves", most=1),
    Case("terraces of 109 nm", "scans/createc_terrace.dat", 48, levelled="plane"),
)


def explain(case: Case, folder: Path) -> dict[str, object]:
    """Return what one map was found to hold, by both noise models."""
    scan = load_map(folder / case.file)
    layer = scan.layer(case.channel, case.bias_mv)
    values = layer if case.levelled is None else level(layer, case.levelled)
    unit = float(np.nanstd(values))
    image = values / unit
    given = case.positions
    proposed = find_spots(image, case.sensitivity, pattern=case.pattern)[: case.most] if given is None else np.array(given)
    positions = np.asarray(proposed)
    found: dict[str, object] = {"file": case.file, "shape": list(image.shape), "defects": len(positions), "kernel_size": case.kernel_size}
    kernels = []
    for name in ("auto", "white"):
        begun = time.process_time()
        estimate = Extractor("none", device="cpu").extract(
            image, positions, "harmonic", case.kernel_size, pixel_size_nm=scan.pixel_size_nm, noise_model=name
        )
        measured = np.isfinite(image)
        background, residual = estimate.background_map, estimate.residual
        kernel_part = (estimate.reconstruction - background)[measured]
        total = float(image[measured].var())
        verdict = verdict_of(estimate)
        kernels.append(estimate.kernel.ravel())
        found[name] = {
            "kernel_share": float(kernel_part.var()) / total,
            "background_share": float(background[measured].var()) / total,
            "rest_share": float(residual[measured].var()) / total,
            "noise_model_in_spreads_of_the_map": {term: list(value) for term, value in estimate.noise_model.items()},
            "log_evidence_gain": estimate.provenance.get("noise_model", {}).get("log_evidence_gain"),
            "symmetry_order": estimate.symmetry_order,
            "kernel_error_over_kernel": float(np.sqrt(np.mean(estimate.uncertainty**2) / max(np.mean(estimate.kernel**2), 1e-300))),
            "verdict": verdict.trust.value,
            "reason": str(verdict.reason),
            "warnings": list(estimate.warnings),
            "cpu_seconds": round(time.process_time() - begun, 1),
        }
    sizes = [float(np.linalg.norm(kernel)) for kernel in kernels]
    found["kernels_cosine"] = float(kernels[0] @ kernels[1]) / (sizes[0] * sizes[1]) if all(sizes) else None
    return found


def table(records: dict[str, dict]) -> str:
    """Return the table of the page."""
    lines = [
        "| map | defects | noise model | kernel | background | rest | terms (in units of the map's spread) | verdict |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for name, record in records.items():
        for model in ("auto", "white"):
            one = record[model]
            terms = one["noise_model_in_spreads_of_the_map"]
            words = ", ".join(f"{term.replace('_', ' ')} {value:.2g}" for term, (value, _) in terms.items())
            shares = " | ".join(f"{100 * one[f'{part}_share']:.0f} %" for part in ("kernel", "background", "rest"))
            lines.append(f"| {name} | {record['defects']} | {model} | {shares} | {words} | {one['verdict']} |")
    return "\n".join(lines)


def fill(page: Path, records: dict[str, dict]) -> None:
    """Put the table between its marks."""
    text = page.read_text(encoding="utf-8")
    before, rest = text.split(f"<!-- {MARK} -->\n", 1)
    after = rest.split(f"<!-- /{MARK} -->", 1)[1]
    page.write_text(f"{before}<!-- {MARK} -->\n{table(records)}\n<!-- /{MARK} -->{after}", encoding="utf-8")


def main() -> None:
    """Explain the maps, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--out", type=Path, default=Path(__file__).with_suffix(".json"))
    parser.add_argument("--page", type=Path)
    parser.add_argument("--table-only", action="store_true")
    args = parser.parse_args()
    records = json.loads(args.out.read_text(encoding="utf-8")) if args.table_only else {}
    for case in () if args.table_only else CASES:
        if not (args.folder / case.file).exists():
            print(f"{case.file} is not in the folder and was left out.")
            continue
        records[case.name] = explain(case, args.folder)
        print(json.dumps({case.name: records[case.name]}, indent=1), flush=True)
        args.out.write_text(json.dumps(records, indent=1) + "\n", encoding="utf-8")
    if args.page is not None:
        fill(args.page, records)


if __name__ == "__main__":
    main()
