"""Solving a stack on its page: against the backend, stopped, with classes, in part, and kept."""

from __future__ import annotations

import io
import threading
import zipfile

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from qpi_core.base.errors import InputError
from qpi_core.extraction.extractor import Extractor
from qpi_core.extraction.stability.stack_stability import assess_stack
from qpi_core.extraction.stacks.stack_extraction import extract_stack
from qpi_core.qspace.dispersion.energy_map import energy_map
from qpi_core.results.session.session_file import load_session, session_bytes
from qpi_core.results.stacks.stack_archive import stack_zip
from tests.ui.app_driver import ROOT, wait_for_job
from tests.ui.stacks.stack_app import ENERGIES, PITCH, POSITIONS, SIZE, STACK, chart, compute
from ui.autosave.store import AutosaveStore
from ui.jobs.workers.queues import long_queue
from ui.state.saved_stack import stack_outcome_of
from ui.widgets.session_panel import session_of


def test_layers_energy_map_and_band_are_those_of_the_backend(ready: AppTest):
    app = compute(ready)
    assert not app.exception and not app.error
    expected = extract_stack(
        Extractor(device="cpu"),
        STACK.astype(np.float32),
        POSITIONS,
        bias_mv=ENERGIES,
        pixel_size_nm=PITCH,
        kernel_size=SIZE,
        method="tikhonov",
    )
    outcome = app.session_state["workspace"].stack_outcome
    np.testing.assert_array_equal(outcome.estimate.kernels, expected.kernels)
    np.testing.assert_allclose(outcome.views[""].spectra.magnitude, energy_map(expected.kernels, ENERGIES, PITCH).magnitude)
    app.select_slider(key=next(one.key for one in app.select_slider if "stack_layer" in one.key)).set_value(3).run()
    assert chart(app, "energies")["layout"]["shapes"][0]["y0"] == ENERGIES[3]
    rings, parabola = (trace for trace in chart(app, "energies")["data"] if trace.get("name") in ("rings", "fit"))
    assert rings["y"] == ENERGIES.tolist() and len(parabola["x"]) == 200
    # The band passes close to its own rings.
    assert np.abs(np.interp(rings["x"], parabola["x"], parabola["y"]) - ENERGIES).max() < 15
    assert any("electron masses" in text.value for text in app.markdown) and any("systematic" in text.value for text in app.caption)
    app.get_by_key("stack_fit").set_value("line").run()
    straight = chart(app, "energies")["data"][-1]
    assert np.ptp(np.diff(straight["y"])) < 1e-6 and any("km/s" in text.value for text in app.markdown)


@pytest.mark.slow
def test_a_cancelled_stack_keeps_its_layers_and_goes_on(ready: AppTest, monkeypatch: pytest.MonkeyPatch):
    extract, calls = Extractor.extract, []

    def cancel_in_the_second(self, *arguments, **more):
        calls.append(1)
        if len(calls) == 2:
            ready.session_state["workspace"].jobs.get("stack").cancel()
        return extract(self, *arguments, **more)

    monkeypatch.setattr(Extractor, "extract", cancel_in_the_second)
    # The job waits in the queue until the page knows it.
    monkeypatch.setattr("ui.jobs.workers.register.PATIENCE_SECONDS", 0.0)
    gate = threading.Event()
    long_queue().submit("gate", lambda job: gate.wait(60))
    ready.button(key="extract_stack").click().run()
    assert ready.button(key="extract_stack").disabled and ready.session_state["workspace"].jobs.get("stack") is not None
    ready.switch_page("pages/extract.py").run()
    gate.set()
    wait_for_job(ready.switch_page("pages/stacks.py"), "stack")
    outcome = ready.session_state["workspace"].stack_outcome
    # A cancel interrupts the layer that is being solved, unless that ends first.
    done = outcome.estimate.done.tolist()
    assert done in ([True, False, False, False, False], [True, True, False, False, False])
    assert any(f"Stopped after {sum(done)} of 5 layers" in text.value for text in ready.warning)
    assert ready.button(key="extract_stack").label == "Go on"
    compute(ready)
    whole = ready.session_state["workspace"].stack_outcome.estimate
    # A layer that was interrupted is solved again.
    assert not ready.exception and whole.complete and len(calls) == 7 - sum(done)
    np.testing.assert_array_equal(whole.kernels[: sum(done)], outcome.estimate.kernels[: sum(done)])
    ready.slider(key="stack_kernel_size").set_value(SIZE - 2).run()
    assert any("out of date" in text.value for text in ready.warning)


@pytest.mark.slow
def test_classes_are_solved_together_and_shown_one_at_a_time(ready: AppTest):
    defects = ready.session_state["workspace"].defects
    labels = ["vacancy", "dopant"] * 5
    defects.replace(POSITIONS, "list", labels)
    app = compute(ready.run())
    assert not app.exception and not app.error and any("10 defects of 2 classes" in text.value for text in app.caption)
    arguments = {"bias_mv": ENERGIES, "pixel_size_nm": PITCH, "kernel_size": SIZE, "method": "tikhonov"}
    expected = extract_stack(Extractor(device="cpu"), STACK.astype(np.float32), POSITIONS, classes=labels, **arguments)
    views = app.session_state["workspace"].stack_outcome.views
    for name in expected.names:
        np.testing.assert_array_equal(views[name].estimate.kernels, expected[name].kernels)
    shown = []
    for name in expected.names:
        app.get_by_key("stack_class").set_value(name).run()
        assert not app.exception
        shown.append(chart(app, "energies")["data"][0]["z"])
    assert shown[0] != shown[1]
    outcome = app.session_state["workspace"].stack_outcome
    np.testing.assert_array_equal(outcome.result.positions, expected.positions)
    assert outcome.result.classes == expected.classes and outcome.question.record()["sha256"] == outcome.question.file_sha256
    files = zipfile.ZipFile(io.BytesIO(stack_zip(outcome.result, outcome.findings, outcome.question.record())))
    assert {"class_vacancy/kernels.npy", "class_dopant/kernels.npy", "report.html", "stack.json"} <= set(files.namelist())
    assert "load_map('grid.npz'" in files.read("reproduce.py").decode()


