"""TIFF files of every number type and compression, written tag by tag: values, stacks, and pages without end."""

import struct

import numpy as np
import pytest

from qpi_core.base.errors import InputError
from qpi_core.maps import load_map
from tests.maps.written import written_tiff as written

LAYER = np.random.default_rng(7).normal(size=(10, 13)) * 3000


@pytest.mark.parametrize("dtype", ["u1", "i1", "u2", "i2", "u4", "i4", "f2", "f4", "f8"])
@pytest.mark.parametrize("compression", [written.NONE, written.ZIP, written.PACKBITS, written.LZW])
def test_compressed_stacks_of_every_number_type(dtype, compression):
    stack = np.stack([LAYER, LAYER[::-1] / 2])
    stack = (np.abs(stack) if dtype[0] == "u" else stack).astype(dtype)
    predictors = (1,) if compression == written.NONE else (1, 3 if dtype[0] == "f" else 2)
    for order in "<>":
        for predictor in predictors:
            for rows in (4, 10):
                content = written.tiff(stack, compression, order, rows, predictor)
                np.testing.assert_array_equal(load_map(content, "map.tif").stack(), stack.astype(float))


def test_a_compressed_layer_stands_alone():
    scan = load_map(written.tiff([LAYER.astype("f4")], written.LZW), "map.tif")
    np.testing.assert_array_equal(scan.stack(), LAYER.astype("f4")[np.newaxis])


def test_pages_in_a_circle_end_with_a_sentence():
    content = bytearray(written.tiff([LAYER.astype("f4")] * 2, written.NONE))
    (first,) = struct.unpack_from("<I", content, 4)
    content[-4:] = struct.pack("<I", first)
    with pytest.raises(InputError, match="pages have no end"):
        load_map(bytes(content), "map.tif")


@pytest.mark.parametrize("compression", [34887, 50000])  # LERC, Zstandard
def test_another_compression_names_the_package(compression):
    tifffile = pytest.importorskip("tifffile")
    if "_imagecodecs" not in tifffile.tifffile.imagecodecs.__name__:
        pytest.skip("imagecodecs is installed and reads it")
    entry = [struct.pack("<HHIHH", 259, 3, 1, number, 0) for number in (written.NONE, compression)]
    with pytest.raises(InputError, match="pip install imagecodecs"):
        load_map(written.tiff([LAYER.astype("f4")], written.NONE).replace(*entry), "map.tif")
