"""The Synthesize and the Latent space page, driven through app.py."""

from __future__ import annotations

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from qpi_core.evaluation.metrics import kernel_errors
from qpi_core.methods import METHODS
from qpi_core.synthesis.kernels import KernelParameters, phenomenological_kernel
from qpi_core.synthesis.scenes import simulate_observation
from tests.app_driver import start, wait_for_job
from ui.synthesis_panel import PIXEL_SIZE_NM, make_scene


@pytest.fixture
def app(monkeypatch: pytest.MonkeyPatch) -> AppTest:
    monkeypatch.setattr("qpi_core.extraction.Extractor.has_model", property(lambda self: False))
    return start().switch_page("pages/synthesize.py").run()


def test_scene_is_the_exact_sum():
    parameters = KernelParameters(3, 0.4, 2.5, 0.7, 0.2)
    scene = make_scene(parameters, 12, 0.0, seed=3, on_grid=False)
    np.testing.assert_allclose(scene.observation, simulate_observation(parameters, scene.positions, (64, 64), PIXEL_SIZE_NM), atol=1e-5)
    np.testing.assert_allclose(scene.kernel, phenomenological_kernel(3, 0.4, 2.5, 0.7, 0.2), atol=1e-6)
    assert scene.noise_sigma == 0


def test_one_slider_changes_one_thing():
    few, many = (make_scene(KernelParameters(), count, 0.3, seed=5, on_grid=True) for count in (10, 11))
    np.testing.assert_array_equal(few.positions, many.positions[:10])
    again = make_scene(KernelParameters(), 10, 0.3, seed=5, on_grid=True)
    np.testing.assert_array_equal(few.observation, again.observation)
    other = make_scene(KernelParameters(), 10, 0.3, seed=6, on_grid=True)
    assert not np.array_equal(few.positions, other.positions)


def test_sliders_move_the_pictures(app: AppTest):
    assert not app.exception
    before = [chart.proto.spec for chart in app.get("plotly_chart")]
    app.slider(key="syn_wavenumber").set_value(4.5).run()
    after = [chart.proto.spec for chart in app.get("plotly_chart")]
    assert not app.exception and len(before) == len(after) == 2
    assert all(old != new for old, new in zip(before, after, strict=True))
    assert any("2B = 9 rad/nm" in text.value for text in app.markdown)


def test_isotropic_kernel_has_no_orientation_and_says_so(app: AppTest):
    app.select_slider(key="syn_order").set_value(0).run()
    slider = app.slider(key="syn_orientation")
    assert slider.disabled and "no orientation" in slider.help


def test_comparison_shows_the_error_of_every_method(app: AppTest):
    wait_for_job(app.button(key="compare").click().run(), "comparison_job")
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
