"""The paper's experiment at a tiny size: it trains, resumes, measures both tables, and draws its figures."""

import json
from dataclasses import replace

import numpy as np
import pytest
from accelerate import Accelerator

from qpi_core.__main__ import main
from qpi_core.evaluation.paper_experiment import (
    NEIGHBOURS,
    WITH,
    WITHOUT,
    PaperExperiment,
    latent_neighbourhood,
    loss_curves,
    measure_networks,
    results,
    tables,
    train_networks,
)
from qpi_core.evaluation.paper_figures import case_studies, loss_figure
from qpi_core.evaluation.protocol import choose_samples
from qpi_core.extraction import load_extractor
from qpi_core.synthesis.dataset import DatasetPlan
from qpi_core.synthesis.dataset_reader import KernelDataset
from qpi_core.training.recipes import get_preset


@pytest.fixture(scope="module")
def experiment(tmp_path_factory):
    recipe = replace(get_preset("smoke"), name="paper-small", input_kind="map", pool_scenes=0, kernel_loss_weight=0.0)
    return PaperExperiment(tmp_path_factory.mktemp("paper"), recipe, DatasetPlan(kernels=10, observations=5, max_defects=6), scenes=2)


@pytest.fixture(scope="module")
def extractors(experiment):
    assert train_networks(experiment, Accelerator(cpu=True), lambda: False)
    return {name: load_extractor(experiment.training(name).model_folder, "cpu") for name in (WITH, WITHOUT)}


@pytest.mark.slow
def test_only_one_of_the_two_runs_has_the_symmetry_loss_and_nothing_is_trained_twice(experiment, extractors):
    symmetry = {name: lines[-1].get("symmetry") for name, lines in loss_curves(experiment).items()}
    assert symmetry[f"{WITH}/kernel-vae"] > 0 and symmetry[f"{WITHOUT}/kernel-vae"] == 0
    assert f"{WITH}/one-step" in symmetry and f"{WITHOUT}/one-step" not in symmetry
    written = {path: path.stat().st_mtime_ns for path in experiment.folder.rglob("*.safetensors")}
    assert train_networks(experiment, Accelerator(cpu=True), lambda: False)
    assert written == {path: path.stat().st_mtime_ns for path in experiment.folder.rglob("*.safetensors")}


@pytest.mark.slow
def test_both_tables_hold_published_and_measured_rows(experiment, extractors):
    records = measure_networks(experiment, extractors, progress=False)
    found = results(experiment, records, {})
    measured = {(row["setting"], row["method"]) for row in found["measured"]}
    assert {("OOD", "two_step"), ("OOD", "two_step, no symmetry loss"), ("ID", "harmonic"), ("ID", "decoder_ceiling")} <= measured
    harmonic = next(r for r in found["measured"] if (r["setting"], r["method"]) == ("OOD", "harmonic"))
    assert harmonic["paper_scale"]["rmse"] == pytest.approx(2 * harmonic["rmse"]) and harmonic["rmse"] < 0.02
    text = tables(records)
    assert "| without, published | 0.0636 | 0.0179 | 0.1004 |" in text and "| with, here |" in text
    json.dumps(found, allow_nan=False)


@pytest.mark.slow
def test_figures_show_every_symmetry_order(experiment, extractors):
    samples = choose_samples(KernelDataset(experiment.folder / "dataset"), "out_of_domain", 50, 0)
    figure = case_studies(samples, extractors)
    assert len([axis for axis in figure.axes if axis.get_ylabel()]) == len({sample.symmetry_order for sample in samples})
    assert len(loss_figure(loss_curves(experiment)).axes[0].lines) == 5


def test_neighbourhood_tells_an_ordered_latent_space_from_a_random_one():
    rng = np.random.default_rng(0)
    orders, b = [2, 3, 4, 6] * 25, rng.uniform(1.5, 6, 100)
    by_wavenumber = np.zeros((100, 4, 8, 8), dtype=np.float32)
    by_wavenumber[:, 0, 0, 0] = b
    found = latent_neighbourhood(by_wavenumber, orders, b)
    assert found["wavenumber_explained"] > 0.95 and abs(found["same_order"] - found["same_order_chance"]) < 0.1
    by_order = rng.normal(0, 1e-3, (100, 4, 8, 8)).astype(np.float32)
    by_order[:, 0, 0, 0] += np.array(orders)
    assert latent_neighbourhood(by_order, orders, b)["same_order"] == 1.0 and NEIGHBOURS < 24


def test_a_preset_without_maps_is_refused(tmp_path, capsys):
    assert main(["paper", "--out", str(tmp_path), "--preset", "compact"]) == 2
    assert "paper-small" in capsys.readouterr().err
