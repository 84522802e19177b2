"""Training: one batch overfits, a resumed run equals an uninterrupted one, the streams depend on their seed alone."""

import json
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from safetensors import safe_open

from qpi_core.__main__ import main
from qpi_core.base.errors import InputError
from qpi_core.networks.checkpoints import load_models
from qpi_core.networks.kernel_frame import CHANNELS
from qpi_core.networks.kernel_vae import KernelVAE
from qpi_core.networks.observation_encoder import ObservationEncoder
from qpi_core.networks.one_step import OneStepNetwork
from qpi_core.training.data.dataset_source import place_in_epoch
from qpi_core.training.data.pool import PoolPlan, PoolSource, build_pool
from qpi_core.training.data.scene_stream import SceneMix, draw_training_scene
from qpi_core.training.data.streams import KernelShares, kernel_batch
from qpi_core.training.kernel_vae_task import KernelVAETask
from qpi_core.training.loop import HELD_OUT_NAME, LAST_TIMED, LOSS_NAME, HeldOut, fitted, learning_rate, train
from qpi_core.training.recipes import PRESETS, STAGES, StageRecipe, get_preset
from qpi_core.training.stages import Run, describe, run_stage
from qpi_core.training.state import STATE_NAME, saved_step

SMOKE = get_preset("smoke")
MIXED = KernelShares(equation_7=0.6, splines=0.1, bands=0.2)


@pytest.fixture(scope="module")
def accelerator():
    return Accelerator(cpu=True)


def fresh(first, count):
    return kernel_batch(5, first, count, MIXED)


@pytest.mark.slow
def test_one_batch_overfits(tmp_path, accelerator):
    fixed = kernel_batch(5, 0, 2, KernelShares())
    recipe = StageRecipe(steps=120, batch_size=2, learning_rate=3e-3, final_learning_rate=1e-4, warmup_steps=5, ema_decay=0.0)
    task = KernelVAETask(replace(SMOKE, symmetry_weight=0.0), lambda first, count: fixed, seed=1)
    before = task.loss(task.model, fixed, 0.0, 0)[1]["mse"].item()
    train(task, recipe, tmp_path, accelerator=accelerator)
    after = task.loss(task.model, fixed, 1.0, 120)[1]["mse"].item()
    assert after < 0.1 * before and after < 0.5 * float(fixed[0].var())


@pytest.mark.slow
def test_resumed_run_equals_an_uninterrupted_one(tmp_path, accelerator):
    recipe = replace(SMOKE.kernel_vae, steps=5, ema_decay=0.9)
    whole = train(KernelVAETask(SMOKE, fresh, 3), recipe, tmp_path / "whole", accelerator=accelerator)
    train(KernelVAETask(SMOKE, fresh, 3), recipe, tmp_path / "parts", accelerator=accelerator, stop_after=2)
    resumed = train(KernelVAETask(SMOKE, fresh, 3), recipe, tmp_path / "parts", accelerator=accelerator)
    for name, value in whole.state_dict().items():
        torch.testing.assert_close(resumed.state_dict()[name], value, atol=1e-6, rtol=1e-5, msg=name)


def test_cancelling_saves_the_state(tmp_path, accelerator):
    calls = iter([False, False, True])
    train(KernelVAETask(SMOKE, fresh, 3), SMOKE.kernel_vae, tmp_path, accelerator=accelerator, cancelled=lambda: next(calls))
    with safe_open(tmp_path / STATE_NAME, framework="pt") as state:
        assert state.metadata() == {"step": "2"}


def test_damaged_state_is_told_in_a_sentence(tmp_path, accelerator):
    (tmp_path / STATE_NAME).write_bytes(b"nothing")
    with pytest.raises(InputError, match="training state"):
        train(KernelVAETask(SMOKE, fresh, 3), SMOKE.kernel_vae, tmp_path, accelerator=accelerator)


@pytest.mark.slow
def test_three_stages_give_a_model_that_loads(tmp_path, accelerator):
    run = Run(tmp_path, SMOKE)
    with pytest.raises(InputError, match="kernel-vae"):
        run_stage(run, "observation-encoder", accelerator)
    assert all(run_stage(run, stage, accelerator) for stage in STAGES)
    models = load_models(run.model_folder)
    assert models.one_step is not None and float(models.vae.latent_std.min()) > 0


def test_paper_preset_needs_its_data_set():
    with pytest.raises(InputError, match="--dataset"):
        Run(Path("somewhere"), get_preset("paper"))
    with pytest.raises(InputError, match="compact"):
        get_preset("huge")


