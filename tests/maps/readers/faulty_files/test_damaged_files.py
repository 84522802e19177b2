"""Hundreds of damaged files: whatever the damage, a map or an InputError comes back, never another exception."""

import contextlib

import numpy as np
import pytest

from qpi_core.base.errors import InputError
from qpi_core.maps import load_map, load_positions, write_gwy
from tests.maps.written import written_files as written
from tests.maps.written import written_matrix, written_rhk, written_scans, written_tiff
from tests.maps.written.written_containers import gwy, wave

LAYER = written.asymmetric(12, 15)
STACK = np.stack([LAYER, LAYER + 1, LAYER * 2])
MAPS = {
    "map.npy": written.npy(LAYER),
    "stack.npy": written.npy(STACK),
    "map.npz": written.npz(a=LAYER, b=STACK, bias_mv=np.arange(3.0)),
    "grey.png": written.png((np.abs(LAYER) * 50).astype(np.uint8)),
    "deep.png": written.png((np.abs(LAYER) * 5000).astype(np.uint16)),
    "colour.png": written.png((np.abs(STACK) * 20).astype(np.uint8).transpose(1, 2, 0).copy()),
    "map.tif": written.tiff(LAYER),
    "stack.tif": written.tiff(STACK, photometric="minisblack", compression="zlib"),
    "imagej.tif": written.tiff(STACK, imagej=True, resolution=(4.0, 5.0), metadata={"unit": "nm"}),
    "lzw.tif": written_tiff.tiff(list(STACK), written_tiff.LZW),
    "packed.tif": written_tiff.tiff(list(STACK), written_tiff.ZIP, predictor=3),
    "map.csv": written.text(LAYER, ";", ","),
    "map.txt": written.text(LAYER, "\t", heading="# Width: 10 nm\n# Height: 8 nm\n"),
    "scan.sxm": written.sxm([LAYER] * 4),
    "grid.3ds": written.grid_3ds(np.random.default_rng(3).normal(size=(5, 4, 2, 7))),
    "map.gwy": write_gwy({"a": LAYER, "b": LAYER * 2}, (0.1, 0.2), {"a": "m"}),
    "map.mat": written.mat(topo=LAYER, didv=np.moveaxis(STACK, 0, 2)),
    "packed.mat": written.mat(compress=True, topo=LAYER, didv=np.moveaxis(STACK, 0, 2)),
    "structure.mat": written.mat(grid={"didv": np.moveaxis(STACK, 0, 2), "bias_mv": np.arange(3.0), "inner": {"topo": LAYER}}),
    "wave.ibw": written.igor(STACK),
    "map.stp": written.wsxm(LAYER * 100),
    "scan.dat": written.createc(np.random.default_rng(3).integers(-999, 999, size=(4, 12, 15))),
}
with contextlib.suppress(ImportError):
    MAPS["map.h5"] = written.hdf5(didv=STACK, bias_mv=np.arange(3.0))
MAPS["sizes.gwy"] = gwy(("thumb", "µm", LAYER[:4, :5].astype(float)), ("dI/dV", "nm", LAYER.astype(float)), encoding="latin-1")
MAPS["labels.ibw"] = wave(STACK, [f"Layer{k}Retrace" for k in range(len(STACK))], ">")
PASS_TABLE = "\t0\t[P1]_LI_X\tA\tboth\t1\t0\n\t0\t[P2]_LI_X\tA\tboth\t1\t0\n"
PASSES = b":Multipass-Config:\n\tBias_override\tBias_override_value\n" + b"\tTRUE\t3E-2\n" * 2 + b"\tTRUE\t-8E-2\n" * 2
MAPS["multipass.sxm"] = written.sxm([LAYER] * 4, table=PASS_TABLE).replace(b":DATA_INFO:", PASSES + b":DATA_INFO:")
SEGMENTS = "Segment Start (V), Segment End (V), Settling (s), Integration (s), Steps (xn)=0.2,0.1,0,0,4;0.1,-0.1,0,0,4"
MAPS["segments.3ds"] = written.grid_3ds(
    np.random.default_rng(3).normal(size=(5, 4, 2, 7)), channels=("Bias (V)", "LI X (A)"), extra=('Sweep Signal="Bias (V)"', SEGMENTS)
)
PLACES = np.mgrid[:6, :5].reshape(2, -1)[::-1]
MAPS["points.txt"] = b"x_nm y_nm z_nm dIdV(S)\n" + written.text(np.vstack([PLACES, PLACES[0] + 0.5, PLACES[1] - 0.5]).T, " ")
WHOLE = (LAYER * 30).astype(int)
MAPS["map.gsf"] = written_scans.gsf(LAYER)
MAPS["scan.nid"] = written_scans.nid([("Z-Axis", "m", "Scan forward", WHOLE), ("Z-Axis", "m", "Scan backward", WHOLE)], curves=True)
MAPS["scan.nc"] = written_scans.gxsm(STACK)
MAPS["series.mul"] = written_scans.mul([("first", 0.5, WHOLE), ("second", -0.5, WHOLE), ("small", 0.1, WHOLE[:4, :5])])
MAPS["cube.gsi"] = written_scans.gsi(LAYER, STACK, np.arange(len(STACK)) / 10)
COUNTS = np.random.default_rng(3).integers(1, 999, size=(12, 15))
MAPS["scan.sm4"] = written_rhk.sm4([{"counts": COUNTS}, {"counts": COUNTS + 1, "label": "Current", "unit": "A"}])
SPECTRA = {"data_type": 1, "line_type": 7, "xy_unit": "V", "places": np.mgrid[:4, :5].reshape(2, -1).T}
MAPS["grid.sm4"] = written_rhk.sm4([SPECTRA | {"counts": np.arange(140).reshape(20, 7)}])
IMAGE = written_matrix.name_of("Z")
SETTINGS = {"XYScanner": {"Points": 15, "Lines": 12, "Width": 1e-8, "Height": 1e-8, "X_Retrace": False, "Y_Retrace": False}}
MAPS["session.zip"] = written_matrix.archive(
    {
        IMAGE: written_matrix.image_file(COUNTS),
        f"{written_matrix.SESSION}_0001.mtrx": written_matrix.result_file([IMAGE], SETTINGS),
    },
    compression=0,  # so that the damage reaches the files inside
)
LISTS = {
    "p.csv": b"x_nm,y_nm\n1.5,2.5\n3,4\n",
    "p.npy": written.npy(np.arange(8.0).reshape(4, 2)),
    "p.json": b'{"positions_px": [[1, 2.5], [3, 4]]}',
    "q.json": b'[{"x_px": 1, "y_px": 2.5}, {"x_px": 3, "y_px": 4}]',
}


