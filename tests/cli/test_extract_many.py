"""Many maps in one command: folders, lists, going on after a stop, and maps that fail."""

import json

import numpy as np
import pytest

from qpi_core.__main__ import main
from qpi_core.results.files import RESULT_FILES

FAST = ("--method", "defect_average", "--kernel-size", "9", "--quiet")


@pytest.fixture
def without_pictures(monkeypatch):
    """Pictures take most of the time of such small extractions and are tested elsewhere."""
    monkeypatch.setattr("qpi_core.results.files.picture_bytes", lambda estimate, what="kernel", style=None: what.encode())


@pytest.fixture
def maps(tmp_path):
    """Three maps with a list each beside them, and a file that is no map."""
    rng = np.random.default_rng(0)
    folder = tmp_path / "maps"
    folder.mkdir()
    for name in ("a", "b", "c"):
        np.save(folder / f"{name}.npy", rng.normal(size=(20, 24)))
        np.savetxt(folder / f"{name}.csv", rng.integers(0, 20, (3, 2)), delimiter=",", header="x_px,y_px", comments="", fmt="%d")
    (folder / "notes.md").write_text("no map")
    return folder


def extract(*arguments, positions=None, out=None, options=FAST):
    return main(["extract", *map(str, arguments), "--positions", str(positions), "--out", str(out), *options])


def contents(folder):
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


@pytest.mark.usefixtures("without_pictures")
def test_a_folder_of_maps_gives_what_single_maps_give(maps, tmp_path, capsys):
    assert extract(maps, positions=maps, out=tmp_path / "out") == 0
    assert "3 done, 0 there already, 0 failed of 3 maps" in capsys.readouterr().out
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["a", "b", "batch.json", "c"]
    assert extract(maps / "b.npy", positions=maps, out=tmp_path / "single", options=FAST[:-1]) == 0
    assert contents(tmp_path / "single") == contents(tmp_path / "out" / "b")
    assert set(contents(tmp_path / "single")) <= set(RESULT_FILES)


@pytest.mark.usefixtures("without_pictures")
def test_a_list_one_file_of_positions_and_stems_that_are_shared(maps, tmp_path):
    (maps / "b.txt").write_bytes(b"\n".join(b" ".join(b"%d" % (x * y % 7) for x in range(20)) for y in range(20)))
    (tmp_path / "list.txt").write_text("# my maps\nmaps/b.npy\n\nmaps/b.txt\nmaps/a.npy\nmaps/b.npy\n")
    assert extract("--list", tmp_path / "list.txt", positions=maps / "a.csv", out=tmp_path / "out") == 0
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["a", "b.npy", "b.txt", "batch.json"]


@pytest.mark.usefixtures("without_pictures")
def test_a_stopped_run_goes_on_and_gives_the_same_bytes(maps, tmp_path, monkeypatch, capsys):
    assert extract(maps, positions=maps, out=tmp_path / "whole") == 0
    import qpi_core.workflows.batches

    write, written = qpi_core.workflows.batches._write_folder, []

    def stop_at_the_second(target, files):
        if written:
            (target.with_name(f".{target.name}.unfinished")).mkdir()
            (target.with_name(f".{target.name}.unfinished") / "kernel.npy").write_bytes(b"half")
            raise KeyboardInterrupt
        written.append(target.name)
        write(target, files)

    monkeypatch.setattr(qpi_core.workflows.batches, "_write_folder", stop_at_the_second)
    assert extract(maps, positions=maps, out=tmp_path / "out") == 130
    assert "1 results are finished" in capsys.readouterr().out
    monkeypatch.setattr(qpi_core.workflows.batches, "_write_folder", write)
    first = (tmp_path / "out" / written[0] / "estimate.json").stat().st_mtime_ns
    assert extract(maps, positions=maps, out=tmp_path / "out") == 0
    assert "2 done, 1 there already" in capsys.readouterr().out
    assert (tmp_path / "out" / written[0] / "estimate.json").stat().st_mtime_ns == first
    assert contents(tmp_path / "out") == contents(tmp_path / "whole")