def test_samples_do_not_depend_on_the_batch():
    together, apart = kernel_batch(5, 0, 4, MIXED), kernel_batch(5, 2, 2, MIXED)
    torch.testing.assert_close(together[0][2:], apart[0])
    assert together[0].abs().amax(dim=(-2, -1)) == pytest.approx(1.0)


def test_training_scenes_follow_their_seed_and_stay_on_the_map():
    for index in range(12):
        scene, again = (draw_training_scene(2, index, (48, 80), MIXED) for _ in range(2))
        np.testing.assert_array_equal(scene.observation, again.observation)
        assert scene.observation.shape == (48, 80) and len(scene.positions) >= 1
        assert (scene.positions >= -0.5).all() and (scene.positions <= [79.5, 47.5]).all()


@pytest.mark.slow
def test_pool_is_complete_resumable_and_turns_inputs_with_kernels(tmp_path):
    build_pool(PoolPlan(tmp_path, 1, 6, MIXED))
    written = (tmp_path / "chunk-00000.npy").stat().st_mtime_ns
    build_pool(PoolPlan(tmp_path, 1, 6, MIXED))
    assert (tmp_path / "chunk-00000.npy").stat().st_mtime_ns == written
    inputs, kernels = PoolSource(tmp_path, 6, 0)(0, 12)
    assert inputs.shape == (12, CHANNELS, 64, 64) and kernels.shape == (12, 1, 64, 64)
    agreement = [float(torch.corrcoef(torch.stack([i[2].ravel(), k[0].ravel()]))[0, 1]) for i, k in zip(inputs, kernels, strict=True)]
    assert np.median(agreement) > 0.8, "the estimates look like the kernels they are paired with"


def test_every_epoch_sees_every_sample_once():
    assert sorted(place_in_epoch(3, i, 10) for i in range(10, 20)) == list(range(10))
    assert [place_in_epoch(3, i, 10) for i in range(10)] != [place_in_epoch(3, i, 10) for i in range(10, 20)]


@pytest.mark.parametrize("name", PRESETS)
def test_schedules_rise_and_fall(name):
    for stage in STAGES:
        recipe = PRESETS[name].stage(stage)
        rates = [learning_rate(recipe, step) for step in np.linspace(0, recipe.steps, 50).astype(int)]
        assert max(rates) <= recipe.learning_rate + 1e-12
        assert rates[-1] < 0.3 * recipe.learning_rate


@pytest.mark.slow
def test_a_cancelled_stage_leaves_no_network_for_the_next_one(tmp_path, accelerator):
    run = Run(tmp_path, SMOKE)
    calls = iter([False, False])
    assert not run_stage(run, "kernel-vae", accelerator, lambda: next(calls, True))
    assert (tmp_path / "kernel-vae" / STATE_NAME).is_file() and not run.model_folder.exists()
    with pytest.raises(InputError, match="kernel-vae first"):
        run_stage(run, "observation-encoder", accelerator)
    assert run_stage(run, "kernel-vae", accelerator)
    assert not run_stage(run, "observation-encoder", accelerator, lambda: True)
    assert not list((tmp_path / "pool").glob("chunk*")), "Ctrl+C does not wait for the pool"


@pytest.mark.parametrize(("option", "value"), [("--seed", "-1"), ("--symmetry-weight", "nan"), ("--threads", "0"), ("--steps", "0")])
def test_numbers_out_of_range_are_told_in_a_sentence(tmp_path, capsys, option, value):
    assert main(["train", "--preset", "smoke", "--out", str(tmp_path / "run"), option, value]) == 2
    assert option in capsys.readouterr().err and not (tmp_path / "run").exists()


@pytest.mark.parametrize(("change", "word"), [(["--seed", "9"], "--seed 7, not 9"), (["--preset", "compact"], "--preset smoke, not")])
def test_a_run_folder_is_not_continued_with_other_options(tmp_path, capsys, change, word):
    (tmp_path / "kernel-vae").mkdir()
    (tmp_path / "kernel-vae" / STATE_NAME).write_bytes(b"")
    (tmp_path / "run.json").write_text(json.dumps(describe(Run(tmp_path, SMOKE))))
    assert main(["train", "--preset", "smoke", "--out", str(tmp_path), *change]) == 2
    assert word in capsys.readouterr().err


