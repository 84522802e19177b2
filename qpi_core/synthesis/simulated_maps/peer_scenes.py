"""Scenes by the protocol that blind methods of other groups are judged with: kernel size, density and signal to noise set freely.

    Y = sum_k A_k (*) X_k + noise,   X_k on the sites of an N x N lattice, each a defect with the probability rho,
    var(noise) = var(sum_k A_k (*) X_k) / signal to noise

(*) is the circular convolution: what leaves the map on one side comes back on the other. The kernels are local densities of states
around a defect on a square lattice whose sites are the map's (T-matrix), cut to the side asked for.

Source: Cheung et al., Nat. Commun. 11, 1081 (2020), and the simulations of its successor for several kinds, MT-SBD-STM.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from qpi_core.base.errors import InputError
from qpi_core.synthesis.bands.band_families import FAMILIES, BandControls, defect_scattering, lattice_constant_nm
from qpi_core.synthesis.bands.band_structures import require_in_range
from qpi_core.synthesis.bands.scattering import band_pattern
from qpi_core.synthesis.simulated_maps.measured_defects import SceneStreams

KERNEL_RATIOS = (0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.35)
DENSITIES = (1e-3, 3e-3, 1e-2, 3e-2, 1e-1)
SIGNALS_TO_NOISE = (0.5, 1.0, 2.0, 4.0, 9.0)
"""Where the diagrams of these methods are drawn: kernel side over map side, defects a site, variance of signal over noise."""
COUNT_TOLERANCE = 0.1
_SMALLEST_CONSTANT_NM, _LEAST_FREE_PATH_NM = 0.5, 0.5


@dataclass(frozen=True)
class PeerRecipe:
    """What decides a scene.

    Attributes:
        kernel_ratio: side of the kernel over that of the map.
        density: rho, defects of each kind a lattice site.
        signal_to_noise: ratio of the variances.
        sites: N, sites along a side of the map.
        pixels_per_site: the map has sites * pixels_per_site pixels along a side.
        kinds: number of kernels.

    Raises:
        InputError: a value outside its range, or a kernel of fewer than 5 pixels.
    """

    kernel_ratio: float = 0.15
    density: float = 0.01
    signal_to_noise: float = 2.0
    sites: int = 50
    pixels_per_site: int = 3
    kinds: int = 1

    def __post_init__(self) -> None:
        require_in_range("kernel_ratio", self.kernel_ratio, 0.01, 0.5, "of the map's side")
        require_in_range("density", self.density, 1e-6, 0.5, "defects a site")
        require_in_range("signal_to_noise", self.signal_to_noise, 1e-3, 1e9, "")
        require_in_range("sites", self.sites, 4, 1000, "")
        require_in_range("pixels_per_site", self.pixels_per_site, 1, 16, "")
        require_in_range("kinds", self.kinds, 1, 8, "")
        if self.kernel_size < 5:
            raise InputError(f"kernel_ratio = {self.kernel_ratio} makes a kernel of {self.kernel_size} pixels; at least 5 are needed.")

    @property
    def side(self) -> int:
        """Side of the map in pixels."""
        return self.sites * self.pixels_per_site

    @property
    def kernel_size(self) -> int:
        """Side of the kernel in pixels, odd."""
        return 2 * int(self.kernel_ratio * self.side / 2) + 1


@dataclass(frozen=True)
class PeerScene:
    """A map with its truth.

    Attributes:
        recipe: what decided it.
        observation: (side, side) float32.
        kernels: one (k, k) float32 a kind, centre at index k // 2, of unit norm.
        positions: one (n, 2) a kind, (x, y) in pixels.
        noise_sigma: standard deviation of the noise, units of the observation.
    """

    recipe: PeerRecipe
    observation: NDArray[np.float32]
    kernels: tuple[NDArray[np.float32], ...]
    positions: tuple[NDArray[np.float64], ...]
    noise_sigma: float


def draw_peer_scene(recipe: PeerRecipe, seed: int, index: int) -> PeerScene:
    """Draw scene `index` of a series; it depends on the arguments alone, and the noise scales one fixed field."""
    streams = SceneStreams(seed, index)
    kernels = tuple(draw_lattice_kernel(recipe, streams.rng(f"kernel {kind}")) for kind in range(recipe.kinds))
    positions = tuple(_draw_sites(recipe, streams.rng(f"sites {kind}")) for kind in range(recipe.kinds))
    clean = np.zeros((recipe.side, recipe.side))
    for kernel, places in zip(kernels, positions, strict=True):
        clean += circular_superposition(kernel, places, recipe.side)
    sigma = float(clean.std() / np.sqrt(recipe.signal_to_noise))
    observation = clean + sigma * streams.rng("noise").standard_normal(clean.shape)
    return PeerScene(recipe, observation.astype(np.float32), tuple(k.astype(np.float32) for k in kernels), positions, sigma)


def draw_lattice_kernel(recipe: PeerRecipe, rng: np.random.Generator) -> NDArray[np.float64]:
    """Draw a (k, k) kernel of unit norm: the square lattice at a random energy, gone at the window's edge."""
    family = FAMILIES["square"]
    assert family.zone_range is not None
    zone = float(rng.uniform(*family.zone_range))
    reach = recipe.kernel_size / 2 / recipe.pixels_per_site
    # Half of the reach as the mean free path leaves exp(-2) at the edge; the lattice is as large as that path needs.
    constant = max(_SMALLEST_CONSTANT_NM, 2.1 * _LEAST_FREE_PATH_NM / reach)
    controls = BandControls(
        family="square",
        wave_vector=float(np.clip(2 * np.pi * zone / constant, 2.0, 12.0)),
        zone_fraction=zone,
        shape=float(rng.uniform(*family.shape_range)),
        mean_free_path_nm=float(np.clip(reach * constant / 2, _LEAST_FREE_PATH_NM, 4.0)),
        strength=float(rng.choice([-1.0, 1.0]) * np.exp(rng.uniform(np.log(0.2), np.log(5.0)))),
        tip_nm=float(np.clip(0.3 * constant, 0.1, 0.3)),
    )
    pitch = lattice_constant_nm(controls) / recipe.pixels_per_site
    offsets = (np.arange(recipe.kernel_size) - recipe.kernel_size // 2) * pitch
    extent = recipe.kernel_size / 2 * pitch
    pattern = band_pattern(defect_scattering(controls), max(1.0, extent))(*np.meshgrid(offsets, offsets))
    kernel = np.where(np.hypot(*np.meshgrid(offsets, offsets)) <= extent, pattern, 0.0)
    return np.asarray(kernel / np.linalg.norm(kernel))


def circular_superposition(kernel: NDArray[np.float64], positions: NDArray[np.float64], side: int) -> NDArray[np.float64]:
    """Return the sum of a kernel (k, k) over whole-pixel positions (n, 2) on a map of side x side pixels without edges."""
    size = len(kernel)
    placed = np.zeros((side, side))
    placed[:size, :size] = kernel
    placed = np.roll(placed, (-(size // 2), -(size // 2)), axis=(0, 1))
    counts = np.zeros((side, side))
    columns, rows = np.rint(positions).astype(int).T
    np.add.at(counts, (rows, columns), 1.0)
    return np.asarray(np.fft.irfft2(np.fft.rfft2(placed) * np.fft.rfft2(counts), s=(side, side)))


def _draw_sites(recipe: PeerRecipe, rng: np.random.Generator) -> NDArray[np.float64]:
    """Draw different sites, about density * sites^2 of them, as pixels."""
    expected = recipe.density * recipe.sites**2
    least, most = max(1, round(expected * (1 - COUNT_TOLERANCE))), max(1, round(expected * (1 + COUNT_TOLERANCE)))
    count = int(rng.integers(least, most + 1))
    cells = rng.choice(recipe.sites**2, size=count, replace=False)
    sites = np.stack([cells % recipe.sites, cells // recipe.sites], axis=1)
    return (sites * recipe.pixels_per_site + recipe.pixels_per_site // 2).astype(np.float64)
