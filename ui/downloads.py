"""Taking a result home: PNG, NPY, side-car JSON, one ZIP, and the Python lines that give the same kernel."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Callable

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from ui.extraction_job import Outcome, Question
from ui.loaders import EXAMPLE_NAME


def show_downloads(outcome: Outcome) -> None:
    """Show the download buttons; a file is made when it is asked for."""
    estimate = outcome.estimate
    stem = file_stem(outcome)
    files: list[tuple[str, str, str, Callable[[], bytes], str]] = [
        ("Everything (ZIP)", f"{stem}.zip", "application/zip", lambda: _zip(outcome), "Kernel, FFT, maps, positions and side-car in one file."),
        ("Kernel PNG", f"{stem}_kernel.png", "image/png", lambda: kernel_picture(outcome), "Picture with axes, scale bar and colour bar."),
        ("Kernel NPY", f"{stem}_kernel.npy", "application/octet-stream", lambda: npy_bytes(estimate.kernel), "float32, centre at index k // 2, units of the map."),
        ("FFT PNG", f"{stem}_fft.png", "image/png", lambda: fft_picture(outcome), "Magnitude, axes in rad/nm."),
        ("FFT NPY", f"{stem}_fft.npy", "application/octet-stream", lambda: npy_bytes(_fft(outcome)), "complex, q = 0 at index k // 2."),
        ("Side-car JSON", f"{stem}.json", "application/json", lambda: side_car(outcome), "Every parameter, position, warning, version and hash."),
    ]
    with st.container(horizontal=True, gap="small"):
        for label, name, mime, make, help_text in files:
            st.download_button(label, make, name, mime, on_click="ignore", key=f"download_{label}", help=help_text, icon=":material/download:")
        with st.popover("Copy as Python", icon=":material/code:"):
            st.code(python_lines(outcome.question), language="python")


def file_stem(outcome: Outcome) -> str:
    """Return a safe file name without extension, from the map's name and the method."""
    base = re.sub(r"[^A-Za-z0-9._-]+", "_", outcome.question.name.rsplit(".", 1)[0]).strip("._") or "map"
    return f"{base[:60]}_{outcome.question.method}"


def npy_bytes(values: NDArray[np.generic]) -> bytes:
    """Return an array as the content of a .npy file."""
    buffer = io.BytesIO()
    np.save(buffer, values, allow_pickle=False)
    return buffer.getvalue()


def kernel_picture(outcome: Outcome) -> bytes:
    """Return the kernel as PNG."""
    from qpi_core.figures import kernel_png

    return kernel_png(outcome.estimate.kernel, outcome.estimate.pixel_size_nm, unit=outcome.question.view.unit)


def fft_picture(outcome: Outcome) -> bytes:
    """Return the magnitude of the kernel's FFT as PNG."""
    from qpi_core.figures import fft_png

    return fft_png(np.abs(_fft(outcome)), outcome.estimate.pixel_size_nm)


def side_car(outcome: Outcome) -> bytes:
    """Return the side-car JSON."""
    return json.dumps(outcome.estimate.summary(), indent=2, ensure_ascii=False, allow_nan=False).encode("utf-8")


def python_lines(question: Question) -> str:
    """Return a script that repeats the extraction."""
    view = question.view
    lines = ["import numpy as np", "import qpi_core", "from qpi_core.maps import level", ""]
    if question.name == EXAMPLE_NAME:
        lines += ["# The simulated example of the app.", "from ui.loaders import example_map", "scan = example_map().scan"]
    else:
        lines += [f"scan = qpi_core.load_map({question.name!r})"]
    pitch = None if view.pixel_size_nm is None else tuple(float(v) for v in view.pixel_size_nm)
    lines += [
        f"observation = level(scan.layer({view.channel!r}, index={view.index}), {view.levelling!r}).astype(np.float32)",
        f"positions = np.array({question.positions.round(6).tolist()})",
        "extractor = qpi_core.load_extractor(device='cpu')",
        f"estimate = extractor.extract(observation, positions, method={question.method!r}, kernel_size={question.kernel_size}, pixel_size_nm={pitch})",
        "np.save('kernel.npy', estimate.kernel)",
    ]
    return "\n".join(lines)


def _fft(outcome: Outcome) -> NDArray[np.complex128]:
    from qpi_core.spectra import kernel_fft

    return kernel_fft(outcome.estimate.kernel)


def _zip(outcome: Outcome) -> bytes:
    from qpi_core.export import estimate_zip

    return estimate_zip(outcome.estimate)
