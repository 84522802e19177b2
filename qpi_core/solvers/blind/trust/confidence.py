"""How sure each single defect of a finding is, given the kernel and the other defects.

    log odds = log p(Y | with it) - log p(Y | without it) - log((N - n + 1) / n)

for n defects on N pixels, with the strength and the place that were found. Where the kernel itself is wrong, so may all of them be.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from qpi_core.solvers.blind.finish import Finding
from qpi_core.solvers.blind.points.point_patterns import point_patterns

_CHUNK = 32


def defect_probabilities(finding: Finding) -> NDArray[np.float64]:
    """Return the probability that each defect is there, (n,)."""
    fit, layers, count = finding.fit, finding.step.layers, len(finding.positions)
    residuals = fit.residuals.reshape(len(fit.residuals), -1)[:, layers.measured.ravel()].astype(np.float64)
    gains = []
    for first in range(0, count, _CHUNK):
        part = slice(first, first + _CHUNK)
        patterns = point_patterns(fit.kernels, finding.positions[part], layers.shape)[:, 0]
        total: NDArray[np.float64] = np.zeros(patterns.shape[1])
        for layer, variance, left in zip(patterns, fit.variances, residuals, strict=True):
            seen = finding.step.without_long_waves(layer) * finding.weights[part, None]
            # |residual + pattern|^2 - |residual|^2: what the misfit grows by without the defect.
            total += (2 * seen @ left + (seen**2).sum(axis=1)) / (2 * variance)
        gains.append(total)
    return np.asarray(expit(np.concatenate(gains) - np.log((layers.pixels - count + 1) / count)), dtype=np.float64)
