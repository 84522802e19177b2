"""Electron bands that scatter off defects: tight-binding lattices and effective-mass bands.

A structure says how an electron of complex energy z = E + i broadening spreads from the scatterer: `amplitudes` gives the terms
g_i(q) of the Green's function, signed so that the change of the density of states is -(1/pi) Im[T sum_i s_i g_i(r)^2]
(see scattering.py). q runs over the whole plane: a lattice repeats its bands there, and the orbital's form factor tells the zones
apart. Wave vectors in rad/nm, energies in meV relative to the Fermi level, angles in rad from +x towards +y.

Sources: Economou, Green's Functions in Quantum Physics, ch. 5 (lattices); Castro Neto et al., Rev. Mod. Phys. 81, 109 (2009),
eq. 5 (honeycomb); Fu, Phys. Rev. Lett. 103, 266801 (2009), eq. 2 (hexagonal warping).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from qpi_core.base.electron import HBAR2_OVER_2M_MEV_NM2
from qpi_core.base.errors import InputError

Waves = NDArray[np.float64]
Amplitudes = tuple[tuple[float, NDArray[np.complex128]], ...]


class BandStructure(Protocol):
    """What scattering.py needs to know about the electrons."""

    @property
    def symmetry_order(self) -> int:
        """Rotational symmetry of the pattern around a point defect; 0 isotropic."""

    @property
    def lattice_vectors(self) -> NDArray[np.float64] | None:
        """Primitive vectors in nm as rows, or None for a continuum."""

    def energies_mev(self, kx: Waves, ky: Waves) -> NDArray[np.float64]:
        """Return the energies, shape (bands, ...)."""

    def amplitudes(self, z: complex, kx: Waves, ky: Waves) -> Amplitudes:
        """Return (sign, g(q) in 1/meV) of each term of the Green's function; the first is the one that returns to the scatterer."""

    def local(self, z: complex, kx: Waves, ky: Waves) -> NDArray[np.complex128]:
        """Return the part of the Green's function (1/meV) whose average over q is G0(0), on the scatterer's own orbital."""


def require_in_range(name: str, value: float, low: float, high: float, unit: str) -> None:
    """Raise InputError unless low <= value <= high (NaN is outside)."""
    if isinstance(value, bool) or not isinstance(value, (int, float, np.integer, np.floating)) or not low <= value <= high:
        raise InputError(f"{name} must be a number from {low:g} to {high:g} {unit}".rstrip() + f", but it is {value!r}.")


def _rotated(kx: Waves, ky: Waves, angle: float) -> tuple[Waves, Waves]:
    """Return the components along and across the direction `angle`."""
    return kx * math.cos(angle) + ky * math.sin(angle), ky * math.cos(angle) - kx * math.sin(angle)


@dataclass(frozen=True)
class EllipticBand:
    """One effective-mass band: E = E0 + hbar^2 / (2 m) (k_along^2 / sqrt(ratio) + k_across^2 sqrt(ratio)).

    Attributes:
        band_edge_mev: E0.
        effective_mass: m in electron masses, the geometric mean of the two axes; negative for a hole band.
        mass_ratio: m_along / m_across >= 1; the contour's long half axis is sqrt(ratio) times the short one, and lies along `angle`.
        angle: rad.

    Raises:
        InputError: a value outside its range.
    """

    band_edge_mev: float = -65.0
    effective_mass: float = 0.40
    mass_ratio: float = 1.0
    angle: float = 0.0

    def __post_init__(self) -> None:
        require_in_range("band_edge_mev", self.band_edge_mev, -1e5, 1e5, "meV")
        require_in_range("effective_mass", abs(self.effective_mass), 1e-3, 1e3, "electron masses")
        require_in_range("mass_ratio", self.mass_ratio, 1.0, 100.0, "")
        require_in_range("angle", self.angle, -100.0, 100.0, "rad")

    @property
    def symmetry_order(self) -> int:
        """2, or 0 for a circular contour."""
        return 2 if self.mass_ratio > 1 else 0

    @property
    def lattice_vectors(self) -> NDArray[np.float64] | None:
        """None: a continuum."""
        return None

    def energies_mev(self, kx: Waves, ky: Waves) -> NDArray[np.float64]:
        """Return the energies, shape (1, ...)."""
        along, across = _rotated(kx, ky, self.angle)
        stretch = math.sqrt(self.mass_ratio)
        curvature = HBAR2_OVER_2M_MEV_NM2 / self.effective_mass
        return np.asarray(self.band_edge_mev + curvature * (along**2 / stretch + across**2 * stretch))[None]

    def amplitudes(self, z: complex, kx: Waves, ky: Waves) -> Amplitudes:
        """Return 1 / (z - E(q))."""
        return ((1.0, self.local(z, kx, ky)),)

    def local(self, z: complex, kx: Waves, ky: Waves) -> NDArray[np.complex128]:
        """Return 1 / (z - E(q))."""
        return np.asarray(1.0 / (z - self.energies_mev(kx, ky)[0]))


