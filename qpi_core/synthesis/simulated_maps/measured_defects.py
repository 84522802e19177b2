"""The defects of a simulated map: where they are, of which kind, how strong, and the sum of their kernels."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from qpi_core.base.errors import InputError
from qpi_core.base.grid import DEFAULT_PIXEL_SIZE_NM
from qpi_core.synthesis.nuisances.atomic_lattice import AtomicLattice, LatticeGeometry, draw_lattice, draw_sites, lattice_sites
from qpi_core.synthesis.nuisances.scan_geometry import Creep, ScanGeometry, Shear, draw_scan_geometry
from qpi_core.synthesis.nuisances.second_kind import SecondKind, draw_second_kind
from qpi_core.synthesis.nuisances.strengths import FlippedSigns, UnequalStrengths, draw_signs, draw_strengths
from qpi_core.synthesis.simulated_maps.measured_recipe import MeasuredRecipe
from qpi_core.synthesis.simulated_maps.scene_kernels import SceneKernel, draw_scene_kernel
from qpi_core.synthesis.simulated_maps.scenes import draw_positions

FIRST, SECOND = "A", "B"
LEAST_MEAN = 0.05
"""Mean strength over the mean of its absolute value, below which strengths are said to cancel."""


@dataclass(frozen=True)
class SceneStreams:
    """Random streams of one scene, one for each name."""

    seed: int
    index: int

    def key(self, name: str) -> tuple[int, int, int]:
        """Return the whole numbers that name a stream."""
        return self.seed, self.index, zlib.crc32(name.encode())

    def rng(self, name: str) -> np.random.Generator:
        """Return the stream of a name, at its start."""
        return np.random.default_rng(list(self.key(name)))


@dataclass(frozen=True)
class Frame:
    """What a scan looks at.

    Attributes:
        shape: (height, width) px.
        geometry: distortion of the scan.
        x_nm, y_nm: (height, width) places of the sample that the pixels show.
        lattice: the atoms.
    """

    shape: tuple[int, int]
    geometry: ScanGeometry
    x_nm: NDArray[np.float64]
    y_nm: NDArray[np.float64]
    lattice: LatticeGeometry

    @property
    def corners_nm(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return the lowest and the highest (x, y) of an undistorted map, nm."""
        height, width = self.shape
        return np.full(2, -0.5 * DEFAULT_PIXEL_SIZE_NM), np.array([width - 0.5, height - 0.5]) * DEFAULT_PIXEL_SIZE_NM


@dataclass(frozen=True)
class Defects:
    """All defects of a scene.

    Attributes:
        positions: (n, 2) where the map shows them, px.
        weights: (n,) strengths; those of the first kind have the mean 1.
        second: (n,) whether of the second kind.
        first_kernel, second_kernel: of a defect of strength 1; None where there is no second kind.
        scale: what the kernels' patterns are multiplied with so that the mean strength is 1.
    """

    positions: NDArray[np.float64]
    weights: NDArray[np.float64]
    second: NDArray[np.bool_]
    first_kernel: SceneKernel
    second_kernel: SceneKernel | None
    scale: float

    @property
    def peak(self) -> float:
        """Return the largest absolute value of the first kind's kernel on its window."""
        return abs(self.scale) * float(np.abs(self.first_kernel.on_window()).max())

    def kernels(self) -> dict[str, NDArray[np.float32]]:
        """Return kind -> (64, 64) kernel of a defect of strength 1."""
        pairs = ((FIRST, self.first_kernel), (SECOND, self.second_kernel))
        return {name: (self.scale * kernel.on_window()).astype(np.float32) for name, kernel in pairs if kernel is not None}

    def symmetry_orders(self) -> dict[str, int | None]:
        """Return kind -> symmetry order."""
        pairs = ((FIRST, self.first_kernel), (SECOND, self.second_kernel))
        return {name: kernel.symmetry_order for name, kernel in pairs if kernel is not None}

    def signal(self, frame: Frame) -> NDArray[np.float64]:
        """Return the exact sum of the kernels over the defects, (height, width)."""
        places_x, places_y = frame.geometry.place(self.positions[:, 0], self.positions[:, 1])
        total = np.zeros(frame.shape)
        for x, y, weight, second in zip(places_x, places_y, self.weights, self.second, strict=True):
            kernel = self.second_kernel if second and self.second_kernel is not None else self.first_kernel
            dx, dy = frame.x_nm - x * DEFAULT_PIXEL_SIZE_NM, frame.y_nm - y * DEFAULT_PIXEL_SIZE_NM
            total += self.scale * weight * kernel.pattern(dx, dy)
        return total


