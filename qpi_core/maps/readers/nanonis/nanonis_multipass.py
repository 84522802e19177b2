"""Multipass scans of Nanonis (.sxm): every line is scanned several times, each pass with its own bias where the header overrides it.

The table Multipass-Config has two rows a pass, forward and backward (older ones have one), in the order of the passes; the images of pass n
carry [Pn] in their name. Passes of one signal at different biases are put together as a stack over the bias, beside the single passes.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from qpi_core.maps.scan_map import MapArray

_PASS = re.compile(r"\[p(\d{1,4})\]\s*", re.IGNORECASE)
_YES = frozenset({"true", "1", "on", "yes"})
_MAX_ROWS = 1000


@dataclass(frozen=True)
class PassBiases:
    """The bias of every pass and direction in mV, and what to beware of.

    Attributes:
        forward, backward: pass number, from 1, to bias; NaN where it is not known.
        warnings: plain sentences.
    """

    forward: Mapping[int, float]
    backward: Mapping[int, float]
    warnings: tuple[str, ...] = ()

    def of(self, title: str, backward: bool) -> float | None:
        """Return the bias of an image, None where it belongs to no pass."""
        number = pass_of(title)
        return None if number is None else (self.backward if backward else self.forward)[number]


def pass_of(title: str) -> int | None:
    """Return the number of the pass that an image's name states, or None."""
    match = _PASS.search(title)
    return int(match[1]) if match else None


def without_pass(title: str) -> str:
    """Return an image's name without its pass."""
    return _PASS.sub("", title).strip()


def read_passes(table: str | None, titles: Sequence[str], bias_mv: float) -> PassBiases:
    """Return the biases of the passes.

    Args:
        table: the header's Multipass-Config, its first line the names of the columns; None where there is none.
        titles: names of all images.
        bias_mv: the bias in the header, which holds where a pass overrides nothing.
    """
    numbers = sorted({number for title in titles if (number := pass_of(title)) is not None})
    rows = _overrides(table or "")
    if not numbers:
        overridden = sorted({row for row in rows or [] if row is not None and not np.isclose(row, bias_mv)})
        listed = ", ".join(f"{value:.6g} mV" for value in overridden)
        sentence = (
            f"The header's settings of passes override the bias ({listed}), but no channel is named as a pass: the bias of the scan, "
            f"{bias_mv:.6g} mV, was taken."
        )
        return PassBiases({}, {}, (sentence,) if overridden else ())
    last = numbers[-1]
    a_pass = 0 if rows is None else 2 if len(rows) >= 2 * last else 1 if len(rows) == last else 0
    if rows is None or not a_pass:
        same = {number: bias_mv for number in numbers}
        sentence = (
            f"The header does not say at which bias each of the {last} passes was scanned: the bias of the scan, {bias_mv:.6g} mV, "
            "stands for all of them and may be wrong."
        )
        return PassBiases(same, same, (sentence,))
    chosen = [bias_mv if row is None else row for row in rows]
    forward = {number: chosen[a_pass * (number - 1)] for number in numbers}
    backward = {number: chosen[a_pass * (number - 1) + a_pass - 1] for number in numbers}
    lost = [number for number in numbers if not (np.isfinite(forward[number]) and np.isfinite(backward[number]))]
    sentence = f"The header overrides the bias of the passes {', '.join(map(str, lost))} without saying with what: they have no energy."
    return PassBiases(forward, backward, (sentence,) if lost else ())


def stacks_over_bias(images: Mapping[str, tuple[MapArray, str, float]]) -> dict[str, tuple[MapArray, NDArray[np.float64]]]:
    """Return signal -> (stack, energies in mV) of the signals whose passes all have a known bias of their own.

    Args:
        images: channel's full name -> ((1, height, width) values, the name without its pass, bias in mV), in the order of the file.
    """
    signals: dict[str, list[tuple[MapArray, float]]] = {}
    for values, signal, bias in images.values():
        signals.setdefault(signal, []).append((values, bias))
    found: dict[str, tuple[MapArray, NDArray[np.float64]]] = {}
    for signal, layers in signals.items():
        energies = np.array([bias for _, bias in layers])
        if len(layers) > 1 and np.isfinite(energies).all() and len(np.unique(energies)) == len(energies):
            found[signal] = np.concatenate([values for values, _ in layers]), energies
    return found


def _overrides(table: str) -> list[float | None] | None:
    """Return the overriding bias in mV of each row, None for a row that overrides nothing; None where the table has no such columns."""
    lines = [line for line in table.splitlines() if line.strip()][: _MAX_ROWS + 1]
    titles = [_plain(cell) for cell in lines[0].strip().split("\t")] if lines else []
    if "bias override" not in titles or "bias override value" not in titles:
        return None
    switch, value = titles.index("bias override"), titles.index("bias override value")
    factor = 1.0 if "(mv)" in lines[0].strip().split("\t")[value].lower() else 1e3
    rows: list[float | None] = []
    for line in lines[1:]:
        cells = [cell.strip() for cell in line.strip().split("\t")]
        if len(cells) <= max(switch, value):
            return None
        rows.append(_number(cells[value]) * factor if cells[switch].lower() in _YES else None)
    return rows


def _plain(cell: str) -> str:
    return " ".join(re.sub(r"\([^)]*\)", "", cell).lower().replace("_", " ").split())


def _number(text: str) -> float:
    try:
        return float(text.replace(",", "."))
    except ValueError:
        return float("nan")
