"""The Extract page, driven through app.py."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from qpi_core.estimates.caution import CautionKind, kind_of
from tests.ui.app_driver import POSITIONS, ROOT, SECONDS, noiseless_map, npy, start, wait_for_job
from ui.jobs.workers.queues import Cancelled, Job
from ui.state.usual_controls import USUAL

OBJECTS = b"\x93NUMPY\x01\x00v\x00{'descr': '|O', 'fortran_order': False, 'shape': (4, 4), }" + b" " * 56 + b"\n" + b"\0" * 128


@pytest.fixture
def app(monkeypatch: pytest.MonkeyPatch) -> AppTest:
    """The first page, without networks: they have their own tests and take seconds to load."""
    monkeypatch.setattr("qpi_core.extraction.extractor.Extractor.has_model", property(lambda self: False))
    return start()


def upload(app: AppTest, name: str, content: bytes) -> AppTest:
    return app.file_uploader(key="map_upload").upload(name, content).run()


def put_defects(app: AppTest, points: np.ndarray) -> AppTest:
    """Mark defects as the picture does: by its component's value."""
    space = app.session_state["workspace"]
    height, width = space.loaded.scan.shape
    map_id = f"{space.loaded.sha256[:16]} {width}x{height}"
    app.session_state["picker"] = {"value": {"map": map_id, "rev": space.defects.rev + 1, "points": points.tolist()}}
    return app.run()


def extract(app: AppTest, method: str = "tikhonov") -> AppTest:
    app.selectbox(key="method").set_value(method).run()
    return wait_for_job(app.button(key="extract").click().run())


def test_first_page_needs_no_torch_and_no_charts():
    code = (
        "import sys\n"
        "from tests.ui.app_driver import start\n"
        "app = start()\n"
        "assert not app.exception, app.exception\n"
        "print([name for name in ('torch', 'diffusers', 'matplotlib.figure', 'sklearn') if name in sys.modules])\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=SECONDS)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip().endswith("[]")


def test_extract_is_off_until_there_are_defects_and_says_why(app: AppTest):
    upload(app, "map.npy", npy(noiseless_map()))
    assert not app.exception
    button = app.button(key="extract")
    assert button.disabled and "Mark at least one defect" in button.help
    put_defects(app, POSITIONS)
    assert not app.button(key="extract").disabled


def test_main_job_gives_the_kernel_of_the_backend(app: AppTest):
    observation = noiseless_map()
    upload(app, "map.npy", npy(observation))
    put_defects(app, POSITIONS)
    app.slider(key="kernel_size").set_value(32).run()
    app.toggle(key="refine_clicked").set_value(False).run()
    extract(app)
    assert not app.exception and not app.error
    outcome = app.session_state["workspace"].outcome
    from qpi_core import load_extractor

    expected = load_extractor(device="cpu").extract(observation, POSITIONS, "tikhonov", 32).kernel
    np.testing.assert_array_equal(outcome.estimate.kernel, expected)
    assert outcome.estimate.provenance["input"]["name"] == "map.npy"
    assert len(app.get("plotly_chart")) >= 2


def test_the_window_that_the_pattern_asks_for_is_proposed_and_taken(app: AppTest):
    upload(app, "map.npy", npy(noiseless_map()))
    put_defects(app, POSITIONS)
    app.toggle(key="refine_clicked").set_value(False).run()
    app.toggle(key="model_noise").set_value(False).run()
    extract(app, "harmonic")
    assert not app.exception
    from qpi_core.extraction.windows.window_proposal import propose_from_estimate

    found = propose_from_estimate(app.session_state["workspace"].outcome.estimate)
    assert found.kernel_size < 58 and found.reason in [caption.value for caption in app.caption]
    app.button(key="use_window").click().run()
    assert app.slider(key="kernel_size").value == found.kernel_size and not app.exception
    assert "use_window" not in [button.key for button in app.button], "out of date until the next extraction"


@pytest.mark.slow
def test_example_needs_one_click_and_the_pattern_says_how_large_its_window_is(app: AppTest, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(USUAL, "kernel_auto", True)
    example = next(button for button in app.button if button.label == "Try the example")
    wait_for_job(example.click().run())
    assert not app.exception and not app.error
    space = app.session_state["workspace"]
    assert space.outcome is not None and len(space.defects.points) == 30
    side = space.outcome.estimate.kernel_size
    assert side != 64 and app.slider(key="kernel_size").value == side, "the pattern says how large its window is, and the slider shows it"
    assert any(f"kernel {side} × {side} px" in text.value and "as far as the pattern is seen" in text.value for text in app.caption)
    app.slider(key="kernel_size").set_value(40).run()
    assert not app.toggle(key="kernel_auto").value and space.stale, "a side set by hand counts"
    app.toggle(key="kernel_auto").set_value(True).run()
    assert app.slider(key="kernel_size").value == side and not space.stale


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("empty.npy", b""),
        ("cut.npy", npy(np.zeros((64, 64)))[:200]),
        ("renamed.npy", b"\x89PNG\r\n\x1a\n" + b"\0" * 40),
        ("nan.npy", npy(np.full((64, 64), np.nan))),
        ("text.csv", b"1,2,3\n4,five,6\n7,8,9\n"),
        (
            "objects.npy",
            b"\x93NUMPY\x01\x00v\x00{'descr': '|O', 'fortran_order': False, 'shape': (4, 4), }" + b" " * 56 + b"\n" + b"\0" * 128,
        ),
    ],
)
def test_bad_map_gives_a_sentence_and_nothing_is_lost(app: AppTest, name: str, content: bytes):
    upload(app, "good.npy", npy(noiseless_map()))
    put_defects(app, POSITIONS)
    app.file_uploader(key="map_upload").clear().run()
    upload(app, name, content)
    assert not app.exception
    assert len(app.error) == 1 and len(app.error[0].value) > 20
    space = app.session_state["workspace"]
    assert space.loaded.name == "good.npy"
    np.testing.assert_array_equal(space.defects.points, POSITIONS)


