"""The benchmark on maps with nuisances: plans, accusations of right lists, the table."""

import json
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from qpi_core.cli.benchmark import expanded
from qpi_core.evaluation.benchmark import run as benchmark
from qpi_core.evaluation.benchmark.plots import write_plots
from qpi_core.evaluation.benchmark.records import Record, append_records, read_records
from qpi_core.evaluation.benchmark.run import BenchmarkPlan, environment, run_benchmark
from qpi_core.evaluation.benchmark.scenes import NOISE_LEVELS, VARIANTS
from qpi_core.evaluation.benchmark.summary import as_json, summarise
from qpi_core.evaluation.benchmark.tables import by_nuisance, report
from qpi_core.evaluation.wording.list_blame import blames_list
from qpi_core.evaluation.wording.nuisance_words import WORDS, share_named
from qpi_core.extraction.defects.defect_refinement import Refinement
from qpi_core.extraction.extractor import Extractor
from qpi_core.solvers.positions.catalogue.repaired_positions import RepairedList
from qpi_core.synthesis.simulated_maps.measured_variants import MEASURED_VARIANTS, NUISANCES, parse_variant

REPAIR = RepairedList(np.zeros((3, 2)), np.ones(3), 1, (), np.array([0.4, 0.0]), np.zeros(3), 20.0, 5.0)


def test_sentences_of_repair_and_refinement_blame_the_list_and_others_do_not():
    estimate = Extractor().extract(np.random.default_rng(0).normal(size=(16, 16)), [[8, 8]], method="defect_average", kernel_size=9)
    moved = Refinement(np.zeros((2, 2)), np.array([0.1, 0.2]), np.full(2, 0.1), (), False)
    assert blames_list(REPAIR.sentences())
    assert blames_list(replace(moved, unsupported=(1,)).note(estimate).warnings)
    assert not blames_list(moved.note(estimate).warnings)
    assert not blames_list(["The residual is not white noise: something in the map is not one kernel at the marked positions."])


def test_only_right_lists_can_be_accused(tmp_path, monkeypatch):
    extract = Extractor.extract

    def accusing(self, *args, **kwargs):
        found = extract(self, *args, **kwargs)
        return replace(found, warnings=(*found.warnings, *REPAIR.sentences()))

    monkeypatch.setattr(Extractor, "extract", accusing)
    plan = BenchmarkPlan(methods=("defect_average",), variants=("plain", "second-10", "second-30-listed", "clicks-1"), scenes=1, seed=3)
    records = run_benchmark(replace(plan, noise_levels=(0.2,)), tmp_path, progress=False)
    assert [record.accused for record in records] == [True, None, True, None]
    assert all(REPAIR.sentences()[0] in record.warnings and record.cpu_seconds >= 0 for record in records)
    assert read_records(tmp_path / "records.jsonl") == records


def test_older_records_have_neither_warnings_nor_accusations(tmp_path):
    path = tmp_path / "records.jsonl"
    path.write_text('{"variant": "on-grid", "noise_level": 0.2, "index": 0, "defects": 5, "method": "tikhonov", "rmse": 0.1}\n')
    assert read_records(path) == [Record("on-grid", 0.2, 0, 5, "tikhonov", rmse=0.1)]
    append_records(path, [Record("plain", 0.2, 0, 5, "tikhonov", rmse=0.1, warnings=("a", "b"), accused=False)])
    assert read_records(path)[1].warnings == ("a", "b")


def test_each_variant_has_its_own_noise_levels(monkeypatch):
    plan = BenchmarkPlan(variants=("on-grid", "background-1"), scenes=2)
    keys = plan.scene_keys()
    assert [level for variant, level, index in keys if variant == "on-grid" and index == 1] == list(NOISE_LEVELS)
    assert [key[1:] for key in keys if key[0] == "background-1"] == [(0.2, 0), (0.2, 1)]
    assert replace(plan, noise_levels=(0.5,)).noise_levels_of("background-1") == (0.5,)
    monkeypatch.setattr(benchmark, "_extractor", lambda *_: SimpleNamespace(has_model=False))
    assert environment(replace(plan, variants=("plain",)))["noise_levels"] == [0.2]


