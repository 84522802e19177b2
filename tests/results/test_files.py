"""Files of an estimate: what they hold, that they are strict, whole, and the same every time."""

import io
import json
import os

import numpy as np
import pytest
from PIL import Image

from qpi_core.base.errors import InputError
from qpi_core.estimates.estimate import KernelEstimate
from qpi_core.extraction.extractor import Extractor
from qpi_core.results.files import (
    RESULT_FILES,
    estimate_files,
    load_sidecar,
    picture_bytes,
    prepare_folder,
    sidecar_bytes,
    write_estimate,
)
from qpi_core.results.script import python_snippet
from qpi_core.runtime.atomic_files import write_atomically

FILES = {"kernel.npy", "kernel.png", "fft.npy", "fft.png", "fit.png", "reconstruction.npy", "residual.npy", "estimate.json"}


def make_estimate(**changed) -> KernelEstimate:
    rng = np.random.default_rng(0)
    residual = rng.normal(size=(14, 18)).astype(np.float32)
    residual[3, 4] = np.nan
    kernel = rng.normal(size=(8, 8)).astype(np.float32)
    values = {
        "kernel": kernel,
        "method": "tikhonov",
        "kernel_size": 8,
        "reconstruction": rng.normal(size=(14, 18)).astype(np.float32),
        "residual": residual,
        "background": 0.1 + 0.2,
        "noise_sigma": 1.0,
        "positions": np.array([[1 / 3, 2.0], [1e-7, 13.25]]),
        "weights": np.ones(2),
        "wide_kernel": kernel,
        "pixel_size_nm": (0.1, 0.2),
        "parameters": {"wave_vector_rad_per_nm": (3.1, float("nan"))},
        "warnings": ("Only one defect — “quoted” [\n1,\n2\n] q → 0.",),
        "provenance": {"input": {"name": "mäp.sxm", "unit": "pA"}},
    }
    return KernelEstimate(**(values | changed))


def test_written_files_hold_the_arrays_and_the_side_car(tmp_path):
    estimate = make_estimate()
    paths = write_estimate(estimate, tmp_path / "a" / "b")
    assert {path.name for path in paths} == FILES == {path.name for path in (tmp_path / "a" / "b").iterdir()}
    folder = tmp_path / "a" / "b"
    np.testing.assert_array_equal(np.load(folder / "kernel.npy"), estimate.kernel)
    np.testing.assert_array_equal(np.load(folder / "residual.npy"), estimate.residual)
    spectrum = np.load(folder / "fft.npy")
    assert spectrum[4, 4] == pytest.approx(estimate.kernel.sum(), abs=1e-4), "zero wave vector in the middle"
    assert (np.abs(spectrum) ** 2).sum() == pytest.approx(64 * (estimate.kernel**2).sum(), rel=1e-5)
    for name in ("kernel.png", "fft.png", "fit.png"):
        with Image.open(folder / name) as picture:
            assert min(picture.size) > 200


def test_side_car_is_strict_and_reads_back_exactly(tmp_path):
    estimate = make_estimate()

    def refuse(name):
        raise AssertionError(f"{name} is not JSON")

    raw = json.loads(sidecar_bytes(estimate), parse_constant=refuse)
    write_estimate(estimate, tmp_path)
    values = load_sidecar(tmp_path / "estimate.json")
    assert values == raw
    np.testing.assert_array_equal(np.array(values["positions_px"]), estimate.positions)
    assert values["background"] == estimate.background
    assert values["warnings"] == list(estimate.warnings)
    assert values["parameters"] == {"wave_vector_rad_per_nm": {"value": 3.1, "standard_deviation": None}}
    assert "\n    [0.3333333333333333, 2.0],\n" in sidecar_bytes(estimate).decode(), "one position a line"


