"""The paper's Table 1: its numbers, which samples are used, and the command that prints it."""

import argparse
import json

import numpy as np
import pytest

from qpi_core.base.errors import InputError
from qpi_core.cli import evaluate
from qpi_core.evaluation.paper.protocol import PUBLISHED, choose_samples, planned_indices, run_protocol, table_1
from qpi_core.extraction.extractor import Extractor
from qpi_core.synthesis.datasets.dataset import DatasetPlan, write_dataset
from qpi_core.synthesis.datasets.dataset_files import IN_DOMAIN, OUT_OF_DOMAIN, TRAIN
from qpi_core.synthesis.datasets.dataset_reader import KernelDataset

SMALL = DatasetPlan(kernels=5, observations=5, seed=2, size=32, max_defects=20)


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    folder = tmp_path_factory.mktemp("paper")
    write_dataset(SMALL, folder, progress=False)
    return folder


def test_published_improvement_is_what_the_paper_states():
    """The text of the paper: "up to 23% of RMSE", out-of-domain."""
    one, two = (PUBLISHED[OUT_OF_DOMAIN, method]["rmse"] for method in ("one_step", "two_step"))
    assert round(100 * (1 - two / one)) == 23


def test_sizes_of_the_parts_of_the_papers_data_set():
    plan = DatasetPlan()
    assert [len(planned_indices(plan, split)) for split in (TRAIN, IN_DOMAIN, OUT_OF_DOMAIN)] == [32_000, 8_000, 10_000]


@pytest.mark.parametrize("split", [IN_DOMAIN, OUT_OF_DOMAIN])
def test_planned_and_written_samples_are_the_same(written, split):
    planned = choose_samples(SMALL, split, 3, seed=9)
    stored = choose_samples(KernelDataset(written), split, 3, seed=9)
    for first, second in zip(planned, stored, strict=True):
        assert (first.kernel_index, first.observation_index, first.split) == (second.kernel_index, second.observation_index, split)
        np.testing.assert_array_equal(first.observation, second.observation)
        np.testing.assert_array_equal(first.kernel, second.kernel)
        np.testing.assert_array_equal(first.positions, second.positions)


def test_table_holds_the_means_on_both_scales(written):
    records = run_protocol(Extractor(), KernelDataset(written), ["defect_average"], scenes=3, seed=1, progress=False)
    assert [record.variant for record in records] == [IN_DOMAIN] * 3 + [OUT_OF_DOMAIN] * 3
    lines = table_1(records).splitlines()
    row = next(line for line in lines if line.startswith("| OOD | defect_average |"))
    cells = [float(cell) for cell in row.split("|")[3:9]]
    own = [np.mean([getattr(record, name) for record in records[3:]]) for name in ("mae", "mse", "rmse")]
    np.testing.assert_allclose(cells[3:], own, atol=1e-4)
    np.testing.assert_allclose(cells[:3], np.array(own) * [2, 4, 2], atol=1e-4)
    assert "| OOD | two_step, published | 0.0595 | 0.0142 | 0.0924 |" in table_1(records)


def run(*arguments):
    parser = argparse.ArgumentParser()
    evaluate.add_parser(parser.add_subparsers(required=True))
    args = parser.parse_args(["evaluate", *map(str, arguments)])
    return args.run(args)


def test_command_prints_the_table_and_writes_json(written, tmp_path, capsys):
    options = ["--methods", "defect_average", "--scenes", 2, "--quiet", "--seed", 4]
    assert run("--dataset", written, "--out", tmp_path / "new" / "e.json", *options) == 0
    printed = capsys.readouterr().out
    assert "| ID | two_step, published | 0.0099 | 0.0003 | 0.0163 |" in printed
    content = json.loads((tmp_path / "new" / "e.json").read_text())
    assert content["arguments"]["seed"] == 4 and len(content["published"]) == 4
    found = {row["setting"]: row for row in content["measured"]}
    assert found["OOD"]["paper_scale"]["rmse"] == pytest.approx(2 * found["OOD"]["rmse"])
    assert f"| ID | defect_average | {found['ID']['paper_scale']['mae']:.4f} |" in printed


def test_bad_arguments_are_input_errors(written, tmp_path):
    with pytest.raises(InputError, match="holds no data set"):
        run("--dataset", tmp_path, "--methods", "tikhonov")
    with pytest.raises(InputError, match="magic"):
        run("--methods", "magic")
    with pytest.raises(InputError, match="scenes"):
        run("--scenes", 0, "--methods", "tikhonov")
    with pytest.raises(InputError, match="at least 5 kernels"):
        choose_samples(DatasetPlan(kernels=1, observations=1), IN_DOMAIN, 1, 0)
