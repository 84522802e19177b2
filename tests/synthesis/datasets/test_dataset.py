"""The simulated data set: the paper's numbers, samples against an explicit sum, reproducible, resumable, whole."""

import json

import numpy as np
import pytest

from qpi_core.base.errors import InputError
from qpi_core.synthesis.datasets.dataset import DatasetPlan, draw_observation, draw_parameters, kernel_splits, write_dataset
from qpi_core.synthesis.datasets.dataset_files import IN_DOMAIN, OUT_OF_DOMAIN, TRAIN
from qpi_core.synthesis.datasets.dataset_reader import KernelDataset

SMALL = DatasetPlan(kernels=6, observations=5, seed=3, size=24, max_defects=9)


def explicit_sum(parameters, positions, size, pitch):
    """Eq. 7 written out once more, one pixel and one defect at a time."""
    total = np.zeros((size, size))
    for row in range(size):
        for column in range(size):
            for x, y in positions:
                dx, dy = (column - x) * pitch, (row - y) * pitch
                r, theta = np.hypot(dx, dy), np.arctan2(dy, dx)
                angular = np.sin(parameters.symmetry_order / 2 * theta + parameters.orientation) ** 2
                radial = np.sin(parameters.wavenumber * r + parameters.phase) ** 2
                total[row, column] += angular * radial * np.exp(-parameters.decay * r**2)
    return total


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    folder = tmp_path_factory.mktemp("small")
    write_dataset(SMALL, folder, progress=False)
    return folder


def test_defaults_are_the_papers_data_set():
    plan = DatasetPlan()
    assert (plan.kernels, plan.observations, plan.size, plan.min_defects, plan.max_defects) == (100, 500, 64, 1, 100)
    assert plan.size * plan.pixel_size_nm == pytest.approx(10)
    orders = [draw_parameters(plan, kernel).symmetry_order for kernel in range(plan.kernels)]
    assert {order / 2: orders.count(order) for order in set(orders)} == {0: 20, 1: 20, 1.5: 20, 2: 20, 3: 20}
    splits = kernel_splits(orders)
    assert (splits.count(TRAIN), splits.count(OUT_OF_DOMAIN)) == (80, 20)
    tested = [order for order, split in zip(orders, splits, strict=True) if split == OUT_OF_DOMAIN]
    assert all(tested.count(order) == 4 for order in set(orders))


def test_number_of_defects_is_uniform_between_its_limits():
    plan = DatasetPlan(kernels=1, observations=400, min_defects=2, max_defects=5, size=8)
    counts = [len(draw_observation(plan, 0, number)[1]) for number in range(plan.observations)]
    shares = np.bincount(counts, minlength=6)[2:] / plan.observations
    assert set(counts) == {2, 3, 4, 5}
    np.testing.assert_allclose(shares, 0.25, atol=0.08)


@pytest.mark.parametrize("on_grid", [True, False])
def test_samples_are_the_explicit_superposition(on_grid):
    plan = DatasetPlan(kernels=3, observations=2, seed=8, size=16, max_defects=6, on_grid=on_grid)
    for kernel in range(3):
        observation, positions = draw_observation(plan, kernel, 1)
        assert np.array_equal(positions, np.rint(positions)) == on_grid
        expected = explicit_sum(draw_parameters(plan, kernel), positions, plan.size, plan.pixel_size_nm)
        np.testing.assert_allclose(observation, expected, atol=1e-5)


def test_noise_level_is_relative_to_the_clean_map():
    clean = draw_observation(DatasetPlan(seed=1), 2, 7)[0]
    noisy = draw_observation(DatasetPlan(seed=1, noise_level=0.2), 2, 7)[0]
    assert np.std(noisy - clean) == pytest.approx(0.2 * np.std(clean), rel=0.05)


def test_reading_gives_what_was_drawn(small):
    dataset = KernelDataset(small)
    assert len(dataset) == 30
    sample = dataset[17]
    assert (sample.kernel_index, sample.observation_index) == (3, 2)
    observation, positions = draw_observation(SMALL, 3, 2)
    np.testing.assert_array_equal(sample.observation, observation)
    np.testing.assert_array_equal(sample.positions, positions)
    assert sample.parameters == draw_parameters(SMALL, 3)
    assert sample.symmetry_order == 4
    assert sample.activation_map.sum() == len(positions)
    assert all(sample.activation_map[int(y), int(x)] == 1 for x, y in positions)
    # One defect in the middle would show the kernel itself: the centre is at index size // 2.
    expected = explicit_sum(sample.parameters, [(12, 12)], 24, SMALL.pixel_size_nm)
    np.testing.assert_allclose(sample.kernel, expected, atol=1e-6)


