"""Every wrong file gives one plain sentence, InputError, and nothing else."""

import struct

import numpy as np
import pytest

from qpi_core.base.errors import InputError
from qpi_core.maps import load_map
from tests.maps.written import written_files as written

LAYER = written.asymmetric()
NPY_1E12 = b"\x93NUMPY\x01\x00\x76\x00" + b"{'descr': '<f8', 'fortran_order': False, 'shape': (1000000, 1000000), }".ljust(117) + b"\n"
PNG_HUGE = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + struct.pack(">II", 10**6, 10**6) + b"\x10\0\0\0\0" + b"\0" * 40
GRID = np.ones((5, 4, 2, 7), np.float32)
PICKLED = b"\x93NUMPY\x01\x00\x76\x00" + b"{'descr': '|O', 'fortran_order': False, 'shape': (4, 4), }".ljust(117) + b"\n" + b"\0" * 200

BAD_FILES = {
    "empty": (b"", "map.npy", "empty"),
    "not a map": (b"not a map at all", "map.npy", "renamed"),
    "npy header cut": (b"\x93NUMPY\x01\x00", "map.npy", "header"),
    "npy cut off": (written.npy(LAYER)[:140], "map.npy", "cut off"),
    "npy of 10^12": (NPY_1E12, "map.npy", "declares"),
    "npy of objects": (PICKLED, "map.npy", "objects"),
    "npy complex": (written.npy(LAYER + 1j), "map.npy", "real numbers"),
    "npy of words": (written.npy(np.array([["a", "b"]])), "map.npy", "real numbers"),
    "npy 1-D": (written.npy(np.arange(9.0)), "map.npy", "2 dimensions"),
    "npy 4-D": (written.npy(np.zeros((2, 2, 8, 8))), "map.npy", "2 dimensions"),
    "npy colour": (written.npy(np.zeros((8, 8, 3))), "map.npy", "colour"),
    "npy all NaN": (written.npy(LAYER * np.nan), "map.npy", "no measured value"),
    "npy tiny": (written.npy(np.zeros((3, 3))), "map.npy", "at least 4 x 4"),
    "npy without pixels": (written.npy(np.zeros((0, 5))), "map.npy", "at least 1"),
    "npz without arrays": (b"PK\x05\x06" + b"\0" * 18, "map.npz", "without any"),
    "npz cut off": (written.npz(a=LAYER)[:-40], "map.npz", "not a complete"),
    "npz with a bias of the wrong length": (written.npz(a=np.stack([LAYER] * 3), bias_mv=np.zeros(2)), "map.npz", "bias_mv"),
    "png cut off": (written.png(np.zeros((40, 40), np.uint8))[:-30], "map.png", "not a complete PNG"),
    "png zeros": (b"\x89PNG\r\n\x1a\n" + b"\x00" * 40, "map.npy", "PNG"),
    "png of 10^12": (PNG_HUGE, "map.png", "declares 1000000 x 1000000"),
    "tiff cut off": (written.tiff(np.zeros((64, 64), np.float32))[:-5000], "map.tif", "cut off"),
    "tiff header only": (b"II*\0\x08\0\0\0", "map.tif", "TIFF"),
    "jpeg": (b"\xff\xd8\xff\xe0" + b"\0" * 50, "map.jpg", "JPEG"),
    "text in a number column": (b"1,2,3,4\n1,2,abc,4\n1,2,3,4\n1,2,3,4\n", "map.csv", "line 2 holds 'abc'"),
    "ragged text": (b"1,2,3,4\n1,2,3\n1,2,3,4\n1,2,3,4\n", "map.csv", "line 2 has 3"),
    "comments only": (b"# nothing\n", "map.txt", "no numbers"),
    "binary text": (bytes(range(256)) * 4, "map.txt", "neither a text file"),
    "sxm header cut": (written.sxm([LAYER] * 4)[:300], "scan.sxm", "header does not end"),
    "sxm without data": (written.sxm([], pixels=(6, 9)), "scan.sxm", "not one line"),
    "sxm of 10^12": (written.sxm([], pixels=(10**6, 10**6)), "scan.sxm", "declares"),
    "sxm that lies": (written.sxm([LAYER] * 4, pixels=(8000, 8000)), "scan.sxm", "holds only"),
    "sxm without channels": (written.sxm([LAYER], table="\n"), "scan.sxm", "0 images"),
    "sxm renamed text": (b"hello\n" * 20, "scan.sxm", "does not begin as a Nanonis scan"),
    "3ds header cut": (written.grid_3ds(GRID)[:200], "grid.3ds", "header does not end"),
    "3ds without data": (written.grid_3ds(GRID).split(b":HEADER_END:")[0] + b":HEADER_END:\r\n", "grid.3ds", "not one measured point"),
    "3ds of 10^12": (written.grid_3ds(GRID).replace(b"4 x 5", b"1000000 x 1000000"), "grid.3ds", "declares"),
    "3ds contradicting itself": (
        written.grid_3ds(GRID).replace(b"Points=7", b"Points=8").replace(b"(bytes)=56", b"(bytes)=48"),
        "grid.3ds",
        "damaged",
    ),
    "createc header only": (written.createc(np.ones((1, 6, 9)))[:9000], "scan.dat", "not one line"),
    "createc of 10^12": (
        written.createc(np.ones((1, 6, 9))).replace(b"Num.X=9", b"Num.X=1000000").replace(b"Num.Y=6", b"Num.Y=1000000"),
        "scan.dat",
        "declares",
    ),
}


@pytest.mark.parametrize("case", BAD_FILES, ids=str)
def test_bad_file_gets_a_sentence(case):
    content, name, words = BAD_FILES[case]
    with pytest.raises(InputError, match=words) as caught:
        load_map(content, name)
    sentence = str(caught.value)
    assert name in sentence and sentence.endswith(".") and len(sentence) < 300 and "\n" not in sentence


def test_missing_file_and_folder_name_no_machine_path(tmp_path):
    for path in (tmp_path / "missing.npy", tmp_path):
        with pytest.raises(InputError) as caught:
            load_map(path)
        assert path.name in str(caught.value) and str(tmp_path.parent) not in str(caught.value)


def test_unknown_channel_layer_and_energy():
    scan = load_map(written.grid_3ds(np.random.default_rng(0).normal(size=(5, 4, 2, 7))), "grid.3ds")
    with pytest.raises(InputError, match="no channel 'dIdV'; it has 'Current"):
        scan.layer("dIdV")
    with pytest.raises(InputError, match="from -100 to 100 mV"):
        scan.layer(bias_mv=200)
    with pytest.raises(InputError, match="0 to 6"):
        scan.layer(index=7)
    with pytest.raises(InputError, match="not both"):
        scan.layer(index=1, bias_mv=0)