@pytest.mark.slow
def test_result_is_marked_out_of_date_when_the_defects_change(app: AppTest):
    upload(app, "map.npy", npy(noiseless_map()))
    put_defects(app, POSITIONS)
    extract(app)
    assert not any("out of date" in text.value for text in app.markdown)
    before = app.session_state["workspace"].outcome
    put_defects(app, POSITIONS[:3])
    assert any("out of date" in text.value for text in app.markdown)
    assert app.session_state["workspace"].outcome is before


@pytest.mark.slow
def test_kernel_is_bounded_by_the_map(app: AppTest):
    upload(app, "small.npy", npy(noiseless_map()[:30, :40]))
    assert app.slider(key="kernel_size").max == 30
    put_defects(app, POSITIONS[:1])
    extract(app)
    assert app.session_state["workspace"].outcome.estimate.kernel.shape == (30, 30)


def test_uploaded_list_is_previewed_and_then_used(app: AppTest):
    upload(app, "map.npy", npy(noiseless_map()))
    app.file_uploader(key="positions_upload").upload("list.csv", b"x_px,y_px\n10,20\n30.5,40\n").run()
    assert any("2 positions" in text.value and "in pixels" in text.value for text in app.text)
    assert len(app.session_state["workspace"].defects.points) == 0
    app.button(key="use_list").click().run()
    np.testing.assert_array_equal(app.session_state["workspace"].defects.points, [[10, 20], [30.5, 40]])


def test_bad_list_gives_a_sentence(app: AppTest):
    upload(app, "map.npy", npy(noiseless_map()))
    app.file_uploader(key="positions_upload").upload("list.csv", b"x_px,y_px\n1000,20\n").run()
    assert not app.exception
    assert "outside the map" in app.error[0].value


def test_detection_is_only_a_proposal(app: AppTest):
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:64, :64]
    spots = sum(np.exp(-((x - px) ** 2 + (y - py) ** 2) / 4) for px, py in POSITIONS) + 0.01 * rng.standard_normal((64, 64))
    upload(app, "map.npy", npy(spots))
    app.segmented_control(key="look_for").set_value("spots").run()
    next(button for button in app.button if button.label == "Propose defects").click().run()
    space = app.session_state["workspace"]
    assert len(space.proposal) == len(POSITIONS) and len(space.defects.points) == 0
    next(button for button in app.button if button.label == "Accept").click().run()
    found = space.defects.points[np.argsort(space.defects.points[:, 0])]
    np.testing.assert_allclose(found, POSITIONS[np.argsort(POSITIONS[:, 0])], atol=0.5)
    assert len(space.proposal) == 0
    put_defects(app, POSITIONS + 1.2)
    app.button(key="snap").click().run()
    np.testing.assert_allclose(space.defects.points, POSITIONS, atol=0.1)


@pytest.mark.slow
def test_detection_by_the_kernel_finds_the_defect_that_is_missing(app: AppTest):
    upload(app, "map.npy", npy(noiseless_map()))
    put_defects(app, POSITIONS[:4])
    app.slider(key="kernel_size").set_value(32).run()
    extract(app)
    app.segmented_control(key="look_for").set_value("kernel").run()
    next(button for button in app.button if button.label == "Propose defects").click().run()
    proposal = app.session_state["workspace"].proposal
    assert not app.exception and len(proposal) == len(POSITIONS)
    assert np.hypot(*(proposal - POSITIONS[4]).T).min() < 1


