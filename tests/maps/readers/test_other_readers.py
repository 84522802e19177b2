"""Real files and files written here, pixel by pixel as other readers give them, where those are installed."""

import numpy as np
import pytest

from qpi_core.maps import load_map
from tests.maps.written import written_files as written
from tests.maps.written.written_containers import wave
from tests.measured_data import DATA

needs_data = pytest.mark.skipif(not DATA.is_dir(), reason="the folder shared/data with real measurements is not beside the project")
CASES = DATA / "cases"
GRIDS = [
    *("nanonis_grid/NanonisReader_STS_grid_lockin.3ds", "cases/linear_leftover_same_points.3ds"),
    *("cases/linear_leftover_other_points.3ds", "cases/lockin_is_point_parameter.3ds"),
]


def nanonispy():
    return pytest.importorskip("nanonispy2.read", reason="nanonispy2, an independent reader, is not installed")


def same_scan(content, path):
    """Compare a scan with nanonispy2, which leaves backward images mirrored and upward scans upside down, and wants every entry."""
    missing = [tag for tag in (b":SCAN_TIME:", b":SCAN_OFFSET:", b":ACQ_TIME:") if tag not in content]
    path.write_bytes(
        content.replace(
            b":DATA_INFO:", b"".join(tag + (b"\n 1.0\n" if b"ACQ" in tag else b"\n 1.0 1.0\n") for tag in missing) + b":DATA_INFO:"
        )
    )
    theirs, ours = nanonispy().Scan(str(path)), load_map(path)
    up = theirs.header["scan_dir"] == "up"
    for channel, directions in theirs.signals.items():
        for direction, image in directions.items():
            mark = " [bwd]" if direction == "backward" else ""
            name = next(n for n in ours.channels if n.startswith(f"{channel.replace('_', ' ')}{mark} ("))
            np.testing.assert_array_equal(ours.layer(name), image[:: -1 if up else 1, :: -1 if mark else 1])


@needs_data
@pytest.mark.parametrize("name", ["scans/nanonis.sxm", "cases/multipass.sxm", "cases/li_x_constant_height.sxm"])
def test_real_scans(tmp_path, name):
    same_scan((DATA / name).read_bytes(), tmp_path / "scan.sxm")


@pytest.mark.parametrize("direction", ["up", "down"])
def test_written_scans(tmp_path, direction):
    same_scan(written.sxm([written.asymmetric(seed=k) for k in range(4)], direction), tmp_path / "scan.sxm")


@needs_data
@pytest.mark.parametrize("name", GRIDS)
def test_real_grids(tmp_path, name):
    content, path = (DATA / name).read_bytes(), tmp_path / "grid.3ds"
    wanted = (
        b"Delay before measuring (s)=0",
        b"Filetype=Linear",
        b'Start time="a"',
        b'End time="b"',
        b'User="c"',
        b'Comment="d"',
        b'Experiment="e"',
    )
    missing = [line for line in wanted if line.split(b"=")[0] + b"=" not in content]
    path.write_bytes(content.replace(b":HEADER_END:", b"".join(line + b"\r\n" for line in missing) + b":HEADER_END:"))
    theirs, ours = nanonispy().Grid(str(path)), load_map(path)
    for channel in (channel for channel in ours.channels if not channel.endswith("[point]")):
        np.testing.assert_array_equal(np.moveaxis(ours.stack(channel), 0, 2)[::-1], theirs.signals[channel])
    np.testing.assert_allclose(ours.bias_mv, 1e3 * theirs.signals["sweep_signal"], atol=1e-4)


def same_wave(path):
    igor = pytest.importorskip("igor2.binarywave", reason="igor2, an independent reader, is not installed")
    theirs, ours = igor.load(str(path))["wave"], load_map(path)
    labels = [label.decode() for label in theirs["labels"][2][1:]]
    # A label that replaced a longer one keeps its end after the zero byte there: PhaseRetrace\0race.
    assert len(ours.channels) == len(labels) and all(there.startswith(here) for here, there in zip(ours.channels, labels, strict=True))
    for number, label in enumerate(ours.channels):
        np.testing.assert_array_equal(ours.layer(label), theirs["wData"][:, ::-1, number].T)


@needs_data
def test_real_labelled_layers():
    same_wave(CASES / "asylum_layer_labels.ibw")


@pytest.mark.parametrize("order", ["<", ">"])
def test_written_labelled_layers(tmp_path, order):
    stack = np.stack([written.asymmetric(seed=k) for k in range(3)])
    (tmp_path / "map.ibw").write_bytes(wave(stack, ("HeightRetrace", "PhaseRetrace", "Current"), order))
    same_wave(tmp_path / "map.ibw")


@needs_data
@pytest.mark.parametrize("name", ["gwy_small_first.gwy"])
def test_real_gwyddion_fields(name):
    gwyfile = pytest.importorskip("gwyfile", reason="gwyfile, an independent reader, is not installed")
    fields = gwyfile.util.get_datafields(gwyfile.load(str(CASES / name)))
    for title, field in fields.items():
        scan = load_map(CASES / name, channel=title)
        np.testing.assert_array_equal(scan.layer(title), field.data)
        height, width = field.data.shape
        assert scan.pixel_size_nm == pytest.approx((field.yreal / height * 1e9, field.xreal / width * 1e9))
