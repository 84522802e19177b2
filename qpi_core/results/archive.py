"""Everything about a result in one ZIP: arrays, pictures, tables, other programs' files, report, side-car and script."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Mapping, Sequence

import numpy as np

from qpi_core.base.provenance import json_ready
from qpi_core.estimates.blind_estimate import BlindEstimate
from qpi_core.estimates.estimate import KernelEstimate
from qpi_core.qspace.view import QSpaceView
from qpi_core.results.class_files import class_folders, class_sidecar_bytes, classes_again
from qpi_core.results.figures.picture_style import PictureStyle
from qpi_core.results.figures.qspace import qspace_picture
from qpi_core.results.files import SIDECAR_NAME, ZIP_TIME, estimate_files, npy_bytes, on_one_line, picture_bytes
from qpi_core.results.interchange.arrays import estimate_npz
from qpi_core.results.interchange.gwyddion import estimate_gwy
from qpi_core.results.interchange.tables import kernel_csv, positions_csv
from qpi_core.results.report import report_html
from qpi_core.results.script import python_snippet


def bundle_files(estimate: KernelEstimate, view: QSpaceView | None = None, formats: Sequence[str] = ("png",)) -> dict[str, bytes]:
    """Return all files of a result, name -> content: those of an extraction on the command line, and the other forms of the same.

    A view in q-space adds `qspace.png` and its settings, and goes into the report.
    """
    files = estimate_files(estimate, formats)
    if estimate.uncertainty is not None:
        for file_format in formats:
            files[f"uncertainty.{file_format}"] = picture_bytes(estimate, "uncertainty", PictureStyle(file_format=file_format))
    files |= {"result.npz": estimate_npz(estimate), "kernel.csv": kernel_csv(estimate), "positions.csv": positions_csv(estimate)}
    if estimate.pixel_size_nm is not None:  # Gwyddion needs a length
        files["result.gwy"] = estimate_gwy(estimate)
    if view is not None:
        for file_format in formats:
            files[f"qspace.{file_format}"] = qspace_picture(estimate, view, PictureStyle(file_format=file_format))
        files["qspace.json"] = (json.dumps(view.record(), indent=2, ensure_ascii=False, allow_nan=False) + "\n").encode()
    if isinstance(estimate, BlindEstimate) and estimate.alternatives:
        files |= alternative_files(estimate)
    files["report.html"] = report_html(estimate, view=view)
    files["reproduce.py"] = python_snippet(estimate).encode()
    return files


def alternative_files(estimate: BlindEstimate) -> dict[str, bytes]:
    """Return the explanations that a search for defects came to, name -> content: their kernels, and all else about them."""
    described = [
        {
            "symmetry_order": one.symmetry_order,
            "log_evidence_below_the_best": json_ready(one.evidence),
            "unexplained_share": json_ready(one.unexplained),
            "positions_px": json_ready(one.positions),
            "weights": json_ready(one.weights),
        }
        for one in estimate.alternatives
    ]
    text = on_one_line(json.dumps(described, indent=2, ensure_ascii=False, allow_nan=False))
    return {"alternatives.npy": npy_bytes(np.stack([one.kernels for one in estimate.alternatives])), "alternatives.json": text.encode()}


def estimate_zip(estimate: KernelEstimate, view: QSpaceView | None = None, formats: Sequence[str] = ("png",)) -> bytes:
    """Return all files of a result as one ZIP; the same estimate and view give the same bytes."""
    return zip_bytes(bundle_files(estimate, view, formats))


def classes_zip(
    estimates: Mapping[str, KernelEstimate],
    warnings: tuple[str, ...] = (),
    view: QSpaceView | None = None,
    formats: Sequence[str] = ("png",),
) -> bytes:
    """Return all files of a result with several classes of defects as one ZIP: a folder a class, and the side-car over all.

    Args:
        estimates: class -> estimate; each knows all defects by its provenance.
        warnings: sentences on all classes together.
        view: how the kernels are shown in q-space.
        formats: of the pictures, out of MEDIA_TYPES.
    """
    result = classes_again(estimates, warnings)
    folders = class_folders(result.names)
    files = {
        f"{folders[name]}/{file}": content for name, one in estimates.items() for file, content in bundle_files(one, view, formats).items()
    }
    return zip_bytes(files | {SIDECAR_NAME: class_sidecar_bytes(result)})


def zip_bytes(files: Mapping[str, bytes]) -> bytes:
    """Return files, name -> content, as one ZIP; the same files give the same bytes."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            entry = zipfile.ZipInfo(name, ZIP_TIME)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, content)
    return buffer.getvalue()
