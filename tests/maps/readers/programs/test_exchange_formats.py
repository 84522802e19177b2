"""Formats that other programs write: Gwyddion, HDF5, MATLAB, WSxM; read against files of other libraries where there are some."""

import io
import sys

import numpy as np
import pytest

from qpi_core.base.errors import InputError
from qpi_core.maps import load_map, write_gwy
from tests.maps.written import written_files as written

LAYER = written.asymmetric().astype(float)


def test_gwy_comes_back_as_it_was_written(tmp_path):
    other = LAYER * 2e-12
    write_gwy({"dI/dV": LAYER, "Topographie é": other}, (0.2, 0.1), {"Topographie é": "m"}, tmp_path / "map.gwy")
    scan = load_map(tmp_path / "map.gwy")
    assert scan.channels == ("dI/dV", "Topographie é") and scan.unit("Topographie é") == "m" and scan.unit("dI/dV") == ""
    np.testing.assert_array_equal(scan.layer(), LAYER)
    np.testing.assert_array_equal(scan.layer("Topographie é"), other)
    assert scan.pixel_size_nm == pytest.approx((0.2, 0.1))


def test_gwy_written_here_is_read_by_gwyfile():
    gwyfile = pytest.importorskip("gwyfile", reason="gwyfile, an independent reader, is not installed")
    holed = LAYER.copy()
    holed[2, 3] = np.nan
    container = gwyfile.load(io.BytesIO(write_gwy({"a": holed}, (0.2, 0.1), {"a": "A"})))
    field = container["/0/data"]
    assert container["/0/data/title"] == "a" and field["si_unit_z"]["unitstr"] == "A" and field["si_unit_xy"]["unitstr"] == "m"
    assert field["xreal"] == pytest.approx(0.9e-9) and field["yreal"] == pytest.approx(1.2e-9)
    expected = np.where(np.isnan(holed), np.nanmean(holed), holed)
    np.testing.assert_allclose(field.data, expected)
    np.testing.assert_array_equal(container["/0/mask"].data, np.isnan(holed))


def test_gwy_of_gwyfile_is_read_here():
    objects = pytest.importorskip("gwyfile.objects", reason="gwyfile, an independent writer, is not installed")
    container = objects.GwyContainer()
    container["/0/data/title"] = "Topo"
    container["/0/data"] = objects.GwyDataField(LAYER, xreal=9e-9, yreal=12e-9, si_unit_xy="m", si_unit_z="m")
    container["/1/data"] = objects.GwyDataField(LAYER[:, ::-1].copy(), xreal=9e-9, yreal=12e-9)
    stream = io.BytesIO()
    container.tofile(stream)
    scan = load_map(stream.getvalue(), "map.gwy")
    assert scan.channels == ("Topo", "/1/data") and scan.pixel_size_nm == pytest.approx((2.0, 1.0))
    np.testing.assert_array_equal(scan.layer("Topo"), LAYER)
    np.testing.assert_array_equal(scan.layer("/1/data"), LAYER[:, ::-1])


def test_gwy_brick_is_a_stack_over_the_bias():
    objects = pytest.importorskip("gwyfile.objects", reason="gwyfile, an independent writer, is not installed")
    stack = np.stack([LAYER * k for k in (1, 2, 3, 4)])
    brick = objects.GwyObject(
        "GwyBrick",
        {"xres": 9, "yres": 6, "zres": 4, "xreal": 9e-9, "yreal": 6e-9, "zreal": 0.4, "zoff": -0.1, "data": stack.ravel()},
        {"xres": "i", "yres": "i", "zres": "i", "xreal": "d", "yreal": "d", "zreal": "d", "zoff": "d", "data": "D"},
    )
    for axis, unit in (("x", "m"), ("y", "m"), ("z", "V"), ("w", "A")):
        brick[f"si_unit_{axis}"] = objects.GwySIUnit(unitstr=unit)
    container = objects.GwyContainer()
    container["/brick/0"] = brick
    container.typecodes["/brick/0"] = "o"
    stream = io.BytesIO()
    container.tofile(stream)
    scan = load_map(stream.getvalue(), "grid.gwy")
    np.testing.assert_array_equal(scan.stack(), stack)
    np.testing.assert_allclose(scan.bias_mv, [-100, 0, 100, 200])
    assert scan.pixel_size_nm == pytest.approx((1, 1)) and scan.unit() == "A"


def test_hdf5_channels_and_no_links_out_of_the_file(tmp_path):
    h5py = pytest.importorskip("h5py", reason="h5py is not installed")
    stack = np.stack([LAYER, LAYER * 2])
    with h5py.File(tmp_path / "secret.h5", "w") as file:
        file["other"] = LAYER
    with h5py.File(tmp_path / "map.h5", "w") as file:
        file["scan/didv"] = stack
        file["bias_mv"] = [-5.0, 5.0]
        file["label"] = "text"
        file["link"] = h5py.ExternalLink("secret.h5", "/other")
        file.create_dataset("outside", shape=LAYER.shape, dtype="f8", external=[(str(tmp_path / "secret.h5"), 0, LAYER.nbytes)])
    scan = load_map(tmp_path / "map.h5")
    assert scan.channels == ("scan/didv",) and scan.bias_mv.tolist() == [-5, 5]
    np.testing.assert_array_equal(scan.layer(bias_mv=5), stack[1])


def test_hdf5_without_h5py_names_the_command(monkeypatch):
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(InputError, match="pip install h5py"):
        load_map(b"\x89HDF\r\n\x1a\n" + b"\0" * 100, "map.h5")


def packed_mat(**arrays):
    return written.mat(compress=True, **arrays)


