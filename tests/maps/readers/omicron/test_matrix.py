"""Omicron Matrix files against what the test wrote, and against access2theMatrix where it is installed."""

import numpy as np
import pytest

from qpi_core.base.errors import InputError
from qpi_core.maps import load_map
from tests.maps.written import written_matrix as written

UP = np.random.default_rng(5).integers(-9999, 9999, size=(2, 6, 9))
DOWN = UP[::-1] + 5
SMALLER = {**written.SETTINGS, "XYScanner": {**written.SETTINGS["XYScanner"], "X_Retrace": False, "Y_Retrace": False}}
GRID = {**written.SETTINGS, "XYScanner": {**written.SETTINGS["XYScanner"], "Enable_Subgrid": True, "Subgrid_X": 2, "Subgrid_Y": 1}}


def z(counts):
    return (counts - 11) / 4e12


def session(images, settings=written.SETTINGS, before_each=()):
    names = list(images)
    return {**images, f"{written.SESSION}_0001.mtrx": written.result_file(names, settings, before_each=before_each)}


def scan_files():
    counts = written.in_order(UP, DOWN)
    return session({written.name_of("Z"): written.image_file(counts), written.name_of("I"): written.image_file(counts + 1)})


def test_passes_are_turned_and_scaled():
    scan = load_map(written.archive(scan_files()), "session.zip")
    assert scan.file_format == "Omicron Matrix measurement" and scan.bias_mv.tolist() == [-250] and scan.angle_deg == -30
    assert scan.channels[:4] == ("I (A)", "I [bwd] (A)", "I [down] (A)", "I [down] [bwd] (A)") and scan.unit("Z (m)") == "m"
    for title, truth in {"Z": UP[0], "Z [bwd]": UP[1], "Z [down]": DOWN[0], "Z [down] [bwd]": DOWN[1]}.items():
        np.testing.assert_allclose(scan.layer(f"{title} (m)"), z(truth))
    np.testing.assert_allclose(scan.layer("I (A)"), (1.0 + 0.5) * (UP[0] + 1 - 2.0) / (6e15 * 1.25))
    assert scan.pixel_size_nm == pytest.approx((1.0, 2.0))


def test_a_path_finds_the_result_files_beside_it(tmp_path):
    files = scan_files()
    whole = files.pop(f"{written.SESSION}_0001.mtrx")
    cut = whole.index(b"YSCC") + 30  # a session goes on in a second file, wherever the first ended
    files |= {f"{written.SESSION}_0001.mtrx": whole[:cut], f"{written.SESSION}_0002.mtrx": written.MAGIC + whole[cut:]}
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    scan = load_map(tmp_path / written.name_of("Z"))
    assert scan.channels == ("Z (m)", "Z [bwd] (m)", "Z [down] (m)", "Z [down] [bwd] (m)")
    np.testing.assert_allclose(scan.layer("Z (m)"), z(UP[0]))
    assert len(load_map(tmp_path / f"{written.SESSION}_0001.mtrx").channels) == 8


def test_one_part_alone_says_what_is_needed(tmp_path):
    files = scan_files()
    for name, content in files.items():
        with pytest.raises(InputError, match="into one ZIP archive"):
            load_map(content, name)
    (tmp_path / written.name_of("Z")).write_bytes(files[written.name_of("Z")])
    with pytest.raises(InputError, match="only one part"):
        load_map(tmp_path / written.name_of("Z"))


@pytest.mark.parametrize("lines", [4, 8])
def test_unfinished_scans_are_nan_where_nothing_was_measured(lines):
    counts = written.in_order(UP, DOWN)[: 2 * lines]
    scan = load_map(written.archive(session({written.name_of("Z"): written.image_file(counts)})), "session.zip")
    expected = z(UP[0])
    if lines == 4:
        expected[:2] = np.nan  # the scan began at the bottom
        assert scan.channels == ("Z (m)", "Z [bwd] (m)") and scan.complete == pytest.approx(4 / 6)
    else:
        below = z(DOWN[0])
        below[2:] = np.nan
        np.testing.assert_allclose(scan.layer("Z [down] (m)"), below)
    np.testing.assert_allclose(scan.layer("Z (m)"), expected)


def test_settings_are_those_of_the_moment():
    names = [written.name_of("Z", cycle=number) for number in (1, 2, 3)]
    counts = UP[0][::-1]
    images = {name: written.image_file(counts * (k + 1)) for k, name in enumerate(names)}
    changes = (b"", written.changed("GapVoltageControl", "Voltage", 0.5), written.changed("XYScanner", "Width", 9e-9))
    scan = load_map(written.archive(session(images, SMALLER, changes)), "session.zip")
    assert scan.channels == ("1_1 Z (m)", "1_2 Z (m)") and scan.pixel_size_nm == pytest.approx((1.0, 2.0))
    assert any("Of another size" in warning and "'1_3 Z (m)' (9 x 6 px)" in warning for warning in scan.warnings)
    third = load_map(written.archive(session(images, SMALLER, changes)), "session.zip", channel="1_3 Z (m)")
    assert third.channels == ("1_3 Z (m)",) and third.pixel_size_nm == pytest.approx((1.0, 1.0))
    np.testing.assert_allclose(scan.layer("1_2 Z (m)"), z(UP[0] * 2))
    del images[names[0]]
    assert load_map(written.archive(session(images, SMALLER, changes[1:])), "session.zip").bias_mv.tolist() == [500]


