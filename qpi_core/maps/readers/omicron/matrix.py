"""Omicron and Scienta Matrix: images (..--1_1.Z_mtrx) and volumes (..--1_1.I(V)_mtrx) with the result file that holds their scales.

An image is 32-bit counts in the order of the scan. Its size, scales and settings stand in the session's result file (..._0001.mtrx), so
both are needed: a path finds it in its own folder, an upload is a ZIP archive of both. Layout after Gwyddion and access2theMatrix.
"""

from __future__ import annotations

import re
import zipfile
from collections.abc import Mapping
from dataclasses import replace
from io import BytesIO
from pathlib import Path

from qpi_core.base.errors import InputError
from qpi_core.maps.channel_parts import content_of_parts
from qpi_core.maps.readers.omicron.matrix_images import MatrixPass, read_passes, transfer
from qpi_core.maps.readers.omicron.matrix_parameters import MATRIX_MAGIC, DamagedMatrixError, MatrixState, states_of
from qpi_core.maps.readers.shared.limits import MAX_VALUES, require_plausible_size
from qpi_core.maps.readers.shared.names import is_companion
from qpi_core.maps.scan_map import MapContent

_IMAGE_NAME = re.compile(r"(?P<session>.+)--(?P<run>\d+)_(?P<cycle>\d+)\.(?P<channel>.+)_mtrx", re.IGNORECASE | re.DOTALL)
_RESULT_NAME = re.compile(r"(?P<session>.+)_\d{4}\.mtrx", re.IGNORECASE | re.DOTALL)
_MAX_FILES = 2000


def is_matrix_archive(content: bytes) -> bool:
    """Say whether the content is a ZIP archive that holds a Matrix file."""
    try:
        with zipfile.ZipFile(BytesIO(content)) as archive:
            return any(_is_matrix_file(member) for member in archive.namelist())
    except Exception:  # zipfile reports damage in many ways; the reader of archives says what is wrong
        return False


def _is_matrix_file(member: str) -> bool:
    return member.lower().endswith("mtrx") and not is_companion(member)


def read_matrix_archive(content: bytes, name: str) -> MapContent:
    """Read a ZIP archive of image files and their result file; see read_matrix."""
    try:
        with zipfile.ZipFile(BytesIO(content)) as archive:
            members = [member for member in archive.infolist() if _is_matrix_file(member.filename)]
            if len(members) > _MAX_FILES or sum(member.file_size for member in members) > 4 * MAX_VALUES:
                raise InputError(f"{name} unpacks to more than {MAX_VALUES} values; pack fewer Matrix files.")
            files = {re.split(r"[\\/]", member.filename)[-1]: archive.read(member) for member in members}
    except InputError:
        raise
    except Exception as error:  # zipfile and zlib report damage in many ways
        raise InputError(f"{name} is cut off or damaged: its Matrix files cannot be unpacked. Pack them again.") from error
    return read_matrix(files, name)


def with_neighbours(content: bytes, path: Path) -> dict[str, bytes]:
    """Return the files that belong together: an image with its session's result files, or a result file with all its images."""
    files = {path.name: content}
    match = _IMAGE_NAME.fullmatch(path.name) or _RESULT_NAME.fullmatch(path.name)
    if match is None:
        return files
    with_images = _IMAGE_NAME.fullmatch(path.name) is None
    for neighbour in sorted(path.parent.iterdir())[: 10 * _MAX_FILES]:
        kind = _RESULT_NAME.fullmatch(neighbour.name) or (_IMAGE_NAME.fullmatch(neighbour.name) if with_images else None)
        if kind and kind["session"] == match["session"] and len(files) < _MAX_FILES and neighbour.is_file():
            files.setdefault(neighbour.name, neighbour.read_bytes())
    return files


def read_matrix(files: Mapping[str, bytes], name: str) -> MapContent:
    """Read images and volumes; channels are those of the largest volume's size, or image's, forward and upward passes first.

    Pixels that were not scanned are NaN. A volume, I(V) on a grid, is a stack over the bias; a curve at one point is no map.

    Args:
        files: name to content, image files and result files of one or more sessions.
        name: what the user calls all of them.

    Raises:
        InputError: no image, no result file, or damaged.
    """
    images = {file: match for file in sorted(files) if (match := _IMAGE_NAME.fullmatch(file))}
    sessions: dict[str, bytes] = {}
    for file in sorted(files):
        if match := _RESULT_NAME.fullmatch(file):
            session = match["session"]
            sessions[session] = sessions[session] + files[file][len(MATRIX_MAGIC) :] if session in sessions else files[file]
    if not images or not sessions:
        raise InputError(
            f"{name} is only one part of a Matrix measurement: put the images (..--1_1.Z_mtrx) and the result file (.._0001.mtrx) "
            "of the session into one ZIP archive and load that, or give the path of an image whose folder holds the result file."
        )
    several = len({(match["session"], match["run"], match["cycle"]) for match in images.values()}) > 1
    parts: list[MatrixPass] = []
    curves, unscaled = 0, 0
    for session in dict.fromkeys(match["session"] for match in images.values()):
        mine = {file: match for file, match in images.items() if match["session"] == session}
        states = _states(sessions.get(session) or next(iter(sessions.values())), mine, name)
        for file, match in mine.items():
            state = states.get(file, states[""])
            found = read_passes(files[file], match["channel"], state, file)
            curves += found is None
            unscaled += found is not None and transfer(state, match["channel"]) is None
            numbers = f"{match['run']}_{match['cycle']} " if several else ""
            parts += [replace(part, title=numbers + part.title) for part in found or []]
        require_plausible_size(name, (sum(part.values.size for part in parts) or 1,))
    if not parts:
        raise InputError(f"{name} holds {curves} Matrix curves at single points but no image; load a scan or a grid of curves.")
    notes = [f"{curves} curves at single points were left out."] if curves else []
    notes += [f"{unscaled} channels have no known scale: their values are the instrument's counts."] if unscaled else []
    titled = [replace(part, title=f"{part.title} ({part.unit})" if part.unit else part.title) for part in parts]
    return content_of_parts(titled, notes)


def _states(chain: bytes, images: Mapping[str, re.Match[str]], name: str) -> dict[str, MatrixState]:
    try:
        return states_of(chain, images)
    except DamagedMatrixError as error:
        raise InputError(f"{name} is damaged: the result file (.mtrx) of its session cannot be followed. Copy it again.") from error
