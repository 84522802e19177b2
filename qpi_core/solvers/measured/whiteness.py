"""Whether what a fit leaves of a map is white noise, by its neighbouring pixels: the cheapest look at a list of defects.

What a wrong list leaves has the grain of the kernel.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from qpi_core.diagnostics.identifiability import neighbour_correlation
from qpi_core.solvers.harmonic.answer import superposition
from qpi_core.solvers.harmonic.model import HarmonicModel
from qpi_core.solvers.harmonic.start import HarmonicStart

_WHITE_DEVIATIONS = 1.5
"""Standard deviations of the correlation between neighbours up to which a residual counts as white."""


def start_leaves_white_noise(start: HarmonicStart, values: NDArray[np.float32]) -> bool:
    """Say whether neighbouring pixels of what the first stage leaves of a map are unrelated; False where it took not all pixels."""
    if start.samples.values.size < int(np.isfinite(values).sum()):
        return False
    fit = start.selection.best
    left = np.full(values.shape, np.nan, dtype=np.float32)
    left[start.frame.indices(start.samples)] = start.design.residual(fit.hyperparameters.orders, fit.evidence.profiles)
    return _is_white(left)


def model_leaves_white_noise(model: HarmonicModel, values: NDArray[np.float32]) -> bool:
    """Say the same of what a model leaves of its map."""
    return _is_white(np.asarray(values - superposition(model, (values.shape[0], values.shape[1])), dtype=np.float32))


def _is_white(left: NDArray[np.float32]) -> bool:
    return bool(neighbour_correlation(left) < _WHITE_DEVIATIONS / np.sqrt(np.isfinite(left).sum()))
