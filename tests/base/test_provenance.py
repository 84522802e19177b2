"""Hashes, versions and strict JSON values."""

import hashlib
import json

import numpy as np
import pytest

from qpi_core.base.errors import InputError
from qpi_core.base.provenance import array_sha256, json_ready, versions


def test_array_hash_depends_on_type_shape_and_every_value():
    array = np.arange(12, dtype=np.float32).reshape(3, 4)
    assert array_sha256(array) == hashlib.sha256(b"<f4(3, 4)" + array.tobytes()).hexdigest()
    changed = array.copy()
    changed[2, 3] += 1
    others = [changed, array.reshape(4, 3), array.astype(np.float64)]
    assert array_sha256(array) not in {array_sha256(other) for other in others}


def test_array_hash_does_not_depend_on_memory_layout_or_byte_order():
    array = np.random.default_rng(0).normal(size=(5, 7))
    assert array_sha256(np.asfortranarray(array)) == array_sha256(array.astype(">f8")) == array_sha256(array)


def test_json_values_are_strict():
    value = {"a": np.array([[1.5, np.nan]]), "b": (np.int64(3), np.float32(np.inf), True, None), "c": "text"}
    assert json.loads(json.dumps(json_ready(value), allow_nan=False)) == {"a": [[1.5, None]], "b": [3, None, True, None], "c": "text"}


@pytest.mark.parametrize("value", [object(), {1: "a"}, [b"bytes"]])
def test_what_json_cannot_hold_is_told(value):
    with pytest.raises(InputError, match="side-car"):
        json_ready(value)


def test_versions_name_what_computes():
    assert {"qpi_core", "python", "numpy", "torch"} <= set(versions())
    assert versions()["numpy"] == np.__version__
