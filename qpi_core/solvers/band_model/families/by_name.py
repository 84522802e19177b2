"""The families of bands that can be fitted, by name."""

from __future__ import annotations

import math

from qpi_core.base.errors import InputError
from qpi_core.solvers.band_model.families.anisotropic import EllipticBand, HexagonalBand, TopologicalSurfaceState
from qpi_core.solvers.band_model.families.family import BandKernels
from qpi_core.solvers.band_model.families.honeycomb import HoneycombBand
from qpi_core.solvers.band_model.families.isotropic import DiracCone, FreeElectrons, TwoParabolas
from qpi_core.solvers.band_model.families.lattices import TightBinding

_OF_A_CONTINUUM: dict[str, BandKernels] = {
    one.name: one for one in (FreeElectrons(), DiracCone(), TwoParabolas(), EllipticBand(), HexagonalBand(), TopologicalSurfaceState())
}
_OF_A_LATTICE = ("square", "triangular", "honeycomb")
BAND_MODELS = (*_OF_A_CONTINUUM, *_OF_A_LATTICE)
"""Names of all families."""


def band_family(name: str, lattice_constant_nm: float | None = None, lattice_angle_rad: float = 0.0) -> BandKernels:
    """Return a family of bands.

    Args:
        name: one of BAND_MODELS.
        lattice_constant_nm: of a tight-binding lattice, 0.1 to 5 nm; the others do without.
        lattice_angle_rad: direction of a primitive vector, from +x towards +y (downwards).

    Raises:
        InputError: no such family, or a lattice without a lattice constant.
    """
    if name in _OF_A_CONTINUUM:
        return _OF_A_CONTINUUM[name]
    if name not in _OF_A_LATTICE:
        raise InputError(f"model must be one of {', '.join(BAND_MODELS)}, but it is {name!r}.")
    if lattice_constant_nm is None or not 0.1 <= lattice_constant_nm <= 5.0:
        raise InputError(f"lattice_constant_nm must be 0.1 to 5 nm for the model {name!r}, but it is {lattice_constant_nm!r}.")
    if not math.isfinite(lattice_angle_rad):
        raise InputError(f"lattice_angle_rad must be a finite angle, but it is {lattice_angle_rad!r}.")
    if name == "honeycomb":
        return HoneycombBand(float(lattice_constant_nm), float(lattice_angle_rad))
    return TightBinding(float(lattice_constant_nm), float(lattice_angle_rad), name == "square")
