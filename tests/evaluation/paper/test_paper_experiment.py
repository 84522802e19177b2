"""The paper's experiment at a tiny size: it trains, resumes, measures both tables, and draws its figures."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from accelerate import Accelerator
from safetensors.torch import load_file

from qpi_core.__main__ import main
from qpi_core.evaluation.benchmark.records import Record
from qpi_core.evaluation.paper.paper_experiment import (
    ALPHA,
    LONG_QUEUE,
    MAP_NOISE,
    NOISE,
    PHOTOGRAPHS,
    RANDOM,
    SIMILAR,
    TURNS,
    WITH,
    WITHOUT,
    PaperExperiment,
    loss_curves,
    train_networks,
)
from qpi_core.evaluation.paper.paper_figures import case_studies, loss_figure
from qpi_core.evaluation.paper.paper_results import (
    CLAIMS,
    NEIGHBOURS,
    check_claims,
    curves,
    finished_runs,
    latent_neighbourhood,
    measure_networks,
    results,
    tables,
)
from qpi_core.evaluation.paper.protocol import choose_samples
from qpi_core.extraction.extractor import load_extractor
from qpi_core.networks.checkpoints import WEIGHTS_NAME, load_network
from qpi_core.networks.kernel_vae import KernelVAE
from qpi_core.synthesis.datasets.dataset import DatasetPlan
from qpi_core.synthesis.datasets.dataset_reader import KernelDataset
from qpi_core.training.loop import HELD_OUT_NAME
from qpi_core.training.recipes import STAGES, get_preset
from qpi_core.training.stages import PHOTOGRAPH_CODEC
from qpi_core.training.state import saved_step


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
    assert len(figure.axes) == 5 * len({sample.symmetry_order for sample in samples})
    without_baseline = {WITHOUT: extractors[WITHOUT]}
    assert len(case_studies(samples, without_baseline).axes) == 3 * len({sample.symmetry_order for sample in samples})
    assert len(loss_figure(loss_curves(experiment), {}).axes[0].lines) == 10


@pytest.mark.slow
def test_a_longer_recipe_goes_on_with_what_was_finished(tmp_path, capsys):
    smoke = [
        "paper",
        "--preset",
        "paper-long-smoke",
        "--cpu",
        "--kernels",
        "5",
        "--observations",
        "5",
        "--scenes",
        "1",
        "--precision",
        "no",
    ]
    command = [*smoke, "--only", WITH, "--out", str(tmp_path)]
    assert main([*command, "--pairs", "16"]) == 0
    run = PaperExperiment(tmp_path, get_preset("paper-long-smoke")).training(WITH)
    states = {stage: saved_step(run.folder / stage) for stage in STAGES}
    assert states["observation-encoder"] == states["one-step"] == 4 < states["kernel-vae"]
    codec = (run.model_folder / "kernel_vae" / WEIGHTS_NAME).stat().st_mtime_ns
    first = (run.model_folder / "one_step" / WEIGHTS_NAME).read_bytes()
    assert main([*command, "--pairs", "24"]) == 0
    assert [saved_step(run.folder / stage) for stage in STAGES] == [states["kernel-vae"], 6, 6]
    assert (run.model_folder / "kernel_vae" / WEIGHTS_NAME).stat().st_mtime_ns == codec
    assert (run.model_folder / "one_step" / WEIGHTS_NAME).read_bytes() != first
    steps = [json.loads(line)["step"] for line in (run.folder / "one-step" / "loss.jsonl").read_text().splitlines()]
    assert steps == [4, 6]


@pytest.mark.slow
def test_the_long_queue_starts_from_photographs_and_from_random_weights(tmp_path):
    smoke = get_preset("smoke")
    recipe = replace(smoke, name="paper-long", input_kind="map", pool_scenes=0, kernel_loss_weight=0.0, photographs=smoke.kernel_vae)
    # Rates of zero: what comes out of a stage is what it started from.
    still = {name: replace(recipe.stage(name), learning_rate=0.0, final_learning_rate=0.0, weight_decay=0.0, steps=1) for name in STAGES}
    for name, stage in still.items():
        recipe = recipe.with_stage(name, stage)
    long = PaperExperiment(tmp_path, recipe, DatasetPlan(kernels=5, observations=100, max_defects=6), scenes=2)
    assert train_networks(long, Accelerator(cpu=True), lambda: False)
    codec = load_file(tmp_path / PHOTOGRAPHS / PHOTOGRAPH_CODEC / WEIGHTS_NAME)
    started = {
        name: load_network(KernelVAE, tmp_path / name / "model" / "kernel_vae") for name in (WITH, WITHOUT, RANDOM, NOISE, TURNS, SIMILAR)
    }
    same = {name: torch.equal(vae.autoencoder.decoder.conv_in.weight, codec["decoder.conv_in.weight"]) for name, vae in started.items()}
    assert same == {WITH: True, WITHOUT: True, RANDOM: False, NOISE: True, TURNS: True, SIMILAR: True}
    assert {name for name, stage in LONG_QUEUE if stage == "observation-encoder"} == set(started)
    assert (tmp_path / RANDOM / "model" / "one_step").is_dir() and not (tmp_path / NOISE / "model" / "one_step").exists()
    runs = {name: long.training(name).recipe for name in started}
    augmented = {name: run.augmentation for name, run in runs.items() if run.augmentation != "none"}
    assert augmented == {TURNS: "orientations", SIMILAR: "similarities"}
    assert {name: (run.symmetry_weight, run.map_noise) for name, run in runs.items()} == {
        WITH: (ALPHA, 0.0), WITHOUT: (0.0, 0.0), RANDOM: (ALPHA, 0.0), NOISE: (ALPHA, MAP_NOISE), TURNS: (ALPHA, 0.0), SIMILAR: (ALPHA, 0.0)
    }  # fmt: skip
    held_out = [json.loads(line) for line in (tmp_path / WITH / "observation-encoder" / HELD_OUT_NAME).read_text().splitlines()]
    assert held_out[-1]["step"] == 1 and held_out[-1]["latent"] > 0 and 0 < held_out[-1]["rmse"] < 1


def errors_of(method, error, noise, kernels=20, scenes=10):
    """Records whose errors share a deviation within each kernel, and none between scenes of one kernel."""
    rng = np.random.default_rng(5)
    shared = rng.normal(0, noise, kernels)
    return [
        Record("out_of_domain", 0.0, scene, 3, method, rmse=error * np.exp(shared[kernel]), kernel=kernel)
        for kernel in range(kernels)
        for scene in range(scenes)
    ]


def test_a_claim_holds_where_the_interval_over_kernels_says_so():
    records = errors_of("two_step", 0.05, 0.3) + errors_of("one_step", 0.06, 0.3) + errors_of("two_step, no symmetry loss", 0.04, 0.0)
    found = {(claim["text"], claim["setting"]): claim for claim in check_claims(records)}
    better = found["two steps beat one step out of domain", "OOD"]
    # The same deviations in both: their ratio is known although each of the means is not.
    assert [better[name] for name in ("ratio", "low", "high")] == pytest.approx([1.2] * 3) and better["verdict"] == "holds"
    symmetry = found["the symmetry loss helps out of domain", "OOD"]
    assert symmetry["verdict"] == "fails" and symmetry["low"] < 0.04 / 0.05 < symmetry["high"] < 1
    assert (symmetry["scenes"], symmetry["kernels"]) == (200, 20)
    assert len(found) == 2 < len(CLAIMS), "what was not measured is not claimed"
    open_ = errors_of("two_step", 0.05, 0.0) + [replace(r, method="one_step") for r in errors_of("one_step", 0.0501, 0.5)]
    assert check_claims(open_)[0]["verdict"] == "open"


@pytest.mark.slow
def test_what_was_measured_is_kept_and_new_weights_are_measured_anew(experiment, extractors, monkeypatch):
    first = measure_networks(experiment, extractors, progress=False)
    monkeypatch.setattr("qpi_core.evaluation.paper.paper_results.measure_sample", lambda *_: pytest.fail("measured twice"))
    assert measure_networks(experiment, extractors, progress=False) == first
    assert finished_runs(experiment) == [WITH, WITHOUT]
    monkeypatch.setattr("qpi_core.evaluation.paper.paper_results.weights_hash", lambda folder: "0" * 64)
    monkeypatch.setattr("qpi_core.evaluation.paper.paper_results.warm_up", lambda *_: None)
    with pytest.raises(pytest.fail.Exception, match="measured twice"):
        measure_networks(experiment, extractors, progress=False)


def test_curves_are_thinned_and_keep_their_last_point(experiment, tmp_path):
    path = tmp_path / WITH / "one-step"
    path.mkdir(parents=True)
    (path / "loss.jsonl").write_text("".join(f'{{"step": {step}, "mse": 1.0}}\n' for step in range(1, 251)))
    (path / HELD_OUT_NAME).write_text('{"step": 7, "mse": 2.0}\n')
    found = curves(replace(experiment, folder=tmp_path))[f"{WITH}/one-step"]
    assert [line["step"] for line in found["training"]] == list(range(5, 251, 5))
    assert found["held_out"] == [{"step": 7, "mse": 2.0}]


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
