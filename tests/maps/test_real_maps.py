"""Real measurements, read a second time here by explicit offsets and struct: values, orientation, sizes, energies."""

import struct
import zlib

import numpy as np
import pytest

from qpi_core.maps import find_spots, level, load_map
from tests.measured_data import DATA

pytestmark = pytest.mark.skipif(not DATA.is_dir(), reason="the folder shared/data with real measurements is not beside the project")

GRID = DATA / "nanonis_grid" / "NanonisReader_STS_grid_lockin.3ds"
SCAN = DATA / "scans" / "nanonis.sxm"
PIXELS = [(0, 0), (0, 29), (29, 0), (13, 21)]


def test_nanonis_scan():
    content, scan = SCAN.read_bytes(), load_map(SCAN)
    start = content.index(b"\x1a\x04") + 2

    def stored(image, row, column):
        return struct.unpack_from(">f", content, start + 4 * ((image * 160 + row) * 160 + column))[0]

    assert scan.channels == ("Z (m)", "Z [bwd] (m)", "Current (A)", "Current [bwd] (A)")
    for row, column in PIXELS:
        assert scan.layer("Z (m)")[row, column] == stored(0, row, column)
        assert scan.layer("Z [bwd] (m)")[row, column] == stored(1, row, 159 - column)
        assert scan.layer("Current (A)")[row, column] == stored(2, row, column)
        assert scan.layer("Current [bwd] (A)")[row, column] == stored(3, row, 159 - column)
    assert scan.pixel_size_nm == pytest.approx((0.0625, 0.0625)) and scan.bias_mv == pytest.approx([268.8]) and scan.complete == 1
    forward, backward = (level(scan.layer(name), "plane") for name in ("Z (m)", "Z [bwd] (m)"))
    assert np.corrcoef(forward.ravel(), backward.ravel())[0, 1] > 0.8
    assert abs(np.corrcoef(forward.ravel(), backward[:, ::-1].ravel())[0, 1]) < 0.4


def test_nanonis_grid():
    content, scan = GRID.read_bytes(), load_map(GRID)
    start = content.index(b":HEADER_END:\r\n") + 14

    def stored(channel, row, column, energy):
        row = 29 - row  # the file begins at the bottom of the frame
        return struct.unpack_from(">f", content, start + 4 * ((row * 30 + column) * 810 + 10 + channel * 200 + energy))[0]

    assert scan.channels[:4] == ("Current (A)", "LockinX (V)", "LockinY (V)", "Bias_m (V)") and scan.default_channel == "LockinX (V)"
    for number, channel in enumerate(scan.channels[:4]):
        for energy in (0, 77, 199):
            layer = scan.layer(channel, index=energy)
            assert all(layer[row, column] == stored(number, row, column, energy) for row, column in PIXELS)
    np.testing.assert_allclose(scan.bias_mv, np.linspace(-220, 220, 200), atol=1e-4)
    np.testing.assert_array_equal(scan.layer(bias_mv=100), scan.layer(index=145))
    assert scan.pixel_size_nm == pytest.approx((5 / 30, 5 / 30)) and scan.angle_deg == 45 and scan.complete == 1


def test_nanonis_grid_cut_in_the_middle():
    content = GRID.read_bytes()
    start = content.index(b":HEADER_END:\r\n") + 14
    cut = load_map(content[: start + 450 * 810 * 4 + 100], "grid.3ds")
    assert cut.complete == pytest.approx(0.5)
    np.testing.assert_array_equal(cut.layer()[15:], load_map(GRID).layer()[15:])
    assert np.isnan(cut.layer()[:15]).all()


@pytest.mark.parametrize(
    ("name", "length_a", "bias_mv", "set_point_a", "gain_z", "z_piezo"),
    [("createc_scan_11nm.dat", 112.5034, -550, -3.0e-10, 10, 19.2), ("createc_terrace.dat", 1087.5332, 50, 8.84e-11, 3, 9.21)],
)
def test_createc_scan(name, length_a, bias_mv, set_point_a, gain_z, z_piezo):
    content, scan = (DATA / "scans" / name).read_bytes(), load_map(DATA / "scans" / name)
    raw = zlib.decompress(content[content.index(b"DATAx") + 4 :])
    z_per_dac = 20 / 2**20 * gain_z * z_piezo * 1e-10
    for row, column in PIXELS:
        value = struct.unpack_from("<f", raw, 4 * (1 + row * 512 + column))[0]
        assert scan.layer("Z (m)")[row, column] == pytest.approx(value * z_per_dac, rel=1e-6)
    assert scan.pixel_size_nm == pytest.approx((length_a / 5120, length_a / 5120)) and scan.bias_mv == [bias_mv]
    # Constant current: the feedback held the set point that the header states, with the sign of the bias.
    assert np.median(scan.layer("Current (A)")) == pytest.approx(set_point_a, rel=0.02)


def test_createc_terraces_have_atomic_height():
    """Terraces of a metal lie whole atomic layers of 0.18 to 0.26 nm apart: a check of the z scale, gain included."""
    z = load_map(DATA / "scans" / "createc_terrace.dat").layer("Z (m)").astype(float) * 1e9
    y, x = np.mgrid[:512, :512]
    flat = z - np.median(np.diff(z, axis=1)) * x - np.median(np.diff(z, axis=0)) * y
    counts, edges = np.histogram(flat, bins=400)
    smooth = np.convolve(counts, np.ones(5), "same")
    terraces = [i for i in range(10, 390) if smooth[i] == smooth[i - 10 : i + 11].max() and smooth[i] > 20000]
    steps = np.diff(edges[terraces])
    layer_nm = steps.min()
    assert len(steps) >= 3 and 0.17 < layer_nm < 0.27
    np.testing.assert_allclose(steps / layer_nm, np.round(steps / layer_nm), atol=0.1)


@pytest.mark.parametrize("arguments", [{}, {"pattern": "waves", "size_px": 12}])
def test_the_single_defect_is_found_first(arguments):
    """The map shows one dark disc of about 35 pixels radius around (235, 211), read off the picture."""
    scan = load_map(DATA / "scans" / "createc_scan_11nm.dat")
    strongest = find_spots(scan.layer("Z (m)"), **arguments)[0]
    np.testing.assert_allclose(strongest, (235, 211), atol=4)
