"""The change of the local density of states around a point defect, by the T-matrix.

    delta rho(r, E) = -(1/pi) Im[ G(r, 0) T(E) G(0, r) ],   T = V / (1 - V G0(0)),   G(0, r) = G(r, 0) without a magnetic field
    G(r, 0) = int d^2q / (2 pi)^2  exp(i q . r) F(q) G0(q, E + i broadening)

The defect acts on one normalised orbital of energy V: a lattice site, or for a continuum a Gaussian of SCATTERER_NM.
F(q) carries the pattern from orbitals to points between them. On a lattice it is the Wannier function W(r) seen through the tip,
a normalised Gaussian exp(-r^2 / 4 tip^2): the integral over all zones then equals sum_R W(r - R) G0(R). In a continuum it is the
average over the tip times the defect's own orbital. So tip_nm is the standard deviation of |W|^2 along one axis.

The integral is a sum over a q grid of spacing 2 pi / L (FFT), which repeats the defect with the period L. With waves that decay
as exp(-broadening r / (hbar v)) the copies add a relative error near exp(-broadening L / (hbar v)); L grows until the Green's
function at the box's edge is below EDGE_LEVEL of its maximum (the error is the square of that), and a broadening too small for the
largest grid is refused.

Sources: Economou, Green's Functions in Quantum Physics, ch. 6; Crommie, Lutz, Eigler, Nature 363, 524 (1993); Capriotti, Scalapino,
Sedgewick, Phys. Rev. B 68, 014508 (2003). Wannier functions between the sites: Choubey et al., Phys. Rev. B 90, 134520 (2014).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import fft, ndimage

from qpi_core.base.errors import InputError
from qpi_core.synthesis.bands.band_structures import BandStructure, require_in_range

DEFAULT_EXTENT_NM = 20.0
"""Half the side of a map of 128 pixels at the default pitch, seen from its other edge."""
SCATTERER_NM = 0.1
EDGE_LEVEL = 5e-3
LARGEST_GRID = 4096
_FORM_FACTOR_FLOOR = 1e-6
_SPLINE_ORDER = 5
_TAPER = 0.9


@dataclass(frozen=True)
class DefectScattering:
    """One energy of one band structure, and the defect in it.

    Attributes:
        structure: the bands.
        energy_mev: E relative to the Fermi level.
        broadening_mev: imaginary part of the energy, > 0; the pattern decays as exp(-2 broadening r / (hbar v)).
        potential_mev: V of the defect's orbital; positive repels.
        tip_nm: width of the tip and the Wannier function together.

    Raises:
        InputError: a value outside its range.
    """

    structure: BandStructure
    energy_mev: float = 0.0
    broadening_mev: float = 10.0
    potential_mev: float = 200.0
    tip_nm: float = 0.15

    def __post_init__(self) -> None:
        require_in_range("energy_mev", self.energy_mev, -1e6, 1e6, "meV")
        require_in_range("broadening_mev", self.broadening_mev, 1e-6, 1e5, "meV")
        require_in_range("potential_mev", abs(self.potential_mev), 1e-9, 1e9, "meV")
        require_in_range("tip_nm", self.tip_nm, 0.1, 2.0, "nm")

    @property
    def energy(self) -> complex:
        """E + i broadening in meV."""
        return complex(self.energy_mev, self.broadening_mev)


@dataclass(frozen=True, eq=False)
class BandPattern:
    """The kernel of one DefectScattering as a function of the offsets, interpolated from a fine grid.

    Attributes:
        scattering: what was computed.
        step_nm: pitch of the grid.
        extent_nm: the pattern is brought smoothly to zero between 0.9 of this radius and the radius itself.
        coefficients: (n, n) quintic spline coefficients of delta rho in 1/(meV nm^2), [y, x], the defect in the middle.
    """

    scattering: DefectScattering
    step_nm: float
    extent_nm: float
    coefficients: NDArray[np.float64]

    @property
    def symmetry_order(self) -> int:
        """Rotational symmetry; 0 isotropic."""
        return self.scattering.structure.symmetry_order

    def __call__(self, dx_nm: ArrayLike, dy_nm: ArrayLike) -> NDArray[np.float64]:
        """Return delta rho in 1/(meV nm^2) at offsets (dx, dy) in nm from the defect."""
        x, y = np.broadcast_arrays(np.asarray(dx_nm, dtype=np.float64), np.asarray(dy_nm, dtype=np.float64))
        middle = self.coefficients.shape[0] // 2
        places = np.stack([y.ravel() / self.step_nm + middle, x.ravel() / self.step_nm + middle])
        values = ndimage.map_coordinates(self.coefficients, places, order=_SPLINE_ORDER, mode="constant", prefilter=False)
        return np.asarray(values, dtype=np.float64).reshape(x.shape)


@dataclass(frozen=True)
class GreenFunction:
    """G(r, 0) on a grid around the defect.

    Attributes:
        terms: (sign, (n, n) complex values in 1/(meV nm), [y, x], r = 0 in the middle) of each term.
        step_nm: pitch.
        period_nm: L, after which the grid's sum repeats itself.
    """

    terms: list[tuple[float, NDArray[np.complex128]]]
    step_nm: float
    period_nm: float


def form_factor(scattering: DefectScattering, squared: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return F at the given q^2, in nm: sqrt(8 pi) w exp(-q^2 w^2) is the transform of a normalised Gaussian of width w."""
    if scattering.structure.lattice_vectors is not None:
        return np.asarray(math.sqrt(8 * math.pi) * scattering.tip_nm * np.exp(-squared * scattering.tip_nm**2))
    return np.asarray(math.sqrt(8 * math.pi) * SCATTERER_NM * np.exp(-squared * _width(scattering) ** 2))


