"""A free-electron-like band fitted to all layers of a stack at once: maximum likelihood, Laplace errors, evidence.

The band's numbers are E0, m, log Gamma, log 1/l and how the wave is rounded off next to the core. For each of them the likelihood of a
layer is that of its two wave amplitudes and the free profile of its core (layers.py), which are integrated out (variable projection with
a prior). The search begins on a grid: the gain of every layer over no wave as a function of a wave number of its own, summed along
parabolas k^2 = c + d E. The best ones are refined.

Evidence (log, Laplace, with uniform priors over the grid for k^2 at both ends of the energies, and log-uniform ones for decays):
against no wave at all (only cores), against a wave whose length does not change with energy, and against free kernels.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from qpi_core.solvers.band_model.free_electron import ROUNDING_PX2, ROUNDING_SPREAD_PX2, FreeElectronBand, wave_columns
from qpi_core.solvers.band_model.search import BandSearch
from qpi_core.synthesis.bands.band_structures import HBAR2_OVER_2M_MEV_NM2

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class FittedBand:
    """The band of the largest likelihood.

    Attributes:
        band: E0, m, Gamma, 1 / l.
        covariance: (5, 5) of (E0, m, log Gamma, log 1 / l, rounding in px^2).
        log_evidence: over cores alone.
        log_evidence_constant: of a wave that does not disperse, over cores alone.
        log_evidence_free: of free kernels, over cores alone.
        explained: share of the power that free kernels explain which the band explains.
        widening: variance factor that the covariance holds: power that the band misses over the unknowns that free kernels have, >= 1.
        layers: number of layers above the band's edge.
    """

    band: FreeElectronBand
    covariance: Array
    log_evidence: float
    log_evidence_constant: float
    log_evidence_free: float
    explained: float
    widening: float
    layers: int


def fit_free_electron(search: BandSearch) -> FittedBand | None:
    """Return the most likely band; None where no parabola of the grid gains anything."""
    rule, energy = search.rule, search.energy
    low, high = float(energy.min()), float(energy.max())

    def band_of(point: Array) -> FreeElectronBand:
        """Return the band of (k^2 at the lowest, k^2 at the highest energy, log Gamma, log 1 / l, rounding)."""
        slope = (point[1] - point[0]) / (high - low)
        return FreeElectronBand(low - point[0] / slope, HBAR2_OVER_2M_MEV_NM2 * slope, float(np.exp(point[2])), float(np.exp(point[3])))

    ranges = np.log(rule.broadenings_mev), np.log(1 / (np.array(rule.path_range)[::-1] * search.pitch))
    scales = np.array([0.02, 0.02, 0.3, 0.1, 0.1])

    def cost(point: Array) -> float:
        outside = sum(float(np.sum(np.maximum(0, [r[0] - v, v - r[1]]) ** 2)) for r, v in zip(ranges, point[2:4], strict=True))
        if point[0] == point[1]:
            return 1e12
        band = band_of(point)
        off = (point[4] - ROUNDING_PX2) / ROUNDING_SPREAD_PX2
        return search.cost(band.wavenumbers(energy), band.inverse_mean_free_path, point[4]) + 1e3 * outside + 0.5 * float(off**2)

    start_decay = [np.log(2.0), np.log(1 / search.path), ROUNDING_PX2]
    starts = [np.array([a, b if abs(b - a) > 1e-4 else a + 1e-3, *start_decay]) for a, b in search.candidates()]
    value, point = min((_descend(cost, start, scales) for start in starts), key=lambda found: found[0])
    value, point = _polish(cost, point, scales)
    if value >= 0:
        return None
    hessian = _hessian(cost, point, scales)
    area = float(np.ptp(np.sign([-0.49, 1.0]) * (search.wavenumbers[-1] * np.array([0.7, 1.0])) ** 2))
    volume = 2 * np.log(area) + sum(float(np.log(r[1] - r[0])) for r in ranges) + float(np.log(ROUNDING_SPREAD_PX2 * np.sqrt(2 * np.pi)))
    evidence = -value + 2.5 * np.log(2 * np.pi) - 0.5 * np.linalg.slogdet(hessian)[1] - volume
    band = band_of(point)
    jacobian = _jacobian(lambda at: np.array([band_of(at).band_edge_mev, band_of(at).effective_mass, *at[2:]]), point, scales)
    explained, widening = _explained(search, band)
    covariance = widening * jacobian @ np.linalg.inv(hessian) @ jacobian.T
    constant = _constant_evidence(search, point[3], ranges[1])
    above = (energy - band.band_edge_mev) * band.effective_mass > 0
    return FittedBand(band, covariance, float(evidence), constant, search.gain_of_free, explained, widening, int(above.sum()))


def _constant_evidence(search: BandSearch, log_inverse_path: float, log_range: Array) -> float:
    """Return the log evidence of a wave of one length at all energies, over cores alone."""
    start = np.array([search.wavenumbers[int(np.argmax(search.scan.sum(axis=0)))], log_inverse_path])

    def cost(point: Array) -> float:
        outside = float(np.sum(np.maximum(0, [log_range[0] - point[1], point[1] - log_range[1], 1e-2 - point[0]]) ** 2))
        kappa = np.full(len(search.energy), max(point[0], 1e-2) + 1e-6j)
        return search.cost(kappa, float(np.exp(point[1]))) + 1e3 * outside

    scales = np.array([0.2 / search.reach, 0.3])
    value, point = _descend(cost, start, scales)
    hessian = _hessian(cost, point, scales)
    volume = np.log(np.ptp(search.wavenumbers)) + float(np.log(log_range[1] - log_range[0]))
    return float(-value + np.log(2 * np.pi) - 0.5 * np.linalg.slogdet(hessian)[1] - volume)


def _explained(search: BandSearch, band: FreeElectronBand) -> tuple[float, float]:
    """Return the share of the free kernels' power that the band explains, and how far what it misses exceeds their own noise, >= 1."""
    waves = wave_columns(band.wavenumbers(search.energy), band.inverse_mean_free_path, search.statistics.splines, search.pitch)
    share, total, freedom = 0.0, 0.0, 0.0
    for one, wave in zip(search.free, waves, strict=True):
        columns = np.concatenate([wave, search.core], axis=1)
        gram = columns.T @ one.layer.gram @ columns
        right = columns.T @ one.layer.projection
        share += float(right @ np.linalg.lstsq(gram, right, rcond=None)[0])
        total += one.power
        freedom += one.freedom
    return (min(1.0, share / total) if total > 0 else 0.0), max(1.0, (total - share) / max(freedom, 1.0))