@contextmanager
def fresh_accelerator_state():
    """Let an Accelerator choose its own precision: it is one for the whole process otherwise."""
    AcceleratorState._reset_state(True)
    try:
        yield
    finally:
        AcceleratorState._reset_state(True)
        Accelerator(cpu=True)  # for the accelerators that are there already: they all share this state


class CountingTask:
    """One weight, and a loss whose gradient is 1 at every step."""

    def __init__(self):
        self.model = torch.nn.Linear(1, 1, bias=False)
        torch.nn.init.zeros_(self.model.weight)

    def batch(self, first, count):
        return (torch.ones(count, 1),)

    def loss(self, model, batch, progress, step):
        value = model(batch[0]).mean()
        return value, {"value": value}


def test_a_held_rate_falls_in_the_last_fifth_alone():
    recipe = StageRecipe(100, 1, 1.0, 0.1, "hold", warmup_steps=0)
    rates = [learning_rate(recipe, step) for step in range(101)]
    assert rates[:81] == pytest.approx([1.0] * 81) and rates[90] == pytest.approx(0.55) and rates[100] == pytest.approx(0.1)


def test_held_out_figures_are_of_the_network_that_is_kept(tmp_path, accelerator):
    recipe = StageRecipe(6, 1, 0.1, 0.1, "hold", warmup_steps=0, weight_decay=0.0, ema_decay=0.9)
    task = CountingTask()
    measured = HeldOut(2, lambda network: {"weight": network.weight.item()})
    kept = train(task, recipe, tmp_path, accelerator=accelerator, held_out=measured)
    lines = [json.loads(line) for line in (tmp_path / HELD_OUT_NAME).read_text().splitlines()]
    assert [line["step"] for line in lines] == [2, 4, 6]
    assert lines[-1]["weight"] == kept.weight.item() != task.model.weight.item()


def test_what_was_logged_after_the_saved_state_is_logged_once(tmp_path, accelerator):
    recipe = StageRecipe(8, 1, 0.1, 0.1, warmup_steps=0, ema_decay=0.0)
    whole = train(CountingTask(), recipe, tmp_path / "whole", accelerator=accelerator, log_every=2)
    folder = tmp_path / "killed"
    train(CountingTask(), recipe, folder, accelerator=accelerator, log_every=2, stop_after=3)
    with (folder / LOSS_NAME).open("a") as log:
        log.write('{"step": 4, "value": 1.0}\n{"step": 6, "val')  # two lines beyond the state, the second cut off
    resumed = train(CountingTask(), recipe, folder, accelerator=accelerator, log_every=2)
    steps = [json.loads(line)["step"] for line in (folder / LOSS_NAME).read_text().splitlines()]
    assert steps == [2, 3, 4, 6, 8]
    torch.testing.assert_close(resumed.weight, whole.weight)


@pytest.mark.parametrize(("precise", "kind"), [(True, torch.float32), (False, torch.bfloat16)])
def test_a_stage_in_full_precision_is_not_cast(tmp_path, precise, kind):
    seen = []
    task = CountingTask()
    task.model = torch.nn.Sequential(task.model)
    task.model[0].register_forward_hook(lambda module, inputs, output: seen.append(output.dtype))
    recipe = StageRecipe(1, 1, 0.1, 0.1, warmup_steps=0, ema_decay=0.0, full_precision=precise)
    with fresh_accelerator_state():
        train(task, recipe, tmp_path, accelerator=Accelerator(cpu=True, mixed_precision="bf16"))
    assert seen == [kind]


def test_a_schedule_is_fitted_into_its_seconds():
    recipe = StageRecipe(1000, 1, 0.1, 0.1, seconds=10.0)
    # Slow first steps, then 0.1 s each: 8 s are left after 20 steps.
    assert fitted(recipe, 5, {5: 0.5}) == recipe
    assert fitted(recipe, 20, {5: 0.5, 20: 2.0}).steps == 20 + 80
    assert fitted(recipe, 20, {5: 0.5, 20: 0.6}).steps == 1000, "never more than the recipe's"
    assert fitted(recipe, 20, {5: 0.5, 20: 30.0}).steps == 20


def test_a_stage_with_limited_time_ends_its_schedule_with_it(tmp_path, accelerator):
    recipe = StageRecipe(10**6, 1, 0.1, 0.0, "hold", warmup_steps=0, ema_decay=0.0, seconds=0.5)
    train(CountingTask(), recipe, tmp_path, accelerator=accelerator, log_every=1)
    last = json.loads((tmp_path / LOSS_NAME).read_text().splitlines()[-1])
    assert LAST_TIMED <= last["step"] < 10**6
    assert last["learning_rate"] == pytest.approx(learning_rate(replace(recipe, steps=last["step"]), last["step"] - 1))


