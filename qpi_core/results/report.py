"""A result as one HTML page: figures, numbers, warnings and how to make it again, in a single file."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from html import escape
from typing import Any

import numpy as np

from qpi_core.base.errors import InputError
from qpi_core.base.units import unit_scale
from qpi_core.diagnostics.verdict import verdict_of
from qpi_core.estimates.blind_estimate import BlindEstimate
from qpi_core.estimates.estimate import KernelEstimate
from qpi_core.qspace.view import QSpaceView
from qpi_core.results.figures.picture_style import PictureStyle
from qpi_core.results.figures.qspace import qspace_picture, view_metadata
from qpi_core.results.files import picture_bytes
from qpi_core.results.html_page import html_list, html_page, html_picture, html_table
from qpi_core.results.script import python_snippet

_PICTURES = {
    "kernel": ("Kernel", "The extracted pattern of a single defect, its centre at the origin."),
    "uncertainty": ("Uncertainty", "One standard deviation of the kernel, pixel by pixel, in the same units."),
    "fft": ("|FFT| of the kernel", "Magnitude of the kernel's Fourier transform; wave vectors with 2π included."),
    "fit": ("Observation, reconstruction, residual", "The first two share their colours; the residual has the same span about 0."),
}
_RESOLUTION = 100
_UNITS = {"_rad_per_nm": "rad/nm, 2π included", "_rad_per_px": "rad/px, 2π included", "_per_nm2": "1/nm²", "_per_px2": "1/px²"} | {
    f"_{unit}": unit for unit in ("nm", "px", "rad")
}


def report_html(estimate: KernelEstimate, title: str = "", view: QSpaceView | None = None) -> bytes:
    """Return a self-contained HTML page about an estimate, in UTF-8.

    Args:
        estimate: with its source in the provenance (see KernelEstimate.with_source), so that the page can name it.
        title: heading of the page; "" names the map and the method.
        view: a view in q-space whose pictures and settings are shown too, or None.
    """
    source: Mapping[str, Any] = estimate.provenance.get("input", {})
    heading = title or f"Kernel of {source.get('name') or 'a map'}, method {estimate.method}"
    parts = [
        f"<h1>{escape(heading)}</h1>",
        _verdict(estimate),
        *(_figure(estimate, what) for what in _PICTURES if what != "uncertainty" or estimate.uncertainty is not None),
        "" if view is None else _view_figure(estimate, view),
        "<h2>Numbers</h2>",
        html_table(("Quantity", "Value", "Standard deviation"), _numbers(estimate, str(source.get("unit") or ""))),
        _search(estimate),
        "<h2>Where it comes from</h2>",
        html_table(("What", "Value"), _origin(estimate, source)),
        "<h2>Python code that makes it again</h2>",
        f"<pre>{escape(_code(estimate))}</pre>",
        "<h2>Positions of the defects, in pixels</h2>",
        f"<pre>{escape(_positions(estimate))}</pre>",
    ]
    return html_page(heading, parts)


def _verdict(estimate: KernelEstimate) -> str:
    """Return the verdict, and what else is to be kept in mind."""
    verdict = verdict_of(estimate)
    mended = f" What mends it: {escape(verdict.remedy.value)}." if verdict.remedy is not None else ""
    words = verdict.trust.value.capitalize()
    keep = html_list("What else to keep in mind", verdict.others)
    return f"<p><strong>{escape(words)}.</strong> {escape(verdict.reason)}{mended}</p>\n{keep}"


def _search(estimate: KernelEstimate) -> str:
    """Return what the search for defects says of itself, where they were found in the map."""
    if not isinstance(estimate, BlindEstimate):
        return ""
    words = f"{'Trusted' if estimate.trusted else 'Not trusted'}: {estimate.reason}"
    rows = [
        (symmetry_in_words(one.symmetry_order), str(len(one.positions)), f"{one.evidence:.1f}", f"{100 * max(one.unexplained, 0.0):.2f} %")
        for one in estimate.alternatives
    ]
    head = ("Symmetry", "Defects", "Log evidence beside the first", "Unexplained beyond the noise")
    return f"<h2>Defects found in the map itself</h2>\n<p>{escape(words)}</p>\n{html_table(head, rows) if rows else ''}"


def symmetry_in_words(order: int | None) -> str:
    """Return `isotropic`, `4-fold`, or `not determined`."""
    return "not determined" if order is None else "isotropic" if order == 0 else f"{order}-fold"


def _figure(estimate: KernelEstimate, what: str) -> str:
    title, caption = _PICTURES[what]
    colours = "magma" if what == "fft" else "auto"
    return html_picture(picture_bytes(estimate, what, PictureStyle(colours, dots_per_inch=_RESOLUTION)), title, caption)


def _view_figure(estimate: KernelEstimate, view: QSpaceView) -> str:
    settings = "; ".join(f"{name}: {value}" for name, value in view_metadata(view).items())
    caption = f"The kernel in q-space; wave vectors with 2π included, circles: Bragg peaks, polygon: first Brillouin zone. {settings}."
    return html_picture(qspace_picture(estimate, view, PictureStyle(dots_per_inch=_RESOLUTION)), "q-space", caption)


def _numbers(estimate: KernelEstimate, unit: str) -> list[tuple[str, str, str]]:
    order = estimate.symmetry_order
    rows = [("Rotational symmetry", symmetry_in_words(order), "")]
    # Without a symmetry there is no probability of it.
    told = {name: pair for name, pair in estimate.parameters.items() if name != "symmetry_probability" or order is not None}
    rows += [(_titled(name), *_value_and_deviation(*pair)) for name, pair in told.items()]
    rows += [
        ("Noise, standard deviation", amount(estimate.noise_sigma, unit), ""),
        ("Background", amount(estimate.background, unit), ""),
        ("Defects", str(len(estimate.positions)), ""),
        ("Kernel size", f"{estimate.kernel_size} px", ""),
    ]
    if estimate.uncertainty is not None:
        rows.append(("Uncertainty of the kernel, rms", amount(float(np.sqrt(np.mean(estimate.uncertainty**2))), unit), ""))
    return rows


def amount(value: float, unit: str) -> str:
    """Return a value with its unit, scaled so that it reads well."""
    factor, written = unit_scale(value, unit)
    return f"{value * factor:.4g} {written}".strip()


def _titled(name: str) -> str:
    """Return `Wave vector (rad/nm)` for `wave_vector_rad_per_nm`: the unit stands at a name's end."""
    for ending, unit in _UNITS.items():
        if name.endswith(ending):
            return f"{name.removesuffix(ending).replace('_', ' ').capitalize()} ({unit})"
    return name.replace("_", " ").capitalize()


