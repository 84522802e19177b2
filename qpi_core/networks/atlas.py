"""The latent space as a map: simulated kernels, their latents, and a fixed two-dimensional embedding to find one's place in.

The embedding (t-SNE) is made once and stored beside the model. A new latent does not change it: it is put among its nearest
neighbours in the latent space itself.
"""

from __future__ import annotations

import io
import zipfile
from dataclasses import dataclass, fields
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from qpi_core.base.errors import InputError
from qpi_core.runtime.threads import one_thread
from qpi_core.synthesis.kernel_families.families import FAMILIES, SyntheticKernel, draw_synthetic_kernel

if TYPE_CHECKING:
    from qpi_core.networks.checkpoints import LoadedModels

ATLAS_NAME = "atlas.npz"
DEFAULT_COUNT = 2000
DEFAULT_SEED = 20250605
PERPLEXITY = 30.0
RANGE_FACTOR = 1.2
"""Ranges of B and c reach 20 % beyond the benchmark's, as in training."""
SHARES = {name: {"equation_7": 0.55, "harmonic": 0.15, "spline": 0.09}.get(name, 0.03) for name in FAMILIES}
"""Of the families: about those of training, and all band structures, also the two that no training draws."""
TRAITS = ("symmetry_order", "wave_vector_rad_per_nm", "decay_per_nm2", "mean_free_path_nm", "orientation_rad", "phase_rad")
_LARGEST_SEED = 2**31 - 1
MAX_ATLAS_BYTES = 64 * 2**20


@dataclass(frozen=True)
class Placement:
    """Where a latent lies among the kernels of the atlas.

    Attributes:
        x, y: place in the embedding.
        neighbours: (k,) indices into the atlas, nearest first.
        distances: (k,) Euclidean distances in the standardised latent space.
        weights: (k,) with which the neighbours were averaged, sum 1.
        relative_distance: distance to the nearest neighbour over the typical one between the atlas's kernels: about 1 for a kernel like
            those, several for one that is unlike any of them, whose place then says little.
    """

    x: float
    y: float
    neighbours: NDArray[np.int64]
    distances: NDArray[np.float64]
    weights: NDArray[np.float64]
    relative_distance: float


