"""The script that fills README and card: which numbers stand where, what is in bold, and gaps that are no errors."""

import pytest

from benchmarks.results_tables import filled, tables
from qpi_core.evaluation.benchmark.records import Record
from qpi_core.evaluation.benchmark.summary import as_json

METHODS = ("tikhonov", "harmonic", "parametric", "refined", "decoder_ceiling", "formula_limit")
RMSE = {"tikhonov": 0.04, "harmonic": 0.02, "parametric": 0.012, "refined": 0.018, "decoder_ceiling": 0.005, "formula_limit": 0.01}


def records(variant, levels, methods=METHODS):
    return [measured(variant, level, index, method) for level in levels for index in (0, 1) for method in methods]


def measured(variant, level, index, method):
    error = RMSE[method] * (1 if method == "decoder_ceiling" else level)
    values = {"symmetry_found": 4, "coverage_68": 0.7, "coverage_95": 0.94} if method in ("harmonic", "refined") else {}
    return Record(variant, level, index, 5, method, rmse=error, seconds=1.5, symmetry_true=4, **values)


@pytest.fixture(scope="module")
def made():
    no_limit = METHODS[:-1]
    found = [
        *records("on-grid", (0.0, 0.5, 1.0)),
        *records("off-grid", (0.0, 1.0)),
        *records("band-150x200", (0.5,), ("refined", "harmonic")),
        *records("band", (0.0, 1.0), no_limit),
        *records("clicks-1", (0.5, 0.0, 0.2)),
    ]
    return tables(as_json(found), METHODS)


def test_the_best_that_knows_no_formula_is_bold(made):
    assert "| `refined` | **0.00000** | **0.00900** | **0.0180** |" in made["main"]
    assert "| `harmonic` | **0.00000** | 0.0100 | 0.0200 |" in made["main"]
    assert "| `formula_limit` | 0.00000 | 0.00500 | 0.0100 |" in made["main"] and "| `parametric` | 0.00000 | 0.00600 |" in made["main"]
    assert "| `formula_limit` | 0.00000 | 0.0100 |" in made["off"] and "`parametric`" not in made["off"]
    assert "**" not in made["main_iv"] and "| 0.0180 (0.0180-0.0180) |" in made["main_iv"]


def test_ratios_to_the_limit_where_there_is_noise(made):
    assert made["ratio"].splitlines()[0] == "| RMSE / `formula_limit` | noise 0.5 | noise 1 |"
    assert "| `parametric` | 1.20 | 1.20 |" in made["ratio"] and "| `refined` | 1.80 | 1.80 |" in made["ratio"]


def test_other_scenes_have_a_row_for_each_variant_and_noise(made):
    rows = [line.strip("| ").split(" | ") for line in made["others"].splitlines()[2:]]
    assert [row[:2] for row in rows] == [
        ["clicks-1", "0"],
        ["clicks-1", "0.2"],
        ["clicks-1", "0.5"],
        ["band", "0"],
        ["band", "1"],
        ["band-150x200", "0.5"],
    ]
    assert "`two_step`" not in made["others"]
    assert rows[2][2:] == ["0.0200", "0.0100", "**0.00900**", "0.00500", "0.00500", "70 % / 94 %", "1.5"]
    assert rows[4][2:] == ["0.0400", "0.0200", "**0.0180**", "0.00500", "-", "70 % / 94 %", "1.5"]
    assert rows[5][2:] == ["-", "0.0100", "**0.00900**", "-", "-", "70 % / 94 %", "1.5"]


def test_records_of_an_earlier_version_have_no_limit():
    methods = METHODS[:-1]
    older = tables(as_json([*records("on-grid", (0.5,), methods), *records("band", (0.5,), methods)]), methods)
    assert "formula_limit" not in older["main"] + older["off"] + older["others"]
    assert "| `refined` | - |" in older["ratio"]


def test_only_marked_places_are_filled(made):
    page = "before\n<!-- ratio -->\n\n<!-- /ratio -->\n<!-- main -->\nold\n<!-- /main -->\nafter"
    text = filled(page, made)
    assert made["ratio"] in text and made["main"] in text and "old" not in text
    assert filled(text, made) == text and text.startswith("before") and text.endswith("after")


def test_nuisances_have_their_own_tables_and_touch_no_others():
    plain = [*records("plain", (0.2,), METHODS[:-2]), *records("plain-tmatrix", (0.1,), METHODS[:-2])]
    step = records("step-1", (1.0,), ("harmonic", "refined")) + records("step-1", (0.2,), ("tikhonov", "refined"))
    made = tables(as_json([*plain, *step]), METHODS)
    assert set(made) == {"nuisances", "nuisances_said"}
    rows = [line.strip("| ").split(" | ") for line in made["nuisances"].splitlines()[2:]]
    assert rows[0] == ["`plain`", "2", "0.2", "0.00800", "0.00400", "0.00240", "**0.00360**", "1.0"]
    assert rows[1][:3] == ["`plain-tmatrix`", "2", "0.1"] and rows[1][-1] == "1.0"
    # Each noise level is compared with the plain scenes of its own noise, where there are some.
    assert rows[2] == ["`step-1`", "2", "1", "-", "0.0200", "-", "**0.0180**", "-"]
    assert rows[3] == ["`step-1`", "2", "0.2", "0.00800", "-", "-", "**0.00360**", "1.0"]
    said = made["nuisances_said"].splitlines()
    assert "| `plain` | `refined` | 70 % | 94 % | 100 % | - | - | - |" in said
    assert not any("`tikhonov`" in line for line in said)


def test_scenes_with_nuisances_leave_the_protocols_tables_alone():
    alone = tables(as_json(records("on-grid", (0.5,)) + records("band", (0.5,))), METHODS)
    beside = tables(as_json(records("on-grid", (0.5,)) + records("band", (0.5,)) + records("step-1", (0.2,))), METHODS)
    assert {name: beside[name] for name in alone} == alone
