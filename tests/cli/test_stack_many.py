"""Many stacks in one command, and the layers of one stack over several processes: the same bytes as one stack by itself."""

import json

import numpy as np
import pytest

from qpi_core.__main__ import main
from qpi_core.runtime.executor import InProcess
from qpi_core.workflows.inputs import list_maps
from qpi_core.workflows.many_stacks import solve_stacks
from qpi_core.workflows.stack_inputs import StackOptions
from qpi_core.workflows.stack_parts import parts_of

SETTINGS = ("--method", "tikhonov", "--kernel-size", "9")


@pytest.fixture
def stacks(tmp_path):
    """Two stacks with a list each beside them; the second list names two classes."""
    rng = np.random.default_rng(0)
    folder = tmp_path / "stacks"
    folder.mkdir()
    for name in ("a", "b"):
        np.save(folder / f"{name}.npy", rng.normal(size=(3, 20, 24)))
        kinds = ["x_px,y_px,class"] if name == "b" else ["x_px,y_px"]
        rows = [f"{x},{y}" + (f",{'uv'[k % 2]}" if name == "b" else "") for k, (x, y) in enumerate(rng.integers(2, 18, (6, 2)))]
        (folder / f"{name}.csv").write_text("\n".join(kinds + rows) + "\n")
    return folder


@pytest.fixture
def without_pictures(monkeypatch):
    """Pictures take most of the time of such small stacks and are tested elsewhere."""
    monkeypatch.setattr("qpi_core.results.stacks.stack_files.energy_map_picture", lambda estimate, file_format: file_format.encode())


def contents(folder):
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def solve(*maps, positions, out, options=()):
    return main(["stack", *map(str, maps), "--positions", str(positions), "--out", str(out), *SETTINGS, "--quiet", *options])


@pytest.mark.slow
@pytest.mark.usefixtures("without_pictures")
def test_a_folder_of_stacks_gives_what_single_stacks_give(stacks, tmp_path, capsys):
    assert solve(stacks, positions=stacks, out=tmp_path / "many") == 0
    assert "2 done, 0 there already, 0 failed of 2 stacks" in capsys.readouterr().out
    for name in ("a", "b"):
        assert solve(stacks / f"{name}.npy", positions=stacks / f"{name}.csv", out=tmp_path / name) == 0
        assert contents(tmp_path / "many" / name) == contents(tmp_path / name)
    assert (tmp_path / "many" / "b" / "class_u" / "kernels.npy").is_file()
    assert solve(stacks, positions=stacks, out=tmp_path / "many") == 0
    assert "0 done, 2 there already" in capsys.readouterr().out


@pytest.mark.slow
@pytest.mark.usefixtures("without_pictures")
def test_changed_lists_are_solved_again_other_settings_refused_and_failures_named(stacks, tmp_path, capsys):
    assert solve(stacks, positions=stacks, out=tmp_path / "many") == 0
    (stacks / "b.csv").write_text("x_px,y_px\n4,5\n9,9\n")
    (stacks / "c.npy").write_bytes(b"not a map")
    (stacks / "c.csv").write_text("x_px,y_px\n4,5\n")
    assert solve(stacks, positions=stacks, out=tmp_path / "many") == 2
    told = capsys.readouterr()
    assert "1 done, 1 there already, 1 failed" in told.out and "error: c: c.npy is named .npy but" in told.err
    assert json.loads((tmp_path / "many" / "b" / "stack.json").read_text())["positions_px"] == [[4, 5], [9, 9]]
    assert solve(stacks, positions=stacks, out=tmp_path / "many", options=("--noise-model", "white")) == 2
    assert "other settings (noise-model auto)" in capsys.readouterr().err
    (stacks / "a.csv").write_text("x_px,y_px\n4,5\n")
    (tmp_path / "many" / "a" / "mine.txt").write_text("dear to me")
    assert solve(stacks, positions=stacks, out=tmp_path / "many") == 2
    assert (tmp_path / "many" / "a" / "mine.txt").exists() and "would be lost" in capsys.readouterr().err


@pytest.mark.usefixtures("without_pictures")
def test_contents_instead_of_paths_give_the_same_bytes(stacks, tmp_path):
    items, options = list_maps([stacks / "a.npy"], None, stacks), StackOptions(method="tikhonov", kernel_size=9)
    for sent in (False, True):
        [report] = solve_stacks(items, options, tmp_path / str(sent), InProcess(), send_contents=sent)
        assert report.state == "done"
    assert contents(tmp_path / "True") == contents(tmp_path / "False")


def test_layers_go_in_parts_of_neighbours_and_each_once():
    assert parts_of([0, 1, 4, 5, 6], "refined", 2) == [(0, 1, 4), (5, 6)]
    assert parts_of([3, 5], "harmonic", 8) == [(3,), (5,)]
    assert parts_of([3, 5, 6], "tikhonov", 2) == [(3,), (5,), (6,)]
    assert parts_of([], "tikhonov", 2) == []


@pytest.mark.slow
def test_the_layers_of_one_stack_over_processes_are_those_of_one_process(stacks, tmp_path, capsys):
    one = stacks / "b.npy"
    assert solve(one, positions=stacks / "b.csv", out=tmp_path / "here") == 0
    assert solve(one, positions=stacks / "b.csv", out=tmp_path / "there", options=("--workers", "2")) == 0
    assert contents(tmp_path / "there") == contents(tmp_path / "here")
    assert solve(one, positions=stacks / "b.csv", out=tmp_path / "there", options=("--workers", "2")) == 0
    assert "are in" in capsys.readouterr().out


@pytest.mark.slow
@pytest.mark.usefixtures("without_pictures")
def test_a_cluster_gets_the_contents_of_stacks_and_gives_the_same_bytes(stacks, tmp_path):
    distributed = pytest.importorskip("distributed", reason="distributed (requirements-cluster.txt) is not installed")
    one = stacks / "b.npy"
    assert solve(one, positions=stacks / "b.csv", out=tmp_path / "here") == 0
    kind = {"processes": False, "protocol": "tcp://", "dashboard_address": None}
    with distributed.LocalCluster(n_workers=2, threads_per_worker=1, **kind) as cluster:
        options = ("--scheduler", cluster.scheduler_address)
        assert solve(one, positions=stacks / "b.csv", out=tmp_path / "layers", options=options) == 0
        assert solve(stacks, positions=stacks, out=tmp_path / "many", options=options) == 0
    assert contents(tmp_path / "layers") == contents(tmp_path / "many" / "b") == contents(tmp_path / "here")
    assert (tmp_path / "many" / "a" / "kernels.npy").is_file()


def test_a_stack_needs_a_file(tmp_path, capsys):
    assert solve(positions=tmp_path / "p.csv", out=tmp_path / "out") == 2
    assert "give MAP" in capsys.readouterr().err
