"""What the Extract page says in words: the notes of the reader under the map, and numbers in handy units."""

from __future__ import annotations

import io
from types import SimpleNamespace

import numpy as np
import pytest

from qpi_core.base.units import in_handy_unit
from qpi_core.qspace.spectra import fft_magnitude
from tests.measured_data import DATA
from tests.ui.app_driver import npy, start
from ui.charts.kernels import kernel_and_spectrum
from ui.charts.maps import MapParts, fit_panels
from ui.extract.defects.defect_table import shown_points
from ui.result.numbers import symmetry_words, told_parameters, wave_vector_words
from ui.widgets.progress_steps import in_words

UNKNOWN_SIZE = "does not say how large the map is"


def captions(app) -> str:
    return "\n".join(caption.value for caption in app.caption)


def test_notes_of_the_reader_stand_under_the_map_until_the_user_answers_them():
    values = np.random.default_rng(4).standard_normal((20, 20)).astype(np.float32)
    values[12:] = np.nan
    app = start()
    app.file_uploader(key="map_upload").upload("cut.npy", npy(values)).run()
    assert not app.exception and not app.error
    assert "60 % of the points hold a value" in captions(app) and UNKNOWN_SIZE in captions(app)
    width = next(field for field in app.number_input if field.label.startswith("Width of the map"))
    width.set_value(5.0).run()
    assert "60 % of the points hold a value" in captions(app) and UNKNOWN_SIZE not in captions(app)
    assert "5 × 5 nm" in captions(app)


def test_a_doubt_about_the_channel_stands_out_until_another_is_chosen():
    rng = np.random.default_rng(4)
    np.savez(content := io.BytesIO(), height=rng.standard_normal((20, 20)), second=rng.standard_normal((20, 20)))
    app = start()
    app.file_uploader(key="map_upload").upload("two.npz", content.getvalue()).run()
    assert not app.exception and any("which channel is dI/dV" in warning.value for warning in app.warning)
    channel = next(field for field in app.selectbox if field.label == "Channel")
    assert channel.value == "height"
    channel.set_value("second").run()
    assert not app.exception and not any("which channel is dI/dV" in warning.value for warning in app.warning)


@pytest.mark.parametrize(
    ("value", "unit", "expected"),
    [
        (7.08e-11, "m", ("70.8", "pm")),
        (-1.0554e-7, "m", ("-106", "nm")),
        (9.9996e-10, "A", ("1", "nA")),
        (0.25, "V", ("250", "mV")),
        (3e-20, "m", ("3e-05", "fm")),
        (0.0, "m", ("0", "m")),
        (0.00123, "", ("0.00123", "")),
        (0.00123, "nA/V", ("0.00123", "nA/V")),
    ],
)
def test_numbers_take_a_prefix_where_the_unit_can(value, unit, expected):
    assert in_handy_unit(value, unit) == expected


def test_the_library_s_names_become_the_page_s_words():
    assert in_words("kernel_size is 900 pixels, larger than the map.") == "Kernel size is 900 pixels, larger than the map."
    assert in_words("what was assumed; a smaller kernel_size avoids it.") == "what was assumed; a smaller kernel size avoids it."
    assert in_words("kernel_size.npy and a/kernel_size could not be read") == "kernel_size.npy and a/kernel_size could not be read"
    assert in_words("The two_step kernel") == "The “Two-step network” kernel"


def test_a_position_that_rounds_to_zero_has_no_sign():
    shown = shown_points(np.array([[-0.004, 3.0], [-0.3, -0.0]]), 2)
    assert [f"{value:.2f}" for value in shown.ravel()] == ["0.00", "3.00", "-0.30", "0.00"]


def test_pictures_are_drawn_with_the_prefix_that_suits_them():
    values = np.linspace(0, 2e-10, 64).reshape(8, 8).astype(np.float32)
    kernel, spectrum = kernel_and_spectrum(values, fft_magnitude(values), (0.1, 0.1), "m")["data"]
    assert kernel["colorbar"]["title"]["text"] == "pm" and kernel["zmax"] == pytest.approx(200)
    assert "pm<extra></extra>" in kernel["hovertemplate"] and "%{z:.4~g}" in kernel["hovertemplate"]
    assert spectrum["colorbar"]["title"]["text"] in ("pm", "nm")


def test_no_figure_names_its_traces_in_a_hover():
    values = np.random.default_rng(0).random((8, 8)).astype(np.float32)
    fit = fit_panels(MapParts(values, values, values, None, "S"), "viridis", (0, 1))
    figures = [kernel_and_spectrum(values, fft_magnitude(values), None, ""), fit]
    for trace in (trace for figure in figures for trace in figure["data"]):
        assert trace["hovertemplate"].endswith("<extra></extra>")


def test_without_a_symmetry_there_is_no_probability_of_it():
    estimate = SimpleNamespace(symmetry_order=None, parameters={"symmetry_probability": (1.0, 0.0), "decay_per_nm2": (0.2, 0.1)})
    assert list(told_parameters(estimate)) == ["decay_per_nm2"]
    estimate.symmetry_order = 0
    assert len(told_parameters(estimate)) == 2


def estimate_with(kernel: np.ndarray, wide: np.ndarray, **parameters: tuple[float, float]) -> SimpleNamespace:
    return SimpleNamespace(kernel=kernel, wide_kernel=wide, parameters=parameters, pixel_size_nm=(0.1, 0.1), symmetry_order=2)


def test_a_symmetry_out_of_a_window_that_cuts_the_pattern_is_doubtful():
    wide = np.ones((33, 33), dtype=np.float32)
    assert symmetry_words(estimate_with(wide[:16, :16], wide, symmetry_probability=(0.9999, 0.0))) == "2-fold, doubtful"
    assert symmetry_words(estimate_with(wide, wide, symmetry_probability=(0.9999, 0.0))) == "2-fold, p > 0.999"


def test_a_wave_vector_that_is_hardly_known_is_no_number():
    wide = np.ones((33, 33), dtype=np.float32)
    assert wave_vector_words(estimate_with(wide, wide, wave_vector_rad_per_nm=(0.9, 9.8))) == ""
    assert wave_vector_words(estimate_with(wide, wide, wave_vector_rad_per_nm=(6.4, 0.1))) == "6.40 ± 0.10 rad/nm"


def header_table(app):
    return next(table.value for table in app.dataframe if list(table.value.columns) == ["entry", "value"])


def test_the_header_of_the_file_is_shown_and_searched():
    case = DATA / "cases" / "comment_key.3ds"
    if not case.is_file():
        pytest.skip("the small measured files are not here")
    app = start()
    app.file_uploader(key="map_upload").upload(case.name, case.read_bytes()).run()
    app.toggle(key="show_header").set_value(True).run()
    header = app.session_state["workspace"].loaded.scan.metadata
    assert not app.exception and len(header_table(app)) == len(header)
    app.text_input(key="header_search").set_value("SWEEP").run()
    shown = header_table(app)
    assert 0 < len(shown) < len(header) and all("sweep" in f"{row.entry} {row.value}".casefold() for row in shown.itertuples())
