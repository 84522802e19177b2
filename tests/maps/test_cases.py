"""Small files that failed in a trial, with the right values that stand beside them in EXPECTED.txt."""

import numpy as np
import pytest

from qpi_core.maps import load_map
from tests.maps.written_files import DATA

CASES = DATA / "cases"
pytestmark = pytest.mark.skipif(not CASES.is_dir(), reason="the folder shared/data/cases is not beside the project")


@pytest.mark.parametrize("name", ["linear_leftover_same_points.3ds", "linear_leftover_other_points.3ds"])
def test_energies_of_a_linear_sweep(name):
    scan = load_map(CASES / name)
    np.testing.assert_allclose(scan.bias_mv, np.linspace(200, -100, 64), atol=1e-4)
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
