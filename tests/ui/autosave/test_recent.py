"""Recent maps: those that this browser opened before come back by their name, within limits, and are gone when nothing is to be kept."""

from __future__ import annotations

import os
import time
from pathlib import Path

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from qpi_core.results.session.session_file import Session, session_bytes
from tests.ui.app_driver import SECONDS, noiseless_map, npy, start
from ui.autosave.keeping import _forget_all
from ui.autosave.recent import keep_recent, part_of, recent_maps
from ui.autosave.store import AutosaveStore
from ui.state.loaders import example_map, loaded_file
from ui.state.map_change import use_map
from ui.state.workspace import Workspace

TAB, SHELF = "0123456789abcdef" * 2, "fedcba9876543210" * 2
FIRST, SECOND = npy(noiseless_map()), npy(noiseless_map()[:40] * 2)


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AutosaveStore:
    found = AutosaveStore(tmp_path / "kept")
    for module in ("keeping", "panel", "recent"):
        monkeypatch.setattr(f"ui.autosave.{module}.store", lambda: found)
    return found


def finish(app: AppTest) -> AppTest:
    for job in app.session_state["workspace"].autosave.jobs.values():
        assert job.wait(SECONDS) and job.state in ("done", "cancelled"), job.problem
    return app


@pytest.fixture
def app(store: AutosaveStore) -> AppTest:
    """A session that has opened two maps, one after the other."""
    app = start()
    mine = app.session_state["workspace"].autosave
    mine.tab, mine.shelf = TAB, SHELF
    for name, content in (("one.npy", FIRST), ("two.npy", SECOND)):
        app = finish(app.file_uploader(key="map_upload").clear().upload(name, content).run())
    return app.run()


def test_the_map_before_is_offered_and_opened_and_the_present_one_is_not(app: AppTest):
    space = app.session_state["workspace"]
    assert [one.name for one in recent_maps(space)] == ["one.npy"]
    button = app.button(key="recent_0")
    assert button.label == "one.npy"
    app = finish(button.click().run())
    assert not app.exception and space.loaded.name == "one.npy"
    np.testing.assert_array_equal(space.loaded.scan.layer(), noiseless_map())
    assert [one.name for one in recent_maps(space)] == ["two.npy"]


def test_another_tab_of_the_browser_has_them_too_and_another_browser_has_none(app: AppTest):
    other = Workspace()
    assert recent_maps(other) == []
    other.autosave.shelf = SHELF
    assert [one.name for one in recent_maps(other)] == ["two.npy", "one.npy"]
    other.autosave.shelf = "0" * 32
    assert recent_maps(other) == []


def test_switched_off_none_is_kept_and_none_is_offered(app: AppTest, store: AutosaveStore):
    space = app.session_state["workspace"]
    _forget_all(space.autosave)
    assert store.listed(SHELF) == [] and store.parts(TAB) == {}
    space.autosave.off = True
    app.file_uploader(key="map_upload").clear().upload("one.npy", FIRST).run()
    assert recent_maps(space) == [] and store.listed(SHELF) == []


def test_simulated_maps_are_not_kept(store: AutosaveStore):
    app = start()
    space = app.session_state["workspace"]
    space.autosave.tab, space.autosave.shelf = TAB, SHELF
    use_map(space, example_map())
    finish(app.run())
    assert "map" in store.parts(TAB) and store.listed(SHELF) == []


def test_a_damaged_one_is_told_and_gone(app: AppTest, store: AutosaveStore):
    space = app.session_state["workspace"]
    (one,) = recent_maps(space)
    (store.folder / SHELF / f"{one.part}.zip").write_bytes(b"PK no archive")
    app.button(key="recent_0").click().run()
    assert not app.exception and space.loaded.name == "two.npy" and recent_maps(space) == []
    assert any("one.npy is no longer kept here" in error.value for error in app.error)


def test_the_oldest_give_way(store: AutosaveStore, monkeypatch: pytest.MonkeyPatch):
    parts = [part_of(f"{number}.npy", f"{number:064x}"[::-1]) for number in range(12)]
    for number, part in enumerate(parts):
        keep_recent(SHELF, part, b"x" * 1000)
        moment = time.time() - 100 + number
        os.utime(store.folder / SHELF / f"{part}.zip", (moment, moment))
    space = Workspace()
    space.autosave.shelf = SHELF
    assert [one.part for one in recent_maps(space)] == parts[:-9:-1]
    monkeypatch.setattr("ui.autosave.store.MOST_BYTES_OF_ONE", 2500)
    keep_recent(SHELF, parts[0], b"y" * 1000)
    assert [part for part, _ in store.listed(SHELF)] == [parts[0], parts[11]]


@pytest.mark.parametrize(
    ("name", "safe"), [("../../a b.sxm", "a_b.sxm"), ("Probe ü.dat", "Probe_ü.dat"), ("...", "map"), ("a*[x].npy", "a_x_.npy")]
)
def test_a_name_reaches_no_other_file(store: AutosaveStore, name: str, safe: str):
    part = part_of(name, "0" * 64)
    assert part == "0" * 16 + "-" + safe
    content = session_bytes(Session(loaded_file("m.npy", FIRST).scan, np.zeros((0, 2))))
    keep_recent(SHELF, part, content)
    assert store.content(SHELF, part) == content and [path.parent.name for path in store.folder.rglob("*.zip")] == [SHELF]
