"""Gwyddion's simple fields, Nanosurf, Gxsm, Aarhus and WSxM cubes against what the tests wrote, and other readers where they are."""

import numpy as np
import pytest

from qpi_core.base.errors import InputError
from qpi_core.maps import load_map
from tests.maps.written import written_files as written
from tests.maps.written import written_scans

LAYER = written.asymmetric(6, 9)
COUNTS = np.random.default_rng(1).integers(-120, 120, size=(6, 9))


@pytest.mark.parametrize("comment", ["", "x", "xy", "xyz"])  # the padding has one to four bytes
def test_simple_field(comment):
    scan = load_map(written_scans.gsf(LAYER, comment=comment), "map.bin")
    np.testing.assert_array_equal(scan.layer(), LAYER)
    assert scan.channels == ("dI/dV",) and scan.unit() == "S" and scan.pixel_size_nm == pytest.approx((2.0, 1.0))
    plain = load_map(written_scans.gsf(LAYER, entries=()), "map.gsf")
    assert plain.channels == ("value",) and not plain.pixel_size_known


def test_simple_field_of_another_writer(tmp_path):
    gsffile = pytest.importorskip("gsffile", reason="gsffile, an independent writer, is not installed")
    metadata = {"XReal": 4.5e-3, "YReal": 6e-3, "XYUnits": "µm", "ZUnits": "A", "Title": "Current ÅΩ"}
    gsffile.write_gsf(tmp_path / "map.gsf", LAYER, metadata)
    scan = load_map(tmp_path / "map.gsf")
    np.testing.assert_array_equal(scan.layer("Current ÅΩ"), LAYER)
    assert scan.pixel_size_nm == pytest.approx((1.0, 0.5)) and scan.unit() == "A"
    (tmp_path / "ours.gsf").write_bytes(written_scans.gsf(LAYER))
    np.testing.assert_array_equal(gsffile.read_gsf(tmp_path / "ours.gsf")[0], LAYER)


def test_cut_simple_field_is_nan_where_it_ends():
    scan = load_map(written_scans.gsf(LAYER)[: -9 * 4 * 2], "map.gsf")
    np.testing.assert_array_equal(scan.layer()[:4], LAYER[:4])
    assert np.isnan(scan.layer()[4:]).all() and scan.complete == pytest.approx(4 / 6)


@pytest.mark.parametrize("bits", [8, 16, 32])
@pytest.mark.parametrize("order", ["Intel", "Motorola"])
@pytest.mark.parametrize("sign", ["Signed", "Unsigned"])
def test_nanosurf(bits, order, sign):
    stored = COUNTS if sign == "Signed" else COUNTS + 120
    images = [
        ("Z-Axis", "m", "Scan forward", stored),
        ("Current", "A", "Scan backward", stored + 1),
        ("Z-Axis", "m", "2nd scan forward", stored),
    ]
    scan = load_map(written_scans.nid(images, bits, order, sign, curves=True), "scan.nid")
    assert scan.channels == ("Z-Axis (m)", "Current [bwd] (A)", "2nd Z-Axis (m)") and scan.unit("Current [bwd] (A)") == "A"
    share = (stored + (2 ** (bits - 1) if sign == "Signed" else 0)) / 2**bits
    np.testing.assert_allclose(scan.layer("Z-Axis (m)"), -1e-9 + 4e-9 * share, rtol=1e-12)
    assert scan.bias_mv == pytest.approx([200]) and scan.pixel_size_nm == pytest.approx((2.0, 1.0))
    assert any("tip voltage" in note for note in scan.notes)


def test_nanosurf_cut_off_and_without_images():
    images = [("Z-Axis", "m", "Scan forward", COUNTS)]
    content = written_scans.nid(images, info=("Sample bias=-50 mV",))
    scan = load_map(content[: -9 * 2 * 2], "scan.nid")
    assert np.isnan(scan.layer()[:2]).all() and np.isfinite(scan.layer()[2:]).all() and scan.bias_mv == pytest.approx([-50])
    with pytest.raises(InputError, match="holds no image"):
        load_map(written_scans.nid([], curves=True), "curves.nid")
    with pytest.raises(InputError, match="header does not end"):
        load_map(content[:100], "scan.nid")