def damaged(content, rng):
    """Cut the content, flip bytes (mostly in the header), insert or repeat a piece."""
    data = bytearray(content)
    kind = rng.integers(4)
    if kind == 0:
        return bytes(data[: rng.integers(len(data))])
    if kind == 1:
        for _ in range(rng.integers(1, 9)):
            reach = min(len(data), 600) if rng.random() < 0.7 else len(data)
            data[rng.integers(reach)] = rng.integers(256)
        return bytes(data)
    start = int(rng.integers(min(len(data), 600)))
    piece = bytes(rng.integers(0, 256, size=rng.integers(1, 9), dtype=np.uint8)) if kind == 2 else b"9" * int(rng.integers(1, 12))
    data[start:start] = piece
    return bytes(data)


@pytest.mark.parametrize("name", MAPS)
def test_damaged_map(name):
    rng = np.random.default_rng(sum(name.encode()))
    outcomes = []
    for _ in range(60):
        try:
            scan = load_map(damaged(MAPS[name], rng), name)
        except InputError as error:
            assert str(error).endswith(".") and len(str(error)) < 400
            outcomes.append("refused")
        else:
            assert scan.layer().ndim == 2 and np.isfinite(scan.layer(index=-1)).size and 0 < scan.complete <= 1
            assert all(size > 0 for size in scan.pixel_size_nm)
            outcomes.append("read")
    assert "refused" in outcomes


@pytest.mark.parametrize("name", LISTS)
def test_damaged_list_of_positions(name):
    rng = np.random.default_rng(sum(name.encode()))
    for _ in range(60):
        try:
            loaded = load_positions(damaged(LISTS[name], rng), name, pixel_size_nm=0.1, shape=(100, 100))
        except InputError as error:
            assert str(error).endswith(".")
        else:
            assert loaded.positions_px.shape[1] == 2 and np.isfinite(loaded.positions_px).all()


def test_infinite_positions_in_a_grid_are_passed_over():
    grid = written.grid_3ds(np.ones((5, 4, 2, 7)), z=np.arange(20.0).reshape(5, 4))
    start = grid.index(b":HEADER_END:\r\n") + len(b":HEADER_END:\r\n")
    infinite = np.array(np.inf, ">f4").tobytes()
    scan = load_map(grid[: start + 8] + infinite + grid[start + 12 :], "grid.3ds")
    assert scan.shape == (5, 4)


def test_a_cut_file_says_how_much_of_it_is_there():
    whole = written.sxm([LAYER] * 2, table="\t14\tZ\tm\tforward\t1\t0\n\t0\tCurrent\tA\tforward\t1\t0\n")
    assert not any("hold a value" in note for note in load_map(whole, "scan.sxm").notes)
    cut = load_map(whole[: -len(LAYER.tobytes()) - 6 * 15 * 4], "scan.sxm")
    assert cut.complete == 0.5 and any("50 % of the points hold a value" in note for note in cut.notes)


@pytest.mark.parametrize("order", ["C", "F"])
def test_a_cut_array_loads_as_far_as_it_is_real(order):
    whole = np.asarray(LAYER, order=order)
    scan = load_map(written.npy(whole)[: -5 * 4], "map.npy")
    missing = np.isnan(scan.layer())
    assert missing.sum() == 5 and missing.ravel(order)[-5:].all()
    np.testing.assert_array_equal(scan.layer()[~missing], LAYER[~missing])


def test_a_few_bytes_that_stand_for_a_large_map_are_not_unpacked(monkeypatch):
    monkeypatch.setattr("qpi_core.maps.readers.shared.limits._ALWAYS_UNPACKED", 2**16)
    blank = np.zeros((400, 400))
    packed = {"b.npz": written.npz(a=blank), "b.mat": written.mat(compress=True, a=blank)}
    for name, content in packed.items():
        with pytest.raises(InputError, match="which no measurement does"):
            load_map(content, name)
    noise = np.random.default_rng(0).normal(size=(400, 400))
    assert load_map(written.npz(a=noise), "n.npz").shape == (400, 400)
