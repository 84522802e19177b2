"""The authors' published data set (QPI-Dataset-100kernels): one CSV file a kernel, converted to this project's layout.

Rows of a file, as its documentation states them:

    1   resolution, largest number of scatterers
    2   coordinates of the pixels along one axis, in Angstrom
    3   kernel image (flattened), then x1, y1, x2, y2, ... of its one scatterer (unused places hold 1000)
    4+  an observation (flattened), then the coordinates of its scatterers

Two things need care. The axis runs from -L to L, so r = 0 lies between two pixels; and whether the first index of an
image is x or y is not stated, so the data decide: the order whose superposition explains the observations.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import map_coordinates
from tqdm import tqdm

from qpi_core.base.errors import InputError
from qpi_core.synthesis.datasets.dataset import kernel_splits, observation_splits
from qpi_core.synthesis.datasets.dataset_files import DatasetWriter, KernelShard
from qpi_core.synthesis.kernel_families.equation_7 import phenomenological_kernel
from qpi_core.synthesis.kernel_families.equation_7_fit import fit_equation_7

UNUSED_ANGSTROM = 1000.0
ANGSTROM_PER_NM = 10.0
_LARGEST_RESOLUTION = 1024
_ROWS_FOR_ORDER = 3
_WORST_MISFIT = 0.5


@dataclass(frozen=True)
class PublishedHeader:
    """The first two rows of a file.

    Attributes:
        resolution: side of the images in pixels.
        most_scatterers: how many coordinate pairs a row has.
        axis: pixel coordinates in Angstrom, evenly spaced.
    """

    resolution: int
    most_scatterers: int
    axis: NDArray[np.float64]

    @property
    def pitch(self) -> float:
        """Return the pixel pitch in Angstrom."""
        return float((self.axis[-1] - self.axis[0]) / (self.resolution - 1))

    @property
    def pixel_size_nm(self) -> float:
        """Return the pixel pitch in nm."""
        return self.pitch / ANGSTROM_PER_NM

    @property
    def origin_px(self) -> float:
        """Return the pixel coordinate of r = 0; half an odd number where it lies between two pixels."""
        return float(-self.axis[0] / self.pitch)


@dataclass(frozen=True)
class PublishedRow:
    """One image with its scatterers.

    Attributes:
        image: (resolution, resolution), axes in the order of the file.
        positions: (n, 2) coordinates (x, y) in pixels; they may lie outside the image.
    """

    image: NDArray[np.float64]
    positions: NDArray[np.float64]


def read_published(path: str | Path) -> tuple[PublishedHeader, Iterator[PublishedRow]]:
    """Open one CSV file: its header, and its rows one at a time, the kernel's first.

    Raises:
        InputError: not a file of this kind; the message names the file and the row.
    """
    path = Path(path)
    lines = _numbers(path)
    first = next(lines, None)
    if first is None or len(first) < 2 or not all(float(n).is_integer() and n >= 1 for n in first[:2]):
        raise InputError(f"{path.name}, row 1: expected two whole numbers, the resolution and the largest number of scatterers.")
    resolution, most = int(first[0]), int(first[1])
    if not 8 <= resolution <= _LARGEST_RESOLUTION or most > 10**6:
        raise InputError(f"{path.name}, row 1: resolution {resolution} (8 to {_LARGEST_RESOLUTION} expected) with up to {most} scatterers.")
    axis = next(lines, np.empty(0))[:resolution]
    steps = np.diff(axis)
    if len(axis) != resolution or not np.allclose(steps, steps.mean(), rtol=1e-3, atol=0) or steps.mean() <= 0:
        raise InputError(f"{path.name}, row 2: expected {resolution} evenly spaced, increasing pixel coordinates in Angstrom.")
    header = PublishedHeader(resolution, most, axis)
    return header, _rows(path, header, lines)


def import_published(folder: str | Path, out: str | Path, progress: bool = True) -> None:
    """Convert a folder of published CSV files into a data set that training and evaluation read; resumable.

    Args:
        folder: holds the CSV files, also in sub-folders.
        out: where to write; new, empty, or an unfinished import of the same files.
        progress: show a progress bar on standard error.

    Raises:
        InputError: no CSV file there, files that differ in grid, or a file that cannot be read.
    """
    source = Path(folder)
    if not source.is_dir():
        raise InputError(f"{source.name} is not a folder; give the folder with the CSV files of the published data set.")
    files = sorted(source.rglob("*.csv"), key=lambda path: _natural_order(path.relative_to(source).as_posix()))
    if not files:
        raise InputError(f"the folder {source.name} holds no .csv file; give the folder with the files of the published data set.")
    header, _ = read_published(files[0])
    plan = {"files": [path.relative_to(source).as_posix() for path in files]}
    shape = (header.resolution, header.resolution)
    writer = DatasetWriter(Path(out), "published QPI-Dataset CSV files", plan, shape, header.pixel_size_nm, len(files))
    # Symmetry orders first: the split is drawn evenly from them, and they need only the kernel row of each file.
    orders = [_symmetry_order(path) for path in tqdm(files, desc="kernels", unit="file", disable=not progress)]
    splits = kernel_splits(orders)
    for index in tqdm(range(len(files)), desc="files", unit="file", disable=not progress):
        if not writer.has(index):
            writer.add(index, convert_file(files[index], splits[index], header))


def convert_file(path: Path, split: str, expected: PublishedHeader | None = None) -> KernelShard:
    """Return one CSV file as a kernel with its observations: axes in the order [y, x], r = 0 on a pixel.

    Where Eq. 7 describes the published kernel, its fitted formula gives the kernel on the pixels; otherwise the image is
    moved by the fraction of a pixel with quintic splines. Scatterers outside the image are left out of the positions.

    Raises:
        InputError: another grid than expected, no observations, or observations that the kernel does not explain.
    """
    header, rows = read_published(path)
    if expected is not None and (header.resolution != expected.resolution or not np.allclose(header.axis, expected.axis)):
        raise InputError(f"{path.name} has another pixel grid than the first file; convert such files into separate data sets.")
    kernel_row = next(rows, None)
    if kernel_row is None:
        raise InputError(f"{path.name} ends before row 3, the kernel image.")
    first = list(islice(rows, _ROWS_FOR_ORDER))
    if not first:
        raise InputError(f"{path.name} holds no observation (row 4 and later).")
    swap = _x_is_first_index(path, header, kernel_row.image, first)
    images, positions = [], []
    for row in (item for group in (first, rows) for item in group):
        images.append((row.image.T if swap else row.image).astype(np.float32))
        inside = (np.abs(row.positions - (header.resolution - 1) / 2) <= header.resolution / 2).all(axis=1)
        positions.append(row.positions[inside])
    published = kernel_row.image.T if swap else kernel_row.image
    fit = fit_equation_7(published, header.origin_px, header.pixel_size_nm)
    if fit is None:
        kernel = _recentred(published, header.origin_px)
    else:
        unit = phenomenological_kernel(**fit.parameters.as_dict(), size=header.resolution, pixel_size_nm=header.pixel_size_nm)  # type: ignore[arg-type]
        kernel = (fit.amplitude * unit).astype(np.float32)
    return KernelShard(
        kernel=kernel,
        observations=np.stack(images),
        positions=positions,
        splits=observation_splits(split, len(images)),
        parameters=None if fit is None else fit.parameters,
        symmetry_order=None if fit is None else fit.parameters.symmetry_order,
    )


def superpose_image(kernel: NDArray[np.float64], origin_px: float, positions: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the sum of a kernel image over positions, interpolated with cubic splines, zero beyond the kernel's window."""
    side = len(kernel)
    rows, columns = np.mgrid[:side, :side].astype(float)
    total = np.zeros(kernel.shape)
    for x, y in positions:
        total += map_coordinates(kernel, [rows - y + origin_px, columns - x + origin_px], order=3, mode="constant")
    return total


