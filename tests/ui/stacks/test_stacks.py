"""The Stacks page, driven through app.py."""

from __future__ import annotations

import base64
import io
import json
import threading
import zipfile

import numpy as np
import pytest
from scipy.special import hankel1
from streamlit.testing.v1 import AppTest

from qpi_core.base.errors import InputError
from qpi_core.extraction.extractor import Extractor
from qpi_core.extraction.stack_stability import assess_stack
from qpi_core.extraction.stacks import extract_stack
from qpi_core.qspace.dispersion import HBAR2_OVER_2M_MEV_NM2
from qpi_core.qspace.energy_map import energy_map
from qpi_core.results.session_file import load_session, session_bytes
from qpi_core.results.stack_bundle import stack_zip
from qpi_core.results.stack_files import energy_map_csv
from qpi_core.synthesis.simulated_maps.scenes import superpose
from tests.ui.app_driver import ROOT, npy, start, wait_for_job
from ui.autosave.store import AutosaveStore
from ui.charts.stack import scaled
from ui.jobs.queues import long_queue
from ui.stacks.energies import clicked_layer
from ui.stacks.layer_view import explained, layer_values
from ui.state.example_stack import EDGE_MEV
from ui.state.saved_stack import stack_outcome_of
from ui.widgets.session_panel import session_of

PITCH, SIZE, SHAPE = 0.3, 24, (34, 36)
ENERGIES = np.array([60.0, 105.0, 150.0, 195.0, 240.0])
POSITIONS = np.random.default_rng(3).uniform([0, 0], [SHAPE[1] - 1, SHAPE[0] - 1], (10, 2))


def layer(energy: float) -> np.ndarray:
    """A map of a free-electron-like state from -65 meV with 0.4 electron masses."""
    k = np.sqrt((energy + 65.0) * 0.4 / HBAR2_OVER_2M_MEV_NM2)

    def pattern(dx, dy):
        r = np.hypot(np.hypot(dx, dy), 0.15)
        return -np.imag(np.exp(-1.2j) * hankel1(0, k * r) ** 2) * np.exp(-r / 8.0)

    return superpose(pattern, POSITIONS, SHAPE, PITCH)


STACK = np.stack([layer(energy) for energy in ENERGIES])


def npz() -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, didv=STACK, bias_mv=ENERGIES, pixel_size_nm=PITCH)
    return buffer.getvalue()


@pytest.fixture
def app(monkeypatch: pytest.MonkeyPatch) -> AppTest:
    monkeypatch.setattr("qpi_core.extraction.extractor.Extractor.has_model", property(lambda self: False))
    return start()


@pytest.fixture
def ready(app: AppTest) -> AppTest:
    """The Stacks page with a stack, its defects and a fast method."""
    app.file_uploader(key="map_upload").upload("grid.npz", npz()).run()
    app.session_state["workspace"].defects.replace(POSITIONS, "list")
    app.run().switch_page("pages/stacks.py").run()
    app.slider(key="stack_kernel_size").set_value(SIZE).run()
    return app.selectbox(key="stack_method").set_value("tikhonov").run()


def chart(app: AppTest, name: str) -> dict:
    specs = [json.loads(one.proto.spec) for one in app.get("plotly_chart")]
    return next(spec for spec in specs if spec["layout"].get("uirevision") == name)


def compute(app: AppTest) -> AppTest:
    return wait_for_job(app.button(key="extract_stack").click().run(), "stack")


def test_page_says_what_is_missing(app: AppTest):
    app.switch_page("pages/stacks.py").run()
    assert "No map is open" in app.info[0].value
    app.switch_page("pages/extract.py").run()
    app.file_uploader(key="map_upload").upload("one.npy", npy(STACK[0])).run()
    app.switch_page("pages/stacks.py").run()
    assert "one layer only" in app.info[0].value
    app.switch_page("pages/extract.py").run()
    app.file_uploader(key="map_upload").clear().run().file_uploader(key="map_upload").upload("grid.npz", npz()).run()
    app.session_state["workspace"].defects.replace(np.zeros((0, 2)), "list")
    app.switch_page("pages/stacks.py").run()
    assert "No defects are marked" in app.info[0].value and not app.exception


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


