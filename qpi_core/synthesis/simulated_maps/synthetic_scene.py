"""A simulated map with its truth, for any family of kernels, and the files that make it reproducible."""

from __future__ import annotations

import io
import json
import math
import zipfile
import zlib
from dataclasses import asdict, dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qpi_core.base.errors import InputError
from qpi_core.base.grid import DEFAULT_PIXEL_SIZE_NM, kernel_coordinates
from qpi_core.base.provenance import bytes_sha256, json_ready, versions
from qpi_core.synthesis.kernel_families.families import FAMILIES, KERNEL_SIZE, SyntheticKernel, draw_synthetic_kernel
from qpi_core.synthesis.simulated_maps.measured_defects import SceneStreams, draw_frame, dress_defects
from qpi_core.synthesis.simulated_maps.measured_recipe import MeasuredRecipe, Nuisance
from qpi_core.synthesis.simulated_maps.measured_scene import MeasuredScene, compose_scene
from qpi_core.synthesis.simulated_maps.scene_kernels import SceneKernel
from qpi_core.synthesis.simulated_maps.scenes import BENCHMARK_SHAPE, MAX_DEFECTS, draw_positions, superpose

SCENE_EXTENT_NM = 14.0
"""A little more than the diagonal of the 10 x 10 nm map: no offset lies beyond it."""
_USUAL_WAVE_VECTOR = 6.0
"""rad/nm, of the waves at a step edge for kernels that have no wave vector."""
ARCHIVE_TIME = (1980, 1, 1, 0, 0, 0)


@dataclass(frozen=True)
class SceneRecipe:
    """All that decides a scene of 64 x 64 pixels, 10 x 10 nm; hashable.

    Attributes:
        kernel: which kernel.
        count: number of defects, 1 to 100.
        noise_level: standard deviation of the noise relative to that of the clean map, >= 0.
        seed: of positions and noise.
        on_grid: defects at distinct pixels, or anywhere.
        nuisances: what a measured map adds, at most one of each class.

    Raises:
        InputError: a value outside its range, or one nuisance twice.
    """

    kernel: SyntheticKernel = SyntheticKernel()
    count: int = 20
    noise_level: float = 0.1
    seed: int = 7
    on_grid: bool = True
    nuisances: tuple[Nuisance, ...] = ()

    def __post_init__(self) -> None:
        MeasuredRecipe(self.nuisances)
        if not 1 <= self.count <= MAX_DEFECTS:
            raise InputError(f"count must be from 1 to {MAX_DEFECTS} defects, but it is {self.count!r}.")
        if not 0 <= self.noise_level < 1e3:
            raise InputError(f"noise_level must be zero or positive and below 1000, but it is {self.noise_level!r}.")
        if self.seed < 0:
            raise InputError(f"seed must be 0 or more, but it is {self.seed!r}.")


@dataclass(frozen=True)
class CleanScene:
    """A scene before the noise: kernel (64, 64), positions (n, 2) px, and their exact sum (64, 64)."""

    kernel: NDArray[np.float64]
    positions: NDArray[np.float64]
    clean: NDArray[np.float64]


@dataclass(frozen=True)
class SyntheticScene:
    """A simulated 64 x 64 map with its truth.

    Attributes:
        recipe: what decided it.
        kernel: (64, 64) truth; with unequal strengths that of a defect of mean strength, with two kinds that of the first.
        positions: (n, 2) px, as a list of defects has them.
        observation: (64, 64) with noise.
        noise_sigma: standard deviation of the white or blurred noise, units of the observation.
        measured: all parts and the whole truth of a map with nuisances, None without.
    """

    recipe: SceneRecipe
    kernel: NDArray[np.float32]
    positions: NDArray[np.float64]
    observation: NDArray[np.float32]
    noise_sigma: float
    measured: MeasuredScene | None = None

    @property
    def name(self) -> str:
        """File name of the map: family and seed."""
        return f"simulated_{self.recipe.kernel.family}_{self.recipe.seed}.npy"

    def map_bytes(self) -> bytes:
        """Return the map as the content of a .npy file."""
        return _npy(self.observation)

    def provenance(self) -> dict[str, Any]:
        """Return what the scene is made of, and its map's hash, as plain values for a side-car."""
        recipe = self.recipe
        return {
            "kernel": recipe.kernel.as_dict(),
            "defects": recipe.count,
            "noise_level": recipe.noise_level,
            "noise_sigma": self.noise_sigma,
            "seed": recipe.seed,
            "on_grid": recipe.on_grid,
            **({} if not recipe.nuisances else {"nuisances": {type(item).__name__: asdict(item) for item in recipe.nuisances}}),
            "pixel_size_nm": DEFAULT_PIXEL_SIZE_NM,
            "map": {"name": self.name, "sha256": bytes_sha256(self.map_bytes())},
            "source": FAMILIES[recipe.kernel.family].source,
        }


def clean_scene(kernel: SyntheticKernel, count: int, seed: int, on_grid: bool) -> CleanScene:
    """Return kernel, positions and noiseless map; the positions depend on seed and on_grid alone, more of them keep the first ones."""
    positions = draw_positions(np.random.default_rng([seed, 0]), MAX_DEFECTS, BENCHMARK_SHAPE, on_grid)[:count]
    pattern = kernel.pattern(SCENE_EXTENT_NM)
    return CleanScene(
        pattern(*kernel_coordinates(KERNEL_SIZE, DEFAULT_PIXEL_SIZE_NM)),
        positions,
        superpose(pattern, positions, BENCHMARK_SHAPE, DEFAULT_PIXEL_SIZE_NM),
    )


