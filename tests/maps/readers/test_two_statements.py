"""Files that say a thing twice and differently load, with a sentence that names both statements and says which one was taken."""

import io
import struct

import numpy as np
import pytest

from qpi_core.maps import load_map
from qpi_core.maps.readers.shared.two_statements import two_energies
from tests.maps.written import written_containers as containers
from tests.maps.written import written_files as written
from tests.maps.written import written_scans as scans

LAYER = written.asymmetric(8, 10, 1)
STACK = np.stack([LAYER, LAYER**2, LAYER - 1])
SPECTRA = np.random.default_rng(0).normal(size=(5, 6, 2, 7)).astype(np.float32)
BIAS_MV = np.array([-100.0, 0.0, 200.0])


def said(scan, *words):
    return any(all(word in warning for word in words) for warning in scan.warnings)


def with_settings(*entries):
    """A scan of 10 x 8 px, 30 x 20 nm, 250 mV, whose header also holds settings of the modules."""
    lines = "".join(f":{key}:\n{value}\n" for key, value in entries).encode()
    return written.sxm([LAYER] * 4).replace(b":DATA_INFO:", lines + b":DATA_INFO:")


def test_settings_of_the_modules_of_a_scan():
    same = with_settings(
        ("Bias>Bias (V)", "250E-3"), ("Scan>Scanfield", "0;0;30E-9;20E-9;0E+0"), ("Scan>pixels/line", "10"), ("Scan>lines", "8")
    )
    assert not load_map(same, "scan.sxm").warnings
    scan = load_map(with_settings(("Bias>Bias (V)", "-80E-3"), ("Scan>Scanfield", "0;0;15E-9;20E-9;45")), "scan.sxm")
    assert scan.bias_mv == pytest.approx([250]) and scan.pixel_size_nm == pytest.approx((2.5, 3.0)) and scan.angle_deg == 0
    assert said(scan, "250 mV", "-80 mV", "former") and said(scan, "30 x 20 nm", "15 x 20 nm", "former") and said(scan, "45 degrees")


def test_the_number_of_values_decides_between_two_numbers_of_pixels():
    whole = with_settings(("Scan>pixels/line", "10"), ("Scan>lines", "8"))
    scan = load_map(whole.replace(b"       10       8\n", b"       12       8\n"), "scan.sxm")
    np.testing.assert_array_equal(scan.layer("Z (m)"), LAYER)
    assert said(scan, "12 x 8 px", "10 x 8 px was taken")
    kept = load_map(with_settings(("Scan>pixels/line", "20"), ("Scan>lines", "8")), "scan.sxm")
    assert kept.shape == (8, 10) and said(kept, "20 x 8 px", "10 x 8 px was taken")
    assert said(load_map(written.sxm([LAYER] * 5), "scan.sxm"), "320 values", "400")


def test_points_of_a_grid():
    whole = written.grid_3ds(SPECTRA)
    for content in (whole.replace(b"Points=7", b"Points=9"), whole.replace(b"(bytes)=56", b"(bytes)=72")):
        scan = load_map(content, "grid.3ds")
        np.testing.assert_array_equal(scan.stack(), load_map(whole, "grid.3ds").stack())
        np.testing.assert_array_equal(scan.bias_mv, load_map(whole, "grid.3ds").bias_mv)
        assert said(scan, "9 points", "7 points were taken") or said(scan, "7 points", "72 bytes")
    assert said(load_map(whole + b"\0" * 80, "grid.3ds"), "30 points of 19 values", "590 values")


@pytest.mark.parametrize("angle", [0.0, 30.0])
def test_recorded_places_beat_the_settings(angle):
    whole = written.grid_3ds(SPECTRA, angle=angle)
    plain = load_map(whole, "grid.3ds")
    assert plain.pixel_size_nm == pytest.approx((4.0, 5.0)) and not plain.warnings
    scan = load_map(whole.replace(b"3.000000E-08;2.000000E-08", b"3.000000E-07;2.000000E-07"), "grid.3ds")
    assert scan.pixel_size_nm == pytest.approx((4.0, 5.0), rel=1e-4) and said(scan, "300 x 200 nm", "30 x 20 nm", "latter")
    assert scan.centre_nm == pytest.approx(plain.centre_nm, abs=1e-3)


@pytest.mark.parametrize("kind", ["mls", "Multi-Line", "multi_segment", "Segments"])
def test_kinds_of_sweep_in_any_spelling(kind):
    table = "Bias Spectroscopy>MultiLine Settings: Segment Start (mV), Segment End (mV), Settling (s), Integration (s), Steps (xn)"
    lines = (f"filetype={kind}", 'sweep signal="Bias (V)"', f"{table}=-1000,0,0,0,4;0,2000,0,0,4")
    scan = load_map(written.grid_3ds(SPECTRA, extra=lines), "grid.3ds")
    np.testing.assert_allclose(scan.bias_mv, [*np.linspace(-1000, 0, 4), *np.linspace(0, 2000, 4)[1:]], atol=1e-9)
    assert said(scan, "-100 to 100 mV", kind)
    millivolts = load_map(written.grid_3ds(SPECTRA, sweep_v=(-100, 80), extra=('Sweep Signal="Bias (mV)"',)), "grid.3ds")
    np.testing.assert_allclose(millivolts.bias_mv, np.linspace(-100, 80, 7), atol=1e-5)


