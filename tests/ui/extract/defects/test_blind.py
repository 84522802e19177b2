"""Find defects and kernel: a button, a job that keeps what it has, and marks to look over."""

from __future__ import annotations

import io
import json
import time
import zipfile
from dataclasses import fields, replace
from html import unescape

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from qpi_core.base.errors import InputError
from qpi_core.estimates.blind_class_estimate import BlindClassEstimates
from qpi_core.estimates.blind_estimate import BlindEstimate
from qpi_core.evaluation.metrics import cosine
from qpi_core.results.archive import bundle_files, estimate_zip
from qpi_core.results.report import report_html
from qpi_core.results.script import python_snippet
from qpi_core.results.session.session_file import load_session, session_bytes
from qpi_core.solvers.blind.kinds.joint_kernels import solve_kinds
from qpi_core.solvers.blind.polishing.kernel_step import KernelStep
from qpi_core.solvers.blind.start.filter_bank import BankShape, FilterBank
from qpi_core.synthesis.simulated_maps.scenes import draw_scene
from tests.ui.app_driver import SECONDS, npy, start, wait_for_job
from ui.jobs.blind import find_defects_and_kernel
from ui.jobs.workers.queues import JobQueue
from ui.result.sure_marks import sure_marks
from ui.state.loaders import extractor
from ui.state.saved_outcome import outcome_of_all
from ui.widgets.session_panel import session_of

SCENE = draw_scene(91, 3, 0.1, count=14)


@pytest.fixture(scope="module")
def searched() -> AppTest:
    """The page after a search on a simulated map without marks."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("qpi_core.extraction.extractor.Extractor.has_model", property(lambda self: False))
        app = start().file_uploader(key="map_upload").upload("map.npy", npy(SCENE.observation)).run()
        return wait_for_job(app.button(key="find_blind").click().run(), "blind")


@pytest.fixture
def no_networks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Networks have their own tests and take seconds to load."""
    monkeypatch.setattr("qpi_core.extraction.extractor.Extractor.has_model", property(lambda self: False))


def estimate_of(app: AppTest) -> BlindEstimate:
    return app.session_state["workspace"].outcome.estimate


@pytest.mark.slow
def test_defects_and_kernel_are_found_and_become_marks(searched: AppTest):
    space = searched.session_state["workspace"]
    assert not searched.exception and isinstance(estimate_of(searched), BlindEstimate)
    assert estimate_of(searched).trusted and cosine(estimate_of(searched).kernel, SCENE.kernel) > 0.99
    np.testing.assert_array_equal(space.defects.points, estimate_of(searched).positions)
    distance = np.hypot(*(space.defects.points[:, None] - SCENE.positions).transpose(2, 0, 1))
    assert len(space.defects.points) == 14 and distance.min(axis=1).max() < 1
    assert not space.stale and not len(space.proposal)


@pytest.mark.slow
def test_every_mark_says_how_sure_it_is(no_networks: None, searched: AppTest):
    space = searched.session_state["workspace"]
    (picker,) = searched.get("bidi_component")
    data = json.loads(picker.proto.json) if picker.proto.WhichOneof("data") == "json" else json.loads(picker.proto.mixed.json)
    np.testing.assert_allclose(np.array(data["sure"])[:, :2], space.defects.points, atol=1e-4)
    assert np.array(data["sure"])[:, 2].min() > 0.99
    assert any("Dots in the marks" in caption.value for caption in searched.caption)
    assert not len(sure_marks(space.outcome, "another layer")) and not len(sure_marks(None, space.searched))


@pytest.mark.slow
def test_another_kernel_size_makes_it_out_of_date_but_the_chosen_method_does_not(no_networks: None, searched: AppTest):
    searched.selectbox(key="method").set_value("tikhonov").run()
    assert not searched.session_state["workspace"].stale
    searched.slider(key="kernel_size").set_value(40).run()
    assert searched.session_state["workspace"].stale
    searched.slider(key="kernel_size").set_value(64).run()
    assert not searched.session_state["workspace"].stale


@pytest.mark.slow
def test_the_session_file_holds_the_answer_with_its_alternatives(searched: AppTest):
    space = searched.session_state["workspace"]
    again = load_session(session_bytes(session_of(space, {})))
    outcome = outcome_of_all(again.results)
    assert outcome is not None and outcome.question.blind and outcome.question.is_answered_by(space.outcome.question)
    kept, mine = outcome.estimate, estimate_of(searched)
    assert isinstance(kept, BlindEstimate) and (kept.trusted, kept.reason) == (mine.trusted, mine.reason)
    assert [one.evidence for one in kept.alternatives] == [one.evidence for one in mine.alternatives]
    np.testing.assert_array_equal(kept.alternatives[0].kernels, mine.alternatives[0].kernels)


