"""The runner: every method on the same scenes, nothing measured twice, nothing lost, numbers that a loop confirms."""

import json
import re
from dataclasses import replace

import numpy as np
import pytest

from qpi_core.base.errors import InputError
from qpi_core.evaluation.benchmark import measure
from qpi_core.evaluation.benchmark import run as benchmark
from qpi_core.evaluation.benchmark.formula_limit import formula_limit
from qpi_core.evaluation.benchmark.measure import LIMIT
from qpi_core.evaluation.benchmark.plots import write_plots
from qpi_core.evaluation.benchmark.records import Record, append_records, read_records
from qpi_core.evaluation.benchmark.run import BenchmarkPlan, run_benchmark
from qpi_core.evaluation.benchmark.scenes import draw_benchmark_scene
from qpi_core.evaluation.benchmark.summary import as_json, summarise
from qpi_core.evaluation.benchmark.tables import by_noise, report
from qpi_core.extraction.extractor import Extractor

SMALL = BenchmarkPlan(methods=("defect_average",), noise_levels=(0.0, 0.5), scenes=3, seed=11)


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    folder = tmp_path_factory.mktemp("benchmark")
    return folder, run_benchmark(SMALL, folder, progress=False)


def test_records_against_a_loop_of_its_own(measured):
    _, records = measured
    assert len(records) == 6
    extractor = Extractor()
    for record in records:
        scene = draw_benchmark_scene(11, record.index, record.variant, record.noise_level)
        kernel = extractor.extract(scene.observation, scene.positions, method="defect_average", kernel_size=64).kernel
        low, high = scene.kernel.min(), scene.kernel.max()
        error = np.sqrt(np.mean(((kernel - low) / (high - low) - (scene.kernel - low) / (high - low)) ** 2))
        assert record.rmse == pytest.approx(error, rel=1e-4)
        assert record.defects == len(scene.true_positions)
        assert record.symmetry_true == scene.symmetry_order
        assert record.seconds > 0


def test_going_on_measures_only_what_is_missing(measured, monkeypatch):
    folder, records = measured
    asked = []
    measure_scene = benchmark._measure_scene
    monkeypatch.setattr(benchmark, "_measure_scene", lambda task: asked.append(task[1]) or measure_scene(task))
    assert run_benchmark(SMALL, folder, progress=False) == records
    assert asked == []
    more = BenchmarkPlan(methods=("defect_average",), variants=("on-grid", "off-grid"), noise_levels=(0.0, 0.5), scenes=3, seed=11)
    with (folder / "records.jsonl").open("a") as file:
        file.write('{"variant": "off-grid", "noise_le')
    extended = run_benchmark(more, folder, progress=False)
    assert {scene[0] for scene in asked} == {"off-grid"} and len(asked) == 6
    assert extended[:6] == records
    assert len(read_records(folder / "records.jsonl")) == 12


def test_what_a_method_refused_is_kept_and_asked_again(tmp_path, monkeypatch):
    plan = BenchmarkPlan(methods=("defect_average",), noise_levels=(0.0,), scenes=2, seed=12)

    def refuse(self, *args, **kwargs):
        raise InputError("not today.")

    with monkeypatch.context() as patch:
        patch.setattr(Extractor, "extract", refuse)
        refused = run_benchmark(plan, tmp_path, progress=False)
    assert [record.failure for record in refused] == ["not today."] * 2
    assert summarise(refused).failures == 2 and summarise(refused).rmse is None
    assert "| `defect_average` | - |" in by_noise(refused)
    assert all(record.failure is None for record in run_benchmark(plan, tmp_path, progress=False))


