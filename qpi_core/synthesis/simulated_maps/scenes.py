"""Scenes: defect positions, the activation map, and the exact superposition of kernels with noise."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from qpi_core.base.errors import InputError
from qpi_core.base.grid import DEFAULT_PIXEL_SIZE_NM
from qpi_core.base.validation import MAX_PIXELS, require_pixel_size, require_positions
from qpi_core.synthesis.kernel_families.equation_7 import (
    SYMMETRY_ORDERS,
    KernelParameters,
    draw_kernel_parameters,
    evaluate,
    phenomenological_kernel,
)

BENCHMARK_SHAPE = (64, 64)
MAX_DEFECTS = 100
_CHUNK_VALUES = 2**20

Pattern = Callable[[NDArray[np.float64], NDArray[np.float64]], NDArray[np.float64]]
"""A kernel as a function of the offsets (dx, dy) in nm from its defect."""


@dataclass(frozen=True)
class Scene:
    """One simulated map with its truth.

    Attributes:
        parameters: the kernel of Eq. 7.
        kernel: (64, 64) float32 truth, centre at index 32.
        positions: (n, 2) float64, (x, y) in pixels.
        clean: (height, width) float64, the exact superposition.
        observation: (height, width) float32, clean + Gaussian noise.
        noise_sigma: standard deviation of the noise, units of the observation.
        pixel_size_nm: pitch.
    """

    parameters: KernelParameters
    kernel: NDArray[np.float32]
    positions: NDArray[np.float64]
    clean: NDArray[np.float64]
    observation: NDArray[np.float32]
    noise_sigma: float
    pixel_size_nm: float


def activation_map(positions: ArrayLike, shape: tuple[int, int]) -> NDArray[np.float32]:
    """Return M: the number of defects in each pixel of a (height, width) map; fractional positions go to the nearest pixel."""
    points = require_positions(positions, shape)
    columns = np.clip(np.rint(points[:, 0]).astype(int), 0, shape[1] - 1)
    rows = np.clip(np.rint(points[:, 1]).astype(int), 0, shape[0] - 1)
    counts = np.zeros(shape, dtype=np.float32)
    np.add.at(counts, (rows, columns), 1.0)
    return counts


def superpose(
    pattern: Pattern,
    positions: NDArray[np.float64],
    shape: tuple[int, int],
    pixel_size_nm: float | tuple[float, float],
    weights: NDArray[np.float64] | None = None,
) -> NDArray[np.float64]:
    """Return sum_j w_j A(p - r_j) over a (height, width) map, with the pattern evaluated at the exact offsets.

    Linear and cropped: every defect contributes its full tails, nothing wraps around.
    """
    pitch = require_pixel_size(pixel_size_nm)
    amplitudes = np.ones(len(positions)) if weights is None else weights
    if len(positions) > 4 and np.array_equal(positions, np.rint(positions)):
        return _superpose_on_grid(pattern, positions.astype(int), shape, pitch, amplitudes)
    return _superpose_anywhere(pattern, positions, shape, pitch, amplitudes)


def _superpose_anywhere(
    pattern: Pattern,
    positions: NDArray[np.float64],
    shape: tuple[int, int],
    pitch: tuple[float, float],
    amplitudes: NDArray[np.float64],
) -> NDArray[np.float64]:
    (height, width), (dy, dx) = shape, pitch
    y, x = np.mgrid[:height, :width].astype(np.float64)
    total = np.zeros(shape)
    # A few defects at a time: bounded memory for large maps, few Python calls for small ones.
    step = max(1, _CHUNK_VALUES // (height * width))
    for start in range(0, len(positions), step):
        part = positions[start : start + step]
        values = pattern((x - part[:, 0, None, None]) * dx, (y - part[:, 1, None, None]) * dy)
        total += np.tensordot(amplitudes[start : start + step], values, axes=1)
    return total


def _superpose_on_grid(
    pattern: Pattern, positions: NDArray[np.int64], shape: tuple[int, int], pitch: tuple[float, float], amplitudes: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Evaluate the pattern once on every offset that a map can show, and add the part that each defect shows."""
    (height, width), (dy, dx) = shape, pitch
    y, x = np.mgrid[1 - height : height, 1 - width : width].astype(np.float64)
    table = pattern(x * dx, y * dy)
    total = np.zeros(shape)
    for (column, row), amplitude in zip(positions, amplitudes, strict=True):
        total += amplitude * table[height - 1 - row : 2 * height - 1 - row, width - 1 - column : 2 * width - 1 - column]
    return total


