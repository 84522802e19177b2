"""Measured maps: reading files, positions of defects, levelling, and finding defects."""

from __future__ import annotations

from qpi_core.maps.detection import find_defects
from qpi_core.maps.gwyddion import write_gwy
from qpi_core.maps.levelling import LEVELLING_KINDS, level
from qpi_core.maps.positions import LoadedPositions, load_positions, save_positions
from qpi_core.maps.reading import READABLE_EXTENSIONS, load_map
from qpi_core.maps.scan_map import ScanMap
from qpi_core.maps.snapping import snap_to_extremum

__all__ = [
    "LEVELLING_KINDS",
    "READABLE_EXTENSIONS",
    "LoadedPositions",
    "ScanMap",
    "find_defects",
    "level",
    "load_map",
    "load_positions",
    "save_positions",
    "snap_to_extremum",
    "write_gwy",
]
