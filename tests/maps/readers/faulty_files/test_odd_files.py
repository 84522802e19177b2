"""Variations that other instruments and programs write: fields that are missing, other line ends, units, axes and languages."""

import io

import numpy as np
import pytest

from qpi_core.maps import load_map
from tests.maps.written import written_files as written

LAYER = written.asymmetric().astype(float)
STACK = np.stack([LAYER * k for k in (1, 2, 3, 4, 5)])
ONE = "\t0\tCurrent\tA\tforward\t1\t0\n"


def test_sxm_of_one_direction_several_passes_or_no_unit():
    backward = load_map(written.sxm([LAYER[:, ::-1]], table=ONE.replace("forward", "backward")), "scan.sxm")
    assert backward.channels == ("Current [bwd] (A)",)
    np.testing.assert_array_equal(backward.layer(), LAYER.astype(np.float32))
    passes = "\t14\tZ\tm\tboth\t1\t0\n\t14\t[P1]_Z\tm\tboth\t1\t0\n"
    assert load_map(written.sxm([LAYER] * 4, table=passes), "scan.sxm").channels[2:] == ("[P1] Z (m)", "[P1] Z [bwd] (m)")
    assert load_map(written.sxm([LAYER], table=ONE.replace("\tA\t", "\t\t")), "scan.sxm").channels == ("Current",)


def test_sxm_header_with_other_line_ends_gaps_and_languages():
    plain = written.sxm([LAYER], table=ONE)
    header, mark, data = plain.partition(b"\x1a\x04")
    comment = ":COMMENT:\nprobe: 7×7, Länge ☃\n\n:SCAN_ANGLE:"
    commas = header.replace(b"3.000000E-08", b"3,000000E-08").replace(b"2.500E-01", b"2,500E-01") + mark + data
    for content in (header.replace(b"\n", b"\r\n") + mark + data, plain.replace(b":SCAN_ANGLE:", comment.encode()), commas):
        scan = load_map(content, "scan.sxm")
        np.testing.assert_array_equal(scan.layer(), LAYER.astype(np.float32))
        assert scan.pixel_size_nm == pytest.approx((20 / 6, 30 / 9)) and scan.bias_mv == pytest.approx([250])
    bare = plain.replace(b":SCAN_RANGE:", b":A:").replace(b":BIAS:", b":B:").replace(b":SCAN_DIR:", b":C:")
    scan = load_map(bare, "scan.sxm")
    assert not scan.pixel_size_known and np.isnan(scan.bias_mv).all()
    little = plain.replace(b"MSBFIRST", b"LSBFIRST").partition(mark)[0] + mark + LAYER.astype("<f4").tobytes()
    np.testing.assert_array_equal(load_map(little, "scan.sxm").layer(), LAYER.astype(np.float32))


def test_3ds_of_one_channel_reversed_and_with_odd_parameters():
    spectra = np.random.default_rng(1).normal(size=(5, 4, 1, 7)).astype(np.float32)
    plain = written.grid_3ds(spectra, channels=("Current (A)",), sweep_v=(0.1, -0.1))
    named = b'Experiment parameters="X (m);Y (m);Z (m)"'
    header, mark, data = plain.partition(b":HEADER_END:\r\n")
    for content in (
        plain,
        plain.replace(named, b'Experiment parameters=" X (m) ; Y (m);Z (m); "'),
        plain.replace(named, b'Experiment parameters="X (m);Y (m);Z (m);Scan:Current (A);Settling"'),  # more names than numbers
        plain.replace(named, b""),
        plain.replace(b"Grid settings", b'Comment="a=b; Gr\xfc\xdfe\r\nand more"\r\nGrid settings'),
        header.replace(b"\r\n", b"\n") + b":HEADER_END:\n" + data,
    ):
        scan = load_map(content, "grid.3ds")
        np.testing.assert_allclose(scan.bias_mv, np.linspace(100, -100, 7), atol=1e-5)
        np.testing.assert_array_equal(scan.layer("Current (A)", index=6), spectra[::-1, :, 0, 6])
        assert scan.pixel_size_nm == pytest.approx((4.0, 7.5))


@pytest.mark.parametrize(("select", "count", "names"), [(1, 2, ("Z (m)", "Z [bwd] (m)")), (4, 1, ("Channel bit 2 (DAC)",)), (7, 3, None)])
@pytest.mark.parametrize("magic", [b"[Paramco32]", b"[Paramet32]", b"[Parameter]"])
def test_createc_channels_and_decimal_commas(select, count, names, magic):
    planes = np.random.default_rng(2).integers(1, 30000, size=(count, 6, 9))
    plain = written.createc(planes, magic=magic, select=select)
    with_commas = plain.replace(b"=90.0", b"=90,0").replace(b" 19.2", b" 19,2").replace(b"-550.00", b"-550,50")
    one, other = load_map(plain, "scan.dat"), load_map(with_commas, "scan.dat")
    assert one.channels == (names or ("Z (m)", "Current (A)", "Channel bit 2 (DAC)"))
    assert other.pixel_size_nm == one.pixel_size_nm == pytest.approx((1, 1)) and other.bias_mv == pytest.approx([-550.5])
    np.testing.assert_array_equal(one.layer(one.channels[0]), other.layer(one.channels[0]))


