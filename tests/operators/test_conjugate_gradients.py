"""Multi-shift conjugate gradients against dense solves."""

import numpy as np
import torch

from qpi_core.operators.conjugate_gradients import multi_shift_cg


def test_every_shift_equals_its_dense_solution():
    rng = np.random.default_rng(0)
    root = rng.normal(size=(16, 16))
    matrix = root @ root.T / 16
    dense = torch.from_numpy(matrix)
    right = torch.from_numpy(rng.normal(size=(2, 4, 4)))
    shifts = [0.05, 0.3, 2.0, 50.0]
    solutions = multi_shift_cg(lambda u: (u.reshape(2, 16) @ dense).reshape(2, 4, 4), right, shifts, 60)
    for shift, found in zip(shifts, solutions, strict=True):
        expected = np.linalg.solve(matrix + shift * np.eye(16), right.reshape(2, 16).numpy().T).T
        np.testing.assert_allclose(found.reshape(2, 16).numpy(), expected, rtol=1e-6, atol=1e-8)


def test_every_problem_may_have_its_own_shifts_and_go_on_after_it_has_converged():
    diagonal = torch.linspace(1, 3, 9, dtype=torch.float64).reshape(3, 3)
    right = torch.ones(2, 3, 3, dtype=torch.float64)
    shifts = torch.tensor([[0.1, 1.0], [0.5, 4.0]], dtype=torch.float64)
    solutions = multi_shift_cg(lambda u: diagonal * u, right, shifts, 200)
    torch.testing.assert_close(solutions, right / (diagonal + shifts[..., None, None]), rtol=3e-6, atol=1e-9)


def test_a_zero_right_side_gives_zero():
    assert not multi_shift_cg(lambda u: u, torch.zeros(3, 3), [1.0, 2.0], 5).any()
