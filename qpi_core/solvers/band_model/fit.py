"""A band of any family fitted to all layers of a stack at once: maximum likelihood, Laplace errors, evidence.

A band's numbers are its coordinates s at both ends of the energies (families.family), those of its shape, log Gamma, log 1 / l and, where
the family has it, how the wave is rounded off next to the core. For each of them the likelihood of a layer is that of its wave
amplitudes and the free profile of its core (layers.py), which are integrated out (variable projection with a prior). The search begins
on a grid: the gain of every layer over no wave as a function of a wave number of its own, summed along bands. The best ones are refined.

Evidence (log, Laplace, with uniform priors over s at both ends and over the shape, and log-uniform ones for decays): against no wave at
all (only cores), against waves of the same family whose shape does not change with energy, and against free kernels.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations, product

import numpy as np
from numpy.typing import NDArray

from qpi_core.solvers.band_model.families.family import BandKernels
from qpi_core.solvers.band_model.kernels.free_electron import ROUNDING_PX2, ROUNDING_SPREAD_PX2
from qpi_core.solvers.band_model.minimum import descend, hessian, jacobian, polish
from qpi_core.solvers.band_model.search import BandSearch

Array = NDArray[np.float64]

_PENALTY = 1e3
_TIED = 1e-6
_DIRECTIONS = np.linspace(0.02, 2 * np.pi + 0.02, 48, endpoint=False)
_LEAST_STEP = 1e-3
_MOST_ROUNDS, _CONVERGED = 6, 0.5
_LEAST_GAIN = 5.0
"""In log likelihood; the evidence, which pays for every number, is smaller."""


@dataclass(frozen=True, eq=False)
class FittedBand:
    """The band of the largest likelihood.

    Attributes:
        numbers: of the band, with its broadening and mean free path: names with units -> values.
        covariance: of them, in their order.
        log_evidence: over cores alone.
        log_evidence_constant: of waves that do not change with energy, over cores alone.
        log_evidence_free: of free kernels, over cores alone.
        explained: share of the power that free kernels explain which the band explains.
        widening: variance factor that the covariance holds: power that the band misses over the unknowns that free kernels have, >= 1.
        layers: number of layers with a contour.
        wave_vectors: (energies, 4) q = 2 k in rad/nm of the outer band: mean over directions, its deviation, least and largest; NaN where
            there is no contour.
    """

    numbers: Mapping[str, float]
    covariance: Array
    log_evidence: float
    log_evidence_constant: float
    log_evidence_free: float
    explained: float
    widening: float
    layers: int
    wave_vectors: Array


class BandCost:
    """-log p of a stack as a function of a band's numbers: [s_low, s_high of every band, shape, log Gamma, log 1 / l, rounding]."""

    def __init__(self, search: BandSearch, family: BandKernels, tied: bool = False) -> None:
        """Prepare the ranges; tied: waves that do not change with energy, [s of every band, shape, log 1 / l, rounding]."""
        rule = search.rule
        self.search, self.family, self.tied = search, family, tied
        line = family.line(float(search.wavenumbers[-1]), 0.5 / search.reach)
        s_range, s_step = (float(line[0]), float(line[-1])), max(2e-3 * float(np.ptp(line)), _LEAST_STEP)
        self.ends = family.bands * (1 if tied else 2)
        decays = [np.log(rule.broadenings_mev), np.log(1 / (np.array(rule.path_range)[::-1] * search.pitch))][1 if tied else 0 :]
        rounding = [(-np.inf, np.inf)] if family.rounded else []
        ranges = [*[s_range] * self.ends, *((one.low, one.high) for one in family.shape), *decays, *rounding]
        self.ranges = np.array(ranges, dtype=np.float64)
        scales = [*[s_step] * self.ends, *(one.scale for one in family.shape), *[0.3, 0.1][1 if tied else 0 :]]
        self.scales = np.array([*scales, *[0.1] * len(rounding)])
        self.angles = [self.ends + index for index, one in enumerate(family.shape) if one.name == "angle_rad"]

    @property
    def share(self) -> Array:
        """Return (energies,) from 0 at the lowest to 1 at the highest energy."""
        energy = self.search.energy
        return np.asarray((energy - energy.min()) / np.ptp(energy))

    @property
    def log_volume(self) -> float:
        """Return the log of the prior volume of the numbers."""
        wide = np.ptp(self.ranges[np.isfinite(self.ranges).all(axis=1)], axis=1)
        rounding = float(np.log(ROUNDING_SPREAD_PX2 * np.sqrt(2 * np.pi))) if self.family.rounded else 0.0
        # Half of the pairs rise.
        return float(np.sum(np.log(wide))) + rounding - (float(np.log(2)) if self.family.rising and not self.tied else 0.0)

    def shape(self, point: Array) -> Array:
        """Return the numbers of the shape."""
        return point[self.ends : self.ends + len(self.family.shape)]

    def turned(self, point: Array) -> Array:
        """Return the numbers with angles within one turn: where a map shows no direction a search may walk round many times."""
        found = point.copy()
        found[self.angles] = np.mod(point[self.angles], self.ranges[self.angles, 1])
        return found

    def band(self, point: Array) -> Array:
        """Return s at both ends of the energies, (bands, 2)."""
        found = np.repeat(point[: self.ends], 2) if self.tied else point[: self.ends]
        return found.reshape(self.family.bands, 2)

    def columns(self, point: Array) -> Array:
        """Return the coefficients of the waves, (energies, c, m)."""
        search, energy, share = self.search, self.search.energy, self.share
        low, high = self.band(point)[:, :1], self.band(point)[:, 1:]
        at = self.ends + len(self.family.shape)
        imaginary = _TIED if self.tied else np.abs(high - low) / np.ptp(energy) * np.exp(point[at])
        rounding = float(point[-1]) if self.family.rounded else ROUNDING_PX2
        s = np.asarray(low + (high - low) * share + 1j * imaginary, dtype=np.complex128)
        waves = self.family.patterns(s, self.shape(self.turned(point)), search.space, rounding)
        decay = np.exp(-search.space.radii(rounding) * np.exp(point[at + (0 if self.tied else 1)]))
        return search.space.columns(waves * decay[:, None])

    def __call__(self, point: Array) -> float:
        """Return the cost; outside of the ranges that of their edge, and a price."""
        inside = np.clip(point, self.ranges[:, 0], self.ranges[:, 1])
        inside[self.angles] = point[self.angles]
        if not self.tied and np.any(np.abs(np.diff(self.band(inside))) < _TIED):
            return 1e12
        off = (point[-1] - ROUNDING_PX2) / ROUNDING_SPREAD_PX2 if self.family.rounded else 0.0
        outside = float(np.sum((point - inside) ** 2))
        return self.search.cost(self.columns(inside)) + _PENALTY * outside + 0.5 * float(off**2)

    def numbers(self, point: Array) -> dict[str, float]:
        """Return the band's numbers by name."""
        energy = self.search.energy
        found = self.family.numbers((float(energy.min()), float(energy.max())), self.band(point), self.shape(point))
        at = self.ends + len(self.family.shape)
        return {**found, "broadening_mev": float(np.exp(point[at])), "mean_free_path_nm": float(np.exp(-point[at + 1]))}