@pytest.mark.slow
@pytest.mark.parametrize("several", [False, True], ids=["one class", "two classes"])
def test_a_saved_session_and_a_reload_keep_the_stack(ready: AppTest, tmp_path, monkeypatch: pytest.MonkeyPatch, several: bool):
    store, tab = AutosaveStore(tmp_path / "kept"), "0123456789abcdef" * 2
    monkeypatch.setattr("ui.autosave.keeping.store", lambda: store)
    monkeypatch.setattr("ui.autosave.panel.store", lambda: store)
    mine = ready.session_state["workspace"]
    mine.autosave.tab = tab
    if several:
        mine.defects.replace(POSITIONS, "list", tuple("AB" * 5))
    compute(ready.run()).run()
    assert all(job.wait(60) for job in mine.autosave.jobs.values()) and (store.folder / tab / "stack.zip").is_file()
    monkeypatch.setattr("ui.autosave.keeping.behind_a_server", lambda: True)
    again = AppTest.from_file(str(ROOT / "app.py"), default_timeout=60)
    again.session_state["browser_page"] = {"value": {"tab": tab, "latest": None, "off": False}}
    again = wait_for_job(again.run().switch_page("pages/stacks.py").run(), "stack")
    theirs = again.session_state["workspace"]
    assert not again.exception and not again.error and not again.warning, "the stack is up to date"
    assert again.selectbox(key="stack_method").value == "tikhonov" and again.slider(key="stack_kernel_size").value == SIZE
    assert theirs.stack_outcome.question.fingerprint() == mine.stack_outcome.question.fingerprint()
    assert list(theirs.stack_outcome.views) == list(mine.stack_outcome.views) == (["A", "B"] if several else [""])
    for name, view in mine.stack_outcome.views.items():
        np.testing.assert_array_equal(theirs.stack_outcome.views[name].estimate.kernels, view.estimate.kernels)
        assert repr(theirs.stack_outcome.views[name].band.parabola) == repr(view.band.parabola)
    session = load_session(session_bytes(session_of(mine, {})))
    assert stack_outcome_of(session.stack, session.scan).result.provenance if not several else session.stack.estimates.keys() == {"A", "B"}
    session.stack.settings["channel"] = "nothing"
    with pytest.raises(InputError, match="settings are damaged"):
        stack_outcome_of(session.stack, session.scan)


@pytest.mark.slow
def test_stability_of_the_stack_is_that_of_the_backend(ready: AppTest):
    space = ready.session_state["workspace"]
    compute(ready.run())
    done = wait_for_job(ready.button(key="check_stack_stability").click().run(), "stack_stability")
    assert not done.exception and not done.error
    outcome, found = space.stack_outcome, space.stack_stability.found
    expected = assess_stack(Extractor("no-such-model", device="cpu"), STACK.astype(np.float32), outcome.result)
    first = expected[""]
    np.testing.assert_allclose(found[""].correlations, first.correlations, atol=1e-6)
    assert any(first.verdict in text.value.replace("\\", "") for text in done.caption)
    assert f"{first.correlations[0, 0]:.3f}" in [metric.value for metric in done.metric]


def test_only_the_energies_that_are_asked_for_are_computed_and_others_can_follow(ready: AppTest):
    key = next(one.key for one in ready.select_slider if one.key.startswith("stack_range"))
    ready.select_slider(key=key).set_value((1, 3)).run()
    app = compute(ready)
    estimate = app.session_state["workspace"].stack_outcome.estimate
    assert estimate.done.tolist() == [False, True, True, True, False] and not app.exception and not app.warning
    assert "3 Kernels of every layer: ready" in "\n".join(text.value for text in app.markdown)
    app.select_slider(key=key).set_value((0, 3)).run()
    assert app.button(key="extract_stack").label == "Go on" and any("after 3 of 4 layers" in text.value for text in app.warning)
    compute(app)
    whole = app.session_state["workspace"].stack_outcome.estimate
    assert whole.done.tolist() == [True, True, True, True, False]
    np.testing.assert_array_equal(whole.kernels[1:4], estimate.kernels[1:4])


def test_layers_come_in_while_others_are_computed(ready: AppTest, monkeypatch: pytest.MonkeyPatch):
    extract, seen = Extractor.extract, []
    monkeypatch.setattr("ui.jobs.stack_solving._SHOW_AGAIN_SECONDS", 0.0)

    def watch(self, *arguments, **more):
        job = ready.session_state["workspace"].jobs.get("stack")
        seen.append(None if job is None or job.best is None else int(job.best.estimate.done.sum()))
        return extract(self, *arguments, **more)

    monkeypatch.setattr(Extractor, "extract", watch)
    app = compute(ready)
    assert not app.exception and seen[-1] == len(ENERGIES) - 1, seen