def simulate_observation(
    kernel_parameters: KernelParameters | Mapping[str, Any],
    positions: ArrayLike,
    shape: tuple[int, int],
    pixel_size_nm: float | tuple[float, float] = DEFAULT_PIXEL_SIZE_NM,
    noise_sigma: float = 0.0,
    rng: np.random.Generator | int | None = None,
) -> NDArray[np.float32]:
    """Return an observation: the exact sum of Eq. 7 over the defects plus Gaussian noise.

    Args:
        kernel_parameters: KernelParameters, or a mapping of its fields.
        positions: (n, 2) columns (x, y) in pixels, fractions allowed.
        shape: (height, width) in pixels.
        pixel_size_nm: pitch, one number or (dy, dx).
        noise_sigma: standard deviation of the noise in units of the observation, >= 0.
        rng: numpy Generator or seed of the noise; None draws fresh entropy.

    Raises:
        InputError: parameters, positions, shape, pitch or noise outside their range.

    Example:
        >>> import qpi_core
        >>> pattern = {"symmetry_order": 4, "orientation": 0.3, "wavenumber": 3.0, "phase": 0.5, "decay": 0.2}
        >>> qpi_core.simulate_observation(pattern, [[10.0, 12.5], [30.0, 20.0]], (40, 48), noise_sigma=0.1, rng=1).shape
        (40, 48)
    """
    size = _require_shape(shape)
    points = require_positions(positions, size)
    if not (np.isfinite(noise_sigma) and noise_sigma >= 0):
        raise InputError(f"noise_sigma must be zero or positive, but it is {noise_sigma!r}.")
    parameters = KernelParameters.coerce(kernel_parameters)
    clean = superpose(lambda dx, dy: evaluate(parameters, dx, dy), points, size, pixel_size_nm)
    if noise_sigma > 0:
        clean = clean + np.random.default_rng(rng).normal(0.0, noise_sigma, size)
    return clean.astype(np.float32)


def draw_positions(rng: np.random.Generator, count: int, shape: tuple[int, int], on_grid: bool = True) -> NDArray[np.float64]:
    """Draw defect positions: distinct pixels, or continuous over the map's area."""
    height, width = shape
    if on_grid:
        cells = rng.choice(height * width, size=count, replace=False)
        return np.stack([cells % width, cells // width], axis=1).astype(np.float64)
    within = rng.uniform(-0.5, 0.5, (count, 2))
    drawn: NDArray[np.float64] = within + rng.uniform(0, 1, (count, 2)) * np.array([width - 1, height - 1])
    return drawn


def draw_scene(seed: int, index: int, noise_level: float = 0.0, on_grid: bool = True, count: int | None = None) -> Scene:
    """Draw scene `index` of a seeded series of benchmark scenes (design: benchmark protocol).

    Scene i depends on (seed, i) alone. The noise level scales one fixed noise field, so a scene at two levels differs in nothing else.

    Args:
        seed: names the series.
        index: number of the scene; the symmetry order is SYMMETRY_ORDERS[index % 5].
        noise_level: noise_sigma relative to the standard deviation of the clean map.
        on_grid: defects at distinct pixels, or anywhere.
        count: number of defects; None draws 1..MAX_DEFECTS uniformly.
    """
    rng = np.random.default_rng([seed, index])
    parameters = draw_kernel_parameters(rng, SYMMETRY_ORDERS[index % len(SYMMETRY_ORDERS)])
    drawn = int(rng.integers(1, MAX_DEFECTS + 1))
    positions = draw_positions(rng, drawn if count is None else count, BENCHMARK_SHAPE, on_grid)
    clean = superpose(lambda dx, dy: evaluate(parameters, dx, dy), positions, BENCHMARK_SHAPE, DEFAULT_PIXEL_SIZE_NM)
    sigma = float(noise_level * clean.std())
    observation = (clean + sigma * rng.standard_normal(BENCHMARK_SHAPE)).astype(np.float32)
    kernel = phenomenological_kernel(**parameters.as_dict(), size=64)  # type: ignore[arg-type]
    return Scene(parameters, kernel, positions, clean, observation, sigma, DEFAULT_PIXEL_SIZE_NM)


def _require_shape(shape: tuple[int, int]) -> tuple[int, int]:
    try:
        height, width = (int(n) for n in shape)
    except (TypeError, ValueError):
        raise InputError(f"shape must be (height, width) in pixels, but it is {shape!r}.") from None
    if height < 1 or width < 1 or height * width > MAX_PIXELS:
        raise InputError(f"shape {shape!r} is not a map of 1 to {MAX_PIXELS} pixels.")
    return height, width