def test_names_of_groups():
    assert expanded(["all"]) == tuple(VARIANTS)
    assert expanded(["measured", "plain", "measured-tmatrix"]) == (
        *MEASURED_VARIANTS,
        *(f"{name}-tmatrix" for name in MEASURED_VARIANTS),
    )


def test_sentences_that_name_a_nuisance_and_guesses_that_do_not():
    weak = parse_variant("background-1+spikes-1").nuisances
    guess = "The residual is not white noise: something is not one kernel, such as missing defects, steps or a background."
    assert share_named([guess], weak) == 0
    assert share_named([guess, "A smooth background of 0.8 of the signal's spread was modelled."], weak) == 0.5
    assert share_named(["A background and 40 outliers were left out."], weak) == 1
    assert share_named([guess], ()) is None
    # Whole words of other sentences do not count: "double strength" of two defects in one place, "signal", "narrow".
    others = ["They count as one defect of double strength.", "A narrow part of the signal scores."]
    assert share_named(others, parse_variant("amplitudes-20+streaks-1+cores-1").nuisances) == 0
    assert share_named(others, parse_variant("flips-20").nuisances) == 0
    assert set(WORDS) == {type(make(1.0)) for make in NUISANCES.values()}
    told = found("background-1", "refined", 0.1, warnings=("The Background was modelled.",))
    assert summarise([told, found("background-1", "refined", 0.2)]).named == 0.5
    assert summarise([found("plain", "refined", 0.1)]).named is summarise([found("clicks-1", "refined", 0.1)]).named is None


def found(variant, method, rmse, **values):
    return Record(variant, 0.2, len(str(rmse)), 30, method, rmse=rmse, mae=rmse, mse=rmse, symmetry_true=4, **values)


def test_the_table_holds_means_shares_and_the_largest_time(tmp_path):
    records = [
        found("step-1", "refined", 0.01, symmetry_found=4, coverage_68=0.6, coverage_95=0.9, accused=False, cpu_seconds=2.0),
        found("step-1", "refined", 0.021, symmetry_found=None, coverage_68=0.8, coverage_95=1.0, accused=True, cpu_seconds=5.0),
        found("step-1", "tikhonov", 0.1, cpu_seconds=0.1),
        found("on-grid", "tikhonov", 0.2),
    ]
    cell = summarise(records[:2])
    assert (cell.accused, cell.cpu_seconds, cell.cpu_seconds_most) == (0.5, 3.5, 5.0)
    rows = by_nuisance(records[:3]).splitlines()
    assert rows[2] == "| step-1 | 0.2 | `refined` | 0.0155 (0.0100-0.0210) | 70 % | 95 % | 50 % | 50 % | 0 % | 3.5 | 5.0 |"
    assert rows[3].endswith("| - | - | - | - | 0 % | 0.1 | 0.1 |")
    text = report(records)
    assert text.index("What measured maps add") < text.index("## on-grid") and "## step-1" not in text
    json.dumps(as_json(records), allow_nan=False)
    names = [path.name for path in write_plots(records, tmp_path)]
    assert names == ["on-grid-by-noise.png", "on-grid-by-defects.png", "nuisances.png"]


@pytest.mark.slow
def test_the_default_method_on_a_map_with_a_nuisance(tmp_path):
    plan = BenchmarkPlan(methods=("tikhonov", "refined"), variants=("spikes-tmatrix",), scenes=1, seed=4)
    records = run_benchmark(plan, tmp_path, progress=False)
    assert [record.method for record in records] == ["tikhonov", "refined"]
    assert all(record.rmse < 0.2 and record.accused is not None for record in records)
    assert benchmark.RECORDS in {path.name for path in tmp_path.iterdir()}