@pytest.mark.parametrize("write", [written.mat, packed_mat, written.mat_73])
def test_matlab_layers_and_stacks_with_energies_last(write):
    if write is written.mat_73:
        pytest.importorskip("h5py", reason="h5py is not installed")
    stack = np.stack([LAYER, LAYER * 2, LAYER * 3], axis=2)
    scan = load_map(write(topo=LAYER, didv=stack, bias_mv=np.array([[1.0, 2.0, 3.0]])), "map.mat")
    assert set(scan.channels) == {"topo", "didv"} and scan.bias_mv.tolist() == [1, 2, 3]
    np.testing.assert_array_equal(scan.layer("topo"), LAYER)
    np.testing.assert_array_equal(scan.layer("didv", bias_mv=3), LAYER * 3)


@pytest.mark.parametrize("dtype", ["u1", "i2", "u2", "i4", "i8", "f4", "f8"])
def test_matlab_number_types_and_what_is_passed_over(dtype):
    array = np.round(LAYER * 20 + 100).astype(dtype)
    others = {"text": "words", "cell": np.array(["a", 1], dtype=object), "wave": LAYER * 1j, "flag": True}
    scan = load_map(written.mat(map=array, **others), "map.mat")
    np.testing.assert_array_equal(scan.layer("map"), array)
    assert scan.channels == ("map",)


@pytest.mark.parametrize("kind", ["short", "double"])
def test_wsxm_orientation_and_scales(kind):
    stored = np.round(LAYER * 1000)
    scan = load_map(written.wsxm(stored, kind), "map.stp")
    np.testing.assert_allclose(scan.layer(), stored * 12.5 / np.ptp(stored))
    assert scan.pixel_size_nm == pytest.approx((2 / 6, 3 / 9)) and scan.bias_mv == [-150] and scan.channels == ("Topo",)


@pytest.mark.parametrize("order", ["<", ">"])
def test_igor_waves_as_gwyddion_shows_them(order):
    stack = np.stack([LAYER, LAYER * 2, LAYER * 3]).astype("f4")
    scan = load_map(written.igor(stack, order), "no_name")
    np.testing.assert_array_equal(scan.stack(), stack[:, ::-1])
    assert scan.channels == ("dIdV",) and scan.unit() == "A" and scan.pixel_size_nm == pytest.approx((3, 2))
    np.testing.assert_allclose(scan.bias_mv, [-100, -90, -80])
    cut = load_map(written.igor(stack, order)[: -LAYER.size * 4], "wave.ibw")
    assert cut.complete == pytest.approx(2 / 3) and np.isnan(cut.layer(index=2)).all()


def test_igor_waves_written_here_are_read_by_igor2():
    binarywave = pytest.importorskip("igor2.binarywave", reason="igor2, an independent reader, is not installed")
    wave = binarywave.load(io.BytesIO(written.igor(LAYER)))["wave"]
    np.testing.assert_array_equal(wave["wData"], LAYER.T)
    assert wave["wave_header"]["bname"] == b"dIdV" and wave["wave_header"]["sfA"][1] == 3e-9
    np.testing.assert_array_equal(load_map(written.igor(LAYER), "a.ibw").layer(), LAYER[::-1])


BAD_FILES = {
    "gwy cut off": (write_gwy({"a": LAYER}, 1.0)[:-20], "map.gwy", "not a complete Gwyddion file"),
    "gwy without data": (write_gwy({}, 1.0), "map.gwy", "no image data"),
    "gwy that lies": (write_gwy({"a": LAYER}, 1.0).replace(b"xres\0i\x09", b"xres\0i\x0a"), "map.gwy", "declares"),
    "hdf5 cut off": (b"\x89HDF\r\n\x1a\n" + b"\0" * 100, "map.h5", "not a complete HDF5|needs the package h5py"),
    "mat cut off": (written.mat(a=LAYER)[:-100], "map.mat", "not a complete MATLAB"),
    "mat without maps": (written.mat(a="text"), "map.mat", "no map"),
    "wsxm cut off": (written.wsxm(LAYER)[:-4], "map.stp", "cut off"),
    "wsxm without header end": (written.wsxm(LAYER)[:100], "map.stp", "not a complete image"),
    "nanonis spectrum": (b"Experiment\tbias spectroscopy\t\r\n[DATA]\r\n1\t2\r\n", "spectrum.dat", "not a map"),
    "rhk": (b"\xaa\0" + "STiMage 005.".encode("utf-16-le") + b"\0" * 50, "map.sm4", "RHK"),
    "matrix": (b"ONTMATRX0101" + b"\0" * 50, "map.Z_mtrx", "one part of a Matrix"),
    "igor without type": (b"\x05\0" + b"\0" * 500, "wave.ibw", "Igor"),
    "igor cut off": (written.igor(LAYER)[:390], "wave.ibw", "not one line"),
    "igor of one dimension": (written.igor(LAYER[0]), "wave.ibw", "1 dimensions"),
    "igor renamed": (b"hello", "wave.ibw", "does not begin as a binary wave of Igor"),
}


@pytest.mark.parametrize("case", BAD_FILES, ids=str)
def test_bad_file_gets_a_sentence(case):
    content, name, words = BAD_FILES[case]
    with pytest.raises(InputError, match=words) as caught:
        load_map(content, name)
    assert name in str(caught.value) and str(caught.value).endswith(".")


def test_write_gwy_refuses_what_is_no_layer():
    with pytest.raises(InputError, match="layer 'a'"):
        write_gwy({"a": np.zeros(5)}, 1.0)
    with pytest.raises(InputError, match="pixel_size_nm"):
        write_gwy({"a": LAYER}, -1.0)
