"""A kernel in q-space under one set of settings: |F|, and beside it real part, phase, the whole map, or what symmetrising removed."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from qpi_core.base.errors import InputError
from qpi_core.base.validation import require_pixel_size
from qpi_core.qspace.map_spectrum import coarser, map_spectrum
from qpi_core.qspace.profiles import phase_of
from qpi_core.qspace.spectra import WINDOWS, fft_magnitude, kernel_fft, kernel_window
from qpi_core.qspace.surface_lattice import SurfaceLattice
from qpi_core.qspace.symmetrising import ROTATION_ORDERS, symmetrise

BESIDE = ("map", "real", "phase", "removed", "none")
PADDINGS = (1, 2, 4)
ZOOMS = (1, 2, 4, 8, 16)
Q_UNITS = {"rad/nm": 1.0, "1/Å": 0.1}
"""Name of a unit of q -> its number in one rad/nm. The 2 pi is in q with both: |G| of a square lattice is 2 pi / a."""
LEAST_MAGNITUDE_FOR_PHASE = 0.02
"""Share of the largest |F| away from q = 0 below which the phase is left out: it is that of the noise."""
_TOP_PERCENTILE = 99.7
_DECADES = 3
_MOST_MAP_PIXELS = 512
_TELLING_SHARE, _LEAST_HALF_SIDE = 0.999, 12
"""Of the power and of the pixels that a picture of a spectrum is to begin with: one of many pixels is a dot in all that they resolve."""

Pair = tuple[float, float]


@dataclass(frozen=True)
class QSpaceView:
    """Settings of a view.

    Attributes:
        beside: one of BESIDE, the picture next to |F|.
        window: one of qpi_core.qspace.spectra.WINDOWS, for kernel and map.
        padding: zero padding, the side of the transform in kernel sides, one of PADDINGS: a finer q grid, no more information.
        logarithmic: magnitudes as log10 over three decades.
        q_unit: one of Q_UNITS, for axes.
        lattice: whose Bragg peaks and first Brillouin zone are drawn over it, or None.
        symmetry_order: n of the n-fold rotations that the windowed kernel is averaged over; 1 is none.
        mirror_angle: of the mirror axis that it is averaged over, rad from +x towards +y (downwards), or None.
        zoom: one of ZOOMS; pictures show the inner 1/zoom of the wave vectors that the pixels resolve, and their colours are for that part.

    Raises:
        InputError: an unknown choice.
    """

    beside: str = "none"
    window: str = "none"
    padding: int = 1
    logarithmic: bool = False
    q_unit: str = "rad/nm"
    lattice: SurfaceLattice | None = None
    symmetry_order: int = 1
    mirror_angle: float | None = None
    zoom: int = 1

    def __post_init__(self) -> None:
        choices: tuple[tuple[str, Any, Any], ...] = (
            ("beside", self.beside, BESIDE),
            ("window", self.window, WINDOWS),
            ("padding", self.padding, PADDINGS),
            ("zoom", self.zoom, ZOOMS),
            ("q_unit", self.q_unit, tuple(Q_UNITS)),
            ("symmetry_order", self.symmetry_order, ROTATION_ORDERS),
        )
        for name, value, allowed in choices:
            if value not in allowed or isinstance(value, bool):
                raise InputError(f"{name} must be one of {', '.join(map(str, allowed))}, but it is {value!r}.")
        if self.mirror_angle is not None and not math.isfinite(self.mirror_angle):
            raise InputError(f"mirror_angle must be a finite angle in rad or None, but it is {self.mirror_angle!r}.")
        if self.beside == "removed" and not self.symmetrises:
            raise InputError("beside is 'removed', but nothing is symmetrised; give a symmetry_order or a mirror_angle.")

    @property
    def symmetrises(self) -> bool:
        """Whether anything is averaged."""
        return self.symmetry_order > 1 or self.mirror_angle is not None

    def record(self) -> dict[str, Any]:
        """Return the settings in strict JSON types."""
        return asdict(self)


@dataclass(frozen=True, eq=False)
class KernelSpectrum:
    """A kernel's transform under a view.

    Attributes:
        values: (m, m) complex F(q), q = 0 at index m // 2, of the windowed and symmetrised kernel.
        removed: the same of what symmetrising took away, or None where nothing is symmetrised.
        removed_share: of the windowed kernel's power (sum of squares, the same over pixels and over q) that was taken away, 0 to 1.
        q_step: (q_y, q_x) in rad/nm, rad/px without a pixel size.
    """

    values: NDArray[np.complex128]
    removed: NDArray[np.complex128] | None
    removed_share: float
    q_step: Pair


@dataclass(frozen=True, eq=False)
class QSpacePicture:
    """One picture in q-space.

    Attributes:
        kind: `magnitude`, `real` or `phase`; phase in rad from -pi to pi, NaN where |F| is too small to have one.
        title: of the picture.
        values: (height, width), q = 0 at index n // 2.
        q_step: (q_y, q_x) in rad/nm, rad/px without a pixel size.
        limits: values of `drawn` at the ends of the colours; all magnitudes of a view share theirs, the map's being per defect.
        logarithmic: whether `drawn` is log10 of the values.
    """

    kind: str
    title: str
    values: NDArray[np.float64]
    q_step: Pair
    limits: Pair
    logarithmic: bool = False

    @property
    def ends(self) -> Pair:
        """Values at the ends of the colours."""
        low, high = self.limits
        return (10.0**low, 10.0**high) if self.logarithmic else (low, high)

    @property
    def drawn(self) -> NDArray[np.float64]:
        """What the colours show, (height, width)."""
        return np.log10(np.maximum(self.values, 10.0 ** (self.limits[0] - _DECADES))) if self.logarithmic else self.values


def kernel_spectrum(kernel: ArrayLike, view: QSpaceView, pixel_size_nm: float | Pair | None = None) -> KernelSpectrum:
    """Return the transform of a kernel: window, then symmetrising, then zero padding, then FFT.

    Args:
        kernel: (k, k), centre at index k // 2.
        view: the settings.
        pixel_size_nm: pitch, one number or (dy, dx): rotations are those of the surface, not of the pixels.

    Raises:
        InputError: not a finite 2-D array, a bad pixel size, or a padded size beyond qpi_core.qspace.spectra.MAX_PADDED_SIZE.
    """
    image = np.asarray(kernel)
    if image.ndim != 2 or image.shape[0] != image.shape[1]:
        raise InputError(f"kernel must be a square 2-D array, but it has shape {image.shape}.")
    dy, dx = require_pixel_size(1.0 if pixel_size_nm is None else pixel_size_nm)
    side = image.shape[0] * view.padding
    padded = None if view.padding == 1 else side
    step = (2 * np.pi / (side * dy), 2 * np.pi / (side * dx))
    if not view.symmetrises:
        return KernelSpectrum(kernel_fft(image, view.window, padded), None, 0.0, step)
    windowed = image * kernel_window((image.shape[0], image.shape[1]), view.window)
    parts = symmetrise(windowed, view.symmetry_order, view.mirror_angle, (dy, dx))
    kept, removed = (kernel_fft(part, "none", padded) for part in (parts.kept, parts.removed))
    return KernelSpectrum(kept, removed, parts.removed_share, step)


def qspace_pictures(
    spectrum: KernelSpectrum,
    view: QSpaceView,
    observation: ArrayLike | None = None,
    weights: ArrayLike | None = None,
    pixel_size_nm: float | Pair | None = None,
) -> tuple[QSpacePicture, ...]:
    """Return |F| of the kernel, and the picture beside it where the view has one.

    Args:
        spectrum: of the kernel, under the same view.
        view: the settings.
        observation, weights: (height, width) map and (n,) amplitudes of its defects, for the picture `map`; it is symmetrised as the kernel
            is, its power instead of its values. A map of many pixels is averaged over blocks of q.
        pixel_size_nm: of the map.

    Raises:
        InputError: `map` without a map, or a bad map.
    """
    magnitude = np.abs(spectrum.values)
    rows, columns = (slice(side // 2 - side // 2 // view.zoom, side // 2 + side // 2 // view.zoom + 1) for side in magnitude.shape)
    shown = _away_from_zero(magnitude[rows, columns], view.padding)
    high = float(np.percentile(shown, _TOP_PERCENTILE)) or 1.0
    limits = (math.log10(high) - _DECADES, math.log10(high)) if view.logarithmic else (0.0, high)

    def magnitude_picture(title: str, values: NDArray[np.float64], step: Pair) -> QSpacePicture:
        return QSpacePicture("magnitude", title, values, step, limits, view.logarithmic)

    first = magnitude_picture("|FFT| of the kernel", magnitude, spectrum.q_step)
    if view.beside == "real":
        return first, QSpacePicture("real", "Real part of the kernel's FFT", spectrum.values.real, spectrum.q_step, (-high, high))
    if view.beside == "phase":
        seen = magnitude >= LEAST_MAGNITUDE_FOR_PHASE * float(shown.max())
        phase = np.where(seen, phase_of(spectrum.values), np.nan)
        return first, QSpacePicture("phase", "Phase of the kernel's FFT", phase, spectrum.q_step, (-math.pi, math.pi))
    if view.beside == "removed" and spectrum.removed is not None:
        title = f"Removed: {100 * spectrum.removed_share:.2g} % of the power"
        return first, magnitude_picture(title, np.abs(spectrum.removed), spectrum.q_step)
    if view.beside == "map":
        if observation is None or weights is None:
            raise InputError("beside is 'map', but there is no observation with weights; give both.")
        whole = map_spectrum(observation, weights, pixel_size_nm, view.window)
        power, step = coarser(whole.power, whole.q_step, _MOST_MAP_PIXELS)
        if view.symmetrises:
            power = symmetrise(power, view.symmetry_order, view.mirror_angle, step).kept
        return first, magnitude_picture("|FFT| of the whole map, per defect", np.sqrt(np.maximum(power, 0.0)), step)
    return (first,)


def telling_zoom(kernel: ArrayLike) -> int:
    """Return how far a picture of a kernel's spectrum is to be zoomed in at first.

    The largest of ZOOMS whose inner 1/zoom of the wave vectors holds 99.9 % of the power,

        sum over |q_x|, |q_y| <= q_N / zoom of |F|^2 >= 0.999 sum of |F|^2,

    q = 0 left out (a constant says nothing), and still reaches twelve pixels from there. F is that of the kernel under a Hann window:
    without one the steps at the edges of the kernel send lines through all of q-space.

    Args:
        kernel: (k, k), centre at index k // 2.
    """
    magnitude = fft_magnitude(kernel, "hann")
    half = magnitude.shape[0] // 2
    distance = np.abs(np.arange(magnitude.shape[0]) - half)
    farther = np.maximum(distance[:, None], distance[None, :])
    power = np.where(farther > 0, magnitude**2, 0.0)
    inside = np.cumsum(np.bincount(farther.ravel(), weights=power.ravel()))
    fitting = [zoom for zoom in ZOOMS if half // zoom >= _LEAST_HALF_SIDE and inside[half // zoom] >= _TELLING_SHARE * inside[-1]]
    return max(fitting, default=1)


def _away_from_zero(magnitude: NDArray[np.float64], pixels: int) -> NDArray[np.float64]:
    """Return the values further than `pixels` from the middle, q = 0, which holds the kernel's mean and can outshine the rest."""
    row, column = (np.abs(np.arange(side) - side // 2) for side in magnitude.shape)
    away = np.maximum(row[:, None], column[None, :]) > pixels
    return magnitude[away] if away.any() else magnitude.ravel()
