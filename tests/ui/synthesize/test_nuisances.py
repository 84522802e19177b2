""" "Make it look measured" on the Synthesize page, driven through app.py."""

from __future__ import annotations

import pytest
from streamlit.testing.v1 import AppTest

from qpi_core.synthesis.simulated_maps.measured_variants import NUISANCES, parse_variant
from tests.ui.app_driver import start
from ui.synthesize.nuisance_controls import CONTROLS


@pytest.fixture
def app(monkeypatch: pytest.MonkeyPatch) -> AppTest:
    monkeypatch.setattr("qpi_core.extraction.extractor.Extractor.has_model", property(lambda self: False))
    return start().switch_page("pages/synthesize.py").run()


def pictures(app: AppTest) -> list[str]:
    return [chart.proto.spec for chart in app.get("plotly_chart")]


def test_a_nuisance_changes_the_map_and_leaves_the_kernel(app: AppTest):
    before = pictures(app)
    app.multiselect(key="syn_nuisances").set_value(["background"]).run()
    assert not app.exception and not app.error
    kernel, scene = pictures(app)
    assert kernel == before[0] and scene != before[1]
    app.slider(key="syn_level_background").set_value(3.0).run()
    assert pictures(app)[1] != scene
    app.multiselect(key="syn_nuisances").set_value([]).run()
    assert pictures(app) == before


def test_every_nuisance_has_a_slider_that_its_generator_takes(app: AppTest):
    app.multiselect(key="syn_nuisances").set_value(list(CONTROLS)).run()
    assert not app.exception and not app.error
    for name, control in CONTROLS.items():
        slider = app.slider(key=f"syn_level_{name}")
        assert slider.value == control.usual and slider.help
        NUISANCES[name](slider.min), NUISANCES[name](slider.max)
    assert all(control.help for control in (*app.toggle, *app.multiselect))


def test_a_mixture_sets_the_controls(app: AppTest):
    app.button(key="syn_all-medium").click().run()
    assert not app.exception and not app.error
    chosen = app.multiselect(key="syn_nuisances").value
    made = tuple(NUISANCES[name](app.slider(key=f"syn_level_{name}").value) for name in chosen)
    assert made == parse_variant("all-medium").nuisances
    assert any("leaves out 2 of a second kind" in text.value for text in app.markdown)
    app.toggle(key="syn_listed").set_value(True).run()
    assert not any("leaves out" in text.value for text in app.markdown)


def test_a_measured_scene_opens_in_extract_with_its_list_and_its_origin(app: AppTest):
    app.button(key="syn_all-weak").click().run()
    app.button(key="send_scene").click().run()
    assert not app.exception
    space = app.session_state["workspace"]
    assert len(space.defects.points) == 19
