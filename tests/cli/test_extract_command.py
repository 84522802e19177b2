"""The command line as a user runs it: files, side-car, and sentences instead of tracebacks."""

import json
import subprocess
import sys

import numpy as np
import pytest

from qpi_core import assess, load_extractor
from qpi_core.__main__ import build_parser, main
from tests.measured_data import GRID as REAL_GRID
from tests.measured_data import NANONIS_SCAN as REAL_SCAN


@pytest.fixture
def inputs(tmp_path):
    rng = np.random.default_rng(0)
    np.save(tmp_path / "map.npy", rng.normal(size=(3, 30, 34)))
    np.savetxt(tmp_path / "p.csv", rng.integers(0, 30, (5, 2)), delimiter=",", header="x_px,y_px", comments="", fmt="%d")
    return tmp_path


def extract(folder, *options, positions="p.csv", name="map.npy", out="out"):
    return main(["extract", str(folder / name), "--positions", str(folder / positions), "--out", str(folder / out), *options])


def test_files_and_side_car(inputs, capsys):
    status = extract(inputs, "--method", "defect_average", "--layer", "2", "--level", "plane", "--pixel-size-nm", "0.1", "0.2")
    assert status == 0
    values = json.loads((inputs / "out" / "estimate.json").read_text(encoding="utf-8"))
    assert values["kernel_size"] == 30 and values["pixel_size_nm"] == [0.1, 0.2]
    assert values["provenance"]["input"]["name"] == "map.npy" and values["provenance"]["input"]["layer_index"] == 2
    assert values["provenance"]["input"]["steps"] == [{"step": "level", "kind": "plane"}]
    assert np.load(inputs / "out" / "kernel.npy").shape == (30, 30)
    from qpi_core.maps import level

    rebuilt = np.load(inputs / "out" / "reconstruction.npy") + np.load(inputs / "out" / "residual.npy")
    np.testing.assert_allclose(rebuilt, level(np.load(inputs / "map.npy")[2], "plane"), atol=1e-5)
    assert "Verdict: doubt. The average of crops" in capsys.readouterr().out


def test_stability_is_said_and_kept_in_the_side_car(inputs, capsys):
    assert extract(inputs, "--method", "defect_average", "--kernel-size", "9", "--stability") == 0
    stability = json.loads((inputs / "out" / "estimate.json").read_text(encoding="utf-8"))["provenance"]["stability"]
    assert stability["verdict"] in capsys.readouterr().out.splitlines()
    positions = np.loadtxt(inputs / "p.csv", delimiter=",", skiprows=1)
    again = assess(load_extractor(device="cpu"), np.load(inputs / "map.npy")[0], positions, method="defect_average", kernel_size=9)
    assert stability["correlations"] == pytest.approx(again.correlations)


@pytest.mark.slow
def test_same_command_gives_the_same_bytes(inputs):
    for out in ("a", "b"):
        assert extract(inputs, "--method", "tikhonov", "--kernel-size", "9", out=out) == 0
    names = sorted(path.name for path in (inputs / "a").iterdir())
    assert [(inputs / "a" / name).read_bytes() for name in names] == [(inputs / "b" / name).read_bytes() for name in names]


@pytest.mark.parametrize(
    ("options", "paths", "word"),
    [
        ([], {"name": "missing.npy"}, "missing.npy"),
        ([], {"positions": "missing.csv"}, "missing.csv"),
        ([], {"name": "p.csv", "positions": "map.npy"}, ""),
        (["--method", "magic"], {}, "tikhonov"),
        (["--kernel-size", "31"], {}, "kernel_size"),
        (["--channel", "topography"], {}, "topography"),
        (["--layer", "3"], {}, "3"),
        (["--bias-mv", "20"], {}, "bias"),
        (["--level", "cubic"], {}, "kind"),
        (["--model", "nobody"], {}, "nobody"),
        (["--device", "tpu"], {}, "device"),
        (["--pixel-size-nm", "-1"], {}, "pixel_size_nm"),
        (["--pixel-size-nm", "1", "2", "3"], {}, "pixel-size-nm"),
        ([], {"out": "p.csv"}, "p.csv"),
    ],
)
def test_bad_input_gives_one_sentence_and_status_2(inputs, capsys, options, paths, word):
    before = sorted(path.name for path in inputs.iterdir())
    options = options if "--method" in options else [*options, "--method", "tikhonov"]
    assert extract(inputs, *options, **paths) == 2
    captured = capsys.readouterr()
    assert captured.err.startswith("error: ") and captured.err.count("\n") == 1 and word in captured.err
    assert sorted(path.name for path in inputs.iterdir()) in (before, sorted([*before, "out"]))
    assert not (inputs / "out").exists() or not list((inputs / "out").iterdir())


