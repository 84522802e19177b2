"""What a Nanonis scan (.sxm) says twice: the table of the scan itself (:BIAS:, :SCAN_RANGE: ...) and the settings of the modules.

The modules' settings (:Bias>Bias (V):, :Scan>Scanfield: ...) are those of the moment when the file was saved, so where they differ the
table of the scan counts, and a warning names both. Of two numbers of pixels the one counts that fits the values in the file.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

_SAME = 5e-3
_SAME_ANGLE_DEG = 0.05


def pixels_of_file(stated: tuple[int, int], tags: Mapping[str, str], images: int, held: int) -> tuple[tuple[int, int], tuple[str, ...]]:
    """Return (width, height), and warnings where the header gives two sizes or the file holds more values than the size says.

    Args:
        stated: (width, height) of SCAN_PIXELS.
        tags: the header's entries.
        images: how many images it names.
        held: how many values follow it.
    """
    width, height = stated
    settings = tuple(_numbers(tags, key, " ")[:1] for key in ("Scan>pixels/line", "Scan>lines"))
    flat = [number for numbers in settings for number in numbers]
    other = (int(flat[0]), int(flat[1])) if len(flat) == 2 and all(n > 0 and n == int(n) for n in flat) else stated
    if other != stated:
        fits = other[0] * other[1] * images == held != width * height * images
        taken, reason = (other, "the values in the file are as many") if fits else (stated, "it is the entry of the scan itself")
        sentence = (
            f"The header gives two sizes: SCAN_PIXELS says {width} x {height} px, Scan>pixels/line and Scan>lines say "
            f"{other[0]} x {other[1]} px; {taken[0]} x {taken[1]} px was taken, as {reason}."
        )
        return taken, (sentence,)
    if held > width * height * images:
        sentence = (
            f"The header describes {images} images of {width} x {height} px, {width * height * images} values, but the file holds {held}: "
            "the size in the header was taken, and the map may be wrong."
        )
        return stated, (sentence,)
    return stated, ()


def contradictions(tags: Mapping[str, str]) -> tuple[str, ...]:
    """Return a sentence for each of bias, size and angle of which the modules' settings say something else than the scan's entries."""
    said: list[str] = []
    bias, module = _numbers(tags, "BIAS", " ")[:1], _numbers(tags, "Bias>Bias (V)", " ")[:1]
    if bias and module and abs(bias[0] - module[0]) > max(1e-4, _SAME * abs(bias[0])):
        said.append(
            f"The header gives two energies: BIAS says {bias[0] * 1e3:.6g} mV, Bias>Bias (V), the setting when the file was saved, says "
            f"{module[0] * 1e3:.6g} mV; the former was taken."
        )
    size, field = _numbers(tags, "SCAN_RANGE", " ")[:2], _numbers(tags, "Scan>Scanfield", ";")
    if len(size) == 2 and len(field) >= 4 and not np.allclose(size, field[2:4], rtol=_SAME, atol=0):
        said.append(
            f"The header gives two sizes: SCAN_RANGE says {_nm(size)}, Scan>Scanfield, the setting when the file was saved, says "
            f"{_nm(field[2:4])}; the former was taken."
        )
    angle = _numbers(tags, "SCAN_ANGLE", " ")[:1]
    if angle and len(field) >= 5 and abs((angle[0] - field[4] + 180) % 360 - 180) > _SAME_ANGLE_DEG:
        said.append(
            f"The header gives two angles: SCAN_ANGLE says {angle[0]:.6g} degrees, Scan>Scanfield {field[4]:.6g} degrees; "
            "the former was taken."
        )
    return tuple(said)


def _numbers(tags: Mapping[str, str], key: str, separator: str) -> list[float]:
    """Return the numbers of an entry, [] where it is missing or holds something else."""
    try:
        numbers = [float(word) for word in tags.get(key, "").replace(separator, " ").split()]
    except ValueError:
        return []
    return numbers if np.isfinite(numbers).all() else []


def _nm(size_m: list[float]) -> str:
    return f"{size_m[0] * 1e9:.6g} x {size_m[1] * 1e9:.6g} nm"
