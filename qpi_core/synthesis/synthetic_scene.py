"""A simulated map with its truth, for any family of kernels, and the files that make it reproducible."""

from __future__ import annotations

import io
import json
import zipfile
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qpi_core.errors import InputError
from qpi_core.grid import DEFAULT_PIXEL_SIZE_NM, kernel_coordinates
from qpi_core.provenance import bytes_sha256, json_ready, versions
from qpi_core.synthesis.families import FAMILIES, KERNEL_SIZE, SyntheticKernel
from qpi_core.synthesis.scenes import BENCHMARK_SHAPE, MAX_DEFECTS, draw_positions, superpose

SCENE_EXTENT_NM = 14.0
"""A little more than the diagonal of the 10 x 10 nm map: no offset lies beyond it."""
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

    Raises:
        InputError: a value outside its range.
    """

    kernel: SyntheticKernel = SyntheticKernel()
    count: int = 20
    noise_level: float = 0.1
    seed: int = 7
    on_grid: bool = True

    def __post_init__(self) -> None:
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
        kernel: (64, 64) truth.
        positions: (n, 2) px.
        observation: (64, 64) with noise.
        noise_sigma: standard deviation of the noise, units of the observation.
    """

    recipe: SceneRecipe
    kernel: NDArray[np.float32]
    positions: NDArray[np.float64]
    observation: NDArray[np.float32]
    noise_sigma: float

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
        InputError: a band structure whose waves reach too far to be computed.
    """
    without = clean_scene(recipe.kernel, recipe.count, recipe.seed, recipe.on_grid) if clean is None else clean
    sigma = float(recipe.noise_level * without.clean.std())
    noisy = without.clean + sigma * np.random.default_rng([recipe.seed, 1]).standard_normal(BENCHMARK_SHAPE)
    return SyntheticScene(recipe, without.kernel.astype(np.float32), without.positions, noisy.astype(np.float32), sigma)


def scene_zip(scene: SyntheticScene) -> bytes:
    """Return a ZIP: map, kernel, positions, scene.json with every parameter, and the Python lines that make the map again."""
    positions = "x_px,y_px\n" + "".join(f"{float(x)!r},{float(y)!r}\n" for x, y in scene.positions)
    record = json.dumps(json_ready({**scene.provenance(), "versions": versions()}), indent=1, allow_nan=False)
    files = {
        scene.name: scene.map_bytes(),
        "kernel.npy": _npy(scene.kernel),
        "positions.csv": positions.encode(),
        "scene.json": record.encode(),
        "reproduce.py": scene_snippet(scene).encode(),
    }
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            # A fixed date: the same scene gives the same bytes.
            archive.writestr(zipfile.ZipInfo(name, ARCHIVE_TIME), content)
    return buffer.getvalue()


def scene_snippet(scene: SyntheticScene) -> str:
    """Return Python code that makes the scene again."""
    return "\n".join(
        [
            "import numpy as np",
            "",
            "from qpi_core.synthesis.band_families import BandControls",
            "from qpi_core.synthesis.families import SyntheticKernel",
            "from qpi_core.synthesis.kernels import KernelParameters",
            "from qpi_core.synthesis.synthetic_scene import SceneRecipe, simulate_scene",
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
