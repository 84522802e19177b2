"""A superconductor with two kinds of pockets around a point defect: the change of its density of states, by the T-matrix in Nambu space.

Bands b with isotropic dispersion xi_b(k) about pocket centres Q_b and gaps Delta_b (s-wave, of either sign on each band):

    delta rho(r, E) = -(1/pi) Im [ G(r) T(E) G(r) ]_11,   T = (1 - V tau_3 G0)^-1 V tau_3,   z = E + i broadening
    G(r) = sum_b c_b(r) int d^2k / (2 pi)^2  exp(i k . r) (z tau_0 + xi tau_3 + Delta_b tau_1) / (z^2 - xi^2 - Delta_b^2)
    G0 = - pi sum_b n_b N_b (z tau_0 + Delta_b tau_1) / sqrt(Delta_b^2 - z^2),    N_b = |m_b| / (2 pi hbar^2)

c_b(r) = 1 for a pocket at the zone centre, and the sum of cos(Q . r) over its n_b / 2 pairs +-Q of centres elsewhere times 2. With
Omega = sqrt(z^2 - Delta^2), Im Omega > 0, the integral is closed:

    xi-even part: (1 / 2 Omega) [g(Omega) - g(-Omega)],   xi-odd part: (1/2) [g(Omega) + g(-Omega)],
    g(w) = int d^2k / (2 pi)^2 exp(i k . r) / (w - xi) = -s (i m / 2 hbar^2) H_0^(1)(kappa r),  kappa = sqrt(2 m (mu + s w)) / hbar

with s = +1 for an electron and -1 for a hole band and Im kappa > 0. A mean free path l of the clean-limit s-wave superconductor
enters as Omega + i hbar v_F / (2 l), which leaves z / Omega and Delta / Omega as they are (Abrikosov and Gorkov; Anderson's theorem).
The logarithm at r = 0 is rounded off by the tip: r -> sqrt(r^2 + tip^2). Particle-hole asymmetry is left out of G0, so of T.

Sources: Balatsky, Vekhter, Zhu, Rev. Mod. Phys. 78, 373 (2006), sections IV and V; Hirschfeld, Altenfeld, Eremin, Mazin, Phys. Rev. B
92, 184513 (2015); Economou, Green's Functions in Quantum Physics, ch. 5 and 6.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import hankel1

from qpi_core.base.electron import HBAR2_OVER_2M_MEV_NM2
from qpi_core.base.errors import InputError
from qpi_core.synthesis.bands.band_structures import require_in_range

Complex = NDArray[np.complex128]


@dataclass(frozen=True)
class Pocket:
    """One kind of pocket of the Fermi surface.

    Attributes:
        fermi_wavenumber: k_F, rad/nm.
        effective_mass: in electron masses; negative for a hole band.
        gap_mev: Delta with its sign.
        centre: (Q_x, Q_y) rad/nm of one pocket; (0, 0) is the zone centre, else there are four, turned by quarter turns.

    Raises:
        InputError: a value outside its range.
    """

    fermi_wavenumber: float
    effective_mass: float
    gap_mev: float
    centre: tuple[float, float] = (0.0, 0.0)

    def __post_init__(self) -> None:
        require_in_range("fermi_wavenumber", self.fermi_wavenumber, 0.05, 50.0, "rad/nm")
        require_in_range("effective_mass", abs(self.effective_mass), 1e-2, 1e3, "electron masses")
        require_in_range("gap_mev", abs(self.gap_mev), 1e-6, 1e3, "meV")

    @property
    def copies(self) -> int:
        """Number of pockets of this kind."""
        return 1 if self.centre == (0.0, 0.0) else 4

    @property
    def inverse_mass(self) -> float:
        """hbar^2 / (2 |m|) in meV nm^2."""
        return HBAR2_OVER_2M_MEV_NM2 / abs(self.effective_mass)

    @property
    def density_of_states(self) -> float:
        """N of one pocket and spin, 1/(meV nm^2)."""
        return 1 / (4 * math.pi * self.inverse_mass)

    def waves(self, dx: NDArray[np.float64], dy: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the sum of exp(i Q . r) over the pockets of this kind."""
        qx, qy = self.centre
        if self.copies == 1:
            return np.ones(np.broadcast_shapes(dx.shape, dy.shape))
        return np.asarray(2 * np.cos(qx * dx + qy * dy) + 2 * np.cos(qx * dy - qy * dx))

    def normal_green(self, energy: complex, r: NDArray[np.float64]) -> Complex:
        """Return g(w, r) in 1/(meV nm^2) of one pocket about its own centre, w off the real axis."""
        sign = math.copysign(1.0, self.effective_mass)
        kappa = np.sqrt(self.fermi_wavenumber**2 + sign * energy / self.inverse_mass + 0j)
        kappa = kappa if kappa.imag > 0 else -kappa
        return np.asarray(-sign * 0.25j / self.inverse_mass * hankel1(0, kappa * r))


