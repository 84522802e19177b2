"""Families of T-matrix kernels under a few controls that mean the same for every band structure, and a seeded generator of them.

The controls are what a map shows (wave vector, mean free path, strength); the energies in meV follow from them. Energy scales do
not change a pattern, so hopping, velocity and mass are fixed. Formulas and sources: band_structures.py, lattices.py, scattering.py.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from qpi_core.base.electron import HBAR2_OVER_2M_MEV_NM2
from qpi_core.base.errors import InputError
from qpi_core.synthesis.bands.band_structures import BandStructure, EllipticBand, SeveralBands, WarpedBand, contour_radius, require_in_range
from qpi_core.synthesis.bands.lattices import HoneycombLattice, SquareLattice, TriangularLattice
from qpi_core.synthesis.bands.scattering import (
    DEFAULT_EXTENT_NM,
    BandPattern,
    DefectScattering,
    band_pattern,
    local_green_function,
)

WAVE_VECTOR_RANGE = (2.0, 12.0)
"""rad/nm: where the contour wave vectors 2 k of drawn kernels lie, as the rings 2 B of Eq. 7 do."""
MEAN_FREE_PATH_RANGE = (0.5, 4.0)
_DRAWN_LATTICE_CONSTANTS = (0.25, 1.0)
_HOPPING_MEV = 100.0
_EFFECTIVE_MASS = 0.4
_VELOCITY_MEV_NM = 255.0
_PERIOD_NM = 50.0
_ATTEMPTS = 200


@dataclass(frozen=True)
class BandFamily:
    """What a person reads about a family, and the ranges of its controls.

    Attributes:
        title: of the family.
        shape_title, shape_range: of the control `shape`.
        zone_range: of the control `zone_fraction`; None for a continuum, which ignores it.
        wave_vector_range: from which the generator draws `wave_vector`, rad/nm.
    """

    title: str
    shape_title: str
    shape_range: tuple[float, float]
    zone_range: tuple[float, float] | None
    wave_vector_range: tuple[float, float]


FAMILIES: Mapping[str, BandFamily] = MappingProxyType(
    {
        "square": BandFamily("Square lattice", "t' / t", (-0.3, 0.3), (0.3, 0.85), (2.2, 11.0)),
        "triangular": BandFamily("Triangular lattice", "t' / t", (-0.1, 0.1), (0.3, 0.7), (2.2, 11.0)),
        "honeycomb": BandFamily("Honeycomb lattice, bottom of the band", "t' / t", (-0.1, 0.1), (0.3, 0.7), (2.2, 11.0)),
        "dirac": BandFamily("Honeycomb lattice, Dirac point", "t' / t", (-0.1, 0.1), (0.15, 0.25), (2.0, 4.0)),
        "warped": BandFamily("Topological surface state, hexagonally warped", "w k² / v", (0.0, 2.0), None, (2.2, 8.0)),
        "elliptic": BandFamily("Elliptic band", "mass ratio", (1.0, 4.0), None, (2.5, 11.5)),
        "several": BandFamily("Two bands", "ratio of the wave vectors", (0.3, 0.9), None, (3.5, 11.5)),
    }
)


@dataclass(frozen=True)
class BandControls:
    """One kernel of a family.

    Attributes:
        family: a key of FAMILIES.
        wave_vector: 2 k in rad/nm along `angle`, k from the centre of the contour (the zone centre, or the corner K for "dirac").
        zone_fraction: k over the distance from the zone centre to the zone's boundary, or corner, along `angle`: near 0 the
            contour is a circle, near 1 it follows the zone. It sets the lattice constant.
        shape: t' / t, w k^2 / v, mass ratio, or the second band's k over the first one's.
        mean_free_path_nm: length over which the pattern falls to 1 / e where the electrons are fastest.
        strength: V |G0(0)|; 0.1 is weak (Born), 10 as good as a hard wall; negative attracts.
        tip_nm: width of tip and Wannier function.
        angle: rad, of the lattice, the ellipse or the snowflake.

    Raises:
        InputError: an unknown family or a value outside its range.
    """

    family: str = "square"
    wave_vector: float = 6.0
    zone_fraction: float = 0.6
    shape: float = 0.0
    mean_free_path_nm: float = 2.0
    strength: float = 1.0
    tip_nm: float = 0.15
    angle: float = 0.0

    def __post_init__(self) -> None:
        if self.family not in FAMILIES:
            raise InputError(f"family must be one of {', '.join(FAMILIES)}, but it is {self.family!r}.")
        family = FAMILIES[self.family]
        require_in_range("wave_vector", self.wave_vector, *WAVE_VECTOR_RANGE, "rad/nm")
        if family.zone_range is not None:
            require_in_range("zone_fraction", self.zone_fraction, *family.zone_range, "")
        require_in_range("shape", self.shape, *family.shape_range, f"({family.shape_title})")
        require_in_range("mean_free_path_nm", self.mean_free_path_nm, *MEAN_FREE_PATH_RANGE, "nm")
        require_in_range("abs(strength)", abs(self.strength), 1e-6, 1e6, "")


def lattice_constant_nm(controls: BandControls) -> float:
    """Return the lattice constant that puts the contour at zone_fraction, in nm; `nan` for a continuum."""
    if FAMILIES[controls.family].zone_range is None:
        return math.nan
    edge = math.pi if controls.family == "square" else 4 * math.pi / 3
    return edge * controls.zone_fraction / (controls.wave_vector / 2)


def band_structure(controls: BandControls) -> tuple[BandStructure, float]:
    """Return the band structure and the energy in meV whose contour has the wave vector asked for."""
    k, shape, angle = controls.wave_vector / 2, controls.shape, controls.angle
    curvature = HBAR2_OVER_2M_MEV_NM2 / _EFFECTIVE_MASS
    if controls.family == "elliptic":
        return EllipticBand(-curvature * k**2 / math.sqrt(shape), _EFFECTIVE_MASS, shape, angle), 0.0
    if controls.family == "several":
        # Masses in proportion to k: both bands have one velocity, so one broadening gives both the same mean free path.
        second = EllipticBand(-curvature * shape * k**2, _EFFECTIVE_MASS * shape)
        return SeveralBands((EllipticBand(-curvature * k**2, _EFFECTIVE_MASS), second)), 0.0
    if controls.family == "warped":
        energy = _VELOCITY_MEV_NM * k * math.sqrt(1 + shape**2)
        return WarpedBand(-energy, _VELOCITY_MEV_NM, shape * _VELOCITY_MEV_NM / k**2, angle), 0.0
    kinds = {"square": SquareLattice, "triangular": TriangularLattice}
    lattice = kinds.get(controls.family, HoneycombLattice)(_HOPPING_MEV, shape * _HOPPING_MEV, 0.0, lattice_constant_nm(controls), angle)
    x, y = contour_centre(controls)
    point = np.array([[x + k * math.cos(angle)], [y + k * math.sin(angle)]])
    # The lower band: below the Dirac point, and around the zone centre the states that all orbitals add up to.
    return lattice, float(lattice.energies_mev(*point)[0, 0])


def contour_centre(controls: BandControls) -> tuple[float, float]:
    """Return (kx, ky) in rad/nm of the point that the contour surrounds."""
    if controls.family != "dirac":
        return 0.0, 0.0
    corner = 4 * math.pi / 3 / lattice_constant_nm(controls)
    return corner * math.cos(controls.angle), corner * math.sin(controls.angle)


def contour(controls: BandControls, directions: int = 48) -> NDArray[np.float64]:
    """Return the contour as (directions, 2) points (kx, ky) in rad/nm from its centre; NaN where it is open."""
    structure, energy = band_structure(controls)
    # Off the symmetry axes, where a contour may just touch the zone's boundary.
    angles = controls.angle + 2 * np.pi * (np.arange(directions) + 0.25) / directions
    radii = contour_radius(structure, energy, angles, centre=contour_centre(controls))
    return np.asarray(radii[:, None] * np.stack([np.cos(angles), np.sin(angles)], axis=1))


def defect_scattering(controls: BandControls) -> DefectScattering:
    """Return the physical parameters, in meV, behind the controls."""
    structure, energy = band_structure(controls)
    points = contour(controls) + contour_centre(controls)
    broadening = _largest_velocity(structure, energy, points[np.isfinite(points[:, 0])]) / (2 * controls.mean_free_path_nm)
    unit = DefectScattering(structure, energy, broadening, 1.0, controls.tip_nm)
    potential = controls.strength / abs(local_green_function(unit, _PERIOD_NM))
    return DefectScattering(structure, energy, broadening, potential, controls.tip_nm)


def _largest_velocity(structure: BandStructure, energy: float, points: NDArray[np.float64]) -> float:
    """Return the largest |dE/dk| in meV nm over points of the contour."""
    step = 1e-4
    kx, ky = points.T
    band = np.abs(structure.energies_mev(kx, ky) - energy).argmin(axis=0)[None]

    def slope(x: float, y: float) -> NDArray[np.float64]:
        difference = structure.energies_mev(kx + x, ky + y) - structure.energies_mev(kx - x, ky - y)
        return np.asarray(np.take_along_axis(difference, band, axis=0)[0] / (2 * step))

    return float(np.hypot(slope(step, 0.0), slope(0.0, step)).max())


def draw_band_controls(rng: np.random.Generator, family: str | None = None) -> BandControls:
    """Draw a kernel whose contour is closed, with 2 k within WAVE_VECTOR_RANGE in every direction.

    The mean free path is 1 to 3 nm and at least half a period, so that several periods show within 5 nm of the defect.

    Args:
        rng: the stream.
        family: a key of FAMILIES, or None to draw one.

    Raises:
        InputError: an unknown family.
    """
    name = str(rng.choice(list(FAMILIES))) if family is None else family
    if name not in FAMILIES:
        raise InputError(f"family must be one of {', '.join(FAMILIES)}, but it is {name!r}.")
    for _ in range(_ATTEMPTS):
        drawn = _draw_once(rng, name)
        reach = 2 * np.hypot(*contour(drawn).T)
        if np.all((reach >= WAVE_VECTOR_RANGE[0]) & (reach <= WAVE_VECTOR_RANGE[1])):
            return drawn
    raise RuntimeError(f"no kernel of the family {name} had a contour within {WAVE_VECTOR_RANGE} rad/nm in {_ATTEMPTS} attempts.")


def _draw_once(rng: np.random.Generator, name: str) -> BandControls:
    family = FAMILIES[name]
    wave_vector = float(np.exp(rng.uniform(*np.log(family.wave_vector_range))))
    fraction, tip = 0.5, float(rng.uniform(0.1, 0.25))
    if family.zone_range is not None:
        edge = (np.pi if name == "square" else 4 * np.pi / 3) / (wave_vector / 2)
        low, high = np.clip(np.array(_DRAWN_LATTICE_CONSTANTS) / edge, *family.zone_range)
        fraction = float(rng.uniform(low, high))
        # A Wannier function of a quarter to two fifths of the lattice constant: between single atoms and a smooth map.
        tip = float(np.clip(edge * fraction * rng.uniform(0.25, 0.4), 0.1, 0.3))
    free_path = max(float(rng.uniform(1.0, 3.0)), np.pi / wave_vector)
    strength = float(rng.choice([-1.0, 1.0]) * np.exp(rng.uniform(np.log(0.2), np.log(5.0))))
    shape = float(rng.uniform(*family.shape_range))
    return BandControls(name, wave_vector, fraction, shape, free_path, strength, tip, float(rng.uniform(0, 2 * np.pi)))


def draw_band_pattern(rng: np.random.Generator, family: str | None = None, extent_nm: float = DEFAULT_EXTENT_NM) -> BandPattern:
    """Draw a T-matrix kernel (see draw_band_controls); the pattern knows its symmetry_order."""
    return band_pattern(defect_scattering(draw_band_controls(rng, family)), extent_nm)
