"""The bar at the lower edge: what is missing, and computations that are in sight on every page; the kernel before the rest."""

from __future__ import annotations

import threading

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from tests.ui.app_driver import POSITIONS, noiseless_map, npy, start, wait_for_job
from ui.jobs.workers.queues import Job, job_queue, long_queue
from ui.widgets.bottom_bar import progress_text

OTHER_PAGES = ("stacks", "synthesize", "benchmark", "documentation")


@pytest.fixture
def app(monkeypatch: pytest.MonkeyPatch) -> AppTest:
    monkeypatch.setattr("qpi_core.extraction.extractor.Extractor.has_model", property(lambda self: False))
    app = start()
    app.file_uploader(key="map_upload").upload("map.npy", npy(noiseless_map())).run()
    app.session_state["workspace"].defects.replace(POSITIONS, "test")
    return app.run().selectbox(key="method").set_value("defect_average").run()


def texts(app: AppTest) -> str:
    return "\n".join(text.value for text in [*app.markdown, *app.caption])


def test_every_page_says_what_is_missing(app: AppTest):
    for page in OTHER_PAGES:
        app.switch_page(f"pages/{page}.py").run()
        missing = "3 Kernels of every layer: press Extract every layer" if page == "stacks" else "3 Kernel: press Extract"
        assert not app.exception and "2 Defects: 5" in texts(app) and missing in texts(app)


def test_a_computation_is_seen_cancelled_and_taken_over_from_any_page(app: AppTest, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("ui.jobs.workers.register.PATIENCE_SECONDS", 0.0)
    gate = threading.Event()
    job_queue().submit("gate", lambda job: gate.wait(60))
    app.button(key="extract").click().run()
    app.switch_page("pages/documentation.py").run()
    assert not app.exception and not app.button(key="cancel_extraction").disabled
    gate.set()
    job = app.session_state["workspace"].jobs.get("extraction")
    assert job.wait(60)
    assert "its result is on the page Extract" in texts(app.run())
    app.switch_page("pages/extract.py").run()
    first = app.session_state["workspace"].outcome
    assert first.estimate is job.result.estimate and "3 Kernel: ready" in texts(app)

    gate.clear()
    job_queue().submit("gate", lambda job: gate.wait(60))
    app.button(key="extract").click().run()
    app.switch_page("pages/synthesize.py").run().button(key="cancel_extraction").click().run()
    gate.set()
    assert app.session_state["workspace"].jobs.get("extraction").wait(60)
    app.switch_page("pages/extract.py").run()
    assert not app.exception and app.session_state["workspace"].outcome is first


def test_the_kernel_goes_out_before_the_other_pictures(app: AppTest):
    def keys() -> list[str]:
        return [chart.proto.id.rsplit("-", 1)[-1] for chart in app.get("plotly_chart")]

    app.button(key="extract").click().run()
    assert app.session_state["workspace"].jobs.get("extraction") is None
    assert "kernel_row" in keys() and "kernel_preview" in keys() and "fit" not in keys()
    app.run()
    assert not app.exception and "fit" in keys()


def test_the_networks_follow_the_kernel(monkeypatch: pytest.MonkeyPatch, app: AppTest):
    looked = []

    def add_latent(self, estimate, observation):
        looked.append(observation)
        return estimate

    monkeypatch.setattr("qpi_core.extraction.extractor.Extractor.has_model", property(lambda self: True))
    monkeypatch.setattr("qpi_core.extraction.extractor.Extractor.add_latent", add_latent)
    monkeypatch.setattr("ui.jobs.network_view.atlas", lambda: type("Atlas", (), {"place": staticmethod(lambda latent: None)}))
    gate = threading.Event()
    app.button(key="extract").click().run()
    space = app.session_state["workspace"]
    assert space.outcome is not None and space.jobs.get("networks") is not None
    first = space.assessed = space.outcome
    gate.set()
    wait_for_job(app)
    assert not app.exception and space.jobs.get("networks") is None and space.outcome is not first and space.assessed is space.outcome
    np.testing.assert_array_equal(looked[0], noiseless_map())


def test_the_bar_says_how_long_it_will_take_where_the_progress_is_steady(monkeypatch: pytest.MonkeyPatch):
    job = Job("work")
    job.step(0.25, "second of four")
    monkeypatch.setattr(job, "running_seconds", lambda: 2.0)
    assert progress_text(job, steady=True) == "second of four"
    monkeypatch.setattr(job, "running_seconds", lambda: 10.0)
    assert progress_text(job, steady=True) == "second of four, about 30 s left"
    assert progress_text(job) == "second of four · 10 s"
    job.ahead = lambda: 2
    assert progress_text(job, steady=True) == "waiting for 2 other computations on this computer"


@pytest.mark.slow
def test_no_page_waits_for_an_energy_stack(app: AppTest):
    gate = threading.Event()
    long_queue().submit("gate", lambda job: gate.wait(60))
    for page in (*OTHER_PAGES, "latent", "extract"):
        app.switch_page(f"pages/{page}.py").run()
        assert not app.exception
    app.button(key="extract").click().run()
    wait_for_job(app)
    assert app.session_state["workspace"].outcome is not None, "a kernel does not wait for it either"
    gate.set()
