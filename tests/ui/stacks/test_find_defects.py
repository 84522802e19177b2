"""Find defects and kernels on the Stacks page: what is found become marks, and the kernels of all energies follow."""

from __future__ import annotations

import io

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from tests.ui.app_driver import start, wait_for_job

PLACES = np.array([[8.0, 9.0], [30.0, 12.0], [18.0, 27.0]])


@pytest.fixture
def app(monkeypatch: pytest.MonkeyPatch) -> AppTest:
    monkeypatch.setattr("qpi_core.extraction.extractor.Extractor.has_model", property(lambda self: False))
    y, x = np.mgrid[:36, :40]
    waves = sum(np.cos(np.hypot(x - px, y - py)) * np.exp(-((x - px) ** 2 + (y - py) ** 2) / 30) for px, py in PLACES)
    buffer = io.BytesIO()
    np.savez(buffer, didv=np.stack([waves, 2 * waves]), bias_mv=[10.0, 20.0], pixel_size_nm=0.2)
    app = start().switch_page("pages/stacks.py").run()
    return app.file_uploader(key="stack_upload").upload("stack.npz", buffer.getvalue()).run()


def found(monkeypatch: pytest.MonkeyPatch, positions: np.ndarray) -> list[tuple[int, ...]]:
    """Let the search find these positions; return the shapes that it is given."""
    shapes = []
    monkeypatch.setattr(
        "qpi_core.extraction.defects.defect_detection.find_defects", lambda stack, report: shapes.append(stack.shape) or positions
    )
    return shapes


@pytest.mark.slow
def test_what_is_found_becomes_marks_and_kernels(app: AppTest, monkeypatch: pytest.MonkeyPatch):
    shapes = found(monkeypatch, PLACES)
    app.button(key="find_stack_defects").click().run()
    wait_for_job(app, "stack_search")
    space = app.session_state["workspace"]
    np.testing.assert_array_equal(space.defects.points, PLACES)
    assert not app.exception and shapes == [(2, 36, 40)]
    assert space.jobs.get("stack") is not None or space.stack_outcome is not None


@pytest.mark.slow
def test_nothing_found_is_said(app: AppTest, monkeypatch: pytest.MonkeyPatch):
    found(monkeypatch, np.zeros((0, 2)))
    app.button(key="find_stack_defects").click().run()
    wait_for_job(app, "stack_search")
    assert not app.exception and any("No pattern repeats itself" in one.value for one in app.caption)
    assert not len(app.session_state["workspace"].defects.points)