def test_a_layer_has_its_q_space_view_and_a_cut_goes_over_the_energies(ready: AppTest):
    app = compute(ready)
    magnitude, whole = (trace for trace in chart(app, "qspace rad/nm 1")["data"] if trace["type"] == "heatmap")
    assert magnitude["zmax"] == whole["zmax"] and whole["dx"] == pytest.approx(2 * np.pi / (SHAPE[1] * PITCH))
    app.get_by_key("q_profile").set_value("cut").run()
    app.number_input(key="q_cut_angle").set_value(90.0).run()
    assert not app.exception
    specs = [json.loads(one.proto.spec) for one in app.get("plotly_chart")]
    cut = next(spec for spec in specs if "along 90°" in str(spec["layout"]["annotations"]))
    expected = energy_map(app.session_state["workspace"].stack_outcome.estimate.kernels, ENERGIES, PITCH, "none", np.pi / 2)
    assert cut["data"][0]["dx"] == pytest.approx(expected.q[1])
    drawn = np.frombuffer(base64.b64decode(cut["data"][0]["z"]["bdata"]), "<f4").reshape(expected.magnitude.shape)
    np.testing.assert_allclose(drawn, expected.magnitude, rtol=1e-5)


def test_a_cancelled_stack_keeps_its_layers_and_goes_on(ready: AppTest, monkeypatch: pytest.MonkeyPatch):
    extract, calls = Extractor.extract, []

    def cancel_in_the_second(self, *arguments, **more):
        calls.append(1)
        if len(calls) == 2:
            ready.session_state["workspace"].jobs.get("stack").cancel()
        return extract(self, *arguments, **more)

    monkeypatch.setattr(Extractor, "extract", cancel_in_the_second)
    # The job waits in the queue until the page knows it.
    monkeypatch.setattr("ui.jobs.register.PATIENCE_SECONDS", 0.0)
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
    app.selectbox(key="stack_method").set_value("parametric").run()
    assert app.button(key="extract_stack").disabled


def test_the_model_of_a_layer_is_the_sum_of_its_kernels_at_the_defects(ready: AppTest):
    places = np.rint(POSITIONS)
    ready.session_state["workspace"].defects.replace(places, "list", ["A", "B"] * 5)
    outcome = compute(ready.run()).session_state["workspace"].stack_outcome
    np.testing.assert_array_equal(layer_values(outcome, 2), STACK[2].astype(np.float32))
    padded = np.zeros((SHAPE[0] + 2 * SIZE, SHAPE[1] + 2 * SIZE))
    for number, (x, y) in enumerate(places.astype(int)):
        kernel = outcome.views["AB"[number % 2]].estimate.kernels[2]
        top, left = y + SIZE - SIZE // 2, x + SIZE - SIZE // 2
        padded[top : top + SIZE, left : left + SIZE] += kernel
    expected = padded[SIZE:-SIZE, SIZE:-SIZE] + outcome.estimate.background[2]
    np.testing.assert_allclose(explained(outcome, 2, SHAPE), expected, atol=1e-4 * np.abs(expected).max())


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


def test_play_goes_from_one_energy_to_the_next(ready: AppTest, monkeypatch: pytest.MonkeyPatch):
    app = compute(ready)
    key = next(one.key for one in app.select_slider if one.key.startswith("stack_layer"))
    app.select_slider(key=key).set_value(4).run()
    monkeypatch.setattr("ui.stacks.result._PLAY_SECONDS", 0.0)
    app.toggle(key="stack_play").set_value(True).run()
    assert app.select_slider(key=key).value == 0, "after the last one comes the first"
    app.run()
    assert app.select_slider(key=key).value == 1 and not app.exception


def test_a_click_on_an_energy_goes_there(ready: AppTest):
    view = compute(ready).session_state["workspace"].stack_outcome.views[""]
    state = {"stack_energies": {"selection": {"points": [{"x": 1.0, "y": 151.0}]}}}
    assert clicked_layer(state, view) == 2
    assert clicked_layer({"stack_energies": {"selection": {"points": []}}}, view) is None
    assert clicked_layer({"stack_energies": {"selection": {"points": [{"y": "x"}, 3]}}}, view) is None


