"""The search: many rough starts, thinned by their scores while they are polished, until one explains the map or time is up."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import cache
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from qpi_core.runtime.progress import Progress
from qpi_core.solvers.blind.finish import NEARLY, Finding, finish, from_middles, with_pairs_as_one, with_richer_kernels
from qpi_core.solvers.blind.finish_between import RICH, finish_between, points_score
from qpi_core.solvers.blind.layers import Layers
from qpi_core.solvers.blind.points.point_cleaning import on_pixels
from qpi_core.solvers.blind.polishing.kernel_step import WIDTHS, KernelStep
from qpi_core.solvers.blind.polishing.polish import OTHER_THRESHOLDS, THRESHOLD, cut, with_amplitudes, with_flips
from qpi_core.solvers.blind.polishing.score import Candidate, nothing_score
from qpi_core.solvers.blind.start.filter_bank import BankShape, FilterBank
from qpi_core.solvers.blind.start.formula_start import FormulaStarts
from qpi_core.solvers.blind.start.marked_start import marked_starts
from qpi_core.solvers.blind.start.spectral_start import SpectralStarts
from qpi_core.solvers.blind.start.starts import Starts
from qpi_core.solvers.blind.trust.verdict import LEAST_GAIN, MOST_CORRELATED, weigh

ORDERS = (0, 2, 3, 4, 6)
_TWINS = 0.8
"""Correlation of two activation maps from which on they are the same start."""
_FINISHED_AT_FIRST, _FINISHED = 1, 3
"""Starts of a round that are followed to the end; others wait beside the next round's."""
_WAITING = 4
_BEGINNINGS = 6
_SHARE = 0.7
"""Share of the whole work that the search is, for its reports."""
_GIVE_UP = 2
"""Rounds, one of each kind of start, after which a map that shows no pattern at all is left alone."""
_DENSEST, _LEAST_MOST = 0.0366, 20
"""Largest share of the pixels that the starts take for defects, and the smallest number that is always allowed."""


@dataclass(frozen=True, eq=False)
class StartKind:
    """One kind of rough starts.

    Attributes:
        draw: from a random stream to the candidates, in parts.
        polished: so many of them are polished, and so many of one symmetry.
    """

    draw: Callable[[np.random.Generator], Iterable[Iterator[Candidate]]]
    polished: int
    of_one_order: int


@dataclass(frozen=True)
class SearchRule:
    """What the search is told.

    Attributes:
        kernel_radius: of the kernels, px.
        time_limit_s: after so many seconds the best candidates so far are returned.
        seed: of the random starts.
        orders: of symmetry that are tried.
        most_rounds: of starts; None is as many as there is time for.
        clock: what the time is read from.
        marks: (n, 2) some of the defects, (x, y) in px, to start from; None where none is known.
    """

    kernel_radius: float = 36.0
    time_limit_s: float = 60.0
    seed: int = 0
    orders: tuple[int, ...] = ORDERS
    most_rounds: int | None = None
    clock: Callable[[], float] = time.monotonic
    marks: NDArray[np.float64] | None = None


