"""Report, script and ZIP of a solved stack: they say what was found, and make it again."""

from __future__ import annotations

import functools
import io
import os
import subprocess
import sys
import zipfile
from html import unescape
from pathlib import Path

import numpy as np
import pytest

import qpi_core
from qpi_core.base.provenance import json_ready
from qpi_core.estimates.class_stack import stacks_of, with_source
from qpi_core.extraction.bands.band import find_band
from qpi_core.extraction.stacks.stack_findings import StackFindings
from qpi_core.maps.preparation import Preparation
from qpi_core.results.figures.kernel_rows import kernel_rows_figure, shown_layers
from qpi_core.results.stacks.stack_archive import stack_zip
from qpi_core.results.stacks.stack_report import stack_report_html
from qpi_core.results.stacks.stack_script import stack_snippet

SIZE, SHAPE, PITCH = 14, (32, 36), 0.25
ENERGIES = np.array([-40.0, 10.0, 60.0])
STEPS = [{"step": "level", "kind": "plane"}]


def rings(energy: float, dx, dy):
    r = np.hypot(dx, dy)
    return np.cos((0.9 + energy / 200) * r) * np.exp(-r / 3.0)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of three layers with two kinds of defects, tilted, and its list."""
    rng = np.random.default_rng(4)
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]]
    positions = rng.uniform([0, 0], [SHAPE[1] - 1, SHAPE[0] - 1], (16, 2))
    layers = [
        0.02 * x + sum(rings(energy + 90 * (k % 2), x - px, y - py) for k, (px, py) in enumerate(positions)) + 0.05 * rng.normal(size=SHAPE)
        for energy in ENERGIES
    ]
    place = tmp_path_factory.mktemp("stack")
    np.savez(place / "a<b>.npz", didv=np.stack(layers), bias_mv=ENERGIES)
    np.save(place / "positions.npy", positions + rng.normal(0, 0.3, positions.shape))
    return place


@functools.cache
def solved(folder: Path, several: bool, refine: bool):
    scan = qpi_core.load_map(folder / "a<b>.npz", pixel_size_nm=PITCH)
    stack = np.stack([Preparation.from_json(STEPS).apply_to_scan(scan, index=k).values.astype(np.float32) for k in range(3)])
    found = qpi_core.extract_stack(
        qpi_core.load_extractor(),
        stack,
        np.load(folder / "positions.npy"),
        classes=["one", 'it\'s "two"'] * 8 if several else None,
        bias_mv=ENERGIES,
        pixel_size_nm=PITCH,
        kernel_size=SIZE,
        method="tikhonov",
        refine_positions=refine,
    )
    source = {"name": "a<b>.npz", "given_pixel_size_nm": PITCH, "steps": STEPS, "channel": None}
    return with_source(found, dict(json_ready(source)))


def findings(result) -> StackFindings:
    return StackFindings({name: find_band(estimate) for name, estimate in stacks_of(result).items()})


@pytest.mark.slow
@pytest.mark.parametrize(("several", "refine"), [(False, True), (True, False), (True, True)])
def test_the_script_makes_the_same_kernels_again(folder: Path, tmp_path: Path, several: bool, refine: bool):
    result = solved(folder, several, refine)
    code = stack_snippet(result).replace("'a<b>.npz'", repr(str(folder / "a<b>.npz")))
    (tmp_path / "reproduce.py").write_text(code, encoding="utf-8")
    root = str(Path(qpi_core.__file__).parent.parent)
    subprocess.run([sys.executable, "reproduce.py"], cwd=tmp_path, check=True, env={**os.environ, "PYTHONPATH": root})
    if several:
        with np.load(tmp_path / "kernels.npz") as again:
            assert set(again.files) == set(result.names)
            for name in result.names:
                np.testing.assert_array_equal(again[name], result[name].kernels)
    else:
        np.testing.assert_array_equal(np.load(tmp_path / "kernels.npy"), result.kernels)


def test_a_stack_of_several_files_is_read_again_from_them(folder: Path):
    result = with_source(solved(folder, False, False), {"scans": ["a.sxm", "b.sxm"], "scan_bias_mv": [1.0, 2.0], "channel": "LI X"})
    code = stack_snippet(result)
    compile(code, "reproduce.py", "exec")
    assert f"qpi_core.load_stack(['a.sxm', 'b.sxm'], channel='LI X', pixel_size_nm={PITCH}, bias_mv=[1.0, 2.0])" in code


@pytest.mark.slow
def test_the_report_says_what_was_found_and_nothing_of_a_name_is_markup(folder: Path):
    result = solved(folder, True, False)
    page = stack_report_html(result, findings(result)).decode()
    assert "a<b>" not in page and "a&lt;b&gt;.npz" in page
    told = unescape(page)
    assert 'Class it\'s "two": 8 defects' in told and "3 of 3 layers were solved" in told
    for sentence in findings(result).sentences():
        assert sentence in told
    assert "-40 mV" in told and told.count("data:image/png;base64,") == 4 and "extract_stack(" in told


def test_layers_that_were_not_solved_are_named(folder: Path):
    scan = np.load(folder / "a<b>.npz")["didv"]
    result = qpi_core.extract_stack(
        qpi_core.load_extractor(), scan, np.load(folder / "positions.npy"), kernel_size=SIZE, method="tikhonov", layers=[1]
    )
    page = stack_report_html(result, findings(result)).decode()
    assert page.count("Not solved") == 2 and "Layer 1" in page and shown_layers(result).tolist() == [1]
    assert kernel_rows_figure(result).startswith(b"\x89PNG")


@pytest.mark.slow
def test_the_zip_holds_every_class_and_is_always_the_same(folder: Path):
    result = solved(folder, True, False)
    content = stack_zip(result, findings(result), {})
    assert content == stack_zip(result, findings(result), {})
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        names = archive.namelist()
        assert {"report.html", "reproduce.py", "stack.json"} <= set(names)
        folders = {name.split("/")[0] for name in names if "/" in name}
        assert len(folders) == 2 and all({f"{one}/kernels.npy", f"{one}/stack.npz", f"{one}/stack.json"} <= set(names) for one in folders)