def test_wsxm_in_other_encodings_and_types():
    plain = written.wsxm(np.round(LAYER * 100))
    angstrom = "30 Å".encode("latin-1")
    whole = load_map(plain, "map.stp")
    for other in ("30 Å".encode(), "30,0 \u212b".encode(), b"3 nm"):
        scan = load_map(plain.replace(angstrom, other), "map.stp")
        assert scan.pixel_size_nm == pytest.approx(whole.pixel_size_nm)
        np.testing.assert_array_equal(scan.layer(), whole.layer())
    header, mark, data = plain.partition(b"[Header end]\r\n")
    unix = load_map(header.replace(b"\r\n", b"\n") + b"[Header end]\n" + data, "map.stp")
    np.testing.assert_array_equal(unix.layer(), whole.layer())


def test_gwy_with_masks_several_sizes_and_other_units_of_length():
    objects = pytest.importorskip("gwyfile.objects", reason="gwyfile, an independent writer, is not installed")
    container = objects.GwyContainer()
    container["/3/data"] = objects.GwyDataField(LAYER[:4, :4].copy(), xreal=4.0, yreal=8.0, si_unit_xy="nm")
    container["/1/data"] = objects.GwyDataField(LAYER, xreal=4.5, yreal=6.0, si_unit_xy="nm", si_unit_z="A")
    container["/1/mask"] = objects.GwyDataField((LAYER > 0).astype(float), xreal=4.5, yreal=6.0, si_unit_xy="nm")
    container["/2/data"] = objects.GwyDataField(LAYER, xreal=4.5, yreal=6.0, si_unit_xy="1/m")
    stream = io.BytesIO()
    container.tofile(stream)
    scan = load_map(stream.getvalue(), "map.gwy")
    assert scan.channels == ("/1/data", "/2/data") and scan.pixel_size_nm == pytest.approx((1.0, 0.5)) and scan.unit() == "A"
    np.testing.assert_array_equal(scan.layer(), LAYER)
    assert any("/3/data" in note for note in scan.notes)


def test_npz_leaves_out_what_is_no_number_and_turns_energies_that_come_last():
    scan = load_map(written.npz(didv=np.moveaxis(STACK, 0, 2), bias_mv=np.arange(5.0), label=np.array("x"), wave=LAYER * 1j), "map.npz")
    np.testing.assert_array_equal(scan.stack(), STACK)
    assert scan.channels == ("didv",) and sum("was left out" in note for note in scan.notes) == 2


@pytest.mark.parametrize("quoted", [False, True])
def test_tables_of_pandas_and_quoted_cells(quoted):
    mark = '"' if quoted else ""
    rows = [["", *map(str, range(9))]]
    rows += [[str(number), *(f"{mark}{value!r}{mark}" for value in row)] for number, row in enumerate(LAYER.tolist())]
    scan = load_map("\r\n".join(map(",".join, rows)).encode(), "map.csv")
    np.testing.assert_array_equal(scan.layer(), LAYER)
    assert any("only number the others" in note for note in scan.notes)


def nexus(energies_last=True, energy_unit="V", square=False):
    h5py = pytest.importorskip("h5py", reason="h5py is not installed")
    stack = STACK[:, :, :6] if square else STACK
    stream = io.BytesIO()
    with h5py.File(stream, "w") as file:
        group = file.create_group("entry/data")
        group["didv"] = np.moveaxis(stack, 0, 2) if energies_last else stack
        group["didv"].attrs["units"] = "nS"
        group["topography"] = stack[0]
        if energy_unit:
            group["energy"] = np.linspace(-0.1, 0.1, 5)
            group["energy"].attrs["units"] = energy_unit
            for axis, count, step in (("x", stack.shape[2], 2e-10), ("y", stack.shape[1], 3e-10)):
                group[axis] = 1e-8 + step * np.arange(count)
                group[axis].attrs["units"] = "m"
        file["entry/title"] = "Ag(111)"
        file["entry/count"] = 3
    return stream.getvalue(), stack


@pytest.mark.parametrize("energies_last", [True, False])
def test_nexus_axes_units_and_nested_groups(energies_last):
    content, stack = nexus(energies_last)
    scan = load_map(content, "map.nxs")
    assert scan.channels == ("entry/data/didv", "entry/data/topography") and scan.unit() == "nS"
    np.testing.assert_array_equal(scan.stack(), stack)
    np.testing.assert_allclose(scan.bias_mv, [-100, -50, 0, 50, 100], atol=1e-12)
    assert scan.pixel_size_nm == pytest.approx((0.3, 0.2)) and not any("left out" in note for note in scan.notes)


def test_hdf5_stack_of_square_maps_without_energies():
    content, stack = nexus(energy_unit="", square=True)
    np.testing.assert_array_equal(load_map(content, "map.h5").stack(), stack)


@pytest.mark.parametrize("energies_last", [True, False])
@pytest.mark.parametrize("write", [written.mat, written.mat_73])
def test_matlab_structures_and_either_order_of_axes(write, energies_last):
    if write is written.mat_73:
        pytest.importorskip("h5py", reason="h5py is not installed")
    fields = {"didv": np.moveaxis(STACK, 0, 2) if energies_last else STACK, "bias_mv": np.arange(5.0).reshape(1, 5)}
    arrays = {"grid": fields} if write is written.mat else {f"grid/{key}": array for key, array in fields.items()}
    scan = load_map(write(**arrays), "grid.mat")
    assert scan.channels == ("grid/didv",) and scan.bias_mv.tolist() == [0, 1, 2, 3, 4]
    np.testing.assert_array_equal(scan.stack(), STACK)
