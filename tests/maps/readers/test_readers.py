"""Each format against what the test itself wrote: values, orientation, sizes, energies."""

import numpy as np
import pytest

from qpi_core.base.errors import InputError
from qpi_core.maps import load_map
from tests.maps.written import written_files as written

LAYER = written.asymmetric()


def test_npy_layer_is_kept_exactly():
    for dtype in ("<f8", ">f8", "<f4", "<i4", "<u2", "?"):
        array = (LAYER * 100).astype(dtype)
        scan = load_map(written.npy(array), "map.npy")
        np.testing.assert_array_equal(scan.layer(), array.astype(float))
    np.testing.assert_array_equal(load_map(written.npy(np.asfortranarray(LAYER)), "map.npy").layer(), LAYER)


def test_npy_stack_is_energies_first():
    stack = np.stack([LAYER + i for i in range(4)])
    scan = load_map(written.npy(stack), "stack.npy")
    assert scan.stack().shape == (4, *LAYER.shape)
    np.testing.assert_array_equal(scan.layer(index=2), stack[2])
    assert np.isnan(scan.bias_mv).all() and any("energies" in note for note in scan.notes)
    with pytest.raises(InputError, match="does not say at which bias"):
        scan.layer(bias_mv=10)


def test_npz_channels_bias_and_pixel_size():
    stack = np.stack([LAYER, LAYER * 2, LAYER * 3])
    sizes = {"matrix": np.eye(2), "bias_mv": np.array([-10.0, 0.0, 10.0]), "pixel_size_nm": np.array([0.2, 0.1]), "label": np.arange(3)}
    content = written.npz(**sizes, topo=LAYER, didv=stack)
    scan = load_map(content, "map.npz")
    assert scan.channels == ("topo", "didv") and scan.default_channel == "didv"
    assert scan.pixel_size_nm == (0.2, 0.1) and scan.pixel_size_known
    np.testing.assert_array_equal(scan.layer(bias_mv=9), stack[2])
    np.testing.assert_array_equal(scan.layer("topo", bias_mv=9), LAYER)
    assert any("label" in note for note in scan.notes) and any("matrix" in note for note in scan.notes)


@pytest.mark.parametrize(
    ("delimiter", "decimal"), [(",", "."), (";", "."), (";", ","), ("\t", "."), ("\t", ","), (" ", "."), ("  ", ","), (", ", ".")]
)
def test_text_grids(delimiter, decimal):
    scan = load_map(written.text(LAYER, delimiter, decimal), "map.csv")
    np.testing.assert_allclose(scan.layer(), LAYER)


def test_text_sizes_missing_values_and_encodings():
    heading = "# Channel: Z\n# Width: 18,0 nm\n# Height: 0.006 µm\n"
    content = written.text(LAYER, "\t", heading=heading)
    for encoded in (content, content.decode().encode("utf-16"), b"\xef\xbb\xbf" + content, content.decode().encode("latin-1")):
        scan = load_map(encoded, "gwyddion.txt")
        np.testing.assert_allclose(scan.layer(), LAYER)
        assert scan.pixel_size_nm == pytest.approx((1.0, 2.0)) and scan.pixel_size_known
    holed = load_map(b"1,2,,4\n1,nan,3,4\n1,2,3,4\n1,2,3,4\n", "map.csv")
    assert np.argwhere(np.isnan(holed.layer())).tolist() == [[0, 2], [1, 1]] and holed.complete == pytest.approx(14 / 16)


def test_png_8_and_16_bit_and_colour():
    grey = np.arange(54, dtype=np.uint8).reshape(6, 9)
    np.testing.assert_array_equal(load_map(written.png(grey), "map.png").layer(), grey)
    deep = (np.arange(54, dtype=np.uint16) * 1200).reshape(6, 9)
    np.testing.assert_array_equal(load_map(written.png(deep), "map.png").layer(), deep)
    same = load_map(written.png(np.repeat(grey[..., np.newaxis], 3, axis=2)), "map.png")
    np.testing.assert_array_equal(same.layer(), grey)
    colour = np.stack([grey, grey[::-1], grey * 2], axis=2)
    scan = load_map(written.png(colour), "map.png")
    expected = 0.299 * colour[..., 0] + 0.587 * colour[..., 1] + 0.114 * colour[..., 2]
    np.testing.assert_allclose(scan.layer(), expected, rtol=1e-5)
    assert any("luminance" in note for note in scan.notes) and not any("luminance" in note for note in same.notes)


def test_tiff_float_integer_and_stack():
    np.testing.assert_array_equal(load_map(written.tiff(LAYER), "map.tif").layer(), LAYER)
    deep = (np.arange(54, dtype=np.uint16) * 1200).reshape(6, 9)
    np.testing.assert_array_equal(load_map(written.tiff(deep, byteorder=">"), "map.tiff").layer(), deep)
    stack = np.stack([LAYER, LAYER * 2, LAYER - 1])
    for options in ({}, {"compression": "zlib"}, {"bigtiff": True}):
        np.testing.assert_array_equal(load_map(written.tiff(stack, photometric="minisblack", **options), "map.tif").stack(), stack)


