"""The Latent space page, driven through app.py."""

from __future__ import annotations

import json

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from qpi_core.networks.atlas import TRAITS, load_atlas
from qpi_core.networks.checkpoints import list_models
from tests.ui.app_driver import start, wait_for_job

pytestmark = pytest.mark.skipif(
    not list_models() or not (list_models()[0].folder / "atlas.npz").is_file(), reason="no released model with an atlas is here"
)


@pytest.fixture
def app() -> AppTest:
    return wait_for_job(start().switch_page("pages/latent.py").run(), "latent")


def chart(app: AppTest, number: int) -> dict:
    return json.loads(app.get("plotly_chart")[number].proto.spec)


def numbers(app: AppTest) -> int:
    return sum(len(trace["text"]) for trace in scatter(app)["data"] if "text" in trace)


def scatter(app: AppTest) -> dict:
    return next(
        spec for spec in map(lambda n: chart(app, n), range(len(app.get("plotly_chart")))) if spec["layout"].get("uirevision") == "latent"
    )


@pytest.mark.slow
def test_every_trait_colours_every_kernel(app: AppTest):
    assert not app.exception and not app.error
    assert not any("has ended" in caption.value for caption in app.caption), "the page that is open has its own result in sight"
    known = load_atlas(list_models()[0].folder)
    for name in ("family", *TRAITS):
        app.get_by_key("latent_colour").set_value(name).run()
        assert not app.exception and numbers(app) == len(known)


@pytest.mark.slow
def test_path_is_decoded_along_the_slider(app: AppTest):
    def kernel() -> str:
        specs = [chart(app, number) for number in range(len(app.get("plotly_chart")))]
        return next(json.dumps(spec["data"][0]["z"]) for spec in specs if spec["layout"].get("uirevision") == "kernel")

    first = kernel()
    app.slider(key="latent_fraction").set_value(1.0).run()
    last = kernel()
    app.slider(key="latent_fraction").set_value(0.5).run()
    line = kernel()
    app.get_by_key("latent_path").set_value("slerp").run()
    assert not app.exception and len({first, last, line, kernel()}) == 4
    app.slider(key="latent_fraction").set_value(0.0).run()
    assert kernel() == first
    app.button(key="latent_point_A").click().run()
    assert app.session_state["latent_end_a"] == 0 and kernel() != first


def test_the_kernel_of_a_point_opens_in_synthesize(app: AppTest):
    known = load_atlas(list_models()[0].folder)
    app.button(key="latent_to_synthesize").click().run()
    app.switch_page("pages/synthesize.py").run()
    assert not app.exception and app.selectbox(key="syn_family").value == known.kernel(0).family
    assert np.isfinite(known.column("symmetry_order")).any()
