"""The forward operator of several classes of defects at once: (A_1, ..., A_C) -> sum_c A_c*M_c."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from qpi_core.operators.convolution import ForwardOperator
from qpi_core.operators.linear import LinearOperator


class JointOperator(LinearOperator):
    """Linear operator on the kernels of all classes, which lie below each other in one window (..., C k, k).

    One window instead of an axis more: conjugate gradients then take all kernels for one unknown.
    """

    def __init__(self, operators: Sequence[ForwardOperator]) -> None:
        """Take the operators of the single classes; all have one map and one kernel size."""
        self.operators = tuple(operators)
        self.shape, self.kernel_size = self.operators[0].shape, self.operators[0].kernel_size

    def parts(self, kernel: Tensor) -> tuple[Tensor, ...]:
        """Return the kernel of every class, (..., k, k), from the window of all."""
        return torch.tensor_split(kernel, len(self.operators), dim=-2)

    def __call__(self, kernel: Tensor) -> Tensor:
        """Return the map of all classes together, (..., height, width)."""
        first, *others = (operator(part) for operator, part in zip(self.operators, self.parts(kernel), strict=True))
        return sum(others, start=first)

    def adjoint(self, observation: Tensor) -> Tensor:
        """Return the adjoint's kernels, (..., C k, k)."""
        return torch.cat([operator.adjoint(observation) for operator in self.operators], dim=-2)