@pytest.mark.slow
def test_half_weights_are_read_back_as_the_networks_that_were_trained(tmp_path, accelerator):
    recipe = get_preset("base-smoke")
    for stage in STAGES:
        assert run_stage(Run(tmp_path, recipe), stage, accelerator)
    models = load_models(tmp_path / "model")
    with safe_open(tmp_path / "model" / "kernel_vae" / "diffusion_pytorch_model.safetensors", framework="pt") as file:
        assert all(file.get_tensor(name).dtype == torch.float16 for name in file.keys())  # noqa: SIM118
        kept = {name: file.get_tensor(name).float() for name in file.keys()}  # noqa: SIM118
    assert all(value.dtype == torch.float32 for value in models.vae.state_dict().values())
    with safe_open(tmp_path / "kernel-vae" / STATE_NAME, framework="pt") as file:
        for name, value in kept.items():
            if not name.startswith("latent_"):
                torch.testing.assert_close(value, file.get_tensor(f"kept/{name}"), atol=1e-6, rtol=1e-3)
    assert float(models.vae.latent_std.min()) > 0


def test_the_base_model_fits_into_its_folder():
    shape = get_preset("base").architecture
    sizes = [shape.block_out_channels, shape.layers_per_block, shape.norm_num_groups]
    networks = KernelVAE(*sizes), ObservationEncoder(CHANNELS, "kernel_frame", *sizes), OneStepNetwork(*sizes)
    halves = 2 * sum(parameter.numel() for network in networks for parameter in network.parameters())
    # Two MiB for the atlas of the latent space, half a one for results and card.
    assert halves < (32 - 2.5) * 2**20


def test_a_mix_has_few_defects_and_wrong_lists():
    mix = SceneMix(few=1.0, jittered=0.0, incomplete=0.0, invented=0.0)
    right = [draw_training_scene(1, index, (64, 64), KernelShares(), mix=mix) for index in range(40)]
    assert {len(scene.positions) for scene in right} == {1, 2, 3, 4, 5}
    usual = draw_training_scene(1, 3, (64, 64), KernelShares())
    same = draw_training_scene(1, 3, (64, 64), KernelShares(), mix=SceneMix())
    assert np.array_equal(usual.observation, same.observation) and np.array_equal(usual.positions, same.positions)


def test_lists_lose_defects_and_gain_others():
    exact = SceneMix(jittered=0.0, incomplete=0.0)
    places = {}
    for name, mix in {
        "exact": exact,
        "incomplete": replace(exact, incomplete=1.0, most_missing=0.5),
        "invented": replace(exact, invented=1.0),
    }.items():
        places[name] = [
            {tuple(position) for position in draw_training_scene(2, index, (64, 64), KernelShares(), mix=mix).positions}
            for index in range(30)
        ]
    pairs = list(zip(places["exact"], places["incomplete"], places["invented"], strict=True))
    many = [(len(short) / len(whole)) for whole, short, _ in pairs if len(whole) >= 10]
    assert all(short <= whole for whole, short, _ in pairs) and 0.5 < np.mean(many) < 0.9
    assert all(whole < longer and len(longer) <= max(len(whole) + 1, 1.1 * len(whole)) for whole, _, longer in pairs)


@pytest.mark.parametrize("wrong", [{"few": 1.5}, {"invented": -0.1}, {"max_jitter_px": float("nan")}])
def test_an_impossible_mix_is_refused(wrong):
    with pytest.raises(InputError, match="between 0 and 1"):
        SceneMix(**wrong)


def test_the_state_is_saved_after_some_minutes_however_few_the_steps(tmp_path, accelerator, monkeypatch):
    class Killed(CountingTask):
        def batch(self, first, count):
            if first == 3:
                raise KeyboardInterrupt
            return super().batch(first, count)

    recipe = StageRecipe(8, 1, 0.1, 0.1, warmup_steps=0, ema_decay=0.0)
    for seconds, step in ((1e9, 0), (-1.0, 3)):
        monkeypatch.setattr("qpi_core.training.loop.SAVE_SECONDS", seconds)
        with pytest.raises(KeyboardInterrupt):
            train(Killed(), recipe, tmp_path / str(step), accelerator=accelerator)
        assert saved_step(tmp_path / str(step)) == step