def draw_frame(recipe: MeasuredRecipe, streams: SceneStreams, shape: tuple[int, int]) -> Frame:
    """Draw the scan's distortion and the lattice under it."""
    height, width = shape
    geometry = draw_scan_geometry(recipe.get(Creep), recipe.get(Shear), height, streams.rng("geometry"))
    rows, columns = np.mgrid[:height, :width].astype(np.float64)
    x, y = geometry.place(columns, rows)
    return Frame(shape, geometry, x * DEFAULT_PIXEL_SIZE_NM, y * DEFAULT_PIXEL_SIZE_NM, draw_lattice(streams.rng("lattice")))


def draw_defects(recipe: MeasuredRecipe, streams: SceneStreams, frame: Frame) -> Defects:
    """Draw number, places, kinds, strengths and kernels.

    Raises:
        InputError: as `dress_defects`.
    """
    rng = streams.rng("defects")
    count = int(rng.integers(recipe.defects[0], recipe.defects[1] + 1))
    positions = draw_positions(rng, count, frame.shape, on_grid=False)
    kernel = draw_scene_kernel(streams.key("kernel"), recipe.source, streams.index)

    def draw_other() -> SceneKernel:
        turn = int(streams.rng("second-order").integers(1000))
        return draw_scene_kernel(streams.key("second-kernel"), recipe.source, turn)

    return dress_defects(recipe, streams, frame, positions, kernel, draw_other)


def dress_defects(
    recipe: MeasuredRecipe,
    streams: SceneStreams,
    frame: Frame,
    positions: NDArray[np.float64],
    kernel: SceneKernel,
    draw_other: Callable[[], SceneKernel],
) -> Defects:
    """Give defects of one kernel the strengths and kinds of a recipe, and put them on the lattice's sites where it says so.

    Args:
        recipe, streams, frame: of the scene.
        positions: (n, 2) where the map shows the defects, px.
        kernel: of the first kind.
        draw_other: makes the kernel of the second kind, where there is one.

    Raises:
        InputError: more defects than the lattice has sites within the map, or strengths that cancel.
    """
    count = len(positions)
    lattice = recipe.get(AtomicLattice)
    if lattice is not None and lattice.on_sites:
        positions = _positions_on_sites(frame, count, streams.rng("sites"))
    strengths, flips, second = recipe.get(UnequalStrengths), recipe.get(FlippedSigns), recipe.get(SecondKind)
    weights = np.ones(count)
    if strengths is not None:
        weights = weights * draw_strengths(strengths, count, streams.rng("strengths"))
    if flips is not None:
        weights = weights * draw_signs(flips, count, streams.rng("flips"))
    of_second = np.zeros(count, dtype=bool)
    if second is not None:
        of_second = draw_second_kind(second, count, streams.rng("second"))
    scale = float(weights[~of_second].mean())
    if abs(scale) < LEAST_MEAN * np.abs(weights).mean():
        raise InputError(
            "the strengths of the defects nearly cancel, so there is no kernel of a mean strength; ask for fewer flips, a smaller "
            "spread, more defects or another seed."
        )
    other = draw_other() if of_second.any() else None
    return Defects(positions, weights / scale, of_second, kernel, other, scale)


def _positions_on_sites(frame: Frame, count: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """Draw different sites among those that the map shows; returns (count, 2) where it shows them, px."""
    low, high = frame.corners_nm
    margin = 1.0  # creep and shear move places by less
    places = lattice_sites(frame.lattice, low - margin, high + margin) / DEFAULT_PIXEL_SIZE_NM
    seen = frame.geometry.seen_at(places)
    height, width = frame.shape
    inside = ((seen >= 0) & (seen <= [width - 1, height - 1])).all(axis=1)
    return draw_sites(seen[inside], count, rng)