@pytest.mark.parametrize("field", ["FloatField", "DoubleField", "H"])
@pytest.mark.parametrize(("y_down", "version"), [(True, 1), (False, 2)])
def test_gxsm(field, y_down, version):
    content = written_scans.gxsm(COUNTS[np.newaxis], field, y_down=y_down, version=version)
    scan = load_map(content, "surface001-Xm-ADC0mITunnel.nc")
    np.testing.assert_allclose(scan.layer(), 2.0 * COUNTS)
    assert scan.channels == ("ADC0mITunnel [bwd] (nA)",) and scan.unit() == "nA"
    assert scan.bias_mv == pytest.approx([300]) and scan.pixel_size_nm == pytest.approx((0.2, 0.1))
    assert load_map(content, "renamed.nc").channels == ("ADC0-I (nA)",)


def test_gxsm_layers_over_the_bias():
    stack = np.stack([COUNTS, 2 * COUNTS, 3 * COUNTS])
    scan = load_map(written_scans.gxsm(stack, value=[-0.1, 0.0, 0.25]), "stack.nc")
    assert scan.bias_mv == pytest.approx([-100, 0, 250])
    np.testing.assert_allclose(scan.layer(bias_mv=250), 6.0 * COUNTS)
    assert np.isnan(load_map(written_scans.gxsm(stack, value_unit="s"), "stack.nc").bias_mv).all()


def test_netcdf_without_an_image_and_damaged():
    from io import BytesIO

    from scipy.io import netcdf_file

    stream = BytesIO()
    file = netcdf_file(stream, "w")
    file.createDimension("x", 3)
    file.createVariable("temperature", "f4", ("x",))[:] = 1.0
    file.flush()
    with pytest.raises(InputError, match="without an image of Gxsm"):
        load_map(stream.getvalue(), "weather.nc")
    with pytest.raises(InputError, match="cut off or damaged"):
        load_map(stream.getvalue()[:-30], "weather.nc")
    file.close()


def test_aarhus_images_with_their_own_bias():
    images = [("first", 0.5, COUNTS), ("second", -1.25, COUNTS + 1), ("", 0.5, COUNTS[:4, :5])]
    scan = load_map(written_scans.mul(images), "series.mul")
    assert scan.channels == ("1 Z first", "2 Z second") and not scan.channel_choice.sure
    for title, bias, values in (("1 Z first", 500, COUNTS), ("2 Z second", -1250, COUNTS + 1)):
        np.testing.assert_array_equal(scan.layer(title), values)
        assert scan.energies(title) == pytest.approx([bias], abs=0.2)
    assert scan.pixel_size_nm == pytest.approx((20 / 6, 10 / 9)) and any("'3 Z' (5 x 4 px)" in warning for warning in scan.warnings)
    with pytest.raises(InputError, match="no complete image"):
        load_map(written_scans.mul(images)[:400], "series.mul")


@pytest.mark.parametrize("kind", ["double", "simple", "short"])
def test_wsxm_cube(kind):
    stack, bias = np.stack([COUNTS + k for k in range(4)]), [-0.5, -0.1, 0.2, 0.4]
    scan = load_map(written_scans.gsi(COUNTS * 3, stack, bias, kind), "cube.gsi")
    assert scan.channels == ("Current", "Topography") and scan.default_channel == "Current"
    np.testing.assert_array_equal(scan.stack(), stack)
    assert scan.bias_mv == pytest.approx([-500, -100, 200, 400]) and scan.pixel_size_nm == pytest.approx((2.0, 1.0))
    assert scan.unit() == ("" if kind == "short" else "nA")
    topograph = scan.layer("Topography")
    np.testing.assert_allclose(topograph, COUNTS * 3 / np.ptp(COUNTS * 3) if kind == "short" else COUNTS * 3)
    missing = load_map(written_scans.gsi(COUNTS, stack, bias[:2], kind), "cube.gsi")
    assert np.isnan(missing.bias_mv[2:]).all() and any("not give the bias" in warning for warning in missing.warnings)
