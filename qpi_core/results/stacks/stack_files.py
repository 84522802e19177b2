"""The files of a solved stack. Everything depends on the estimate alone, so the same estimate gives the same bytes."""

from __future__ import annotations

import io
import json
import math
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qpi_core.base.errors import InputError
from qpi_core.base.provenance import json_ready
from qpi_core.estimates.class_stack import NO_CLASS, ClassStackEstimates, StackResult
from qpi_core.estimates.stack_estimate import StackEstimate
from qpi_core.extraction.bands.band import SYSTEMATIC_PART, Band
from qpi_core.extraction.stacks.stack_findings import StackFindings
from qpi_core.qspace.dispersion.energy_map import EnergyMap, energy_map
from qpi_core.qspace.surface_lattice import surface_lattice
from qpi_core.results.band_files import BAND_FILES, band_files, dispersion_files, path_files
from qpi_core.results.class_files import class_folders
from qpi_core.results.figures.picture_style import MEDIA_TYPES, PictureStyle
from qpi_core.results.files import ZIP_TIME, npy_bytes

STACK_SIDECAR = "stack.json"
STACK_FORMAT = "qpi-kernel-stack"
STACK_FILES = (
    "kernels.npy",
    "uncertainty.npy",
    "background.npy",
    "dispersion.csv",
    *(f"energy-map.{file_format}" for file_format in MEDIA_TYPES),
    "gap-sign.csv",
    *BAND_FILES,
    "report.html",
    "reproduce.py",
    STACK_SIDECAR,
)
"""Every name that a stack, or a class of one in its folder, may have; those that do not apply are left out."""


def stack_files(
    result: StackResult,
    findings: StackFindings,
    settings: Mapping[str, Any],
    formats: Sequence[str] = ("png",),
) -> dict[str, bytes]:
    """Return all files of a stack, name -> content, those of a class below its folder; the side-car over all comes last.

    Args:
        result: the solved stack.
        findings: dispersions, and what else was asked of the stack.
        settings: strict-JSON values: where the stack came from and what was asked.
        formats: of the pictures, out of MEDIA_TYPES.
    """
    if isinstance(result, StackEstimate):
        return _kernel_files(result, findings, NO_CLASS, settings, formats)
    folders = class_folders(result.names)
    files = {
        f"{folders[name]}/{file}": content
        for name, estimate in result.estimates.items()
        for file, content in _kernel_files(estimate, findings, name, settings, formats).items()
    }
    return files | {STACK_SIDECAR: _class_sidecar(result, folders, settings)}


def _kernel_files(
    estimate: StackEstimate, findings: StackFindings, name: str, settings: Mapping[str, Any], formats: Sequence[str]
) -> dict[str, bytes]:
    band, gap = findings.bands[name], findings.gap_signs.get(name)
    files = {"kernels.npy": npy_bytes(estimate.kernels)}
    model = None if findings.band_models is None else findings.band_models.best
    files |= dispersion_files(estimate, band, model, formats)
    if settings.get("joint_density"):
        files |= band_files(estimate, model, formats)
    if settings.get("path"):
        length, degrees = settings["lattice"]
        files |= path_files(estimate, surface_lattice(settings["path"], length, orientation=math.radians(degrees)), formats)
    if np.isfinite(estimate.uncertainties).any():
        files["uncertainty.npy"] = npy_bytes(estimate.uncertainties)
    if estimate.background_maps:
        files["background.npy"] = npy_bytes(estimate.background_stack())
    if band.track is not None:
        files["dispersion.csv"] = dispersion_csv(band)
    for file_format in formats:
        picture = energy_map_picture(estimate, file_format)
        if picture is not None:
            files[f"energy-map.{file_format}"] = picture
    if gap is not None:
        files["gap-sign.csv"] = gap.table()
    files[STACK_SIDECAR] = _sidecar(estimate, findings, name, settings)
    return files


def _class_sidecar(result: ClassStackEstimates, folders: Mapping[str, str], settings: Mapping[str, Any]) -> bytes:
    """Return what the classes of a stack have in common, and where each one's files are, as strict JSON."""
    content = {
        "format": STACK_FORMAT,
        "format_version": 1,
        "settings": settings,
        "method": result.method,
        "bias_mv": result.bias_mv,
        "done": result.done,
        "noise_sigma": result.noise_sigma,
        "notes": result.notes,
        "positions_px": result.positions,
        "weights": result.weights,
        "classes": result.classes,
        "kernels": {name: {"folder": folders[name], "defects": result.classes.count(name)} for name in result.names},
    }
    return (json.dumps(json_ready(content), indent=1, ensure_ascii=False, allow_nan=False) + "\n").encode()


def dispersion_csv(band: Band) -> bytes:
    """Return the rings as CSV: bias_mv, q_rad_per_nm, sigma_rad_per_nm; empty where a layer shows no ring.

    Raises:
        InputError: there are no rings.
    """
    if band.track is None:
        raise InputError(band.problem)
    lines = ["bias_mv,q_rad_per_nm,sigma_rad_per_nm"]
    for energy, q, sigma in zip(band.track.bias_mv, band.track.q, band.track.q_deviation, strict=True):
        lines.append(f"{energy:.9g},{q:.9g},{sigma:.9g}" if np.isfinite(q) else f"{energy:.9g},,")
    return ("\n".join(lines) + "\n").encode()


