"""The search for several kinds: rough activation maps from filter banks, the groups of them that explain the map together, polished."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import chain, combinations

import numpy as np
from scipy.linalg import block_diag

from qpi_core.runtime.progress import Progress
from qpi_core.solvers.blind.kinds.joint_kernels import Kinds, evidence_of, solve_kinds
from qpi_core.solvers.blind.kinds.kinds_polish import cut_kinds, kinds_with_amplitudes, kinds_with_flips
from qpi_core.solvers.blind.layers import Layers
from qpi_core.solvers.blind.polishing.kernel_step import KernelStep, most_likely
from qpi_core.solvers.blind.polishing.polish import with_amplitudes
from qpi_core.solvers.blind.polishing.score import Candidate
from qpi_core.solvers.blind.search import ORDERS, distinct_candidates
from qpi_core.solvers.blind.start.filter_bank import BankShape, FilterBank
from qpi_core.solvers.blind.start.starts import Starts

_SINGLES, _OF_ONE_ORDER = 14, 4
_GROUPS, _FOLLOWED = 5, 2
_THRESHOLD = 3.0
_DENSEST, _LEAST_MOST = 0.0366, 20
_COMPONENTS = 4


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
    """

    count: int
    kernel_radius: float = 36.0
    time_limit_s: float = 60.0
    seed: int = 0
    clock: Callable[[], float] = time.monotonic
    share: float = 0.7


def search_kinds(layers: Layers, rule: KindsRule, accepts: Callable[[Kinds], bool], report: Progress) -> list[Kinds]:
    """Return the kinds found, the best first; one that is accepted ends the search."""
    begun = rule.clock()
    most = max(_LEAST_MOST, int(_DENSEST * layers.pixels))
    steps = [KernelStep(FilterBank(BankShape(order, rule.kernel_radius, 1.0, 1, spot=True), layers.shape), layers) for order in ORDERS]
    starts = [Starts(layers, order, step) for order, step in zip(ORDERS, steps, strict=True)]
    found: list[Kinds] = []
    number = 0
    while not (found and rule.clock() - begun > rule.time_limit_s):
        report(
            rule.share * min(1.0, (rule.clock() - begun) / rule.time_limit_s), f"Round {number + 1}: rough starts for {rule.count} kinds"
        )
        rng = np.random.default_rng([rule.seed, number])
        drawn = list(chain.from_iterable(one.draw(rng, most, _COMPONENTS) for one in starts))
        singles = [with_amplitudes(one, 1, 25, _THRESHOLD) for one in distinct_candidates(drawn, _OF_ONE_ORDER)[:_SINGLES]]
        groups = [kinds_with_amplitudes(one, 2, 25, _THRESHOLD) for one in _likely_groups(singles, rule.count)]
        groups.sort(key=lambda one: -one[0].fit.log_likelihood)
        for group in groups[:_FOLLOWED]:
            if found and rule.clock() - begun > rule.time_limit_s:
                break
            listed = cut_kinds(kinds_with_amplitudes(group, 5, 50, _THRESHOLD), most)
            if listed is None:
                continue
            found.append(kinds_with_flips(listed, 6))
            if accepts(found[-1]):
                return [found[-1], *sorted(found[:-1], key=lambda one: -evidence_of(one))]
        number += 1
        if not found and rule.clock() - begun > rule.time_limit_s:
            break
    return sorted(found, key=lambda one: -evidence_of(one))


def _likely_groups(singles: list[Candidate], count: int) -> list[Kinds]:
    """Return the groups of candidates that explain the layers best together, the best first."""
    if len(singles) < count:
        return []
    designs = [one.step.design(one.activation) for one in singles]
    edges = np.cumsum([0, *(len(one) for one in designs)])
    design, data = np.concatenate(designs), singles[0].step.data
    gram, projected = design @ design.T, design @ data.T
    clearest = int(np.argmin(singles[0].step.layers.noise))
    total, pixels = float(data[clearest] @ data[clearest]), data.shape[1]
    ranked = []
    for group in combinations(range(len(singles)), count):
        own = np.concatenate([np.arange(edges[i], edges[i + 1]) for i in group])
        root = block_diag(*(singles[i].step.widest_root for i in group))
        ranked.append((most_likely(gram[np.ix_(own, own)], projected[own, clearest], total, pixels, [root]).likelihood, group))
    ranked.sort(reverse=True)
    return [solve_kinds([(singles[i].step, singles[i].activation) for i in group]) for _, group in ranked[:_GROUPS]]
