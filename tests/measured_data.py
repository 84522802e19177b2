"""Where measured files lie that are too large for the repository: beside it. Tests that need them are skipped where they are missing."""

from __future__ import annotations

from pathlib import Path

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
GRID = DATA / "nanonis_grid" / "NanonisReader_STS_grid_lockin.3ds"
CREATEC_SCAN, NANONIS_SCAN = DATA / "scans" / "createc_scan_11nm.dat", DATA / "scans" / "nanonis.sxm"