def energy_map_csv(spectra: EnergyMap, pitch_known: bool) -> bytes:
    """Return E(q) as CSV: a line an energy, a column a wave vector (2 pi included), empty in layers without a kernel.

    Args:
        spectra: of the kernels.
        pitch_known: whether q is in rad/nm and not in rad/px.
    """
    unit = "rad_per_nm" if pitch_known else "rad_per_px"
    lines = [",".join(["bias_mv" if spectra.energies_known else "layer", *(f"q={q:.9g}_{unit}" for q in spectra.q)])]
    for energy, row in zip(spectra.energies, spectra.magnitude, strict=True):
        lines.append(",".join([f"{energy:.9g}", *(f"{value:.9g}" if np.isfinite(value) else "" for value in row)]))
    return ("\n".join(lines) + "\n").encode()


def energy_map_picture(estimate: StackEstimate, file_format: str = "png") -> bytes | None:
    """Return E(q) as a picture, or None where fewer than two layers have a kernel."""
    if estimate.usable.sum() < 2:
        return None
    from qpi_core.results.figures.energy_map import energy_map_figure

    try:
        spectra = energy_map(estimate.kernels, estimate.bias_mv, estimate.pixel_size_nm)
        style = PictureStyle("magma", file_format=file_format)
        return energy_map_figure(spectra, estimate.pixel_size_nm is not None, style=style)
    except InputError:  # all layers at one energy
        return None


def _sidecar(estimate: StackEstimate, findings: StackFindings, name: str, settings: Mapping[str, Any]) -> bytes:
    """Return everything about a stack, or about a class of one, but its images, as strict JSON."""
    band, gap, model = findings.bands[name], findings.gap_signs.get(name), findings.band_models
    fits = {name: asdict(fit) for name, fit in (("parabola", band.parabola), ("line", band.line)) if fit is not None and band.claimed}
    # Which layers chose the symmetries is told by a run that solves them, not by one that only goes on from their files.
    provenance = {name: value for name, value in estimate.provenance.items() if name != "pilots"}
    content = {
        "format": STACK_FORMAT,
        "format_version": 1,
        "settings": settings,
        "method": estimate.method,
        "pixel_size_nm": estimate.pixel_size_nm,
        "bias_mv": estimate.bias_mv,
        "done": estimate.done,
        "noise_sigma": estimate.noise_sigma,
        "background": estimate.background,
        **({"noise_model": estimate.noise_models} if any(estimate.noise_models) else {}),
        "symmetry_order": estimate.symmetry_order,
        **({"parameters": estimate.parameters} if any(estimate.parameters) else {}),
        "warnings": estimate.warnings,
        "notes": estimate.notes,
        "dispersion": {**_evidence(band), **({**fits, "about_the_deviations": SYSTEMATIC_PART} if fits else {"problem": band.problem})},
        **({} if model is None else {"band_model": (model.best or model.models[0]).record()}),
        **({} if model is None or len(model.models) == 1 else {"band_models": model.record()}),
        **({} if gap is None else {"gap_sign": gap.record()}),
        **({"set_point": asdict(findings.set_point[name])} if name in findings.set_point else {}),
        **({"stability": findings.stability[name].record()} if name in findings.stability else {}),
        "positions_px": estimate.positions,
        "weights": estimate.weights,
        "provenance": provenance,
    }
    return (json.dumps(json_ready(content), indent=1, ensure_ascii=False, allow_nan=False) + "\n").encode()


def _evidence(band: Band) -> dict[str, Any]:
    """Return what the rings say for a band."""
    if band.evidence is None:
        return {}
    found = band.evidence
    counts = {"rings": found.rings, "layers": found.layers, "rings_on_band": found.on_band}
    gain = {shape.value: value for shape, value in found.gain.items()}
    return {"evidence": {**counts, "log_evidence_gain": gain, "decisive": found.decisive}}


def stack_npz(estimate: StackEstimate, band: Band) -> bytes:
    """Return all arrays of a stack as one NPZ file, without pickles; layers that were not computed hold NaN."""
    track = band.track
    blank = np.full(len(estimate.kernels), np.nan)
    arrays: dict[str, NDArray[Any]] = {
        "kernels": estimate.kernels,
        "uncertainties": estimate.uncertainties,
        "bias_mv": estimate.bias_mv,
        "noise_sigma": estimate.noise_sigma,
        "background": estimate.background,
        "done": estimate.done,
        "positions_px": estimate.positions,
        "weights": estimate.weights,
        "pixel_size_nm": np.array([np.nan, np.nan] if estimate.pixel_size_nm is None else estimate.pixel_size_nm),
        **({"background_maps": estimate.background_stack()} if estimate.background_maps else {}),
        "ring_q": blank if track is None else track.q,
        "ring_q_deviation": blank if track is None else track.q_deviation,
    }
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, array in arrays.items():
            archive.writestr(zipfile.ZipInfo(f"{name}.npy", ZIP_TIME), npy_bytes(array), zipfile.ZIP_DEFLATED)
    return buffer.getvalue()
