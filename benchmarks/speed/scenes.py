"""The maps that benchmarks/speed/extraction.py times: every family of kernels, right and wrong lists, small and large maps.

A scene depends on the seed, its number and its names alone. Kernels are Eq. 7 or fall outside it: bands and lattices through the
T-matrix, Eq. 7 on one side of the defect only, and a pattern without any symmetry.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from qpi_core.base.grid import DEFAULT_PIXEL_SIZE_NM, kernel_coordinates
from qpi_core.evaluation.benchmark.unusual_kernels import one_sided_pattern
from qpi_core.synthesis.bands.band_families import draw_band_pattern
from qpi_core.synthesis.kernel_families.equation_7 import draw_kernel_parameters, evaluate
from qpi_core.synthesis.simulated_maps.scenes import draw_positions, superpose

KERNEL_SIZE = 64
BANDS = ("warped", "elliptic", "several", "square", "dirac")
FAMILIES = ("eq7", *BANDS, "one-sided", "asymmetric")
LISTS = ("right", "clicks-0.7", "missing-10")
CLICK_ERROR_PX, MISSING_SHARE = 0.7, 0.1


@dataclass(frozen=True)
class SpeedRow:
    """What a row of the table stands for.

    Attributes:
        family: one of FAMILIES.
        given: one of LISTS, how the list of defects differs from the truth.
        shape: (height, width) in px.
        count: defects.
        noise: standard deviation relative to that of the clean map.
    """

    family: str
    given: str = "right"
    shape: tuple[int, int] = (64, 64)
    count: int = 40
    noise: float = 0.2

    @property
    def name(self) -> str:
        """The row in the table and in the file of results."""
        return f"{self.family} {self.shape[0]}x{self.shape[1]} {self.count} {self.given} noise {self.noise:g}"


@dataclass(frozen=True)
class SpeedScene:
    """A map with the list that a method is given, and the true kernel, (64, 64)."""

    observation: NDArray[np.float32]
    positions: NDArray[np.float64]
    kernel: NDArray[np.float64]


def rows(sizes: str = "all") -> list[SpeedRow]:
    """Return the rows of the table; "small" leaves out the maps of 512 x 512 and more."""
    found = [SpeedRow(family) for family in FAMILIES]
    found += [SpeedRow(family, given) for given in LISTS[1:] for family in ("eq7", "warped", "elliptic", "several")]
    found += [SpeedRow("asymmetric", shape=(96, 120), noise=noise) for noise in (0.0, 0.2)]
    found += [SpeedRow(family, shape=(150, 200), count=150) for family in ("eq7", "warped", "elliptic", "several", "square")]
    if sizes != "small":
        found += [SpeedRow(family, shape=(512, 512), count=500) for family in ("eq7", "warped", "elliptic")]
        found += [SpeedRow(family, shape=(1024, 1024), count=1000) for family in ("eq7", "warped")]
    return found


def draw_scene(row: SpeedRow, seed: int, index: int) -> SpeedScene:
    """Draw scene `index` of a row; the same family and number is the same kernel whatever the list, the map and the noise."""
    rng = np.random.default_rng([seed, index, FAMILIES.index(row.family)])
    pattern = _pattern(row.family, rng, index)
    positions = draw_positions(rng, row.count, row.shape, on_grid=False)
    clean = superpose(pattern, positions, row.shape, DEFAULT_PIXEL_SIZE_NM)
    noisy = clean + row.noise * clean.std() * rng.standard_normal(row.shape)
    if row.given == "clicks-0.7":
        given = np.clip(positions + rng.normal(0, CLICK_ERROR_PX, positions.shape), -0.5, np.array(row.shape[::-1]) - 0.5)
    elif row.given == "missing-10":
        given = positions[np.sort(rng.permutation(row.count)[: row.count - round(MISSING_SHARE * row.count)])]
    else:
        given = positions
    kernel = pattern(*kernel_coordinates(KERNEL_SIZE, DEFAULT_PIXEL_SIZE_NM))
    return SpeedScene(noisy.astype(np.float32), given, kernel)


def _pattern(family, rng, index):
    if family in BANDS:
        return draw_band_pattern(rng, family)
    if family == "asymmetric":
        return _asymmetric
    parameters = draw_kernel_parameters(rng, (0, 2, 3, 4, 6)[index % 5])
    return one_sided_pattern(parameters, rng) if family == "one-sided" else lambda dx, dy: evaluate(parameters, dx, dy)


def _asymmetric(dx, dy):
    """Return a plane wave under an envelope and a bump beside it, offsets in nm: nothing turns it into itself."""
    x, y = dx / DEFAULT_PIXEL_SIZE_NM, dy / DEFAULT_PIXEL_SIZE_NM
    return np.exp(-(x**2 + y**2) / 60) * np.cos(0.8 * x + 0.2 * y) + 0.3 * np.exp(-((x - 4) ** 2 + (y - 1) ** 2) / 6)
