"""The one training loop: batch, loss, step, average, log, save. The same on one CPU, one GPU and many (Accelerate).

Sample i of a run is drawn from (seed, i), so a run that is resumed sees exactly what an uninterrupted one would have seen.
"""

from __future__ import annotations

import json
import math
import os
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

import torch
from accelerate import Accelerator
from accelerate.utils import AutocastKwargs
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from tqdm import tqdm

from qpi_core.training.recipes import StageRecipe
from qpi_core.training.state import load_state, save_state

Batch = tuple[Tensor, ...]
COOL_DOWN = 0.2
"""Share of a run with the schedule "hold" in which the learning rate falls."""
FIRST_TIMED, LAST_TIMED = 5, 20
"""Steps by which a stage with limited time first judges how many it can make; the first ones of a process are slower."""
SAVE_STEPS, SAVE_SECONDS = 300, 300.0
"""Longest time between two saved states, however slow the machine is."""
LOSS_NAME, HELD_OUT_NAME = "loss.jsonl", "held-out.jsonl"


@dataclass(frozen=True)
class HeldOut:
    """What is measured while a network is trained, on samples that it is not trained on.

    Attributes:
        every: steps between two measurements; the last step is measured too.
        measure: network to keep -> figures by name.
    """

    every: int
    measure: Callable[[nn.Module], dict[str, float]]


class Task(Protocol):
    """What the loop needs to know about a network."""

    @property
    def model(self) -> nn.Module:
        """Return the network that is trained."""

    def batch(self, first: int, count: int) -> Batch:
        """Return samples first ... first + count - 1 of the run, on the CPU."""

    def loss(self, model: nn.Module, batch: Batch, progress: float, step: int) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the loss and the figures to log; progress runs from 0 to 1."""


def learning_rate(recipe: StageRecipe, step: int) -> float:
    """Return the learning rate of a step: linear warm-up, then the recipe's schedule."""
    warmup = min(1.0, (step + 1) / recipe.warmup_steps) if recipe.warmup_steps else 1.0
    progress = step / max(1, recipe.steps)
    if recipe.schedule == "hold":
        left = min(1.0, (1 - progress) / COOL_DOWN)
        return warmup * (recipe.final_learning_rate + (recipe.learning_rate - recipe.final_learning_rate) * left)
    if recipe.schedule == "step":
        return warmup * recipe.learning_rate * 0.97 ** int(100 * progress)
    cosine = 0.5 * (1 + math.cos(math.pi * progress))
    return warmup * (recipe.final_learning_rate + (recipe.learning_rate - recipe.final_learning_rate) * cosine)


def fitted(recipe: StageRecipe, done: int, clock: dict[int, float]) -> StageRecipe:
    """Return the recipe with as many steps as fit into its seconds.

    Args:
        recipe: with `seconds`.
        done: steps made.
        clock: seconds since the start after so many steps of this process, from FIRST_TIMED and LAST_TIMED on; the pace is that between
            the last two. Unchanged until both are known.
    """
    if LAST_TIMED not in clock:
        return recipe
    begun, now = sorted(clock)[-2:]
    a_step = (clock[now] - clock[begun]) / (now - begun)
    possible = done + int((recipe.seconds - clock[now]) / max(a_step, 1e-9))
    return replace(recipe, steps=max(done, min(recipe.steps, possible)))


