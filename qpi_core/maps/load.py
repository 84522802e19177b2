"""load_map: which reader a file needs, by its first bytes, and what every map must fulfil afterwards."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from qpi_core.base.errors import InputError
from qpi_core.base.validation import require_pixel_size
from qpi_core.maps.channel_choice import ChannelChoice, choose_channel, doubt_about
from qpi_core.maps.channel_parts import say_what_else_there_is, with_channel
from qpi_core.maps.readers.instruments.aarhus import read_mul
from qpi_core.maps.readers.instruments.createc import CREATEC_MAGICS, read_createc
from qpi_core.maps.readers.instruments.gxsm import NETCDF_MAGICS, read_gxsm
from qpi_core.maps.readers.instruments.nanosurf import NID_MAGIC, read_nid
from qpi_core.maps.readers.instruments.rhk import is_rhk, read_rhk
from qpi_core.maps.readers.instruments.wsxm import WSXM_MAGIC, read_wsxm
from qpi_core.maps.readers.nanonis.nanonis_3ds import GRID_MAGIC, is_grid, read_3ds
from qpi_core.maps.readers.nanonis.nanonis_sxm import SXM_MAGIC, is_sxm, read_sxm
from qpi_core.maps.readers.omicron.matrix import is_matrix_archive, read_matrix, read_matrix_archive, with_neighbours
from qpi_core.maps.readers.omicron.matrix_parameters import MATRIX_MAGIC
from qpi_core.maps.readers.programs.arrays import read_npy, read_npz
from qpi_core.maps.readers.programs.gwyddion import GWY_MAGIC, read_gwy
from qpi_core.maps.readers.programs.hdf5 import HDF5_MAGIC, read_hdf5
from qpi_core.maps.readers.programs.igor import IGOR_MAGICS, is_igor_wave, old_igor_version, read_igor
from qpi_core.maps.readers.programs.matlab import MAT_5_MAGIC, MAT_73_MAGIC, read_mat
from qpi_core.maps.readers.programs.simple_field import GSF_MAGIC, read_gsf
from qpi_core.maps.readers.shared.limits import MIN_SIDE
from qpi_core.maps.readers.shared.source import FileSource, read_source
from qpi_core.maps.readers.tables_and_images.images import read_png
from qpi_core.maps.readers.tables_and_images.text_grid import read_text
from qpi_core.maps.readers.tables_and_images.tiff import read_tiff
from qpi_core.maps.scan_map import SIZE_UNKNOWN, MapArray, MapContent, ScanMap


@dataclass(frozen=True)
class _Format:
    """One file format: its name in words, the extensions that promise it, the bytes that prove it, its reader."""

    title: str
    extensions: tuple[str, ...]
    magics: tuple[bytes, ...]
    read: Callable[[bytes, str], MapContent]


_FORMATS = (
    _Format("NumPy array", (".npy",), (b"\x93NUMPY",), read_npy),
    _Format("NumPy archive", (".npz",), (b"PK\x03\x04", b"PK\x05\x06"), read_npz),
    _Format("PNG image", (".png",), (b"\x89PNG\r\n\x1a\n",), read_png),
    _Format("TIFF image", (".tif", ".tiff"), (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"), read_tiff),
    _Format("Nanonis scan", (".sxm",), (SXM_MAGIC,), read_sxm),
    _Format("Nanonis grid", (".3ds",), (GRID_MAGIC,), read_3ds),
    _Format("Createc scan", (), CREATEC_MAGICS, read_createc),
    _Format("Gwyddion file", (".gwy",), (GWY_MAGIC,), read_gwy),
    _Format("MATLAB file", (".mat",), (MAT_5_MAGIC, MAT_73_MAGIC), read_mat),
    _Format("HDF5 file", (".h5", ".hdf5", ".nxs"), (HDF5_MAGIC,), read_hdf5),
    _Format("WSxM image", (".stp", ".gsi"), (WSXM_MAGIC,), read_wsxm),
    _Format("Gwyddion simple field", (".gsf",), (GSF_MAGIC,), read_gsf),
    _Format("Nanosurf scan", (".nid",), (NID_MAGIC,), read_nid),
    _Format("Gxsm scan", (".nc",), NETCDF_MAGICS, read_gxsm),
)
_IGOR = _Format("binary wave of Igor", (".ibw",), (), read_igor)  # two bytes prove nothing: its header's checksum does
_RHK = _Format("scan of RHK", (".sm4",), (), read_rhk)  # its mark begins at the third byte
_AARHUS = _Format("scan of an Aarhus STM", (".mul", ".flm"), (), read_mul)  # has no mark of its own
_MATRIX = _Format("Omicron Matrix measurement", (), (MATRIX_MAGIC,), lambda content, name: read_matrix({name: content}, name))
_MATRIX_ARCHIVE = _Format("Omicron Matrix measurement", (), (), read_matrix_archive)
_TEXT = _Format("text", (".csv", ".txt", ".asc", ".dat", ".xyz", ".tsv"), (), read_text)

READABLE_EXTENSIONS = tuple(extension.lstrip(".") for kind in (*_FORMATS, _IGOR, _RHK, _AARHUS, _TEXT) for extension in kind.extensions)
"""Extensions of the readable formats, without the dot, for file choosers."""

_RHK_MARK = "STiMage".encode("utf-16-le")

_UNREADABLE = {
    b"\xff\xd8\xff": "a JPEG image, whose compression changes the values; export the map as PNG, TIFF or .npy",
    b"GIF8": "a GIF image; export the map as PNG, TIFF or .npy",
    b"BM": "a BMP image; export the map as PNG, TIFF or .npy",
    b"%PDF": "a PDF document; export the map itself as .npy, TIFF or text",
    b"\x1f\x8b": "compressed with gzip; unpack it first",
    b"7z\xbc\xaf": "a 7-Zip archive; unpack it first",
    b"Experiment\t": "a Nanonis spectrum at one point, not a map; choose the scan (.sxm) or the grid (.3ds)",
    _RHK_MARK: "an RHK file older than .sm4; open it in Gwyddion and save it as .gwy",
    b"GWYO": "a file of Gwyddion 1.x; open it in Gwyddion 2 and save it again",
    b"Rar!": "a RAR archive; unpack it first",
}


def load_map(
    source: FileSource,
    filename: str | None = None,
    *,
    pixel_size_nm: float | tuple[float, float] | None = None,
    bias_mv: float | None = None,
    channel: str | None = None,
) -> ScanMap:
    """Read a map from a path or from bytes; the content decides which format it is, the extension only where the content is plain text.

    Args:
        source: a path, or the content as bytes.
        filename: the name that goes with bytes.
        pixel_size_nm: (dy, dx) in nm, or one number for both; overrides the file. Where neither says, lengths count pixels.
        bias_mv: bias of a map of one layer, for files that do not say; overrides the file.
        channel: where the channels of a file differ in size, one of those that are wanted; None takes the largest stack or image.

    Raises:
        InputError: one plain sentence on what is wrong with the file and what would be right.

    Example:
        >>> import io
        >>> import numpy as np
        >>> import qpi_core
        >>> buffer = io.BytesIO()
        >>> np.save(buffer, np.zeros((20, 30), dtype=np.float32))
        >>> scan = qpi_core.load_map(buffer.getvalue(), "map.npy", pixel_size_nm=0.1)
        >>> scan.shape, scan.pixel_size_nm, scan.layer().dtype.name
        ((20, 30), (0.1, 0.1), 'float32')
    """
    content, name = read_source(source, filename)
    kind = _recognise(content, name)
    try:
        with np.errstate(over="ignore", invalid="ignore"):  # scales and values of a damaged file may be infinite or signalling NaNs
            if kind is _MATRIX and not isinstance(source, (bytes, bytearray, memoryview)):
                found = read_matrix(with_neighbours(content, Path(source)), name)
            else:
                found = kind.read(content, name)
    except (MemoryError, RecursionError) as error:
        raise InputError(f"{name} needs more memory than there is; crop or resample it first.") from error
    return _scan_map(with_channel(found, channel), name, kind.title, hashlib.sha256(content).hexdigest(), pixel_size_nm, bias_mv)


def _recognise(content: bytes, name: str) -> _Format:
    for kind in (*_FORMATS, _MATRIX):
        if content.startswith(kind.magics):
            return _MATRIX_ARCHIVE if kind.read is read_npz and is_matrix_archive(content) else kind
    if is_rhk(content):
        return _RHK
    if is_sxm(content) or is_grid(content):
        return next(kind for kind in _FORMATS if kind.read is (read_sxm if is_sxm(content) else read_3ds))
    for magic, description in _UNREADABLE.items():
        if content.startswith(magic) or (magic == _RHK_MARK and content[2 : 2 + len(magic)] == magic):
            raise InputError(f"{name} is {description}.")
    if (version := old_igor_version(content)) and name.lower().endswith(".ibw"):
        raise InputError(
            f"{name} is a binary wave of Igor in version {version}, which holds a curve and not a map; load the image's wave (version 5)."
        )
    if is_igor_wave(content) or (content.startswith(IGOR_MAGICS) and name.lower().endswith(".ibw")):
        return _IGOR
    if name.lower().endswith(_AARHUS.extensions):
        return _AARHUS
    extension = "." + name.rpartition(".")[2].lower() if "." in name else ""
    for kind in (*_FORMATS, _IGOR, _RHK):
        if extension in kind.extensions:
            raise InputError(f"{name} is named {extension} but does not begin as a {kind.title} does; it is damaged, cut off or renamed.")
    return _TEXT


def _scan_map(
    found: MapContent,
    name: str,
    title: str,
    sha256: str,
    pixel_size_nm: float | tuple[float, float] | None,
    bias_mv: float | None,
) -> ScanMap:
    values = {channel: _finite_or_nan(stack) for channel, stack in found.values.items()}
    shape = next(iter(values.values())).shape[-2:]
    if min(shape) < MIN_SIDE:
        raise InputError(f"{name} is {shape[1]} x {shape[0]} pixels; a map needs at least {MIN_SIDE} x {MIN_SIDE}.")
    measured = {channel: stack for channel, stack in values.items() if np.isfinite(stack).any()}
    if not measured:
        raise InputError(f"{name} holds no measured value: all are NaN or infinite.")
    choice = choose_channel(measured)
    elsewhere = say_what_else_there_is(found)
    doubt = doubt_about(choice, tuple(measured))
    warnings = (*found.warnings, *(sentence for sentence in (elsewhere, doubt) if sentence))
    notes = [*warnings, *found.notes]
    if len(measured) < len(values):
        notes.append(f"{len(values) - len(measured)} of {len(values)} channels hold no measured value and were left out.")
    notes += _say_how_much_is_there(measured, choice)
    pixel_size, known = _chosen_pixel_size(found.pixel_size_nm, pixel_size_nm, notes)
    return ScanMap(
        name=name,
        file_format=title,
        sha256=sha256,
        values=measured,
        units={channel: found.units.get(channel, "") for channel in measured},
        bias_mv=_energies(found, measured, choice, bias_mv, name),
        pixel_size_nm=pixel_size,
        pixel_size_known=known,
        angle_deg=found.angle_deg,
        centre_nm=found.centre_nm if found.centre_nm is not None and np.isfinite(found.centre_nm).all() else None,
        metadata=found.metadata,
        notes=tuple(notes),
        warnings=warnings,
        channel_bias_mv={channel: own for channel, own in found.channel_bias_mv.items() if channel in measured and bias_mv is None},
    )


def _finite_or_nan(stack: MapArray) -> MapArray:
    if np.isinf(stack).any():
        stack = np.where(np.isinf(stack), np.nan, stack).astype(stack.dtype)
    stack.flags.writeable = False
    return stack


def _say_how_much_is_there(values: Mapping[str, MapArray], choice: ChannelChoice) -> list[str]:
    """Return a sentence for the user where points are missing from the channel that is shown first."""
    channel = choice.name
    share = float(np.isfinite(values[channel]).mean())
    if share == 1.0:
        return []
    return [f"{channel}: {100 * share:.3g} % of the points hold a value; the others were not measured or are not in the file."]


def _chosen_pixel_size(
    from_file: tuple[float, float] | None, from_user: float | tuple[float, float] | None, notes: list[str]
) -> tuple[tuple[float, float], bool]:
    if from_user is not None:
        return require_pixel_size(from_user), True
    if from_file is not None and all(np.isfinite(size) and size > 0 for size in from_file):
        return from_file, True
    notes.append(SIZE_UNKNOWN)
    return (1.0, 1.0), False


def _energies(
    found: MapContent, values: Mapping[str, MapArray], choice: ChannelChoice, from_user: float | None, name: str
) -> NDArray[np.float64]:
    """Return the energies of the channel that is shown first and of all that have none of their own."""
    count = max(len(stack) for stack in values.values())
    if from_user is not None:
        if count != 1:
            raise InputError(f"bias_mv is one number, but {name} has {count} layers; leave it out.")
        return np.array([float(from_user)])
    if choice.name in found.channel_bias_mv:
        return found.channel_bias_mv[choice.name]
    if found.bias_mv is not None and len(found.bias_mv) == count:
        return np.asarray(found.bias_mv, dtype=np.float64)
    return np.full(count, np.nan)
