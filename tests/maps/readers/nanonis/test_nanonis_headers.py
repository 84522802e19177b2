"""Nanonis headers in other orders, with comments that repeat their keys, and with several passes at different biases."""

import json

import numpy as np
import pytest

from qpi_core.__main__ import main
from qpi_core.base.errors import InputError
from qpi_core.maps import load_map
from tests.maps.written import written_files as written

COLUMNS = "\tRecord-Ch\tPlayback\tPlayback-Offset\tBOL-delay_[cycles]\tBias_override\tBias_override_value\tZ_Setp_override\tSpeed_factor\n"
PASSES = "\t14\t[P1]_Z\tm\tboth\t1\t0\n\t14\t[P2]_Z\tm\tboth\t1\t0\n\t0\t[P1]_LI_X\tA\tboth\t1\t0\n\t0\t[P2]_LI_X\tA\tboth\t1\t0\n"


def override(switch, value):
    return f"\t-1\tFALSE\t0.000E+0\t40\t{switch}\t{value}\tFALSE\t1.000\n"


def images(count=8):
    return [written.asymmetric(seed=seed) for seed in range(count)]


def multipass(rows, columns=COLUMNS, key=":Multipass-Config:"):
    content = written.sxm(images(), table=PASSES)
    return content.replace(b":DATA_INFO:", f"{key}\n{columns}{''.join(rows)}:DATA_INFO:".encode())


def test_every_pass_has_its_own_bias_and_all_together_are_a_stack():
    rows = [override("TRUE", "3E-2"), override("TRUE", "4E-2"), override("FALSE", "9"), override("TRUE", "-8.0E-2")]
    scan = load_map(multipass(rows), "scan.sxm")
    stored = images()
    expected = {"[P1] LI X (A)": 30, "[P1] LI X [bwd] (A)": 40, "[P2] LI X (A)": 250, "[P2] LI X [bwd] (A)": -80}  # 250 mV is the scan's
    for number, (channel, bias) in enumerate(expected.items()):
        assert scan.energies(channel) == pytest.approx([bias])
        np.testing.assert_array_equal(scan.layer(channel, bias_mv=bias), stored[4 + number][:, :: -1 if "bwd" in channel else 1])
        with pytest.raises(InputError, match="not measured"):
            scan.layer(channel, bias_mv=bias + 60)
    assert scan.default_channel == "LI X (A)" and scan.bias_mv == pytest.approx([30, 250]) and not scan.warnings
    np.testing.assert_array_equal(scan.stack(), np.stack([stored[4], stored[6]]))
    np.testing.assert_array_equal(scan.layer(bias_mv=250), stored[6])
    assert scan.energies("Z [bwd] (m)") == pytest.approx([40, -80]) and scan.unit() == "A"


@pytest.mark.parametrize(("unit", "values"), [("V", ("0.03", "-0.08")), ("mV", ("30", "-80,0"))])
def test_one_row_a_pass_and_other_columns(unit, values):
    columns = f"\tBias_override_value_({unit})\tbias override\n"
    scan = load_map(multipass([f"\t{values[0]}\tON\n", f"\t{values[1]}\tyes\n"], columns), "scan.sxm")
    assert scan.energies("[P1] Z (m)") == pytest.approx([30]) and scan.energies("[P2] LI X [bwd] (A)") == pytest.approx([-80])


@pytest.mark.parametrize("rows", [[], [override("TRUE", "0.1")] * 3, ["\t1\n"] * 4])
def test_a_header_that_cannot_tell_says_so(rows):
    scan = load_map(multipass(rows), "scan.sxm")
    assert any("2 passes" in warning and "250 mV" in warning for warning in scan.warnings)
    assert scan.energies("[P2] LI X (A)") == pytest.approx([250]) and "LI X (A)" not in scan.channels
    assert any("2 passes" in warning for warning in load_map(written.sxm(images(), table=PASSES), "scan.sxm").warnings)
    unread = load_map(multipass([override("TRUE", "what")] * 4), "scan.sxm")
    assert np.isnan(unread.energies("[P1] LI X (A)")).all() and any("without saying with what" in warning for warning in unread.warnings)


def test_passes_at_one_bias_are_no_stack_and_settings_of_passes_that_were_not_made_are_named():
    scan = load_map(multipass([override("TRUE", "0.1")] * 4), "scan.sxm")
    assert scan.bias_mv == pytest.approx([100]) and "LI X (A)" not in scan.channels and not scan.channel_choice.sure
    plain = written.sxm(images(4)).replace(b":DATA_INFO:", f":Multipass-Config:\n{COLUMNS}{override('TRUE', '0.1')}:DATA_INFO:".encode())
    scan = load_map(plain, "scan.sxm")
    assert scan.bias_mv == pytest.approx([250]) and any("100 mV" in warning and "250 mV" in warning for warning in scan.warnings)


