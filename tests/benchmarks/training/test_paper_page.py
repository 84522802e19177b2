"""The script that fills docs/paper.md: what was trained and measured, and a plain sentence for what was not."""

import json
import re

import pytest

from benchmarks.training import paper_page
from qpi_core.evaluation.paper.paper_experiment import PaperExperiment
from qpi_core.training.recipes import get_preset


@pytest.fixture
def experiment(tmp_path):
    found = PaperExperiment(tmp_path / "run", get_preset("paper-long"))
    for stage, quantity in (("kernel-vae", "mse"), ("observation-encoder", "latent")):
        folder = found.folder / "with-symmetry" / stage
        folder.mkdir(parents=True)
        lines = [{"step": step, "mse" if stage == "kernel-vae" else quantity: 1 / step} for step in (50, 100, 200)]
        (folder / "loss.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    (folder / "held-out.jsonl").write_text('{"step": 100, "latent": 0.5, "mse": 0.01, "rmse": 0.0625}\n')
    return found


def test_a_row_says_how_far_a_stage_is(experiment):
    rows = [line.split(" | ") for line in paper_page.runs_table(experiment).splitlines()[2:]]
    assert rows[0][1:] == ["1,600", "28,000", "0.0200", "0.0050", "- |"]
    assert rows[1][1:] == ["3,200", "400,000", "0.0200", "0.0050", "0.0625 |"]


def test_what_was_not_measured_is_said(experiment, tmp_path, monkeypatch):
    page, store = tmp_path / "paper.md", tmp_path / "store.json"
    page.write_text(paper_page.PAGE.read_text("utf-8"), "utf-8")
    monkeypatch.setattr(paper_page, "PAGE", page)
    monkeypatch.setattr(paper_page, "STORE", store)
    monkeypatch.setattr("sys.argv", ["paper_page.py", str(experiment.folder)])
    assert paper_page.main() == 0
    assert page.read_text("utf-8").count(paper_page.NOT_YET) == 2
    assert json.loads(store.read_text("utf-8"))["results"] is None
    near = {"same_order": 0.25, "same_order_chance": 0.2, "wavenumber_explained": 0.8}
    (experiment.folder / "results.json").write_text(json.dumps({"latent_neighbourhood": near, "curves": {}, "measured": []}))
    (experiment.folder / "tables.md").write_text("Table 1\n\n| a |\n")
    assert paper_page.main() == 0
    text = page.read_text("utf-8")
    assert paper_page.NOT_YET not in text and "Table 1\n\n| a |\n<!-- /tables -->" in text and "80% of its variance" in text
    assert json.loads(store.read_text("utf-8"))["results"] == {"latent_neighbourhood": near, "measured": []}


def test_the_committed_page_is_what_the_committed_store_says():
    store = json.loads(paper_page.STORE.read_text("utf-8"))
    page = paper_page.PAGE.read_text("utf-8")
    rows = dict(re.findall(r"^\| ([\w-]+/[\w-]+) \| ([\d,]+) \|", page, re.MULTILINE))
    for name, curve in store["curves"].items():
        if name in rows:
            stage = get_preset("paper-long").stage(name.split("/")[1])
            assert int(rows[name].replace(",", "")) == curve["training"][-1]["step"] * stage.batch_size
    assert (store["results"] is None) == (paper_page.NOT_YET in page)
