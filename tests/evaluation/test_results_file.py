"""Results files: what the commands write is read back, parts may be missing, and what is no result is told."""

import json
from dataclasses import replace

import pytest

from qpi_core.base.errors import InputError
from qpi_core.evaluation.benchmark import summary
from qpi_core.evaluation.benchmark.records import Record
from qpi_core.evaluation.paper import protocol
from qpi_core.evaluation.results_file import ALL_DEFECTS, WITHOUT_SYMMETRY, read_results, results_from
from qpi_core.networks.checkpoints import list_models
from qpi_core.synthesis.datasets.dataset_files import IN_DOMAIN, OUT_OF_DOMAIN


def record(variant: str, level: float, index: int, defects: int, method: str, rmse: float) -> Record:
    return Record(
        variant, level, index, defects, method, mae=rmse / 2, mse=rmse**2, rmse=rmse, cosine=0.9, fft_correlation=0.8, seconds=0.1
    )


BENCHMARK = [record("on-grid", level, index, 5 + 30 * index, "tikhonov", 0.1 * (1 + index)) for level in (0.0, 0.2) for index in (0, 1)]
SUMMARY = {"benchmark": {"seed": 3, "model": {"name": "m", "sha256": "abc"}}, "cells": summary.as_json(BENCHMARK)}
PAPER = [
    record(part, 0.0, index, 5, method, rmse)
    for part in (IN_DOMAIN, OUT_OF_DOMAIN)
    for method, rmse in (("two_step", 0.02), (WITHOUT_SYMMETRY, 0.03))
    for index in (0, 1)
]
RECIPE = {"name": "paper-small", "kernel_vae": {"steps": 10, "batch_size": 8}}


def test_summary_of_a_benchmark_is_read_back():
    results = read_results(json.dumps(SUMMARY).encode(), "summary.json")
    assert (results.variants(), results.noise_levels("on-grid"), results.methods()) == (["on-grid"], [0.0, 0.2], ["tikhonov"])
    assert results.find("on-grid", 0.2, "tikhonov") == summary.summarise(BENCHMARK[2:])
    assert results.find("on-grid", 0.2, "tikhonov", "11-40") == summary.summarise(BENCHMARK[3:])
    assert results.find("on-grid", 0.5, "tikhonov") is None
    assert results.model_sha256 == "abc" and results.evaluation is results.paper_protocol is None


def test_paper_protocol_gives_both_tables():
    content = {"recipe": RECIPE, "pretrained": None, "scenes": 2, **protocol.as_json(PAPER)}
    for values in (content, {"paper_protocol": content, "benchmark": SUMMARY}):
        tables = results_from(values, "x").paper_protocol
        assert "paper-small" in tables.about and "kernel vae 10 steps of 8" in tables.about
        second = [(row.method, row.published, row.rmse) for row in tables.rows if row.table == 2]
        assert second == [("with", True, 0.0924), ("without", True, 0.1004), ("with", False, 0.04), ("without", False, 0.06)]
        first = [(row.setting, row.method, row.published) for row in tables.rows if row.table == 1]
        assert ("OOD", "one_step", True) in first and ("ID", "two_step", False) in first and len(first) == 6


def test_evaluation_alone_has_only_the_first_table():
    results = results_from({"model": {"name": "m"}, **protocol.as_json(PAPER[:2])}, "evaluation.json")
    assert results.paper_protocol is None and {row.table for row in results.evaluation.rows} == {1}


def test_released_metrics_are_read():
    for model in list_models():
        results = results_from(model.metrics, model.name)
        assert results.commands and results.find("on-grid", 0.2, "refined", ALL_DEFECTS).rmse > 0


def test_missing_measures_are_none_and_new_ones_are_left_out():
    row = {"variant": "on-grid", "noise_level": 0, "defects": "1-100", "method": "new", "scenes": 4, "rmse": 0.1, "something": "else"}
    cell = results_from({"cells": [row]}, "x").find("on-grid", 0.0, "new")
    assert (cell.scenes, cell.failures, cell.rmse, cell.cosine) == (4, 0, 0.1, None)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[1, 2]",
        b"{}",
        b"[" * 100_000,
        b'{"cells": []}',
        b'{"cells": 3}',
        b'{"cells": [{"variant": "on-grid"}]}',
        b'{"cells": [{"variant": 1, "noise_level": 0, "defects": "1", "method": "m"}]}',
        b'{"cells": [{"variant": "v", "noise_level": NaN, "defects": "1", "method": "m"}]}',
        b'{"cells": [{"variant": "v", "noise_level": 0, "defects": "1", "method": "m", "rmse": "big"}]}',
        b'{"cells": [{"variant": "v", "noise_level": 0, "defects": "1", "method": "m", "scenes": 1e400}]}',
        b'{"measured": [{"setting": "ID"}]}',
        b'{"benchmark": {"cells": "x"}}',
    ],
)
def test_what_is_no_results_file_is_told(content):
    with pytest.raises(InputError, match=r"odd\.json"):
        read_results(content, "odd.json")


def test_the_protocol_s_own_scenes_come_first_whatever_the_file_begins_with():
    results = results_from({**SUMMARY, "cells": summary.as_json([replace(BENCHMARK[0], variant="band"), *BENCHMARK])}, "mine")
    assert results.variants()[0] == "on-grid" and "band" in results.variants()