@pytest.mark.slow
def test_zip_and_report_hold_the_alternatives(searched: AppTest):
    estimate = estimate_of(searched)
    with zipfile.ZipFile(io.BytesIO(estimate_zip(estimate))) as archive:
        listed = json.loads(archive.read("alternatives.json"))
        kernels = np.load(io.BytesIO(archive.read("alternatives.npy")))
        assert json.loads(archive.read("estimate.json"))["trusted"] is True
    assert len(listed) == len(kernels) == len(estimate.alternatives)
    assert listed[0]["positions_px"] == estimate.alternatives[0].positions.tolist()
    page = unescape(report_html(estimate).decode())
    assert "Defects found in the map itself" in page and estimate.reason in page


@pytest.mark.slow
def test_the_script_finds_the_same_again(searched: AppTest, tmp_path, monkeypatch: pytest.MonkeyPatch):
    script = python_snippet(estimate_of(searched))
    assert "extract_blind(" in script and "positions = np.array" not in script
    np.save(tmp_path / "map.npy", SCENE.observation)
    monkeypatch.chdir(tmp_path)
    exec(compile(script, "reproduce.py", "exec"), {})
    np.testing.assert_array_equal(np.load(tmp_path / "positions.npy"), estimate_of(searched).positions)
    np.testing.assert_array_equal(np.load(tmp_path / "kernel.npy"), estimate_of(searched).kernel)


@pytest.mark.slow
def test_what_the_clock_ended_is_listed_in_the_script(searched: AppTest):
    estimate = estimate_of(searched)
    estimate.provenance["blind"]["ended_by"] = "time"
    try:
        script = python_snippet(estimate)
    finally:
        estimate.provenance["blind"]["ended_by"] = "search"
    assert "time limit ended" in script and "extract_blind" not in script and "positions = np.array" in script


@pytest.mark.slow
def test_marks_are_never_replaced_unasked(no_networks: None, searched: AppTest, monkeypatch: pytest.MonkeyPatch):
    found = estimate_of(searched)
    monkeypatch.setattr("qpi_core.extraction.extractor.Extractor.extract_blind", lambda self, *args, **options: found)
    app = start().file_uploader(key="map_upload").upload("map.npy", npy(SCENE.observation)).run()
    space = app.session_state["workspace"]
    space.defects.replace(SCENE.positions[:2], "table")
    app = wait_for_job(app.run().button(key="find_blind").click().run(), "blind")
    np.testing.assert_array_equal(space.defects.points, SCENE.positions[:2])
    assert len(space.proposal) == 14 and space.stale and app.button(key="proposal_replace").label == "Replace 2"
    app.button(key="proposal_replace").click().run()
    assert len(space.defects.points) == 14 and not space.stale and not app.exception


def test_a_map_that_is_too_large_says_so(no_networks: None):
    app = start().file_uploader(key="map_upload").upload("large.npy", npy(np.random.default_rng(0).standard_normal((400, 400)))).run()
    button = app.button(key="find_blind")
    assert button.disabled and "362" in button.help


def test_a_map_without_a_pattern_says_so_and_leaves_no_result(no_networks: None):
    app = start().file_uploader(key="map_upload").upload("flat.npy", npy(np.full((40, 40), 2.0))).run()
    app = wait_for_job(app.button(key="find_blind").click().run(), "blind")
    space = app.session_state["workspace"]
    assert space.outcome is None and not len(space.defects.points) and "constant" in space.blind_note
    assert any("constant" in caption.value for caption in app.caption) and not app.exception


