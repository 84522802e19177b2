"""Where kinds begin: groups of rough starts that explain the map together, or new starts in what known kinds leave of it.

A filter that makes one kind sparse sees the other kinds as noise; where one is much clearer than the others, starts for these appear only
once it is taken off the map (deflation).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import chain, combinations

import numpy as np
from scipy.linalg import block_diag

from qpi_core.solvers.blind.kinds.joint_kernels import Kinds, solve_kinds
from qpi_core.solvers.blind.layers import Layers
from qpi_core.solvers.blind.polishing.convolution import Image
from qpi_core.solvers.blind.polishing.kernel_step import KernelStep, most_likely
from qpi_core.solvers.blind.polishing.score import Candidate
from qpi_core.solvers.blind.search import distinct_candidates
from qpi_core.solvers.blind.start.starts import Starts

Part = tuple[KernelStep, Image]

COMPONENTS = 4
"""Skewed components of a bank that become starts."""
_BESIDE, _OF_ONE_ORDER = 8, 4


def likely_groups(singles: Sequence[Candidate], count: int, most: int) -> list[Kinds]:
    """Return at most so many groups of candidates, those that explain the layers best together, the best first."""
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
    return [solve_kinds([(singles[i].step, singles[i].activation) for i in group]) for _, group in ranked[:most]]


def layers_without(kept: Sequence[Part]) -> Layers:
    """Return what some kinds leave of the layers, again in units of its own spread."""
    layers = kept[0][0].layers
    left = solve_kinds(kept)[0].fit.residuals
    spread = np.maximum(left[:, layers.measured].std(axis=1), 1e-30).astype(np.float64)
    values = (left / spread[:, None, None]).astype(np.float32)
    return replace(layers, values=values, scales=layers.scales * spread, noise=layers.noise / spread**2)


def groups_beside(kept: Sequence[Part], steps: Sequence[KernelStep], rng: np.random.Generator, densest: int) -> list[Kinds]:
    """Return some kinds with one more, begun in what they leave of the map, the best first.

    Args:
        kept: steps and activation maps of the kinds that are kept.
        steps: one for each order of symmetry, on the layers themselves.
        rng: of the starts.
        densest: most defects of a start.
    """
    left = layers_without(kept)
    beside = [KernelStep(step.bank, left) for step in steps]
    starts = [Starts(left, step.bank.bank.symmetry_order, step) for step in beside]
    drawn = list(chain.from_iterable(one.draw(rng, densest, COMPONENTS) for one in starts))
    own = {one.bank.bank.symmetry_order: one for one in steps}
    chosen = distinct_candidates(drawn, _OF_ONE_ORDER)[:_BESIDE]
    groups = [solve_kinds([*kept, (own[one.symmetry_order], one.activation)]) for one in chosen]
    return sorted(groups, key=lambda one: -one[0].fit.log_likelihood)
