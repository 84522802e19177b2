"""A ZIP of one JSON text and plain arrays: written the same every time, and read with every size checked before it is used.

Nothing is unpickled, nothing is unpacked to disk, and no name in the archive is used as a path.
"""

from __future__ import annotations

import io
import json
import re
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qpi_core.base.errors import InputError
from qpi_core.maps.readers.programs.arrays import read_npy_array
from qpi_core.maps.readers.shared.limits import require_plausible_packing

TEXT_NAME = "session.json"
MAX_TEXT_BYTES = 64 * 2**20
MAX_ARRAYS = 2000
MAX_ARRAY_BYTES = 2**31
"""All arrays together, unpacked."""
_ARRAY_NAME = re.compile(r"arrays/\d{4}\.npy")
_FIXED_TIME = (1980, 1, 1, 0, 0, 0)
_ARRAY_KEY = "array"


@dataclass
class ArchiveWriter:
    """Collects arrays while the JSON text is put together; each array gets a number for a name."""

    arrays: list[NDArray[Any]]

    def store(self, array: NDArray[Any]) -> dict[str, str]:
        """Keep an array and return what stands for it in the text."""
        self.arrays.append(array)
        return {_ARRAY_KEY: f"arrays/{len(self.arrays) - 1:04d}.npy"}

    def finish(self, text: Mapping[str, Any]) -> bytes:
        """Return the archive: the text first, then the arrays.

        Raises:
            InputError: more than MAX_ARRAY_BYTES or MAX_ARRAYS, which would not be read again.
        """
        size = sum(array.nbytes for array in self.arrays)
        if size > MAX_ARRAY_BYTES or len(self.arrays) > MAX_ARRAYS:
            raise InputError(
                f"the session holds {len(self.arrays)} arrays of {size // 2**20} MiB; up to {MAX_ARRAYS} of {MAX_ARRAY_BYTES // 2**20} MiB "
                "are saved, so crop the map or save the results instead."
            )
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
            _add(archive, TEXT_NAME, json.dumps(text, indent=1, ensure_ascii=False, allow_nan=False).encode())
            for number, array in enumerate(self.arrays):
                content = io.BytesIO()
                np.save(content, np.ascontiguousarray(array), allow_pickle=False)
                _add(archive, f"arrays/{number:04d}.npy", content.getvalue())
        return buffer.getvalue()


class ArchiveReader:
    """An archive that was checked: `text` is the JSON, `array` gives what a place in it stands for."""

    def __init__(self, content: bytes, name: str) -> None:
        """Open an archive.

        Raises:
            InputError: not such an archive, damaged, or larger inside than MAX_ARRAY_BYTES and MAX_TEXT_BYTES allow.
        """
        self.name = name
        try:
            self._archive = zipfile.ZipFile(io.BytesIO(content))
        except (zipfile.BadZipFile, ValueError, OSError, NotImplementedError) as error:
            raise InputError(f"{name} is not a complete session file; save the session again.") from error
        entries = self._archive.infolist()
        self._require_allowed(entries)
        self.text = self._read_text()

    def array(self, place: Any) -> NDArray[Any]:
        """Return the array that stands at a place of the text, as a copy of its own; NaN is kept.

        Raises:
            InputError: no such array, or a damaged one.
        """
        path = place.get(_ARRAY_KEY) if isinstance(place, dict) else None
        if not isinstance(path, str) or path not in self._archive.namelist():
            raise InputError(f"{self.name} does not hold an array that it names; it is damaged, so save the session again.")
        return np.array(read_npy_array(self._bytes(path), f"{path} in {self.name}"))

    def _require_allowed(self, entries: list[zipfile.ZipInfo]) -> None:
        names = [entry.filename for entry in entries]
        if TEXT_NAME not in names:
            raise InputError(f"{self.name} is not a session file: it holds no {TEXT_NAME}.")
        strange = next((name for name in names if name != TEXT_NAME and not _ARRAY_NAME.fullmatch(name)), None)
        if strange is not None or len(names) != len(set(names)) or len(names) > MAX_ARRAYS + 1:
            raise InputError(f"{self.name} holds files that no session has; it was changed by something else, so save the session again.")
        if any(entry.flag_bits & 1 for entry in entries):
            raise InputError(f"{self.name} is encrypted; a session file is not.")
        arrays = sum(entry.file_size for entry in entries if entry.filename != TEXT_NAME)
        require_plausible_packing(self.name, sum(entry.file_size for entry in entries), sum(entry.compress_size for entry in entries))
        if arrays > MAX_ARRAY_BYTES or self._archive.getinfo(TEXT_NAME).file_size > MAX_TEXT_BYTES:
            raise InputError(f"{self.name} would unpack to more than {MAX_ARRAY_BYTES // 2**20} MiB; no session that is read is so large.")

    def _read_text(self) -> dict[str, Any]:
        try:
            text = json.loads(self._bytes(TEXT_NAME), parse_constant=_refuse_constant)
            json.dumps(text, ensure_ascii=False).encode()  # halves of characters, which no page can show, are refused here
        except (ValueError, RecursionError) as error:
            raise InputError(f"{TEXT_NAME} in {self.name} is not valid JSON; save the session again.") from error
        if not isinstance(text, dict):
            raise InputError(f"{TEXT_NAME} in {self.name} is not the description of a session; save the session again.")
        return text

    def _bytes(self, path: str) -> bytes:
        try:
            # Never more than the directory declares, and that was checked.
            return self._archive.read(path)
        except Exception as error:  # zlib, CRC, unknown compression ...: zipfile fails in many ways
            raise InputError(f"{path} in {self.name} is damaged; copy or save the session again.") from error


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _add(archive: zipfile.ZipFile, name: str, content: bytes) -> None:
    entry = zipfile.ZipInfo(name, _FIXED_TIME)
    entry.compress_type = zipfile.ZIP_DEFLATED
    entry.external_attr = 0o644 << 16
    archive.writestr(entry, content, compresslevel=1)