@dataclass(frozen=True)
class SeveralBands:
    """Effective-mass bands that one scatterer couples equally: G0 = sum_b 1 / (z - E_b), so the pattern holds k_a + k_b for every pair.

    Raises:
        InputError: fewer than two bands.
    """

    bands: tuple[EllipticBand, ...]

    def __post_init__(self) -> None:
        if len(self.bands) < 2 or not all(isinstance(band, EllipticBand) for band in self.bands):
            raise InputError("bands must be a tuple of at least two EllipticBand.")

    @property
    def symmetry_order(self) -> int:
        """The order that all bands share; 0 when all are circular."""
        return math.gcd(*(band.symmetry_order for band in self.bands))

    @property
    def lattice_vectors(self) -> NDArray[np.float64] | None:
        """None: a continuum."""
        return None

    def energies_mev(self, kx: Waves, ky: Waves) -> NDArray[np.float64]:
        """Return the energies, shape (bands, ...)."""
        return np.concatenate([band.energies_mev(kx, ky) for band in self.bands])

    def amplitudes(self, z: complex, kx: Waves, ky: Waves) -> Amplitudes:
        """Return the sum over bands of 1 / (z - E_b(q))."""
        return ((1.0, self.local(z, kx, ky)),)

    def local(self, z: complex, kx: Waves, ky: Waves) -> NDArray[np.complex128]:
        """Return the sum over bands of 1 / (z - E_b(q))."""
        return np.asarray((1.0 / (z - self.energies_mev(kx, ky))).sum(axis=0))