@dataclass(frozen=True, eq=False)
class LatentAtlas:
    """Simulated kernels of all families in the latent space of one model.

    Attributes:
        latents: (n, 4, 8, 8) float32, Encoder_K's standardised means.
        embedding: (n, 2) float32, t-SNE; its axes have no unit.
        families: (n,) names, keys of FAMILIES.
        kernel_seeds: (n,) int64 that the kernels were drawn with.
        traits: (n, 6) float64, columns as TRAITS; NaN where a family has no such number.
        model_sha256: of the weights that gave the latents.
        seed: of the kernels and of the embedding.
    """

    latents: NDArray[np.float32]
    embedding: NDArray[np.float32]
    families: NDArray[np.str_]
    kernel_seeds: NDArray[np.int64]
    traits: NDArray[np.float64]
    model_sha256: str
    seed: int

    def __len__(self) -> int:
        return len(self.latents)

    def column(self, name: str) -> NDArray[np.float64]:
        """Return one trait of every kernel, (n,); NaN where a family has no such number.

        Raises:
            InputError: no trait of that name.
        """
        if name not in TRAITS:
            raise InputError(f"trait {name!r} is not known; choose one of {', '.join(TRAITS)}.")
        return self.traits[:, TRAITS.index(name)]

    def kernel(self, index: int) -> SyntheticKernel:
        """Return one kernel, drawn again from its seed."""
        return draw_synthetic_kernel(str(self.families[index]), int(self.kernel_seeds[index]), RANGE_FACTOR)

    def place(self, latent: ArrayLike, neighbours: int = 8) -> Placement:
        """Find the place of a latent (4, 8, 8): the mean of its nearest neighbours' places, weighted with 1 / distance^2.

        Raises:
            InputError: a wrong shape, or values that are not finite.
        """
        point = np.asarray(latent, dtype=np.float64)
        if point.shape != self.latents.shape[1:] or not np.isfinite(point).all():
            raise InputError(f"latent must be a finite array of shape {self.latents.shape[1:]}, but it has shape {point.shape}.")
        distances = np.linalg.norm(self._flat() - point.reshape(1, -1), axis=1)
        nearest = np.argsort(distances, kind="stable")[: max(1, min(neighbours, len(distances)))]
        # A latent that is in the atlas gets that point's place: the others' weights vanish beside it.
        weights = 1.0 / np.maximum(distances[nearest], 1e-6 * max(self.typical_distance, 1e-12)) ** 2
        weights = weights / weights.sum()
        x, y = (float(value) for value in weights @ self.embedding[nearest].astype(np.float64))
        relative = float(distances[nearest[0]] / self.typical_distance) if self.typical_distance > 0 else float("inf")
        return Placement(x, y, nearest, distances[nearest], weights, relative)

    def nearest_point(self, x: float, y: float) -> int:
        """Return the index of the kernel nearest to a point of the embedding."""
        return int(np.argmin(np.hypot(self.embedding[:, 0] - x, self.embedding[:, 1] - y)))

    @cached_property
    def typical_distance(self) -> float:
        """Return the median distance from a kernel of the atlas to its nearest neighbour in the latent space."""
        flat = self._flat()
        # A tenth of the points is enough for a median.
        some = np.arange(0, len(flat), max(1, len(flat) // 150))
        distances = _distances(flat, flat[some])
        distances[some, np.arange(len(some))] = np.inf
        return float(np.median(distances.min(axis=0)))

    def _flat(self) -> NDArray[np.float64]:
        return self.latents.reshape(len(self.latents), -1).astype(np.float64)


def build_atlas(models: LoadedModels, count: int = DEFAULT_COUNT, seed: int = DEFAULT_SEED) -> LatentAtlas:
    """Draw kernels of every family (SHARES), encode them with Encoder_K, and embed the latents.

    Args:
        models: the networks.
        count: number of kernels, at least 100.
        seed: of the kernels (kernel i depends on seed and i alone) and of the embedding.

    Raises:
        InputError: too few kernels.
    """
    if count < 100:
        raise InputError(f"count is {count}; at least 100 kernels are needed for an embedding.")
    names, shares = list(SHARES), list(SHARES.values())
    families = [str(np.random.default_rng([seed, index]).choice(names, p=shares)) for index in range(count)]
    seeds = [(seed + index) % _LARGEST_SEED for index in range(count)]
    drawn = [draw_synthetic_kernel(family, kernel_seed, RANGE_FACTOR) for family, kernel_seed in zip(families, seeds, strict=True)]
    latents = encode_kernels(models, np.stack([kernel.on_window() for kernel in drawn]))
    traits = np.array([[found[name] for name in TRAITS] for found in (kernel.traits() for kernel in drawn)])
    embedding = embed(latents, seed)
    return LatentAtlas(latents, embedding, np.array(families), np.array(seeds, dtype=np.int64), traits, models.sha256, seed)


def embed(latents: NDArray[np.float32], seed: int) -> NDArray[np.float32]:
    """Return the t-SNE of latents (n, ...), (n, 2)."""
    from sklearn.manifold import TSNE

    flat = latents.reshape(len(latents), -1)
    tsne = TSNE(perplexity=min(PERPLEXITY, (len(flat) - 1) / 3), init="pca", random_state=seed % 2**32, n_jobs=1)
    return np.asarray(tsne.fit_transform(flat), dtype=np.float32)


def encode_kernels(models: LoadedModels, kernels: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return Encoder_K's standardised latents, (n, 4, 8, 8), of kernels (n, 64, 64) of any amplitude."""
    import torch

    from qpi_core.networks.kernel_vae import normalise_kernel

    with torch.inference_mode():
        parts = torch.split(normalise_kernel(torch.from_numpy(kernels)[:, None]), 64)
        latents = [models.vae.encode_kernel(part.to(models.device)).cpu() for part in parts]
    return np.asarray(torch.cat(latents).numpy(), dtype=np.float32)


@one_thread()
def decode_latents(models: LoadedModels, latents: ArrayLike) -> NDArray[np.float32]:
    """Return Decoder_K's kernels, (n, 64, 64), of standardised latents (n, 4, 8, 8) or one (4, 8, 8); largest value about 1.

    Raises:
        InputError: another shape.
    """
    import torch

    from qpi_core.networks.kernel_vae import LATENT_SHAPE

    values = np.asarray(latents, dtype=np.float32)
    if values.shape[-3:] != LATENT_SHAPE or values.ndim not in (3, 4):
        raise InputError(f"latents must have shape (n, {', '.join(map(str, LATENT_SHAPE))}), but it has shape {values.shape}.")
    batch = torch.from_numpy(values.reshape(-1, *LATENT_SHAPE))
    with torch.inference_mode():
        parts = [models.vae.decode_kernel(part.to(models.device))[:, 0].cpu() for part in torch.split(batch, 64)]
    return np.asarray(torch.cat(parts).numpy(), dtype=np.float32)


def save_atlas(atlas: LatentAtlas, folder: Path) -> Path:
    """Write an atlas into a model's folder, atomically."""
    from qpi_core.runtime.atomic_files import write_atomically

    buffer = io.BytesIO()
    arrays: dict[str, Any] = {field.name: np.asarray(getattr(atlas, field.name)) for field in fields(atlas)}
    np.savez_compressed(buffer, **arrays)
    return write_atomically(folder / ATLAS_NAME, buffer.getvalue())


def load_atlas(folder: Path, model_sha256: str | None = None) -> LatentAtlas:
    """Read the atlas of a model's folder.

    Args:
        folder: of the model.
        model_sha256: of the model's weights; with it, an atlas of other weights is refused.

    Raises:
        InputError: there is none, it is damaged, or it belongs to other weights.
    """
    path, again = folder / ATLAS_NAME, f"make it with: python -m qpi_core atlas --model {folder.name}"
    if not path.is_file():
        raise InputError(f"the model {folder.name!r} has no {ATLAS_NAME}; {again}")
    if path.stat().st_size > MAX_ATLAS_BYTES:
        raise InputError(f"{ATLAS_NAME} of the model {folder.name!r} is larger than {MAX_ATLAS_BYTES // 2**20} MiB; {again}")
    try:
        with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as archive:
            values: dict[str, Any] = {field.name: archive[field.name] for field in fields(LatentAtlas)}
        atlas = LatentAtlas(
            values["latents"].astype(np.float32),
            values["embedding"].astype(np.float32),
            values["families"].astype(np.str_),
            values["kernel_seeds"].astype(np.int64),
            values["traits"].astype(np.float64),
            str(values["model_sha256"]),
            int(values["seed"]),
        )
        count = len(atlas)
        shapes = tuple(getattr(atlas, name).shape for name in ("latents", "embedding", "families", "kernel_seeds", "traits"))
        if count < 1 or shapes != ((count, 4, 8, 8), (count, 2), (count,), (count,), (count, len(TRAITS))):
            raise ValueError(f"shapes {shapes}")
        if not set(atlas.families.tolist()) <= set(FAMILIES) or atlas.kernel_seeds.min() < 0:
            raise ValueError("families or seeds that are not known")
    except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile) as error:
        raise InputError(f"{ATLAS_NAME} of the model {folder.name!r} is damaged or of an older version; {again}") from error
    if model_sha256 is not None and atlas.model_sha256 != model_sha256:
        raise InputError(f"{ATLAS_NAME} of the model {folder.name!r} was made with other weights; {again}")
    return atlas


def _distances(many: NDArray[np.float64], few: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return Euclidean distances (len(many), len(few))."""
    squared = (many**2).sum(axis=1)[:, None] + (few**2).sum(axis=1)[None, :] - 2 * many @ few.T
    return np.asarray(np.sqrt(np.maximum(squared, 0.0)))