@pytest.mark.slow
def test_stability_is_computed_on_demand_and_belongs_to_its_result(app: AppTest):
    upload(app, "map.npy", npy(noiseless_map()))
    put_defects(app, POSITIONS)
    extract(app, "defect_average")
    assert not [metric for metric in app.metric if "halves" in metric.label]
    wait_for_job(app.button(key="check_stability").click().run(), "stability")
    assert not app.exception and all("Do not use" in one.value for one in app.error)
    space = app.session_state["workspace"]
    (shown,) = [metric for metric in app.metric if "halves" in metric.label]
    assert shown.value == f"{space.assessment.correlation:.3f}" and space.assessment.method == "defect_average"
    space.assessed = None  # as a newer result leaves it
    assert not [metric for metric in app.run().metric if "halves" in metric.label]


def test_two_browsers_never_see_each_other(app: AppTest):
    other = start()
    upload(app, "mine.npy", npy(noiseless_map()))
    put_defects(app, POSITIONS)
    other.run()
    assert other.session_state["workspace"].loaded is None
    assert other.session_state["workspace"].session != app.session_state["workspace"].session


def test_settings_survive_a_look_at_another_page(app: AppTest):
    upload(app, "map.npy", npy(noiseless_map()))
    put_defects(app, POSITIONS)
    app.selectbox(key="method").set_value("defect_average").run()
    app.selectbox(key="colours").set_value("magma").run()
    app.switch_page("pages/synthesize.py").run()
    assert not app.exception
    app.switch_page("pages/extract.py").run()
    assert not app.exception
    assert app.selectbox(key="method").value == "defect_average" and app.selectbox(key="colours").value == "magma"
    np.testing.assert_array_equal(app.session_state["workspace"].defects.points, POSITIONS)


@pytest.mark.slow
def test_a_change_of_the_map_loses_nothing(app: AppTest):
    upload(app, "map.npy", npy(noiseless_map()))
    put_defects(app, POSITIONS)
    extract(app)
    before = app.session_state["workspace"].outcome
    upload(app.file_uploader(key="map_upload").clear().run(), "other.npy", npy(np.random.default_rng(0).standard_normal((40, 48))))
    space = app.session_state["workspace"]
    assert space.loaded.name == "other.npy" and len(space.defects.points) == 0
    next(button for button in app.button if button.label == "Back to the map before").click().run()
    assert not app.exception
    assert space.loaded.name == "map.npy" and space.outcome is before
    np.testing.assert_array_equal(space.defects.points, POSITIONS)


@pytest.mark.slow
def test_marked_defects_are_moved_by_the_map_and_can_be_taken_over(app: AppTest):
    upload(app, "map.npy", npy(noiseless_map()))
    clicked = POSITIONS + [0.6, -0.5]
    put_defects(app, clicked)
    assert app.toggle(key="refine_clicked").value
    extract(app)
    space = app.session_state["workspace"]
    np.testing.assert_array_equal(space.defects.points, clicked)
    moved = space.outcome.estimate.positions
    assert np.median(np.hypot(*(moved - POSITIONS).T)) < 0.1
    app.button(key="take_over_positions").click().run()
    np.testing.assert_array_equal(space.defects.points, moved)
    assert not app.toggle(key="refine_listed").value


@pytest.mark.slow
def test_a_cancel_keeps_the_first_estimate_unless_there_is_a_kernel_already(app: AppTest, monkeypatch: pytest.MonkeyPatch):
    def cancel_after_the_first(self: Job, fraction: float, message: str) -> None:
        if self.best is not None:
            self.cancel()
            raise Cancelled

    upload(app, "map.npy", npy(noiseless_map()))
    put_defects(app, POSITIONS)
    app.slider(key="kernel_size").set_value(32).run()
    monkeypatch.setattr(Job, "step", cancel_after_the_first)
    extract(app, "refined")
    kept = app.session_state["workspace"].outcome
    assert not app.exception and CautionKind.NOT_CHECKED in map(kind_of, kept.estimate.warnings)
    app.slider(key="kernel_size").set_value(24).run()
    extract(app, "refined")
    assert app.session_state["workspace"].outcome is kept
    monkeypatch.undo()
    extract(app, "refined")
    outcome = app.session_state["workspace"].outcome
    assert outcome is not kept and CautionKind.NOT_CHECKED not in map(kind_of, outcome.estimate.warnings)
