"""The Synthesize and the Latent space page, driven through app.py."""

from __future__ import annotations

import pytest
from streamlit.testing.v1 import AppTest

from qpi_core.base.provenance import bytes_sha256
from qpi_core.evaluation.metrics import kernel_errors
from qpi_core.extraction.methods import METHODS
from qpi_core.synthesis.kernel_families.families import FAMILIES, SyntheticKernel, draw_synthetic_kernel
from qpi_core.synthesis.simulated_maps.synthetic_scene import SceneRecipe, simulate_scene
from tests.ui.app_driver import start, wait_for_job
from ui.widgets.progress_steps import plain


@pytest.fixture
def app(monkeypatch: pytest.MonkeyPatch) -> AppTest:
    monkeypatch.setattr("qpi_core.extraction.extractor.Extractor.has_model", property(lambda self: False))
    return start().switch_page("pages/synthesize.py").run()


def test_sliders_move_the_pictures(app: AppTest):
    assert not app.exception
    before = [chart.proto.spec for chart in app.get("plotly_chart")]
    app.slider(key="syn_wavenumber").set_value(4.5).run()
    after = [chart.proto.spec for chart in app.get("plotly_chart")]
    assert not app.exception and len(before) == len(after) == 2
    assert all(old != new for old, new in zip(before, after, strict=True))
    assert any("2B = 9 rad/nm" in text.value for text in app.markdown)


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_shows_its_kernel_formula_and_source(app: AppTest, family: str):
    app.selectbox(key="syn_family").set_value(family).run()
    assert not app.exception and not app.error
    assert app.latex[0].value.strip("$\n") == FAMILIES[family].formula
    assert any(plain(FAMILIES[family].source) in caption.value for caption in app.caption)
    before = app.get("plotly_chart")[0].proto.spec
    app.button(key="syn_draw").click().run()
    assert not app.exception and not app.error
    assert app.get("plotly_chart")[0].proto.spec != before
    controls = [*app.slider, *app.select_slider, *app.number_input, *app.selectbox, *app.toggle]
    assert all(control.help for control in controls)


def test_draw_one_sets_the_sliders_to_the_drawn_kernel(app: AppTest):
    app.selectbox(key="syn_family").set_value("square").run()
    app.number_input(key="syn_kernel_seed").set_value(11).run()
    drawn = draw_synthetic_kernel("square", 11).parameters
    assert app.slider(key="syn_wave_vector").value == pytest.approx(drawn.wave_vector, abs=0.051)
    assert app.slider(key="syn_zone_square").value == pytest.approx(drawn.zone_fraction, abs=0.0051)
    assert app.select_slider(key="syn_strength").value == pytest.approx(drawn.strength, abs=0.051)
    app.switch_page("pages/extract.py").run().switch_page("pages/synthesize.py").run()
    assert app.selectbox(key="syn_family").value == "square"
    assert app.slider(key="syn_wave_vector").value == pytest.approx(drawn.wave_vector, abs=0.051)
    app.button(key="syn_draw").click().run()
    assert app.number_input(key="syn_kernel_seed").value == 12


def test_a_continuum_has_no_zone_and_says_so(app: AppTest):
    app.selectbox(key="syn_family").set_value("several").run()
    assert app.slider(key="syn_zone_none").disabled and "no zone" in app.slider(key="syn_zone_none").help
    assert app.slider(key="syn_angle").disabled and "nothing to turn" in app.slider(key="syn_angle").help


def test_scene_opens_in_extract_with_its_defects_and_its_origin(app: AppTest):
    app.selectbox(key="syn_family").set_value("spline").run()
    app.slider(key="syn_count").set_value(3).run()
    app.button(key="send_scene").click().run()
    assert not app.exception
    space = app.session_state["workspace"]
    assert space.loaded.name == "simulated_spline_7.npy" and len(space.defects.points) == 3
    assert app.button(key="extract").label == "Extract"  # the page itself has changed; AppTest has to be told
    app.switch_page("pages/extract.py").run().selectbox(key="method").set_value("defect_average").run()
    wait_for_job(app.button(key="extract").click().run())
    scene = simulate_scene(SceneRecipe(SyntheticKernel("spline", 0), count=3))
    source = space.outcome.estimate.provenance["input"]
    assert source["simulation"]["kernel"]["family"] == "spline"
    assert source["sha256"] == source["simulation"]["map"]["sha256"] == bytes_sha256(scene.map_bytes())


def test_isotropic_kernel_has_no_orientation_and_says_so(app: AppTest):
    app.select_slider(key="syn_order").set_value(0).run()
    slider = app.slider(key="syn_orientation")
    assert slider.disabled and "no orientation" in slider.help


@pytest.mark.slow
def test_comparison_shows_the_error_of_every_method(app: AppTest):
    wait_for_job(app.button(key="compare").click().run(), "comparison")
    assert not app.exception and not app.error
    comparison = app.session_state["workspace"].comparison
    assert [result.method for result in comparison.results if result.errors is None] == [
        name for name in (result.method for result in comparison.results) if METHODS[name].needs_model
    ]
    found = {result.method: result for result in comparison.results if result.errors}
    assert set(found) == {name for name, method in METHODS.items() if not method.needs_model}
    expected = kernel_errors(found["tikhonov"].kernel, comparison.scene.kernel)
    assert found["tikhonov"].errors == expected
    assert found["tikhonov"].errors.rmse < found["defect_average"].errors.rmse
    table = app.dataframe[0].value
    assert list(table["RMSE"]) == sorted(table["RMSE"]) and len(table) == len(found)


def test_latent_page_without_a_model_says_what_to_do(app: AppTest):
    app.switch_page("pages/latent.py").run()
    assert not app.exception
    assert "Train one" in app.info[0].value
