"""The result file of an Omicron or Scienta Matrix session (..._0001.mtrx): which settings and scales each image was taken with.

Blocks of a reversed four-letter name, a length and a time; layout after Gwyddion's import module and access2theMatrix.
"""

from __future__ import annotations

import struct
from collections.abc import Collection
from dataclasses import dataclass, field

MATRIX_MAGIC = b"ONTMATRX0101"
_INNER = (b"REFX", b"NACS", b"TCID", b"SCHC", b"TSNI", b"SXNC", b"LNEG")
_NUMBERS = {b"LOOB": "<I", b"GNOL": "<i", b"BUOD": "<d"}
_MAX_TEXT = 2**16

Setting = float | str


class DamagedMatrixError(Exception):
    """The bytes do not follow the format."""


@dataclass
class MatrixState:
    """What the session knew when a file was written.

    Attributes:
        settings: "Instrument.Property" to (value, unit).
        channels: number to (name, unit).
        transfers: number to (name of the transfer function, its parameters).
    """

    settings: dict[str, tuple[Setting, str]] = field(default_factory=dict)
    channels: dict[int, tuple[str, str]] = field(default_factory=dict)
    transfers: dict[int, tuple[str, dict[str, float]]] = field(default_factory=dict)

    def copy(self) -> MatrixState:
        return MatrixState(dict(self.settings), dict(self.channels), dict(self.transfers))


def states_of(chain: bytes, wanted: Collection[str]) -> dict[str, MatrixState]:
    """Return the state at which each wanted file name was written; the last state stands under "".

    Args:
        chain: result files of one session, joined, with the mark of the first.
        wanted: names of image files, as the result file refers to them.

    Raises:
        DamagedMatrixError: not the format. A result file that is cut off gives what it holds.
    """
    if not chain.startswith(MATRIX_MAGIC):
        raise DamagedMatrixError
    state = MatrixState()
    found: dict[str, MatrixState] = {}
    start = len(MATRIX_MAGIC)
    try:
        while start + 16 <= len(chain):
            kind, begin, start = _block(chain, start)
            if start > len(chain):
                break
            if kind == b"FERB":
                file_name = _Cursor(chain, begin + 4, start).text()
                if file_name in wanted:
                    found[file_name] = state.copy()
            else:
                _take(state, kind, _Cursor(chain, begin, start))
    except struct.error as error:
        raise DamagedMatrixError from error
    return {**found, "": state}


def _block(data: bytes, start: int) -> tuple[bytes, int, int]:
    """Return (name, where its content begins, where the next block begins); inner blocks carry no time."""
    kind, size = struct.unpack_from("<4sI", data, start)
    begin = start + (8 if kind in _INNER else 16)
    return kind, begin, begin + size


def _take(state: MatrixState, kind: bytes, cursor: _Cursor) -> None:
    """Add what a block says to the state; blocks of other kinds are passed over."""
    if kind == b"APEE":
        cursor.skip(4)
        for _ in range(cursor.whole()):
            instrument = cursor.text()
            for _ in range(cursor.whole()):
                _take_setting(state, instrument, cursor)
    elif kind == b"DOMP":
        cursor.skip(4)
        _take_setting(state, cursor.text(), cursor)
    elif kind == b"YSCC":
        start = cursor.place + 4
        while start + 8 <= cursor.end:
            inner, begin, start = _block(cursor.data, start)
            if inner in (b"TCID", b"REFX"):
                _take(state, inner, _Cursor(cursor.data, begin, min(start, cursor.end)))
    elif kind == b"TCID":
        _take_channels(state, cursor)
    elif kind == b"REFX":
        while cursor.place + 8 <= cursor.end:
            cursor.skip(4)
            number, name, _ = cursor.whole(), cursor.text(), cursor.text()
            values = {cursor.text(): cursor.value() for _ in range(cursor.whole())}
            state.transfers[number] = name, {key: value for key, value in values.items() if isinstance(value, float)}


def _take_setting(state: MatrixState, instrument: str, cursor: _Cursor) -> None:
    name, unit = cursor.text(), cursor.text()
    cursor.skip(4)
    state.settings[f"{instrument}.{name}"] = cursor.value(), unit


def _take_channels(state: MatrixState, cursor: _Cursor) -> None:
    cursor.skip(8)
    for _ in range(cursor.whole()):
        cursor.skip(16)
        cursor.text()
        cursor.text()
    for _ in range(cursor.whole()):
        cursor.skip(4)
        number = cursor.whole()
        cursor.skip(8)
        state.channels[number] = cursor.text(), cursor.text()


@dataclass
class _Cursor:
    """A place within a block that moves on as values are read."""

    data: bytes
    place: int
    end: int

    def skip(self, count: int) -> None:
        self.place += count

    def whole(self) -> int:
        return int(self._number("<I"))

    def text(self) -> str:
        size = 2 * self.whole()
        if size > _MAX_TEXT or self.place + size > self.end:
            raise DamagedMatrixError
        self.place += size
        return self.data[self.place - size : self.place].decode("utf-16-le", errors="replace")

    def value(self) -> Setting:
        kind = self.data[self.place : self.place + 4]
        self.place += 4
        if kind == b"GRTS":
            return self.text()
        if kind not in _NUMBERS:
            raise DamagedMatrixError
        return self._number(_NUMBERS[kind])

    def _number(self, layout: str) -> float:
        size = struct.calcsize(layout)
        if self.place + size > self.end:
            raise DamagedMatrixError
        (number,) = struct.unpack_from(layout, self.data, self.place)
        self.place += size
        return float(number)
