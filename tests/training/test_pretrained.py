"""The pretrained start: a small stand-in with the files and keys of madebyollin/sdxl-vae-fp16-fix, and our own grey codec."""

import json
from dataclasses import replace

import pytest
import torch
from accelerate import Accelerator
from diffusers import AutoencoderKL

from qpi_core.base.errors import InputError
from qpi_core.networks.checkpoints import load_models
from qpi_core.networks.kernel_vae import make_autoencoder
from qpi_core.synthesis.datasets.dataset import DatasetPlan, write_dataset
from qpi_core.training.pretrained import load_pretrained
from qpi_core.training.recipes import STAGES, get_preset
from qpi_core.training.stages import Run, run_stage

WIDTHS = (8, 8, 16, 16)
SDXL_CONFIG = {
    "_class_name": "AutoencoderKL",
    "_diffusers_version": "0.18.0.dev0",
    "_name_or_path": ".",
    "act_fn": "silu",
    "block_out_channels": list(WIDTHS),
    "down_block_types": ["DownEncoderBlock2D"] * 4,
    "force_upcast": False,
    "in_channels": 3,
    "latent_channels": 4,
    "layers_per_block": 1,
    "norm_num_groups": 4,
    "out_channels": 3,
    "sample_size": 512,
    "scaling_factor": 0.13025,
    "up_block_types": ["UpDecoderBlock2D"] * 4,
}
"""config.json of the published folder, with the widths of the preset `smoke`."""


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    """A folder as `git clone` of the published one leaves it: half-precision weights twice, the card, and a pickle nobody may open."""
    folder = tmp_path_factory.mktemp("hub") / "sdxl-vae-fp16-fix"
    torch.manual_seed(4)
    network = AutoencoderKL.from_config(SDXL_CONFIG).half()
    network.save_pretrained(folder, safe_serialization=True)
    (folder / "config.json").write_text(json.dumps(SDXL_CONFIG))
    weights = (folder / "diffusion_pytorch_model.safetensors").read_bytes()
    (folder / "sdxl.vae.safetensors").write_bytes(weights)
    (folder / "diffusion_pytorch_model.bin").write_bytes(b"not a pickle")
    (folder / "README.md").write_text("---\nlicense: mit\n---\n")
    return folder, network.float()


def test_a_grey_picture_passes_as_its_mean_colour(published):
    folder, network = published
    ours = make_autoencoder(1, WIDTHS, 1, 4)
    load_pretrained(folder, ours)
    grey = torch.randn(2, 1, 64, 64)
    # The mean over input channels: what the published network makes of a picture of a third in every channel; only conv_in differs.
    with torch.no_grad():
        expected = network.encode(grey.expand(-1, 3, -1, -1) / 3).latent_dist.mean
        torch.testing.assert_close(ours.encode(grey).latent_dist.mean, expected, atol=1e-4, rtol=1e-3)
        decoded = network.decode(expected).sample.mean(dim=1, keepdim=True)
        torch.testing.assert_close(ours.decode(expected).sample, decoded, atol=1e-4, rtol=1e-3)


def test_two_inputs_take_two_colours_times_three_halves(published):
    folder, network = published
    ours = make_autoencoder(2, WIDTHS, 1, 4)
    load_pretrained(folder, ours)
    both = torch.randn(2, 2, 64, 64)
    with torch.no_grad():
        expected = network.encode(torch.cat([1.5 * both, torch.zeros(2, 1, 64, 64)], dim=1)).latent_dist.mean
        torch.testing.assert_close(ours.encode(both).latent_dist.mean, expected, atol=1e-4, rtol=1e-3)


@pytest.mark.parametrize("channels", [1, 2])
def test_a_codec_of_grey_pictures_shares_its_input_evenly(tmp_path, channels):
    torch.manual_seed(5)
    grey = make_autoencoder(1, WIDTHS, 1, 4)
    grey.save_pretrained(tmp_path)
    ours = make_autoencoder(channels, WIDTHS, 1, 4)
    load_pretrained(tmp_path, ours)
    picture = torch.randn(2, 1, 64, 64)
    with torch.no_grad():
        expected = grey.encode(picture).latent_dist.mean
        torch.testing.assert_close(ours.encode(picture.expand(-1, channels, -1, -1)).latent_dist.mean, expected, atol=1e-5, rtol=1e-4)
        torch.testing.assert_close(ours.decode(expected).sample, grey.decode(expected).sample)


@pytest.mark.slow
def test_all_stages_train_from_the_published_layout(published, tmp_path):
    write_dataset(DatasetPlan(kernels=5, observations=5, max_defects=6), tmp_path / "dataset", progress=False)
    recipe = replace(get_preset("smoke"), name="paper", input_kind="map", pool_scenes=0, kernel_loss_weight=0.0)
    recipe = replace(recipe, one_step=replace(recipe.one_step, learning_rate=0.0, final_learning_rate=0.0, weight_decay=0.0, ema_decay=0.0))
    run = Run(tmp_path / "run", recipe, dataset=tmp_path / "dataset", pretrained=published[0])
    for stage in STAGES:
        assert run_stage(run, stage, Accelerator(cpu=True))
    found = load_models(run.model_folder)
    assert found.one_step is not None
    # With a learning rate of zero the baseline is the start itself.
    expected = published[1].state_dict()
    for name, value in found.one_step.autoencoder.state_dict().items():
        if "conv_in" not in name and "conv_out" not in name:
            torch.testing.assert_close(value, expected[name])


def test_a_folder_of_other_widths_is_refused(published):
    with pytest.raises(InputError, match="another architecture"):
        load_pretrained(published[0], make_autoencoder(1, (8, 8, 16, 32), 1, 4))


def test_only_pickles_are_refused(published, tmp_path):
    for name in ("config.json", "diffusion_pytorch_model.bin"):
        (tmp_path / name).write_bytes((published[0] / name).read_bytes())
    with pytest.raises(InputError, match="safetensors"):
        load_pretrained(tmp_path, make_autoencoder(1, WIDTHS, 1, 4))
