"""Lists of positions: what was written comes back, and every ambiguous or wrong list gets a sentence."""

import json

import numpy as np
import pytest

from qpi_core.base.errors import InputError
from qpi_core.maps import load_positions, save_positions
from tests.maps.written import written_files as written

POSITIONS = np.array([[1.25, 2.5], [30.0, 4.0625], [0.0, 11.0]])


@pytest.mark.parametrize("pixel_size_nm", [None, 0.25, (0.5, 0.1)])
def test_saved_positions_come_back(tmp_path, pixel_size_nm):
    text = save_positions(POSITIONS, tmp_path / "p.csv", pixel_size_nm)
    assert text.splitlines()[0] == ("x_px,y_px" if pixel_size_nm is None else "x_nm,y_nm")
    loaded = load_positions(tmp_path / "p.csv", pixel_size_nm=pixel_size_nm, shape=(12, 31))
    np.testing.assert_allclose(loaded.positions_px, POSITIONS, rtol=1e-12)
    assert "3 positions" in loaded.description and ("nm" in loaded.description) == (pixel_size_nm is not None)


def test_nm_are_divided_by_the_pixel_size_of_their_axis():
    loaded = load_positions(b"x_nm,y_nm\n1,1\n", pixel_size_nm=(0.5, 0.1))
    np.testing.assert_allclose(loaded.positions_px, [[10, 2]])


@pytest.mark.parametrize(
    "heading",
    ["x_px,y_px", "X_px, Y_px", " x px ; y px", "x (px)\ty (px)", "# x_px,y_px", '"x_px","y_px"', "x [pixel],y [pixel]", "x_px y_px"],
)
def test_headings_tolerate_case_space_and_brackets(heading):
    separator = next((mark for mark in ";\t," if mark in heading), " ")
    content = f"{heading}\n1.5{separator}2\n\n3{separator}4e0\n".encode()
    np.testing.assert_array_equal(load_positions(content, "p.csv").positions_px, [[1.5, 2], [3, 4]])


def test_columns_may_be_swapped_and_commas_decimal():
    np.testing.assert_array_equal(load_positions(b"y_px,x_px\n1,2\n", "p.csv").positions_px, [[2, 1]])
    np.testing.assert_array_equal(load_positions(b"x_px;y_px\n1,5;2,25\n", "p.csv").positions_px, [[1.5, 2.25]])


def test_stated_units_replace_a_heading():
    np.testing.assert_array_equal(load_positions(b"1 2\n3 4\n", "p.txt", units="px").positions_px, [[1, 2], [3, 4]])
    np.testing.assert_array_equal(load_positions(b"1 2\n3 4\n", "p.txt", units="nm", pixel_size_nm=0.5).positions_px, [[2, 4], [6, 8]])
    with pytest.raises(InputError, match="in px, but units is 'nm'"):
        load_positions(b"x_px,y_px\n1,2\n", "p.csv", units="nm", pixel_size_nm=1)


def test_npy_and_json():
    np.testing.assert_array_equal(load_positions(written.npy(POSITIONS), "p.npy").positions_px, POSITIONS)
    np.testing.assert_array_equal(load_positions(written.npy(POSITIONS.astype(">i4")), "p.npy").positions_px, POSITIONS.astype(int))
    x, y = POSITIONS.T.tolist()
    for data in (
        {"x_px": x, "y_px": y},
        {"positions_px": POSITIONS.tolist(), "comment": "kept out"},
        [{"x_px": a, "y_px": b, "kind": 1} for a, b in POSITIONS.tolist()],
        {"x_nm": [a / 2 for a in x], "y_nm": [b / 2 for b in y]},
    ):
        np.testing.assert_allclose(load_positions(json.dumps(data).encode(), "p.json", pixel_size_nm=0.5).positions_px, POSITIONS)


