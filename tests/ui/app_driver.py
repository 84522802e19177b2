"""What the tests of the app share: driving it through its entry point, and waiting for a job."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from streamlit.testing.v1 import AppTest

import ui.jobs.workers.background
import ui.state.usual_controls
import ui.state.warm_up
from qpi_core.synthesis.kernel_families.equation_7 import KernelParameters
from qpi_core.synthesis.simulated_maps.scenes import simulate_observation

ROOT = Path(__file__).resolve().parents[2]
PARAMETERS = KernelParameters(symmetry_order=3, orientation=0.4, wavenumber=3.0, phase=0.7, decay=0.25)
POSITIONS = np.array([[12.0, 20.0], [40.0, 15.0], [30.0, 44.0], [52.0, 50.0], [8.0, 55.0]])
SECONDS = 300
# Nothing polls here: what a page waits for in a queue is waited for in the same run.
ui.jobs.workers.background.PATIENCE_SECONDS = SECONDS
# A test loads what it needs; the preparation for the first user would stand in its way.
ui.state.warm_up.DELAY_SECONDS = 24 * 3600

# Kernels are compared with those of a given size; that the pattern decides at first has its own test.
ui.state.usual_controls.USUAL.update(kernel_auto=False, stack_kernel_auto=False)


def start() -> AppTest:
    """Run the app once, on its first page."""
    return AppTest.from_file(str(ROOT / "app.py"), default_timeout=SECONDS).run()


def wait_for_job(app: AppTest, name: str = "extraction") -> AppTest:
    """Let the running job end, then rerun the page, as the polling fragment does in a browser."""
    for waited in (name, "networks"):
        job = app.session_state["workspace"].jobs.get(waited)
        if job is not None:
            assert job.wait(SECONDS), "the job did not end"
        app.run()
    return app


def noiseless_map() -> NDArray[np.float32]:
    """Return a 64 x 64 map of five defects."""
    return simulate_observation(PARAMETERS, POSITIONS, (64, 64))


def npy(values: NDArray[np.generic]) -> bytes:
    """Return an array as a .npy file."""
    buffer = io.BytesIO()
    np.save(buffer, values)
    return buffer.getvalue()
