"""The Stacks page, driven through app.py."""

from __future__ import annotations

import base64
import io
import json
import threading

import numpy as np
import pytest
from scipy.special import hankel1
from streamlit.testing.v1 import AppTest

from qpi_core.extraction.extractor import Extractor
from qpi_core.extraction.stacks import extract_stack
from qpi_core.qspace.dispersion import HBAR2_OVER_2M_MEV_NM2
from qpi_core.qspace.energy_map import energy_map
from qpi_core.synthesis.simulated_maps.scenes import superpose
from tests.ui.app_driver import npy, start, wait_for_job
from ui.jobs.queues import long_queue

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
    rings, parabola = (trace for trace in chart(app, "energies")["data"] if trace["type"] == "scatter")
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
    app.selectbox(key="stack_method").set_value("parametric").run()
    assert app.button(key="extract_stack").disabled
