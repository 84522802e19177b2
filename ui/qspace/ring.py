"""How far the kernel's ring stands above the noise, beside the whole map and one defect, and the square-root law."""

from __future__ import annotations

import math

import numpy as np
import streamlit as st

from qpi_core.base.errors import InputError
from qpi_core.extraction.methods import METHODS
from qpi_core.extraction.stability.halves import MIN_DEFECTS
from qpi_core.qspace.profiles import qspace_profile
from qpi_core.qspace.ring_snr import RingSignal, ring_signal
from qpi_core.qspace.view import Q_UNITS, QSpaceView, kernel_spectrum
from ui.jobs.ring import RingKernel
from ui.jobs.workers.queues import Job
from ui.qspace import texts
from ui.qspace.subject import QSpaceSubject
from ui.state.loaders import extractor
from ui.state.workspace import Workspace
from ui.widgets.controls.bounded_controls import bounded_slider
from ui.widgets.progress_steps import plain

_RING_STEPS = 200
_HALF_WIDTH = 0.1
"""Of the ring that is proposed, as a share of its wave vector."""


def show_ring(space: Workspace, kernel: RingKernel, subject: QSpaceSubject, view: QSpaceView) -> None:
    """Show the ring's range, its signal to noise, and the button that measures the kernel's noise."""
    asked = space.ring_asked is kernel.owner
    halves = kernel.differences(space.ring_halves) if asked and space.ring_halves is not None else None
    factor, q_unit = (Q_UNITS[view.q_unit], view.q_unit) if subject.pixel_size_nm else (1.0, "rad/px")
    controls, numbers = st.columns([1, 2.4], gap="medium", vertical_alignment="center")
    with controls:
        ring = _choose_ring(subject, view, q_unit, factor)
        reason = _why_not(space, kernel)
        if st.button("Measure the kernel's noise", icon=":material/graphic_eq:", key="measure_ring", disabled=bool(reason),
                     help=reason or texts.RING_MEASURE):  # fmt: skip
            _start(space, kernel)
    try:
        signal = ring_signal(kernel.source, ring, view.window, halves)
    except InputError as error:
        numbers.caption(plain(str(error)))
    else:
        with numbers:
            _show_numbers(signal)
            if subject.more_than_white:
                st.caption(texts.RING_WHITE)
    if asked and space.ring_problem:
        st.error(plain(space.ring_problem))


def _choose_ring(subject: QSpaceSubject, view: QSpaceView, q_unit: str, factor: float) -> tuple[float, float]:
    """Show the slider in the unit of the axes; the ring is kept in rad/nm (rad/px) as `q_ring`."""
    proposed = _usual_ring(subject, view)
    chosen = st.session_state.get("q_ring")
    # Until somebody moves it, the ring follows the wave vector of the result.
    if chosen is None or chosen == st.session_state.get("q_ring_proposed"):
        chosen = proposed
    st.session_state["q_ring"], st.session_state["q_ring_proposed"] = chosen, proposed
    high = min(max(chosen[1], 2 * subject.q_step), subject.nyquist)
    low = min(chosen[0], high - subject.q_step)
    ends = (max(low, 0.0) * factor, high * factor)
    if st.session_state.get("q_ring_slider") != ends:
        st.session_state["q_ring_slider"] = ends
    bounded_slider(
        f"Ring of q ({q_unit}, 2π included)",
        0.0,
        subject.nyquist * factor,
        usual=ends,
        step=subject.nyquist * factor / _RING_STEPS,
        format="%.3f" if factor < 1 else "%.2f",
        key="q_ring_slider",
        on_change=_keep_ring,
        args=(factor,),
        help=texts.RING,
    )
    return ends[0] / factor, ends[1] / factor


def _keep_ring(factor: float) -> None:
    low, high = st.session_state["q_ring_slider"]
    st.session_state["q_ring"] = (low / factor, high / factor)


def _usual_ring(subject: QSpaceSubject, view: QSpaceView) -> tuple[float, float]:
    """Return a ring about the wave vector that was found, or else about the strongest one away from q = 0."""
    q = subject.wave_vector
    if q is None or not 0 < q < subject.nyquist:
        spectrum = kernel_spectrum(subject.kernel, QSpaceView(window=view.window), subject.pixel_size_nm)
        line = qspace_profile(spectrum.values, spectrum.q_step)
        outer = line.q > 2.5 * subject.q_step
        q = float(line.q[outer][np.argmax(line.values[outer])]) if outer.any() else subject.nyquist / 2
    half = max(_HALF_WIDTH * q, 0.75 * subject.q_step)
    return max(q - half, 0.0), q + half


def _show_numbers(signal: RingSignal) -> None:
    kernel, whole, one, law = st.columns(4)
    kernel.metric("Kernel", "not measured" if signal.kernel is None else _number(signal.kernel), help=texts.RING_KERNEL)
    whole.metric("Whole map", _number(signal.whole_map), help=texts.RING_MAP)
    one.metric("One defect", _number(signal.one_defect), help=texts.RING_ONE)
    law.metric("√N law", _number(signal.law), help=texts.RING_LAW)
    share = f"{100 * signal.speckle:.0f} %"
    speckle = f"Random positions alone make the map's ring scatter by {share} of its power (speckle), without any noise."
    if signal.gain is None:
        st.caption(plain(f"Signal to noise of the ring, as a ratio of amplitudes. {speckle}"))
        return
    law_gain = _number(signal.law_gain)
    gain = f"Signal to noise of the ring. Gain over one defect: {_number(signal.gain)}; the square-root law gives {law_gain}."
    over = "" if signal.whole_map <= 0 or signal.kernel is None else f" Over the whole map: {_number(signal.kernel / signal.whole_map)}."
    st.caption(plain(f"{gain}{over} {speckle}"))


def _number(value: float) -> str:
    return "no noise" if math.isinf(value) else f"{value:.3g}" if abs(value) < 1000 else f"{value:.0f}"


def _start(space: Workspace, kernel: RingKernel) -> None:
    space.ring_asked, space.ring_halves, space.ring_problem = kernel.owner, None, ""
    space.jobs.start("ring", "Noise of the kernel", kernel.measure, lambda job: _take(space, job))
    st.rerun()


def _take(space: Workspace, job: Job) -> None:
    if job.state == "done":
        space.ring_halves = job.result
    space.ring_problem = job.problem


def _why_not(space: Workspace, kernel: RingKernel) -> str:
    if space.jobs.get("ring") is not None:
        return "The noise is being measured."
    if kernel.fewest < MIN_DEFECTS:
        return texts.RING_FEW.format(least=MIN_DEFECTS)
    if METHODS[kernel.method].needs_model and not extractor().has_model:
        return "This method needs a released model, and none is installed."
    return ""
