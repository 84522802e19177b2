"""Measured maps: reading files, positions of defects, levelling, and finding defects."""

from __future__ import annotations

from qpi_core.maps.detection.spots import find_spots
from qpi_core.maps.load import READABLE_EXTENSIONS, load_map
from qpi_core.maps.positions.files import LoadedPositions, load_positions, save_positions
from qpi_core.maps.positions.snapping import snap_to_extremum
from qpi_core.maps.preparation.levelling import LEVELLING_KINDS, level
from qpi_core.maps.readers.programs.gwyddion import write_gwy
from qpi_core.maps.scan_map import ScanMap
from qpi_core.maps.series import load_stack

__all__ = [
    "LEVELLING_KINDS",
    "READABLE_EXTENSIONS",
    "LoadedPositions",
    "ScanMap",
    "find_spots",
    "level",
    "load_map",
    "load_positions",
    "load_stack",
    "save_positions",
    "snap_to_extremum",
    "write_gwy",
]