@pytest.mark.slow
def test_optional_arrays_come_and_go_with_the_estimate(tmp_path):
    full = make_estimate(uncertainty=np.ones((8, 8), dtype=np.float32), latent=np.zeros((4, 8, 8), dtype=np.float32))
    write_estimate(full, tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == FILES | {"uncertainty.npy", "latent.npy"}
    assert picture_bytes(full, "uncertainty").startswith(b"\x89PNG")
    write_estimate(make_estimate(), tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == FILES


def test_png_says_where_it_comes_from():
    text = Image.open(io.BytesIO(picture_bytes(make_estimate()))).text
    assert text["Source"] == "mäp.sxm" and "tikhonov" in text["Title"] and text["Pixel size (dy, dx) in nm"] == "0.1, 0.2"


def test_a_stopped_write_leaves_the_old_file_and_no_remains(tmp_path, monkeypatch):
    path = tmp_path / "kernel.npy"
    write_atomically(path, b"old")

    def fail(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(KeyboardInterrupt):
        write_atomically(path, b"new")
    assert path.read_bytes() == b"old" and list(tmp_path.iterdir()) == [path]


@pytest.mark.slow
def test_a_file_in_the_way_of_the_folder_is_told(tmp_path):
    (tmp_path / "taken").write_text("")
    for action in (lambda: prepare_folder(tmp_path / "taken"), lambda: write_estimate(make_estimate(), tmp_path / "taken")):
        with pytest.raises(InputError, match="taken"):
            action()


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[" * 100_000, b"[1, 2]", b'{"format": "other"}', b'{"format": "qpi-kernel-estimate", "format_version": 99}', b"\xff\xfe"],
)
def test_what_is_no_side_car_is_told(content, tmp_path):
    with pytest.raises(InputError, match="side-car|JSON"):
        load_sidecar(content)
    (tmp_path / "x.json").write_bytes(content)
    with pytest.raises(InputError, match="x.json"):
        load_sidecar(tmp_path / "x.json")


def test_missing_side_car_and_unknown_pictures_are_told(tmp_path):
    with pytest.raises(InputError, match="nowhere.json"):
        load_sidecar(tmp_path / "nowhere.json")
    with pytest.raises(InputError, match="uncertainty"):
        picture_bytes(make_estimate(), "uncertainty")
    with pytest.raises(InputError, match="choose kernel"):
        picture_bytes(make_estimate(), "phase")


def test_snippet_gives_the_same_kernel_to_the_last_bit(tmp_path, monkeypatch):
    rng = np.random.default_rng(1)
    stack = rng.normal(size=(2, 30, 34)) + np.arange(34) * 0.3
    np.save(tmp_path / "it's a map.npy", stack)
    positions, weights = rng.uniform(0, 29, (6, 2)), rng.uniform(0.5, 1.5, 6)
    from qpi_core.maps import level, load_map

    observation = level(load_map(tmp_path / "it's a map.npy").layer(index=1), "plane")
    estimate = Extractor(device="cpu").extract(observation, positions, "tikhonov", 9, pixel_size_nm=(0.1, 1 / 3), weights=weights)
    source = {"name": "it's a map.npy", "layer_index": 1, "bias_mv": 3.0, "steps": [{"step": "level", "kind": "plane"}]}
    code = python_snippet(estimate.with_source(source))
    monkeypatch.chdir(tmp_path)
    exec(compile(code, "snippet", "exec"), {})
    np.testing.assert_array_equal(np.load("kernel.npy"), estimate.kernel)


def test_snippet_repeats_a_preparation_that_moves_pixels(tmp_path, monkeypatch):
    from qpi_core.maps.preparation import Crop, Preparation, Resample
    from qpi_core.workflows.one_map import ExtractionOptions, MapFiles, extract_inputs, read_inputs

    np.save(tmp_path / "map.npy", np.random.default_rng(1).normal(size=(30, 40)))
    np.savetxt(tmp_path / "p.csv", [[8, 9], [20, 15], [14.5, 20]], delimiter=",", header="x_px,y_px", comments="")
    preparation = Preparation((Crop(2, 3, 30, 24), Resample()))
    options = ExtractionOptions("tikhonov", 9, prepare=preparation, pixel_size_nm=(0.2, 0.1))
    inputs = read_inputs(MapFiles.at(tmp_path / "map.npy", tmp_path / "p.csv"), options)
    estimate = extract_inputs(inputs, options, Extractor(device="cpu"))
    assert estimate.pixel_size_nm == (0.1, 0.1)
    monkeypatch.chdir(tmp_path)
    exec(compile(python_snippet(estimate), "snippet", "exec"), {})
    np.testing.assert_array_equal(np.load("kernel.npy"), estimate.kernel)


def test_snippet_does_not_leave_out_a_step_it_cannot_write():
    estimate = make_estimate().with_source({"steps": [{"step": "drift"}]})
    with pytest.raises(InputError, match="drift"):
        python_snippet(estimate)


@pytest.mark.slow
def test_every_file_of_an_estimate_is_a_known_result():
    slope = np.linspace(0, 1, 14 * 18, dtype=np.float32).reshape(14, 18)
    full = make_estimate(uncertainty=np.ones((8, 8), np.float32), latent=np.zeros((4, 8, 8), np.float32), background_map=slope)
    # The list that a search has found is written beside the estimate that it led to.
    assert set(estimate_files(full, ("png", "svg", "pdf"))) == set(RESULT_FILES) - {"found_defects.csv"}
