"""Linear operators as mathematics has them: application, adjoint, normal operator, composition."""

from __future__ import annotations

from abc import ABC, abstractmethod

from torch import Tensor


class LinearOperator(ABC):
    """A linear map between tensors; leading axes are separate problems.

    The adjoint is defined by <L u, v> = <u, L^T v> with the sum over all elements as inner product.
    """

    @abstractmethod
    def __call__(self, values: Tensor) -> Tensor:
        """Return L u."""

    @abstractmethod
    def adjoint(self, values: Tensor) -> Tensor:
        """Return L^T v."""

    def normal(self, values: Tensor) -> Tensor:
        """Return L^T L u, which is symmetric and positive semidefinite."""
        return self.adjoint(self(values))

    def __matmul__(self, inner: LinearOperator) -> LinearOperator:
        """Return the composition u -> L (inner u)."""
        return Composition(self, inner)


class Composition(LinearOperator):
    """u -> L (K u), with the adjoint v -> K^T (L^T v)."""

    def __init__(self, outer: LinearOperator, inner: LinearOperator) -> None:
        """Take the operators in the order in which they are written, the one that acts first last."""
        self.outer, self.inner = outer, inner

    def __call__(self, values: Tensor) -> Tensor:
        """Return L (K u)."""
        return self.outer(self.inner(values))

    def adjoint(self, values: Tensor) -> Tensor:
        """Return K^T (L^T v)."""
        return self.inner.adjoint(self.outer.adjoint(values))


class Multiplication(LinearOperator):
    """u -> factor u, element by element: a mask, or the envelope of a prior."""

    def __init__(self, factor: Tensor) -> None:
        """Take the factor, real, of a shape that spreads to that of the values."""
        self.factor = factor

    def __call__(self, values: Tensor) -> Tensor:
        """Return factor u."""
        return self.factor * values

    def adjoint(self, values: Tensor) -> Tensor:
        """Return factor v: a real diagonal is its own adjoint."""
        return self.factor * values
