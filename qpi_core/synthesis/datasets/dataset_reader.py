"""Read a data set of kernels and observations sample by sample."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from qpi_core.base.errors import InputError
from qpi_core.synthesis.datasets.dataset_files import OUT_OF_DOMAIN, SPLITS, KernelShard, read_manifest, read_shard, sha256_of
from qpi_core.synthesis.kernel_families.equation_7 import KernelParameters
from qpi_core.synthesis.simulated_maps.scenes import activation_map


@dataclass(frozen=True)
class DatasetSample:
    """One observation with its truth.

    Attributes:
        observation: (height, width) float32.
        positions: (n, 2) float64, (x, y) in pixels.
        kernel: (k, k) float32, centre at index k // 2.
        parameters: those of Eq. 7, or None.
        symmetry_order: 0, 2, 3, 4, 6, or None.
        split: one of SPLITS.
        kernel_index, observation_index: where it stands in the data set.
        pixel_size_nm: pitch.
    """

    observation: NDArray[np.float32]
    positions: NDArray[np.float64]
    kernel: NDArray[np.float32]
    parameters: KernelParameters | None
    symmetry_order: int | None
    split: str
    kernel_index: int
    observation_index: int
    pixel_size_nm: float

    @property
    def activation_map(self) -> NDArray[np.float32]:
        """Return M: the number of defects in each pixel."""
        return activation_map(self.positions, self.observation.shape)


class KernelDataset:
    """Read a data set sample by sample; observations stay on disk until they are asked for."""

    def __init__(self, folder: str | Path) -> None:
        """Open a finished data set.

        Raises:
            InputError: no data set there, unfinished, or of another format.
        """
        self.folder = Path(folder)
        self.manifest = read_manifest(self.folder)
        self.kernel_count = int(self.manifest["kernel_count"])
        missing = [k for k in range(self.kernel_count) if str(k) not in self.manifest["kernels"]]
        if missing:
            raise InputError(
                f"the data set in {self.folder.name} is unfinished: {len(missing)} of {self.kernel_count} kernels are missing; "
                "run the command that wrote it again, it goes on where it stopped."
            )
        self.pixel_size_nm = float(self.manifest["pixel_size_nm"])
        self._load = lru_cache(maxsize=None)(lambda kernel: read_shard(self.folder, kernel, self.manifest["kernels"][str(kernel)]))
        ends = np.cumsum([self.manifest["kernels"][str(k)]["observations"] for k in range(self.kernel_count)])
        self._starts = np.concatenate([[0], ends]).astype(int)

    def __len__(self) -> int:
        return int(self._starts[-1])

    def __getitem__(self, index: int) -> DatasetSample:
        """Return sample `index`; the observations of kernel 0 come first, then those of kernel 1, and so on."""
        if not 0 <= index < len(self):
            raise IndexError(f"sample {index} of {len(self)}")
        kernel, number = self.place(index)
        shard = self._load(kernel)
        return DatasetSample(
            observation=np.array(shard.observations[number]),
            positions=shard.positions[number],
            kernel=shard.kernel,
            parameters=shard.parameters,
            symmetry_order=shard.symmetry_order,
            split=shard.splits[number],
            kernel_index=kernel,
            observation_index=number,
            pixel_size_nm=self.pixel_size_nm,
        )

    def place(self, index: int) -> tuple[int, int]:
        """Return the numbers of the kernel and of its observation of sample `index`."""
        kernel = int(np.searchsorted(self._starts, index, side="right")) - 1
        return kernel, index - int(self._starts[kernel])

    def shard(self, kernel: int) -> KernelShard:
        """Return kernel number `kernel` with its observations."""
        return self._load(kernel)

    def __iter__(self) -> Iterator[DatasetSample]:
        return (self[index] for index in range(len(self)))

    def indices(self, split: str) -> list[int]:
        """Return the sample numbers of one part: train, in_domain or out_of_domain."""
        if split not in SPLITS:
            raise InputError(f"split must be one of {', '.join(SPLITS)}, but it is {split!r}.")
        return [
            int(self._starts[kernel]) + number
            for kernel in range(self.kernel_count)
            for number, part in enumerate(self._load(kernel).splits)
            if part == split
        ]

    def kernels(self, test: bool = False) -> list[KernelShard]:
        """Return the kernels of training, or those that no training may see, each with its observations."""
        shards = [self._load(kernel) for kernel in range(self.kernel_count)]
        return [shard for shard in shards if (shard.splits[0] == OUT_OF_DOMAIN) == test]

    def verify(self) -> None:
        """Compare every file with its hash.

        Raises:
            InputError: a file is missing or was changed.
        """
        for entry in self.manifest["kernels"].values():
            for name, digest in entry["files"].items():
                if sha256_of(self.folder / name) != digest:
                    raise InputError(f"{name} in {self.folder.name} is missing or was changed; write the data set again.")
