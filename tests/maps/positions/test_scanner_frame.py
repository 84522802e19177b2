"""Positions in the scanner's coordinates: where the instrument says that it measured, and there and back through lists."""

import json

import numpy as np
import pytest

from qpi_core.__main__ import main
from qpi_core.base.errors import InputError
from qpi_core.maps import load_map, load_positions, save_positions
from qpi_core.maps.positions.scanner_frame import ScannerFrame
from tests.maps.written import written_files as written
from tests.measured_data import DATA

POINTS = np.array([[0.0, 0.0], [8.0, 0.0], [0.0, 5.0], [3.25, 2.5]])


def offset_sxm(angle=30.0):
    images = [written.asymmetric(seed=seed) for seed in range(4)]
    return written.sxm(images, angle=angle).replace(b":SCAN_ANGLE:", b":SCAN_OFFSET:\n  1.0E-7  -2.0E-7\n:SCAN_ANGLE:")


def test_a_frame_that_is_not_turned():
    frame = load_map(offset_sxm(0.0), "scan.sxm").scanner_frame  # 9 x 6 px over 30 x 20 nm around (100, -200) nm
    dx, dy = 30 / 9, 20 / 6
    expected = [[85 + dx / 2, -190 - dy / 2], [115 - dx / 2, -190 - dy / 2], [85 + dx / 2, -210 + dy / 2]]
    np.testing.assert_allclose(frame.to_scanner(POINTS[:3]), expected)


@pytest.mark.parametrize("angle", [0.0, 30.0, -125.0])
def test_turned_clockwise_and_back_again(angle):
    frame = load_map(offset_sxm(angle), "scan.sxm").scanner_frame
    turned = frame.to_scanner(POINTS)
    np.testing.assert_allclose(frame.to_pixels(turned), POINTS, atol=1e-9)
    straight = ScannerFrame((0.0, 0.0), 0.0, frame.shape, frame.pixel_size_nm).to_scanner(POINTS)
    complex_turn = (straight[:, 0] + 1j * straight[:, 1]) * np.exp(-1j * np.deg2rad(angle)) + 100 - 200j
    np.testing.assert_allclose(turned[:, 0] + 1j * turned[:, 1], complex_turn)


@pytest.mark.parametrize("first_row", ["bottom", "top"])
def test_a_grid_lies_where_its_points_were_recorded(first_row):
    spectra = np.random.default_rng(0).normal(size=(5, 4, 2, 3)).astype(np.float32)
    scan = load_map(written.grid_3ds(spectra, angle=40.0, first_row=first_row, z=written.asymmetric(5, 4)), "grid.3ds")
    turn, (row, column) = np.deg2rad(40.0), (3, 1)
    u, v = (column + 0.5) / 4 * 30 - 15, 10 - (row + 0.5) / 5 * 20
    expected = [u * np.cos(turn) + v * np.sin(turn), -u * np.sin(turn) + v * np.cos(turn)]
    np.testing.assert_allclose(scan.scanner_frame.to_scanner([[column, row]])[0], expected, atol=1e-5)


@pytest.mark.skipif(not DATA.is_dir(), reason="the folder shared/data with real measurements is not beside the project")
def test_the_real_grid_lies_where_its_points_were_recorded():
    path = DATA / "nanonis_grid" / "NanonisReader_STS_grid_lockin.3ds"
    content, frame = path.read_bytes(), load_map(path).scanner_frame
    start = content.index(b":HEADER_END:\r\n") + 14
    places = 1e9 * np.frombuffer(content, ">f4", offset=start)[: 900 * 810].reshape(30, 30, 810)[::-1, :, 2:4].astype(float)
    rows, columns = np.mgrid[:30, :30].reshape(2, -1)
    np.testing.assert_allclose(frame.to_scanner(np.stack([columns, rows], axis=1)), places.reshape(-1, 2), atol=0.002)


@pytest.mark.parametrize("labels", [None, ["A", "B", "A", "B"]])
def test_lists_there_and_back(tmp_path, labels):
    frame = load_map(offset_sxm(), "scan.sxm").scanner_frame
    text = save_positions(POINTS, tmp_path / "p.csv", labels=labels, frame=frame)
    assert text.startswith("x_scanner_nm,y_scanner_nm")
    loaded = load_positions(tmp_path / "p.csv", shape=frame.shape, frame=frame)
    np.testing.assert_allclose(loaded.positions_px, POINTS, atol=1e-9)
    assert "scanner's coordinates" in loaded.description and loaded.labels == (None if labels is None else tuple(labels))
    in_json = json.dumps({"positions_scanner_nm": frame.to_scanner(POINTS).tolist()}).encode()
    np.testing.assert_allclose(load_positions(in_json, "p.json", frame=frame).positions_px, POINTS, atol=1e-9)
    swapped = b"y_scanner (nm);x_scanner (nm)\n-200;100\n"
    np.testing.assert_allclose(load_positions(swapped, "p.csv", frame=frame).positions_px, [[4.0, 2.5]])


def test_without_a_known_place_and_outside_the_map():
    content = b"x_scanner_nm,y_scanner_nm\n1,2\n"
    with pytest.raises(InputError, match="does not say where its frame lies"):
        load_positions(content, "p.csv", frame=load_map(written.npy(written.asymmetric()), "map.npy").scanner_frame)
    with pytest.raises(InputError, match=r"outside the map.*x = 1 nm in the scanner"):
        load_positions(content, "p.csv", shape=(6, 9), frame=load_map(offset_sxm(), "scan.sxm").scanner_frame)


def test_the_command_reads_and_writes_them(tmp_path, capsys):
    (tmp_path / "scan.sxm").write_bytes(offset_sxm())
    frame = load_map(tmp_path / "scan.sxm").scanner_frame
    save_positions([[3.0, 2.0], [6.0, 4.0]], tmp_path / "p.csv", frame=frame)
    (tmp_path / "crop.json").write_text('[{"step": "crop", "left": 1, "top": 1, "width": 8, "height": 5}]')
    command = ["extract", str(tmp_path / "scan.sxm"), "--positions", str(tmp_path / "p.csv"), "--out", str(tmp_path / "out")]
    assert main([*command, "--method", "defect_average", "--kernel-size", "5", "--prepare", str(tmp_path / "crop.json")]) == 0
    record = json.loads((tmp_path / "out" / "estimate.json").read_text())
    np.testing.assert_allclose(record["positions_px"], [[2, 1], [5, 3]], atol=1e-9)
    recorded = record["provenance"]["input"]["positions_scanner_nm"]
    np.testing.assert_allclose(recorded, frame.to_scanner([[3.0, 2.0], [6.0, 4.0]]))
    assert "scanner's coordinates" in capsys.readouterr().out
