"""Getting the slow imports and the networks ready while the user looks at the first page."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable

import numpy as np
import streamlit as st
from streamlit import runtime

from qpi_core.base.errors import InputError
from qpi_core.base.grid import DEFAULT_PIXEL_SIZE_NM
from qpi_core.synthesis.simulated_maps.scenes import simulate_observation
from ui.jobs.workers.queues import Job, job_queue
from ui.state.loaders import EXAMPLE_PARAMETERS, extractor

DELAY_SECONDS = 0.3
_SIDE, _DEFECTS = 48, 5


def import_solvers() -> None:
    """Import what the first kernel needs by extracting one from a small map: libraries also load parts when they are used."""
    rng = np.random.default_rng(0)
    positions = rng.uniform(4, _SIDE - 5, (_DEFECTS, 2))
    clean = simulate_observation(EXAMPLE_PARAMETERS, positions, (_SIDE, _SIDE))
    # Without noise, or with a wrong list, far more is computed than has to be loaded.
    values = clean + 0.2 * clean.std() * rng.standard_normal(clean.shape)
    extractor().extract(values, positions, kernel_size=_SIDE // 2, pixel_size_nm=DEFAULT_PIXEL_SIZE_NM, with_latent=False)


def import_charts() -> None:
    """Import what the first result needs to be drawn and to be taken home."""
    import plotly.graph_objects  # noqa: F401

    import ui.result.panel  # noqa: F401


def load_networks() -> None:
    """Load the released model where there is one."""
    tool = extractor()
    if tool.has_model:
        # A damaged model is told about when somebody asks for a network.
        with contextlib.suppress(InputError):
            tool.models()


PARTS: tuple[tuple[str, Callable[[], None]], ...] = (
    ("Loading the solvers", import_solvers),
    ("Loading the charts", import_charts),
    ("Loading the networks", load_networks),
)


def prepare(job: Job, part: int = 0) -> None:
    """Get one part ready and queue the next one behind whatever has been asked for meanwhile: a user's computation never waits for all."""
    message, load = PARTS[part]
    job.step(0.1, message)
    load()
    if part + 1 < len(PARTS):
        job_queue().submit("Getting ready", lambda job: prepare(job, part + 1))


@st.cache_resource(max_entries=1, show_spinner=False)
def warm_up_once() -> bool:
    """Start the preparation once per server, right after the first page has gone out."""
    if runtime.exists():
        timer = threading.Timer(DELAY_SECONDS, lambda: job_queue().submit("Getting ready", prepare))
        timer.daemon = True
        timer.start()
    return True
