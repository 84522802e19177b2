"""Results to take home: arrays, pictures, and a side-car in strict JSON.

Everything depends on the estimate alone, so the same estimate gives the same bytes.
"""

from __future__ import annotations

import io
import json
import re
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qpi_core.base.errors import InputError
from qpi_core.diagnostics.verdict import verdict_of
from qpi_core.estimates.estimate import KernelEstimate
from qpi_core.qspace.spectra import kernel_fft
from qpi_core.results.figures.picture_style import MEDIA_TYPES, PictureStyle
from qpi_core.results.figures.pictures import fft_picture, fit_picture, kernel_picture, map_picture
from qpi_core.runtime.atomic_files import write_atomically

SIDECAR_NAME = "estimate.json"
FOLDER_PICTURES = ("kernel", "fft", "fit")
"""Pictures that an extraction writes."""
FOUND_LIST = "found_defects.csv"
"""The list of the defects where they were found in the map itself."""
RESULT_FILES = (
    "kernel.npy",
    "fft.npy",
    "reconstruction.npy",
    "residual.npy",
    "background.npy",
    "uncertainty.npy",
    "latent.npy",
    *(f"{picture}.{file_format}" for picture in FOLDER_PICTURES for file_format in MEDIA_TYPES),
    FOUND_LIST,
    SIDECAR_NAME,
)
"""Every name that an extraction may write."""
CLASS_FOLDER = "class_"
"""How the folder of one class of defects begins, where a result has several."""
SIDECAR_FORMAT = "qpi-kernel-estimate"
SIDECAR_VERSION = 1
MAX_SIDECAR_BYTES = 64 * 2**20
_PAIR_OVER_LINES = re.compile(r"\[\n\s+([-+.\deE]+),\n\s+([-+.\deE]+)\n\s+\]")
ZIP_TIME = (1980, 1, 1, 0, 0, 0)
"""A fixed time for the entries of a ZIP, so that the same estimate gives the same bytes."""


def npy_bytes(array: NDArray[Any]) -> bytes:
    """Return an array as the content of a .npy file, without pickles."""
    buffer = io.BytesIO()
    np.save(buffer, np.ascontiguousarray(array), allow_pickle=False)
    return buffer.getvalue()


def picture_bytes(estimate: KernelEstimate, what: str = "kernel", style: PictureStyle | None = None) -> bytes:
    """Return a picture of an estimate: `kernel`, `fft`, `map` (with the defects), `fit` (map, reconstruction, residual) or `uncertainty`.

    The pixel size, the method and the map's name are written into the file's own text fields.

    Raises:
        InputError: an unknown picture, or an uncertainty that the method does not give.
    """
    metadata = _picture_metadata(estimate)
    unit = str(estimate.provenance.get("input", {}).get("unit") or "")
    pitch = estimate.pixel_size_nm
    chosen = style or PictureStyle()
    if what == "kernel":
        return kernel_picture(estimate.kernel, pitch, f"Kernel ({estimate.method})", unit, chosen, metadata)
    if what == "fft":
        magnitude = np.abs(kernel_fft(estimate.kernel))
        return fft_picture(magnitude, pitch, f"|FFT| of the kernel ({estimate.method})", style or PictureStyle("magma"), metadata, unit)
    observation = estimate.reconstruction + estimate.residual
    if what == "map":
        name = str(estimate.provenance.get("input", {}).get("name") or "Observation")
        return map_picture(observation, pitch, estimate.positions, name, unit, chosen, metadata)
    if what == "fit":
        return fit_picture(observation, estimate.reconstruction, pitch, estimate.positions, unit, chosen, metadata)
    if what == "uncertainty":
        if estimate.uncertainty is None:
            raise InputError(f"the method {estimate.method} gives no uncertainty, so there is no picture of it.")
        return kernel_picture(estimate.uncertainty, pitch, "One standard deviation", unit, chosen, metadata)
    raise InputError(f"picture {what!r} is not known; choose kernel, fft, map, fit or uncertainty.")


def sidecar(estimate: KernelEstimate) -> dict[str, Any]:
    """Return the side-car's content: everything about an estimate but its images."""
    verdict = {"verdict": verdict_of(estimate).record()}
    return {"format": SIDECAR_FORMAT, "format_version": SIDECAR_VERSION, **verdict, **estimate.summary()}


def sidecar_bytes(estimate: KernelEstimate) -> bytes:
    """Return the side-car as strict JSON (no NaN) in UTF-8."""
    return on_one_line(json.dumps(sidecar(estimate), indent=2, ensure_ascii=False, allow_nan=False)).encode()


def on_one_line(text: str) -> str:
    """Return indented JSON with every pair of numbers on one line; no string can hold the line break that this looks for."""
    return _PAIR_OVER_LINES.sub(r"[\1, \2]", text) + "\n"


def load_sidecar(path_or_bytes: str | Path | bytes) -> dict[str, Any]:
    """Read a side-car again.

    Raises:
        InputError: not there, too large, not JSON, or not the side-car of an estimate.
    """
    if isinstance(path_or_bytes, bytes):
        name, content = "the side-car", path_or_bytes
    else:
        name = Path(path_or_bytes).name
        try:
            if Path(path_or_bytes).stat().st_size > MAX_SIDECAR_BYTES:
                raise InputError(f"{name} is larger than {MAX_SIDECAR_BYTES // 2**20} MiB; no side-car is.")
            content = Path(path_or_bytes).read_bytes()
        except OSError as error:
            raise InputError(f"{name} could not be read ({error.strerror}); give the path of an {SIDECAR_NAME}.") from None
    try:
        values = json.loads(content)
    except (ValueError, RecursionError):
        raise InputError(f"{name} is not valid JSON; give the {SIDECAR_NAME} that an extraction wrote.") from None
    if not isinstance(values, dict) or values.get("format") != SIDECAR_FORMAT:
        raise InputError(f"{name} is not the side-car of an extraction; give the {SIDECAR_NAME} that an extraction wrote.")
    if values.get("format_version") != SIDECAR_VERSION:
        raise InputError(f"{name} has the side-car version {values.get('format_version')!r}; this program reads version {SIDECAR_VERSION}.")
    return values


