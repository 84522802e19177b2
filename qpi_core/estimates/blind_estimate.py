"""What an extraction from a map alone returns: an estimate that says whether it vouches for itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qpi_core.estimates.estimate import KernelEstimate
from qpi_core.estimates.stack_estimate import StackEstimate


@dataclass(frozen=True, eq=False)
class BlindAlternative:
    """One of the explanations that the search came to.

    Attributes:
        kernels: (energies, k, k) float32, units of the observation, centre at index k // 2; one energy for a single map.
        positions: (n, 2) float64, (x, y) in pixels.
        weights: (n,) float64, amplitude of each defect, of mean 1.
        symmetry_order: of the kernels that were tried: 0, 2, 3, 4 or 6.
        evidence: log evidence below that of the best explanation, 0 for the best one.
        unexplained: share of the map's variance that it leaves beyond the noise.
    """

    kernels: NDArray[np.float32]
    positions: NDArray[np.float64]
    weights: NDArray[np.float64]
    symmetry_order: int
    evidence: float
    unexplained: float

    @property
    def kernel(self) -> NDArray[np.float32]:
        """The kernel of the first energy, (k, k)."""
        return np.asarray(self.kernels[0])


@dataclass(frozen=True)
class BlindEstimate(KernelEstimate):
    """A KernelEstimate whose defects were found in the map itself.

    Attributes:
        trusted: whether it vouches for kernel and defects.
        reason: why, or why not, in one sentence.
        alternatives: the explanations that the search came to, the best first.
    """

    trusted: bool = False
    reason: str = ""
    alternatives: tuple[BlindAlternative, ...] = ()

    def summary(self) -> dict[str, Any]:
        """Return all values but the images, in strict JSON types."""
        return {**super().summary(), "trusted": self.trusted, "reason": self.reason}


@dataclass(frozen=True, eq=False)
class BlindStackEstimate(StackEstimate):
    """A StackEstimate whose defects were found in the stack itself; attributes as BlindEstimate."""

    trusted: bool = False
    reason: str = ""
    alternatives: tuple[BlindAlternative, ...] = ()
