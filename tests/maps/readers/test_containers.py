"""Containers of several channels and programs: other sizes, other encodings, archives of the Finder, labelled layers, old versions."""

import io
import struct
import zipfile

import numpy as np
import pytest

from qpi_core.base.errors import InputError
from qpi_core.maps import load_map
from tests.maps.written import written_files as written
from tests.maps.written import written_matrix
from tests.maps.written.written_containers import gwy, wave

LAYER = written.asymmetric(8, 10).astype(float)
SMALL = written.asymmetric(4, 5, seed=3).astype(float)


def test_every_size_of_a_gwyddion_file_can_be_loaded():
    content = gwy(("thumb", "nm", SMALL), ("dI/dV", "nm", LAYER), ("mid", "nm", LAYER[:6, :6]), ("Z", "nm", 2 * LAYER))
    scan = load_map(content, "map.gwy")
    assert scan.channels == ("dI/dV", "Z") and scan.default_channel == "dI/dV"
    np.testing.assert_array_equal(scan.layer(), LAYER)
    assert any("'thumb' (5 x 4 px)" in warning and "'mid' (6 x 6 px)" in warning for warning in scan.warnings)
    for channel, values in (("thumb", SMALL), ("mid", LAYER[:6, :6]), ("Z", 2 * LAYER)):
        other = load_map(content, "map.gwy", channel=channel)
        np.testing.assert_array_equal(other.layer(channel), values)
        assert other.shape == values.shape and other.pixel_size_nm == (2.0, 1.0)
        assert any("'thumb'" in w for w in other.warnings) == (channel != "thumb")
    with pytest.raises(InputError, match="no channel 'absent'"):
        load_map(content, "map.gwy", channel="absent").layer("absent")


def test_every_size_of_an_archive_of_arrays_can_be_loaded():
    content = written.npz(small=SMALL, didv=np.stack([LAYER, 2 * LAYER]), bias_mv=np.array([1.0, 2.0]))
    assert load_map(content, "map.npz").channels == ("didv",)
    np.testing.assert_array_equal(load_map(content, "map.npz", channel="small").layer("small"), SMALL)


@pytest.mark.parametrize("encoding", ["utf-8", "latin-1", "cp437"])
def test_micro_signs_of_any_encoding(encoding):
    scan = load_map(gwy(("dI/dV (µS)", "µm", LAYER), encoding=encoding), "map.gwy")
    assert scan.pixel_size_nm == (2000.0, 1000.0) and scan.pixel_size_known
    assert scan.channels == ("dI/dV (µS)",) or encoding == "cp437"


def test_archives_of_the_finder_are_read_as_others():
    counts = np.random.default_rng(5).integers(-9999, 9999, size=(2, 6, 9))
    name = written_matrix.name_of("Z")
    files = {name: written_matrix.image_file(written_matrix.in_order(counts, counts[::-1]))}
    files[f"{written_matrix.SESSION}_0001.mtrx"] = written_matrix.result_file([name], written_matrix.SETTINGS)
    plain, packed = io.BytesIO(), io.BytesIO()
    for stream, finder in ((plain, False), (packed, True)):
        with zipfile.ZipFile(stream, "w") as archive:
            for member, content in files.items():
                if finder:
                    archive.writestr(f"__MACOSX/session/._{member}", b"\0\5\26\7" + b"ATTR" * 40)
                    archive.writestr(f"session/{len(member)}/.DS_Store", b"\0\0\0\1Bud1")
                archive.writestr(f"session/{member}", content)
    ours, theirs = load_map(plain.getvalue(), "plain.zip"), load_map(packed.getvalue(), "finder.zip")
    assert ours.channels == theirs.channels and len(ours.channels) == 4
    for channel in ours.channels:
        np.testing.assert_array_equal(ours.stack(channel), theirs.stack(channel))
    with zipfile.ZipFile(stream := io.BytesIO(), "w") as archive:
        archive.writestr("__MACOSX/._didv.npy", b"\0\5\26\7" * 40)
        archive.writestr("didv.npy", written.npy(LAYER))
    scan = load_map(stream.getvalue(), "map.npz")
    assert scan.channels == ("didv",) and not scan.notes[1:]


@pytest.mark.parametrize("order", ["<", ">"])
def test_labelled_layers_of_a_wave_are_channels_with_units(order):
    labels = ("HeightRetrace", "AmplitudeTrace", "PhaseRetrace", "CurrentTrace", "UserIn0Trace")
    stack = np.stack([LAYER + k for k in range(5)]).astype(np.float32)
    scan = load_map(wave(stack, labels, order), "map.ibw")
    assert scan.channels == labels and [scan.unit(label) for label in labels] == ["m", "m", "deg", "A", "m"]
    for label, layer in zip(labels, stack, strict=True):
        np.testing.assert_array_equal(scan.layer(label), layer)
    assert scan.pixel_size_nm == pytest.approx((3.0, 2.0)) and len(scan.bias_mv) == 1
    twice = load_map(wave(stack[:2], ("Z", "Z"), order), "map.ibw")
    assert twice.channels == ("Z", "Z #2")


def test_layers_that_are_energies_stay_a_stack():
    stack = np.stack([LAYER, 2 * LAYER, 3 * LAYER]).astype(np.float32)
    by_label = load_map(wave(stack, ("-50 mV", "0 mV", "0.1 V")), "map.ibw")
    assert by_label.channels == ("scan",) and by_label.bias_mv == pytest.approx([-50, 0, 100])
    by_axis = load_map(wave(stack, ("a", "b", "c"), units=("A", "m", "m", "V")), "map.ibw")
    assert by_axis.bias_mv == pytest.approx([-100, 0, 100])
    assert load_map(wave(stack), "map.ibw").channels == ("scan",)
    assert load_map(wave(stack, ("a", "", "c")), "map.ibw").channels == ("scan",)
    assert load_map(wave(stack, units=("arb. µ", "m", "m", "")), "map.ibw").unit() == "arb. µ"


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("version", [1, 2, 3])
def test_old_waves_and_old_gwyddion_files_are_named_as_what_they_are(order, version):
    with pytest.raises(InputError, match=f"Igor in version {version}"):
        load_map(struct.pack(order + "h", version) + bytes(400), "curve.ibw")
    with pytest.raises(InputError, match=r"Gwyddion 1\.x"):
        load_map(b"GWYO" + gwy(("Z", "m", LAYER))[4:], "map.gwy")