@pytest.mark.usefixtures("without_pictures")
def test_failures_are_named_and_stop_nothing(maps, tmp_path, capsys):
    (maps / "a.npy").write_bytes(b"not a map")
    (maps / "c.csv").unlink()
    assert extract(maps, positions=maps, out=tmp_path / "out") == 2
    captured = capsys.readouterr()
    errors = [line for line in captured.err.splitlines() if line.startswith("error: ")]
    assert len(errors) == 2 and any("a.npy" in line for line in errors) and any("c.csv" in line for line in errors)
    assert "1 done, 0 there already, 2 failed" in captured.out
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["b", "batch.json"]


@pytest.mark.usefixtures("without_pictures")
def test_changed_inputs_are_done_again_and_other_settings_refused(maps, tmp_path, capsys):
    assert extract(maps, positions=maps, out=tmp_path / "out") == 0
    (maps / "b.csv").write_text("x_px,y_px\n4,5\n")
    assert extract(maps, positions=maps, out=tmp_path / "out") == 0
    assert "1 done, 2 there already" in capsys.readouterr().out
    values = json.loads((tmp_path / "out" / "b" / "estimate.json").read_text(encoding="utf-8"))
    assert values["positions_px"] == [[4, 5]]
    assert extract(maps, positions=maps, out=tmp_path / "out", options=("--method", "tikhonov", "--kernel-size", "9")) == 2
    assert "other settings (method defect_average)" in capsys.readouterr().err
    (maps / "a.csv").write_text("x_px,y_px\n4,5\n")
    (tmp_path / "out" / "a" / "mine.txt").write_text("dear to me")
    assert extract(maps, positions=maps, out=tmp_path / "out") == 2
    assert "would be lost" in capsys.readouterr().err and (tmp_path / "out" / "a" / "mine.txt").exists()


@pytest.mark.slow
def test_another_process_gives_the_same_bytes(maps, tmp_path):
    one = maps / "a.npy"
    (tmp_path / "list.txt").write_text("maps/a.npy\n")
    assert extract(one, positions=maps, out=tmp_path / "here", options=FAST[:-1]) == 0
    assert extract("--list", tmp_path / "list.txt", positions=maps, out=tmp_path / "there", options=(*FAST, "--workers", "1")) == 0
    assert contents(tmp_path / "there" / "a") == contents(tmp_path / "here")


@pytest.mark.usefixtures("without_pictures")
def test_a_cluster_gets_the_contents_and_gives_the_same_bytes(maps, tmp_path, capsys):
    distributed = pytest.importorskip("distributed", reason="distributed (requirements-cluster.txt) is not installed")
    (maps / "d.npy").write_bytes(b"not a map")
    assert extract(maps, positions=maps / "a.csv", out=tmp_path / "here") == 2
    kind = {"processes": False, "protocol": "tcp://", "dashboard_address": None}
    with distributed.LocalCluster(n_workers=2, threads_per_worker=1, **kind) as cluster:
        options = (*FAST, "--scheduler", cluster.scheduler_address)
        assert extract(maps, positions=maps / "a.csv", out=tmp_path / "there", options=options) == 2
    assert capsys.readouterr().err.count("error: d: d.npy is named .npy but") == 2
    assert contents(tmp_path / "there") == contents(tmp_path / "here") and (tmp_path / "there" / "c").is_dir()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["nothing"], "no map was found"),
        (["maps", "--list", "missing.txt"], "missing.txt cannot be read"),
        (["--list", "wrong.txt"], "names gone.npy, which is not there"),
        (["maps", "--workers", "0"], "workers is 0"),
        (["maps", "--workers", "2", "--scheduler", "tcp://localhost:1"], "exclude each other"),
        (["maps/a.npy", "--workers", "2"], "many maps"),
        (["maps", "--positions", "nowhere"], "no file or folder of positions"),
    ],
)
@pytest.mark.usefixtures("without_pictures")
def test_bad_arguments_get_a_sentence(maps, tmp_path, capsys, monkeypatch, arguments, words):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "nothing").mkdir()
    (tmp_path / "wrong.txt").write_text("gone.npy\n")
    assert main(["extract", "--positions", "maps", "--out", "out", *arguments, *FAST]) == 2
    captured = capsys.readouterr().err
    assert words in captured and captured.count("\n") == 1 and not (tmp_path / "out").exists()