def sxm_in_order(comment_first):
    """A scan whose comment looks like a header of its own, before or after what it repeats."""
    content = written.sxm(images(4))
    comment = b":COMMENT:\nsecond try\n:SCAN_PIXELS:\n 3 3\n:BIAS:\n 7.0\n:SCAN_RANGE:\n 1 1\n"
    first = b":SCANIT_TYPE:"
    return content.replace(first, comment + first) if comment_first else content.replace(b":DATA_INFO:", comment + b":DATA_INFO:")


@pytest.mark.parametrize("comment_first", [True, False])
def test_a_comment_does_not_change_what_a_scan_says(comment_first):
    plain, scan = load_map(written.sxm(images(4)), "scan.sxm"), load_map(sxm_in_order(comment_first), "scan.sxm")
    assert scan.bias_mv == plain.bias_mv and scan.pixel_size_nm == plain.pixel_size_nm and not scan.warnings
    np.testing.assert_array_equal(scan.layer(), plain.layer())


def test_columns_and_entries_of_a_scan_in_another_order():
    table = "\tName\tChannel\tDirection\tCalibration\tUnit\n\tLI_X\t8\tforward\t1\tA\n\tZ\t14\tbackward\t1\tm\n"
    content = written.sxm(images(2), table=table).replace(b"\tChannel\tName\tUnit\tDirection\tCalibration\tOffset\n", b"")
    head = b":NANONIS_VERSION:\n2\n"
    moved = content.replace(head, b"").replace(b":DATA_INFO:", head + b":DATA_INFO:")
    for scan in (load_map(content, "scan.sxm"), load_map(moved, "renamed.bin")):
        assert scan.channels == ("LI X (A)", "Z [bwd] (m)") and scan.unit("Z [bwd] (m)") == "m"
        np.testing.assert_array_equal(scan.layer("Z [bwd] (m)"), images(2)[1][:, ::-1])


@pytest.mark.parametrize("place", ["first", "middle", "last"])
@pytest.mark.parametrize("closing", ['Grid dim="30 x 30" failed"', 'Grid dim="30 x 30"', 'the end"'])
def test_a_comment_does_not_change_what_a_grid_says(place, closing):
    spectra = np.random.default_rng(1).normal(size=(5, 4, 2, 7)).astype(np.float32)
    content = written.grid_3ds(spectra, z=written.asymmetric(5, 4))
    comment = f'Comment="second try\r\nPoints=128 was too slow\r\nFiletype=MLS\r\nChannels="Z (m)"\r\n{closing}\r\n'.encode()
    anchor = {"first": b"Grid dim", "middle": b"# Parameters", "last": b":HEADER_END:"}[place]
    scan, plain = load_map(content.replace(anchor, comment + anchor, 1), "grid.3ds"), load_map(content, "grid.3ds")
    assert scan.channels == plain.channels and not scan.warnings
    np.testing.assert_array_equal(scan.stack(), plain.stack())
    np.testing.assert_array_equal(scan.bias_mv, plain.bias_mv)


def test_a_comment_whose_quote_never_ends():
    content = written.grid_3ds(np.random.default_rng(1).normal(size=(5, 4, 2, 7)).astype(np.float32))
    scan = load_map(content.replace(b"# Parameters", b'Comment="5" wide, bad tip\r\n# Parameters').replace(b'"\r\n', b"\r\n"), "grid.3ds")
    assert scan.shape == (5, 4) and len(scan.bias_mv) == 7


def test_a_header_that_gives_a_size_twice_names_both():
    spectra = np.zeros((5, 4, 2, 7), np.float32) + np.arange(7)
    content = written.grid_3ds(spectra).replace(b"Points=7", b"Points=7\r\nGrid settings=0;0;9e-9;9e-9;0")
    scan = load_map(content, "grid.3ds")
    assert any("Grid settings more than once" in warning and "9e-9" in warning for warning in scan.warnings)
    assert scan.pixel_size_nm == pytest.approx((4.0, 7.5))


@pytest.mark.slow
def test_the_command_records_the_bias_of_the_pass(tmp_path):
    rows = [override("TRUE", "3E-2")] * 2 + [override("TRUE", "-8E-2")] * 2
    (tmp_path / "scan.sxm").write_bytes(multipass(rows))
    (tmp_path / "p.csv").write_text("x_px,y_px\n4,3\n")
    for channel, extra, bias, number in (("[P2] LI X (A)", [], -80, 0), (None, ["--bias-mv", "-80"], -80, 1), (None, [], 30, 0)):
        out = tmp_path / f"out{bias}{len(extra)}{channel is None}"
        chosen = ["--channel", channel] if channel else []
        command = ["extract", str(tmp_path / "scan.sxm"), "--positions", str(tmp_path / "p.csv"), "--out", str(out), *chosen, *extra]
        assert main([*command, "--method", "defect_average", "--kernel-size", "5"]) == 0
        source = json.loads((out / "estimate.json").read_text())["provenance"]["input"]
        assert source["bias_mv"] == pytest.approx(bias) and source["layer_index"] == number