def test_colours_of_each_energy_reach_the_same_maximum_and_logarithms_keep_the_order():
    rows = np.array([[9.0, 9.0, 1.0, 4.0], [90.0, 9.0, 10.0, 2.0], [np.nan] * 4])
    alike, logarithms = scaled(rows, "each"), scaled(rows, "log")
    np.testing.assert_allclose(np.nanmax(alike[:2, 2:], axis=1), 1.0)
    np.testing.assert_allclose(alike[0], rows[0] / 4.0)
    np.testing.assert_allclose(logarithms[:2], np.log10(rows[:2]), rtol=1e-6)
    assert np.isnan(alike[2]).all() and np.isnan(logarithms[2]).all()
    np.testing.assert_array_equal(scaled(rows[:2], "linear"), rows[:2])


def test_energy_map_as_numbers_says_what_its_rows_and_columns_are():
    spectra = energy_map(np.stack([np.eye(16), np.full((16, 16), np.nan), np.ones((16, 16))]), [10.0, 20.0, 30.0], PITCH)
    head, *lines = energy_map_csv(spectra, True).decode().splitlines()
    assert head.startswith("bias_mv,q=0_rad_per_nm") and len(head.split(",")) == 1 + len(spectra.q)
    assert lines[1].split(",")[0] == "20" and set(lines[1].split(",")[1:]) == {""}
    np.testing.assert_allclose(np.array(lines[2].split(","), dtype=float), [30.0, *spectra.magnitude[2]], rtol=1e-8)


def test_several_scans_become_one_stack_in_the_order_of_energies(app: AppTest):
    app.switch_page("pages/stacks.py").run()

    def scan(index: int) -> bytes:
        buffer = io.BytesIO()
        np.savez(buffer, didv=STACK[index], bias_mv=ENERGIES[index], pixel_size_nm=PITCH)
        return buffer.getvalue()

    app.file_uploader(key="stack_upload").set_value([(f"{index}.npz", scan(index), "application/zip") for index in (2, 0, 1)]).run()
    space = app.session_state["workspace"]
    assert not app.exception and not space.stack_load_problem, space.stack_load_problem
    np.testing.assert_array_equal(space.loaded.scan.bias_mv, ENERGIES[:3])
    assert space.loaded.scan.stack().shape == (3, *SHAPE)
    app.file_uploader(key="stack_upload").set_value([("a.npz", scan(0), "application/zip"), ("b.npy", b"nothing", "")]).run()
    assert "b.npy" in space.stack_load_problem and space.loaded.scan.stack().shape == (3, *SHAPE) and app.error


@pytest.mark.slow
def test_the_example_stack_is_solved_by_one_press_and_its_band_fitted(app: AppTest):
    app.switch_page("pages/stacks.py").run()
    app.button(key="example_stack").click().run()
    app = wait_for_job(app, "stack")
    space = app.session_state["workspace"]
    assert not app.exception and space.stack_outcome.estimate.complete
    app = wait_for_job(app.button(key="fit_band").click().run(), "band")
    assert not app.exception and not app.error
    edge, spread = space.stack_band.model.parameters["band_edge_mev"]
    assert abs(edge - EDGE_MEV) < max(3 * spread, 1.5)
    before = len(app.get("plotly_chart"))
    app.toggle(key="band_guide").set_value(True).run()
    assert not app.exception and not app.error and len(app.get("plotly_chart")) == before + 2
    app.button(key="judge_gap").click().run()
    assert not app.exception and app.error, "a gap needs energies of both signs"


def test_layers_come_in_while_others_are_computed(ready: AppTest, monkeypatch: pytest.MonkeyPatch):
    extract, seen = Extractor.extract, []
    monkeypatch.setattr("ui.jobs.stack._SHOW_AGAIN_SECONDS", 0.0)

    def watch(self, *arguments, **more):
        job = ready.session_state["workspace"].jobs.get("stack")
        seen.append(None if job is None or job.best is None else int(job.best.estimate.done.sum()))
        return extract(self, *arguments, **more)

    monkeypatch.setattr(Extractor, "extract", watch)
    app = compute(ready)
    assert not app.exception and seen[-1] == len(ENERGIES) - 1, seen