BAD_LISTS = {
    "empty": (b"", "empty"),
    "blank": (b"\n\n", "no positions"),
    "heading only": (b"x_px,y_px\n", "no positions"),
    "no heading": (b"1,2\n3,4\n", "no heading"),
    "row,col": (b"row,col\n1,2\n", "rows and columns"),
    "unknown heading": (b"a,b\n1,2\n", "does not say pixels or nm"),
    "mixed units": (b"x_px,y_nm\n1,2\n", "does not say pixels or nm"),
    "three columns": (b"1,2,3\n", "3 columns"),
    "three headings": (b"id,x_px,y_px\n1,2,3\n", "3 columns"),
    "three columns in a row": (b"x_px,y_px\n1,2\n1,2,3\n", "line 3 has 3 columns"),
    "text": (b"x_px,y_px\n1,2\n1,two\n", "line 3 holds 'two'"),
    "NaN": (b"x_px,y_px\n1,2\n1,nan\n", "1 positions that are not finite numbers, the first is number 2"),
    "outside": (b"x_px,y_px\n1,2\n200,2\n", "1 of 2 positions outside the map of 31 x 12 pixels, the first at x = 200 px"),
    "nm without pixel size": (b"x_nm,y_nm\n1,2\n", "pixel size"),
    "json cut off": (b'{"x_px": [1, 2', "complete JSON"),
    "json of unequal length": (b'{"x_px": [1, 2], "y_px": [1]}', "2 values of x and 1 of y"),
    "json of words": (b'{"x_px": ["1"], "y_px": [1]}', "where a number should be"),
    "json without names": (b"[[1, 2]]", "does not say what its numbers are"),
    "json triples": (b'{"positions_px": [[1, 2, 3]]}', "pairs"),
    "binary": (bytes(range(256)), "text file"),
    "npy of three columns": (written.npy(np.zeros((4, 3))), r"shape \(4, 3\)"),
}


@pytest.mark.parametrize("case", BAD_LISTS, ids=str)
def test_bad_list_gets_a_sentence(case):
    content, words = BAD_LISTS[case]
    with pytest.raises(InputError, match=words) as caught:
        load_positions(content, "p.csv", shape=(12, 31))
    assert "p.csv" in str(caught.value) and str(caught.value).endswith(".")


def test_missing_list_is_named(tmp_path):
    with pytest.raises(InputError, match=r"missing\.csv"):
        load_positions(tmp_path / "missing.csv")


def test_classes_are_read_and_written_again():
    text = save_positions([[1.5, 2.0], [3.0, 4.25]], labels=["vacancy", "Co 2"])
    assert text == "x_px,y_px,class\n1.5,2.0,vacancy\n3.0,4.25,Co 2\n"
    loaded = load_positions(text.encode(), "list.csv")
    np.testing.assert_array_equal(loaded.positions_px, [[1.5, 2.0], [3.0, 4.25]])
    assert loaded.labels == ("vacancy", "Co 2") and "vacancy (1), Co 2 (1)" in loaded.description


@pytest.mark.parametrize(
    "content",
    [
        b"y_px;x_px;class\n2;1,5;a\n4;3;b\n",
        b"x_px y_px label\n1.5 2 a\n3 4 b\n",
        b'{"positions_px": [[1.5, 2], [3, 4]], "classes": ["a", "b"]}',
        b'[{"x_px": 1.5, "y_px": 2, "class": "a"}, {"x_px": 3, "y_px": 4, "class": "b"}]',
    ],
)
def test_classes_in_every_form_of_list(content: bytes):
    loaded = load_positions(content, "list")
    np.testing.assert_array_equal(loaded.positions_px, [[1.5, 2], [3, 4]])
    assert loaded.labels == ("a", "b")


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"x_px,y_px,class\n1,2\n", "has 1 columns"),
        (b"x_px,y_px,class\n1,2,\n", "class is empty"),
        (b'{"positions_px": [[1, 2]], "classes": ["a", "b"]}', "2 classes for 1 positions"),
        (b'{"positions_px": [[1, 2]], "classes": [1.5]}', "list of names"),
    ],
)
def test_bad_classes_get_a_sentence(content: bytes, sentence: str):
    with pytest.raises(InputError, match=sentence):
        load_positions(content, "list")