@pytest.mark.slow
def test_results_replace_results_and_nothing_else(inputs, capsys):
    (inputs / "kernel.npy").write_bytes((inputs / "map.npy").read_bytes())
    before = (inputs / "kernel.npy").read_bytes()
    options = ["--method", "defect_average", "--kernel-size", "9"]
    for name in ("kernel.npy", "map.npy"):
        assert extract(inputs, *options, name=name, out=".") == 2
        assert "kernel.npy" in capsys.readouterr().err and (inputs / "kernel.npy").read_bytes() == before
    assert extract(inputs, *options) == 0
    assert extract(inputs, *options, "--layer", "1") == 0, "an earlier result may be replaced"
    assert "layer 1 of the layers 0 to 2" in capsys.readouterr().out
    (inputs / "out" / "estimate.json").write_text('{"mine": 1}')
    assert extract(inputs, *options) == 2
    assert (inputs / "out" / "estimate.json").read_text() == '{"mine": 1}'


def test_a_folder_without_a_name_is_refused(inputs, capsys):
    assert main(["extract", str(inputs / "map.npy"), "--positions", str(inputs / "p.csv"), "--out", "", "--method", "tikhonov"]) == 2
    assert "empty" in capsys.readouterr().err


def test_positions_outside_the_map_are_refused(inputs, capsys):
    (inputs / "far.csv").write_text("x_px,y_px\n3,4\n300,4\n")
    assert extract(inputs, "--method", "tikhonov", positions="far.csv") == 2
    assert "outside" in capsys.readouterr().err


