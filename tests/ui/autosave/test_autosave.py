"""The autosave: what is kept comes back whole, within its limits, and under names of the right form only."""

from __future__ import annotations

import os
import time
from pathlib import Path

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

import ui.autosave.keeping
from tests.ui.app_driver import POSITIONS, ROOT, SECONDS, noiseless_map, npy, start, wait_for_job
from ui.autosave.keeping import keep, switch
from ui.autosave.store import AutosaveStore

TAB = "0123456789abcdef" * 2
SHELF = "fedcba9876543210" * 2


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AutosaveStore:
    found = AutosaveStore(tmp_path / "kept")
    monkeypatch.setattr("ui.autosave.keeping.store", lambda: found)
    monkeypatch.setattr("ui.autosave.panel.store", lambda: found)
    monkeypatch.setattr("ui.autosave.recent.store", lambda: found)
    monkeypatch.setattr("qpi_core.extraction.extractor.Extractor.has_model", property(lambda self: False))
    return found


@pytest.fixture
def app(store: AutosaveStore) -> AppTest:
    """A finished piece of work in a tab whose name has arrived."""
    app = start()
    app.session_state["workspace"].autosave.tab = TAB
    app.file_uploader(key="map_upload").upload("map.npy", npy(noiseless_map())).run()
    app.session_state["workspace"].defects.replace(POSITIONS, "test", ("A", "A", "A", "A", "A"))
    app.run().selectbox(key="method").set_value("defect_average").run()
    app.button(key="prepare_add").click().run()
    wait_for_job(app.button(key="extract").click().run())
    return finish(app.run())


def finish(app: AppTest) -> AppTest:
    for job in app.session_state["workspace"].autosave.jobs.values():
        assert job.wait(SECONDS) and job.state in ("done", "cancelled"), job.problem
    return app


def reloaded() -> AppTest:
    """A new session whose browser tab has the same name, as after F5."""
    app = AppTest.from_file(str(ROOT / "app.py"), default_timeout=SECONDS)
    app.session_state["browser_page"] = {"value": {"tab": TAB, "latest": None, "shelf": SHELF, "off": False}}
    return app


@pytest.mark.slow
def test_a_reload_brings_everything_back(app: AppTest, store: AutosaveStore, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("ui.autosave.keeping.behind_a_server", lambda: True)
    again = wait_for_job(reloaded().run())
    mine, theirs = app.session_state["workspace"], again.session_state["workspace"]
    # A kernel of two defects is not to be used, which is a verdict and no failure.
    assert not again.exception and all("Do not use" in one.value for one in again.error)
    np.testing.assert_array_equal(theirs.loaded.scan.layer(), mine.loaded.scan.layer())
    np.testing.assert_array_equal(theirs.defects.points, POSITIONS)
    np.testing.assert_array_equal(theirs.outcome.estimate.kernel, mine.outcome.estimate.kernel)
    assert again.selectbox(key="method").value == "defect_average" and "Brought back" in theirs.autosave.note
    assert theirs.preparations[theirs.loaded.sha256].steps == mine.preparations[mine.loaded.sha256].steps != []
    assert any("3 Kernel: ready" in text.value for text in again.markdown)


def test_a_mark_saves_the_marks_alone(app: AppTest, store: AutosaveStore):
    place = store.folder / TAB
    before = {path.name: path.stat().st_mtime_ns for path in place.glob("*.zip")}
    assert set(before) == {"map.zip", "result.zip", "marks.zip"}
    app.session_state["workspace"].defects.replace(POSITIONS[:2], "test")
    finish(app.run())
    changed = {path.name for path in place.glob("*.zip") if path.stat().st_mtime_ns != before[path.name]}
    assert changed == {"marks.zip"} and (place / "marks.zip").stat().st_size < 10_000


def test_off_deletes_what_was_kept_and_keeps_nothing_more(app: AppTest, store: AutosaveStore):
    space = app.session_state["workspace"]
    switch(space, on=False)
    assert ui.autosave.keeping._queue().submit("after", lambda job: None).wait(SECONDS)
    keep(space, dict)
    assert store.parts(TAB) == {} and all(job.state != "waiting" for job in space.autosave.jobs.values())


@pytest.mark.slow
def test_what_is_too_large_is_not_kept_and_is_told(app: AppTest, store: AutosaveStore, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("ui.autosave.store.MOST_BYTES_OF_ONE", 2000)
    app.session_state["workspace"].autosave.keys.clear()
    finish(app.run())
    assert "map" not in store.parts(TAB)
    assert any("too large to be kept" in text.value for text in app.run().caption)


@pytest.mark.slow
def test_damage_is_told_and_leaves_an_empty_page(app: AppTest, store: AutosaveStore, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("ui.autosave.keeping.behind_a_server", lambda: True)
    (store.folder / TAB / "map.zip").write_bytes(b"PK no archive")
    again = reloaded().run()
    assert not again.exception and again.session_state["workspace"].loaded is None and store.parts(TAB) == {}
    assert any("damaged" in text.value for text in again.caption)


def test_old_and_surplus_work_is_deleted_the_oldest_first(store: AutosaveStore, monkeypatch: pytest.MonkeyPatch):
    names = [f"{number:032x}" for number in range(4)]
    for number, name in enumerate(names):
        store.save(name, "map", b"x" * 1000)
        moment = time.time() - (8 * 24 * 3600 if number == 0 else 100 - number)
        os.utime(store.folder / name / "map.zip", (moment, moment))
    monkeypatch.setattr("ui.autosave.store.MOST_BYTES", 2500)
    store.tidy()
    assert [bool(store.parts(name)) for name in names] == [False, False, True, True]


@pytest.mark.parametrize("name", ["", "../../etc", "A" * 32, "0" * 31, "0" * 33, "/" * 32])
def test_names_of_another_form_reach_no_file(store: AutosaveStore, name: str):
    with pytest.raises(ValueError, match="32 hexadecimal"):
        store.parts(name)
