"""No control is given a value outside of its bounds, in whatever order maps, steps and pages come."""

from __future__ import annotations

import ast

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from streamlit.testing.v1 import AppTest

from tests.ui import app_actions as do
from tests.ui.app_driver import ROOT, start
from ui.widgets.controls.bounded_controls import _keep_within, moved_within


@pytest.fixture(autouse=True)
def no_networks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Networks have their own tests and take seconds to load."""
    monkeypatch.setattr("qpi_core.extraction.extractor.Extractor.has_model", property(lambda self: False))


def alive(app: AppTest) -> None:
    """Fail where the page has died or a control stands outside of its bounds."""
    assert not app.exception, app.exception[0].message
    for slider in app.slider:
        ends = slider.value if isinstance(slider.value, (tuple, list)) else (slider.value,)
        assert all(slider.min <= end <= slider.max for end in ends), slider
    for field in app.number_input:
        assert field.value is None or field.min <= field.value <= field.max, field


def test_an_undone_crop_of_a_small_map_keeps_the_page_and_the_kernel_size_that_was_chosen():
    app = do.load((64, 64))(start())
    app.slider(key="kernel_size").set_value(40).run()
    do.prepare("crop", across_=12, down_=12)(app)
    alive(app)
    assert app.session_state["workspace"].preparations
    do.press("prepare_undo")(app)
    alive(app)
    assert app.slider(key="kernel_size").value == 40


def test_a_tiny_map_before_a_larger_one_keeps_the_page():
    app = do.load((64, 64))(do.load((6, 6))(start()))
    alive(app)
    assert app.slider(key="kernel_size").max == 64 and app.slider(key="kernel_size").value >= 16


def test_a_kernel_size_chosen_on_another_map_does_not_follow():
    app = do.load((64, 64))(start())
    do.load((30, 30))(app)
    assert app.slider(key="kernel_size").value == 30
    app.slider(key="kernel_size").set_value(20).run()
    do.load((64, 64))(app)
    alive(app)
    assert app.slider(key="kernel_size").value == 64


@pytest.mark.parametrize(
    ("value", "low", "high", "kept"),
    [
        (12, 16, 64, 16),
        (64, 3, 30, 30),
        (20, 16, 64, 20),
        (float("nan"), 0.0, 1.0, 0.0),
        ((5.0, -1.0), 0.0, 2.0, (0.0, 2.0)),
        ((0.5, 1.0), 0.0, 2.0, (0.5, 1.0)),
    ],
)
def test_values_move_to_the_nearest_bound(value, low, high, kept):
    assert moved_within(value, low, high) == kept


def test_a_value_inside_its_bounds_is_not_written_again():
    class Session(dict):
        writes = 0

        def __setitem__(self, key, value):
            self.writes += 1
            super().__setitem__(key, value)

    state = Session(size=20)
    _keep_within(state, "size", 16, 64, 64)
    assert state.writes == 0 and state["size"] == 20


def test_every_slider_and_number_field_goes_through_the_bounded_ones():
    direct = []
    for path in sorted((ROOT / "ui").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            named = isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in ("slider", "number_input")
            if named and path.name != "bounded_controls.py":
                direct.append(f"{path.name}:{node.lineno}")
    assert direct == []


ACTIONS = {
    **{f"load {shape}": do.load(shape) for shape in (*do.SIDES, (3, 20, 24))},
    **{f"open {page}": do.open_page(page) for page in ("extract", "extract", "stacks", "synthesize", "benchmark")},
    "crop 12": do.prepare("crop", across_=12, down_=12),
    "crop 5 x 40": do.prepare("crop", across_=40, down_=5),
    "resample coarse": do.prepare("resample", pitch_=4.0),
    "resample fine": do.prepare("resample", pitch_=0.4),
    "mask": do.prepare("mask_rectangle", mask_left=50.0, mask_width=5.0),
    "disc": do.prepare("mask_disc", disc_x=60.0),
    "undo": do.press("prepare_undo"),
    "remove": do.press("prepare_remove_0"),
    "mark": do.mark(),
    "two classes": do.mark(("A", "B")),
    "least squares": do.choose("method", "tikhonov"),
    "average": do.choose("method", "defect_average"),
    "small kernel": do.slide("kernel_size", 0.0),
    "large kernel": do.slide("kernel_size", 1.0),
    "large stack kernel": do.slide("stack_kernel_size", 1.0),
    "many defects": do.slide("syn_count", 1.0),
    "other family": do.choose("syn_family", "warped"),
    "draw": do.press("syn_draw"),
    "extract": do.extract,
    "back": do.press("back_to_map"),
}


def run_through(names: list[str]) -> None:
    app = do.choose("method", "defect_average")(do.load((64, 64))(start()))
    for name in names:
        ACTIONS[name](app)
        alive(app)


sequences = st.lists(st.sampled_from(sorted(ACTIONS)), min_size=5, max_size=12)
_ANY_TIME = {"deadline": None, "derandomize": True, "suppress_health_check": list(HealthCheck), "database": None}


@pytest.mark.slow
@settings(max_examples=4, **_ANY_TIME)
@given(sequences)
def test_random_sequences_leave_the_page_alive(names: list[str]):
    run_through(names)


@pytest.mark.slow
@settings(max_examples=40, **_ANY_TIME)
@given(sequences)
def test_many_random_sequences_leave_the_page_alive(names: list[str]):
    run_through(names)
