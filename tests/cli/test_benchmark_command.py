"""The benchmark command: what it writes, and what it refuses."""

import argparse
import json

import pytest

from qpi_core.base.errors import InputError
from qpi_core.cli import benchmark


def run(*arguments):
    parser = argparse.ArgumentParser()
    benchmark.add_parser(parser.add_subparsers(required=True))
    args = parser.parse_args(["benchmark", *map(str, arguments)])
    return args.run(args)


@pytest.mark.slow
def test_files_agree_with_what_is_printed(tmp_path, capsys):
    assert run("--out", tmp_path, "--methods", "defect_average", "--scenes", 2, "--noise", 0, 1, "--seed", 3, "--quiet") == 0
    printed = capsys.readouterr().out
    assert (tmp_path / "tables.md").read_text() in printed
    summary = json.loads((tmp_path / "summary.json").read_text())
    assert summary["benchmark"]["seed"] == 3 and summary["benchmark"]["methods"] == ["defect_average"]
    cell = next(row for row in summary["cells"] if row["noise_level"] == 1 and row["defects"] == "1-100")
    assert f"{cell['rmse']:.4f}" in printed
    assert sorted(path.name for path in tmp_path.glob("*.png")) == ["on-grid-by-defects.png", "on-grid-by-noise.png"]


def test_bad_arguments_are_input_errors(tmp_path):
    with pytest.raises(InputError, match="workers"):
        run("--out", tmp_path, "--workers", 0)
    with pytest.raises(InputError, match="variants"):
        run("--out", tmp_path, "--variant", "sideways")
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="is a file"):
        run("--out", tmp_path / "file", "--methods", "tikhonov", "--scenes", 1)
