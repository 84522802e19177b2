"""What the layers say of the list on the Stacks page: moved positions, a corrected list, and the noise of a kernel's ring."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from qpi_core.extraction.extractor import Extractor
from qpi_core.extraction.stability.stack_stability import half_stacks
from qpi_core.extraction.stacks.stack_extraction import extract_stack
from qpi_core.qspace.ring_snr import RingSource, ring_signal
from tests.ui.app_driver import wait_for_job
from tests.ui.stacks.stack_app import ENERGIES, PITCH, POSITIONS, SIZE, STACK, compute
from ui.result.corrected_list import corrected_list


class Listed:
    """A result with a list and what was changed in it."""

    def __init__(self, positions, repaired=None):
        self.positions = np.array(positions, dtype=np.float64)
        self.provenance = {} if repaired is None else {"list_repair": {"positions_px": repaired}}


def test_a_corrected_list_holds_every_class_repaired_or_not():
    assert corrected_list({"A": Listed([[1, 2]]), "B": Listed([[3, 4]])}) is None
    points, labels = corrected_list({"A": Listed([[1, 2]]), "B": Listed([[3, 4]], [[3, 4], [5, 6]])})
    np.testing.assert_array_equal(points, [[1, 2], [3, 4], [5, 6]])
    assert labels == ("A", "B", "B")
    alone, none = corrected_list({"": Listed([[1, 2]], [[7, 8]])})
    np.testing.assert_array_equal(alone, [[7, 8]])
    assert none is None


@pytest.mark.slow
def test_layers_move_the_marks_and_their_places_are_taken_over_on_request(ready: AppTest, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("qpi_core.solvers.layers.refinement.LAYERS", 1)
    monkeypatch.setattr("qpi_core.solvers.layers.refinement._ROUNDS", 1)
    clicks = POSITIONS + np.random.default_rng(0).normal(0, 0.4, POSITIONS.shape)
    space = ready.session_state["workspace"]
    space.defects.replace(clicks, "list")
    ready.run().toggle(key="stack_refine_listed").set_value(True).run()
    app = compute(ready)
    expected = extract_stack(
        Extractor("no-such-model", device="cpu"),
        STACK.astype(np.float32),
        clicks,
        bias_mv=ENERGIES,
        pixel_size_nm=PITCH,
        kernel_size=SIZE,
        method="tikhonov",
        refine_positions=True,
    )
    np.testing.assert_array_equal(space.stack_outcome.estimate.kernels, expected.kernels)
    np.testing.assert_array_equal(space.stack_outcome.result.positions, expected.positions)
    assert any("together have the defects elsewhere" in text.value for text in app.caption)
    assert space.stack_outcome.question.record()["refine_positions"]
    app.button(key="take_over_positions").click().run()
    np.testing.assert_array_equal(space.defects.points, expected.positions)
    assert not app.exception and any("out of date" in text.value for text in app.warning)


@pytest.mark.slow
def test_a_corrected_list_is_adopted_and_solved_with(ready: AppTest):
    app, space = compute(ready), ready.session_state["workspace"]
    view = space.stack_outcome.views[""]
    better = POSITIONS[:-1]
    provenance = {**view.estimate.provenance, "list_repair": {"positions_px": better.tolist()}}
    changed = replace(view, estimate=replace(view.estimate, provenance=provenance))
    space.stack_outcome = replace(space.stack_outcome, views={"": changed})
    app.run()
    wait_for_job(app.button(key="adopt_corrected_list").click().run(), "stack")
    np.testing.assert_array_equal(space.defects.points, better)
    assert not app.exception and len(space.stack_outcome.estimate.positions) == len(better) and space.defects.source == "repaired"


@pytest.mark.slow
def test_the_ring_of_a_layer_is_that_of_the_backend(ready: AppTest):
    app, space = compute(ready), ready.session_state["workspace"]
    numbers = {metric.label: metric.value for metric in app.metric}
    assert numbers["Kernel"] == "not measured"
    app = wait_for_job(app.button(key="measure_ring").click().run(), "ring")
    assert not app.exception and not app.error
    tool, stack, result = Extractor("no-such-model", device="cpu"), STACK.astype(np.float32), space.stack_outcome.result
    first, second = half_stacks(tool, stack, result)[0]
    for index in (0, 3):
        key = next(one.key for one in app.select_slider if one.key.startswith("stack_layer"))
        app.select_slider(key=key).set_value(index).run()
        source = RingSource.of_layer(result, index, stack[index])
        expected = ring_signal(source, app.session_state["q_ring"], "none", [first[""][index] - second[""][index]])
        shown = {metric.label: metric.value for metric in app.metric}
        assert float(shown["Kernel"]) == pytest.approx(expected.kernel, rel=0.01)
        assert float(shown["Whole map"]) == pytest.approx(expected.whole_map, rel=0.01)