def estimate_files(estimate: KernelEstimate, formats: Sequence[str] = ("png",)) -> dict[str, bytes]:
    """Return all files of an estimate, name -> content; the side-car comes last, as the sign that the others are there.

    Args:
        estimate: what was found.
        formats: of the pictures, out of MEDIA_TYPES.
    """
    arrays: dict[str, NDArray[Any] | None] = {
        "kernel.npy": estimate.kernel,
        "fft.npy": kernel_fft(estimate.kernel).astype(np.complex64),
        "reconstruction.npy": estimate.reconstruction,
        "residual.npy": estimate.residual,
        "background.npy": estimate.background_map if estimate.has_background else None,
        "uncertainty.npy": estimate.uncertainty,
        "latent.npy": estimate.latent,
    }
    files = {name: npy_bytes(array) for name, array in arrays.items() if array is not None}
    for picture in FOLDER_PICTURES:
        for file_format in formats:
            style = PictureStyle("magma" if picture == "fft" else "auto", file_format=file_format)
            files[f"{picture}.{file_format}"] = picture_bytes(estimate, picture, style)
    files[SIDECAR_NAME] = sidecar_bytes(estimate)
    return files


def write_estimate(estimate: KernelEstimate, folder: str | Path) -> list[Path]:
    """Write all files of an estimate into a folder (made if it is not there) and return their paths.

    Each file appears whole or not at all. Files of the same names are replaced; optional ones that this estimate does not
    have (such as an earlier uncertainty.npy) are removed, so that the folder holds one result.

    Raises:
        InputError: the folder cannot be made or written.
    """
    return write_files(estimate_files(estimate), folder)


def write_files(files: dict[str, bytes], folder: str | Path) -> list[Path]:
    """Write a result's files, name -> content, the side-car last; what an earlier result has and this one has not is removed.

    Raises:
        InputError: the folder cannot be made or written.
    """
    target = prepare_folder(folder)
    try:
        # The side-car goes first and comes back last: a stopped run leaves none.
        (target / SIDECAR_NAME).unlink(missing_ok=True)
        for name in RESULT_FILES:
            if name not in files:
                (target / name).unlink(missing_ok=True)
        for earlier in _class_folders_in(target):
            for file in earlier.iterdir():
                file.unlink()
            earlier.rmdir()
        for parent in {(target / name).parent for name in files}:
            parent.mkdir(exist_ok=True)
        return [write_atomically(target / name, content) for name, content in files.items()]
    except OSError as error:
        raise _unwritable(folder, error) from None


def holds_only_results(folder: Path) -> bool:
    """Say whether everything in a folder has a name that an extraction writes."""
    classes = _class_folders_in(folder)
    return {entry.name for entry in folder.iterdir() if entry not in classes} <= set(RESULT_FILES)


def _class_folders_in(folder: Path) -> list[Path]:
    """Return the folders of single classes that hold nothing but a result."""
    found = [entry for entry in folder.glob(f"{CLASS_FOLDER}*") if entry.is_dir() and not entry.is_symlink()]
    return [entry for entry in found if {file.name for file in entry.iterdir()} <= set(RESULT_FILES)]


def prepare_folder(folder: str | Path) -> Path:
    """Make a folder for results if it is not there, and check that files can be written into it.

    Raises:
        InputError: the folder cannot be made or written.
    """
    if not str(folder):
        raise InputError("the name of the folder for the results is empty; give one.")
    target = Path(folder)
    try:
        target.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=target):
            return target
    except OSError as error:
        raise _unwritable(folder, error) from None


def require_replaceable(folder: str | Path, inputs: Iterable[str | Path]) -> None:
    """Refuse a folder in which an extraction would replace anything but an earlier extraction.

    Args:
        folder: where results are to go.
        inputs: files that the extraction reads.

    Raises:
        InputError: an input has the place of a result, or a file with the name of a result came from elsewhere.
    """
    target = Path(folder)
    present = [name for name in RESULT_FILES if (target / name).exists()]
    for path in map(Path, inputs):
        if any((target / name).samefile(path) for name in present if path.exists()):
            raise InputError(f"{path.name} is read and would be replaced by a result; choose another folder than {str(folder)!r}.")
    if present and SIDECAR_NAME in present:
        try:
            load_sidecar(target / SIDECAR_NAME)
        except InputError:
            present = [SIDECAR_NAME]
        else:
            return
    if present:
        raise InputError(
            f"the folder {str(folder)!r} holds {present[0]}, which no finished extraction wrote and which would be lost; choose another."
        )


def _unwritable(folder: str | Path, error: OSError) -> InputError:
    return InputError(f"the folder {str(folder)!r} for the results cannot be written ({error.strerror}); choose another one.")


def _picture_metadata(estimate: KernelEstimate) -> dict[str, str]:
    source = estimate.provenance.get("input", {})
    described = {
        "Title": f"QPI kernel, method {estimate.method}",
        "Source": str(source.get("name", "")),
        "Pixel size (dy, dx) in nm": "" if estimate.pixel_size_nm is None else "{:.9g}, {:.9g}".format(*estimate.pixel_size_nm),
        "Observation SHA-256": str(source.get("observation_sha256", "")),
    }
    # PNG text fields are Latin-1.
    return {key: value.encode("latin-1", "replace").decode("latin-1") for key, value in described.items() if value}
