"""The networks' shapes, the start of Encoder_Y, and inference through an untrained model."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from qpi_core.base.errors import InputError
from qpi_core.networks.checkpoints import LoadedModels
from qpi_core.networks.inference import (
    _at_map_pitch,
    _at_network_pitch,
    average_orientations,
    kernel_deviation,
    one_step_kernel,
    two_step_kernel,
)
from qpi_core.networks.kernel_frame import CHANNELS, FRAME_SIZE, ORIENTATIONS, network_window, turn
from qpi_core.networks.kernel_vae import KernelVAE, normalise_kernel
from qpi_core.networks.observation_encoder import FIRST_LOGVAR, ObservationEncoder
from qpi_core.networks.one_step import OneStepNetwork
from qpi_core.operators.convolution import ForwardOperator
from qpi_core.synthesis.simulated_maps.scenes import draw_scene, superpose

SMALL = {"block_out_channels": (8, 8, 16, 16), "layers_per_block": 1, "norm_num_groups": 4}


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    torch.manual_seed(0)
    vae, encoder = KernelVAE(**SMALL).eval(), ObservationEncoder(CHANNELS, "kernel_frame", **SMALL).eval()
    return LoadedModels("small", tmp_path_factory.mktemp("m"), "0", vae, encoder, OneStepNetwork(**SMALL).eval(), "cpu")


def test_shapes(models):
    latent = models.vae.encode_kernel(torch.rand(3, 1, 64, 64))
    assert latent.shape == (3, 4, 8, 8) and models.vae.decode_kernel(latent).shape == (3, 1, 64, 64)
    assert models.encoder(torch.rand(2, CHANNELS, 64, 64)).shape == (2, 4, 8, 8)
    assert models.one_step(torch.rand(2, 2, 64, 64)).shape == (2, 1, 64, 64)


def test_latents_are_standardised_by_the_stored_statistics():
    torch.manual_seed(1)
    vae, kernels = KernelVAE(**SMALL).eval(), torch.rand(70, 1, 64, 64)
    vae.store_latent_statistics(kernels)
    latents = vae.encode_kernel(kernels)
    torch.testing.assert_close(latents.mean(dim=(0, 2, 3)), torch.zeros(4), atol=1e-4, rtol=0)
    torch.testing.assert_close(latents.std(dim=(0, 2, 3)), torch.ones(4), atol=1e-3, rtol=0)
    torch.testing.assert_close(vae.decode_kernel(latents[:2]), vae.decode_raw(vae.posterior(kernels[:2]).mean), atol=1e-4, rtol=1e-3)


def test_encoder_y_starts_as_encoder_k_on_its_channel():
    torch.manual_seed(2)
    vae, encoder = KernelVAE(**SMALL).eval(), ObservationEncoder(CHANNELS, "kernel_frame", **SMALL).eval()
    vae.store_latent_statistics(torch.rand(8, 1, 64, 64))
    encoder.start_from(vae, 3)
    inputs = torch.rand(2, CHANNELS, 64, 64)
    torch.testing.assert_close(encoder(inputs), vae.encode_kernel(inputs[:, 3:4]), atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("method", [two_step_kernel, one_step_kernel])
@pytest.mark.parametrize(("shape", "size"), [((64, 64), 64), ((64, 64), 33), ((30, 40), 20), ((150, 200), 128), ((90, 70), 64)])
def test_any_map_and_any_kernel_size(models, method, shape, size):
    rng = np.random.default_rng(0)
    positions = rng.uniform(0, 1, (12, 2)) * [shape[1] - 1, shape[0] - 1]
    map_ = rng.normal(size=shape).astype(np.float32)
    map_[:3, :4] = np.nan
    answer = method(models, map_, positions, size, np.linspace(0.5, 1, 12))
    assert answer.kernel.shape == (size, size) and np.isfinite(answer.kernel).all()
    assert bool(answer.warnings) == (size > 64) or any("amplitude" in w for w in answer.warnings)


def test_amplitude_and_background_are_those_of_least_squares(models):
    scene = draw_scene(3, 2, noise_level=0.1, count=12)
    base = two_step_kernel(models, scene.observation, scene.positions, 64)
    scaled = two_step_kernel(models, -7 * scene.observation + 2, scene.positions, 64)
    prediction = ForwardOperator(scene.positions, (64, 64), 64)(torch.from_numpy(base.wide_kernel)).numpy() + base.background
    residual = scene.observation - prediction
    assert abs(residual.mean()) < 1e-4 and abs(np.sum(residual * prediction)) < 1e-2 * np.sum(residual**2)
    assert scaled.latent.shape == (4, 8, 8)


def test_binning_keeps_a_smooth_kernel_where_it_was():
    gaussian = lambda dx, dy: np.exp(-(dx**2 + dy**2) / (2 * 9.0**2))  # noqa: E731
    offsets = np.arange(64) - 32.0
    coarse = gaussian(2 * offsets[None, :], 2 * offsets[:, None]).astype(np.float32)
    fine = _at_map_pitch(coarse, 2)
    offsets = np.arange(128) - 64.0
    np.testing.assert_allclose(fine, gaussian(offsets[None, :], offsets[:, None]), atol=5e-3)
    positions = np.array([[50.0, 61.0]])
    task = _at_network_pitch(superpose(gaussian, positions, (120, 130), 1.0).astype(np.float32), positions, None, 128)
    expected = superpose(lambda dx, dy: gaussian(2 * dx, 2 * dy), task.positions, task.observation.shape, 1.0)
    np.testing.assert_allclose(task.observation, expected, atol=5e-3)


def test_a_model_without_baseline_says_so(models):
    bare = LoadedModels("bare", models.folder, "0", models.vae, models.encoder, None, "cpu")
    with pytest.raises(InputError, match="one-step"):
        one_step_kernel(bare, np.random.default_rng(0).normal(size=(64, 64)).astype(np.float32), np.array([[3.0, 3.0]]), 16)


def test_kernels_are_scaled_by_their_largest_absolute_value():
    scaled = normalise_kernel(torch.tensor([[[[0.0, -4.0], [2.0, 1.0]]]]))
    assert scaled.min() == -1 and scaled.max() == 0.5


@pytest.mark.parametrize("method", [two_step_kernel, one_step_kernel])
def test_a_defect_in_the_last_row_of_an_odd_map_is_kept_by_the_binning(models, method):
    map_ = np.random.default_rng(5).normal(size=(129, 131)).astype(np.float32)
    answer = method(models, map_, np.array([[130.0, 128.0]]), 100)
    assert np.isfinite(answer.kernel).all() and np.isfinite(answer.background)


def test_orientations_are_averaged_where_they_overlap():
    rng = np.random.default_rng(0)
    frame = torch.from_numpy(rng.normal(size=(1, FRAME_SIZE, FRAME_SIZE)).astype(np.float32))
    decoded = torch.stack([network_window(turn(frame, k)) for k in range(ORIENTATIONS)])
    # Kernels that agree up to their orientation average to themselves, the first row and column included.
    torch.testing.assert_close(average_orientations(decoded), network_window(frame))
    assert float((average_orientations(decoded + decoded.flip(-1)) - network_window(frame)).abs().max()) > 0.1


def test_an_encoder_says_how_sure_it_is_only_where_it_was_taught():
    torch.manual_seed(3)
    vae, inputs = KernelVAE(**SMALL).eval(), torch.rand(2, CHANNELS, 64, 64)
    plain, taught = (ObservationEncoder(CHANNELS, "kernel_frame", **SMALL, uncertainty=known).eval() for known in (False, True))
    assert plain.distribution(inputs)[1] is None
    taught.start_from(vae, 3)
    mean, spread = taught.distribution(inputs)
    assert torch.equal(mean, taught(inputs))
    torch.testing.assert_close(spread, torch.full_like(spread, float(np.exp(FIRST_LOGVAR / 2))))


class Blocks:
    """A decoder whose kernel repeats the first latent channel in blocks of 8 pixels."""

    @staticmethod
    def decode_kernel(latent):
        return latent[:, :1].repeat_interleave(8, dim=-1).repeat_interleave(8, dim=-2)


def test_the_kernels_deviation_is_that_of_the_latent_seen_through_the_decoder(models):
    decoder = replace(models, vae=Blocks)
    latents, spread = torch.zeros(8, 4, 8, 8), torch.full((8, 4, 8, 8), 0.3)
    found = kernel_deviation(decoder, latents, spread, torch.zeros(64, 64))
    assert float(found.square().mean().sqrt()) == pytest.approx(0.3, rel=0.1)
    # Orientations that disagree are uncertainty too: half of them decode to 1, the others to -1.
    latents[:4], latents[4:] = 1.0, -1.0
    apart = kernel_deviation(decoder, latents, torch.zeros_like(spread), torch.zeros(64, 64))
    torch.testing.assert_close(apart[1:, 1:], torch.ones(63, 63))
    one = kernel_deviation(decoder, latents[:1], torch.zeros(1, 4, 8, 8), torch.ones(64, 64))
    assert not one.any()


def test_two_steps_give_error_bars_in_units_of_the_map(models):
    taught = ObservationEncoder(CHANNELS, "kernel_frame", **SMALL, uncertainty=True).eval()
    taught.start_from(models.vae, 3)
    scene = draw_scene(1, 0, noise_level=0.1)
    sure, unsure = models, replace(models, encoder=taught)
    assert two_step_kernel(sure, scene.observation, scene.positions, 48).deviation is None
    answer = two_step_kernel(unsure, scene.observation, scene.positions, 48)
    again = two_step_kernel(unsure, 7 * scene.observation, scene.positions, 48)
    assert answer.deviation.shape == (48, 48) and np.isfinite(answer.deviation).all()
    np.testing.assert_allclose(again.deviation, 7 * answer.deviation, rtol=1e-3, atol=1e-6)
