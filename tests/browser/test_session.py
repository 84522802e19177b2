"""A session saved in one browser and opened in a new one, and the picture of the uncertainty."""

from __future__ import annotations

import io

import numpy as np

from qpi_core import simulate_observation
from qpi_core.results.session.session_file import load_session
from tests.browser.app_page import AppPage, eventually, npy

PARAMETERS = {"symmetry_order": 4, "orientation": 0.3, "wavenumber": 3.0, "phase": 0.5, "decay": 0.25}


def test_a_new_browser_shows_map_defects_and_result_with_its_uncertainty(new_page):
    first = AppPage(new_page())
    observation = simulate_observation(PARAMETERS, np.array([[14.0, 18.0], [30.0, 40.0]]), (56, 64))
    first.upload_map("two.npy", npy(observation))
    first.wait_for_map()
    first.click(14, 18)
    first.wait_for_count(1)
    first.click(30, 40)
    first.wait_for_count(2)
    first.choose("method", "Circular harmonics")
    first.extract()
    with first.page.expect_download() as caught:
        first.page.locator(".st-key-save_session").get_by_role("button").click()
    content = caught.value.path().read_bytes()
    (saved,) = load_session(content).results
    assert saved.estimate.uncertainty is not None

    second = AppPage(new_page())
    second.upload_map("work.zip", content)
    second.wait_for_map()
    second.wait_for_count(2)
    second.wait_for_step("3 Kernel: ready")
    row = second.page.locator(".st-key-kernel_row")
    row.get_by_text("Uncertainty, 1 σ").wait_for()
    eventually(lambda: row.locator(".heatmaplayer image").count() == 3, "kernel, uncertainty and FFT are drawn")
    np.testing.assert_array_equal(np.load(io.BytesIO(second.download("kernel_npy"))), saved.estimate.kernel)
