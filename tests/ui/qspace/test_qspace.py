"""The q-space section, driven through app.py: what it draws, what it keeps, what it says where something cannot be."""

from __future__ import annotations

import base64
import dataclasses
import io
import json

import numpy as np
import pytest
from PIL import Image
from streamlit.testing.v1 import AppTest

from qpi_core.qspace.profiles import qspace_profile
from qpi_core.qspace.spectra import WINDOWS
from qpi_core.qspace.surface_lattice import LATTICE_KINDS, surface_lattice
from qpi_core.qspace.symmetrising import ROTATION_ORDERS
from qpi_core.qspace.view import BESIDE, PADDINGS, Q_UNITS, ZOOMS, QSpaceView, kernel_spectrum
from qpi_core.results.archive import bundle_files
from tests.results.test_files import make_estimate
from tests.ui.app_driver import POSITIONS, noiseless_map, npy, start, wait_for_job
from tests.ui.extract.test_extract import extract, put_defects, upload
from ui.qspace import texts as qspace_texts
from ui.state.saved_controls import controls_of, usable_controls


def npz(pitch: float = 0.2) -> bytes:
    buffer = io.BytesIO()
    noise = 0.05 * np.random.default_rng(0).normal(size=(64, 64))
    np.savez(buffer, didv=noiseless_map() + noise, pixel_size_nm=pitch)
    return buffer.getvalue()


@pytest.fixture
def app(monkeypatch: pytest.MonkeyPatch) -> AppTest:
    """A page with a result, without networks."""
    monkeypatch.setattr("qpi_core.extraction.extractor.Extractor.has_model", property(lambda self: False))
    app = put_defects(upload(start(), "map.npz", npz()), POSITIONS)
    app.slider(key="kernel_size").set_value(32)
    app.toggle(key="refine_clicked").set_value(False)
    return extract(app, "defect_average")


def chart(app: AppTest, name: str) -> dict:
    specs = [json.loads(one.proto.spec) for one in app.get("plotly_chart")]
    return next(spec for spec in specs if str(spec["layout"].get("uirevision")).startswith(name))


def values_of(trace: dict) -> np.ndarray:
    return np.frombuffer(base64.b64decode(trace["z"]["bdata"]), "<f4").reshape([int(n) for n in trace["z"]["shape"].split(",")])


def images(app: AppTest) -> list[dict]:
    return [trace for trace in chart(app, "qspace")["data"] if trace["type"] == "heatmap"]


def set_value(app: AppTest, key: str, value: object) -> AppTest:
    return app.get_by_key(key).set_value(value).run()


def test_kernel_and_map_have_the_same_axes_and_limits(app: AppTest):
    assert not app.exception
    kernel, whole = images(app)
    assert (kernel["zmin"], kernel["zmax"]) == (whole["zmin"], whole["zmax"])
    assert kernel["x0"] == pytest.approx(-np.pi / 0.2) == whole["x0"] and kernel["dx"] == pytest.approx(2 * whole["dx"])
    layout = chart(app, "qspace")["layout"]
    assert layout["xaxis2"]["matches"] == "x" and "rad/nm, 2π included" in layout["xaxis"]["title"]["text"]
    set_value(app, "q_unit", "1/Å")
    assert images(app)[0]["x0"] == pytest.approx(-np.pi / 2.0), "0.2 nm are 2 Å"
    assert "1/Å, 2π included" in chart(app, "qspace")["layout"]["xaxis2"]["title"]["text"]


def test_window_padding_and_logarithm_are_those_of_the_backend(app: AppTest):
    for key, value in (("q_window", "tukey"), ("q_padding", 2), ("q_beside", "phase")):
        set_value(app, key, value)
    app.toggle(key="q_log").set_value(True).run()
    estimate = app.session_state["workspace"].outcome.estimate
    expected = kernel_spectrum(estimate.kernel, QSpaceView(window="tukey", padding=2), estimate.pixel_size_nm).values
    magnitude, phase = images(app)
    drawn = values_of(magnitude)
    strong = drawn > magnitude["zmin"]
    np.testing.assert_allclose(drawn[strong], np.log10(np.abs(expected))[strong], atol=1e-4)
    seen = np.isfinite(values_of(phase))
    np.testing.assert_allclose(np.exp(1j * values_of(phase)[seen]), np.exp(1j * np.angle(expected[seen])), atol=1e-4)
    profile = chart(app, "Ring average")
    assert profile["data"][0]["mode"] == "markers" and len(profile["data"]) == 1