def test_tiff_three_float_planes_are_energies_not_colours():
    stack = np.stack([LAYER, LAYER * 2, LAYER - 1])
    planes = load_map(written.tiff(stack, photometric="rgb", planarconfig="separate"), "map.tif")
    np.testing.assert_array_equal(planes.stack(), stack)
    colour = (np.abs(stack.transpose(1, 2, 0)) * 50).astype(np.uint8).copy()
    scan = load_map(written.tiff(colour, photometric="rgb"), "map.tif")
    np.testing.assert_allclose(scan.layer(), colour @ [0.299, 0.587, 0.114], rtol=1e-5)


def test_tiff_pixel_size_as_imagej_writes_it():
    content = written.tiff(LAYER, imagej=True, resolution=(4.0, 5.0), metadata={"unit": "nm"})
    scan = load_map(content, "map.tif")
    assert scan.pixel_size_nm == pytest.approx((0.2, 0.25)) and scan.pixel_size_known


@pytest.mark.parametrize("direction", ["down", "up"])
def test_sxm_orientation(direction):
    truth = [written.asymmetric(seed=i) for i in range(4)]  # as seen in the frame: Z fwd, Z bwd, dI/dV fwd, dI/dV bwd
    stored = [image[:: -1 if direction == "up" else 1] for image in truth]
    stored = [image[:, ::-1] if i % 2 else image for i, image in enumerate(stored)]
    scan = load_map(written.sxm(stored, direction), "scan.sxm")
    assert scan.channels == ("Z (m)", "Z [bwd] (m)", "LI Demod 1 X (A)", "LI Demod 1 X [bwd] (A)")
    assert scan.default_channel == "LI Demod 1 X (A)" and scan.unit() == "A"
    for channel, image in zip(scan.channels, truth, strict=True):
        np.testing.assert_array_equal(scan.layer(channel), image)
    assert scan.pixel_size_nm == pytest.approx((20 / 6, 30 / 9))
    assert scan.bias_mv == pytest.approx([250.0])


@pytest.mark.parametrize("direction", ["down", "up"])
@pytest.mark.parametrize("unfinished", ["cut", "zeros", "nan"])
def test_sxm_unfinished_rows_are_nan(direction, unfinished):
    image = written.asymmetric()
    table = "\t0\tCurrent\tA\tforward\t1.0\t0.0\n"
    stored = image.copy()
    if unfinished == "zeros":
        stored[4:] = 0
    elif unfinished == "nan":
        stored[4:] = np.nan
    content = written.sxm([stored], direction, table=table)
    if unfinished == "cut":
        content = content[: -2 * 9 * 4]
    scan = load_map(content, "scan.sxm")
    expected = image.copy()
    expected[4:] = np.nan
    np.testing.assert_array_equal(scan.layer(), expected[:: -1 if direction == "up" else 1])
    assert scan.complete == pytest.approx(4 / 6)


def spectra(height=5, width=4, channels=2, points=7):
    return np.random.default_rng(1).normal(size=(height, width, channels, points)).astype(np.float32)


@pytest.mark.parametrize("first_row", ["bottom", "top", "unknown"])
@pytest.mark.parametrize("angle", [30.0, 180.0])
def test_3ds_channels_energies_sizes_and_orientation(first_row, angle):
    stored, stored_z = spectra(), written.asymmetric(5, 4)
    scan = load_map(written.grid_3ds(stored, z=stored_z, angle=angle, first_row=first_row), "grid.3ds")
    data, z = (stored, stored_z) if first_row == "top" else (stored[::-1], stored_z[::-1])  # as a scan shows the same frame
    assert scan.default_channel == "LI Demod 1 X (A)"
    np.testing.assert_allclose(scan.bias_mv, np.linspace(-100, 100, 7), atol=1e-5)
    for number, channel in enumerate(("Current (A)", "LI Demod 1 X (A)")):
        for k in range(7):
            np.testing.assert_array_equal(scan.layer(channel, index=k), data[:, :, number, k])
    np.testing.assert_array_equal(scan.layer(bias_mv=30), data[:, :, 1, 4])
    np.testing.assert_array_equal(scan.layer("Z (m) [point]", bias_mv=30), z)
    assert scan.pixel_size_nm == pytest.approx((4.0, 7.5)) and scan.angle_deg == angle
    assert any("rows were turned" in note for note in scan.notes) == (first_row != "top")
    assert any("does not record where" in note for note in scan.notes) == (first_row == "unknown")


def test_3ds_unfinished_points_are_nan():
    data = spectra()
    content = written.grid_3ds(data)
    record = 4 * (5 + 14)
    scan = load_map(content[: -7 * record - 10], "grid.3ds")
    expected = data[:, :, 1, 3].reshape(-1).copy()
    expected[-8:] = np.nan
    np.testing.assert_array_equal(scan.layer(index=3), expected.reshape(5, 4)[::-1])  # the rows that are missing are at the top
    assert scan.complete == pytest.approx(12 / 20)
    padded = load_map(content[: -8 * record] + b"\0" * 8 * record, "grid.3ds")
    np.testing.assert_array_equal(padded.layer(index=3), scan.layer(index=3))


