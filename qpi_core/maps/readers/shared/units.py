"""Units of length and energy as files spell them."""

from __future__ import annotations

_NM = {
    **{"m": 1e9, "mm": 1e6, "um": 1e3, "µm": 1e3, "micron": 1e3, "microns": 1e3, "micrometer": 1e3, "nm": 1.0, "pm": 1e-3},
    **{"å": 0.1, "a": 0.1, "ang": 0.1, "angstrom": 0.1, "angstroms": 0.1, "angström": 0.1, "meter": 1e9, "nanometer": 1.0},
}
_MV = {"v": 1e3, "mv": 1.0, "ev": 1e3, "mev": 1.0, "volt": 1e3, "volts": 1e3, "millivolt": 1.0}
_SPELLINGS = {"μ": "µ", "\u212b": "å", "\\u00b5": "µ", "\\u212b": "å", "\\xb5": "µ", "âµ": "µ", "ã…": "å", "æm": "µm", "\ufffdm": "µm"}
"""Other characters for the micro sign and the Angstrom, escapes of ImageJ, UTF-8 read as Latin-1, and the micro sign of code page 437."""


def nm_per_unit(unit: str) -> float:
    """Return how many nm a unit of length is, NaN where it is none."""
    return _NM.get(_plain(unit), float("nan"))


def mv_per_unit(unit: str) -> float:
    """Return how many mV a unit of voltage or energy (in units of e) is, NaN where it is none."""
    return _MV.get(_plain(unit), float("nan"))


def _plain(unit: str) -> str:
    text = unit.strip().strip("()[]").strip().lower()
    for spelling, plain in _SPELLINGS.items():
        text = text.replace(spelling, plain)
    return text