@pytest.mark.slow
def test_cancel_keeps_the_best_so_far(searched: AppTest, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("qpi_core.extraction.blind.blind_answer.BlindProblem.doubt_about", lambda self, finding: "not yet")
    question = searched.session_state["workspace"].outcome.question
    queue = JobQueue()
    job = queue.submit("search", lambda job: find_defects_and_kernel(job, question, 600.0))
    while job.best is None:
        assert not job.wait(0.05), "the search ended before it was stopped"
    shown = job.best.best
    job.cancel()
    assert job.wait(SECONDS) and job.state == "done"
    kept = job.result.outcome.estimate
    assert kept.provenance["blind"]["ended_by"] == "stop" and not kept.trusted and shown.kernel.shape == (64, 64)
    assert cosine(kept.kernel, SCENE.kernel) > 0.9
    assert "search that was stopped" in bundle_files(kept)["reproduce.py"].decode()
    queue._pool.shutdown(wait=True)


@pytest.mark.slow
def test_cancel_of_a_search_for_two_kinds_keeps_the_best_so_far(searched: AppTest, monkeypatch: pytest.MonkeyPatch):
    def search(layers, rule, accepts, report):
        steps = [KernelStep(FilterBank(BankShape(order, 12.0, 1.0, 1, spot=True), layers.shape), layers) for order in (0, 3)]
        maps = np.zeros((2, *layers.shape), dtype=np.float32)
        for kind, (x, y) in enumerate(np.rint(SCENE.positions[:8]).astype(int)):
            maps[kind % 2, y, x] = 1
        accepts(solve_kinds(list(zip(steps, maps, strict=True))))
        while True:
            report(0.2, "Looking for another kind")
            time.sleep(0.01)

    monkeypatch.setattr("qpi_core.extraction.blind.blind_classes.search_kinds", search)
    question = searched.session_state["workspace"].outcome.question
    queue = JobQueue()
    job = queue.submit("search", lambda job: find_defects_and_kernel(job, question, 600.0, 2))
    while job.best is None:
        assert not job.wait(0.05), "the search ended before it was stopped"
    assert len(job.best.kinds) == 2 and job.best.best.kernel.shape == (64, 64)
    job.cancel()
    assert job.wait(SECONDS) and job.state == "done"
    kept = job.result.outcome
    assert list(kept.kinds) == ["A", "B"] and sorted(kept.question.labels) == ["A"] * 4 + ["B"] * 4
    assert kept.estimate.provenance["blind"]["ended_by"] == "stop"
    queue._pool.shutdown(wait=True)


KINDS = draw_scene(77, 2, 0.1, count=10)


@pytest.fixture
def two_kinds(monkeypatch: pytest.MonkeyPatch) -> dict[str, object]:
    """What the search was asked for, once it has been; its answer is that of a list of two kinds."""
    asked: dict[str, object] = {}

    def extract_blind(self, observation, kernel_size, classes=1, **options):
        asked["classes"] = classes
        if classes == 3:
            raise InputError("classes is 3, but the map does not show so many kinds of defects; try classes=1.")
        solved = extractor().extract_classes(observation, KINDS.positions, ["A"] * 6 + ["B"] * 4, "tikhonov", 24)
        record = {"trusted": False, "reason": "The kinds look alike."}
        marked = {name: replace(one, provenance={**one.provenance, "blind": record}) for name, one in solved.estimates.items()}
        values = {entry.name: getattr(solved, entry.name) for entry in fields(solved)} | {"estimates": marked}
        return BlindClassEstimates(**values, trusted=False, reason="The kinds look alike.")

    monkeypatch.setattr("qpi_core.extraction.extractor.Extractor.extract_blind", extract_blind)
    return asked


def test_several_kinds_become_classes_of_marks_with_a_kernel_each(no_networks: None, two_kinds: dict[str, object]):
    app = start().file_uploader(key="map_upload").upload("map.npy", npy(KINDS.observation)).run()
    app.segmented_control(key="blind_kinds").set_value(2).run()
    app = wait_for_job(app.button(key="find_blind").click().run(), "blind")
    space = app.session_state["workspace"]
    assert not app.exception and two_kinds["classes"] == 2 and not space.stale
    np.testing.assert_array_equal(space.defects.points, KINDS.positions)
    assert space.defects.labels == ("A",) * 6 + ("B",) * 4 and list(space.outcome.kinds) == ["A", "B"]
    assert any("not to be trusted" in error.value and "look alike" in error.value for error in app.error)
    again = outcome_of_all(load_session(session_bytes(session_of(space, {}))).results)
    assert again.together == space.outcome.together and again.question.is_answered_by(space.outcome.question)


def test_a_map_without_so_many_kinds_says_so(no_networks: None, two_kinds: dict[str, object]):
    app = start().file_uploader(key="map_upload").upload("map.npy", npy(KINDS.observation)).run()
    app.segmented_control(key="blind_kinds").set_value(3).run()
    app = wait_for_job(app.button(key="find_blind").click().run(), "blind")
    space = app.session_state["workspace"]
    assert space.outcome is None and not len(space.defects.points) and not app.exception
    assert any("does not show so many kinds" in caption.value for caption in app.caption)