def volume_counts():
    """Counts [pass, y, trace, x, sweep, energy] as the frame shows them, and in the order of the scan."""
    shown = np.random.default_rng(6).integers(-9999, 9999, size=(2, 6, 2, 5, 2, 5))
    stored = shown.copy()
    stored[0] = stored[0, ::-1]
    stored[:, :, 1] = stored[:, :, 1, ::-1]
    stored[..., 1, :] = stored[..., 1, ::-1]
    return shown, stored


def test_curves_on_a_grid_are_a_stack_over_the_bias():
    shown, stored = volume_counts()
    scan = load_map(written.archive(session({written.name_of("I(V)"): written.image_file(stored)}, GRID)), "grid.zip")
    np.testing.assert_allclose(scan.bias_mv, np.linspace(-100, 300, 5))
    assert scan.pixel_size_nm == pytest.approx((1.0, 18 / 5)) and len(scan.channels) == 8 and scan.default_channel == "I(V) (A)"
    for k in range(5):
        np.testing.assert_allclose(scan.layer("I(V) (A)", index=k), shown[0, :, 0, :, 0, k] / 1e15)
        np.testing.assert_allclose(scan.layer("I(V) [down] [bwd] [bwd sweep] (A)", index=k), shown[1, :, 1, :, 1, k] / 1e15)


def test_a_curve_at_one_point_is_no_map():
    files = session({written.name_of("I(V)"): written.image_file(np.arange(10))})
    with pytest.raises(InputError, match="1 Matrix curves at single points"):
        load_map(written.archive(files), "point.zip")
    scan = load_map(written.archive(scan_files() | files), "both.zip")
    assert any("curves at single points were left out" in note for note in scan.notes)


def test_an_unknown_scale_is_said():
    files = session({written.name_of("Aux1"): written.image_file(written.in_order(UP, DOWN))})
    scan = load_map(written.archive(files), "session.zip")
    np.testing.assert_array_equal(scan.layer("Aux1"), UP[0])
    assert any("instrument's counts" in note for note in scan.notes)


def test_damaged_parts_get_a_sentence():
    files = scan_files()
    result = f"{written.SESSION}_0001.mtrx"
    for wrong, words in (
        (files | {result: files[result].replace(b"ONTMATRX", b"ONTMATRY")}, "cannot be followed"),
        (files | {written.name_of("Z"): files[written.name_of("Z")][:70]}, "no image data|not one line"),
        (files | {written.name_of("Z"): written.image_file([1, 2, 3])}, "not one line"),
        (session({written.name_of("Z"): written.image_file(np.arange(9))}, {}), "declares a size of"),
    ):
        with pytest.raises(InputError, match=words):
            load_map(written.archive(wrong), "session.zip")
    with pytest.raises(InputError, match="not a complete ZIP archive"):
        load_map(written.archive(files)[:-40], "session.zip")


@pytest.mark.parametrize("kind", ["image", "volume"])
def test_the_same_as_access2thematrix(tmp_path, kind):
    access = pytest.importorskip("access2thematrix", reason="access2thematrix, an independent reader, is not installed")
    shown, stored = volume_counts()
    name = written.name_of("Z" if kind == "image" else "I(V)")
    counts = written.in_order(UP, DOWN) if kind == "image" else stored
    files = session({name: written.image_file(counts)}, written.SETTINGS if kind == "image" else GRID)
    for file, content in files.items():
        (tmp_path / file).write_bytes(content)
    reader = access.MtrxData()
    traces, message = reader.open(str(tmp_path / name))
    assert "Success" in message, message
    ours = load_map(tmp_path / name)
    titles = {"forward/up": "", "backward/up": " [bwd]", "forward/down": " [down]", "backward/down": " [down] [bwd]"}
    for trace, marks in titles.items():
        if kind == "image":  # their first row is the bottom of the frame
            np.testing.assert_allclose(ours.layer(f"Z{marks} (m)"), reader.select_image(trace)[0].data[::-1])
        else:
            for sweep, mark in (("trace", ""), ("retrace", " [bwd sweep]")):
                theirs = np.moveaxis(reader.volume_scan[trace][sweep][::-1], 2, 0)
                np.testing.assert_allclose(ours.stack(f"I(V){marks}{mark} (A)"), theirs)