def test_zoom_shows_the_inner_part_on_colours_of_its_own(app: AppTest):
    whole = chart(app, "qspace")
    app.selectbox(key="q_zoom").set_value(4).run()
    inner = chart(app, "qspace")
    np.testing.assert_allclose(inner["layout"]["xaxis"]["range"], np.array(whole["layout"]["xaxis"]["range"]) / 4)
    assert inner["layout"]["xaxis"]["maxallowed"] == whole["layout"]["xaxis"]["range"][1], "all of it can still be reached"
    magnitude = values_of(images(app)[0])
    part = magnitude[12:21, 12:21].copy()
    part[3:6, 3:6] = np.nan
    assert images(app)[0]["zmax"] == pytest.approx(np.nanpercentile(part, 99.7), rel=1e-4)
    np.testing.assert_allclose(chart(app, "Ring average")["layout"]["xaxis"]["range"], [0, np.pi / 0.2 / 4], rtol=0.01)


def test_lattice_is_drawn_where_it_belongs(app: AppTest):
    app.selectbox(key="q_lattice_kind").set_value("oblique").run()
    for key, value in (("q_lattice_a", 0.7), ("q_lattice_b", 0.9), ("q_lattice_angle", 100.0), ("q_lattice_orientation", 20.0)):
        app.number_input(key=key).set_value(value).run()
    set_value(app, "q_unit", "1/Å")
    lattice = surface_lattice("oblique", 0.7, 0.9, np.radians(100), np.radians(20))
    lines = [trace for trace in chart(app, "qspace")["data"] if trace["type"] == "scatter"]
    zone = next(trace for trace in lines if trace["mode"] == "lines")
    np.testing.assert_allclose(np.stack([zone["x"], zone["y"]], axis=1)[:-1], lattice.brillouin_zone() / 10)
    peaks = next(trace for trace in lines if trace["mode"] == "markers")
    np.testing.assert_allclose(np.stack([peaks["x"], peaks["y"]], axis=1), lattice.bragg_peaks((np.pi / 0.2, np.pi / 0.2), 60)[1] / 10)
    assert not app.exception
    app.selectbox(key="q_lattice_kind").set_value("square").run()
    app.number_input(key="q_lattice_a").set_value(0.1).run()
    assert any("beyond the wave vectors" in text.value for text in app.caption)


def test_symmetrising_is_off_and_shows_what_it_removes(app: AppTest):
    assert app.selectbox(key="q_symmetry").value == 1 and not any("Symmetrised" in text.value for text in app.caption)
    plain = values_of(images(app)[0])
    app.selectbox(key="q_symmetry").set_value(4).run()
    assert app.get_by_key("q_beside").value == "removed"
    estimate = app.session_state["workspace"].outcome.estimate
    expected = kernel_spectrum(estimate.kernel, QSpaceView(symmetry_order=4), estimate.pixel_size_nm)
    np.testing.assert_allclose(values_of(images(app)[1]), np.abs(expected.removed), atol=1e-3)
    share = f"{100 * expected.removed_share:.2g} % of the kernel's power was removed"
    assert any(share in text.value for text in app.caption)
    set_value(app, "q_mirror", "found")
    assert any("is even about it" in text.value for text in app.caption)
    app.selectbox(key="q_symmetry").set_value(1).run()
    set_value(app, "q_mirror", "none")
    assert app.get_by_key("q_beside").value == "map" and not app.exception
    np.testing.assert_array_equal(values_of(images(app)[0]), plain)


def test_cut_is_drawn_and_averaged_over_its_width(app: AppTest):
    set_value(app, "q_profile", "cut")
    app.number_input(key="q_cut_angle").set_value(30.0).run()
    app.selectbox(key="q_cut_width").set_value(4).run()
    estimate = app.session_state["workspace"].outcome.estimate
    spectrum = kernel_spectrum(estimate.kernel, QSpaceView(), estimate.pixel_size_nm)
    step = 2 * np.pi / (32 * 0.2)
    expected = qspace_profile(spectrum.values, spectrum.q_step, "magnitude", np.radians(30), 3 * step)
    line = chart(app, "Cut at 30°")["data"][0]
    inside = np.isfinite(expected.values)
    np.testing.assert_allclose(np.array(line["y"], dtype=float)[inside], expected.values[inside])
    np.testing.assert_allclose(line["x"], expected.q)
    edges = [t for t in chart(app, "qspace")["data"] if t["type"] == "scatter" and t["line"].get("dash") == "dash" and t["xaxis"] == "x"]
    assert len(edges) == 4
    slope = (edges[0]["y"][1] - edges[0]["y"][0]) / (edges[0]["x"][1] - edges[0]["x"][0])
    assert slope == pytest.approx(np.tan(np.radians(30)))


