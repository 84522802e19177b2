"""Kernels that lack the rotation symmetry of the others, made of those: half-planes, drift, unequal bands, straight edges.

    one-sided   A(p) (f + (1 - f) (1 + tanh((u - u0) / w)) / 2),   u the distance along a random direction: a defect beside a step
    drifted     A(M p) with a matrix near the unit matrix: the scanner crept, or the lattice is strained
    bands       a A1(p) + b A2(p) with different orders, wave vectors and orientations
    edge        exp(-c r^2) cos(q |u| + p) exp(-|u| / l) with another strength on either side: a short piece of a step

Training kernels only; the benchmark draws its own (evaluation/benchmark/unusual_kernels.py).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import gcd
from typing import Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from qpi_core.synthesis.kernel_families.equation_7 import DECAY_RANGE, WAVENUMBER_RANGE, draw_kernel_parameters, evaluate
from qpi_core.synthesis.kernel_families.harmonic_patterns import draw_harmonic_pattern

Kind = Literal["one-sided", "drifted", "bands", "edge"]
KINDS: tuple[Kind, ...] = get_args(Kind)
MAX_DRIFT = 0.15
"""Largest entry of M - 1."""
_WIDEN = 1.2


@dataclass(frozen=True)
class UnevenPattern:
    """One kernel of the family.

    Attributes:
        kind: how it lost its symmetry.
        symmetry_order: what is left of it: 1 none, 2 for a drifted kernel that had inversion symmetry, the common one of two bands.
        values: the pattern at offsets (dx, dy) in nm.
    """

    kind: Kind
    symmetry_order: int
    values: Callable[[NDArray[np.float64], NDArray[np.float64]], NDArray[np.float64]]

    def __call__(self, dx_nm: ArrayLike, dy_nm: ArrayLike) -> NDArray[np.float64]:
        """Return the pattern at offsets (dx, dy) in nm from the defect."""
        return self.values(np.asarray(dx_nm, dtype=np.float64), np.asarray(dy_nm, dtype=np.float64))


def draw_uneven_pattern(rng: np.random.Generator, kind: Kind | None = None) -> UnevenPattern:
    """Draw one kernel of the family, of any kind or of the one that is named."""
    chosen = KINDS[int(rng.integers(len(KINDS)))] if kind is None else kind
    return {"one-sided": _one_sided, "drifted": _drifted, "bands": _two_bands, "edge": _edge}[chosen](rng)


def _even(rng: np.random.Generator) -> tuple[Callable[..., NDArray[np.float64]], int]:
    """Draw a kernel with a rotation symmetry, of Eq. 7 or signed, with its order."""
    if rng.random() < 0.6:
        parameters = draw_kernel_parameters(rng, widen=_WIDEN)
        return lambda dx, dy: evaluate(parameters, dx, dy), parameters.symmetry_order
    pattern = draw_harmonic_pattern(rng)
    return pattern, pattern.symmetry_order


def _one_sided(rng: np.random.Generator) -> UnevenPattern:
    whole, _ = _even(rng)
    angle, width = rng.uniform(0, 2 * np.pi), float(np.exp(rng.uniform(np.log(0.15), np.log(1.5))))
    shift, floor = rng.uniform(-0.6, 0.6), rng.choice([0.0, rng.uniform(0, 0.5)])

    def values(dx: NDArray[np.float64], dy: NDArray[np.float64]) -> NDArray[np.float64]:
        along = dx * np.cos(angle) + dy * np.sin(angle)
        share = floor + (1 - floor) * (0.5 + 0.5 * np.tanh((along - shift) / width))
        return np.asarray(whole(dx, dy) * share)

    return UnevenPattern("one-sided", 1, values)


def _drifted(rng: np.random.Generator) -> UnevenPattern:
    whole, order = _even(rng)
    matrix = np.eye(2) + rng.uniform(-MAX_DRIFT, MAX_DRIFT, (2, 2))

    def values(dx: NDArray[np.float64], dy: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.asarray(whole(matrix[0, 0] * dx + matrix[0, 1] * dy, matrix[1, 0] * dx + matrix[1, 1] * dy))

    # A linear map keeps A(-p) = A(p), and nothing else.
    return UnevenPattern("drifted", 2 if order % 2 == 0 else 1, values)


def _two_bands(rng: np.random.Generator) -> UnevenPattern:
    (first, one), (second, other) = _even(rng), _even(rng)
    share = rng.uniform(0.3, 1.0) * rng.choice([-1.0, 1.0])
    return UnevenPattern("bands", gcd(one, other), lambda dx, dy: np.asarray(first(dx, dy) + share * second(dx, dy)))


def _edge(rng: np.random.Generator) -> UnevenPattern:
    angle, phase = rng.uniform(0, 2 * np.pi, 2)
    q = 2 * rng.uniform(WAVENUMBER_RANGE[0] / _WIDEN, WAVENUMBER_RANGE[1] * _WIDEN)
    decay = float(np.exp(rng.uniform(np.log(DECAY_RANGE[0] / _WIDEN), np.log(DECAY_RANGE[1] * _WIDEN))))
    length, behind = rng.uniform(0.5, 3.0), rng.uniform(-1, 1)

    def values(dx: NDArray[np.float64], dy: NDArray[np.float64]) -> NDArray[np.float64]:
        along = dx * np.cos(angle) + dy * np.sin(angle)
        side = np.where(along >= 0, 1.0, behind)
        wave = np.cos(q * np.abs(along) + phase) * np.exp(-np.abs(along) / length)
        return np.asarray(side * wave * np.exp(-decay * (dx * dx + dy * dy)))

    return UnevenPattern("edge", 1, values)
