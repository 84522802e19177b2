"""Bytes and a name from what the user gives: a path, or bytes with a file name."""

from __future__ import annotations

from os import PathLike
from pathlib import Path, PureWindowsPath

from qpi_core.base.errors import InputError
from qpi_core.maps.readers.shared.limits import MAX_FILE_BYTES

FileSource = str | PathLike[str] | bytes | bytearray | memoryview


def read_source(source: FileSource, filename: str | None = None, unnamed: str = "the file") -> tuple[bytes, str]:
    """Return the content of a file and its name without folders.

    Args:
        source: a path, or the content itself.
        filename: the name to use for content (its extension is a hint, its content decides).
        unnamed: what messages call content without a name.

    Raises:
        InputError: no such file, a folder, unreadable, empty, or larger than MAX_FILE_BYTES.
    """
    if isinstance(source, (bytes, bytearray, memoryview)):
        content = bytes(source)
        name = PureWindowsPath(filename).name if filename else unnamed
    else:
        path = Path(source)
        name = filename or path.name or str(path)
        content = _read_path(path, name)
    if not content:
        raise InputError(f"{name} is empty (0 bytes); choose a file that holds data.")
    return content, name


def _read_path(path: Path, name: str) -> bytes:
    try:
        if path.is_dir():
            raise InputError(f"{name} is a folder; choose a file in it.")
        if not path.exists():
            raise InputError(f"There is no file named {name} at the given path; check the path.")
        if path.stat().st_size > MAX_FILE_BYTES:
            raise InputError(f"{name} is larger than {MAX_FILE_BYTES // 2**30} GiB; crop it or split it first.")
        return path.read_bytes()
    except (OSError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        reason = getattr(error, "strerror", None) or "the path is not valid"
        raise InputError(f"{name} cannot be read ({reason}); check the path and its permissions.") from error
