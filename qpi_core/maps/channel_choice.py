"""Which channel of a file is dI/dV: the one table of its names, and what must be true of a channel that is shown without being asked for.

Never a constant channel, never one measured once where there is a stack over energy, forward before backward; within these the best name.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qpi_core.base.validation import is_constant

_Stack = NDArray[np.floating[Any]]


class Signal(IntEnum):
    """What a channel's name says that it holds, the closest to dI/dV first."""

    CONDUCTANCE = 0
    LOCK_IN_X = 1
    ANOTHER_LOCK_IN_X = 2
    LOCK_IN_AMPLITUDE = 3
    LOCK_IN = 4
    AUXILIARY_INPUT = 5
    LOCK_IN_Y = 6
    LOCK_IN_OTHER = 7
    OTHER = 8
    BIAS = 9


CERTAIN = frozenset({Signal.CONDUCTANCE, Signal.LOCK_IN_X, Signal.ANOTHER_LOCK_IN_X, Signal.LOCK_IN_AMPLITUDE, Signal.LOCK_IN})
"""Signals that are dI/dV by their name alone; an auxiliary input often is, as the lock-in's output is plugged in there."""

CONDUCTANCE_NAMES = re.compile(r"(?<![a-z])d ?i ?/? ?d ?[vu](?![a-z])|(?<![a-z])l?dos(?![a-z])|conductance|(?<![a-z])cond(?![a-z])")
"""dI/dV by its own names, in a name in lower case with blanks for underscores."""

WORDS: Mapping[str, frozenset[str]] = {
    "lock-in": frozenset({"lockin", "lia", "li", "demod", "demodulator", "sr", "mfli", "uhfli"}),
    "x": frozenset({"x", "re", "real", "inphase"}),
    "y": frozenset({"y", "im", "imag", "quadrature"}),
    "phase": frozenset({"phi", "phase", "theta", "φ", "θ"}),
    "amplitude": frozenset({"r", "mag", "magnitude", "amp", "amplitude"}),
    "harmonic": frozenset({"omega", "ω", "f", "harm", "harmonic", "h"}),
    "auxiliary": frozenset({"aux", "ext", "external", "input", "in", "adc", "ai", "user", "analog"}),
    "bias": frozenset({"bias", "voltage", "sweep"}),
    "backward": frozenset({"bwd", "bw", "bkwd", "bck", "back", "backward", "backwards", "retrace", "reverse", "rev"}),
    "forward": frozenset({"fwd", "fw", "forward", "forwards", "trace"}),
}
"""Words by which signals and directions are known; LIX, LockinX, LI_Demod_1_X, Lock-in 2 X ... are taken apart into them."""

_GLUED = re.compile(r"(lockin|lia|li|demod)(x|y|r|phi|phase|amp|mag)?")
_UNIT = re.compile(r"\s+\([^()]*\)|(?<=[\w\]])\([^()]*\)\s*$")
_UNIT_BRACKETS = re.compile(r"[()]")
_FINAL_B = re.compile(r"[ _.-]b$", re.IGNORECASE)
_PASS = re.compile(r"\[p\d+\]", re.IGNORECASE)
_HIGHER = frozenset({"2nd", "3rd", "second", "third"})
_MOST_LISTED = 24


@dataclass(frozen=True)
class ChannelChoice:
    """The channel that is shown without being asked for.

    Attributes:
        name: of the channel.
        sure: whether names and values leave no other choice.
    """

    name: str
    sure: bool


def choose_channel(values: Mapping[str, _Stack]) -> ChannelChoice:
    """Return the channel to show first.

    Args:
        values: name to (layers, height, width), at least one channel, in the order of the file.
    """
    changing = [name for name, stack in values.items() if _varies(stack)] or list(values)
    candidates = [name for name in changing if len(values[name]) > 1] or changing
    forward = [name for name in candidates if not (is_backward(name) or _is_marked_back(name, values))] or candidates
    best = min(signal_of(name) for name in forward)
    chosen = [name for name in forward if signal_of(name) == best]
    chosen = [name for name in chosen if "[avg]" in name.lower()] or chosen
    alike = {without_direction(name) for name in chosen}
    sure = (best in CERTAIN and len(alike) == 1) or len({without_direction(name) for name in values}) == 1
    return ChannelChoice(chosen[0], sure)


