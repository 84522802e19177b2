"""Data sets on disk: one pair of numpy files a kernel, a manifest with their hashes; writing is atomic and resumable.

Layout of a folder:

    manifest.json                 format, source, plan, versions, sha256 of every file
    kernel-0007.npz               kernel, positions (all observations one after the other), counts, splits
    kernel-0007-observations.npy  (observations, height, width) float32, read through a memory map
"""

from __future__ import annotations

import hashlib
import json
import os
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from qpi_core.base.errors import InputError
from qpi_core.base.provenance import versions
from qpi_core.synthesis.kernel_families.equation_7 import KernelParameters

FORMAT = "qpi-dataset/1"
MANIFEST = "manifest.json"
TRAIN, IN_DOMAIN, OUT_OF_DOMAIN = "train", "in_domain", "out_of_domain"
SPLITS = (TRAIN, IN_DOMAIN, OUT_OF_DOMAIN)


@dataclass(frozen=True)
class KernelShard:
    """One kernel with its observations, as it is written.

    Attributes:
        kernel: (k, k) float32, centre at index k // 2.
        observations: (n, height, width) float32.
        positions: one (count, 2) array of (x, y) in pixels for each observation.
        splits: one of SPLITS for each observation.
        parameters: those of Eq. 7, or None where they are not known.
        symmetry_order: 0, 2, 3, 4, 6, or None where it is not known.
    """

    kernel: NDArray[np.float32]
    observations: NDArray[np.float32]
    positions: list[NDArray[np.float64]]
    splits: list[str]
    parameters: KernelParameters | None
    symmetry_order: int | None


class DatasetWriter:
    """Write kernels one by one; what is finished stays finished after an interruption."""

    def __init__(self, folder: Path, source: str, plan: dict[str, Any], shape: tuple[int, int], pixel_size_nm: float, kernels: int) -> None:
        """Open a folder for writing.

        Args:
            folder: new, empty, or holding an unfinished data set with the same plan.
            source: where the data come from, for people.
            plan: plain values that determine the data; resuming compares them.
            shape: (height, width) of the observations.
            pixel_size_nm: pitch.
            kernels: how many kernels the finished data set has.

        Raises:
            InputError: the folder holds something else, or another plan.
        """
        self.folder = folder = folder.resolve()
        self.manifest: dict[str, Any] = {
            "format": FORMAT,
            "source": source,
            "plan": plan,
            "shape": list(shape),
            "pixel_size_nm": pixel_size_nm,
            "kernel_count": kernels,
            "versions": versions(),
            "kernels": {},
        }
        if folder.exists() and not folder.is_dir():
            raise InputError(f"{folder.name} is a file; give a folder for the data set.")
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(f"the folder {folder.name} for the data set cannot be made ({error.strerror}); give another one.") from error
        if (folder / MANIFEST).is_file():
            self._resume()
        elif any(folder.iterdir()):
            raise InputError(f"the folder {folder.name} is not empty and holds no data set; give a new or empty folder.")
        self._write_manifest()

    def _resume(self) -> None:
        found = read_manifest(self.folder)
        for key in ("source", "plan", "shape", "pixel_size_nm", "kernel_count"):
            if found.get(key) != json.loads(json.dumps(self.manifest[key])):
                raise InputError(
                    f"the folder {self.folder.name} holds a data set with another {key.replace('_', ' ')} ({found.get(key)}); "
                    "repeat the same arguments to go on with it, or give a new folder."
                )
        self.manifest["kernels"] = {
            key: entry
            for key, entry in found["kernels"].items()
            if all(sha256_of(self.folder / name) == digest for name, digest in entry["files"].items())
        }

    def has(self, kernel: int) -> bool:
        """Say whether this kernel is already written and whole."""
        return str(kernel) in self.manifest["kernels"]

    def add(self, kernel: int, shard: KernelShard) -> None:
        """Write one kernel; the manifest names it only after its files are in place."""
        table: dict[str, Any] = {
            "kernel": shard.kernel.astype(np.float32),
            "counts": np.array([len(positions) for positions in shard.positions], dtype=np.int64),
            "positions": np.concatenate(shard.positions).astype(np.float64),
            "splits": np.array([SPLITS.index(split) for split in shard.splits], dtype=np.uint8),
        }
        names = _file_names(kernel)
        _write_atomically(self.folder / names[0], lambda file: np.savez(file, **table))
        _write_atomically(self.folder / names[1], lambda file: np.save(file, shard.observations.astype(np.float32), allow_pickle=False))
        self.manifest["kernels"][str(kernel)] = {
            "symmetry_order": shard.symmetry_order,
            "parameters": None if shard.parameters is None else shard.parameters.as_dict(),
            "observations": len(shard.observations),
            "files": {name: sha256_of(self.folder / name) for name in names},
        }
        self._write_manifest()

    def _write_manifest(self) -> None:
        text = json.dumps(self.manifest, indent=1)
        _write_atomically(self.folder / MANIFEST, lambda file: file.write(text.encode()))


def read_shard(folder: Path, kernel: int, entry: dict[str, Any]) -> KernelShard:
    """Return one kernel of a data set, its observations as a memory map, given its entry in the manifest.

    Raises:
        InputError: a file is missing, damaged, or belongs to another.
    """
    table_name, observations_name = _file_names(kernel)
    try:
        # Opened here, because numpy leaves the file open where it turns out not to be an archive.
        with (folder / table_name).open("rb") as file, np.load(file, allow_pickle=False) as table:
            pattern, counts, positions, splits = (table[name] for name in ("kernel", "counts", "positions", "splits"))
        observations = np.load(folder / observations_name, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise InputError(f"kernel {kernel} of the data set in {folder.name} cannot be read ({error}); write it again.") from error
    if len(observations) != len(counts) or len(counts) != entry["observations"]:
        raise InputError(f"the files of kernel {kernel} in {folder.name} do not belong together; write the data set again.")
    return KernelShard(
        kernel=pattern,
        observations=observations,
        positions=np.split(positions, np.cumsum(counts)[:-1]),
        splits=[SPLITS[number] for number in splits],
        parameters=None if entry["parameters"] is None else KernelParameters.coerce(entry["parameters"]),
        symmetry_order=entry["symmetry_order"],
    )


def _file_names(kernel: int) -> tuple[str, str]:
    return f"kernel-{kernel:04d}.npz", f"kernel-{kernel:04d}-observations.npy"


def read_manifest(folder: Path) -> dict[str, Any]:
    """Return the manifest of a data set folder.

    Raises:
        InputError: none there, damaged, or of another format.
    """
    path = folder / MANIFEST
    if not path.is_file():
        raise InputError(f"{folder.name} holds no data set (no {MANIFEST}); make one with: python -m qpi_core dataset --out FOLDER")
    try:
        manifest: object = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{path.name} in {folder.name} cannot be read ({error}); write the data set again.") from error
    if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
        raise InputError(f"{path.name} in {folder.name} is not of the format {FORMAT}; write the data set again with this version.")
    return manifest


def _write_atomically(path: Path, write: Callable[[BinaryIO], object]) -> None:
    """Write through a neighbouring file, so that a file under its own name is always whole."""
    temporary = path.with_name(path.name + ".part")
    with temporary.open("wb") as file:
        write(file)
    os.replace(temporary, path)


def sha256_of(path: Path) -> str | None:
    """Return the hash of a file in hexadecimal, None where there is no file."""
    if not path.is_file():
        return None
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