def _is_timed(made: int) -> bool:
    """Say whether the pace is judged after so many steps: other programs come and go on a machine, so again after every doubling."""
    return made == FIRST_TIMED or (made % LAST_TIMED == 0 and (made // LAST_TIMED).bit_count() == 1)


def _averaged(model: nn.Module, decay: float) -> AveragedModel | None:
    """Return the exponential moving average of a model's weights, or None where the recipe keeps the last ones."""
    if not decay:
        return None
    average = get_ema_multi_avg_fn(decay)  # type: ignore[no-untyped-call]
    return AveragedModel(model, multi_avg_fn=average)


def train(
    task: Task,
    recipe: StageRecipe,
    folder: Path,
    *,
    accelerator: Accelerator,
    stop_after: int | None = None,
    log_every: int = 50,
    held_out: HeldOut | None = None,
    cancelled: Callable[[], bool] = lambda: False,
) -> nn.Module:
    """Train a task and return the network to keep (averaged weights where the recipe averages).

    Args:
        task: network, batches and loss.
        recipe: numbers of this stage.
        folder: a state in it is gone on from; receives state.safetensors, written atomically, and the logs loss.jsonl and
            held-out.jsonl.
        accelerator: device, precision and processes.
        stop_after: stop (with the state saved) when this many steps are done in all; None runs to the end.
        log_every: in steps. The state is saved every SAVE_STEPS and SAVE_SECONDS; a stage with limited time is saved at its end only.
        held_out: measured on the network to keep and logged.
        cancelled: asked once a step; true saves the state and stops.
    """
    folder.mkdir(parents=True, exist_ok=True)
    accelerator.autocast_handler = AutocastKwargs(enabled=not recipe.full_precision)
    parameters = [p for p in task.model.parameters() if p.requires_grad]
    optimiser = torch.optim.AdamW(parameters, lr=recipe.learning_rate, weight_decay=recipe.weight_decay)
    task.model.to(accelerator.device)
    averaged = _averaged(task.model, recipe.ema_decay)
    kept = task.model if averaged is None else averaged.module
    step = load_state(folder, task.model, kept, optimiser)
    if accelerator.is_main_process:
        for name in (LOSS_NAME, HELD_OUT_NAME):
            _forget_after(folder / name, step)
    if averaged is not None and step:
        averaged.n_averaged.fill_(step)
    if accelerator.device.type == "cuda":
        task.model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    model, optimiser = accelerator.prepare(task.model, optimiser)
    share = max(1, recipe.batch_size // accelerator.num_processes)
    last = recipe.steps if stop_after is None else min(recipe.steps, stop_after)
    planned = recipe
    started, counted, begun = time.perf_counter(), 0, step
    clock: dict[int, float] = {}
    saved = started
    sums: dict[str, Tensor] = {}
    bar = tqdm(total=recipe.steps, initial=step, desc=folder.name, unit="step", disable=not accelerator.is_main_process, mininterval=5)
    while step < last and not cancelled():
        for group in optimiser.param_groups:
            group["lr"] = learning_rate(recipe, step)
        first = (step * accelerator.num_processes + accelerator.process_index) * share
        batch = tuple(part.to(accelerator.device) for part in task.batch(first, share))
        with accelerator.autocast():
            loss, figures = task.loss(model, batch, step / recipe.steps, step)
        accelerator.backward(loss)
        accelerator.clip_grad_norm_(parameters, recipe.clip_norm)
        optimiser.step()
        optimiser.zero_grad(set_to_none=True)
        if averaged is not None:
            averaged.update_parameters(accelerator.unwrap_model(model))
        step, counted = step + 1, counted + 1
        if planned.seconds and _is_timed(step - begun):
            if accelerator.device.type == "cuda":
                torch.cuda.synchronize()
            clock[step - begun] = time.perf_counter() - started
            recipe = fitted(planned, step, clock)
            last = recipe.steps if stop_after is None else min(recipe.steps, stop_after)
            bar.total = recipe.steps
        bar.update()
        for name, value in figures.items():
            # Left on the device: to read a figure there would hold up the next step.
            sums[name] = value.detach().float() + sums.get(name, 0.0)
        if (step % log_every == 0 or step == last) and accelerator.is_main_process:
            line = {"step": step, "seconds": round(time.perf_counter() - started, 1), "learning_rate": learning_rate(recipe, step - 1)}
            line |= {name: float(f"{float(value) / counted:.6g}") for name, value in sums.items()}
            _append(folder / LOSS_NAME, line)
            sums, counted = {}, 0
        if held_out is not None and (step % held_out.every == 0 or step == last) and accelerator.is_main_process:
            _append(folder / HELD_OUT_NAME, {"step": step, **held_out.measure(kept)})
        due = step % SAVE_STEPS == 0 or time.perf_counter() - saved > SAVE_SECONDS
        if due and step < last and not recipe.seconds and accelerator.is_main_process:
            save_state(folder, accelerator.unwrap_model(model), kept, optimiser, step)
            saved = time.perf_counter()
    bar.close()
    if accelerator.is_main_process:
        save_state(folder, accelerator.unwrap_model(model), kept, optimiser, step)
    accelerator.wait_for_everyone()
    return kept


def _append(path: Path, line: dict[str, float]) -> None:
    with path.open("a", encoding="utf-8") as log:
        log.write(json.dumps(line) + "\n")


def _forget_after(path: Path, step: int) -> None:
    """Drop what was logged after a step: a run that was killed goes on from its last saved state and logs it again."""
    if not path.is_file():
        return
    lines = path.read_text(encoding="utf-8").splitlines()
    kept = []
    for line in lines:
        try:
            entry = json.loads(line)
        except json.JSONDecodeError:
            break  # the line that was being written when the run was killed
        if entry["step"] <= step:
            kept.append(line)
    if len(kept) < len(lines):
        temporary = path.with_suffix(".tmp")
        temporary.write_text("".join(f"{line}\n" for line in kept), encoding="utf-8")
        os.replace(temporary, path)
