"""The dataset command: arguments arrive, bad ones end with status 2."""

import argparse

import numpy as np
import pytest

from qpi_core.base.errors import InputError
from qpi_core.cli import dataset
from qpi_core.synthesis.datasets.dataset_reader import KernelDataset


def run(*arguments):
    parser = argparse.ArgumentParser()
    dataset.add_parser(parser.add_subparsers(required=True))
    args = parser.parse_args(["dataset", *map(str, arguments)])
    return args.run(args)


def test_arguments_decide_the_data_set(tmp_path, capsys):
    options = ["--kernels", 5, "--observations", 5, "--max-defects", 3, "--off-grid", "--noise", 0.1, "--seed", 7, "--quiet"]
    assert run("--out", tmp_path / "out", *options) == 0
    assert "5 kernels, 25 observations (16 train, 4 in-domain, 5 out-of-domain)" in capsys.readouterr().out
    found = KernelDataset(tmp_path / "out")
    assert {key: found.manifest["plan"][key] for key in ("seed", "noise_level", "on_grid", "max_defects")} == {
        "seed": 7,
        "noise_level": 0.1,
        "on_grid": False,
        "max_defects": 3,
    }
    positions = np.concatenate([sample.positions for sample in found])
    assert not np.array_equal(positions, np.rint(positions))
    assert max(len(sample.positions) for sample in found) <= 3


def test_bad_arguments_are_input_errors(tmp_path):
    with pytest.raises(InputError, match="kernels"):
        run("--out", tmp_path / "out", "--kernels", 0)
    with pytest.raises(InputError, match="not a folder"):
        run("--out", tmp_path / "out", "--import", tmp_path / "missing")
    (tmp_path / "file").write_text("keep")
    with pytest.raises(InputError, match="cannot be made"):
        run("--out", tmp_path / "file" / "below")
