"""Where the stack of the Stacks page comes from, driven through app.py."""

from __future__ import annotations

import io

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from tests.ui.app_driver import npy, wait_for_job
from tests.ui.stacks.stack_app import ENERGIES, PITCH, SHAPE, STACK, npz
from ui.state.example_stack import EDGE_MEV


def test_page_says_what_is_missing(app: AppTest):
    app.switch_page("pages/stacks.py").run()
    assert "No map is open" in app.info[0].value
    app.switch_page("pages/extract.py").run()
    app.file_uploader(key="map_upload").upload("one.npy", npy(STACK[0])).run()
    app.switch_page("pages/stacks.py").run()
    assert "one layer only" in app.info[0].value
    app.switch_page("pages/extract.py").run()
    app.file_uploader(key="map_upload").clear().run().file_uploader(key="map_upload").upload("grid.npz", npz()).run()
    app.session_state["workspace"].defects.replace(np.zeros((0, 2)), "list")
    app.switch_page("pages/stacks.py").run()
    assert "No defects are marked" in app.info[0].value and not app.exception


def test_several_scans_become_one_stack_in_the_order_of_energies(app: AppTest):
    app.switch_page("pages/stacks.py").run()

    def scan(index: int) -> bytes:
        buffer = io.BytesIO()
        np.savez(buffer, didv=STACK[index], bias_mv=ENERGIES[index], pixel_size_nm=PITCH)
        return buffer.getvalue()

    app.file_uploader(key="stack_upload").set_value([(f"{index}.npz", scan(index), "application/zip") for index in (2, 0, 1)]).run()
    space = app.session_state["workspace"]
    assert not app.exception and not space.stack_load_problem, space.stack_load_problem
    np.testing.assert_array_equal(space.loaded.scan.bias_mv, ENERGIES[:3])
    assert space.loaded.scan.stack().shape == (3, *SHAPE)
    app.file_uploader(key="stack_upload").set_value([("a.npz", scan(0), "application/zip"), ("b.npy", b"nothing", "")]).run()
    assert "b.npy" in space.stack_load_problem and space.loaded.scan.stack().shape == (3, *SHAPE) and app.error


@pytest.mark.slow
def test_the_example_stack_is_solved_by_one_press_and_its_band_fitted(app: AppTest):
    app.switch_page("pages/stacks.py").run()
    app.button(key="example_stack").click().run()
    app = wait_for_job(app, "stack")
    space = app.session_state["workspace"]
    assert not app.exception and space.stack_outcome.estimate.complete
    app = wait_for_job(app.button(key="fit_band").click().run(), "band")
    assert not app.exception and not app.error
    edge, spread = space.stack_band.model.parameters["band_edge_mev"]
    assert abs(edge - EDGE_MEV) < max(3 * spread, 1.5)
    before = len(app.get("plotly_chart"))
    app.toggle(key="band_guide").set_value(True).run()
    assert not app.exception and not app.error and len(app.get("plotly_chart")) == before + 2
    app.button(key="judge_gap").click().run()
    assert not app.exception and app.error, "a gap needs energies of both signs"