def test_signal_to_noise_is_measured_on_demand(app: AppTest):
    numbers = {metric.label: metric.value for metric in app.metric}
    assert numbers["Kernel"] == "not measured" and float(numbers["√N law"]) / float(numbers["One defect"]) == pytest.approx(
        5**0.5, rel=0.01
    )
    wait_for_job(app.button(key="measure_ring").click().run(), "ring")
    assert not app.exception and not app.error
    numbers = {metric.label: metric.value for metric in app.metric}
    assert float(numbers["Kernel"]) > 0 and any("Gain over one defect" in text.value for text in app.caption)
    space = app.session_state["workspace"]
    space.outcome = dataclasses.replace(space.outcome, seconds=1.0)
    app.run()
    assert {metric.label: metric.value for metric in app.metric}["Kernel"] == "not measured", "it belongs to its result"


def test_the_ring_keeps_its_place_in_every_unit(app: AppTest):
    app.slider(key="q_ring_slider").set_value((4.0, 8.0)).run()
    before = {metric.label: metric.value for metric in app.metric}
    set_value(app, "q_unit", "1/Å")
    assert app.slider(key="q_ring_slider").value == pytest.approx((0.4, 0.8)) and app.session_state["q_ring"] == (4.0, 8.0)
    assert {metric.label: metric.value for metric in app.metric} == before
    app.slider(key="q_ring_slider").set_value((0.5, 0.9)).run()
    assert app.session_state["q_ring"] == pytest.approx((5.0, 9.0)) and not app.exception
    assert {metric.label: metric.value for metric in app.metric} != before


def test_settings_stay_over_pages_and_go_into_the_session(app: AppTest):
    app.selectbox(key="q_lattice_kind").set_value("hexagonal").run()
    set_value(app, "q_window", "hann")
    app.switch_page("pages/documentation.py").run()
    app.switch_page("pages/extract.py").run()
    assert app.selectbox(key="q_lattice_kind").value == "hexagonal" and app.get_by_key("q_window").value == "hann"
    loaded = app.session_state["workspace"].loaded
    state = {"q_window": "hann", "q_padding": 4, "q_lattice_a": 0.289, "q_ring": (1.0, 2.0), "q_symmetry": 3, "q_cut_width": 8}
    saved = json.loads(json.dumps(controls_of(state, loaded)))
    assert {key: value for key, value in usable_controls(saved, loaded).items() if key.startswith("q_")} == state
    bad = {"q_window": "no", "q_padding": 3, "q_lattice_a": -1, "q_ring": [1], "q_symmetry": True, "q_lattice_angle": "right"}
    assert usable_controls(bad, loaded) == {}


def test_choices_are_those_of_the_backend():
    assert set(qspace_texts.BESIDE_TITLES) == set(BESIDE) - {"none"} and tuple(qspace_texts.WINDOW_TITLES) == WINDOWS
    assert (
        tuple(qspace_texts.PADDING_TITLES) == PADDINGS
        and tuple(qspace_texts.ZOOM_TITLES) == (0, *ZOOMS)
        and list(qspace_texts.UNIT_TITLES) == list(Q_UNITS)
    )
    assert tuple(qspace_texts.ROTATION_TITLES) == ROTATION_ORDERS and set(qspace_texts.LATTICE_TITLES) == {"none", *LATTICE_KINDS}


def test_without_a_pixel_size_there_is_no_lattice_and_it_says_why(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("qpi_core.extraction.extractor.Extractor.has_model", property(lambda self: False))
    app = put_defects(upload(start(), "map.npy", npy(noiseless_map())), POSITIONS)
    app.toggle(key="refine_clicked").set_value(False)
    extract(app, "defect_average")
    assert not app.exception and app.get_by_key("q_unit").disabled
    assert "rad/px, 2π included" in chart(app, "qspace")["layout"]["xaxis"]["title"]["text"]


@pytest.mark.slow
def test_the_view_goes_home_in_report_and_bundle():
    files = bundle_files(make_estimate(), QSpaceView("map", "hann", lattice=surface_lattice("square", 0.5)))
    with Image.open(io.BytesIO(files["qspace.png"])) as picture:
        assert picture.text["Window"] == "hann"
    assert json.loads(files["qspace.json"])["lattice"]["a_nm"] == 0.5
    page = files["report.html"].decode()
    assert 'alt="q-space"' in page and "Lattice: a 0.5 nm" in page
