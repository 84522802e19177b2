"""Kernels turned by any angle, mirrored and stretched, and the maps that are superposed from them."""

import numpy as np
import pytest
import torch

from qpi_core.networks.kernel_vae import normalise_kernel
from qpi_core.operators.reconstruction import reconstruct
from qpi_core.synthesis.datasets.dataset import DatasetPlan, write_dataset
from qpi_core.synthesis.datasets.dataset_reader import KernelDataset
from qpi_core.synthesis.kernel_families.equation_7 import phenomenological_kernel
from qpi_core.training.data.similarities import MOST_STRETCH, VariedKernels, VariedPairs, draw_similarities

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    folder = tmp_path_factory.mktemp("dataset")
    write_dataset(DatasetPlan(kernels=5, observations=100, max_defects=6), folder, progress=False)
    return KernelDataset(folder)


def kernel(order, orientation, wavenumber, decay):
    drawn = phenomenological_kernel(order, orientation, wavenumber, 0.4, decay, size=64, pixel_size_nm=0.15625)
    return torch.from_numpy(drawn.astype(np.float32))[None, None]


@pytest.mark.slow
def test_a_varied_kernel_of_equation_7_is_one_of_equation_7():
    """Turned by any angle it has another orientation, stretched by f the wavenumber B / f and the decay lambda / f^2.

    Within two pixels of the centre the angular factor varies faster than the pixels, and no interpolation can follow.
    """
    rows, columns = np.indices((64, 64)) - 32
    outside = torch.from_numpy(np.hypot(rows, columns) > 2)
    varied = draw_similarities(kernel(3, 0.3, 3.0, 0.3).repeat(4, 1, 1, 1), torch.Generator().manual_seed(2))
    for one in varied:
        found = min(
            float((one - kernel(3, orientation, 3.0 / factor, 0.3 / factor**2)[0]).abs()[0][outside].max())
            for factor in np.geomspace(1 / MOST_STRETCH, MOST_STRETCH, 41)
            for orientation in np.linspace(0, np.pi, 41)
        )
        assert found < 0.05, "the search's own steps leave up to 0.03"


def test_a_batch_follows_from_its_place(dataset):
    source = VariedKernels(dataset, 4, CPU)
    kernels, orders = source(8, 4)
    again, _ = VariedKernels(dataset, 4, CPU)(8, 4)
    assert torch.equal(kernels, again) and not torch.equal(kernels, source(12, 4)[0])
    assert set(orders.tolist()) <= {0, 2, 3, 4, 6} and torch.equal(normalise_kernel(kernels), kernels)


def test_a_map_is_the_superposition_of_its_varied_kernel(dataset):
    inputs, kernels = VariedPairs(dataset, 1, CPU)(0, 3)
    for (observed, activation), pattern in zip(inputs.numpy(), kernels.numpy()[:, 0], strict=True):
        rows, columns = np.nonzero(activation)
        places = np.stack([columns, rows], axis=1).astype(np.float64)
        expected = reconstruct(pattern.astype(np.float64), 0.0, places, activation[rows, columns], (64, 64))
        alike = np.corrcoef(expected.ravel(), observed.ravel())[0, 1]
        assert alike > 0.9999, "kernels are on another scale and have another zero than the map"


def test_what_is_kept_back_is_not_trained_on(dataset):
    pairs = VariedPairs(dataset, 1, CPU)
    assert pairs.held_out and not set(pairs.held_out) & set(pairs.stored.indices)
    assert len(pairs.held_out_pairs()[0]) == len(pairs.held_out)
