"""A path between two kernels through the latent space, decoded at every place of a slider."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from qpi_core.base.grid import DEFAULT_PIXEL_SIZE_NM
from qpi_core.networks.latent_path import latent_between
from ui.charts.latent import PathMarks
from ui.charts.subplots import PLOTLY_CONFIG
from ui.widgets.controls.bounded_controls import bounded_slider

if TYPE_CHECKING:
    from qpi_core.networks.atlas import LatentAtlas

_STEPS = 20
_KEYS = {"A": "latent_end_a", "B": "latent_end_b"}
_PATH_TITLES = {"line": "Straight line", "slerp": "Great circle"}
_PATH_HELP = (
    "How the latent moves from A to B: on the straight line, or on the great circle (slerp), which turns its direction at a constant "
    "rate and never passes nearer to the origin than its ends."
)


@dataclass(frozen=True)
class LatentPath:
    """A path as chosen: its places in the embedding, the fraction t, and the latent (4, 8, 8) there.

    `pixel_size_nm` is None where an end is an extracted kernel whose pixels are not those of the simulated ones.
    """

    marks: PathMarks
    fraction: float
    latent: NDArray[np.float32]
    pixel_size_nm: tuple[float, float] | None


def choose_end(end: int | str, where: str) -> None:
    """Show the buttons that make a kernel an end of the path: an index of the atlas, or "own" for the extracted kernel."""
    left, right = st.columns(2)
    for column, name, text in ((left, "A", "Path from here"), (right, "B", "Path to here")):
        column.button(
            text,
            key=f"latent_{where}_{name}",
            width="stretch",
            on_click=st.session_state.__setitem__,
            args=(_KEYS[name], end),
            help=f"Makes this kernel end {name} of the path below the picture.",
        )


def choose_path(known: LatentAtlas, outcome: Any) -> LatentPath:
    """Show the kind of path and the slider, and return what they describe."""
    left, right = st.columns([1, 1.6], gap="medium", vertical_alignment="bottom")
    kind = left.segmented_control(
        "Path from A to B",
        list(_PATH_TITLES),
        format_func=_PATH_TITLES.__getitem__,
        default="line",
        required=True,
        key="latent_path",
        persist_state="session",
        help=_PATH_HELP,
    )
    fraction = bounded_slider(
        "Place on the path t", 0.0, 1.0, usual=0.0, place=right, step=1 / _STEPS, key="latent_fraction", persist_state="session",
        help="0 is A, 1 is B; no unit.",
    )  # fmt: skip
    first, last = (_latent(known, outcome, name) for name in _KEYS)
    way = [latent_between(first, last, step / _STEPS, str(kind)) for step in range(_STEPS + 1)]
    found = [known.place(latent) for latent in way]
    now = round(float(fraction) * _STEPS)
    marks = PathMarks(np.array([[place.x, place.y] for place in found]), now)
    own = any(st.session_state.get(key) == "own" for key in _KEYS.values())
    return LatentPath(marks, now / _STEPS, way[now], None if own else (DEFAULT_PIXEL_SIZE_NM,) * 2)


def show_path(path: LatentPath) -> None:
    """Show the kernel that Decoder_K draws at the slider's place, with its FFT."""
    from qpi_core.networks.atlas import decode_latents
    from qpi_core.qspace.spectra import fft_magnitude
    from ui.charts.kernels import KernelLook, kernel_and_spectrum
    from ui.state.loaders import extractor

    kernel = decode_latents(extractor().models(), path.latent)[0]
    st.plotly_chart(
        kernel_and_spectrum(kernel, fft_magnitude(kernel), path.pixel_size_nm, "", KernelLook(height=330)),
        width="stretch",
        key="latent_path_kernel",
        config=PLOTLY_CONFIG,
        alt="Kernel that Decoder_K draws on the path, beside the magnitude of its Fourier transform",
    )
    st.caption(
        "The white diamond shows where the path is: the latents on the way, put among their nearest neighbours. "
        "A decoder draws something for every latent; where no training kernel is near, nothing says that it exists."
    )


def _latent(known: LatentAtlas, outcome: Any, name: str) -> NDArray[np.float32]:
    """Return the latent of an end; at first a four-fold and a six-fold kernel of Eq. 7."""
    end = st.session_state.get(_KEYS[name])
    own = outcome.estimate.latent if outcome is not None and outcome.place is not None else None
    if end == "own" and own is not None:
        return np.asarray(own, dtype=np.float32)
    if not isinstance(end, int) or not 0 <= end < len(known):
        wanted = (known.families == "equation_7") & (known.column("symmetry_order") == (4 if name == "A" else 6))
        end = int(np.argmax(wanted))
        st.session_state[_KEYS[name]] = end
    return known.latents[end]
