"""The phenomenological kernel of the paper (Eq. 7): sin^2(A theta + phi1) sin^2(B r + phi2) exp(-c r^2).

A = n / 2 with the symmetry order n. For n = 0 the angular factor is the constant sin^2(phi1), and phi1 = pi/2 makes it 1.
sin^2(B r) oscillates with the wave vector q = 2 B, so the kernel's Fourier transform has its ring at 2 B rad/nm.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from qpi_core.base.errors import InputError
from qpi_core.base.grid import DEFAULT_PIXEL_SIZE_NM, kernel_coordinates

SYMMETRY_ORDERS = (0, 2, 3, 4, 6)
WAVENUMBER_RANGE = (1.5, 6.0)
"""B of the benchmark, rad/nm."""
DECAY_RANGE = (0.08, 0.6)
"""c of the benchmark, nm^-2."""
MAX_KERNEL_SIZE = 4096


@dataclass(frozen=True)
class KernelParameters:
    """Parameters of Eq. 7.

    Attributes:
        symmetry_order: n = 2 A, a whole number >= 0 (half-integer A alone keeps the pattern single-valued).
        orientation: phi1 in rad, periodic in pi; pi/2 for an isotropic kernel.
        wavenumber: B in rad/nm, >= 0.
        phase: phi2 in rad, periodic in pi.
        decay: c in nm^-2, > 0.
    """

    symmetry_order: int = 4
    orientation: float = 0.3
    wavenumber: float = 3.0
    phase: float = 0.5
    decay: float = 0.2

    def __post_init__(self) -> None:
        if isinstance(self.symmetry_order, bool) or self.symmetry_order != int(self.symmetry_order) or not 0 <= self.symmetry_order <= 64:
            raise InputError(f"symmetry_order must be a whole number from 0 to 64 (n = 2 A), but it is {self.symmetry_order!r}.")
        for name in ("orientation", "wavenumber", "phase", "decay"):
            if not np.isfinite(getattr(self, name)):
                raise InputError(f"{name} must be a finite number, but it is {getattr(self, name)!r}.")
        if self.wavenumber < 0:
            raise InputError(f"wavenumber is {self.wavenumber} rad/nm; it must not be negative.")
        if self.decay <= 0:
            raise InputError(f"decay is {self.decay} nm^-2; it must be positive, or the pattern never ends.")

    @classmethod
    def coerce(cls, value: KernelParameters | Mapping[str, Any]) -> KernelParameters:
        """Return parameters from an instance or a mapping of the field names; unknown names are errors."""
        if isinstance(value, cls):
            return value
        if not isinstance(value, Mapping) or set(value) - set(cls.__dataclass_fields__):
            names = ", ".join(cls.__dataclass_fields__)
            raise InputError(f"kernel_parameters must be KernelParameters or a mapping of {names}; got {value!r}.")
        return cls(**value)

    def as_dict(self) -> dict[str, float]:
        """Return the five values by name."""
        return asdict(self)


def equation_7(
    dx_nm: ArrayLike,
    dy_nm: ArrayLike,
    symmetry_order: ArrayLike,
    orientation: ArrayLike,
    wavenumber: ArrayLike,
    phase: ArrayLike,
    decay: ArrayLike,
) -> NDArray[np.float64]:
    """Return Eq. 7 at offsets (dx, dy) in nm from the defect; all arguments broadcast.

    Source: Ji et al., arXiv 2506.05325, Eq. 7, with A = symmetry_order / 2.
    """
    x, y = np.asarray(dx_nm, dtype=np.float64), np.asarray(dy_nm, dtype=np.float64)
    squared = x * x + y * y
    # sin^2(u) = (1 - cos 2u) / 2 spares half of the transcendental functions.
    angular = 0.5 - 0.5 * np.cos(np.asarray(symmetry_order) * np.arctan2(y, x) + 2 * np.asarray(orientation))
    radial = 0.5 - 0.5 * np.cos(2 * (np.asarray(wavenumber) * np.sqrt(squared) + np.asarray(phase)))
    return np.asarray(angular * radial * np.exp(-np.asarray(decay) * squared))


def evaluate(parameters: KernelParameters, dx_nm: ArrayLike, dy_nm: ArrayLike) -> NDArray[np.float64]:
    """Return the kernel with the given parameters at offsets (dx, dy) in nm from the defect."""
    return equation_7(
        dx_nm, dy_nm, parameters.symmetry_order, parameters.orientation, parameters.wavenumber, parameters.phase, parameters.decay
    )


def phenomenological_kernel(
    symmetry_order: int = 4,
    orientation: float = 0.3,
    wavenumber: float = 3.0,
    phase: float = 0.5,
    decay: float = 0.2,
    size: int = 64,
    pixel_size_nm: float | tuple[float, float] = DEFAULT_PIXEL_SIZE_NM,
) -> NDArray[np.float32]:
    """Return the kernel of Eq. 7 on a (size, size) grid with r = 0 at index size // 2.

    Args:
        symmetry_order: n = 2 A; 0 isotropic.
        orientation: phi1 in rad.
        wavenumber: B in rad/nm; the ring of the Fourier transform lies at 2 B.
        phase: phi2 in rad.
        decay: c in nm^-2.
        size: side in pixels, 1 to MAX_KERNEL_SIZE.
        pixel_size_nm: pitch, one number or (dy, dx).

    Raises:
        InputError: a parameter outside its range.

    Example:
        >>> import qpi_core
        >>> kernel = qpi_core.phenomenological_kernel(symmetry_order=6, wavenumber=2.5, size=32)
        >>> kernel.shape, kernel.dtype.name
        ((32, 32), 'float32')
    """
    if isinstance(size, bool) or not isinstance(size, (int, np.integer)) or not 1 <= size <= MAX_KERNEL_SIZE:
        raise InputError(f"size must be a whole number of pixels from 1 to {MAX_KERNEL_SIZE}, but it is {size!r}.")
    x, y = kernel_coordinates(int(size), pixel_size_nm)
    return evaluate(KernelParameters(symmetry_order, orientation, wavenumber, phase, decay), x, y).astype(np.float32)


def draw_kernel_parameters(rng: np.random.Generator, symmetry_order: int | None = None, widen: float = 1.0) -> KernelParameters:
    """Draw parameters of Eq. 7 as the benchmark does (design: orders evenly, angles uniform, B uniform, c log-uniform).

    Args:
        rng: the stream.
        symmetry_order: fixed order, or None to draw one of SYMMETRY_ORDERS.
        widen: factor (>= 1) by which the ranges of B and c reach beyond the benchmark's at both ends.
    """
    order = int(rng.choice(SYMMETRY_ORDERS)) if symmetry_order is None else symmetry_order
    orientation, phase = rng.uniform(0, np.pi, 2)
    wavenumber = rng.uniform(WAVENUMBER_RANGE[0] / widen, WAVENUMBER_RANGE[1] * widen)
    decay = np.exp(rng.uniform(np.log(DECAY_RANGE[0] / widen), np.log(DECAY_RANGE[1] * widen)))
    return KernelParameters(order, np.pi / 2 if order == 0 else float(orientation), float(wavenumber), float(phase), float(decay))
