"""Better filters from their own peaks: the bank's ridge regression of the cut peaks, cut again, until nothing changes."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve

from qpi_core.solvers.blind.start.peak_threshold import cut_peaks

Array = NDArray[np.float64]

_RIDGE = 3e-3


class SelfTraining:
    """The responses of one bank to a map, ready for regressions onto activation maps."""

    def __init__(self, responses: NDArray[np.float32], shape: tuple[int, int]) -> None:
        """Take responses (count, height * width), each of mean zero."""
        self.responses, self.shape = responses, shape
        covariance = (responses @ responses.T).astype(np.float64) / responses.shape[1]
        self._spread = np.sqrt(np.diag(covariance)) + 1e-30
        self._factor = cho_factor(covariance / np.outer(self._spread, self._spread) + _RIDGE * np.eye(len(covariance)))

    def trained(self, activation: NDArray[np.float32], most: int, rounds: int = 6) -> NDArray[np.float32]:
        """Return the activation map (height, width) that an activation map of 0 and 1 leads to; at most `most` defects."""
        for _ in range(rounds):
            target = activation.ravel() - activation.mean()
            projected = self.responses @ target / target.size
            weights = cho_solve(self._factor, projected / self._spread) / self._spread
            found = cut_peaks((weights.astype(np.float32) @ self.responses).reshape(self.shape), most)
            if np.array_equal(found, activation):
                break
            activation = found
        return activation
