"""RHK files (.sm4) as maps: images, and spectra that were taken on a grid.

Like in Gwyddion every image is mirrored in x, and its first row is the bottom of the frame where the scale of y is positive.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from qpi_core.base.errors import InputError
from qpi_core.maps.channel_parts import content_of_parts
from qpi_core.maps.readers.instruments.rhk_pages import IMAGE, LABEL, X_UNIT, Y_UNIT, Z_UNIT, DamagedPagesError, RhkPage, rhk_pages
from qpi_core.maps.readers.shared.regular_grid import find_regular_grid
from qpi_core.maps.readers.shared.units import mv_per_unit, nm_per_unit
from qpi_core.maps.scan_map import MapContent

RHK_MARK = "STiMage 005.".encode("utf-16-le")
"""Begins at the third byte of a .sm4 file."""

_DIRECTIONS = ("", " [bwd]", " [up]", " [down]")


@dataclass(frozen=True, eq=False)
class _Channel:
    """One page as a map: its name, (energies, height, width) with the top of the frame first, and what its header says."""

    title: str
    unit: str
    values: NDArray[np.float64]
    pixel_size_nm: tuple[float, float] | None
    bias_mv: NDArray[np.float64]
    angle_deg: float


def is_rhk(content: bytes) -> bool:
    """Say whether the content begins as a .sm4 file."""
    return content[2 : 2 + len(RHK_MARK)] == RHK_MARK


def read_rhk(content: bytes, name: str) -> MapContent:
    """Read images and grids of current-voltage spectra: each page is a channel.

    Images of one name that were measured at different bias are a stack in the file's order; spectra of one place are averaged. Pages of
    another size than the largest stack, or image where there is none, are maps of their own. Rows at the end of the scan that hold no
    count are NaN.

    Raises:
        InputError: damaged, or without an image or a grid (spectra at single points are no map).
    """
    try:
        pages = list(rhk_pages(content, name))
    except (DamagedPagesError, struct.error) as error:
        raise InputError(f"{name} is cut off or damaged: its tables of RHK pages cannot be followed. Copy it again.") from error
    found = [channel for page in pages if (channel := _image(page) if page.data_type == IMAGE else _grid(page)) is not None]
    if not found:
        raise InputError(f"{name} holds no image and no grid: its pages are spectra at points or other lines. Load the file of the scan.")
    channels = _stacked([channel for channel in found if channel.values.size])
    curves = len(pages) - len(found)
    return content_of_parts(channels, [f"{curves} of {len(pages)} pages were left out: spectra at single points."] if curves else [])


def _stacked(channels: list[_Channel]) -> list[_Channel]:
    """Return the channels with images of one title at different bias made stacks."""
    groups: dict[str, list[_Channel]] = {}
    for channel in channels:
        groups.setdefault(channel.title, []).append(channel)
    result: list[_Channel] = []
    for title, group in groups.items():
        energies = np.concatenate([channel.bias_mv for channel in group])
        one_size = len({channel.values.shape for channel in group}) == 1
        if one_size and len(group[0].values) == 1 and len(np.unique(energies)) == len(group) > 1:
            first = group[0]
            stack = np.concatenate([channel.values for channel in group])
            result.append(_Channel(title, first.unit, stack, first.pixel_size_nm, energies, first.angle_deg))
        else:
            result += group
    return result


def _image(page: RhkPage) -> _Channel:
    header = page.header
    values = page.values.copy()
    scanned = np.flatnonzero(~page.empty)
    values[scanned[-1] + 1 if scanned.size else 0 :] = np.nan
    scale_nm = nm_per_unit(page.texts[X_UNIT] or page.texts[Y_UNIT])
    sizes = abs(header.y_scale) * scale_nm, abs(header.x_scale) * scale_nm
    direction = _DIRECTIONS[header.direction] if header.direction < len(_DIRECTIONS) else ""
    return _Channel(
        title=_title((page.texts[LABEL] or "image") + direction, page.texts[Z_UNIT]),
        unit=page.texts[Z_UNIT],
        values=np.ascontiguousarray(values[np.newaxis, :: -1 if header.y_scale > 0 else 1, ::-1]),
        pixel_size_nm=sizes if all(np.isfinite(size) and size > 0 for size in sizes) else None,
        bias_mv=np.array([header.bias_v * 1e3]),
        angle_deg=header.angle_deg if np.isfinite(header.angle_deg) else 0.0,
    )


def _grid(page: RhkPage) -> _Channel | None:
    """Return spectra as a stack over the bias where their places form a grid, else None."""
    grid = None if page.places is None else find_regular_grid(page.places)
    if grid is None:
        return None
    spectra, (rows, columns) = page.values, grid.shape
    sums, counts = np.zeros((rows * columns, spectra.shape[1])), np.zeros((rows * columns, spectra.shape[1]))
    cells = grid.cells[:, 0] * columns + grid.cells[:, 1]
    np.add.at(sums, cells, np.nan_to_num(spectra, nan=0.0, posinf=0.0, neginf=0.0))
    np.add.at(counts, cells, np.isfinite(spectra))
    means = np.divide(sums, counts, out=np.full_like(sums, np.nan), where=counts > 0)
    header, unit = page.header, page.texts[Z_UNIT]
    factor = mv_per_unit(page.texts[X_UNIT])
    bias: NDArray[np.float64] = factor * (header.x_offset + header.x_scale * np.arange(header.width, dtype=np.float64))
    return _Channel(
        title=_title(page.texts[LABEL] or "spectra", unit),
        unit=unit,
        values=np.ascontiguousarray(means.T.reshape(-1, rows, columns)),
        pixel_size_nm=(grid.pitch[0] * 1e9, grid.pitch[1] * 1e9),
        bias_mv=bias,
        angle_deg=header.angle_deg if np.isfinite(header.angle_deg) else 0.0,
    )


def _title(name: str, unit: str) -> str:
    return f"{name} ({unit})" if unit else name
