"""Where a result comes from: versions, hashes, and values fit for strict JSON."""

from __future__ import annotations

import hashlib
import math
import platform
from collections.abc import Mapping
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from qpi_core.base.errors import InputError
from qpi_core.base.version import __version__

RECORDED_PACKAGES = ("numpy", "scipy", "torch", "diffusers")


def versions() -> dict[str, str]:
    """Return the versions of this package, of Python and of what computes, without importing any of them."""
    return dict(_versions())


@cache
def _versions() -> dict[str, str]:
    found = {"qpi_core": __version__, "python": platform.python_version()}
    for package in RECORDED_PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "not installed"
    return found


def array_sha256(array: ArrayLike) -> str:
    """Return the SHA-256 of an array's type, shape and little-endian values in C order."""
    values = np.ascontiguousarray(array)
    values = values.astype(values.dtype.newbyteorder("<"), copy=False)
    digest = hashlib.sha256(f"{values.dtype.str}{values.shape}".encode())
    digest.update(values.tobytes())
    return digest.hexdigest()


def bytes_sha256(content: bytes) -> str:
    """Return the SHA-256 of a file's content."""
    return hashlib.sha256(content).hexdigest()


def json_ready(value: Any) -> Any:
    """Return a copy made of plain JSON types: arrays become lists, numpy scalars numbers, NaN and infinity null.

    Raises:
        InputError: a type that JSON has no place for, or a key that is no string.
    """
    if isinstance(value, np.ndarray):
        return json_ready(value.tolist())
    if isinstance(value, np.generic):
        return json_ready(value.item())
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        if not all(isinstance(key, str) for key in value):
            raise InputError(f"the side-car can only hold named values; got the names {list(value)!r}.")
        return {key: json_ready(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [json_ready(item) for item in value]
    raise InputError(f"the side-car cannot hold a value of the type {type(value).__name__}.")
