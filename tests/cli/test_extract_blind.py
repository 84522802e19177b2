"""`extract --blind`: without a list, for one map and for folders."""

import json

import numpy as np
import pytest

import qpi_core
from qpi_core.__main__ import main
from qpi_core.synthesis.simulated_maps.scenes import draw_scene
from tests.extraction.blind.test_blind_classes import MAP, WRONG, searching


@pytest.fixture
def maps(tmp_path):
    np.save(tmp_path / "flat.npy", np.ones((30, 34)))
    return tmp_path


def test_a_map_without_anything_gives_files_and_a_warning(maps, capsys):
    assert main(["extract", str(maps / "flat.npy"), "--blind", "--out", str(maps / "out")]) == 0
    said = capsys.readouterr().out
    assert "not to be trusted" in said and "0 defects were found" in said
    values = json.loads((maps / "out" / "estimate.json").read_text(encoding="utf-8"))
    assert values["trusted"] is False and values["positions_px"] == [] and values["provenance"]["input"]["name"] == "flat.npy"
    assert np.load(maps / "out" / "kernel.npy").shape == (30, 30) and (maps / "out" / "fit.png").exists()


@pytest.mark.slow
def test_a_folder_of_maps_needs_no_lists_and_goes_on(maps, capsys):
    (maps / "many").mkdir()
    for name in ("a", "b"):
        np.save(maps / "many" / f"{name}.npy", np.full((26, 26), ord(name)))
    for expected in ("2 done", "2 there already"):
        assert main(["extract", str(maps / "many"), "--blind", "--out", str(maps / "results"), "--quiet"]) == 0
        assert expected in capsys.readouterr().out
    assert json.loads((maps / "results" / "a" / "estimate.json").read_text(encoding="utf-8"))["trusted"] is False
    assert (maps / "results" / "a" / "found_defects.csv").read_text() == "x_px,y_px\n"


@pytest.mark.parametrize(
    "options, words",
    [
        ([], "--positions FILE"),
        (["--blind", "--positions", "p.csv"], "exclude each other"),
        (["--blind", "--refine-positions"], "leave them out"),
        (["--blind", "--method", "tikhonov"], "leave them out"),
        (["--blind", "--time-limit", "-3"], "time_limit_s must be"),
        (["--positions", "p.csv", "--classes", "2"], "--classes goes with --blind only"),
        (["--blind", "--classes", "0"], "classes must be a whole number of at least 1"),
        (["--blind", "--classes", "4"], "at most 3 kinds of defects are found"),
        (["--blind", "--classes", "2"], "nothing can be told from this map"),
    ],
)
def test_what_does_not_go_together_is_refused(maps, capsys, options, words):
    (maps / "p.csv").write_text("x_px,y_px\n3,4\n")
    options = [str(maps / word) if word == "p.csv" else word for word in options]
    assert main(["extract", str(maps / "flat.npy"), "--out", str(maps / "out"), *options]) == 2
    assert words in capsys.readouterr().err


@pytest.mark.slow
def test_several_kinds_have_a_folder_each_and_a_list_with_classes(maps, capsys, monkeypatch):
    monkeypatch.setattr("qpi_core.extraction.blind.blind_classes.search_kinds", searching(WRONG))
    np.save(maps / "two.npy", MAP)
    asked = ["--blind", "--classes", "2", "--kernel-size", "24"]
    assert main(["extract", str(maps / "two.npy"), *asked, "--out", str(maps / "out")]) == 0
    said = capsys.readouterr().out
    assert "18 defects (9 of class A, 9 of class B) were found in the map itself." in said and "not to be trusted" in said
    values = json.loads((maps / "out" / "estimate.json").read_text(encoding="utf-8"))
    assert values["classes"] == ["A"] * 9 + ["B"] * 9 and values["provenance"]["blind"]["trusted"] is False
    listed = qpi_core.load_positions(maps / "out" / "found_defects.csv")
    assert list(listed.labels) == values["classes"] and np.allclose(listed.positions_px, values["positions_px"])
    assert np.load(maps / "out" / "class_B" / "kernel.npy").shape == (24, 24)


@pytest.mark.slow
def test_a_scene_is_extracted_without_a_list(maps, capsys):
    scene = draw_scene(91, 3, 0.1, count=14)
    np.save(maps / "scene.npy", scene.observation)
    assert main(["extract", str(maps / "scene.npy"), "--blind", "--out", str(maps / "out"), "--pixel-size-nm", "0.15625"]) == 0
    assert "14 defects were found in the map itself. Trusted" in capsys.readouterr().out
    kernel = np.load(maps / "out" / "kernel.npy")
    assert np.corrcoef(kernel.ravel(), scene.kernel.ravel())[0, 1] > 0.99
