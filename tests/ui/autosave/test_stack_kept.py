"""A solved stack survives a reload, and a second reload while it is still being opened."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from tests.ui.app_driver import ROOT, SECONDS, start, wait_for_job
from tests.ui.stacks.stack_app import POSITIONS, SIZE, compute, npz
from ui.autosave.keeping import keep
from ui.autosave.store import AutosaveStore

TAB = "0123456789abcdef" * 2


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AutosaveStore:
    found = AutosaveStore(tmp_path / "kept")
    for module in ("keeping", "panel", "recent"):
        monkeypatch.setattr(f"ui.autosave.{module}.store", lambda: found)
    monkeypatch.setattr("qpi_core.extraction.extractor.Extractor.has_model", property(lambda self: False))
    return found


def finish(app: AppTest) -> None:
    for job in app.session_state["workspace"].autosave.jobs.values():
        assert job.wait(SECONDS) and job.state in ("done", "cancelled"), job.problem


@pytest.mark.slow
def test_a_stack_comes_back_and_stays_kept_while_it_is_opened(store: AutosaveStore, monkeypatch: pytest.MonkeyPatch):
    app = start()
    app.session_state["workspace"].autosave.tab = TAB
    app.file_uploader(key="map_upload").upload("grid.npz", npz()).run()
    app.session_state["workspace"].defects.replace(POSITIONS, "list")
    app.run().switch_page("pages/stacks.py").run()
    app.slider(key="stack_kernel_size").set_value(SIZE).run()
    app = compute(app.selectbox(key="stack_method").set_value("defect_average").run()).run()
    finish(app)
    assert set(store.parts(TAB)) == {"map", "marks", "stack"}

    monkeypatch.setattr("ui.autosave.keeping.behind_a_server", lambda: True)
    again = AppTest.from_file(str(ROOT / "app.py"), default_timeout=SECONDS)
    again.session_state["browser_page"] = {"value": {"tab": TAB, "latest": None, "shelf": None, "off": False}}
    again = wait_for_job(again.run(), "stack")
    space = again.session_state["workspace"]
    # The state while the stack is being opened, however long that takes.
    opened, space.stack_outcome = space.stack_outcome, None
    space.autosave.keys.clear()
    space.jobs.start("stack", "Opening the stack", lambda job: job.wait(0), lambda job: None)
    keep(space, dict)
    finish(again)
    assert set(store.parts(TAB)) == {"map", "marks", "stack"}, "a reload at this moment finds all of it"
    space.jobs.drop("stack")
    space.stack_outcome = opened
    again.run()
    np.testing.assert_array_equal(space.defects.points, POSITIONS)
    mine, theirs = (one.session_state["workspace"].stack_outcome.estimate.kernels for one in (app, again))
    np.testing.assert_array_equal(mine, theirs)
