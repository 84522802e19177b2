"""Numbers as people write them: with the prefix that suits their size, without negative zeros, times in plain form."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

_BASES = ("m", "A", "V", "S", "Hz", "N")
_PREFIXES = {"f": -5, "p": -4, "n": -3, "µ": -2, "m": -1, "": 0, "k": 1, "M": 2, "G": 3}
_SIGNS = {power: sign for sign, power in _PREFIXES.items()}
_ALIASES = {"u": "µ", "μ": "µ"}  # the Greek letter and a plain u are written for the micro sign


def unit_scale(magnitude: float, unit: str) -> tuple[float, str]:
    """Return (factor, unit) with which values of about this magnitude have one to three digits before the point.

    Args:
        magnitude: of the largest value that is written, units of `unit`.
        unit: such as m, nS or Hz; what is no unit that takes a prefix is returned as it is, with the factor 1.

    Example:
        >>> unit_scale(7.08e-11, "m")
        (1000000000000.0, 'pm')
    """
    power, base = _split(unit)
    if base is None or magnitude == 0 or not math.isfinite(magnitude):
        return 1.0, unit
    # Rounded to the three digits that are written, so that 0.9999 nm is 1 nm and not 1000 pm.
    rounded = float(f"{abs(magnitude):.3g}")
    thousands = math.floor(math.log10(rounded) / 3 + 1e-12) + power
    thousands = min(max(thousands, min(_SIGNS)), max(_SIGNS))
    if thousands == power:
        return 1.0, unit
    return 1000.0 ** (power - thousands), _SIGNS[thousands] + base


def in_handy_unit(value: float, unit: str) -> tuple[str, str]:
    """Return three digits and the unit, with a prefix where it can take one: 7.08e-11 m is ("70.8", "pm")."""
    factor, scaled = unit_scale(value, unit)
    return f"{_rounded(value) * factor:.3g}", scaled


def plain_number(value: float, decimals: int) -> str:
    """Return a number with so many decimals; what rounds to zero has no sign."""
    return f"{round(value, decimals) + 0.0:.{decimals}f}"


def duration(seconds: float) -> str:
    """Return a time in words, never in powers of ten: 0.35 s, 4.2 s, 42 s, 6 min 2 s."""
    if seconds < 9.95:
        return f"{seconds:.2g} s" if seconds >= 0.001 else "below 1 ms"
    if seconds < 119.5:
        return f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if rest and minutes < 60 else f"{minutes} min"


def movements(distances_px: NDArray[np.float64]) -> str:
    """Return `2.00 px` for one distance (n,), `1.30 px in the median and at most 2.00 px` for several."""
    if len(distances_px) == 1:
        return f"{distances_px[0]:.2f} px"
    return f"{np.median(distances_px):.2f} px in the median and at most {np.max(distances_px):.2f} px"


def counted(number: int, thing: str) -> str:
    """Return `1 defect` or `3 defects`."""
    return f"{number} {thing if number == 1 else thing + 's'}"


def _rounded(value: float) -> float:
    return float(f"{value:.3g}") if math.isfinite(value) else value


def _split(unit: str) -> tuple[int, str | None]:
    """Return (power of a thousand, unit without prefix), (0, None) for what takes no prefix."""
    if unit in _BASES:
        return 0, unit
    sign = _ALIASES.get(unit[:1], unit[:1])
    if unit[1:] in _BASES and sign in _PREFIXES:
        return _PREFIXES[sign], unit[1:]
    return 0, None