def _width(scattering: DefectScattering) -> float:
    """Return w of the Gaussian fall of F(q)."""
    return scattering.tip_nm if scattering.structure.lattice_vectors is not None else math.hypot(scattering.tip_nm, SCATTERER_NM)


def green_function(scattering: DefectScattering, extent_nm: float = DEFAULT_EXTENT_NM) -> GreenFunction:
    """Return G(r, 0) for |x|, |y| up to extent_nm.

    Raises:
        InputError: the broadening is too small for the largest grid, or extent_nm is out of range.
    """
    require_in_range("extent_nm", extent_nm, 1.0, 100.0, "nm")
    step = min(0.1, _width(scattering) / 2)
    size = fft.next_fast_len(math.ceil(2.5 * extent_nm / step))
    while size <= LARGEST_GRID:
        terms, edge = _transform(scattering, step, size, math.ceil(extent_nm / step))
        if edge <= EDGE_LEVEL:
            return GreenFunction(terms, step, size * step)
        # The waves decay exponentially, so the level says how much larger the box has to be.
        growth = math.log(EDGE_LEVEL) / math.log(min(edge, 0.5))
        size = fft.next_fast_len(math.ceil(size * min(max(1.1 * growth, 1.25), 2.0)))
    raise InputError(
        f"broadening_mev = {scattering.broadening_mev:g} is too small at {scattering.energy_mev:g} meV: the waves still reach "
        f"{LARGEST_GRID * step / 2:.0f} nm from the defect, where the computed area ends. Use a larger broadening_mev."
    )