def test_as_a_process_there_is_no_traceback(inputs):
    command = [sys.executable, "-m", "qpi_core", "extract", str(inputs / "no.npy"), "--positions", "p", "--out", "o"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 2 and "Traceback" not in done.stderr and "no.npy" in done.stderr


def test_every_command_explains_itself_without_heavy_imports():
    parser = build_parser()
    (actions,) = [action for action in parser._actions if action.dest == "command"]
    assert {"atlas", "benchmark", "dataset", "evaluate", "extract", "train"} <= set(actions.choices)
    for command in actions.choices.values():
        assert len(command.format_help()) > 300
    code = "import sys; from qpi_core.__main__ import build_parser; build_parser(); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_ctrl_c_ends_quietly(inputs, monkeypatch, capsys):
    def interrupt(_):
        raise KeyboardInterrupt

    monkeypatch.setattr("qpi_core.cli.extract.run", interrupt)
    assert extract(inputs) == 130
    assert capsys.readouterr().err == "Stopped.\n"


def test_a_full_disk_ends_with_a_sentence(inputs, monkeypatch, capsys):
    def fill(_):
        raise OSError(28, "No space left on device", "kernel.npy")

    monkeypatch.setattr("qpi_core.cli.extract.run", fill)
    assert extract(inputs) == 2
    assert capsys.readouterr().err == "error: kernel.npy cannot be read or written (No space left on device); check it.\n"


@pytest.mark.skipif(not REAL_SCAN.is_file(), reason="the real files in ../shared/data are not here")
def test_a_real_scan_with_positions_in_nm(tmp_path):
    (tmp_path / "p.csv").write_text("x_nm,y_nm\n5.0,5.0\n2.5,7.25\n8.1,3.3\n")
    command = ["extract", str(REAL_SCAN), "--positions", str(tmp_path / "p.csv"), "--out", str(tmp_path / "out"), "--method", "tikhonov"]
    assert main([*command, "--kernel-size", "32", "--level", "plane"]) == 0
    values = json.loads((tmp_path / "out" / "estimate.json").read_text(encoding="utf-8"))
    assert values["pixel_size_nm"] == pytest.approx([10 / 160, 10 / 160], rel=0.02)
    np.testing.assert_allclose(values["positions_px"][0], np.array([5.0, 5.0]) / values["pixel_size_nm"], rtol=1e-9)


@pytest.mark.skipif(not REAL_GRID.is_file(), reason="the real files in ../shared/data are not here")
def test_one_layer_of_a_real_grid(tmp_path):
    (tmp_path / "p.csv").write_text("x_px,y_px\n10,12\n20,22\n")
    command = ["extract", str(REAL_GRID), "--positions", str(tmp_path / "p.csv"), "--out", str(tmp_path / "out"), "--method", "tikhonov"]
    assert main([*command, "--layer", "7"]) == 0
    values = json.loads((tmp_path / "out" / "estimate.json").read_text(encoding="utf-8"))
    assert values["kernel_size"] == 30 and values["provenance"]["input"]["layer_index"] == 7
    assert isinstance(values["provenance"]["input"]["bias_mv"], float)


@pytest.mark.slow
def test_prepared_maps_and_their_replay(inputs, capsys):
    """A crop and a plane: positions move along, those outside are told, and estimate.json does the same again."""
    np.savetxt(inputs / "p.csv", [[6, 8], [20, 15], [2, 2], [17.5, 20]], delimiter=",", header="x_px,y_px", comments="")
    steps = [{"step": "crop", "left": 4, "top": 5, "width": 28, "height": 24}, {"step": "level", "kind": "plane"}]
    (inputs / "steps.json").write_text(json.dumps(steps), encoding="utf-8")
    assert extract(inputs, "--method", "tikhonov", "--prepare", str(inputs / "steps.json"), "--layer", "1") == 0
    assert "1 of the positions lie outside" in capsys.readouterr().out
    values = json.loads((inputs / "out" / "estimate.json").read_text(encoding="utf-8"))
    assert values["provenance"]["input"]["steps"] == steps and values["kernel_size"] == 24
    np.testing.assert_allclose(values["positions_px"], [[2, 3], [16, 10], [13.5, 15]])
    rebuilt = np.load(inputs / "out" / "reconstruction.npy") + np.load(inputs / "out" / "residual.npy")
    cut = np.load(inputs / "map.npy")[1, 5:29, 4:32]
    y, x = np.mgrid[:24, :28]
    design = np.stack([np.ones(cut.size), x.ravel(), y.ravel()], axis=1)
    plane = design @ np.linalg.lstsq(design, cut.ravel(), rcond=None)[0]
    np.testing.assert_allclose(rebuilt, cut - plane.reshape(cut.shape), atol=1e-5)
    again = ("--method", "tikhonov", "--prepare", str(inputs / "out" / "estimate.json"), "--layer", "1")
    assert extract(inputs, *again, out="again") == 0
    np.testing.assert_array_equal(np.load(inputs / "again" / "kernel.npy"), np.load(inputs / "out" / "kernel.npy"))


def test_preparation_that_does_not_fit(inputs, capsys):
    (inputs / "steps.json").write_text('[{"step": "crop", "left": 0, "top": 0, "width": 400, "height": 24}]', encoding="utf-8")
    assert extract(inputs, "--prepare", str(inputs / "steps.json")) == 2
    assert "34 x 30 pixels" in capsys.readouterr().err
    assert extract(inputs, "--prepare", str(inputs / "steps.json"), "--level", "plane") == 2
    assert "exclude each other" in capsys.readouterr().err
    assert extract(inputs, "--prepare", str(inputs / "map.npy")) == 2
    assert "map.npy is not a JSON file" in capsys.readouterr().err


@pytest.mark.slow
def test_where_the_channel_is_not_sure_all_are_listed(tmp_path, capsys):
    rng = np.random.default_rng(0)
    np.savez(tmp_path / "map.npz", height=rng.normal(size=(24, 24)), second=rng.normal(size=(24, 24)))
    (tmp_path / "p.csv").write_text("x_px,y_px\n10,11\n")
    command = ["extract", str(tmp_path / "map.npz"), "--positions", str(tmp_path / "p.csv"), "--method", "defect_average"]
    assert main([*command, "--kernel-size", "9", "--out", str(tmp_path / "a")]) == 0
    assert "Warning: The file does not say for certain which channel is dI/dV; height was taken. Its channels: height, second." in (
        capsys.readouterr().out
    )
    assert main([*command, "--kernel-size", "9", "--channel", "height", "--out", str(tmp_path / "b")]) == 0
    assert "which channel" not in capsys.readouterr().out


@pytest.mark.slow
def test_pictures_in_other_formats_replace_those_of_before(inputs):
    assert extract(inputs, "--method", "defect_average", "--kernel-size", "9") == 0
    assert extract(inputs, "--method", "defect_average", "--kernel-size", "9", "--pictures", "svg", "pdf") == 0
    pictures = {path.name for path in (inputs / "out").iterdir() if path.suffix in (".png", ".svg", ".pdf")}
    assert pictures == {f"{what}.{file_format}" for what in ("kernel", "fft", "fit") for file_format in ("svg", "pdf")}
    assert (inputs / "out" / "kernel.pdf").read_bytes().startswith(b"%PDF")