@pytest.mark.slow
def test_an_older_folder_gets_the_formulas_limit_where_there_is_one(tmp_path):
    """Records of an earlier version hold no formula_limit; scenes without Eq. 7 never get one and are not asked again."""
    variants = ("off-grid", "band")
    older = BenchmarkPlan(methods=("defect_average",), variants=variants, noise_levels=(0.0, 0.5), scenes=2, seed=15)
    before = run_benchmark(older, tmp_path, progress=False)
    plan = replace(older, methods=("defect_average", LIMIT))
    records = run_benchmark(plan, tmp_path, progress=False)
    assert [record for record in records if record.method != LIMIT] == before
    limits = [record for record in records if record.method == LIMIT]
    assert [(record.variant, record.noise_level) for record in limits] == [("off-grid", level) for _ in range(2) for level in (0.0, 0.5)]
    for record in limits:
        scene = draw_benchmark_scene(15, record.index, record.variant, record.noise_level)
        assert record.rmse == formula_limit(scene).rmse and (record.rmse > 0) == (record.noise_level > 0)
        assert record.defects == len(scene.true_positions) and record.failure is record.seconds is record.cosine is None
    size = (tmp_path / "records.jsonl").stat().st_size
    assert run_benchmark(plan, tmp_path, progress=False) == records and (tmp_path / "records.jsonl").stat().st_size == size
    text = report(records)
    assert f"| `{LIMIT}` | 0.00000 (0.00000-0.00000) | 0.0" in text and LIMIT not in text[text.index("## band") :]
    assert len(write_plots(records, tmp_path)) == 4
    assert run_benchmark(replace(plan, methods=(LIMIT,), variants=("band",)), tmp_path, progress=False) == []


def test_references_are_no_methods():
    assert BenchmarkPlan().methods[-2:] == ("decoder_ceiling", "formula_limit")
    for name in ("decoder_ceiling+positions", "formula_limit+positions"):
        with pytest.raises(InputError, match=f"{re.escape(name)}.*all but decoder_ceiling and formula_limit also"):
            BenchmarkPlan(methods=(name,))
    # The paper's data set has neither noise nor a limit.
    with pytest.raises(InputError, match="formula_limit"):
        measure.check_methods(("formula_limit",))


def test_another_seed_or_a_broken_file_is_refused(measured, tmp_path):
    folder, _ = measured
    with pytest.raises(InputError, match="seed"):
        run_benchmark(BenchmarkPlan(methods=("defect_average",), scenes=1, seed=99), folder, progress=False)
    (tmp_path / "records.jsonl").write_text('{"colour": 1}\n')
    with pytest.raises(InputError, match="line 1"):
        read_records(tmp_path / "records.jsonl")


def test_other_weights_under_the_same_name_are_refused(tmp_path, monkeypatch):
    plan = BenchmarkPlan(methods=("defect_average",), noise_levels=(0.0,), scenes=1, seed=14)
    monkeypatch.setattr("qpi_core.networks.checkpoints.weights_hash", lambda folder: "a" * 64)
    run_benchmark(plan, tmp_path, progress=False)
    run_benchmark(plan, tmp_path, progress=False)
    monkeypatch.setattr("qpi_core.networks.checkpoints.weights_hash", lambda folder: "b" * 64)
    with pytest.raises(InputError, match="other weights .*aaaaaaaaaaaa, now bbbbbbbbbbbb"):
        run_benchmark(plan, tmp_path, progress=False)


@pytest.mark.parametrize(
    ("changed", "word"),
    [
        ({"methods": ("magic",)}, "magic"),
        ({"methods": ()}, "methods is empty"),
        ({"variants": ("upside-down",)}, "upside-down"),
        ({"noise_levels": (-1.0,)}, "noise_levels"),
        ({"scenes": 0}, "scenes"),
    ],
)
def test_impossible_plans_get_a_sentence(changed, word):
    with pytest.raises(InputError, match=word):
        BenchmarkPlan(**changed)


def made_up(method, level, rmse, defects=5, **values):
    return Record("on-grid", level, len(str(rmse)), defects, method, rmse=rmse, mae=rmse / 2, mse=rmse**2, **values)


