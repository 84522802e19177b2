"""Whether what a fit leaves of a map is white noise, by its neighbouring pixels: the cheapest look at a list of defects.

What a wrong list leaves has the grain of the kernel.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from qpi_core.diagnostics.identifiability import may_be_modelled, neighbour_correlation
from qpi_core.noise.components import MixedModel
from qpi_core.noise.lattice_waves import find_lattice_waves
from qpi_core.noise.selection import SelectionOptions, score_white_noise
from qpi_core.noise.tiles import PART_PX, fullest_part
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
    left[start.samples.places] = start.design.residual(fit.hyperparameters.orders, fit.evidence.profiles)
    return _is_white(left)


def model_leaves_white_noise(model: HarmonicModel, values: NDArray[np.float32]) -> bool:
    """Say the same of what a model leaves of its map."""
    return _is_white(np.asarray(values - superposition(model, (values.shape[0], values.shape[1])), dtype=np.float32))


def residual_chances(left: NDArray[np.floating], aspect: tuple[float, float], positions: NDArray[np.float64]) -> dict[str, float]:
    """Return how probable white noise makes what kernels leave of a map, (height, width) with NaN where not measured, term by term.

    Of a large map the square with the most defects is looked at. Empty where nothing is left, or nothing was measured.
    """
    options = SelectionOptions()
    if not may_be_modelled(np.isfinite(left)):
        left = left[fullest_part(np.isfinite(left), positions, PART_PX)]
    if not np.isfinite(left).any() or np.nanvar(left) == 0:
        return {}
    centred = np.asarray(left - np.nanmean(left), dtype=np.float64)
    chances = score_white_noise(MixedModel(centred, (), aspect, 0.0), centred, float(np.nanmean(centred**2)), options)
    return {**chances, "waves": 0.0 if find_lattice_waves(centred) else 1.0}


def leaves_white_noise(left: NDArray[np.floating], aspect: tuple[float, float], positions: NDArray[np.float64]) -> bool:
    """Say whether what kernels leave of a map is white noise (see residual_chances)."""
    return min(residual_chances(left, aspect, positions).values(), default=1.0) >= SelectionOptions().probability


def _is_white(left: NDArray[np.float32]) -> bool:
    return bool(neighbour_correlation(left) < _WHITE_DEVIATIONS / np.sqrt(np.isfinite(left).sum()))
