"""Whether a finding vouches for itself, by what only the right kernel at the right places leaves: white noise, no more than the map has.

All thresholds were chosen on simulated maps of tuning seeds (benchmarks/blind/recovery.py says which).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from qpi_core.solvers.blind.finish import Finding
from qpi_core.solvers.blind.layers import Layers
from qpi_core.solvers.blind.polishing.score import list_cost, nothing_score

Array = NDArray[np.float64]

LEAST_GAIN = 30.0
FEWEST_DEFECTS = 3
MOST_UNEXPLAINED, NOTHING_LEFT = 0.02, 0.005
"""Shares of the map's variance beyond its noise: above the first a finding is wrong, below the second too little is left to be judged."""
LITTLE_NOISE = 0.1
"""Share of noise above which a fit takes up so much of it that little left says nothing: there the rest has to be white in any case."""
MOST_LEFT = 0.05
"""Share that the search's kernels may leave where the final one, which is richer, explains the rest."""
MOST_CORRELATED = 2.0
"""Squared correlation between near pixels of what is left, as a multiple of that of white noise."""
THE_SHOWN, OF_THE_SEARCH = "the kernel", "the search's simpler kernel"
"""Whose kernel a doubt speaks of: that of the answer, or that of the search, which has one symmetry and leaves more at the same places."""
_MORE_FREEDOM = "; a kernel with more freedom explains more, at wrong places too"
TRUSTED = "What the kernel at the defects found leaves of the map is the map's own noise."
_LAGS = 4
_MOST_TRIED_ALONE = 40
"""Lists that are longer do not come from a single defect."""


@dataclass(frozen=True)
class Evidence:
    """What trust is judged by.

    Attributes:
        gain: evidence over that of noise alone.
        defects: how many were found.
        unexplained: share of the variance that is left beyond the noise.
        correlated: mean squared correlation of what is left at lags of up to 4 px, as a multiple of that of white noise.
        noise: share of the variance that is noise.
    """

    gain: float
    defects: int
    unexplained: float
    correlated: float
    noise: float

    def doubt(self) -> str | None:
        """Return why the finding says nothing, whatever it leaves of the map, in words; None where it does."""
        if self.gain < LEAST_GAIN:
            return "No pattern stands out of the noise: nothing in the map repeats itself."
        if self.defects < FEWEST_DEFECTS:
            found = "one defect was" if self.defects == 1 else f"{self.defects} defects were"
            return f"Only {found} found, which is too few to tell the kernel from where the defects are."
        return None

    def doubt_about_rest(self) -> str | None:
        """Return what speaks against the finding in what it leaves of the map, in words; None where nothing does."""
        return doubt_about_rest(self.unexplained, self.correlated, self.noise, OF_THE_SEARCH)

    @property
    def hopeless(self) -> bool:
        """Whether so much is left that no richer kernel could explain it."""
        return self.unexplained > MOST_LEFT


def weigh(finding: Finding) -> Evidence:
    """Return what speaks for and against a finding."""
    layers = finding.step.layers
    gain = finding.evidence - nothing_score(layers.pixels)
    correlated = residual_correlation(finding.fit.residuals, layers.measured)
    return Evidence(gain, len(finding.positions), finding.unexplained, correlated, float(np.mean(layers.noise)))


def doubt_about_number(finding: Finding) -> str | None:
    """Return the doubt that a single one of the defects found explains the map as well as all of them; None where it does not."""
    count = len(finding.positions)
    if not FEWEST_DEFECTS <= count <= _MOST_TRIED_ALONE:
        return None
    alone = max(finding.step.solve_at(place[None], np.ones(1)).log_likelihood for place in finding.positions)
    if alone - list_cost(1, finding.step.layers.pixels) < finding.evidence - LEAST_GAIN:
        return None
    return f"One defect explains the map as well as the {count} found do, and one is too few to tell the kernel from where the defects are."


def residual_correlation(residuals: NDArray[np.float32], measured: NDArray[np.bool_]) -> float:
    """Return the mean squared correlation of residuals (energies, height, width), 0 where not measured, over lags of up to 4 px.

    In units of what white noise has: 1 is white. Lags along the scan line are left out: what the tip adds is alike there.
    """
    lags = [(down, across) for down in range(-_LAGS, _LAGS + 1) for across in range(-_LAGS, _LAGS + 1) if down > 0]
    period = tuple(side + _LAGS for side in measured.shape)
    pairs = fft.irfft2(np.abs(fft.rfft2(measured.astype(np.float64), s=period)) ** 2, s=period)
    found = []
    for layer in residuals.astype(np.float64):
        products = fft.irfft2(np.abs(fft.rfft2(layer, s=period)) ** 2, s=period)
        variance = products[0, 0] / pairs[0, 0]
        found += [(products[lag] / pairs[lag] / variance) ** 2 * pairs[lag] for lag in lags]
    return float(np.mean(found))


def doubt_about_residual(residual: NDArray[np.float32], layers: Layers) -> str | None:
    """Return why the final residual of a single layer, in units of the observation, contradicts the finding; None where it does not."""
    left = layers.long_waves.removed(np.where(layers.measured, np.nan_to_num(residual), 0)[None])[0] / layers.scales[0]
    beyond = float(np.mean(left[layers.measured].astype(np.float64) ** 2)) - float(layers.noise[0])
    correlated = residual_correlation(left[None].astype(np.float32), layers.measured)
    return doubt_about_rest(beyond, correlated, float(layers.noise[0]))


def doubt_about_rest(unexplained: float, correlated: float, noise: float, whose: str = THE_SHOWN) -> str | None:
    """Return what speaks against an answer in the share of the variance that it leaves, its correlation and the noise; None for nothing.

    `whose` kernel leaves it is said, so that the number is not held against that of another kernel.
    """
    if unexplained > MOST_UNEXPLAINED:
        said = f"{100 * unexplained:.1f} % of the map's variance is neither noise nor explained by {whose} at the defects found"
        return f"{said}{_MORE_FREEDOM if whose == OF_THE_SEARCH else ''}."
    if correlated > MOST_CORRELATED and (unexplained > NOTHING_LEFT or noise > LITTLE_NOISE):
        return "What the kernel at the defects found leaves of the map is not white noise, so defects may be wrong or missing."
    return None