def test_tables_hold_the_means(tmp_path):
    records = [
        made_up("tikhonov", 0.0, 0.1, symmetry_true=4, seconds=1.0),
        made_up("tikhonov", 0.0, 0.3, symmetry_true=0, defects=50, seconds=3.0),
        made_up("harmonic", 0.0, 0.01, symmetry_true=4, symmetry_found=4, coverage_68=0.6),
        made_up("harmonic", 0.0, 0.02, symmetry_true=0, symmetry_found=2, defects=50, coverage_68=0.8),
    ]
    cell = summarise(records[:2])
    assert (cell.rmse, cell.mae, cell.seconds) == pytest.approx((0.2, 0.1, 2.0))
    assert (cell.rmse_low, cell.rmse_high) == pytest.approx((0.1, 0.3))
    assert cell.on_paper_scale("rmse") == pytest.approx(0.4) and cell.on_paper_scale("mse") == pytest.approx(4 * 0.05)
    assert cell.symmetry_right is None and summarise(records[2:]).symmetry_right == 0.5
    text = report(records)
    assert "| `tikhonov` | 0.2000 (0.1000-0.3000) |" in text
    assert "| `tikhonov` | 0.1000 | 0.3000 |" in text
    assert "| `harmonic` | 0.0150 (0.0100-0.0200) |" in text
    assert "| `two_step` | 0.00125 |" in by_noise([made_up("two_step", 0.0, 0.00125)])
    assert "50 %" in text and "70 %" in text
    rows = {(row["method"], row["defects"]): row["rmse"] for row in as_json(records)}
    assert rows["tikhonov", "41-100"] == pytest.approx(0.3) and rows["harmonic", "1-100"] == pytest.approx(0.015)
    json.dumps(as_json(records), allow_nan=False)
    assert [path.read_bytes()[:8] for path in write_plots(records, tmp_path)] == [b"\x89PNG\r\n\x1a\n"] * 2


def test_records_survive_the_file(tmp_path):
    records = [made_up("tikhonov", 0.2, 0.125, seconds=0.5), Record("band", 1.0, 3, 7, "two_step", failure="because.")]
    append_records(tmp_path / "r.jsonl", records[:1])
    append_records(tmp_path / "r.jsonl", records[1:])
    assert read_records(tmp_path / "r.jsonl") == records


def test_ceiling_is_decoder_of_encoder_in_the_kernels_own_units():
    import torch

    from qpi_core.networks.checkpoints import LoadedModels
    from qpi_core.networks.kernel_frame import CHANNELS
    from qpi_core.networks.kernel_vae import KernelVAE
    from qpi_core.networks.observation_encoder import ObservationEncoder

    torch.manual_seed(0)
    vae = KernelVAE(block_out_channels=(8, 8, 8, 8), norm_num_groups=4).eval()
    small = {"block_out_channels": (8, 8, 8, 8), "norm_num_groups": 4}
    one_look = ObservationEncoder(2, "map", **small)
    extractor = Extractor(models=LoadedModels("small", None, "", vae, one_look, None, "cpu"))
    kernel = draw_benchmark_scene(1, 2).kernel
    found = measure.autoencode(extractor, kernel)
    eight_looks = Extractor(models=replace(extractor.models(), encoder=ObservationEncoder(CHANNELS, "kernel_frame", **small)))
    averaged = measure.autoencode(eight_looks, kernel)
    # An untrained codec prefers a direction; the average over quarter turns and mirrors of an isotropic kernel has none.
    isotropic = draw_benchmark_scene(1, 0).kernel
    for extractor_, tolerance in ((eight_looks, 1e-4), (extractor, None)):
        inner = measure.autoencode(extractor_, isotropic)[1:, 1:]
        lopsided = float(np.abs(inner - np.rot90(inner)).max())
        assert lopsided < tolerance if tolerance else lopsided > 1e-3
    assert not np.allclose(averaged, found, atol=1e-3)
    with torch.no_grad():
        posterior = vae.autoencoder.encode(torch.from_numpy(kernel / np.abs(kernel).max())[None, None]).latent_dist
        expected = vae.autoencoder.decode(posterior.mean).sample[0, 0].numpy() * np.abs(kernel).max()
    np.testing.assert_allclose(found, expected, atol=1e-5)
    np.testing.assert_allclose(measure.autoencode(extractor, 1e3 * kernel), 1e3 * found, rtol=1e-3, atol=1e-2)
    with pytest.raises(InputError, match="32 x 32"):
        measure.autoencode(extractor, kernel[:32, :32])


@pytest.mark.slow
def test_processes_give_the_same_numbers(tmp_path):
    plan = BenchmarkPlan(methods=("defect_average",), noise_levels=(0.2,), scenes=2, seed=13)
    alone = run_benchmark(plan, tmp_path / "one", progress=False)
    several = run_benchmark(plan, tmp_path / "two", workers=2, progress=False)
    assert [record.rmse for record in alone] == pytest.approx([record.rmse for record in several])