def doubt_about(choice: ChannelChoice, names: Sequence[str]) -> str:
    """Return the sentence for the user where the choice is not sure, else ""."""
    if choice.sure:
        return ""
    listed = ", ".join(names[:_MOST_LISTED]) + (f" and {len(names) - _MOST_LISTED} more" if len(names) > _MOST_LISTED else "")
    return f"The file does not say for certain which channel is dI/dV; {choice.name} was taken. Its channels: {listed}."


def signal_of(name: str) -> Signal:
    """Return what a channel's name says that it holds."""
    words = _words(_PASS.sub(" ", name))
    higher = _is_higher_harmonic(words + _words(_UNIT_BRACKETS.sub(" ", name)))  # "LI X (2f)": no unit stands in these brackets
    if CONDUCTANCE_NAMES.search(" ".join(name.lower().replace("_", " ").split())):
        if higher or _any(words, "phase"):
            return Signal.LOCK_IN_OTHER
        return Signal.LOCK_IN_Y if _any(words, "y") else Signal.CONDUCTANCE
    if _any(words, "lock-in") and "pll" not in words:
        return Signal.LOCK_IN_OTHER if higher else _lock_in_signal(words)
    if words and words[0] in WORDS["bias"]:
        return Signal.BIAS
    return Signal.AUXILIARY_INPUT if _any(words, "auxiliary") else Signal.OTHER


def is_backward(name: str) -> bool:
    """Say whether a channel's name says that it was recorded on the way back."""
    return _any(_words(name), "backward")


def _is_marked_back(name: str, names: Collection[str]) -> bool:
    """Say whether a name ends with B where another one is the same but for an F: dIdV_B beside dIdV_F."""
    bare = _UNIT.sub("", name).rstrip()
    return bool(_FINAL_B.search(bare)) and any(_UNIT.sub("", other).rstrip().lower() == f"{bare[:-1]}f".lower() for other in names)


def without_direction(name: str) -> str:
    """Return what the names of a signal's forward and backward channels have in common."""
    return " ".join(word for word in _words(name) if word not in WORDS["backward"] | WORDS["forward"])


def _lock_in_signal(words: list[str]) -> Signal:
    if _any(words, "x"):
        first = next(place for place, word in enumerate(words) if word in WORDS["lock-in"])
        numbers = {word for word in words[first:] if word.isdecimal() and len(word) < 3} - {"1"}
        return Signal.ANOTHER_LOCK_IN_X if numbers else Signal.LOCK_IN_X
    if _any(words, "y"):
        return Signal.LOCK_IN_Y
    if _any(words, "phase"):
        return Signal.LOCK_IN_OTHER
    return Signal.LOCK_IN_AMPLITUDE if _any(words, "amplitude") else Signal.LOCK_IN


def _is_higher_harmonic(words: list[str]) -> bool:
    """Say whether the name speaks of the second harmonic or a higher one, which is d2I/dV2 and not dI/dV."""
    pairs = list(zip(words, words[1:], strict=False))
    numbered = any(number.isdecimal() and number not in ("0", "1") and word in WORDS["harmonic"] for number, word in pairs)
    return numbered or bool(_HIGHER & set(words)) or ("d", "2") in pairs


def _any(words: list[str], kind: str) -> bool:
    return not WORDS[kind].isdisjoint(words)


def _words(name: str) -> list[str]:
    """Return the words of a name in lower case without its unit; CamelCase, digits and glued lock-in components are taken apart."""
    bare = _UNIT.sub(" ", name)
    spaced = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", bare).lower().replace("_", " ")
    joined = re.sub(r"\block[ -]?in\b|\blockin", "lockin ", spaced)
    joined = re.sub(r"\bin[ -]phase\b", "inphase", joined)
    words: list[str] = []
    for word in re.findall(r"[23](?:nd|rd)\b|[^\W\d_]+|\d+", joined):
        glued = _GLUED.fullmatch(word)
        words += [part for part in glued.groups() if part] if glued else [word]
    return words


def _varies(stack: _Stack) -> bool:
    """Say whether a layer changes from pixel to pixel by more than rounding."""
    with np.errstate(over="ignore", invalid="ignore"):  # values of a damaged file may be too large for their squares
        measured = (layer[np.isfinite(layer)] for layer in stack)
        return any(values.size and not is_constant(values) for values in measured)
