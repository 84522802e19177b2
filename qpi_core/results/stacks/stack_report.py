"""A solved stack as one HTML page: what it says, kernels over energy, E(q), a table of the layers, and how to make it again."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import Any

import numpy as np

from qpi_core.base.errors import InputError
from qpi_core.estimates.class_stack import StackResult, stacks_of
from qpi_core.estimates.stack_estimate import LayerKernel, StackEstimate
from qpi_core.extraction.stacks.stack_findings import StackFindings
from qpi_core.results.figures.kernel_rows import kernel_rows_figure, shown_layers
from qpi_core.results.figures.picture_style import PictureStyle
from qpi_core.results.html_page import html_list, html_page, html_picture, html_table
from qpi_core.results.report import amount, plain_value, symmetry_in_words
from qpi_core.results.stacks.stack_files import energy_map_picture
from qpi_core.results.stacks.stack_script import stack_snippet

_RESOLUTION = 100


def stack_report_html(result: StackResult, findings: StackFindings, title: str = "") -> bytes:
    """Return a self-contained HTML page about a solved stack, in UTF-8.

    Args:
        result: with its source in the provenance (see class_stack.with_source), so that the page can name it.
        findings: dispersions, and what else was asked of the stack.
        title: heading of the page; "" names the file and the method.
    """
    stacks = stacks_of(result)
    first = next(iter(stacks.values()))
    source: Mapping[str, Any] = first.provenance.get("input", {})
    heading = title or f"Kernels over energy of {source.get('name') or 'a stack'}, method {first.method}"
    parts = [
        f"<h1>{escape(heading)}</h1>",
        f"<p>{int(first.done.sum())} of {len(first.done)} layers were solved, {int(first.usable.sum())} of them have a kernel.</p>",
        html_list("What the stack says", findings.sentences()),
        html_list("What to keep in mind", result.notes),
    ]
    for name, estimate in stacks.items():
        parts += _one_class(name, estimate, str(source.get("unit") or ""))
    parts += [
        "<h2>Where it comes from</h2>",
        html_table(("What", "Value"), _origin(first, source)),
        "<h2>Python code that makes it again</h2>",
        f"<pre>{escape(_code(result))}</pre>",
    ]
    return html_page(heading, parts)


def _one_class(name: str, estimate: StackEstimate, unit: str) -> list[str]:
    heading = f"Class {name}: {len(estimate.positions)} defects" if name else f"Kernels of {len(estimate.positions)} defects"
    parts = [f"<h2>{escape(heading)}</h2>"]
    if estimate.usable.any():
        shown, there = len(shown_layers(estimate)), int(estimate.usable.sum())
        some = "" if shown == there else f" {shown} of {there} layers, spread over the energies."
        caption = f"Kernels, and below each its |FFT| with q = 0 in the middle; every panel has colours of its own.{some}"
        parts.append(html_picture(kernel_rows_figure(estimate, PictureStyle(dots_per_inch=_RESOLUTION)), "Kernels over energy", caption))
    picture = energy_map_picture(estimate)
    if picture is not None:
        parts.append(html_picture(picture, "E(q)", "Ring average of |FFT| over wave vector and energy; wave vectors with 2π included."))
    head = ("Energy", "Symmetry", "Wave vector", "Noise", "Kernel, rms", "Uncertainty, rms", "What to keep in mind")
    return [*parts, html_table(head, [_layer_row(estimate, layer, unit) for layer in range(len(estimate.done))])]


def _layer_row(estimate: StackEstimate, index: int, unit: str) -> tuple[str, ...]:
    energy = f"{estimate.bias_mv[index]:.6g} mV" if np.isfinite(estimate.bias_mv[index]) else f"Layer {index}"
    if not estimate.done[index]:
        return energy, "", "", "", "", "", "Not solved"
    layer, words = estimate.layer(index), " ".join(estimate.warnings[index])
    if not np.isfinite(layer.kernel).all():
        return energy, "", "", "", "", "", words
    sizes = [float(np.sqrt(np.mean(np.square(values, dtype=np.float64)))) for values in (layer.kernel, layer.uncertainty)]
    told = [amount(size, unit) if np.isfinite(size) else "" for size in sizes]
    return energy, symmetry_in_words(layer.symmetry_order), _wave_vector(layer), amount(layer.noise_sigma, unit), *told, words


def _wave_vector(layer: LayerKernel) -> str:
    """Return the first wave vector with one standard deviation; nothing where the method gives none."""
    for length in ("nm", "px"):
        if (name := f"wave_vector_rad_per_{length}") in layer.parameters:
            value, deviation = layer.parameters[name]
            return f"{value:.4g} ± {deviation:.2g} rad/{length}"
    return ""


def _origin(estimate: StackEstimate, source: Mapping[str, Any]) -> list[tuple[str, str]]:
    pitch = estimate.pixel_size_nm
    rows = [("Pixel size (dy, dx)", "not known" if pitch is None else f"{pitch[0]:.9g}, {pitch[1]:.9g} nm"), ("Method", estimate.method)]
    rows += [(name.replace("_", " "), plain_value(value)) for name, value in source.items()]
    rows += [(f"versions: {name}", plain_value(value)) for name, value in (estimate.provenance.get("versions") or {}).items()]
    return rows


def _code(result: StackResult) -> str:
    try:
        return stack_snippet(result)
    except InputError as error:
        return f"# {error}"
