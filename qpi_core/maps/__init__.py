"""Measured maps: reading files, positions of defects, levelling, and finding defects."""

from __future__ import annotations

from qpi_core.maps.reading import READABLE_EXTENSIONS, load_map
from qpi_core.maps.scan_map import ScanMap

__all__ = ["READABLE_EXTENSIONS", "ScanMap", "load_map"]
