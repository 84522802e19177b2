"""Small files that failed in a trial, with the right values that stand beside them in EXPECTED.txt."""

import numpy as np
import pytest

from qpi_core.base.errors import InputError
from qpi_core.maps import load_map
from tests.measured_data import DATA

CASES = DATA / "cases"
pytestmark = pytest.mark.skipif(not CASES.is_dir(), reason="the folder shared/data/cases is not beside the project")


@pytest.mark.parametrize("name", ["linear_leftover_same_points.3ds", "linear_leftover_other_points.3ds"])
def test_energies_of_a_linear_sweep(name):
    scan = load_map(CASES / name)
    np.testing.assert_allclose(scan.bias_mv, np.linspace(200, -100, 64), atol=1e-9)
    assert any("-1000 to 1000 mV" in warning for warning in scan.warnings)


def test_every_pass_has_its_own_bias():
    scan = load_map(CASES / "multipass.sxm")
    for number, bias in ((1, 30), (2, -80)):
        for channel in (f"[P{number}] Z (m)", f"[P{number}] LI Demod 1 X (A)", f"[P{number}] LI Demod 1 X [bwd] (A)"):
            assert scan.energies(channel) == pytest.approx([bias])
    assert scan.bias_mv == pytest.approx([30, -80]) and scan.default_channel == "LI Demod 1 X (A)"


def test_the_default_channel_is_neither_constant_nor_a_parameter():
    assert load_map(CASES / "li_x_constant_height.sxm").default_channel == "LI X (V)"
    scan = load_map(CASES / "lockin_is_point_parameter.3ds")
    assert len(scan.stack()) == 64 and not scan.channel_choice.sure


def test_a_comment_that_repeats_keys():
    scan = load_map(CASES / "comment_key.3ds")
    assert scan.shape == (8, 10) and len(scan.bias_mv) == 64


def test_a_zip_of_the_finder_is_the_same_map():
    finder, plain = load_map(CASES / "matrix_zipped_by_finder.zip"), load_map(CASES / "matrix_zipped_plain.zip")
    assert finder.channels == plain.channels and finder.bias_mv == plain.bias_mv and finder.pixel_size_nm == plain.pixel_size_nm
    for channel in plain.channels:
        np.testing.assert_array_equal(finder.stack(channel), plain.stack(channel))


def test_gwyddion_files():
    scan = load_map(CASES / "gwy_small_first.gwy")
    assert scan.channels == ("dI/dV",) and scan.shape == (8, 10)
    assert load_map(CASES / "gwy_small_first.gwy", channel="thumb").shape == (4, 4)
    assert load_map(CASES / "gwy_latin1_unit.gwy").pixel_size_nm == pytest.approx((1000, 1000))
    assert load_map(CASES / "gwy_latin1_title.gwy").channels == ("dI/dV µµ",)
    with pytest.raises(InputError, match=r"Gwyddion 1\.x"):
        load_map(CASES / "gwyddion_1x_head.gwy")


def test_labelled_layers_are_channels():
    scan = load_map(CASES / "asylum_layer_labels.ibw")
    labels = ("HeightRetrace", "AmplitudeRetrace", "DeflectionRetrace", "PhaseRetrace")
    assert scan.channels == labels and [scan.unit(label) for label in labels] == ["m", "m", "m", "deg"] and scan.shape == (16, 16)


def test_a_list_of_points_is_a_map_on_its_grid():
    scan, table = load_map(CASES / "xyz4.txt"), np.loadtxt(CASES / "xyz4.txt")
    assert scan.shape == (8, 10) and scan.pixel_size_nm == pytest.approx((1.0, 1.0)) and scan.default_channel == "dIdV (S)"
    np.testing.assert_array_equal(scan.layer(), table[:, 3].reshape(8, 10)[::-1])
