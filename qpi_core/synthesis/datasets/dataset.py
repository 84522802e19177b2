"""The paper's data set: kernels of Eq. 7, many observations of each, split by kernel; simulated from one seed."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from qpi_core.base.errors import InputError
from qpi_core.base.grid import DEFAULT_PIXEL_SIZE_NM, kernel_coordinates
from qpi_core.synthesis.datasets.dataset_files import IN_DOMAIN, OUT_OF_DOMAIN, TRAIN, DatasetWriter, KernelShard
from qpi_core.synthesis.kernel_families.equation_7 import (
    SYMMETRY_ORDERS,
    KernelParameters,
    draw_kernel_parameters,
    evaluate,
    phenomenological_kernel,
)
from qpi_core.synthesis.simulated_maps.scenes import draw_positions, superpose

TEST_SHARE = 0.2
"""Share of the kernels, and of the observations of the other kernels, that is kept for testing (the paper's 80/20)."""

# Words that keep the two streams of a data set apart from each other and from every other seeded stream of the project.
_KERNEL_STREAM, _OBSERVATION_STREAM = 0x4B45524E, 0x4F425356


@dataclass(frozen=True)
class DatasetPlan:
    """What to simulate; the defaults are the paper's data set.

    Attributes:
        kernels: number of kernels; the symmetry order of kernel i is SYMMETRY_ORDERS[i % 5], so A is even over {0, 1, 3/2, 2, 3}.
        observations: number of observations of each kernel.
        seed: the whole data set follows from it; sample (i, j) depends on (seed, i, j) alone.
        noise_level: standard deviation of the Gaussian noise relative to that of the clean observation.
        on_grid: defects at distinct pixels (the paper), or anywhere between them.
        min_defects, max_defects: the number of defects is uniform between the two, both included.
        size: side of kernel and observation in pixels.
        pixel_size_nm: pitch.
    """

    kernels: int = 100
    observations: int = 500
    seed: int = 0
    noise_level: float = 0.0
    on_grid: bool = True
    min_defects: int = 1
    max_defects: int = 100
    size: int = 64
    pixel_size_nm: float = DEFAULT_PIXEL_SIZE_NM

    def __post_init__(self) -> None:
        for name, least in (("kernels", 1), ("observations", 1), ("seed", 0), ("min_defects", 1), ("size", 8)):
            if getattr(self, name) < least:
                raise InputError(f"{name} is {getattr(self, name)}; it must be at least {least}.")
        if not self.min_defects <= self.max_defects <= self.size**2:
            raise InputError(
                f"max_defects is {self.max_defects}; it must lie between min_defects ({self.min_defects}) "
                f"and the {self.size**2} pixels of the map."
            )
        if not (np.isfinite(self.noise_level) and self.noise_level >= 0):
            raise InputError(f"noise_level is {self.noise_level}; it must be zero or positive.")
        if not (np.isfinite(self.pixel_size_nm) and self.pixel_size_nm > 0):
            raise InputError(f"pixel_size_nm is {self.pixel_size_nm}; it must be positive.")

    def as_dict(self) -> dict[str, Any]:
        """Return the fields by name, as the manifest keeps them."""
        return asdict(self)


def kernel_splits(classes: Sequence[object]) -> list[str]:
    """Return TRAIN or OUT_OF_DOMAIN for each kernel: a fifth for testing, drawn evenly from every class (symmetry order).

    The last kernels of each class are taken, which is as good as random because kernels are drawn independently.
    """
    members: defaultdict[object, list[int]] = defaultdict(list)
    for index, label in enumerate(classes):
        members[label].append(index)
    rank = {index: (place + 0.5) / len(group) for group in members.values() for place, index in enumerate(group)}
    latest_first = sorted(rank, key=lambda index: (-rank[index], index))
    test = set(latest_first[: round(TEST_SHARE * len(classes))])
    return [OUT_OF_DOMAIN if index in test else TRAIN for index in range(len(classes))]


def observation_splits(kernel_split: str, count: int) -> list[str]:
    """Return the part of each of a kernel's observations: the last fifth of a training kernel's are the in-domain test."""
    if kernel_split == OUT_OF_DOMAIN:
        return [OUT_OF_DOMAIN] * count
    trained = count - round(TEST_SHARE * count)
    return [TRAIN] * trained + [IN_DOMAIN] * (count - trained)


def draw_parameters(plan: DatasetPlan, kernel: int) -> KernelParameters:
    """Return the parameters of kernel number `kernel` of the plan."""
    rng = np.random.default_rng([plan.seed, _KERNEL_STREAM, kernel])
    return draw_kernel_parameters(rng, SYMMETRY_ORDERS[kernel % len(SYMMETRY_ORDERS)])


def draw_observation(
    plan: DatasetPlan, kernel: int, observation: int, wide_kernel: NDArray[np.float64] | None = None
) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """Return (observation (size, size), positions (n, 2)) of one sample; it depends on nothing but the plan and the two numbers.

    Args:
        plan: the data set.
        kernel: number of the kernel.
        observation: number of the observation of that kernel.
        wide_kernel: what `wide_kernel(plan, kernel)` returns, to spare its computation where many samples are drawn.
    """
    rng = np.random.default_rng([plan.seed, _OBSERVATION_STREAM, kernel, observation])
    shape = (plan.size, plan.size)
    count = int(rng.integers(plan.min_defects, plan.max_defects + 1))
    positions = draw_positions(rng, count, shape, plan.on_grid)
    if plan.on_grid:
        window = sample_wide_kernel(plan, kernel) if wide_kernel is None else wide_kernel
        clean = np.zeros(shape)
        for x, y in positions.astype(int):
            # Row i of the map sees the offset i - y, which stands at index i - y + size - 1 of the wide window.
            clean += window[plan.size - 1 - y : 2 * plan.size - 1 - y, plan.size - 1 - x : 2 * plan.size - 1 - x]
    else:
        parameters = draw_parameters(plan, kernel)
        clean = superpose(lambda dx, dy: evaluate(parameters, dx, dy), positions, shape, plan.pixel_size_nm)
    sigma = plan.noise_level * clean.std()
    return (clean + sigma * rng.standard_normal(shape)).astype(np.float32), positions


def sample_wide_kernel(plan: DatasetPlan, kernel: int) -> NDArray[np.float64]:
    """Return the kernel at every offset that a map of the plan can see: (2 size - 1, 2 size - 1), centre at index size - 1."""
    x, y = kernel_coordinates(2 * plan.size - 1, plan.pixel_size_nm)
    return evaluate(draw_parameters(plan, kernel), x, y)


def simulate_kernel(plan: DatasetPlan, kernel: int, split: str) -> KernelShard:
    """Return one kernel of the plan with all its observations."""
    parameters = draw_parameters(plan, kernel)
    wide = sample_wide_kernel(plan, kernel)
    samples = [draw_observation(plan, kernel, number, wide) for number in range(plan.observations)]
    return KernelShard(
        kernel=phenomenological_kernel(**parameters.as_dict(), size=plan.size, pixel_size_nm=plan.pixel_size_nm),  # type: ignore[arg-type]
        observations=np.stack([observation for observation, _ in samples]),
        positions=[positions for _, positions in samples],
        splits=observation_splits(split, plan.observations),
        parameters=parameters,
        symmetry_order=parameters.symmetry_order,
    )


def write_dataset(plan: DatasetPlan, folder: str | Path, progress: bool = True) -> None:
    """Simulate the data set of a plan into a folder; a second call goes on where an interrupted one stopped.

    Args:
        plan: what to simulate.
        folder: new or empty, or with an unfinished data set of the same plan.
        progress: show a progress bar on standard error.

    Raises:
        InputError: the folder holds something else.
    """
    writer = DatasetWriter(Path(folder), "simulated, Eq. 7", plan.as_dict(), (plan.size, plan.size), plan.pixel_size_nm, plan.kernels)
    splits = kernel_splits([SYMMETRY_ORDERS[kernel % len(SYMMETRY_ORDERS)] for kernel in range(plan.kernels)])
    for kernel in tqdm(range(plan.kernels), desc="kernels", unit="kernel", disable=not progress):
        if not writer.has(kernel):
            writer.add(kernel, simulate_kernel(plan, kernel, splits[kernel]))
