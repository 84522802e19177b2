"""What a band model expects in q-space, on the axes of a measured pattern: spectral function and joint density of states.

    A(k, E) = -(1 / pi) sum_b Im 1 / (E + i Gamma - E_b(k)),        JDOS(q, E) = int d^2k / (2 pi)^2  A(k, E) A(k + q, E)

The joint density of states says which wave vectors connect states of one energy. It knows neither the phase of the waves nor what the
defect and the electrons' spin allow, so it is a guide for the eye and not what is measured.
Sources: Hoffman et al., Science 297, 1148 (2002); Simon et al., J. Phys. D 44, 464010 (2011).
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import scipy.fft
from numpy.typing import ArrayLike, NDArray
from scipy.ndimage import map_coordinates

from qpi_core.base.electron import MEV_NM_IN_KM_PER_S
from qpi_core.base.errors import InputError
from qpi_core.estimates.band_model import BandModel
from qpi_core.qspace.spectra import q_axes
from qpi_core.synthesis.bands.band_structures import BandStructure, EllipticBand, SeveralBands, WarpedBand
from qpi_core.synthesis.bands.hexagonal import HexagonalParabola
from qpi_core.synthesis.bands.lattices import HoneycombLattice, SquareLattice, TriangularLattice

Array = NDArray[np.float64]

_SAMPLES_A_WIDTH = 2.0
_LEAST_GRID, _MOST_GRID = 256, 1024


def band_structure_of(model: BandModel) -> BandStructure:
    """Return the bands of a fitted model, with the values that were found.

    Raises:
        InputError: the model is not claimed, so it has no values.
    """
    if not model.parameters:
        raise InputError(f"the model {model.name!r} has no values: the maps do not show such a band.")
    return band_structure(model.name, {name: value for name, (value, _) in model.parameters.items()}, model.lattice)


def band_structure(name: str, numbers: Mapping[str, float], lattice: tuple[float, float] | None = None) -> BandStructure:
    """Return the bands of a model by its name in fit_band_model and its numbers, as it names them.

    Args:
        name: one of the band models.
        numbers: band_edge_mev, effective_mass ...; more than are needed are fine.
        lattice: lattice constant in nm and direction in rad, of a tight-binding model.

    Raises:
        InputError: no such model, a number that it lacks, or one outside its range.
    """
    try:
        if name in ("free-electron", "elliptic", "hexagonal"):
            edge, mass = numbers["band_edge_mev"], numbers["effective_mass"]
            if name == "hexagonal":
                return HexagonalParabola(edge, mass, numbers["warping"], numbers["angle_rad"])
            return (
                EllipticBand(edge, mass)
                if name == "free-electron"
                else EllipticBand(edge, mass, numbers["mass_ratio"], numbers["angle_rad"])
            )
        if name == "two-bands":
            return SeveralBands(tuple(EllipticBand(numbers[f"band_edge_mev_{n}"], numbers[f"effective_mass_{n}"]) for n in (1, 2)))
        if name in ("dirac", "topological"):
            velocity = numbers["velocity_km_per_s"] / MEV_NM_IN_KM_PER_S
            warping = (numbers["warping_mev_nm3"], numbers["angle_rad"]) if name == "topological" else (0.0, 0.0)
            return WarpedBand(numbers["dirac_energy_mev"], velocity, *warping)
        if name in ("square", "triangular") and lattice is not None:
            kind = SquareLattice if name == "square" else TriangularLattice
            hopping = numbers["hopping_mev"]
            return kind(hopping, hopping * numbers["second_hopping_ratio"], -numbers["band_centre_mev"], *lattice)
        if name == "honeycomb" and lattice is not None:
            return HoneycombLattice(numbers["hopping_mev"], 0.0, -numbers["dirac_energy_mev"], *lattice)
    except KeyError as error:
        raise InputError(f"numbers of the model {name!r} must hold {error.args[0]}, but they are {', '.join(numbers)}.") from error
    raise InputError(f"there is no band model {name!r}, or it is of a lattice and none is given.")


def spectral_function(structure: BandStructure, energy_mev: float, broadening_mev: float, kx: ArrayLike, ky: ArrayLike) -> Array:
    """Return A(k, E) in 1/meV at points kx, ky in rad/nm (any shape).

    Raises:
        InputError: the broadening is not positive.
    """
    if not broadening_mev > 0:
        raise InputError(f"broadening_mev must be positive, but it is {broadening_mev!r}.")
    energies = structure.energies_mev(np.asarray(kx, dtype=np.float64), np.asarray(ky, dtype=np.float64))
    return np.asarray(np.sum(broadening_mev / np.pi / ((energy_mev - energies) ** 2 + broadening_mev**2), axis=0))


def spectral_picture(
    structure: BandStructure, energy_mev: float, broadening_mev: float, size: int, pixel_size_nm: float | tuple[float, float]
) -> Array:
    """Return A(k, E) on the wave vectors (q_y, q_x) of the Fourier transform of a (size, size) kernel, [y, x].

    Raises:
        InputError: as spectral_function and q_axes.
    """
    q_y, q_x = q_axes((size, size), pixel_size_nm)
    return spectral_function(structure, energy_mev, broadening_mev, *np.broadcast_arrays(q_x[None, :], q_y[:, None]))


def joint_density_of_states(
    structure: BandStructure, energy_mev: float, broadening_mev: float, size: int, pixel_size_nm: float | tuple[float, float]
) -> Array:
    """Return JDOS(q, E) in 1/(meV^2 nm^2) on the wave vectors of the Fourier transform of a (size, size) kernel, [y, x].

    Of a lattice k runs over one zone, and q over as many as the axes hold; of a continuum k runs as far as q does.

    Args:
        structure: the bands.
        energy_mev, broadening_mev: of A; a broadening below what the grid of k resolves is widened to it.
        size: side of the kernel in pixels.
        pixel_size_nm: pitch, one number or (dy, dx).

    Raises:
        InputError: as spectral_function and q_axes.
    """
    q_y, q_x = q_axes((size, size), pixel_size_nm)
    wanted = np.stack(np.broadcast_arrays(q_y[:, None], q_x[None, :]))
    vectors = structure.lattice_vectors
    if vectors is None:
        return _of_a_continuum(structure, energy_mev, broadening_mev, wanted)
    return _of_a_lattice(structure, vectors, energy_mev, broadening_mev, wanted)


def _of_a_continuum(structure: BandStructure, energy: float, broadening: float, wanted: Array) -> Array:
    reach = float(np.abs(wanted).max())
    count = int(np.clip(2 * wanted.shape[1], _LEAST_GRID, _MOST_GRID))
    line = reach * (np.arange(count) - count // 2) * 2 / count
    ky, kx = np.meshgrid(line, line, indexing="ij")
    step = float(line[1] - line[0])
    spectral = spectral_function(structure, energy, _resolved(structure, energy, broadening, kx, ky, step), kx, ky)
    # Twice the side, so that the sum over k does not come around.
    turned = scipy.fft.rfft2(spectral, (2 * count, 2 * count))
    joint = scipy.fft.fftshift(scipy.fft.irfft2(np.abs(turned) ** 2, (2 * count, 2 * count))) * (step / (2 * math.pi)) ** 2
    return np.asarray(map_coordinates(joint, wanted / step + count, order=1, mode="nearest"))


def _of_a_lattice(structure: BandStructure, vectors: Array, energy: float, broadening: float, wanted: Array) -> Array:
    count = _LEAST_GRID * 2
    reciprocal = 2 * np.pi * np.linalg.inv(vectors).T
    first, second = np.meshgrid(np.arange(count) / count, np.arange(count) / count, indexing="ij")
    kx, ky = (first * reciprocal[0, axis] + second * reciprocal[1, axis] for axis in (0, 1))
    step = float(np.linalg.norm(reciprocal[0])) / count
    spectral = spectral_function(structure, energy, _resolved(structure, energy, broadening, kx, ky, step), kx, ky)
    area = abs(float(np.linalg.det(reciprocal))) / count**2 / (2 * math.pi) ** 2
    joint = scipy.fft.irfft2(np.abs(scipy.fft.rfft2(spectral)) ** 2, spectral.shape) * area
    fractions = np.einsum("ia,a...->i...", vectors / (2 * np.pi), wanted[::-1])
    return np.asarray(map_coordinates(joint, fractions * count, order=1, mode="grid-wrap"))


def _resolved(structure: BandStructure, energy: float, broadening: float, kx: Array, ky: Array, step: float) -> float:
    """Return the broadening, at least so large that a contour is as wide as some steps of the grid."""
    if not broadening > 0:
        raise InputError(f"broadening_mev must be positive, but it is {broadening!r}.")
    energies = structure.energies_mev(kx, ky)
    slope = np.hypot(*np.gradient(energies, step, axis=(1, 2)))
    near = np.abs(energies - energy) < max(broadening, float(np.median(slope)) * step)
    velocity = float(np.median(slope[near])) if near.any() else 0.0
    return max(broadening, velocity * step / _SAMPLES_A_WIDTH)
