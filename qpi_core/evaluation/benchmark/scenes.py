"""The benchmark's scenes: one protocol, its variants, and the seeds that nothing else may use."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from qpi_core.base.errors import InputError
from qpi_core.base.grid import DEFAULT_PIXEL_SIZE_NM, kernel_coordinates
from qpi_core.evaluation.benchmark.unusual_kernels import band_pattern, one_sided_pattern, strained_pattern
from qpi_core.synthesis.kernel_families.equation_7 import KernelParameters
from qpi_core.synthesis.simulated_maps.measured_scene import draw_measured_scene
from qpi_core.synthesis.simulated_maps.measured_variants import MEASURED_VARIANTS, describe_variant, is_measured_variant, parse_variant
from qpi_core.synthesis.simulated_maps.scenes import BENCHMARK_SHAPE, Pattern, draw_positions, draw_scene, superpose

HELD_OUT_SEED = 770_001
"""Seed of the published tables. Nothing is trained, tuned or chosen on it; tests and experiments use TUNING_SEED or their own."""
TUNING_SEED = 1
NOISE_LEVELS = (0.0, 0.05, 0.2, 0.5, 1.0)
"""Standard deviation of the noise relative to that of the clean observation."""
DEFECT_BINS = ((1, 10), (11, 40), (41, 100))
KERNEL_SIZE = 64
WIDE_SHAPE = (150, 200)

VARIANTS = {
    "on-grid": "the protocol: Eq. 7, defects at distinct pixels, exact positions",
    "off-grid": "defects anywhere, exact positions",
    "clicks-0.5": "given positions with a Gaussian error of 0.5 pixel in x and y",
    "clicks-1": "given positions with a Gaussian error of 1 pixel in x and y",
    "missing-10": "10 % of the defects missing from the list",
    "strained": "Eq. 7 stretched by 10 % along a random direction: no rotation symmetry",
    "one-sided": "Eq. 7 fading out on one side of the defect: no symmetry",
    "band": "Green's-function kernels of one elliptic or two circular parabolic bands, finite tip",
    "band-150x200": "the same on maps of 150 x 200 pixels",
}
EQUATION_7_VARIANTS = ("on-grid", "off-grid", "clicks-0.5", "clicks-1", "missing-10")
"""Variants whose kernels are of Eq. 7, so that there is a formula to know."""
_POSITION_ERRORS = {"clicks-0.5": 0.5, "clicks-1": 1.0}
_MISSING_SHARE = 0.1
_VARIANT_STREAM = 0x56415249


@dataclass(frozen=True)
class BenchmarkScene:
    """One scene with its truth and with what a method is given.

    Attributes:
        variant: one of VARIANTS, or a name that parse_variant reads.
        noise_level: relative to the standard deviation of the clean observation.
        index: number of the scene; the same index is the same kernel and defects at every noise level.
        observation: (height, width) float32.
        positions: (n, 2) as given to the method, (x, y) in pixels.
        true_positions: (m, 2) all defects where they are.
        kernel: (64, 64) float32, the truth, centre at index 32.
        noise_sigma: standard deviation of the noise, units of the observation.
        symmetry_order: 0, 2, 3, 4, 6, or None for a kernel without one of these.
        parameters: of the kernel, None where it is not of Eq. 7.
        pixel_size_nm: pitch.
    """

    variant: str
    noise_level: float
    index: int
    observation: NDArray[np.float32]
    positions: NDArray[np.float64]
    true_positions: NDArray[np.float64]
    kernel: NDArray[np.float32]
    noise_sigma: float
    symmetry_order: int | None
    parameters: KernelParameters | None
    pixel_size_nm: float = DEFAULT_PIXEL_SIZE_NM

    @property
    def list_is_right(self) -> bool:
        """Whether the list holds every defect where it is; kinds and strengths are not in a list."""
        return np.array_equal(self.positions, self.true_positions)


@dataclass(frozen=True)
class _CleanScene:
    clean: NDArray[np.float64]
    noise: NDArray[np.float64]
    true_positions: NDArray[np.float64]
    positions: NDArray[np.float64]
    kernel: NDArray[np.float32]
    symmetry_order: int | None
    parameters: KernelParameters | None


def draw_benchmark_scene(seed: int, index: int, variant: str = "on-grid", noise_level: float = 0.0) -> BenchmarkScene:
    """Draw scene `index` of a variant; it depends on the four arguments alone, and the noise scales one fixed field.

    Args:
        seed: HELD_OUT_SEED for tables, anything else for experiments.
        index: scene number; the symmetry orders 0, 2, 3, 4, 6 follow each other.
        variant: one of VARIANTS, or what a measured map adds, as synthesis.measured_variants.parse_variant reads it.
        noise_level: of the white noise, relative to the standard deviation of the clean observation, >= 0.

    Raises:
        InputError: an unknown variant or a negative noise level.
    """
    if variant not in VARIANTS and not is_measured_variant(variant):
        known = ", ".join([*VARIANTS, *MEASURED_VARIANTS])
        raise InputError(f"variant must be one of {known}, or other levels and sums (+) of the nuisances, but it is {variant!r}.")
    if not (np.isfinite(noise_level) and noise_level >= 0):
        raise InputError(f"noise_level must be zero or positive, but it is {noise_level}.")
    if variant not in VARIANTS:
        return _measured(seed, index, variant, float(noise_level))
    scene = _draw_clean(seed, index, variant)
    sigma = float(noise_level * scene.clean.std())
    return BenchmarkScene(
        variant=variant,
        noise_level=float(noise_level),
        index=index,
        observation=(scene.clean + sigma * scene.noise).astype(np.float32),
        positions=scene.positions,
        true_positions=scene.true_positions,
        kernel=scene.kernel,
        noise_sigma=sigma,
        symmetry_order=scene.symmetry_order,
        parameters=scene.parameters,
    )


def _measured(seed: int, index: int, variant: str, noise_level: float) -> BenchmarkScene:
    scene = draw_measured_scene(replace(parse_variant(variant), white_noise=noise_level), seed, index)
    return BenchmarkScene(
        variant=variant,
        noise_level=noise_level,
        index=index,
        observation=scene.observation,
        positions=scene.positions,
        true_positions=scene.true_positions,
        kernel=scene.kernel,
        noise_sigma=scene.noise_sigma,
        symmetry_order=scene.symmetry_order,
        parameters=None,
    )


def meaning(variant: str) -> str:
    """Return what the name of a variant stands for, the name itself where it is no variant."""
    if variant in VARIANTS:
        return VARIANTS[variant]
    return describe_variant(variant) if is_measured_variant(variant) else variant


def defect_bin(count: int) -> str:
    """Return the name of the table's column for a number of defects, such as "11-40"."""
    for low, high in DEFECT_BINS:
        if low <= count <= high:
            return f"{low}-{high}"
    raise ValueError(f"count is {count}; the benchmark has 1 to {DEFECT_BINS[-1][1]} defects.")