@pytest.mark.parametrize(("points", "gap"), [(11, False), (12, True)])
def test_3ds_uneven_bias_of_a_multi_line_sweep(points, gap):
    second = 0.03 if gap else 0.0
    segments = f"300E-3,0E+0,1E-2,1E-1,4,0,0;{second},-500E-3,1E-2,1E-1,8,0,0"
    names = "Segment Start (V), Segment End (V), Settling (s), Integration (s), Steps (xn), Lockin, Init. Settling (s)"
    extra = ("Filetype=MLS", 'Sweep Signal="Bias (V)"', f"{names}={segments}")
    scan = load_map(written.grid_3ds(spectra(points=points), sweep_v=(0.3, -0.5), extra=extra), "grid.3ds")
    tail = np.linspace(second, -0.5, 8)
    expected = np.concatenate([np.linspace(0.3, 0, 4), tail if gap else tail[1:]]) * 1e3
    np.testing.assert_allclose(scan.bias_mv, expected, atol=1e-9)


def test_3ds_sweep_over_something_else_has_no_energy():
    scan = load_map(written.grid_3ds(spectra(), extra=('Sweep Signal="Z (m)"',)), "grid.3ds")
    assert np.isnan(scan.bias_mv).all() and any("Z (m)" in note for note in scan.notes)


@pytest.mark.parametrize("magic", [b"[Paramco32]", b"[Paramet32]", b"[Parameter]"])
def test_createc_planes_scales_and_sizes(magic):
    planes = np.random.default_rng(2).integers(-30000, 30000, size=(4, 6, 9))
    scan = load_map(written.createc(planes, magic=magic), "scan.dat")
    bits = 16 if magic == b"[Parameter]" else 20
    assert scan.channels == ("Z (m)", "Current (A)", "Z [bwd] (m)", "Current [bwd] (A)")
    np.testing.assert_allclose(scan.layer("Z (m)"), planes[0] * (20 / 2**bits) * 10 * 19.2e-10, rtol=1e-6)
    np.testing.assert_allclose(scan.layer("Current [bwd] (A)"), planes[3] * (20 / 2**bits) * 1e-9, rtol=1e-6)
    assert scan.pixel_size_nm == pytest.approx((1.0, 1.0)) and scan.bias_mv == pytest.approx([-550.0])


def test_createc_cut_off_and_unscanned_rows_are_nan():
    planes = np.random.default_rng(2).integers(1, 30000, size=(2, 64, 90)).astype(float)
    holed = planes.copy()
    holed[:, 50:] = 0
    scan = load_map(written.createc(holed, select=3), "scan.dat")
    assert np.isnan(scan.layer()[50:]).all() and np.isfinite(scan.layer()[:50]).all()
    content = written.createc(planes, select=1)
    cut = load_map(content[: (len(content) - 16384) // 4 + 16384], "scan.dat")
    layer = cut.layer("Z (m)")
    assert 0 < cut.complete < 1
    np.testing.assert_array_equal(layer[:10], load_map(content, "scan.dat").layer("Z (m)")[:10])


def test_content_decides_not_the_name():
    scan = load_map(written.sxm([LAYER] * 4), "renamed.dat")
    assert scan.file_format == "Nanonis scan" and scan.name == "renamed.dat"


def test_pixel_size_and_bias_from_the_user():
    unknown = load_map(written.npy(LAYER), "map.npy")
    assert unknown.pixel_size_nm == (1.0, 1.0) and not unknown.pixel_size_known and any("count pixels" in note for note in unknown.notes)
    known = load_map(written.npy(LAYER), "map.npy", pixel_size_nm=0.1, bias_mv=-20)
    assert known.pixel_size_nm == (0.1, 0.1) and known.pixel_size_known and known.bias_mv.tolist() == [-20.0]
    assert unknown.with_pixel_size((0.1, 0.2)).pixel_size_nm == (0.1, 0.2)
    with pytest.raises(InputError, match="pixel_size_nm"):
        load_map(written.npy(LAYER), "map.npy", pixel_size_nm=-1)


def test_path_and_bytes_are_the_same_map(tmp_path):
    (tmp_path / "map.npy").write_bytes(written.npy(LAYER))
    from_path, from_bytes = load_map(tmp_path / "map.npy"), load_map(written.npy(LAYER), "map.npy")
    assert from_path.sha256 == from_bytes.sha256 and from_path.name == from_bytes.name == "map.npy"
    np.testing.assert_array_equal(load_map(str(tmp_path / "map.npy")).layer(), LAYER)


def test_a_layer_is_a_copy():
    scan = load_map(written.npy(LAYER), "map.npy")
    scan.layer()[:] = 0
    np.testing.assert_array_equal(scan.layer(), LAYER)


def test_npz_is_never_unpacked_beyond_its_limit(monkeypatch):
    monkeypatch.setattr("qpi_core.maps.readers.programs.arrays.MAX_VALUES", 2**10)
    content = written.npz(a=np.zeros((256, 256)))
    assert len(content) < 2**11
    with pytest.raises(InputError, match="unpacks to more than"):
        load_map(content, "bomb.npz")
