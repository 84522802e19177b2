"""What a training step costs on this machine's processor: python benchmarks/training/training_step.py [PRESET] (default paper-long)

Prints the processor time per sample, in ms, of one optimiser step of Encoder_Y and of the one-step baseline, one thread, in float32 and
in bf16, as the preset trains them; the least of several steps, so that other programs on the machine disturb it little. With
Encoder_Y, also of the latents that a step would encode anew were they not known beforehand, and of drawing the (Y, M) pairs.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable

import torch

from qpi_core.networks.kernel_vae import KernelVAE
from qpi_core.networks.observation_encoder import ObservationEncoder
from qpi_core.networks.one_step import OneStepNetwork
from qpi_core.runtime.devices import training_precision
from qpi_core.synthesis.datasets.dataset import DatasetPlan, write_dataset
from qpi_core.synthesis.datasets.dataset_reader import KernelDataset
from qpi_core.training.data.dataset_source import DatasetPairs
from qpi_core.training.recipes import PRESETS, get_preset

REPEATS = 6


def least_ms(action: Callable[[], object], samples: int) -> float:
    """Return the least processor time per sample of several calls, the first two of which only warm up."""
    found = []
    for _ in range(REPEATS + 2):
        begun = time.process_time()
        action()
        found.append(time.process_time() - begun)
    return 1000 * min(found[2:]) / samples


def step(network: torch.nn.Module, target: torch.Tensor, inputs: torch.Tensor, bf16: bool) -> Callable[[], None]:
    """Return one optimiser step of a network towards a target."""
    optimiser = torch.optim.AdamW(network.parameters(), lr=1e-4)

    def action() -> None:
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            loss = (network(inputs) - target).square().mean()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimiser.step()
        optimiser.zero_grad(set_to_none=True)

    return action


def main() -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("preset", nargs="?", choices=sorted(PRESETS), default="paper-long")
    recipe = get_preset(parser.parse_args().preset)
    torch.set_num_threads(1)
    shape = recipe.architecture
    sizes = (shape.block_out_channels, shape.layers_per_block, shape.norm_num_groups)
    batch = recipe.observation_encoder.batch_size
    inputs, kernels = torch.randn(batch, 2, 64, 64), torch.rand(batch, 1, 64, 64)
    print(
        f"{recipe.name}, batches of {batch}, ms of one core a sample; this processor's own choice: {training_precision('auto', cpu=True)}"
    )
    for name, precision in (("float32", False), ("bf16", True)):
        encoder = least_ms(step(ObservationEncoder(2, "map", *sizes), torch.randn(batch, 4, 8, 8), inputs, precision), batch)
        baseline = least_ms(step(OneStepNetwork(*sizes), kernels, inputs, precision), batch)
        print(f"{name:8s} Encoder_Y {encoder:6.1f}   one-step baseline {baseline:6.1f}")
    vae = KernelVAE(*sizes).requires_grad_(False)
    print(f"latents of the kernels, spared by encoding them once: {least_ms(lambda: vae.encode_kernel(kernels), batch):.1f}")
    with tempfile.TemporaryDirectory() as folder:
        write_dataset(DatasetPlan(kernels=5, observations=100), folder, progress=False)
        pairs = DatasetPairs(KernelDataset(folder), 0)
        print(f"drawing the (Y, M) pairs: {least_ms(lambda: pairs.numbered(0, 64), 64):.2f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