def _value_and_deviation(value: float, deviation: float) -> tuple[str, str]:
    return f"{value:.6g}", f"{deviation:.2g}" if math.isfinite(deviation) and deviation > 0 else ""


def _origin(estimate: KernelEstimate, source: Mapping[str, Any]) -> list[tuple[str, str]]:
    pitch = estimate.pixel_size_nm
    rows = [("Pixel size (dy, dx)", "not known" if pitch is None else f"{pitch[0]:.9g}, {pitch[1]:.9g} nm"), ("Method", estimate.method)]
    classes = estimate.provenance.get("classes")
    if classes:
        together = ", ".join(dict.fromkeys(classes["classes"]))
        rows.append(("Class of the defects", f"{classes['class']}, solved together with all of {together}"))
    rows += [(name.replace("_", " "), plain_value(value)) for name, value in source.items()]
    for block in ("model", "versions"):
        rows += [(f"{block}: {name}", plain_value(value)) for name, value in (estimate.provenance.get(block) or {}).items()]
    return rows


def plain_value(value: Any) -> str:
    """Return a text as it is, everything else as JSON."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _code(estimate: KernelEstimate) -> str:
    try:
        return python_snippet(estimate)
    except InputError as error:
        return f"# {error}"


def _positions(estimate: KernelEstimate) -> str:
    return "x_px,y_px\n" + "\n".join(f"{float(x)!r},{float(y)!r}" for x, y in estimate.positions)