def simulate_scene(recipe: SceneRecipe, clean: CleanScene | None = None) -> SyntheticScene:
    """Return the scene of a recipe: the exact sum of its kernel over the defects, tails included, plus Gaussian noise.

    Positions and noise field depend on the seed alone, so changing one value of the recipe changes one thing.

    Args:
        recipe: what to simulate.
        clean: clean_scene of the same recipe, where it is at hand already.

    Raises:
        InputError: a band structure whose waves reach too far to be computed, more defects than the lattice has sites, or strengths
            that cancel.
    """
    without = clean_scene(recipe.kernel, recipe.count, recipe.seed, recipe.on_grid) if clean is None else clean
    noise = np.random.default_rng([recipe.seed, 1]).standard_normal(BENCHMARK_SHAPE)
    if recipe.nuisances:
        return _with_nuisances(recipe, without, noise)
    sigma = float(recipe.noise_level * without.clean.std())
    noisy = without.clean + sigma * noise
    return SyntheticScene(recipe, without.kernel.astype(np.float32), without.positions, noisy.astype(np.float32), sigma)


def _with_nuisances(recipe: SceneRecipe, clean: CleanScene, noise: NDArray[np.float64]) -> SyntheticScene:
    """Return the scene with what a measured map adds; kernel, places and white noise are those of the scene without."""
    full = MeasuredRecipe(recipe.nuisances, recipe.noise_level, defects=(recipe.count, recipe.count))
    streams = SceneStreams(recipe.seed, 0)
    frame = draw_frame(full, streams, BENCHMARK_SHAPE)

    first = _scene_kernel(recipe.kernel)

    def draw_other() -> SceneKernel:
        other = _scene_kernel(draw_synthetic_kernel(recipe.kernel.family, zlib.crc32(f"second kind {recipe.seed}".encode())))
        # Amplitudes of a family may differ by orders of magnitude; two kinds in one map do not.
        factor = float(np.abs(first.on_window()).max() / np.abs(other.on_window()).max())
        return replace(other, pattern=lambda dx, dy: factor * other.pattern(dx, dy))

    defects = dress_defects(full, streams, frame, clean.positions, first, draw_other)
    scene = compose_scene(full, streams, frame, defects, noise)
    return SyntheticScene(recipe, scene.kernel, scene.positions, scene.observation, scene.noise_sigma, scene)


@lru_cache(maxsize=16)
def _scene_kernel(kernel: SyntheticKernel) -> SceneKernel:
    wave = kernel.traits()["wave_vector_rad_per_nm"]
    return SceneKernel(kernel.pattern(SCENE_EXTENT_NM), kernel.symmetry_order, _USUAL_WAVE_VECTOR if math.isnan(wave) else wave)


def scene_zip(scene: SyntheticScene) -> bytes:
    """Return a ZIP: map, kernel, positions, scene.json with every parameter, and the Python lines that make the map again.

    With nuisances also background.npy, all that is neither kernel nor noise, and defects.csv, the truth about every defect.
    """
    positions = "x_px,y_px\n" + "".join(f"{float(x)!r},{float(y)!r}\n" for x, y in scene.positions)
    record = json.dumps(json_ready({**scene.provenance(), "versions": versions()}), indent=1, allow_nan=False)
    files = {
        scene.name: scene.map_bytes(),
        "kernel.npy": _npy(scene.kernel),
        "positions.csv": positions.encode(),
        "scene.json": record.encode(),
        "reproduce.py": scene_snippet(scene).encode(),
    }
    if scene.measured is not None:
        files |= _truth_files(scene.measured)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            # A fixed date: the same scene gives the same bytes.
            archive.writestr(zipfile.ZipInfo(name, ARCHIVE_TIME), content)
    return buffer.getvalue()


def _truth_files(scene: MeasuredScene) -> dict[str, bytes]:
    background = np.zeros(scene.signal.shape) + sum(scene.structures.values())
    listed = len(scene.positions)
    rows = [
        f"{float(x)!r},{float(y)!r},{float(weight)!r},{kind},{'yes' if number < listed else 'no'}\n"
        for number, ((x, y), weight, kind) in enumerate(zip(scene.true_positions, scene.true_weights, scene.true_classes, strict=True))
    ]
    defects = "x_px,y_px,strength,kind,listed\n" + "".join(rows)
    return {"background.npy": _npy(background.astype(np.float32)), "defects.csv": defects.encode()}


def scene_snippet(scene: SyntheticScene) -> str:
    """Return Python code that makes the scene again."""
    return "\n".join(
        [
            "import numpy as np",
            "",
            "from qpi_core.synthesis.bands.band_families import BandControls",
            "from qpi_core.synthesis.kernel_families.families import SyntheticKernel",
            "from qpi_core.synthesis.kernel_families.equation_7 import KernelParameters",
            *(f"from {type(item).__module__} import {type(item).__name__}" for item in scene.recipe.nuisances),
            "from qpi_core.synthesis.simulated_maps.synthetic_scene import SceneRecipe, simulate_scene",
            "",
            f"scene = simulate_scene({scene.recipe!r})",
            f'np.save("{scene.name}", scene.observation)',
            'np.save("kernel.npy", scene.kernel)',
            "",
        ]
    )


def _npy(values: NDArray[np.float32]) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, values, allow_pickle=False)
    return buffer.getvalue()
