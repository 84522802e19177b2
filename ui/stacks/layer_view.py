"""One energy of a solved stack: its kernel, and the layer beside what the kernels explain of it and what they leave."""

from __future__ import annotations

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from qpi_core.base.units import in_handy_unit
from qpi_core.diagnostics.verdict import layer_verdict
from qpi_core.qspace.spectra import fft_magnitude
from ui.charts.colours import colour_limits
from ui.charts.kernels import KernelLook, kernel_and_spectrum, single_kernel
from ui.charts.maps import MapParts, fit_panels
from ui.charts.subplots import PLOTLY_CONFIG
from ui.jobs.stack import StackOutcome, StackView
from ui.result.numbers import parameter_line, with_unit
from ui.result.verdict import COLOURS, TITLES
from ui.state.loaders import prepared_layer_of
from ui.widgets import texts
from ui.widgets.progress_steps import plain

_LOOK = KernelLook(height=330, gap=0.17)
_CLASS_HEIGHT = 200
_TITLES = ("Layer", "Kernels at the defects", "Residual, same span about 0")


def show_kernel_of_layer(view: StackView, index: int) -> None:
    """Show kernel and |FFT| of one class at one energy, with what is said of them."""
    estimate = view.estimate
    if estimate.usable[index]:
        kernel = estimate.kernels[index]
        st.plotly_chart(
            kernel_and_spectrum(kernel, fft_magnitude(kernel, "hann"), estimate.pixel_size_nm, view.unit, _LOOK),
            width="stretch",
            key="stack_kernel",
            config=PLOTLY_CONFIG,
            alt="Kernel of the layer and the magnitude of its Fourier transform",
        )
        noise, background = (
            with_unit(*in_handy_unit(float(found[index]), view.unit)) for found in (estimate.noise_sigma, estimate.background)
        )
        st.caption(plain(f"Noise σ = {noise}, background {background}."))
        found = estimate.layer(index).parameters
        if found:
            st.caption(plain("; ".join(parameter_line(name, *pair) for name, pair in found.items()) + "."))
    _show_verdict(view, index)


def _show_verdict(view: StackView, index: int) -> None:
    """Show whether the kernel of a layer is to be relied on and the one reason that matters; the other remarks stand under it."""
    estimate = view.estimate
    if not estimate.usable[index]:
        for warning in estimate.warnings[index]:
            st.caption(plain(warning))
        return
    verdict = layer_verdict(estimate.layer(index), len(estimate.positions))
    st.markdown(f":{COLOURS[verdict.trust]}-badge[{TITLES[verdict.trust]}] {plain(verdict.reason)}")
    for sentence in verdict.others:
        st.caption(plain(sentence))


def show_classes_beside(outcome: StackOutcome, index: int) -> None:
    """Show the kernels of all classes at one energy side by side."""
    for place, (name, view) in zip(st.columns(len(outcome.views)), outcome.views.items(), strict=True):
        if not view.estimate.usable[index]:
            place.caption(plain(f"Class {name}: no kernel at this energy"))
            continue
        place.caption(plain(f"Class {name}, {len(view.estimate.positions)} defects"))
        place.plotly_chart(
            single_kernel(view.estimate.kernels[index], view.estimate.pixel_size_nm, view.unit, _CLASS_HEIGHT),
            width="stretch",
            key=f"stack_class_kernel_{name}",
            config={"displayModeBar": False},
            alt=f"Kernel of class {name} at this energy",
        )


def show_layer_and_residual(outcome: StackOutcome, index: int) -> None:
    """Show the layer as the extraction saw it, what the kernels of all classes make of it, and what is left."""
    if not st.toggle("Layer and residual", value=True, key="stack_fit_panels", help=texts.STACK_RESIDUAL, persist_state="session"):
        return
    if not all(view.estimate.usable[index] for view in outcome.views.values()):
        return
    layer = layer_values(outcome, index)
    modelled = explained(outcome, index, layer.shape)
    view = next(iter(outcome.views.values()))
    st.plotly_chart(
        fit_panels(
            MapParts(layer, modelled, layer - modelled, view.estimate.pixel_size_nm, view.unit, _TITLES),
            "viridis",
            colour_limits(layer, (0.5, 99.5)),
            300,
        ),
        width="stretch",
        key="stack_residual",
        config=PLOTLY_CONFIG,
        alt="The layer, what the kernels explain of it, and the residual",
    )


def explained(outcome: StackOutcome, index: int, shape: tuple[int, ...]) -> NDArray[np.float32]:
    """Return b + sum over classes of A * M at one energy, with each kernel as far as its window goes: (height, width)."""
    from qpi_core.operators.reconstruction import reconstruct

    modelled = np.zeros(shape, dtype=np.float32)
    for number, view in enumerate(outcome.views.values()):
        estimate = view.estimate
        # All classes share the background of the layer.
        constant = float(estimate.background[index]) if number == 0 else 0.0
        modelled += reconstruct(estimate.kernels[index], constant, estimate.positions, estimate.weights, shape)
    return modelled


def layer_values(outcome: StackOutcome | StackView, index: int) -> NDArray[np.float32]:
    """Return the layer as the extraction saw it: (height, width), NaN where not measured."""
    question = outcome.question
    return prepared_layer_of(question.scan, question.channel, index, question.steps)