@dataclass(frozen=True)
class WarpedBand:
    """Surface state of a topological insulator: H = E0 + v (kx s_y - ky s_x) + (w / 2) (k_+^3 + k_-^3) s_z.

    E = E0 +- sqrt(v^2 k^2 + w^2 k^6 cos^2 3 phi), cos^2 3 phi = (1 + cos 6 phi) / 2: a circle that turns into a hexagon and a snowflake.
    The spin turns with k, so the scattering straight back, 2 k, that a defect without magnetism would cause is suppressed.

    Attributes:
        dirac_energy_mev: E0.
        velocity_mev_nm: v = hbar times the velocity (Bi2Te3: 255).
        warping_mev_nm3: w (Bi2Te3: 250).
        angle: rad, of a tip of the snowflake's short axis (phi = 0).

    Raises:
        InputError: a value outside its range.
    """

    dirac_energy_mev: float = -300.0
    velocity_mev_nm: float = 255.0
    warping_mev_nm3: float = 250.0
    angle: float = 0.0

    def __post_init__(self) -> None:
        require_in_range("dirac_energy_mev", self.dirac_energy_mev, -1e5, 1e5, "meV")
        require_in_range("velocity_mev_nm", self.velocity_mev_nm, 1e-2, 1e5, "meV nm")
        require_in_range("warping_mev_nm3", self.warping_mev_nm3, 0.0, 1e6, "meV nm^3")
        require_in_range("angle", self.angle, -100.0, 100.0, "rad")

    @property
    def symmetry_order(self) -> int:
        """6, or 0 without warping."""
        return 6 if self.warping_mev_nm3 > 0 else 0

    @property
    def lattice_vectors(self) -> NDArray[np.float64] | None:
        """None: a continuum."""
        return None

    def _spin_field(self, kx: Waves, ky: Waves) -> tuple[Waves, Waves, Waves]:
        """Return the components of d in H = E0 + d . s, in the frame turned by `angle`."""
        along, across = _rotated(kx, ky, self.angle)
        cubic = along * (along**2 - 3 * across**2)
        return -self.velocity_mev_nm * across, self.velocity_mev_nm * along, self.warping_mev_nm3 * cubic

    def energies_mev(self, kx: Waves, ky: Waves) -> NDArray[np.float64]:
        """Return the energies of the two branches, shape (2, ...)."""
        size = np.sqrt(sum(d**2 for d in self._spin_field(kx, ky)))
        return np.stack([self.dirac_energy_mev - size, self.dirac_energy_mev + size])

    def amplitudes(self, z: complex, kx: Waves, ky: Waves) -> Amplitudes:
        """Return the scalar part and, with minus signs, the three spin parts of (z - H)^-1.

        d is odd in q, so G(-r) = g - g_vec . s, and half of Tr[G(r) G(-r)] is g^2 - g_vec . g_vec.
        """
        field = self._spin_field(kx, ky)
        scalar = self.local(z, kx, ky)
        common = scalar / (z - self.dirac_energy_mev)
        return (1.0, scalar), *((-1.0, np.asarray(d * common)) for d in field)

    def local(self, z: complex, kx: Waves, ky: Waves) -> NDArray[np.complex128]:
        """Return (z - E0) / ((z - E0)^2 - d^2)."""
        shifted = z - self.dirac_energy_mev
        return np.asarray(shifted / (shifted**2 - sum(d**2 for d in self._spin_field(kx, ky))))


def surface_state_wavenumber(energy_mev: ArrayLike, band_edge_mev: float = -65.0, effective_mass: float = 0.40) -> NDArray[np.float64]:
    """Return k(E) = sqrt(2 m (E - E0)) / hbar in rad/nm of a free-electron-like surface state; NaN below the band edge.

    The defaults are those of Ag(111). The pattern around a defect oscillates with 2 k. Source: Crommie et al., Nature 363, 524 (1993).

    Args:
        energy_mev: energies relative to the Fermi level.
        band_edge_mev: E0.
        effective_mass: in electron masses, positive.

    Raises:
        InputError: the effective mass is not positive.
    """
    require_in_range("effective_mass", effective_mass, 1e-3, 1e3, "electron masses")
    above = np.asarray(energy_mev, dtype=np.float64) - band_edge_mev
    return np.sqrt(np.where(above >= 0, above, np.nan) * effective_mass / HBAR2_OVER_2M_MEV_NM2)


def contour_radius(
    structure: BandStructure,
    energy_mev: float,
    angles: ArrayLike,
    reach: float = 15.0,
    centre: tuple[float, float] = (0.0, 0.0),
) -> NDArray[np.float64]:
    """Return the distance in rad/nm from `centre` to the first contour of constant energy in each direction; NaN where there is none.

    Args:
        structure: the bands.
        energy_mev: of the contour.
        angles: directions in rad.
        reach: how far to look, rad/nm, in 800 steps; within one the energy is taken as linear.
        centre: starting point (kx, ky), the zone centre by default.
    """
    directions = np.atleast_1d(np.asarray(angles, dtype=np.float64))[:, None]
    radii = np.linspace(0.0, reach, 801)
    bands = structure.energies_mev(centre[0] + radii * np.cos(directions), centre[1] + radii * np.sin(directions)) - energy_mev
    crossed = bands[..., :-1] * bands[..., 1:] <= 0
    first = np.argmax(crossed, axis=-1)[..., None]
    low, high = (np.take_along_axis(bands, first + step, axis=-1)[..., 0] for step in (0, 1))
    # A contour that touches both samples exactly has low == high == 0: any fraction is right there.
    fraction = low / np.where(high == low, 1.0, low - high)
    found = np.where(crossed.any(axis=-1), (first[..., 0] + fraction) * radii[1], np.inf).min(axis=0)
    return np.where(np.isfinite(found), found, np.nan)
