"""Where the points of a Nanonis grid (.3ds) lie: the frame of its settings, and the places that were recorded with every point."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from qpi_core.maps.positions.scanner_frame import ScannerFrame

_X, _Y = "X (m)", "Y (m)"
_SAME_PITCH = 0.05
_ON_GRID = 0.1


@dataclass(frozen=True)
class GridFrame:
    """The frame of a grid as set.

    Attributes:
        centre_m: (x, y), NaN where missing.
        size_m: (width, height), NaN where missing.
        angle_deg: degrees clockwise, NaN where missing.
        shape: (rows, columns).
    """

    centre_m: tuple[float, float]
    size_m: tuple[float, float]
    angle_deg: float
    shape: tuple[int, int]

    @property
    def pixel_size_nm(self) -> tuple[float, float] | None:
        """Return (dy, dx), None where the settings do not say."""
        (width, height), (rows, columns) = self.size_m, self.shape
        return (height / rows * 1e9, width / columns * 1e9) if width > 0 and height > 0 else None


def read_frame(header: Mapping[str, str], shape: tuple[int, int]) -> GridFrame:
    """Return the frame of the entry Grid settings: centre x, centre y, width, height in m, angle in degrees clockwise."""
    numbers = [float("nan")] * 5
    for index, text in enumerate(header.get("Grid settings", "").split(";")[:5]):
        try:
            numbers[index] = float(text)
        except ValueError:
            continue
    return GridFrame((numbers[0], numbers[1]), (numbers[2], numbers[3]), numbers[4], shape)


def first_row_is_bottom(data: NDArray[np.float32], parameters: Sequence[str], angle_deg: float) -> bool | None:
    """Say whether the recorded positions rise along the frame's own y axis with the row number; None where they do not say."""
    if _X not in parameters or _Y not in parameters or not np.isfinite(angle_deg):
        return None
    angle = np.deg2rad(angle_deg)
    with np.errstate(over="ignore", invalid="ignore"):  # damaged positions may be infinite; they are passed over below
        along = data[:, :, parameters.index(_X)] * np.sin(angle) + data[:, :, parameters.index(_Y)] * np.cos(angle)
    rows = [float(row[np.isfinite(row)].mean()) for row in along if np.isfinite(row).any()]
    return rows[-1] > rows[0] if len(rows) > 1 and rows[-1] != rows[0] else None


def place_of_grid(
    frame: GridFrame, data: NDArray[np.float32], parameters: Sequence[str]
) -> tuple[tuple[float, float] | None, tuple[float, float], tuple[str, ...]]:
    """Return the pixel size (dy, dx) in nm, the centre (x, y) in nm, and a warning where settings and recorded places give two sizes.

    The centre is as set, moved by what the recorded places are off on average: Nanonis measures at the corner of each pixel or at its
    centre, and the scanner creeps. Where the places lie on a grid of another pitch than the settings say, theirs is taken.

    Args:
        frame: as set.
        data: (rows, columns, values) records, the first row the top of the frame.
        parameters: names of the first values of each record.
    """
    centre = frame.centre_m[0] * 1e9, frame.centre_m[1] * 1e9
    pitch = frame.pixel_size_nm
    if pitch is None or _X not in parameters or _Y not in parameters or not np.isfinite([*centre, frame.angle_deg]).all():
        return pitch, centre, ()
    rows, columns = np.mgrid[: frame.shape[0], : frame.shape[1]].reshape(2, -1)
    places = np.stack([data[:, :, parameters.index(name)].reshape(-1) for name in (_X, _Y)], axis=1).astype(np.float64) * 1e9
    with np.errstate(over="ignore", invalid="ignore"):
        recorded = _recorded_pitch(places, rows, columns, frame.angle_deg)
        said: tuple[str, ...] = ()
        if recorded is not None and not _same(recorded, pitch, frame.shape):
            said = (_two_sizes(pitch, recorded, frame.shape),)
            pitch = recorded
        off = places - ScannerFrame(centre, frame.angle_deg, frame.shape, pitch).to_scanner(np.stack([columns, rows], axis=1))
        off = off[np.isfinite(off).all(axis=1)]
        shift = np.median(off, axis=0) if len(off) else np.zeros(2)
    return pitch, (float(centre[0] + shift[0]), float(centre[1] + shift[1])), said


def _recorded_pitch(
    places: NDArray[np.float64], rows: NDArray[np.int64], columns: NDArray[np.int64], angle_deg: float
) -> tuple[float, float] | None:
    """Return (dy, dx) of the grid on which (n, 2) places lie, None where they lie on none."""
    there = np.isfinite(places).all(axis=1)
    turn = np.deg2rad(angle_deg)
    u, v = places @ [np.cos(turn), -np.sin(turn)], places @ [np.sin(turn), np.cos(turn)]
    steps: list[float] = []
    for coordinate, number in ((v, rows), (u, columns)):
        if there.sum() < 4 or np.ptp(number[there]) < 2:
            return None
        slope, start = np.polyfit(number[there], coordinate[there], 1)
        rest = coordinate[there] - start - slope * number[there]
        if not abs(slope) > 0 or not np.median(np.abs(rest)) < _ON_GRID * abs(slope):
            return None
        steps.append(abs(float(slope)))
    return steps[0], steps[1]


def _same(recorded: tuple[float, float], stated: tuple[float, float], shape: tuple[int, int]) -> bool:
    """Say whether two pitches agree, but for the size being that from the first point to the last one."""
    return all(
        abs(there / here - 1) < _SAME_PITCH + 1.0 / max(side - 1, 1) for there, here, side in zip(recorded, stated, shape, strict=True)
    )


def _two_sizes(stated: tuple[float, float], recorded: tuple[float, float], shape: tuple[int, int]) -> str:
    sizes = [f"{pitch[1] * shape[1]:.6g} x {pitch[0] * shape[0]:.6g} nm" for pitch in (stated, recorded)]
    return (
        f"The file gives two sizes: Grid settings say {sizes[0]}, the places recorded with every point say {sizes[1]}; the latter was "
        "taken, as it is where the points were measured."
    )
