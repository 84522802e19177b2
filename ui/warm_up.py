"""Getting the slow imports and the networks ready while the user looks at the first page."""

from __future__ import annotations

import contextlib
import threading

import streamlit as st
from streamlit import runtime

from qpi_core.errors import InputError
from ui.jobs import Job, job_queue
from ui.loaders import example_map, extractor

_DELAY_SECONDS = 1.5


def prepare(job: Job) -> None:
    """Import what the first extraction needs and load the released model where there is one."""
    job.step(0.1, "Loading the charts and the readers")
    import plotly.graph_objects  # noqa: F401

    import qpi_core.figures
    import qpi_core.spectra  # noqa: F401

    example_map()
    job.step(0.4, "Loading the networks")
    tool = extractor()
    if tool.has_model:
        # A damaged model is told about when somebody asks for a network.
        with contextlib.suppress(InputError):
            tool.models()


@st.cache_resource(max_entries=1, show_spinner=False)
def warm_up_once() -> bool:
    """Start the preparation once per server, shortly after the first page has gone out."""
    if runtime.exists():
        timer = threading.Timer(_DELAY_SECONDS, lambda: job_queue().submit("Getting ready", prepare))
        timer.daemon = True
        timer.start()
    return True