def fit_band(search: BandSearch, family: BandKernels) -> FittedBand | None:
    """Return the most likely band of a family; None where none gains anything worth its numbers."""
    cost = BandCost(search, family)
    found = [descend(cost, start, cost.scales) for start in _starts(search, cost)]
    value, point = descend(cost, min(found, key=lambda one: one[0])[1], cost.scales, steps=8)
    if value > -_LEAST_GAIN:
        return None
    # Gamma and l damp the same wave, and the ridge that they lie on is walked along in several goes.
    for _ in range(_MOST_ROUNDS):
        before = value
        value, point = polish(cost, point, cost.scales)
        if before - value < _CONVERGED:
            break
    point = cost.turned(point)
    bend = hessian(cost, point, cost.scales)
    evidence = -value + 0.5 * point.size * np.log(2 * np.pi) - 0.5 * np.linalg.slogdet(bend)[1] - cost.log_volume
    names = tuple(cost.numbers(point))
    slopes = jacobian(lambda at: np.array([cost.numbers(at)[name] for name in names]), point, cost.scales)
    explained, widening = _explained(search, cost.columns(point))
    spread = np.asarray(widening * np.linalg.inv(bend), dtype=np.float64)
    waves = _wave_vectors(cost, point, spread)
    return FittedBand(
        numbers=cost.numbers(point),
        covariance=slopes @ spread @ slopes.T,
        log_evidence=float(evidence),
        log_evidence_constant=_constant_evidence(search, family, point),
        log_evidence_free=search.gain_of_free,
        explained=explained,
        widening=widening,
        layers=int(np.isfinite(waves[:, 0]).sum()),
        wave_vectors=waves,
    )


