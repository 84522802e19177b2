"""Every family of simulated kernels behind one door: what it is, its formula and source, and a kernel of it by its parameters or a seed."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qpi_core.base.errors import InputError
from qpi_core.base.grid import DEFAULT_PIXEL_SIZE_NM, kernel_coordinates
from qpi_core.synthesis.bands import band_families
from qpi_core.synthesis.bands.band_families import BandControls, band_structure, defect_scattering, draw_band_controls, lattice_constant_nm
from qpi_core.synthesis.bands.scattering import DEFAULT_EXTENT_NM, band_pattern
from qpi_core.synthesis.kernel_families.equation_7 import KernelParameters, draw_kernel_parameters, evaluate
from qpi_core.synthesis.kernel_families.harmonic_patterns import HarmonicPattern, draw_harmonic_pattern
from qpi_core.synthesis.kernel_families.spline_patterns import SplinePattern, draw_spline_pattern
from qpi_core.synthesis.simulated_maps.scenes import Pattern

EQUATION_7, HARMONIC, SPLINE = "equation_7", "harmonic", "spline"
KERNEL_SIZE = 64


@dataclass(frozen=True)
class KernelFamily:
    """What a person reads about a family.

    Attributes:
        title: of the family.
        formula: of one kernel, LaTeX.
        meaning: of the symbols in the formula.
        source: where it comes from.
    """

    title: str
    formula: str
    meaning: str
    source: str


_T_MATRIX = (
    r"A(\mathbf r) = -\tfrac{1}{\pi}\,\mathrm{Im}\left[T\textstyle\sum_i s_i\,g_i(\mathbf r)^2\right],"
    r"\quad T = \frac{V}{1 - V G_0(0)}"
)
_T_MEANING = "g: Green's function of the band E(k), broadened by the mean free path and seen through the tip; V: the defect's potential. "
_T_SOURCE = "T-matrix: Economou, Green's Functions in Quantum Physics, ch. 6; Capriotti et al., Phys. Rev. B 68, 014508 (2003). "
_HONEYCOMB = r"E = D(\mathbf k) \pm |h(\mathbf k)|,\quad h = -t\textstyle\sum_j e^{i\mathbf k\cdot\mathbf d_j}"
_HONEYCOMB_SOURCE = "Bands: Castro Neto et al., Rev. Mod. Phys. 81, 109 (2009), eq. 5."
_BAND_TEXTS = {
    "square": (
        r"E = -2t\,(\cos k_x a + \cos k_y a) - 4t'\cos k_x a\cos k_y a",
        "t, t': hopping to the nearest and next-nearest site; a: lattice constant.",
        "Bands: Economou, ch. 5.",
    ),
    "triangular": (
        r"E = -t\textstyle\sum_{\mathbf d}\cos\mathbf k\cdot\mathbf d - t'\textstyle\sum_{\mathbf d'}\cos\mathbf k\cdot\mathbf d'",
        "d, d': the six nearest and six next-nearest sites; t, t': hopping to them.",
        "Bands: Economou, ch. 5.",
    ),
    "honeycomb": (_HONEYCOMB, "The three d lead from an A site to its B sites; the defect sits on an A site.", _HONEYCOMB_SOURCE),
    "dirac": (_HONEYCOMB, "The same bands below the Dirac point: a contour around the corner K of the zone.", _HONEYCOMB_SOURCE),
    "warped": (
        r"E = E_0 \pm \sqrt{v^2k^2 + w^2k^6\cos^2 3\varphi}",
        "v: velocity times hbar; w: hexagonal warping. The spin turns with k, so straight back-scattering is suppressed.",
        "Bands: Fu, Phys. Rev. Lett. 103, 266801 (2009), eq. 2.",
    ),
    "elliptic": (
        r"E = E_0 + \frac{\hbar^2}{2m}\left(\frac{k_\parallel^2}{\sqrt\rho} + k_\perp^2\sqrt\rho\right)",
        "rho: ratio of the masses along and across the angle.",
        "Surface states: Crommie, Lutz, Eigler, Nature 363, 524 (1993).",
    ),
    "several": (
        r"E_b = E_{0,b} + \frac{\hbar^2k^2}{2m_b},\quad b = 1, 2",
        "The defect couples both bands, so the pattern holds k_a + k_b for every pair.",
        "Surface states: Crommie, Lutz, Eigler, Nature 363, 524 (1993).",
    ),
}


def _two_lines(first: str, second: str) -> str:
    return rf"\begin{{gathered}}{first}\\{second}\end{{gathered}}"


FAMILIES: Mapping[str, KernelFamily] = MappingProxyType(
    {
        EQUATION_7: KernelFamily(
            "Eq. 7 of the paper",
            r"A(r, \theta) = \sin^2\left(\tfrac n2\theta + \varphi_1\right)\,\sin^2(Br + \varphi_2)\,e^{-cr^2}",
            "n: symmetry order; B: wave number; c: decay; φ₁, φ₂: phases.",
            "Ji et al., arXiv 2506.05325, Eq. 7.",
        ),
        HARMONIC: KernelFamily(
            "Signed harmonic patterns",
            r"A(r, \theta) = e^{-cr^2}\textstyle\sum_{m\in\{0,n,2n\}}\left(a_m + b_m\cos(q_mr + p_m)\right)\cos(m\theta + t_m)",
            "Everything but n is random: wave vectors q, amplitudes a and b, phases p and t, decay c.",
            "This project; Eq. 7 is the special case of two terms with one wave vector.",
        ),
        SPLINE: KernelFamily(
            "Spline patterns",
            r"A(r, \theta) = e^{-cr^2}\textstyle\sum_{m\in\{0,n,2n\}}f_m(r)\,\cos(m\theta + t_m)",
            "f: cubic B-splines with random coefficients, so no wave vector and no formula.",
            "This project; B-splines: de Boor, A Practical Guide to Splines (1978).",
        ),
        **{
            name: KernelFamily(
                family.title,
                _two_lines(_T_MATRIX, _BAND_TEXTS[name][0]),
                _T_MEANING + _BAND_TEXTS[name][1],
                _T_SOURCE + _BAND_TEXTS[name][2],
            )
            for name, family in band_families.FAMILIES.items()
        },
    }
)


@dataclass(frozen=True)
class SyntheticKernel:
    """One kernel of one family; hashable, and its repr is Python code that makes it again.

    Attributes:
        family: a key of FAMILIES.
        parameters: KernelParameters for "equation_7", BandControls for a band structure, and for the random families
            ("harmonic", "spline") the seed >= 0 that the kernel is drawn with.

    Raises:
        InputError: an unknown family, or parameters that are not the family's.
    """

    family: str = EQUATION_7
    parameters: KernelParameters | BandControls | int = KernelParameters()

    def __post_init__(self) -> None:
        require_family(self.family)
        given = self.parameters
        if self.family == EQUATION_7:
            fits, wanted = isinstance(given, KernelParameters), "KernelParameters"
        elif self.family in (HARMONIC, SPLINE):
            fits, wanted = isinstance(given, int) and not isinstance(given, bool) and given >= 0, "a seed of 0 or more"
        else:
            fits = isinstance(given, BandControls) and given.family == self.family
            wanted = f"BandControls of the family {self.family!r}"
        if not fits:
            raise InputError(f"parameters of a {self.family!r} kernel must be {wanted}, but it is {given!r}.")

    def pattern(self, extent_nm: float = DEFAULT_EXTENT_NM) -> Pattern:
        """Return the kernel as a function of the offsets in nm; a band-structure kernel is brought to zero at extent_nm.

        Raises:
            InputError: a band structure whose waves reach further than the largest grid (see scattering.band_pattern).
        """
        if isinstance(self.parameters, KernelParameters):
            parameters = self.parameters
            return lambda dx, dy: evaluate(parameters, dx, dy)
        if isinstance(self.parameters, BandControls):
            return band_pattern(defect_scattering(self.parameters), extent_nm)
        return self._random_pattern()

    def _random_pattern(self) -> HarmonicPattern | SplinePattern:
        rng = np.random.default_rng(self.parameters)  # type: ignore[arg-type]
        return draw_harmonic_pattern(rng) if self.family == HARMONIC else draw_spline_pattern(rng)

    @property
    def symmetry_order(self) -> int | None:
        """Rotational symmetry n, 0 for an isotropic kernel, None for one without symmetry."""
        if isinstance(self.parameters, KernelParameters):
            return self.parameters.symmetry_order
        if isinstance(self.parameters, BandControls):
            return band_structure(self.parameters)[0].symmetry_order
        order = self._random_pattern().symmetry_order
        return None if order == 1 else order

    def traits(self) -> dict[str, float]:
        """Return what can be compared between families; NaN where a family has no such number.

        Keys: "symmetry_order" (NaN without symmetry), "wave_vector_rad_per_nm" (of the ring of the Fourier transform: 2 B, 2 k
        or the first q), "decay_per_nm2" (c), "mean_free_path_nm", "orientation_rad", "phase_rad".
        """
        order = self.symmetry_order
        found = dict.fromkeys(("wave_vector_rad_per_nm", "decay_per_nm2", "mean_free_path_nm", "orientation_rad", "phase_rad"), math.nan)
        given = self.parameters
        if isinstance(given, KernelParameters):
            found |= {"wave_vector_rad_per_nm": 2 * given.wavenumber, "decay_per_nm2": given.decay, "phase_rad": given.phase}
            found["orientation_rad"] = given.orientation if order else math.nan
        elif isinstance(given, BandControls):
            found |= {"wave_vector_rad_per_nm": given.wave_vector, "mean_free_path_nm": given.mean_free_path_nm}
        else:
            drawn = self._random_pattern()
            found["decay_per_nm2"] = drawn.decay
            if isinstance(drawn, HarmonicPattern):
                found["wave_vector_rad_per_nm"] = drawn.wave_vectors[0]
        return {"symmetry_order": math.nan if order is None else float(order), **found}

    def on_window(self, size: int = KERNEL_SIZE, pixel_size_nm: float = DEFAULT_PIXEL_SIZE_NM) -> NDArray[np.float32]:
        """Return the kernel on a (size, size) window with r = 0 at index size // 2."""
        x, y = kernel_coordinates(size, pixel_size_nm)
        # Half a window's diagonal, beyond the radius where a band-structure kernel starts to be brought to zero.
        extent = max(1.0, 0.8 * size * pixel_size_nm)
        return self.pattern(extent)(x, y).astype(np.float32)

    def as_dict(self) -> dict[str, Any]:
        """Return family, parameters and traits as plain values, for a side-car."""
        given = self.parameters
        values: dict[str, Any] = {"seed": given} if isinstance(given, int) else asdict(given)
        if isinstance(given, BandControls):
            values["lattice_constant_nm"] = lattice_constant_nm(given)
        return {"family": self.family, "title": FAMILIES[self.family].title, "parameters": values, "traits": self.traits()}


def require_family(family: str) -> None:
    """Raise InputError unless the family is a key of FAMILIES."""
    if family not in FAMILIES:
        raise InputError(f"family must be one of {', '.join(FAMILIES)}, but it is {family!r}.")


def draw_synthetic_kernel(family: str, seed: int, widen: float = 1.0) -> SyntheticKernel:
    """Draw a kernel of a family from its usual ranges; the seed decides it.

    Args:
        family: a key of FAMILIES.
        seed: 0 or more.
        widen: factor (>= 1) by which the ranges of Eq. 7 reach beyond the benchmark's; the other families have their own.

    Raises:
        InputError: an unknown family.
    """
    require_family(family)
    if family in (HARMONIC, SPLINE):
        return SyntheticKernel(family, seed)
    rng = np.random.default_rng(seed)
    return SyntheticKernel(family, draw_kernel_parameters(rng, widen=widen) if family == EQUATION_7 else draw_band_controls(rng, family))