@lru_cache(maxsize=8)
def _draw_clean(seed: int, index: int, variant: str) -> _CleanScene:
    """Draw what a scene has in common at all noise levels."""
    base = draw_scene(seed, index, noise_level=1.0, on_grid=variant != "off-grid")
    rng = np.random.default_rng([seed, index, _VARIANT_STREAM])
    noise = rng.standard_normal(BENCHMARK_SHAPE)
    positions, clean, kernel = base.positions, base.clean, base.kernel
    order: int | None = base.parameters.symmetry_order
    given = positions
    if variant in _POSITION_ERRORS:
        limits = np.array(BENCHMARK_SHAPE[::-1]) - 0.5
        given = np.clip(positions + rng.normal(0, _POSITION_ERRORS[variant], positions.shape), -0.5, limits)
    elif variant == "missing-10":
        kept = len(positions) - round(_MISSING_SHARE * len(positions))
        given = positions[np.sort(rng.permutation(len(positions))[:kept])]
    elif variant not in ("on-grid", "off-grid"):
        pattern: Pattern
        if variant == "strained":
            pattern, order = strained_pattern(base.parameters, rng), None
        elif variant == "one-sided":
            pattern, order = one_sided_pattern(base.parameters, rng), None
        else:
            pattern, order = band_pattern(rng, bands=1 + index % 2)
        shape = WIDE_SHAPE if variant == "band-150x200" else BENCHMARK_SHAPE
        if shape != BENCHMARK_SHAPE:
            positions = given = draw_positions(rng, len(positions), shape)
            noise = rng.standard_normal(shape)
        clean = superpose(pattern, positions, shape, DEFAULT_PIXEL_SIZE_NM)
        kernel = pattern(*kernel_coordinates(KERNEL_SIZE, DEFAULT_PIXEL_SIZE_NM)).astype(np.float32)
    parameters = base.parameters if variant in EQUATION_7_VARIANTS else None
    return _CleanScene(clean, noise, positions, given, kernel, order, parameters)