def _wave_vectors(cost: BandCost, point: Array, spread: Array) -> Array:
    """Return mean, deviation, least and largest 2 k over directions, (energies, 4), of the band that reaches furthest."""
    outer = int(np.argmax(cost.band(point).sum(axis=1)))

    def doubled(at: Array) -> Array:
        low, high = cost.band(at)[outer]
        return 2 * cost.family.contour(low + (high - low) * cost.share, cost.shape(at), _DIRECTIONS)

    radii = doubled(point)
    slopes = jacobian(lambda at: doubled(at).mean(axis=1), point, cost.scales)
    deviation = np.sqrt(np.einsum("ei,ij,ej->e", slopes, spread, slopes))
    found = np.stack([radii.mean(axis=1), deviation, radii.min(axis=1), radii.max(axis=1)], axis=1)
    return np.where(found[:, :1] > 0, found, np.nan)


def _starts(search: BandSearch, cost: BandCost) -> list[Array]:
    """Return points to descend from: the likeliest of the grid's bands in every shape, as the likelihood itself ranks them."""
    family = cost.family
    decays = [np.log(2.0), np.log(1 / search.path), *([ROUNDING_PX2] if family.rounded else [])]
    points = []
    for shape in product(*(one.starts for one in family.shape)):
        pairs = search.candidates(family, np.array(shape))
        for ends in combinations(pairs, family.bands):
            points.append(np.array([*np.ravel(ends), *shape, *decays]))
    if len(points) <= search.rule.refined:
        return points
    return sorted(points, key=cost)[: search.rule.refined]


def _constant_evidence(search: BandSearch, family: BandKernels, fitted: Array) -> float:
    """Return the log evidence of waves of one shape at all energies, over cores alone."""
    cost = BandCost(search, family, tied=True)
    line = family.line(float(search.wavenumbers[-1]), 0.5 / search.reach)
    tail = fitted[2 * cost.ends :]
    shape, decays = tail[: len(family.shape)], tail[len(family.shape) + 1 :]
    gains = search.gains(family, line, shape).sum(axis=0)
    best = float(line[int(np.argmax(gains))])
    # Several bands begin apart: one where the waves are, the others further in.
    start = np.array([*(best / (1 + index) for index in range(family.bands)), *shape, *decays])
    value, point = descend(cost, start, cost.scales, steps=14)
    bend = hessian(cost, point, cost.scales)
    return float(-value + 0.5 * point.size * np.log(2 * np.pi) - 0.5 * np.linalg.slogdet(bend)[1] - cost.log_volume)


def _explained(search: BandSearch, waves: Array) -> tuple[float, float]:
    """Return the share of the free kernels' power that waves (energies, c, m) explain, and how far what they miss exceeds noise, >= 1."""
    share, total, freedom = 0.0, 0.0, 0.0
    for one, wave in zip(search.free, waves, strict=True):
        padded = np.zeros((search.core.shape[0], wave.shape[1]))
        padded[: wave.shape[0]] = wave
        columns = np.concatenate([padded, search.core], axis=1)
        gram = columns.T @ one.layer.gram @ columns
        right = columns.T @ one.layer.projection
        share += float(right @ np.linalg.lstsq(gram, right, rcond=None)[0])
        total += one.power
        freedom += one.freedom
    return (min(1.0, share / total) if total > 0 else 0.0), max(1.0, (total - share) / max(freedom, 1.0))