def _descend(cost: Callable[[Array], float], start: Array, scales: Array) -> tuple[float, Array]:
    """Return a low cost near a start, (cost, point): some steps of Nelder and Mead, which need no slopes on the rough grid."""
    found = minimize(lambda u: cost(start + u * scales), np.zeros(start.size), method="Nelder-Mead", options={"maxiter": 70})
    return float(found.fun), np.asarray(start + found.x * scales)


def _polish(cost: Callable[[Array], float], start: Array, scales: Array) -> tuple[float, Array]:
    """Return the minimum, (cost, point), in units in which the cost bends alike along all axes."""
    hessian = _hessian(cost, start, scales)
    units = 1 / np.sqrt(np.diag(hessian))
    found = minimize(lambda u: cost(start + u * units), np.zeros(start.size), method="Nelder-Mead", options={"maxiter": 150, "fatol": 1e-3})
    fine = minimize(lambda u: cost(start + u * units), found.x, method="BFGS", options={"gtol": 1e-2, "maxiter": 20, "eps": 1e-3})
    best = fine if fine.fun < found.fun else found
    return float(best.fun), np.asarray(start + best.x * units)


def _hessian(cost: Callable[[Array], float], point: Array, scales: Array) -> Array:
    """Return second derivatives at a minimum; steps that change the cost by about 1/2; along what the data leave open the prior's width."""
    steps = scales.copy()
    base = cost(point)
    for index in range(point.size):
        for _ in range(40):
            move = np.eye(point.size)[index] * steps[index]
            rise = 0.5 * (cost(point + move) + cost(point - move)) - base
            if 0.1 < rise < 1.0 or steps[index] > 2.0:
                break
            steps[index] *= float(np.clip(np.sqrt(0.4 / max(rise, 1e-3)), 0.2, 5.0))
    size = point.size
    second = np.zeros((size, size))
    for i in range(size):
        for j in range(i, size):
            a, b = np.eye(size)[i] * steps[i], np.eye(size)[j] * steps[j]
            if i == j:
                second[i, i] = (cost(point + a) + cost(point - a) - 2 * base) / steps[i] ** 2
            else:
                mixed = cost(point + a + b) - cost(point + a - b) - cost(point - a + b) + cost(point - a - b)
                second[i, j] = second[j, i] = mixed / (4 * steps[i] * steps[j])
    units = np.outer(steps, steps)
    values, vectors = np.linalg.eigh(second * units)
    return np.asarray((vectors * np.maximum(values, 0.02)) @ vectors.T / units)


def _jacobian(function: Callable[[Array], Array], point: Array, scales: Array) -> Array:
    steps = 1e-4 * scales
    moves = np.diag(steps)
    return np.stack(
        [(function(point + move) - function(point - move)) / (2 * step) for move, step in zip(moves, steps, strict=True)], axis=1
    )