@dataclass
class BlindSearch:
    """A search on one map."""

    layers: Layers
    rule: SearchRule
    accepts: Callable[[Finding], bool]
    report: Progress
    finished: list[Finding] = field(default_factory=list)
    _richer: dict[tuple[int, int], KernelStep] = field(default_factory=dict)
    _waiting: list[Candidate] = field(default_factory=list)

    def run(self) -> list[Finding]:
        """Return the findings: one that was accepted, then by their evidence."""
        self._begun = self.rule.clock()
        self._most = most_of_a_start(self.layers.pixels)
        kinds = self._kinds()
        number = 0
        while number != self.rule.most_rounds and not (self.finished and self._late()):
            self._tell(f"Round {number + 1}: rough starts")
            kind = kinds[number % len(kinds)]
            drawn = self._in_time(kind.draw(np.random.default_rng([self.rule.seed, number])))
            self._tell(f"Round {number + 1}: polishing the best of {len(drawn)} starts")
            chosen = distinct_candidates(drawn, kind.of_one_order)[: kind.polished]
            accepted = self._round(chosen, _FINISHED if number else _FINISHED_AT_FIRST)
            number += 1
            if accepted is not None:
                return [accepted, *sorted((one for one in self.finished if one is not accepted), key=lambda one: -one.evidence)]
            if (not self.finished and self._late()) or (number == _GIVE_UP and self._shows_nothing()):
                break
        return sorted(self.finished, key=lambda one: -one.evidence)

    def _kinds(self) -> tuple[StartKind, ...]:
        """Return the kinds of starts in the order of their rounds: what fails on one map for the first often is easy for another."""
        self._steps = steps = {order: self._step(order) for order in self.rule.orders}
        skewed = [Starts(self.layers, order, step) for order, step in steps.items()]
        spectral = cache(lambda: [SpectralStarts(self.layers, order, step) for order, step in steps.items()])
        formula = cache(lambda: FormulaStarts(spectral()))
        marks = self.rule.marks
        marked = () if marks is None else (StartKind(lambda rng: iter([marked_starts(list(steps.values()), marks)]), 16, 4),)
        return (
            *marked,
            StartKind(lambda rng: (one.draw(rng, self._most) for one in skewed), 8, 4),
            StartKind(lambda rng: iter([formula().draw(False, self._densest)]), 32, 12),
            StartKind(lambda rng: iter([formula().draw(True, self._densest)]), 32, 12),
            StartKind(lambda rng: (one.draw(rng, self._densest, _BEGINNINGS) for one in spectral()), 24, 8),
        )

    @property
    def _densest(self) -> int:
        """Largest number of defects of a list that is polished already."""
        return 4 * self._most // 3

    def _tell(self, words: str) -> None:
        self.report(_SHARE * min(1.0, self._seconds() / self.rule.time_limit_s), words)

    def _in_time(self, sources: Iterable[Iterator[Candidate]]) -> list[Candidate]:
        """Return what the sources yield, or the part of it that there was time for."""
        drawn = []
        for candidate in chain.from_iterable(sources):
            drawn.append(candidate)
            if self._late():
                break
        return drawn

    def _shows_nothing(self) -> bool:
        """Say whether no finding is better than noise alone."""
        least = nothing_score(self.layers.pixels) + LEAST_GAIN
        return all(one.evidence < least for one in self.finished)

    def _step(self, order: int) -> KernelStep:
        return KernelStep(FilterBank(BankShape(order, self.rule.kernel_radius, 1.0, 1, spot=True), self.layers.shape), self.layers)

    def _seconds(self) -> float:
        return self.rule.clock() - self._begun

    def _late(self) -> bool:
        return self._seconds() > self.rule.time_limit_s

    def _round(self, chosen: list[Candidate], most: int) -> Finding | None:
        """Follow the best of the starts, and of those that waited, until one is accepted; return that one, or None."""
        polished = self._waiting
        for candidate in chosen:
            if polished and self._late():
                break
            polished.append(with_amplitudes(candidate, 3, 25, THRESHOLD))
        # Which kernel is right shows in what amplitudes can explain with it, long before a list of whole defects can.
        polished.sort(key=lambda one: -one.fit.log_likelihood)
        self._waiting = polished[most : most + _WAITING]
        for number, candidate in enumerate(polished[:most]):
            if self.finished and self._late():
                break
            amplitudes = with_amplitudes(candidate, 8, 50, THRESHOLD)
            between = self._between(amplitudes)
            if between is None and number == 0 and not self._late():
                between = self._between_clearest(polished[1:])
            accepted = self._accepted(amplitudes, between)
            if accepted is not None:
                return accepted
        return None

    def _accepted(self, amplitudes: Candidate, between: Finding | None) -> Finding | None:
        """Return the accepted finding that amplitudes lead to; None where no way leads to one.

        Args:
            amplitudes: a polished candidate.
            between: what leads from it, or from another one, straight between the pixels.
        """
        accepted = [between] if between is not None and self.accepts(between) else []
        if accepted and not _leaves_white_noise(accepted[0]):
            return accepted[0]
        listed = cut(amplitudes, self._densest)
        found = None if listed is None else self._finished(listed)
        if found is not None and self.accepts(found):
            accepted.append(found)
        if accepted:
            return max(accepted, key=lambda one: one.evidence)
        return None if found is None else self._again(found)

    def _between(self, amplitudes: Candidate) -> Finding | None:
        """Return the finding that amplitudes lead to without a map of 0 and 1 on the way, and remember it; None where it leaves much."""
        found = finish_between(amplitudes, self.rule.orders, self._rich)
        if found is None:
            return None
        rich = self._rich(found.symmetry_order)
        found = with_pairs_as_one(with_richer_kernels(found, rich), rich)
        self.finished.append(found)
        return found

    def _between_clearest(self, polished: list[Candidate]) -> Finding | None:
        """Return the same of the candidate whose points explain most: amplitudes on many pixels can hide that few places are right."""
        if not polished:
            return None
        clearest = max(polished, key=lambda one: points_score(one, self._rich(one.symmetry_order)))
        return self._between(with_amplitudes(clearest, 8, 50, THRESHOLD))

    def _finished(self, listed: Candidate) -> Finding:
        """Return the finding that a list leads to, and remember it."""
        found = finish(with_flips(listed, 5))
        rich = self._rich(found.symmetry_order)
        found = with_pairs_as_one(with_richer_kernels(found, rich), rich)
        if found.unexplained > NEARLY and not self._late():
            found = from_middles(found, rich, self._densest)
        self.finished.append(found)
        return found

    def _again(self, found: Finding) -> Finding | None:
        """Return an accepted finding that one with little left leads to: its kernel is right, and some defects are missing or too many."""
        for threshold in OTHER_THRESHOLDS:
            if found.unexplained > NEARLY or self._late():
                return None
            begun = on_pixels(self._steps[found.symmetry_order], found.positions)
            listed = cut(with_amplitudes(begun, 4, 60, threshold), self._densest)
            if listed is None:
                continue
            other = self._finished(listed)
            if self.accepts(other):
                return other
            found = max(found, other, key=lambda one: one.evidence)
        return None

    def _rich(self, order: int, multiples: int = RICH) -> KernelStep:
        if (order, multiples) not in self._richer:
            bank = BankShape(order, self.rule.kernel_radius, 1.0, multiples, spot=True)
            self._richer[order, multiples] = KernelStep(FilterBank(bank, self.layers.shape), self.layers, WIDTHS)
        return self._richer[order, multiples]


def _leaves_white_noise(finding: Finding) -> bool:
    """Say whether a finding leaves noise alone: only then does its evidence compare with that of other lists.

    Where the kernels of the search leave something of their own shape, false places that take it up gain evidence.
    """
    return weigh(finding).correlated <= MOST_CORRELATED


def most_of_a_start(pixels: int) -> int:
    """Return the largest number of defects that a start may have on so many pixels."""
    return max(_LEAST_MOST, int(_DENSEST * pixels))


def distinct_candidates(candidates: list[Candidate], of_one_order: int) -> list[Candidate]:
    """Return the best candidates that differ in symmetry or in their activation maps, the best first; so many of one symmetry."""
    found: list[Candidate] = []
    for candidate in sorted(candidates, key=lambda one: -one.score):
        order = candidate.symmetry_order
        same = [other for other in found if other.symmetry_order == order]
        if len(same) < of_one_order and all(_correlation(candidate, other) < _TWINS for other in same):
            found.append(candidate)
    return found


def _correlation(one: Candidate, other: Candidate) -> float:
    first, second = (candidate.activation - candidate.activation.mean() for candidate in (one, other))
    return float(np.vdot(first, second) / (np.linalg.norm(first) * np.linalg.norm(second) + 1e-30))
