"""The numbers of a result: noise, symmetry, wave vectors and the other parameters with their error bars."""

from __future__ import annotations

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from qpi_core.base.units import counted, duration, in_handy_unit, plain_number
from qpi_core.diagnostics.window import warn_about_window
from qpi_core.estimates.estimate import KernelEstimate
from ui.jobs.extraction import Outcome
from ui.widgets import texts

_WAVE_VECTORS = ("wave_vector_rad_per_nm", "wave_vector_rad_per_px", "wavenumber_rad_per_nm", "wavenumber_rad_per_px")

_NOT_FOUND = "not determined"
_MOST_DEVIATION = 0.5
"""Of a wave vector, as a share of it: what is less certain is no number to print large."""


def show_numbers(outcome: Outcome) -> None:
    """Show the four numbers that matter most, and a table of all parameters with one standard deviation."""
    estimate, unit = outcome.estimate, outcome.question.view.unit
    few, table = st.columns([1, 1.35], gap="large")
    with few:
        left, right = st.columns(2)
        left.metric("Symmetry", symmetry_words(estimate), help=texts.SYMMETRY_FOUND)
        name, value = _wave_vector(estimate)
        right.metric(name, value, help=texts.WAVE_VECTOR_FOUND)
        left.metric("Noise σ (estimated)", with_unit(*in_handy_unit(estimate.noise_sigma, unit)), help=texts.NOISE_FOUND)
        right.metric("Explained by the kernel", explained_words(estimate, outcome.question.view.layer.values), help=texts.EXPLAINED)
        st.caption(f"{counted(len(estimate.positions), 'defect')} · {duration(outcome.seconds)}")
    with table:
        st.table(parameter_rows(outcome), border="horizontal", hide_header=False)


def parameter_rows(outcome: Outcome) -> dict[str, list[str]]:
    """Return the columns of the table of parameters."""
    estimate, unit = outcome.estimate, outcome.question.view.unit
    rows = [(*_described(name, value, deviation),) for name, (value, deviation) in told_parameters(estimate).items()]
    amounts = [("Background b", estimate.background), ("Signal, standard deviation", float(np.nanstd(estimate.reconstruction)))]
    if estimate.uncertainty is not None:
        amounts.append(("Uncertainty of the kernel, rms", float(np.sqrt(np.mean(estimate.uncertainty**2)))))
    for title, amount in amounts:
        number, prefixed = in_handy_unit(amount, unit)
        rows.append((title, number, "", prefixed))
    return {title: [row[column] for row in rows] for column, title in enumerate(("Parameter", "Value", "± 1 σ", "Unit"))}


def told_parameters(estimate: KernelEstimate) -> dict[str, tuple[float, float]]:
    """Return the parameters that mean something: without a symmetry there is no probability of it."""
    dropped = {"symmetry_probability"} if estimate.symmetry_order is None else set()
    return {name: pair for name, pair in estimate.parameters.items() if name not in dropped}


def parameter_line(name: str, value: float, deviation: float) -> str:
    """Return `Wave vector q = 6.400 ± 0.004 rad/nm` for a parameter whose unit stands in its name."""
    label, number, error, unit = _described(name, value, deviation)
    return with_unit(f"{label} = {number} ± {error}" if error else f"{label} = {number}", unit)


def symmetry_words(estimate: KernelEstimate) -> str:
    """Return `4-fold, p > 0.999`, with the probability where the method gives one."""
    order = estimate.symmetry_order
    words = "not determined" if order is None else "isotropic" if order == 0 else f"{order}-fold"
    probability = estimate.parameters.get("symmetry_probability", (float("nan"), 0.0))[0]
    if order is not None and window_misleads(estimate):
        return f"{words}, doubtful"
    if order is None or not np.isfinite(probability):
        return words
    return f"{words}, p > 0.999" if probability > 0.999 else f"{words}, p = {probability:.3f}"


def window_misleads(estimate: KernelEstimate) -> bool:
    """Say whether the kernel's window cuts the pattern, or is shorter than its period: the numbers are then no verdict."""
    return bool(warn_about_window(estimate.kernel, estimate.wide_kernel, estimate.parameters, estimate.pixel_size_nm))


def explained_words(estimate: KernelEstimate, values: NDArray[np.float32]) -> str:
    """Return `94.1 %` of a map (height, width), and that it is doubtful where a search does not vouch for the places of the defects."""
    search = estimate.provenance.get("blind") or {}
    return f"{100 * explained_part(estimate, values):.1f} %{', doubtful' if search.get('trusted') is False else ''}"


def explained_part(estimate: KernelEstimate, values: NDArray[np.float32]) -> float:
    """Return the share of the variance of a map (height, width) that the kernel's pattern accounts for, from 0 to 1.

    Where a background was modelled beside it, that is var(A * M) / var(Y), the share that "What the map is made of" names: a background
    free enough takes what the kernel leaves, so that the sum of both always explains nearly all. Else it is 1 - var(residual) / var(Y).
    """
    variance = float(np.nanvar(values))
    if not variance > 0:
        return 0.0
    if estimate.has_background:
        return min(1.0, kernel_variance(estimate, values) / variance)
    return max(0.0, 1.0 - float(np.nanvar(estimate.residual)) / variance)


def kernel_variance(estimate: KernelEstimate, values: NDArray[np.float32]) -> float:
    """Return the variance of the kernel's part of the reconstruction over the measured pixels of a map (height, width)."""
    part = estimate.reconstruction if estimate.background_map is None else estimate.reconstruction - estimate.background_map
    return float(np.var(part[np.isfinite(values)], dtype=np.float64))


def with_unit(number: str, unit: str) -> str:
    """Return a number with its unit, where there is one."""
    return f"{number} {unit}".strip()


def _described(name: str, value: float, deviation: float) -> tuple[str, str, str, str]:
    """Return (label, value, standard deviation or "", unit) with as many decimals as the deviation supports."""
    label, unit = texts.PARAMETERS.get(name, (name.replace("_", " ").capitalize(), ""))
    if not (np.isfinite(deviation) and deviation > 0):
        return label, f"{value:.4g}", "", unit
    decimals = int(min(max(0, 1 - np.floor(np.log10(deviation))), 9))
    return label, plain_number(value, decimals), plain_number(deviation, decimals), unit


def wave_vector_words(estimate: KernelEstimate) -> str:
    """Return `6.395 ± 0.004 rad/nm` for the strongest oscillation, "" where the method finds none."""
    name, value = _wave_vector(estimate)
    return value if name and value != _NOT_FOUND else ""


def _wave_vector(estimate: KernelEstimate) -> tuple[str, str]:
    for name in _WAVE_VECTORS:
        if name in estimate.parameters:
            value, deviation = estimate.parameters[name]
            label, number, error, unit = _described(name, value, deviation)
            if np.isfinite(deviation) and deviation > _MOST_DEVIATION * abs(value):
                return label, _NOT_FOUND
            return label, with_unit(f"{number} ± {error}" if error else number, unit)
    return "Wave vector q", _NOT_FOUND