def _numbers(path: Path) -> Iterator[NDArray[np.float64]]:
    """Yield the rows of a CSV file as numbers; empty cells at the end of a row are left out."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            for number, cells in enumerate(csv.reader(file), start=1):
                while cells and not cells[-1].strip():
                    cells.pop()
                if not cells:
                    continue
                try:
                    values = np.array(cells, dtype=np.float64)
                except ValueError:
                    raise InputError(f"{path.name}, row {number}: a cell is not a number.") from None
                if not np.isfinite(values).all():
                    raise InputError(f"{path.name}, row {number}: a value is not finite.")
                yield values
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path.name} cannot be read as a CSV file ({error}).") from error


def _rows(path: Path, header: PublishedHeader, lines: Iterator[NDArray[np.float64]]) -> Iterator[PublishedRow]:
    pixels, side = header.resolution**2, header.resolution
    for number, values in enumerate(lines, start=3):
        if len(values) != pixels + 2 * header.most_scatterers:
            raise InputError(
                f"{path.name}, row {number}: {len(values)} values, but {pixels} pixels and {header.most_scatterers} pairs of coordinates "
                f"make {pixels + 2 * header.most_scatterers}. Is the file cut off?"
            )
        points = values[pixels:].reshape(-1, 2)
        points = points[(points < UNUSED_ANGSTROM).all(axis=1)]
        yield PublishedRow(values[:pixels].reshape(side, side), (points - header.axis[0]) / header.pitch)


def _x_is_first_index(path: Path, header: PublishedHeader, kernel: NDArray[np.float64], rows: list[PublishedRow]) -> bool:
    """Say whether images are stored as [x, y], from which order explains the observations better."""
    misfits = []
    for swap in (False, True):
        oriented = kernel.T if swap else kernel
        parts = []
        for row in rows:
            image = row.image.T if swap else row.image
            model = superpose_image(oriented, header.origin_px, row.positions)
            parts.append(np.std(image - model) / max(float(np.std(image)), 1e-300))
        misfits.append(float(np.mean(parts)))
    if min(misfits) > _WORST_MISFIT:
        raise InputError(
            f"{path.name}: the kernel of row 3 at the listed scatterers does not give the observations of row 4 and later "
            f"(misfit {min(misfits):.2f} of their standard deviation), whichever axis comes first."
        )
    return misfits[1] < misfits[0]


def _symmetry_order(path: Path) -> int | None:
    """Return the symmetry order of a file's kernel, None where Eq. 7 does not describe it."""
    header, rows = read_published(path)
    row = next(rows, None)
    if row is None:
        raise InputError(f"{path.name} ends before row 3, the kernel image.")
    # Which axis comes first does not change the order of the symmetry.
    fit = fit_equation_7(row.image, header.origin_px, header.pixel_size_nm)
    return None if fit is None else fit.parameters.symmetry_order


def _recentred(kernel: NDArray[np.float64], origin_px: float) -> NDArray[np.float32]:
    """Return the kernel moved so that its centre lies on index size // 2."""
    side = len(kernel)
    rows, columns = np.mgrid[:side, :side] - side // 2 + origin_px
    return np.asarray(map_coordinates(kernel, [rows, columns], order=5, mode="nearest"), dtype=np.float32)


def _natural_order(name: str) -> list[tuple[int, int | str]]:
    """Return a sort key that puts number2 before number10."""
    return [(0, int(part)) if part.isdigit() else (1, part) for part in re.split(r"(\d+)", name) if part]
