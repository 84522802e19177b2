"""The files of a band model beside the kernels that it was fitted to."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from qpi_core.estimates.band_model import BandModel
from qpi_core.estimates.stack_estimate import StackEstimate
from qpi_core.extraction.bands.band import Band
from qpi_core.qspace.band_spectra import band_structure_of, joint_density_of_states, spectral_picture
from qpi_core.qspace.dispersion.energy_map import energy_map
from qpi_core.qspace.surface_lattice import SurfaceLattice
from qpi_core.qspace.zone_path import high_symmetry_path, path_map
from qpi_core.results.figures.band_qspace import band_qspace_figure
from qpi_core.results.figures.energy_map import DispersionMarks, energy_map_figure
from qpi_core.results.figures.path_map import path_map_figure
from qpi_core.results.figures.picture_style import MEDIA_TYPES, PictureStyle
from qpi_core.results.files import npy_bytes

BAND_FILES = (
    "band.csv",
    "joint-density.npy",
    "path-map.csv",
    *(f"{name}.{file_format}" for name in ("band-qspace", "dispersion", "path-map") for file_format in MEDIA_TYPES),
)


def band_csv(model: BandModel) -> bytes:
    """Return a band's dispersion as CSV: energy and q = 2 k, its mean over directions with its deviation, least and largest."""
    lines = ["energy_mev,q_rad_per_nm,sigma_rad_per_nm,least_q_rad_per_nm,largest_q_rad_per_nm"]
    lines += [",".join(f"{value:.9g}" for value in row) for row in model.dispersion]
    return ("\n".join(lines) + "\n").encode()


def dispersion_files(estimate: StackEstimate, band: Band, model: BandModel | None, formats: Sequence[str]) -> dict[str, bytes]:
    """Return E(q) with what was found drawn over it, rings with errors and the fitted band, and the band as a table.

    Nothing is drawn where neither the rings nor the maps decide that there is a band.
    """
    fitted = model is not None and model.claimed
    if estimate.pixel_size_nm is None or estimate.usable.sum() < 2 or not (fitted or band.claimed):
        return {}
    files = {"band.csv": band_csv(model)} if fitted and model is not None else {}
    rings = np.zeros((0, 3)) if band.track is None else np.stack([band.track.bias_mv, band.track.q, band.track.q_deviation], axis=1)
    rows = np.array(model.dispersion)[:, [0, 1, 3, 4]] if fitted and model is not None and model.dispersion else None
    marks = DispersionMarks(rings[np.isfinite(rings).all(axis=1)], rows, f"band model {model.name}" if model is not None else "")
    spectra = energy_map(estimate.kernels, estimate.bias_mv, estimate.pixel_size_nm)
    if np.unique(spectra.energies).size < 2:
        return files
    for file_format in formats:
        style = PictureStyle("magma", file_format=file_format)
        files[f"dispersion.{file_format}"] = energy_map_figure(spectra, style=style, marks=marks)
    return files


def path_files(estimate: StackEstimate, lattice: SurfaceLattice, formats: Sequence[str]) -> dict[str, bytes]:
    """Return E(q) along the path through a lattice's points of high symmetry, as a table and as pictures."""
    if estimate.pixel_size_nm is None:
        return {}
    found = path_map(estimate.kernels, estimate.bias_mv, estimate.pixel_size_nm, high_symmetry_path(lattice))
    pictures = {f"path-map.{kind}": path_map_figure(found, PictureStyle("magma", file_format=kind)) for kind in formats}
    return {"path-map.csv": found.table()} | pictures


def band_files(estimate: StackEstimate, model: BandModel | None, formats: Sequence[str]) -> dict[str, bytes]:
    """Return the joint density of states of every layer, (energies, k, k), and a picture of one beside the measured pattern.

    The picture is of the middle one of the layers that have a kernel.
    """
    if model is None or not model.claimed or estimate.pixel_size_nm is None or not estimate.usable.any():
        return {}
    structure, broadening = band_structure_of(model), model.parameters["broadening_mev"][0]
    size, pitch = estimate.kernels.shape[-1], estimate.pixel_size_nm
    every = [joint_density_of_states(structure, float(energy), broadening, size, pitch) for energy in estimate.bias_mv]
    usable = np.flatnonzero(estimate.usable)
    index = int(usable[len(usable) // 2])
    energy = float(estimate.bias_mv[index])
    spectral = spectral_picture(structure, energy, broadening, size, pitch)
    files = {"joint-density.npy": npy_bytes(np.stack(every).astype(np.float32))}
    for file_format in formats:
        style = PictureStyle("magma", file_format=file_format)
        title = f"{energy:.4g} meV, band model {model.name}"
        files[f"band-qspace.{file_format}"] = band_qspace_figure(estimate.kernels[index], every[index], spectral, pitch, title, style)
    return files