def test_parts_are_disjoint_and_no_test_kernel_is_trained_on(small):
    dataset = KernelDataset(small)
    parts = {split: dataset.indices(split) for split in (TRAIN, IN_DOMAIN, OUT_OF_DOMAIN)}
    assert sorted(index for part in parts.values() for index in part) == list(range(30))
    kernels = {split: {dataset[index].kernel_index for index in part} for split, part in parts.items()}
    assert kernels[TRAIN] == kernels[IN_DOMAIN]
    assert not kernels[TRAIN] & kernels[OUT_OF_DOMAIN]
    assert [len(parts[split]) for split in (TRAIN, IN_DOMAIN, OUT_OF_DOMAIN)] == [20, 5, 5]
    assert len(dataset.kernels()) == 5 and len(dataset.kernels(test=True)) == 1


def test_same_seed_same_bytes_and_another_seed_differs(small, tmp_path):
    write_dataset(SMALL, tmp_path / "again", progress=False)
    digests = [json.loads((folder / "manifest.json").read_text())["kernels"] for folder in (small, tmp_path / "again")]
    assert digests[0] == digests[1]
    other = DatasetPlan(**{**SMALL.as_dict(), "seed": 4})
    assert not np.array_equal(draw_observation(other, 0, 0)[0], draw_observation(SMALL, 0, 0)[0])


def test_interrupted_writing_goes_on_and_gives_the_same(small, tmp_path, monkeypatch):
    from qpi_core.synthesis.datasets import dataset

    drawn = []
    simulate = dataset.simulate_kernel

    def stop_at_the_third(plan, kernel, split):
        if len(drawn) == 2:
            raise KeyboardInterrupt
        drawn.append(kernel)
        return simulate(plan, kernel, split)

    monkeypatch.setattr(dataset, "simulate_kernel", stop_at_the_third)
    with pytest.raises(KeyboardInterrupt):
        write_dataset(SMALL, tmp_path, progress=False)
    with pytest.raises(InputError, match="unfinished: 4 of 6"):
        KernelDataset(tmp_path)
    # A file that the interruption left half-written is made again.
    (tmp_path / "kernel-0001-observations.npy").write_bytes(b"cut off")
    rest = []
    monkeypatch.setattr(dataset, "simulate_kernel", lambda plan, kernel, split: rest.append(kernel) or simulate(plan, kernel, split))
    write_dataset(SMALL, tmp_path, progress=False)
    assert rest == [1, 2, 3, 4, 5]
    KernelDataset(tmp_path).verify()
    finished = [json.loads((folder / "manifest.json").read_text())["kernels"] for folder in (small, tmp_path)]
    assert finished[0] == finished[1]


def test_another_plan_or_a_foreign_folder_is_refused(small, tmp_path):
    with pytest.raises(InputError, match="another plan"):
        write_dataset(DatasetPlan(**{**SMALL.as_dict(), "noise_level": 0.1}), small, progress=False)
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(InputError, match="not empty"):
        write_dataset(SMALL, tmp_path, progress=False)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_damage_is_told(small, tmp_path):
    import shutil

    shutil.copytree(small, tmp_path / "copy")
    (tmp_path / "copy" / "kernel-0002.npz").write_bytes(b"PK\x03\x04 nothing")
    with pytest.raises(InputError, match="kernel 2"):
        KernelDataset(tmp_path / "copy")[12]
    with pytest.raises(InputError, match="kernel-0002.npz"):
        KernelDataset(tmp_path / "copy").verify()
    (tmp_path / "copy" / "manifest.json").write_text("{")
    with pytest.raises(InputError, match="cannot be read"):
        KernelDataset(tmp_path / "copy")
    with pytest.raises(InputError, match="holds no data set"):
        KernelDataset(tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("changed", "word"),
    [
        ({"kernels": 0}, "kernels"),
        ({"max_defects": 0}, "max_defects"),
        ({"noise_level": -1.0}, "noise_level"),
        ({"noise_level": float("nan")}, "noise"),
    ],
)
def test_impossible_plans_get_a_sentence(changed, word):
    with pytest.raises(InputError, match=word):
        DatasetPlan(**changed)
