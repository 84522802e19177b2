"""Several scans as one stack: shifts against the true ones, and files that do not fit together."""

from __future__ import annotations

import json

import numpy as np
import pytest

import qpi_core
from qpi_core.__main__ import main
from qpi_core.base.errors import InputError
from qpi_core.maps.registration import find_shift, moved_back
from qpi_core.maps.series import load_stack
from qpi_core.synthesis.kernel_families.equation_7 import KernelParameters, evaluate
from qpi_core.synthesis.simulated_maps.scenes import superpose

SHAPE, PITCH = (72, 80), 0.2
ENERGIES = (40.0, -20.0, 10.0)
DRIFTS = np.array([[0.0, 0.0], [2.37, -1.62], [-0.81, 3.24]])  # (dx, dy) px of each file
POSITIONS = np.random.default_rng(8).uniform([8, 8], [SHAPE[1] - 9, SHAPE[0] - 9], (12, 2))


def scan(energy: float, drift: np.ndarray, noise: float = 0.3, sign: float = 1.0) -> np.ndarray:
    pattern = KernelParameters(symmetry_order=4, orientation=0.3, wavenumber=2.0 + energy / 100, phase=0.5, decay=0.3)
    clean = superpose(lambda dx, dy: evaluate(pattern, dx, dy), POSITIONS + drift, SHAPE, PITCH)
    rng = np.random.default_rng(int(energy) + 100)
    return sign * clean + noise * clean.std() * rng.standard_normal(SHAPE)


@pytest.fixture
def folder(tmp_path):
    for index, (energy, drift) in enumerate(zip(ENERGIES, DRIFTS, strict=True)):
        np.savez(tmp_path / f"scan{index}.npz", didv=scan(energy, drift), bias_mv=np.array([energy]))
    np.savetxt(tmp_path / "p.csv", POSITIONS, delimiter=",", header="x_px,y_px", comments="")
    return tmp_path


def paths(folder):
    return [folder / f"scan{index}.npz" for index in range(3)]


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_shifts_are_found_to_a_tenth_of_a_pixel_also_where_the_contrast_turns(sign):
    for drift in DRIFTS[1:]:
        found = find_shift(scan(10.0, DRIFTS[0]), scan(10.0, drift, sign=sign) + 0.02 * np.arange(SHAPE[1]))
        assert abs(found.dx - drift[0]) < 0.1 and abs(found.dy - drift[1]) < 0.1
        assert found.trusted and np.sign(found.correlation) == sign


def test_moving_back_undoes_a_shift_and_marks_what_is_not_covered():
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]].astype(float)

    def waves(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        return np.sin(0.4 * x + 0.1 * y) + np.cos(0.3 * y)

    dx, dy = DRIFTS[1]
    moved = moved_back(waves(x - dx, y - dy), dy, dx)
    assert np.isfinite(moved).sum() == (SHAPE[0] - 2) * (SHAPE[1] - 3)
    np.testing.assert_allclose(moved[6:-6, 6:-6], waves(x, y)[6:-6, 6:-6], atol=2e-3)


def test_unlike_maps_are_not_moved():
    rng = np.random.default_rng(0)
    assert not find_shift(rng.standard_normal(SHAPE), rng.standard_normal(SHAPE)).trusted
    assert not find_shift(rng.standard_normal(SHAPE), np.zeros(SHAPE)).trusted


def test_files_become_one_stack_in_the_order_of_their_energies(folder):
    found = load_stack(paths(folder), pixel_size_nm=PITCH)
    np.testing.assert_array_equal(found.bias_mv, sorted(ENERGIES))
    stack = found.stack()
    assert stack.shape == (3, *SHAPE) and "3 files" in found.file_format
    missing = ~np.isfinite(stack)
    assert (missing == missing[0]).all() and 0 < missing[0].mean() < 0.2
    for layer, energy in zip(stack, found.bias_mv, strict=True):
        clean = scan(energy, DRIFTS[0], noise=0.0)
        there = np.isfinite(layer)
        assert np.corrcoef(layer[there], clean[there])[0, 1] > 0.93
    assert "scan1.npz by (-2." in found.warnings[0] and "scan0.npz by" not in found.warnings[0]


def test_alignment_can_be_left_out_and_energies_given(folder):
    for index, path in enumerate(paths(folder)):
        np.save(path.with_suffix(".npy"), scan(ENERGIES[index], DRIFTS[index]))
    found = load_stack([path.with_suffix(".npy") for path in paths(folder)], bias_mv=[1.0, 3.0, 2.0], align=False)
    np.testing.assert_array_equal(found.bias_mv, [1, 2, 3])
    np.testing.assert_allclose(found.stack()[1], np.load(folder / "scan2.npy"))
    unknown = load_stack([path.with_suffix(".npy") for path in paths(folder)])
    assert np.isnan(unknown.bias_mv).all() and "in the order of the files" in " ".join(unknown.warnings)


def test_a_file_of_another_place_stays_where_it_is_and_is_named(folder):
    np.savez(folder / "other.npz", didv=np.random.default_rng(1).standard_normal(SHAPE), bias_mv=np.array([80.0]))
    found = load_stack([*paths(folder), folder / "other.npz"], pixel_size_nm=PITCH)
    assert "Too little in common to be moved, left in place: other.npz." in found.warnings


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda folder: [folder / "scan0.npz"], "at least two files"),
        (lambda folder: str(folder / "scan0.npz"), "at least two files"),
        (lambda folder: [folder / "scan0.npz", folder / "small.npy"], "same size in pixels"),
    ],
)
def test_files_that_do_not_fit_get_a_sentence(folder, make, words):
    np.save(folder / "small.npy", np.eye(20))
    with pytest.raises(InputError, match=words):
        load_stack(make(folder))


@pytest.mark.slow
def test_kernels_of_moved_scans_are_those_of_scans_that_lay_still(folder):
    found = load_stack(paths(folder), pixel_size_nm=PITCH)
    answer = qpi_core.extract_stack(
        qpi_core.load_extractor(device="cpu"), found.stack(), POSITIONS, pixel_size_nm=PITCH, kernel_size=24, method="defect_average"
    )
    still = np.stack([scan(energy, DRIFTS[0]) for energy in found.bias_mv])
    expected = qpi_core.extract_stack(
        qpi_core.load_extractor(device="cpu"), still, POSITIONS, pixel_size_nm=PITCH, kernel_size=24, method="defect_average"
    )
    for one, other in zip(answer.kernels, expected.kernels, strict=True):
        assert np.corrcoef(one.ravel(), other.ravel())[0, 1] > 0.97


def test_the_command_takes_several_files(folder, capsys):
    arguments = ["--positions", str(folder / "p.csv"), "--out", str(folder / "out"), "--kernel-size", "24", "--quiet"]
    arguments += ["--method", "defect_average", "--pixel-size-nm", str(PITCH)]
    assert main(["stack", *(str(path) for path in paths(folder)), *arguments]) == 0
    assert "Warning: The scans were moved onto scan0.npz" in capsys.readouterr().out
    assert json.loads((folder / "out" / "stack.json").read_text(encoding="utf-8"))["bias_mv"] == sorted(ENERGIES)
    assert main(["stack", str(paths(folder)[0]), *arguments, "--bias-mv", "3"]) == 2
    assert "one energy a file" in capsys.readouterr().err
