"""A session saved in one browser and opened in another, and what is on offer to take home."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from qpi_core.results.session.session_file import session_bytes
from tests.results.session.test_session_file import rewritten
from tests.ui.app_driver import POSITIONS, noiseless_map, npy, start, wait_for_job
from tests.ui.extract.test_extract import extract, put_defects, upload
from ui.state.preparation_state import preparation_of
from ui.state.saved_controls import controls_of, remembered_controls, usable_controls
from ui.widgets.session_panel import session_of


@pytest.fixture(scope="module", autouse=True)
def without_networks() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("qpi_core.extraction.extractor.Extractor.has_model", property(lambda self: False))
        yield


@pytest.fixture(scope="module")
def finished(without_networks: None) -> AppTest:
    """A page with a result, without networks; no test changes its map, its defects or its result."""
    app = upload(start(), "map.npy", npy(noiseless_map()))
    put_defects(app, POSITIONS)
    app.button(key="prepare_add").click().run()  # a plane is the first proposal
    app.selectbox(key="colours").set_value("magma").run()
    return extract(app)


def saved(app: AppTest) -> bytes:
    space = app.session_state["workspace"]
    keys = [key for key, _ in remembered_controls(space.loaded).values()]
    state = {key: app.session_state[key] for key in keys if key in app.session_state}
    return session_bytes(session_of(space, controls_of(state, space.loaded)))


@pytest.mark.slow
def test_a_new_browser_goes_on_where_the_old_one_was(finished: AppTest):
    content = saved(finished)
    other = wait_for_job(upload(start(), "work.zip", content))
    assert not other.exception and not other.error
    mine, theirs = finished.session_state["workspace"], other.session_state["workspace"]
    np.testing.assert_array_equal(theirs.defects.points, POSITIONS)
    np.testing.assert_array_equal(theirs.loaded.scan.layer(), mine.loaded.scan.layer())
    assert preparation_of(theirs).steps == [{"step": "level", "kind": "plane"}] and other.selectbox(key="colours").value == "magma"
    assert other.selectbox(key="method").value == "tikhonov"
    np.testing.assert_array_equal(theirs.outcome.estimate.kernel, mine.outcome.estimate.kernel)
    assert theirs.outcome.question.fingerprint() == mine.outcome.question.fingerprint()
    assert any("3 Kernel: ready" in text.value for text in other.markdown), "nothing has to be computed again"


@pytest.mark.slow
def test_a_damaged_session_gives_a_sentence_and_nothing_is_lost(finished: AppTest):
    content = saved(finished)
    finished.file_uploader(key="map_upload").clear().run()
    before = finished.session_state["workspace"].outcome
    upload(finished, "work.zip", content[: len(content) // 2] + content[len(content) // 2 + 40 :])
    assert not finished.exception and len(finished.error) == 1
    assert finished.session_state["workspace"].outcome is before


@pytest.mark.slow
def test_controls_out_of_a_file_are_checked(finished: AppTest):
    loaded = finished.session_state["workspace"].loaded
    good = {"colours": "magma", "limits": [1, 99], "kernel_size": 32, "channel": "data"}
    assert usable_controls(good, loaded) == {
        "colours": "magma",
        "limits": (1, 99),
        "kernel_size": 32,
        f"channel_{loaded.sha256[:12]}": "data",
    }
    bad = {"colours": "<b>", "limits": [99, 1], "kernel_size": True, "channel": "other", "fft_log": "yes", "strange": 1}
    assert usable_controls(bad, loaded) == {} and usable_controls([1], loaded) == {}


@pytest.mark.slow
def test_what_cannot_be_had_says_why(finished: AppTest):
    from ui.widgets.downloads import picture_files, picture_styles, single_files, whole_results

    outcome = finished.session_state["workspace"].outcome
    missing = {file.kind: file.missing for file in single_files(outcome) if file.missing}
    assert set(missing) == {"gwy"} and "pixel size" in missing["gwy"]
    pictures = {file.kind: file.missing for file in picture_files(outcome, "svg", picture_styles(outcome, {}))}
    assert {kind for kind, why in pictures.items() if why} == {"uncertainty_svg"} and "no uncertainty" in pictures["uncertainty_svg"]
    sized = dataclasses.replace(outcome, estimate=dataclasses.replace(outcome.estimate, pixel_size_nm=(0.1, 0.1)))
    assert not [file.kind for file in single_files(sized) if file.missing]
    assert [file.kind for file in whole_results(outcome)] == ["zip", "report", "npz", "json"]


LIES = [
    (("estimate", "provenance", "input"), "<b>"),
    (("estimate", "provenance", "input", "layer_index"), "0"),
    (("estimate", "symmetry_order"), "four"),
    (("estimate", "method"), "\ud800"),
    (("estimate", "background"), 10**400),
    (("settings", "name"), ["map.npy"]),
    (("settings", "view", "unit"), ["m"]),
    (("settings", "view", "limits"), [0, 1e999]),
]


@pytest.mark.slow
def test_a_session_that_lies_gives_a_sentence_and_no_broken_page(finished: AppTest):
    content = saved(finished)
    for place, value in LIES:

        def lie(text, place=place, value=value):
            target = text["results"][0]
            for name in place[:-1]:
                target = target[name]
            target[place[-1]] = value

        app = upload(finished, "lie.zip", rewritten(content, lie))
        assert not app.exception and len(app.error) == 1 and "save the session again" in app.error[0].value, place