@dataclass(frozen=True)
class Superconductor:
    """Pockets, and the defect in them.

    Attributes:
        pockets: at least one.
        potential_mev_nm2: V of the defect, a scalar potential that scatters within and between all pockets alike.
        broadening_mev: imaginary part of the energy, > 0.
        mean_free_path_nm: l, or infinity.
        tip_nm: rounds off the centre.

    Raises:
        InputError: a value outside its range.
    """

    pockets: tuple[Pocket, ...]
    potential_mev_nm2: float = 5.0
    broadening_mev: float = 0.4
    mean_free_path_nm: float = 6.0
    tip_nm: float = 0.2

    def __post_init__(self) -> None:
        if not self.pockets or not all(isinstance(pocket, Pocket) for pocket in self.pockets):
            raise InputError("pockets must be a tuple of at least one Pocket.")
        require_in_range("potential_mev_nm2", abs(self.potential_mev_nm2), 1e-9, 1e9, "meV nm^2")
        require_in_range("broadening_mev", self.broadening_mev, 1e-3, 1e3, "meV")
        require_in_range("mean_free_path_nm", self.mean_free_path_nm, 0.1, math.inf, "nm")
        require_in_range("tip_nm", self.tip_nm, 0.01, 2.0, "nm")

    def local_green(self, energy_mev: float) -> Complex:
        """Return G0(0), (2, 2), in 1/(meV nm^2)."""
        z = complex(energy_mev, self.broadening_mev)
        total = np.zeros((2, 2), dtype=np.complex128)
        for pocket in self.pockets:
            # The root with a positive real part below the gap; -i sgn(E) sqrt(z^2 - Delta^2) above it.
            root = -1j * _upper_root(z**2 - pocket.gap_mev**2)
            weight = -math.pi * pocket.copies * pocket.density_of_states / root
            total += weight * np.array([[z, pocket.gap_mev], [pocket.gap_mev, z]])
        return total

    def t_matrix(self, energy_mev: float) -> Complex:
        """Return T(E), (2, 2), in meV nm^2."""
        scatterer = self.potential_mev_nm2 * np.diag([1.0, -1.0]).astype(np.complex128)
        return np.asarray(np.linalg.solve(np.eye(2) - scatterer @ self.local_green(energy_mev), scatterer))

    def green(self, energy_mev: float, dx: NDArray[np.float64], dy: NDArray[np.float64]) -> Complex:
        """Return G(r), (2, 2, ...), in 1/(meV nm^2); G(-r) = G(r)."""
        z = complex(energy_mev, self.broadening_mev)
        r = np.sqrt(dx**2 + dy**2 + self.tip_nm**2)
        total = np.zeros((2, 2, *r.shape), dtype=np.complex128)
        for pocket in self.pockets:
            omega = _upper_root(z**2 - pocket.gap_mev**2)
            velocity = 2 * pocket.inverse_mass * pocket.fermi_wavenumber
            dirty = omega + 0.5j * velocity / self.mean_free_path_nm
            above, below = pocket.normal_green(dirty, r), pocket.normal_green(-dirty, r)
            even, odd = (above - below) / (2 * omega), (above + below) / 2
            waves = pocket.waves(dx, dy)
            total[0, 0] += waves * (z * even + odd)
            total[1, 1] += waves * (z * even - odd)
            total[0, 1] += waves * pocket.gap_mev * even
        total[1, 0] = total[0, 1]
        return total

    def kernel(self, energy_mev: float, dx_nm: ArrayLike, dy_nm: ArrayLike) -> NDArray[np.float64]:
        """Return delta rho(r, E) in 1/(meV nm^2) at offsets from the defect."""
        x, y = np.broadcast_arrays(np.asarray(dx_nm, dtype=np.float64), np.asarray(dy_nm, dtype=np.float64))
        green = self.green(energy_mev, x, y)
        strength = self.t_matrix(energy_mev)
        return np.asarray(-np.imag(np.einsum("i...,ij,j...->...", green[0], strength, green[:, 0])) / math.pi)

    def pattern(self, energy_mev: float) -> Callable[[ArrayLike, ArrayLike], NDArray[np.float64]]:
        """Return the kernel at one energy as a function of the offsets in nm, as simulated_maps.scenes.superpose takes it."""
        return lambda dx, dy: self.kernel(energy_mev, dx, dy)


def two_pockets(sign_changing: bool, gaps_mev: tuple[float, float] = (3.0, 5.0), potential_mev_nm2: float = 5.0) -> Superconductor:
    """Return a hole pocket at the zone centre and electron pockets at (+-Q, 0) and (0, +-Q), with gaps of opposite or equal signs."""
    sign = -1.0 if sign_changing else 1.0
    pockets = (Pocket(1.5, -4.0, gaps_mev[0]), Pocket(1.2, 4.0, sign * gaps_mev[1], (6.5, 0.0)))
    return Superconductor(pockets, potential_mev_nm2)


def _upper_root(value: complex) -> complex:
    """Return the square root with a positive imaginary part."""
    root = complex(np.sqrt(complex(value)))
    return root if root.imag > 0 else -root
