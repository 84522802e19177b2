"""A file that was uploaded is taken over once, with the callback of its uploader and without."""

from __future__ import annotations

import pytest
import streamlit as st

from tests.ui.app_driver import noiseless_map, npy, start


@pytest.fixture(params=["callback comes", "callback is dropped"])
def app(request, monkeypatch):
    if request.param == "callback is dropped":
        shown = st.file_uploader
        monkeypatch.setattr(st, "file_uploader", lambda *args, on_change=None, **options: shown(*args, **options))
    return start()


@pytest.mark.slow
def test_the_map_is_taken_and_the_file_that_stays_in_the_uploader_is_not_taken_again(app):
    app.file_uploader(key="map_upload").upload("map.npy", npy(noiseless_map())).run()
    space = app.session_state["workspace"]
    assert space.loaded.scan.name.startswith("map")
    first = space.loaded
    app.run()
    assert space.loaded is first
    next(button for button in app.button if button.label == "Try the example").click().run()
    assert space.loaded is not first
    app.run()
    assert space.loaded is not first
    app.file_uploader(key="map_upload").clear().run()
    app.file_uploader(key="map_upload").upload("map.npy", npy(noiseless_map())).run()
    assert space.loaded.sha256 == first.sha256


@pytest.mark.slow
def test_a_file_that_cannot_be_read_is_told(app):
    app.file_uploader(key="map_upload").upload("map.npy", b"nothing").run()
    assert app.session_state["workspace"].loaded is None
    assert any("map.npy" in error.value for error in app.error)
    assert not app.exception