def test_other_instruments():
    planes = 1000 * np.stack([LAYER, LAYER])
    content = written.createc(planes)
    head = content[:16384].replace(b"\r\nLength x[A]", b"\r\nBiasVoltage / BiasVolt.[mV]=-100.00\r\nLength x[A]")[:16384]
    scan = load_map(head + content[16384:], "scan.dat")
    assert scan.bias_mv == pytest.approx([-550]) and said(scan, "-550 mV", "-100 mV", "former")
    image = [("Current", "A", "Scan forward", (1000 * LAYER).astype(int))]
    two = load_map(scans.nid(image, info=("Tip voltage=0.2V", "Sample bias=-350mV")), "scan.nid")
    assert two.bias_mv == pytest.approx([-350]) and said(two, "Sample bias (-350 mV)", "-200 mV")
    assert not load_map(scans.nid(image, info=("Tip voltage=0.2V", "Sample bias=-200mV")), "scan.nid").warnings
    repeated = scans.gsf(LAYER, entries=("XReal = 9e-9", "YReal = 12e-9", "XReal = 5e-9", "XYUnits = m", "Title = dI/dV"))
    assert said(load_map(repeated, "map.gsf"), "9e-9; 5e-9") and said(load_map(scans.gsf(LAYER) + b"\0" * 64, "map.gsf"), "80", "96")
    assert said(load_map(scans.gsi(LAYER, STACK, BIAS_MV / 1e3) + b"\0" * 800, "cube.gsi"), "320", "420")


def test_places_of_gxsm():
    pytest.importorskip("scipy")
    content = scans.gxsm(STACK, value=[-0.1, 0.0, 0.2])
    assert not load_map(content, "a.nc").warnings
    half = content.replace(struct.pack(">d", 10.0), struct.pack(">d", 5.0))  # rangex
    scan = load_map(half, "a.nc")
    assert scan.pixel_size_nm == pytest.approx((0.2, 0.05)) and said(scan, "0.05 x 0.2 nm", "0.1 x 0.2 nm")


def test_lists_of_energies_in_arrays():
    two = load_map(written.npz(data=STACK, bias_mv=BIAS_MV, energy_eV=BIAS_MV / 500), "a.npz")
    assert two.bias_mv == pytest.approx(BIAS_MV) and said(two, "bias_mv (-100 to 200 mV", "energy_eV (-200 to 400 mV")
    alike = load_map(written.npz(data=STACK, bias_mv=BIAS_MV, bias_V=BIAS_MV / 1e3), "a.npz")
    assert alike.bias_mv == pytest.approx(BIAS_MV) and not alike.warnings
    volts = load_map(written.npz(data=STACK, bias_V=BIAS_MV / 1e3), "a.npz")
    assert volts.bias_mv == pytest.approx(BIAS_MV) and not volts.warnings
    bare = load_map(written.npz(data=STACK, bias=BIAS_MV / 1e3), "a.npz")
    assert bare.bias_mv == pytest.approx(BIAS_MV / 1e3) and said(bare, "'bias'", "read as mV", "bias_V")
    matlab = load_map(written.mat(data=np.moveaxis(STACK, 0, 2), bias_mV=BIAS_MV, V_bias=BIAS_MV), "a.mat")
    np.testing.assert_array_equal(matlab.stack(), STACK)
    assert matlab.bias_mv == pytest.approx(BIAS_MV)


def test_axes_of_hdf5():
    h5py = pytest.importorskip("h5py")
    stream = io.BytesIO()
    with h5py.File(stream, "w") as file:
        file["data"] = STACK
        for name, values, unit in (("bias", BIAS_MV / 1e3, "V"), ("energy", 2 * BIAS_MV, "meV"), ("x", 2.0 * np.arange(10), "nm")):
            file.create_dataset(name, data=values).attrs["units"] = unit
        file.create_dataset("y", data=3.0 * np.arange(8)).attrs["units"] = "nm"
        file["pixel_size_nm"] = np.array([1.0, 1.0])
    scan = load_map(stream.getvalue(), "a.h5")
    assert scan.bias_mv == pytest.approx(BIAS_MV) and said(scan, "bias (-100 to 200 mV", "energy (-200 to 400 mV")
    assert scan.pixel_size_nm == (1.0, 1.0) and said(scan, "1 x 1 nm", "2 x 3 nm")


def test_layers_of_igor_and_gwyddion():
    labels = ("-50 mV", "0 mV", "70 mV")
    wave = load_map(containers.wave(STACK, labels=labels, units=("A", "m", "m", "V")), "wave.ibw")
    assert wave.bias_mv == pytest.approx([-100, 0, 100]) and said(wave, "-100 to 100 mV", "-50 to 70 mV")
    for form in ("{}", "V={}", "dIdV_{}"):
        alone = load_map(containers.wave(STACK, labels=[form.format(label) for label in labels], units=("A", "m", "m", "")), "wave.ibw")
        assert alone.bias_mv == pytest.approx([-50, 0, 70]) and not alone.warnings
    uneven = load_map(containers.brick(STACK, zoff=-0.1, zreal=0.3, levels=BIAS_MV / 1e3), "brick.gwy")
    assert uneven.bias_mv == pytest.approx(BIAS_MV) and said(uneven, "calibration", "-100 to 200 mV", "-100 to 100 mV")
    even = load_map(containers.brick(STACK, zoff=-0.1, zreal=0.3), "brick.gwy")
    assert even.bias_mv == pytest.approx([-100, 0, 100]) and not even.warnings


def test_statements_that_are_none_or_agree():
    assert two_energies("a", [1.0, 2.0], "b", [1.0, 2.0]) == two_energies("a", np.nan, "b", 3.0) == two_energies("a", [], "b", [3.0]) == ()
    assert "1 to 2 mV" in two_energies("a", [1.0, 2.0], "b", [1.0])[0]
