"""`extract` with a list that names classes: a folder a class, one side-car over all, and nothing of an earlier result left."""

import json

import numpy as np
import pytest

from qpi_core.__main__ import main
from qpi_core.results.files import RESULT_FILES, load_sidecar

LISTED = "x_px,y_px,class\n3,4,Fe 1\n20,9,Fe_1\n11.5,22,Fe 1\n25,25,Fe_1\n"


@pytest.fixture
def inputs(tmp_path):
    np.save(tmp_path / "map.npy", np.random.default_rng(0).normal(size=(30, 34)))
    (tmp_path / "p.csv").write_text(LISTED)
    return tmp_path


def extract(folder, *options, out="out", positions="p.csv"):
    paths = [str(folder / name) for name in ("map.npy", positions, out)]
    return main(
        ["extract", paths[0], "--positions", paths[1], "--out", paths[2], "--method", "defect_average", "--kernel-size", "9", *options]
    )


@pytest.mark.slow
def test_a_folder_a_class_and_a_side_car_over_all(inputs, capsys):
    assert extract(inputs, "--pixel-size-nm", "0.1") == 0
    assert "Classes: Fe 1 (2), Fe_1 (2)." in (said := capsys.readouterr().out) and "class Fe 1 has only 2 defects" in said
    out = inputs / "out"
    assert {path.name for path in out.iterdir()} == {"class_Fe_1", "class_Fe_1_2", "estimate.json"}
    values = load_sidecar(out / "estimate.json")
    assert values["classes"] == ["Fe 1", "Fe_1", "Fe 1", "Fe_1"] and values["positions_px"][2] == [11.5, 22.0]
    for name, count in (("Fe 1", 2), ("Fe_1", 2)):
        folder = out / values["kernels"][name]["folder"]
        assert set(RESULT_FILES) >= {path.name for path in folder.iterdir()} >= {"kernel.npy", "kernel.png", "fft.npy", "estimate.json"}
        own = load_sidecar(folder / "estimate.json")
        assert len(own["positions_px"]) == count and own["provenance"]["classes"]["class"] == name
        assert own["provenance"]["input"]["name"] == "map.npy" and np.load(folder / "kernel.npy").shape == (9, 9)


@pytest.mark.slow
def test_results_with_and_without_classes_replace_each_other(inputs):
    (inputs / "one.csv").write_text("x_px,y_px,class\n3,4,a\n20,9,a\n")
    (inputs / "plain.csv").write_text("x_px,y_px\n3,4\n20,9\n")
    for name, positions in (("one", "one.csv"), ("plain", "plain.csv")):
        assert extract(inputs, out=name, positions=positions) == 0
    files = sorted(path.name for path in (inputs / "plain").iterdir())
    assert files == sorted(path.name for path in (inputs / "one").iterdir()) and "kernel.npy" in files
    for name in files:
        first, second = ((inputs / folder / name).read_bytes() for folder in ("one", "plain"))
        assert first == second or name == "estimate.json", "one class is a list without classes"
    assert extract(inputs, out="one") == 0
    assert {path.name for path in (inputs / "one").iterdir()} == {"class_Fe_1", "class_Fe_1_2", "estimate.json"}
    (inputs / "one" / "class_notes").mkdir()
    (inputs / "one" / "class_notes" / "mine.txt").write_text("kept")
    assert extract(inputs, out="one", positions="plain.csv") == 0
    assert sorted(path.name for path in (inputs / "one").iterdir()) == sorted([*files, "class_notes"])


@pytest.mark.slow
def test_many_maps_with_classes_are_written_once(inputs, capsys):
    command = [
        "extract",
        str(inputs / "map.npy"),
        str(inputs / "map.npy"),
        "--positions",
        str(inputs / "lists"),
        "--out",
        str(inputs / "many"),
    ]
    (inputs / "lists").mkdir()
    (inputs / "lists" / "map.csv").write_text(LISTED)
    (inputs / "other.npy").write_bytes((inputs / "map.npy").read_bytes())
    (inputs / "lists" / "other.csv").write_text(LISTED)
    command[2] = str(inputs / "other.npy")
    options = ["--method", "defect_average", "--kernel-size", "9", "--quiet"]
    assert main([*command, *options]) == 0 and main([*command, *options]) == 0
    assert "2 there already" in capsys.readouterr().out
    assert json.loads((inputs / "many" / "map" / "estimate.json").read_text())["kernels"]["Fe 1"]["folder"] == "class_Fe_1"
    (inputs / "lists" / "map.csv").write_text(LISTED.replace("25,25", "24,25"))
    assert main([*command, *options]) == 0 and "1 done" in capsys.readouterr().out


def test_a_class_with_too_few_defects_for_halves_says_so(inputs, capsys):
    assert extract(inputs, "--stability") == 2
    assert "of the class" in capsys.readouterr().err and not list(inputs.glob("out/class_*"))
