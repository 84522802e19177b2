"""Pairs of a stored data set: the same inputs as at inference, observations kept back, noise of the stated strength."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.signal import fftconvolve

from qpi_core.networks.kernel_vae import KernelVAE
from qpi_core.networks.map_windows import map_windows
from qpi_core.synthesis.datasets.dataset import DatasetPlan, write_dataset
from qpi_core.synthesis.datasets.dataset_files import TRAIN
from qpi_core.synthesis.datasets.dataset_reader import KernelDataset
from qpi_core.training.alignment_task import AlignmentTask
from qpi_core.training.data.dataset_source import HELD_OUT_SHARE, ORIENTATIONS, DatasetKernels, DatasetPairs, map_pairs
from qpi_core.training.recipes import get_preset

OBSERVATIONS = 125


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    folder = tmp_path_factory.mktemp("dataset")
    write_dataset(DatasetPlan(kernels=5, observations=OBSERVATIONS, max_defects=20, on_grid=False), folder, progress=False)
    return KernelDataset(folder)


def test_inputs_are_those_of_inference(dataset):
    samples = [dataset[index] for index in (0, 30, 300)]
    expected = torch.cat([map_windows(sample.observation, sample.positions) for sample in samples])
    torch.testing.assert_close(map_pairs(samples), expected, atol=1e-6, rtol=1e-5)
    samples[1].observation[3:9, 4] = np.nan
    expected = torch.cat([map_windows(sample.observation, sample.positions) for sample in samples])
    torch.testing.assert_close(map_pairs(samples), expected, atol=0, rtol=0)


def test_observations_kept_back_are_training_observations_that_no_step_sees(dataset):
    pairs = DatasetPairs(dataset, 0)
    of_kernel = round(0.8 * OBSERVATIONS)
    assert len(pairs.held_out) == 4 * int(HELD_OUT_SHARE * of_kernel) > 0
    assert sorted(pairs.indices + pairs.held_out) == dataset.indices(TRAIN)
    seen = {(sample.kernel_index, sample.observation_index) for sample in pairs.samples(0, len(pairs.indices))}
    assert seen == {dataset.place(index) for index in pairs.indices}, "an epoch is every other one, once"


def test_numbers_name_the_kernels_of_the_inputs(dataset):
    pairs = DatasetPairs(dataset, 0)
    inputs, rows = pairs.numbered(7, 9)
    for sample, row in zip(pairs.samples(7, 9), rows, strict=True):
        kernel = torch.from_numpy(sample.kernel / np.abs(sample.kernel).max())
        torch.testing.assert_close(pairs.kernels[row, 0], kernel)
    same, kernels = pairs(7, 9)
    assert torch.equal(same, inputs) and torch.equal(kernels, pairs.kernels[rows])


def test_noise_is_new_in_every_epoch_and_as_strong_as_stated(dataset):
    clean, noisy = DatasetPairs(dataset, 0), DatasetPairs(dataset, 0, noise=0.5)
    total = len(clean.indices)
    inputs, (other, _) = clean(0, total)[0], noisy(0, total)
    assert torch.equal(inputs[:, 1], other[:, 1]), "the activation map is left alone"
    torch.testing.assert_close(other[:, 0].mean(dim=(1, 2)), torch.zeros(total), atol=1e-5, rtol=0)
    torch.testing.assert_close(other[:, 0].std(dim=(1, 2), correction=0), torch.ones(total), atol=1e-4, rtol=0)
    # A map of unit variance with noise of variance s^2, standardised again, correlates with the clean one by 1 / sqrt(1 + s^2).
    agreement = (inputs[:, 0] * other[:, 0]).mean(dim=(1, 2))
    levels = (1 / agreement**2 - 1).clamp_min(0).sqrt()
    assert float(levels.max()) < 0.55 and float(levels.mean()) == pytest.approx(0.25, abs=0.03)
    assert torch.equal(noisy(3, 2)[0], other[3:5]) and not torch.equal(noisy(total, total)[0].sum(), other.sum())


def test_latents_known_beforehand_give_the_same_loss(dataset):
    recipe = get_preset("smoke")
    torch.manual_seed(0)
    vae = KernelVAE((8, 8, 16, 16), 1, 4).eval()
    recipe = replace(recipe, input_kind="map", kernel_loss_weight=0.0)
    pairs = DatasetPairs(dataset, 0)
    task = AlignmentTask(recipe, pairs, vae, 1)
    plain = AlignmentTask(recipe, lambda first, count: pairs(first, count), vae, 1)
    known, computed = (t.loss(t.model, t.batch(0, 6), 0.0, 0)[0] for t in (task, plain))
    torch.testing.assert_close(known, computed, atol=1e-6, rtol=1e-5)


def test_maps_that_are_held_on_the_device_are_the_same(dataset):
    plain, held = DatasetPairs(dataset, 3), DatasetPairs(dataset, 3, device=torch.device("cpu"))
    for mine, other in zip(plain.numbered(390, 20), held.numbered(390, 20), strict=True):
        assert torch.equal(mine, other)


def test_learning_its_uncertainty_leaves_the_mean_alone(dataset):
    torch.manual_seed(0)
    vae = KernelVAE((8, 8, 16, 16), 1, 4).eval()
    plain = replace(get_preset("smoke"), input_kind="map", kernel_loss_weight=0.0)
    pairs = DatasetPairs(dataset, 0)
    gradients, figures = [], []
    for recipe in (plain, replace(plain, uncertainty_weight=0.5)):
        task = AlignmentTask(recipe, pairs, vae, 1)
        loss, found = task.loss(task.model, task.batch(0, 6), 0.0, 0)
        loss.backward()
        gradients.append(task.model.quant_conv.weight.grad)
        figures.append(found)
    torch.testing.assert_close(gradients[0][:4], gradients[1][:4])
    assert (gradients[0][4:] == 0).all() and (gradients[1][4:] != 0).any()
    assert figures[0]["latent"] == figures[1]["latent"] and "nll" not in figures[0] and torch.isfinite(figures[1]["nll"])


def test_turned_samples_are_still_the_convolution_of_their_kernel_with_their_list(dataset):
    plain, turned = DatasetPairs(dataset, 0), DatasetPairs(dataset, 0, turns=True)
    assert len(turned.kernels) == ORIENTATIONS * len(plain.kernels)
    (inputs, rows), (others, places) = plain.numbered(0, 40), turned.numbered(0, 40)
    assert torch.equal(rows, places // ORIENTATIONS) and len(set((places % ORIENTATIONS).tolist())) == ORIENTATIONS
    changed = 0
    for before, after, row, place in zip(inputs, others, rows, places, strict=True):
        # The maps lie on defects between pixels: convolving the rounded list is as far from both, if they are turned alike.
        errors = [convolution_misfit(pair, pairs.kernels[at, 0]) for pair, pairs, at in ((before, plain, row), (after, turned, place))]
        assert errors[1] == pytest.approx(errors[0], abs=0.02)
        changed += not torch.equal(before, after)
    assert changed > 20
    held, kept = turned.held_out_pairs()
    assert torch.equal(held, plain.held_out_pairs()[0]) and torch.equal(kept, ORIENTATIONS * plain.held_out_pairs()[1])


def convolution_misfit(pair, kernel):
    """Share of the map's variance that the list's linear, cropped convolution with the kernel leaves."""
    model = fftconvolve(pair[1].double(), kernel.double())[32:96, 32:96]
    residual = np.linalg.lstsq(np.stack([model.ravel(), np.ones(model.size)], 1), pair[0].double().numpy().ravel(), rcond=None)[1]
    return float(residual[0] / model.size)


def test_turned_kernels_keep_their_centre_and_their_orders(dataset):
    plain, turned = DatasetKernels(dataset, 3), DatasetKernels(dataset, 3, turns=True)
    for k, kernel in enumerate(plain.kernels):
        same = turned.kernels[ORIENTATIONS * k : ORIENTATIONS * (k + 1)]
        assert torch.equal(same[0], kernel) and torch.equal(same[:, 0, 32, 32], kernel[0, 32, 32].expand(ORIENTATIONS))
        offsets = np.array([same[n, 0, 32 + dy, 32 + dx].item() for n, (dy, dx) in enumerate([(3, 9), (-9, 3), (-3, -9), (9, -3)])])
        assert np.allclose(offsets, kernel[0, 35, 41].item())
    kernels, orders = turned(0, 16)
    places = [int((turned.kernels == kernel).flatten(1).all(dim=1).nonzero()[0]) for kernel in kernels]
    assert torch.equal(orders, turned.orders[places]) and len({place % ORIENTATIONS for place in places}) > 3
