"""The search for several kinds: rough activation maps from filter banks, the groups of them that explain the map together, polished."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np

from qpi_core.runtime.progress import Progress
from qpi_core.solvers.blind.finish import NEARLY
from qpi_core.solvers.blind.kinds.joint_kernels import Kinds, evidence_of, solve_kinds, unexplained_by
from qpi_core.solvers.blind.kinds.kinds_polish import cut_kinds, kinds_with_amplitudes, kinds_with_flips
from qpi_core.solvers.blind.kinds.kinds_start import COMPONENTS, Part, groups_beside, likely_groups
from qpi_core.solvers.blind.layers import Layers
from qpi_core.solvers.blind.polishing.kernel_step import KernelStep
from qpi_core.solvers.blind.polishing.polish import OTHER_THRESHOLDS, THRESHOLD, cut, with_amplitudes, with_flips
from qpi_core.solvers.blind.polishing.score import Candidate, nothing_score
from qpi_core.solvers.blind.search import ORDERS, distinct_candidates, most_of_a_start
from qpi_core.solvers.blind.start.filter_bank import BankShape, FilterBank
from qpi_core.solvers.blind.start.starts import Starts
from qpi_core.solvers.blind.trust.verdict import LEAST_GAIN

_SINGLES, _OF_ONE_ORDER = 14, 4
_GROUPS, _FOLLOWED = 5, 2
_FOLLOWED_BESIDE = 3
_FLIPS = 6
_FIRST_SINGLES = 3
"""Starts of a round that are followed alone, for what is found beside them."""

Item = TypeVar("Item")


@dataclass(frozen=True)
class KindsRule:
    """What the search is told.

    Attributes:
        count: of kinds.
        kernel_radius: of the kernels, px.
        time_limit_s: after so many seconds the best so far is returned.
        seed: of the random starts.
        clock: what the time is read from.
        share: of the whole work that the search is, for its reports.
        most_rounds: of starts; None is as many as there is time for.
    """

    count: int
    kernel_radius: float = 36.0
    time_limit_s: float = 60.0
    seed: int = 0
    clock: Callable[[], float] = time.monotonic
    share: float = 0.7
    most_rounds: int | None = None


def search_kinds(layers: Layers, rule: KindsRule, accepts: Callable[[Kinds], bool], report: Progress) -> list[Kinds]:
    """Return the kinds found, the best first; one that is accepted ends the search."""
    return KindsSearch(layers, rule, accepts, report).run()


@dataclass
class KindsSearch:
    """A search on one map."""

    layers: Layers
    rule: KindsRule
    accepts: Callable[[Kinds], bool]
    report: Progress
    found: list[Kinds] = field(default_factory=list)
    _tried: set[bytes] = field(default_factory=set)

    def run(self) -> list[Kinds]:
        """Return the findings: one that was accepted, then by their evidence."""
        self._begun = self.rule.clock()
        self._most = most_of_a_start(self.layers.pixels)
        bank = [BankShape(order, self.rule.kernel_radius, 1.0, 1, spot=True) for order in ORDERS]
        self._steps = [KernelStep(FilterBank(one, self.layers.shape), self.layers) for one in bank]
        starts = [Starts(self.layers, order, step) for order, step in zip(ORDERS, self._steps, strict=True)]
        accepted, number = None, 0
        while accepted is None:
            self._tell(f"Round {number + 1}: rough starts for {self.rule.count} kinds")
            accepted = self._round(starts, np.random.default_rng([self.rule.seed, number]))
            number += 1
            if self._late() or number == self.rule.most_rounds or self._shows_nothing():
                break
        rest = sorted((one for one in self.found if one is not accepted), key=lambda one: -evidence_of(one))
        return rest if accepted is None else [accepted, *rest]

    def _round(self, starts: Sequence[Starts], rng: np.random.Generator) -> Kinds | None:
        """Return an accepted finding of one round of starts: of groups of them, then of starts in what a kind alone leaves."""
        drawn = [candidate for one in starts for candidate in self._told(one.draw(rng, self._most, COMPONENTS))]
        chosen = distinct_candidates(drawn, _OF_ONE_ORDER)[:_SINGLES]
        singles = [with_amplitudes(one, 1, 25, THRESHOLD) for one in self._told(chosen)]
        accepted = self._follow(likely_groups(singles, self.rule.count, _GROUPS), _FOLLOWED)
        if accepted is not None:
            return accepted
        for kept in self._kept(chosen):
            if self._late():
                return None
            self._tell(f"Looking for another kind beside {' and '.join(str(int(one.sum())) for _, one in kept)} defects")
            while len(kept) < self.rule.count - 1:
                beside = groups_beside(kept, self._steps, rng, self._most)
                if not beside:
                    break
                polished = cut_kinds(kinds_with_amplitudes(beside[0], 5, 50, THRESHOLD), self._most)
                if polished is None:
                    break
                kept = _parts(polished)
            else:
                accepted = self._follow(groups_beside(kept, self._steps, rng, self._most)[:_GROUPS], _FOLLOWED_BESIDE)
                if accepted is not None:
                    return accepted
        return None

    def _kept(self, chosen: Sequence[Candidate]) -> Iterator[tuple[Part, ...]]:
        """Yield kinds that may be right already, each once: those of the findings, the clearest first, in turn with the best starts."""
        alone = iter(chosen[:_FIRST_SINGLES])
        while True:
            kinds = next(self._untried(), None)
            if kinds is not None:
                yield kinds
            start = next(alone, None)
            if start is not None:
                listed = cut(with_amplitudes(start, 8, 50, THRESHOLD), self._most)
                if listed is not None:
                    flipped = with_flips(listed, 5)
                    yield ((flipped.step, flipped.activation),)
            elif kinds is None:
                return

    def _untried(self) -> Iterator[tuple[Part, ...]]:
        """Yield the findings without one of their kinds, those first whose defects bring most evidence each."""
        parts = [
            _parts(kinds[:number] + kinds[number + 1 :])
            for kinds in sorted(self.found, key=lambda one: -evidence_of(one))[:_FOLLOWED]
            for number in range(len(kinds))
        ]
        for kept in sorted(parts, key=lambda one: -_evidence_of_each(one)):
            name = b"".join(activation.tobytes() for _, activation in kept)
            if name not in self._tried:
                self._tried.add(name)
                yield kept

    def _follow(self, begun: Sequence[Kinds], most: int) -> Kinds | None:
        """Polish the best of some groups until one is accepted; return that one, or None."""
        groups = [kinds_with_amplitudes(one, 2, 25, THRESHOLD) for one in self._told(begun)]
        groups.sort(key=lambda one: -one[0].fit.log_likelihood)
        for group in self._told(groups[:most]):
            if self.found and self._late():
                return None
            found = self._finished(group, 5, THRESHOLD)
            if found is None:
                continue
            if self.accepts(found):
                return found
            for threshold in OTHER_THRESHOLDS:
                # The kernels are right where little is left, and some defects are missing or too many.
                if unexplained_by(found) > NEARLY or self._late():
                    break
                again = self._finished(found, 4, threshold)
                if again is not None and self.accepts(again):
                    return again
        return None

    def _finished(self, group: Kinds, rounds: int, threshold: float) -> Kinds | None:
        """Return the kinds of 0 and 1 that a group leads to, and remember them; None where one dies out."""
        for _ in range(rounds):
            group = kinds_with_amplitudes(group, 1, 50, threshold)
            self._tell(self._words)
            if self._late():
                break
        listed = cut_kinds(group, self._most)
        if listed is None:
            return None
        self.found.append(kinds_with_flips(listed, 1 if self._late() else _FLIPS))
        return self.found[-1]

    def _shows_nothing(self) -> bool:
        """Say whether no finding is better than noise alone."""
        least = nothing_score(self.layers.pixels) + LEAST_GAIN
        return all(evidence_of(one) < least for one in self.found)

    def _told(self, items: Iterable[Item]) -> Iterator[Item]:
        """Yield the items, with a report before each, at which the work can be stopped."""
        for item in items:
            self._tell(self._words)
            yield item

    def _tell(self, words: str) -> None:
        self._words = words
        self.report(self.rule.share * min(1.0, self._seconds() / self.rule.time_limit_s), words)

    def _seconds(self) -> float:
        return self.rule.clock() - self._begun

    def _late(self) -> bool:
        return self._seconds() > self.rule.time_limit_s


def _parts(kinds: Kinds) -> tuple[Part, ...]:
    return tuple((kind.step, kind.activation) for kind in kinds)


def _evidence_of_each(parts: Sequence[Part]) -> float:
    """Return the log evidence that the defects of some kinds bring, without any other kind, on the average of their defects."""
    return evidence_of(solve_kinds(parts)) / sum(float(activation.sum()) for _, activation in parts)