def _transform(
    scattering: DefectScattering, step: float, size: int, reach: int
) -> tuple[list[tuple[float, NDArray[np.complex128]]], float]:
    """Sum over the q grid for offsets of up to `reach` steps; returns the terms and |G| at the box's edge over its maximum."""
    spacing = 2 * np.pi / (size * step)
    cutoff = math.sqrt(-math.log(_FORM_FACTOR_FLOOR)) / _width(scattering)
    # As many waves on both sides of zero, so that the grid keeps the symmetry.
    harmonics = min(math.ceil(cutoff / spacing), (size - 1) // 2)
    index = np.arange(-harmonics, harmonics + 1)
    qx, qy = spacing * index[None, :].astype(np.float64), spacing * index[:, None].astype(np.float64)
    envelope = form_factor(scattering, qx**2 + qy**2) / step**2
    keep = np.append(np.arange(-reach, reach + 1), size // 2) % size
    terms, edge, peak = [], 0.0, 0.0
    for sign, amplitude in scattering.structure.amplitudes(scattering.energy, *np.broadcast_arrays(qx, qy)):
        rows = np.zeros((index.size, size), dtype=np.complex128)
        rows[:, index % size] = amplitude * envelope
        # One axis after the other: only the columns that are wanted go through the second transform.
        columns = np.zeros((size, keep.size), dtype=np.complex128)
        columns[index % size] = fft.ifft(rows, axis=1, overwrite_x=True)[:, keep]
        values = fft.ifft(columns, axis=0, overwrite_x=True)
        edge = max(edge, float(np.abs(values[:, -1]).max()), float(np.abs(values[size // 2]).max()))
        terms.append((sign, values[keep[:-1], :-1]))
        peak = max(peak, float(np.abs(terms[-1][1]).max()))
    return terms, edge / peak


def local_green_function(scattering: DefectScattering, period_nm: float) -> complex:
    """Return G0(0) in 1/meV on the defect's orbital, summed over a q grid of spacing 2 pi / period_nm.

    On a lattice the average over the zone; in a continuum the integral with |w(q)|^2 of the defect's Gaussian orbital.
    """
    vectors = scattering.structure.lattice_vectors
    if vectors is not None:
        cells = math.ceil(period_nm / float(np.linalg.norm(vectors[0])))
        first, second = np.meshgrid(np.arange(cells) / cells, np.arange(cells) / cells)
        reciprocal = 2 * np.pi * np.linalg.inv(vectors).T
        kx, ky = (first * reciprocal[0, axis] + second * reciprocal[1, axis] for axis in (0, 1))
        return complex(scattering.structure.local(scattering.energy, kx, ky).mean())
    spacing = 2 * np.pi / period_nm
    harmonics = math.ceil(math.sqrt(-math.log(_FORM_FACTOR_FLOOR) / 2) / SCATTERER_NM / spacing)
    line = spacing * np.arange(-harmonics, harmonics + 1)
    kx, ky = np.meshgrid(line, line)
    weight = 8 * np.pi * SCATTERER_NM**2 * np.exp(-2 * (kx**2 + ky**2) * SCATTERER_NM**2)
    return complex((scattering.structure.local(scattering.energy, kx, ky) * weight).sum() / period_nm**2)


def t_matrix(potential_mev: float, local: complex) -> complex:
    """Return T = V / (1 - V G0(0)) in meV. Source: Economou, ch. 6."""
    return potential_mev / (1 - potential_mev * local)


def band_pattern(scattering: DefectScattering, extent_nm: float = DEFAULT_EXTENT_NM) -> BandPattern:
    """Return the kernel delta rho(r) as a Pattern.

    Args:
        scattering: bands, energy and defect.
        extent_nm: radius up to which the kernel is needed; beyond it the pattern is zero. At the
            default pitch, 14 nm reach the corners of what a 64 x 64 map can show, 20 nm the sides of what one
            of 128 x 128 can show.

    Raises:
        InputError: the broadening is too small for the largest grid, or extent_nm is out of range.
    """
    green = green_function(scattering, extent_nm)
    strength = t_matrix(scattering.potential_mev, local_green_function(scattering, green.period_nm))
    change = -np.sum([sign * np.imag(strength * values**2) for sign, values in green.terms], axis=0) / np.pi
    line = green.step_nm * (np.arange(change.shape[0]) - change.shape[0] // 2)
    beyond = np.clip((np.hypot(line[:, None], line) / extent_nm - _TAPER) / (1 - _TAPER), 0.0, 1.0)
    change *= np.cos(0.5 * np.pi * beyond) ** 2
    coefficients = ndimage.spline_filter(change, order=_SPLINE_ORDER, mode="mirror")
    return BandPattern(scattering, green.step_nm, extent_nm, coefficients)
