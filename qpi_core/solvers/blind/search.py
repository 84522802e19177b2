"""The search: many rough starts, thinned by their scores while they are polished, until one explains the map or time is up."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from qpi_core.solvers.blind.filter_bank import BankShape, FilterBank
from qpi_core.solvers.blind.kernel_step import KernelStep
from qpi_core.solvers.blind.layers import Layers
from qpi_core.solvers.blind.polish import cut, from_nothing, with_amplitudes, with_flips
from qpi_core.solvers.blind.score import Candidate
from qpi_core.solvers.blind.starts import Starts

ORDERS = (0, 2, 3, 4, 6)
_TWINS = 0.8
"""Correlation of two activation maps from which on they are the same start."""
_ONE_ORDER = 4
_POLISHED, _FINISHED = 6, 2
_HOPELESS = 800.0
_LEAST_GAIN = 1.0


@dataclass(frozen=True)
class PolishRule:
    """One more way from the best list so far: from "list", "amplitudes" or "nothing"."""

    origin: str
    threshold: float
    steps: int
    rounds: int


VARIATIONS = (
    PolishRule("list", 3.0, 50, 4),
    PolishRule("amplitudes", 2.0, 25, 3),
    PolishRule("list", 4.0, 60, 4),
    PolishRule("amplitudes", 3.0, 80, 6),
    PolishRule("nothing", 2.0, 50, 4),
    PolishRule("list", 3.0, 50, 4),
)


@dataclass(frozen=True)
class SearchRule:
    """What the search is told.

    Attributes:
        kernel_radius: of the kernels, px.
        time_limit_s: after so many seconds the best candidates so far are returned.
        seed: of the random starts.
        orders: of symmetry that are tried.
    """

    kernel_radius: float = 36.0
    time_limit_s: float = 60.0
    seed: int = 0
    orders: tuple[int, ...] = ORDERS


@dataclass
class BlindSearch:
    """A search on one map."""

    layers: Layers
    rule: SearchRule
    accepts: Callable[[Candidate], bool]
    report: Callable[[float, str], None]
    finished: list[Candidate] = field(default_factory=list)

    def run(self) -> list[Candidate]:
        """Return the finished candidates, the best first."""
        self._begun = time.monotonic()
        starts = [Starts(self.layers, order, self._step(order)) for order in self.rule.orders]
        number = 0
        while not self._late() or not self.finished:
            rng = np.random.default_rng([self.rule.seed, number])
            if self._round(starts, rng):
                break
            number += 1
        return sorted(self.finished, key=lambda one: -one.score)

    def _step(self, order: int) -> KernelStep:
        return KernelStep(FilterBank(BankShape(order, self.rule.kernel_radius, 1.0, 1), self.layers.shape), self.layers)

    def _late(self) -> bool:
        return time.monotonic() - self._begun > self.rule.time_limit_s

    def _round(self, starts: list[Starts], rng: np.random.Generator) -> bool:
        """Draw starts and follow the best ones; say whether one was accepted."""
        most = max(20, int(0.0366 * self.layers.pixels))
        drawn = [candidate for one in starts for candidate in one.draw(rng, most)]
        rough = distinct_candidates(drawn)[:_POLISHED]
        polished = []
        for candidate in rough:
            amplitudes = with_amplitudes(candidate, 3, 25, 3.0)
            again = cut(amplitudes, 4 * most // 3)
            polished.append((max(candidate.score, -np.inf if again is None else again.score), amplitudes))
        polished.sort(key=lambda pair: -pair[0])
        best: Candidate | None = None
        for _, candidate in polished[:_FINISHED]:
            found = self._finish(candidate, best, 4 * most // 3)
            self.finished.append(found)
            if best is None or found.score > best.score:
                best = found
            if self.accepts(found):
                return True
        return False

    def _finish(self, amplitudes: Candidate, rival: Candidate | None, most: int) -> Candidate:
        amplitudes = with_amplitudes(amplitudes, 8, 50, 3.0)
        listed = cut(amplitudes, most)
        best = with_flips(listed, 5) if listed is not None else amplitudes
        if rival is not None and rival.score > best.score + _HOPELESS:
            return best
        failures = 0
        for rule in VARIATIONS:
            if self.accepts(best) or self._late():
                break
            origin = amplitudes if rule.origin == "amplitudes" else from_nothing(best) if rule.origin == "nothing" else best
            varied = with_amplitudes(origin, rule.rounds, rule.steps, rule.threshold)
            listed = cut(varied, most)
            new = with_flips(listed, 4) if listed is not None else best
            if rule.origin == "amplitudes":
                amplitudes = varied
            if new.score > best.score + _LEAST_GAIN:
                best, failures, amplitudes = new, 0, varied
            else:
                failures += 1
        return best


def distinct_candidates(candidates: list[Candidate]) -> list[Candidate]:
    """Return the best candidates that differ in symmetry or in their activation maps, the best first; few of one symmetry."""
    found: list[Candidate] = []
    for candidate in sorted(candidates, key=lambda one: -one.score):
        order = candidate.symmetry_order
        same = [other for other in found if other.symmetry_order == order]
        if len(same) < _ONE_ORDER and all(_correlation(candidate, other) < _TWINS for other in same):
            found.append(candidate)
    return found


def _correlation(one: Candidate, other: Candidate) -> float:
    first, second = (candidate.activation - candidate.activation.mean() for candidate in (one, other))
    return float(np.vdot(first, second) / (np.linalg.norm(first) * np.linalg.norm(second) + 1e-30))
