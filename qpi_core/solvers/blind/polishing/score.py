"""How well an activation map explains the layers: one number for maps with any number of defects and kernels of any symmetry.

score = log marginal likelihood of the layers - log (pixels choose defects) - log pixels
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaln

from qpi_core.solvers.blind.polishing.kernel_step import KernelFit, KernelStep

FEWEST_DEFECTS = 1


@dataclass(frozen=True, eq=False)
class Candidate:
    """An activation map with the kernels that it leads to.

    Attributes:
        step: the symmetry and the layers that it was solved with.
        activation: (height, width) float32; 0 and 1, or amplitudes while it is polished.
        fit: the kernels.
        score: of the activation map where it is of 0 and 1.
    """

    step: KernelStep
    activation: NDArray[np.float32]
    fit: KernelFit
    score: float

    @property
    def symmetry_order(self) -> int:
        """Order of the bank's symmetry."""
        return self.step.bank.bank.symmetry_order


def scored(step: KernelStep, activation: NDArray[np.float32]) -> Candidate:
    """Return the candidate of an activation map of 0 and 1."""
    fit = step.solve(activation)
    return Candidate(step, activation, fit, fit.log_likelihood - list_cost(float(activation.sum()), step.layers.pixels))


def list_cost(defects: float, pixels: int) -> float:
    """Return what it takes to say which pixels hold a defect, in nats."""
    return float(gammaln(pixels + 1) - gammaln(defects + 1) - gammaln(pixels - defects + 1) + np.log(pixels))


def nothing_score(pixels: int) -> float:
    """Return the score of noise alone, no defect, per layer of spread 1."""
    return -float(np.log(pixels))
