"""The files of a band model beside the kernels that it was fitted to."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from qpi_core.estimates.band_model import BandModel
from qpi_core.estimates.stack_estimate import StackEstimate
from qpi_core.qspace.band_spectra import band_structure_of, joint_density_of_states, spectral_picture
from qpi_core.results.figures.band_qspace import band_qspace_figure
from qpi_core.results.figures.picture_style import MEDIA_TYPES, PictureStyle
from qpi_core.results.files import npy_bytes

BAND_FILES = ("joint-density.npy", *(f"band-qspace.{file_format}" for file_format in MEDIA_TYPES))


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
