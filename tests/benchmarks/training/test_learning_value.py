"""The script that says what learning is good for: what its scenes hold, and ratios against a loop of its own."""

import json

import numpy as np
import pytest

from benchmarks.training import learning_value
from benchmarks.training.learning_value import SETTINGS, WITHOUT, Setting, tables, value, wrong_list
from qpi_core.evaluation.benchmark.records import Record


def made_up(setting, index, method, rmse):
    return Record(setting.name, 0.5, index, 3, method, rmse=rmse)


def test_a_ratio_is_that_of_the_means_over_the_scenes_of_a_family():
    rng = np.random.default_rng(0)
    records, own = [], []
    for setting in SETTINGS:
        if setting.family == "edge":
            for index in range(2):
                without, with_ = rng.uniform(0.02, 0.04), rng.uniform(0.01, 0.02)
                own.append((without, with_))
                records += [made_up(setting, index, *pair) for pair in ((WITHOUT, without), ("refined", with_), ("two_step", 0.03))]
    found = value(records, lambda s: s.family)
    assert set(found) == {"edge"} and found["edge"]["scenes"] == len(own) == 48
    ratio = np.mean([a for a, _ in own]) / np.mean([b for _, b in own])
    assert found["edge"]["ratio"] == pytest.approx(ratio) and found["edge"]["low"] < ratio < found["edge"]["high"]
    # A scene without one of the three is left out of all of them, and is not counted.
    assert value(records[:-1], lambda s: s.family)["edge"]["scenes"] == 47
    assert "| edge, 1-5 | 16 |" in tables(records)[0]


def test_lists_are_wrong_in_the_way_that_they_are_named():
    rng = np.random.default_rng(1)
    positions = rng.uniform(5, 58, (20, 2))
    assert np.array_equal(wrong_list(rng, positions, "right"), positions)
    assert 0.4 < (wrong_list(rng, positions, "off-0.7") - positions).std() < 1.0
    assert np.array_equal(wrong_list(rng, positions, "missing-20"), positions[:16])
    invented = wrong_list(rng, positions, "invented-10")
    assert len(invented) == 22 and np.array_equal(invented[:20], positions)
    assert len(wrong_list(rng, positions[:1], "missing-20")) == 1


@pytest.mark.slow
def test_a_call_goes_on_and_both_ways_see_the_same_scene(tmp_path, monkeypatch):
    monkeypatch.setattr(learning_value, "SETTINGS", (Setting("equation-7", "6-20", "right", "none"),))
    assert learning_value.main([str(tmp_path), "--scenes", "1", "--seed", "3"]) == 0
    first = (tmp_path / "records.jsonl").read_text()
    assert learning_value.main([str(tmp_path), "--scenes", "2", "--seed", "3"]) == 0
    lines = (tmp_path / "records.jsonl").read_text()
    assert lines.startswith(first) and len(lines.splitlines()) == 2 * len(first.splitlines()) == 6
    found = [json.loads(line) for line in lines.splitlines()]
    assert {record["method"] for record in found} == {"refined", WITHOUT, "two_step"} and all(r["failure"] is None for r in found)
    assert json.loads((tmp_path / "value.json").read_text())["tables"]["family"]["equation-7"]["scenes"] == 2
