"""Model folders: round trip, and damage told in a sentence."""

import json

import pytest
import torch

from qpi_core.base.errors import InputError
from qpi_core.networks.checkpoints import CONFIG_NAME, WEIGHTS_NAME, list_models, load_models, resolve_model, save_network
from qpi_core.networks.kernel_frame import CHANNELS
from qpi_core.networks.kernel_vae import KernelVAE
from qpi_core.networks.observation_encoder import ObservationEncoder

SMALL = {"block_out_channels": (8, 8, 16, 16), "layers_per_block": 1, "norm_num_groups": 4}


@pytest.fixture
def root(tmp_path):
    torch.manual_seed(0)
    vae = KernelVAE(**SMALL)
    vae.store_latent_statistics(torch.rand(8, 1, 64, 64))
    save_network(vae, tmp_path / "small" / "kernel_vae")
    save_network(ObservationEncoder(CHANNELS, "kernel_frame", **SMALL), tmp_path / "small" / "observation_encoder")
    (tmp_path / "small" / "README.md").write_text("# A small model\n")
    return tmp_path


def test_round_trip_keeps_every_weight(root):
    first, second = load_models("small", root=root), load_models(root / "small")
    kernels = torch.rand(2, 1, 64, 64)
    torch.testing.assert_close(first.vae.encode_kernel(kernels), second.vae.encode_kernel(kernels))
    assert float(first.vae.latent_std.sub(1).abs().max()) > 0.01, "the latent statistics travel with the weights"
    assert first.sha256 == second.sha256 and first.one_step is None
    assert first.encoder.config["input_kind"] == "kernel_frame"


def test_models_are_listed_with_the_title_of_their_card(root):
    assert [(info.name, info.title) for info in list_models(root)] == [("small", "A small model")]
    assert list_models(root / "nowhere") == []


def test_an_unknown_model_is_told_with_those_that_exist(root):
    with pytest.raises(InputError, match="small"):
        resolve_model("large", root)


@pytest.mark.parametrize("network", ["kernel_vae", "observation_encoder"])
@pytest.mark.parametrize("damage", ["cut", "garbage", "config", "other class", "weights missing", "wrong widths"])
def test_damage_is_told_in_a_sentence(root, network, damage):
    weights, config = (root / "small" / network / name for name in (WEIGHTS_NAME, CONFIG_NAME))
    settings = json.loads(config.read_text())
    if damage == "cut":
        weights.write_bytes(weights.read_bytes()[:5000])
    elif damage == "garbage":
        weights.write_bytes(b"\x80\x04 this is no safetensors file")
    elif damage == "config":
        config.write_text("{")
    elif damage == "other class":
        config.write_text(json.dumps(settings | {"_class_name": "AutoencoderKL"}))
    elif damage == "weights missing":
        weights.unlink()
    else:
        config.write_text(json.dumps(settings | {"block_out_channels": [8, 16, 16, 16]}))
    with pytest.raises(InputError, match=f"small/{network}"):
        load_models("small", root=root)
