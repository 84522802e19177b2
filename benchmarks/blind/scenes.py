"""The maps of benchmarks/blind/recovery.py: a row names what they hold, and (seed, row, index) is one of them, whatever else was drawn."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from qpi_core.base.grid import DEFAULT_PIXEL_SIZE_NM, kernel_coordinates
from qpi_core.evaluation.benchmark.unusual_kernels import band_pattern, one_sided_pattern, strained_pattern
from qpi_core.synthesis.bands.band_families import draw_band_pattern
from qpi_core.synthesis.kernel_families.equation_7 import SYMMETRY_ORDERS, draw_kernel_parameters, evaluate
from qpi_core.synthesis.simulated_maps.measured_scene import draw_measured_scene
from qpi_core.synthesis.simulated_maps.peer_scenes import PeerRecipe, draw_lattice_kernel
from qpi_core.synthesis.simulated_maps.scenes import Pattern, draw_positions, superpose

SIZE = 64
LATTICE_LIKE = PeerRecipe(kernel_ratio=25.5 / 185, density=934 / 185**2, signal_to_noise=0.79, sites=185, pixels_per_site=1)
_NOWHERE = np.zeros((0, 2))


@dataclass(frozen=True, eq=False)
class BlindScene:
    """A map with its truth.

    Attributes:
        observation: (height, width).
        kernel: (k, k), or None where there is no defect.
        positions: (n, 2) of all defects, (x, y) in pixels.
        size: side of the kernel that is asked for.
    """

    observation: np.ndarray
    kernel: np.ndarray | None
    positions: np.ndarray
    size: int = SIZE


def equation_7(rng: np.random.Generator, index: int) -> Pattern:
    """Draw a kernel of Eq. 7; the symmetry order goes round with the index."""
    parameters = draw_kernel_parameters(rng, SYMMETRY_ORDERS[index % len(SYMMETRY_ORDERS)])
    return lambda dx, dy: evaluate(parameters, dx, dy)


def t_matrix(rng: np.random.Generator, index: int) -> Pattern:
    """Draw a kernel of a band structure (T-matrix), any family."""
    return draw_band_pattern(rng, extent_nm=28.0)


def one_sided(rng: np.random.Generator, index: int) -> Pattern:
    """Draw a kernel of Eq. 7 that is seen on one side of the defect only: it has no symmetry."""
    return one_sided_pattern(draw_kernel_parameters(rng, SYMMETRY_ORDERS[index % len(SYMMETRY_ORDERS)]), rng)


def strained(rng: np.random.Generator, index: int) -> Pattern:
    """Draw a kernel of Eq. 7 that is stretched along a random direction."""
    return strained_pattern(draw_kernel_parameters(rng, SYMMETRY_ORDERS[index % len(SYMMETRY_ORDERS)]), rng)


def elliptic(rng: np.random.Generator, index: int) -> Pattern:
    """Draw the kernel of one elliptic band (Green's function)."""
    return band_pattern(rng, 1)[0]


@dataclass(frozen=True)
class Simulated:
    """Defects of one kind, all tails included, and white noise.

    Attributes:
        draw: a kernel from a stream and the number of the scene.
        fewest, most: number of defects.
        noise: standard deviation over that of the clean map.
        side: of the map, px.
        on_grid: whether the defects lie at the centres of pixels.
        spread: standard deviation of the strengths.
    """

    draw: Callable[[np.random.Generator, int], Pattern]
    fewest: int
    most: int
    noise: float
    side: int = 64
    on_grid: bool = True
    spread: float = 0.0

    def __call__(self, rng: np.random.Generator, seed: int, index: int) -> BlindScene:
        """Return a scene."""
        pattern, shape = self.draw(rng, index), (self.side, self.side)
        positions = draw_positions(rng, int(rng.integers(self.fewest, self.most + 1)), shape, self.on_grid)
        weights = np.ones(len(positions))
        if self.spread:
            weights = np.clip(1 + self.spread * rng.standard_normal(len(positions)), 0.2, None)
        clean = superpose(pattern, positions, shape, DEFAULT_PIXEL_SIZE_NM, weights / weights.mean())
        observation = clean + self.noise * clean.std() * rng.standard_normal(shape)
        return BlindScene(observation, pattern(*kernel_coordinates(SIZE, DEFAULT_PIXEL_SIZE_NM)), positions)


def noise_only(rng: np.random.Generator, seed: int, index: int) -> BlindScene:
    """Return white noise."""
    return BlindScene(rng.standard_normal((64, 64)), None, _NOWHERE)


def lattice_like(rng: np.random.Generator, seed: int, index: int) -> BlindScene:
    """Return 934 defects with a kernel of 25 x 25 px on 185 x 185 px, all that lies within the map, under more noise than signal."""
    kernel = draw_lattice_kernel(LATTICE_LIKE, rng)
    side, size = LATTICE_LIKE.side, LATTICE_LIKE.kernel_size
    positions = draw_positions(rng, 934, (side, side), True)
    half = size // 2
    padded = np.zeros((side + 2 * half, side + 2 * half))
    for x, y in np.rint(positions).astype(int):
        padded[y : y + size, x : x + size] += kernel
    clean = padded[half:-half, half:-half]
    sigma = clean.std() / np.sqrt(LATTICE_LIKE.signal_to_noise)
    return BlindScene(clean + sigma * rng.standard_normal(clean.shape), kernel, positions, size)


def measured(variant: str) -> Callable[[np.random.Generator, int, int], BlindScene]:
    """Return what draws maps with nuisances of the names of `measured_variants`."""

    def draw(rng: np.random.Generator, seed: int, index: int) -> BlindScene:
        scene = draw_measured_scene(variant, seed, index)
        return BlindScene(scene.observation, scene.kernel, scene.true_positions)

    return draw


def lattice_only(rng: np.random.Generator, seed: int, index: int) -> BlindScene:
    """Return the waves of a lattice under a tenth of noise."""
    y, x = np.mgrid[:64, :64]
    first, angle = rng.uniform(0.5, 1.2), rng.uniform(0, np.pi)
    second = angle + rng.choice([np.pi / 2, np.pi / 3])
    waves = [np.cos(first * (np.cos(turn) * x + np.sin(turn) * y) + rng.uniform(0, 2 * np.pi)) for turn in (angle, second)]
    return BlindScene(sum(waves) + 0.1 * rng.standard_normal((64, 64)), None, _NOWHERE)


ROWS: dict[str, Callable[[np.random.Generator, int, int], BlindScene]] = {
    "Eq. 7, 5-15 defects, noise 0.2": Simulated(equation_7, 5, 15, 0.2),
    "Eq. 7, 20-50 defects, no noise": Simulated(equation_7, 20, 50, 0.0),
    "Eq. 7, 20-50 defects, noise 0.2": Simulated(equation_7, 20, 50, 0.2),
    "Eq. 7, 60-100 defects, noise 0.2": Simulated(equation_7, 60, 100, 0.2),
    "Eq. 7, 20-50 between pixels, strengths +-30 %, noise 0.2": Simulated(equation_7, 20, 50, 0.2, on_grid=False, spread=0.3),
    "T-matrix, 128 x 128, 40 defects, noise 0.1": Simulated(t_matrix, 40, 40, 0.1, side=128),
    "Noise only, 64 x 64": noise_only,
    "Lattice-like, 185 x 185, 934 defects, signal to noise 0.79": lattice_like,
    "Eq. 7, 20-60 between pixels, noise 0.2, background 0.3, streaks 0.1": measured("background-0.3+streaks-0.1"),
    "One defect, Eq. 7, noise 0.2": Simulated(equation_7, 1, 1, 0.2),
    "Lattice only, 64 x 64": lattice_only,
    "Eq. 7 on one side (no symmetry), 20-50 defects, noise 0.2": Simulated(one_sided, 20, 50, 0.2),
    "Eq. 7 strained by 10 %, 20-50 defects, noise 0.2": Simulated(strained, 20, 50, 0.2),
    "Elliptic band (1.1 to 1.5), 20-50 defects, noise 0.2": Simulated(elliptic, 20, 50, 0.2),
}
"""Name -> what draws a scene from a stream, the seed and the number of the scene. New rows go to the end: streams know their number."""

UNKNOWABLE = ("Noise only, 64 x 64", "One defect, Eq. 7, noise 0.2", "Lattice only, 64 x 64")
"""Rows in which nothing may be trusted."""


def draw_blind_scene(seed: int, row: int, index: int) -> BlindScene:
    """Return scene `index` of a row; it depends on the arguments alone."""
    return list(ROWS.values())[row](np.random.default_rng([seed, row, index]), seed, index)


def measured_scenes(kept: Path, seed: int, scenes: int, measure: Callable[[int], dict[str, object]]) -> list[dict]:
    """Return what became of scenes 0 ... of a seed: from the file of JSON lines where they stand there, else measured and added to it."""
    done = [json.loads(line) for line in kept.read_text().splitlines()] if kept.exists() else []
    done = [one for one in done if one["seed"] == seed and one["index"] < scenes]
    for index in sorted(set(range(scenes)) - {one["index"] for one in done}):
        done.append(measure(index))
        with kept.open("a") as file:
            file.write(json.dumps(done[-1]) + "\n")
        print(done[-1], flush=True)
    return done
