"""RHK .sm4 files against what the test wrote."""

import numpy as np
import pytest

from qpi_core.base.errors import InputError
from qpi_core.maps import load_map
from tests.maps.written import written_rhk as written

COUNTS = np.random.default_rng(4).integers(-9999, 9999, size=(6, 9))


@pytest.mark.parametrize("y_scale", [3e-10, -3e-10])
def test_images_are_turned_as_gwyddion_turns_them(y_scale):
    pages = [
        {"counts": COUNTS, "scales": (-2e-10, y_scale, 1e-12), "z_offset": 5e-9, "angle": 12.0},
        {"counts": COUNTS + 7, "scales": (-2e-10, y_scale, 2e-14), "label": "LIA Current", "unit": "A"},
        {"counts": COUNTS - 7, "scales": (-2e-10, y_scale, 2e-14), "label": "LIA Current", "unit": "A", "direction": written.LEFT},
    ]
    scan = load_map(written.sm4(pages), "scan.sm4")
    assert scan.channels == ("Topography (m)", "LIA Current (A)", "LIA Current [bwd] (A)") and scan.file_format == "scan of RHK"
    assert scan.default_channel == "LIA Current (A)" and scan.unit() == "A"
    rows = slice(None, None, -1) if y_scale > 0 else slice(None)
    np.testing.assert_allclose(scan.layer("Topography (m)"), COUNTS[rows, ::-1] * 1e-12 + 5e-9, rtol=1e-6)
    np.testing.assert_allclose(scan.layer("LIA Current [bwd] (A)"), (COUNTS - 7)[rows, ::-1] * 2e-14, rtol=1e-6)
    assert scan.pixel_size_nm == pytest.approx((0.3, 0.2)) and scan.angle_deg == 12
    assert scan.bias_mv == pytest.approx([100])


def test_pages_of_one_name_at_several_energies_are_a_stack():
    pages = [{"counts": COUNTS, "label": "Topography"}]
    pages += [{"counts": COUNTS * k, "label": "dI/dV", "unit": "V", "bias_v": 0.05 * k} for k in (1, 2, 3)]
    scan = load_map(written.sm4(pages), "scan.sm4")
    assert scan.channels == ("Topography (m)", "dI/dV (V)")
    np.testing.assert_allclose(scan.bias_mv, [50, 100, 150], rtol=1e-6)
    np.testing.assert_allclose(scan.layer(bias_mv=150), COUNTS[::-1, ::-1] * 3e-12, rtol=1e-6)


def test_other_pages_and_sizes_are_left_out_with_a_note():
    pages = [{"counts": COUNTS[:4, :4], "label": "small"}, {"counts": COUNTS}, {"counts": COUNTS, "data_type": 1}, {"counts": COUNTS}]
    scan = load_map(written.sm4(pages), "scan.sm4")
    assert scan.channels == ("Topography (m)", "Topography (m) #2") and any("Of another size" in note for note in scan.notes)
    with pytest.raises(InputError, match="spectra at points"):
        load_map(written.sm4([{"counts": COUNTS, "data_type": 1}]), "spectrum.sm4")


def grid_places(angle_deg, columns=5, rows=4):
    """Where spectra lie that are taken from the bottom left, row by row upwards, 2 x 3 nm apart, in a frame turned by an angle."""
    angle = np.deg2rad(angle_deg)
    x, y = np.meshgrid(2e-9 * np.arange(columns), 3e-9 * np.arange(rows))
    turned = np.stack([x * np.cos(angle) - y * np.sin(angle), x * np.sin(angle) + y * np.cos(angle)], axis=-1)
    return turned.reshape(-1, 2) + [3e-8, -2e-8]


@pytest.mark.parametrize("angle", [0.0, 30.0, -60.0])
@pytest.mark.parametrize("serpentine", [False, True])
def test_spectra_on_a_grid_are_a_stack_over_the_bias(angle, serpentine):
    shown = np.random.default_rng(8).integers(-9999, 9999, size=(7, 4, 5))  # energies, rows from the top, columns
    stored, places = np.moveaxis(shown[:, ::-1], 0, 2).copy(), grid_places(angle).reshape(4, 5, 2)
    if serpentine:
        stored[1::2], places[1::2] = stored[1::2, ::-1].copy(), places[1::2, ::-1].copy()
    twice = np.repeat(stored.reshape(20, 7), 2, axis=0)
    twice[0::2] += 3
    twice[1::2] -= 3  # two spectra at every place, whose mean is what is shown
    spectra = {"data_type": 1, "line_type": 7, "label": "LIA Current", "unit": "A", "xy_unit": "V", "scales": (0.05, 1.0, 1e-13)}
    spectra |= {"counts": twice, "places": np.repeat(places.reshape(20, 2), 2, axis=0), "x_offset": -0.15}
    scan = load_map(written.sm4([{"counts": COUNTS}, spectra]), "grid.sm4")
    assert scan.channels == ("LIA Current (A)",) and scan.pixel_size_nm == pytest.approx((3.0, 2.0), rel=1e-4)
    np.testing.assert_allclose(scan.stack(), shown * 1e-13, rtol=1e-6)
    np.testing.assert_allclose(scan.bias_mv, np.linspace(-150, 150, 7), atol=1e-4)


def test_an_unfinished_grid_and_points_on_none():
    counts = np.arange(1, 20 * 7 + 1).reshape(20, 7)
    spectra = {"data_type": 1, "line_type": 7, "xy_unit": "V", "scales": (0.05, 1.0, 1.0)}
    cut = load_map(written.sm4([spectra | {"counts": counts[:18], "places": grid_places(0.0)[:18]}]), "grid.sm4")
    assert np.isnan(cut.layer()[0, 3:]).all() and np.isfinite(cut.layer()).sum() == 18 and cut.layer()[3, 0] == 1
    scattered = np.random.default_rng(0).uniform(0, 1e-8, (20, 2))
    with pytest.raises(InputError, match="no grid"):
        load_map(written.sm4([spectra | {"counts": counts, "places": scattered}]), "points.sm4")


def test_rows_that_were_not_scanned_are_nan():
    holed = COUNTS.copy()
    holed[4:] = 0
    scan = load_map(written.sm4([{"counts": holed, "z_offset": 1e-9}]), "scan.sm4")
    assert np.isnan(scan.layer()[:2]).all() and np.isfinite(scan.layer()[2:]).all() and scan.complete == pytest.approx(4 / 6)
    cut = load_map(written.sm4([{"counts": COUNTS}])[: -2 * 9 * 4], "scan.sm4")
    np.testing.assert_array_equal(np.isnan(cut.layer()), np.isnan(scan.layer()))


def test_missing_unit_gives_no_pixel_size():
    scan = load_map(written.sm4([{"counts": COUNTS, "xy_unit": "", "unit": "", "label": ""}]), "scan.sm4")
    assert not scan.pixel_size_known and scan.channels == ("image",)


def test_older_files_and_damaged_ones_get_a_sentence():
    content = written.sm4([{"counts": COUNTS}])
    for wrong, words in (
        (written.sm4([{"counts": COUNTS}], version="004.003 1"), "older than .sm4"),
        (content[:100], "tables of RHK pages"),
        (content[:42] + b"\xff\xff\xff\x7f" + content[46:], "tables of RHK pages"),
        (b"hello\n" * 20, "does not begin as a scan of RHK"),
    ):
        with pytest.raises(InputError, match=words):
            load_map(wrong, "scan.sm4")
