"""Kernels of Eq. 7 whose power looks like the map's: starts for maps so dense that a kernel's own shape is lost in them.

The power spectrum leaves open where the kernel's transform changes sign, and random beginnings (spectral_start) seldom guess that right.
Patterns around defects are alike, though: waves of one length under an envelope, times an angular factor,

    A(r, theta) = sin^2(n theta / 2 + phi1) sin^2(q r / 2 + phi2) exp(-c r^2),

and a grid of a few thousand of them, each judged by Whittle's likelihood with the strength that the map's power asks for, holds one
that is close to most kernels. It is only where the search begins: the kernel that comes out lies in the bank, not on the grid.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from qpi_core.solvers.blind.polishing.score import Candidate
from qpi_core.solvers.blind.start.filter_bank import FilterBank
from qpi_core.solvers.blind.start.spectral_start import SpectralStarts

Array = NDArray[np.float64]

_WAVES = np.linspace(0.35, 2.1, 14)
"""q in rad a pixel: from waves that a map of 64 pixels shows three of, to three pixels a wave."""
_DECAYS = np.geomspace(0.0015, 0.018, 4)
"""c in 1 / px^2: the envelope falls to exp(-1) within 26 to 7 px."""
_PHASES = _ORIENTATIONS = np.pi / 6 * np.arange(6)
_AN_ORDER, _ALIKE = 8, 0.8
"""So many patterns an order of symmetry are followed; those that correlate by more are the same, and so is half a turn of one."""
_FOLLOWED, _MOST_OF_ONE_ORDER = 12, 4
_CHUNK = 256


@dataclass(frozen=True, eq=False)
class _Guess:
    """A pattern with the likelihood that it leads to, and the kernels from which the search can go on."""

    starts: SpectralStarts
    likelihood: float
    pattern: NDArray[np.float32]
    refined: NDArray[np.float32]


class FormulaStarts:
    """The most likely patterns of all orders of symmetry, found once."""

    def __init__(self, starts: Sequence[SpectralStarts]) -> None:
        """Judge the grid for every order's starts."""
        guesses = sorted((guess for one in starts for guess in _guesses(one)), key=lambda guess: -guess.likelihood)
        kept: list[_Guess] = []
        for guess in guesses:
            if sum(other.starts is guess.starts for other in kept) < _MOST_OF_ONE_ORDER and len(kept) < _FOLLOWED:
                kept.append(guess)
        self._guesses = kept

    def draw(self, refined: bool, most: int) -> Iterator[Candidate]:
        """Yield scored candidates of at most `most` defects: from the patterns as they are, or refined to fit the power first."""
        for guess in self._guesses:
            yield from guess.starts.candidates(guess.refined if refined else guess.pattern, most)


def pattern_coefficients(bank: FilterBank) -> Array:
    """Return the bank's coefficients of all patterns, (patterns, filters)."""
    centres = np.arange(0, bank.bank.radius + 1e-6, bank.bank.step)
    waves, decays, phases = (axis.ravel()[:, None] for axis in np.meshgrid(_WAVES, _DECAYS, _PHASES, indexing="ij"))
    radial = (0.5 - 0.5 * np.cos(waves * centres + 2 * phases)) * np.exp(-decays * centres**2)
    profiles = np.linalg.solve(_values_of_splines(len(centres)), radial.T).T
    order = bank.bank.symmetry_order
    found = []
    for orientation in _ORIENTATIONS if order else (np.pi / 2,):
        coefficients = np.zeros((len(profiles), bank.count))
        # sin^2(u) = (1 - cos 2u) / 2; without symmetry phi1 = pi / 2 makes the factor 1.
        shares = {0: 0.5, 2 * order: -0.5 * np.cos(2 * orientation), 2 * order + 1: 0.5 * np.sin(2 * orientation)} if order else {0: 1.0}
        for profile, share in shares.items():
            own = np.flatnonzero(bank.profiles == profile)
            coefficients[:, own] = share * profiles[:, np.rint(bank.radii[own] / bank.bank.step).astype(int)]
        found.append(coefficients)
    return np.concatenate(found)


def _values_of_splines(count: int) -> Array:
    """Return the values of all cubic B-splines at their centres, (count, count); the profile is even about radius 0."""
    matrix = (4 * np.eye(count) + np.eye(count, k=1) + np.eye(count, k=-1)) / 6
    matrix[0, 1] = 1 / 3
    return np.asarray(matrix)


def _guesses(starts: SpectralStarts) -> list[_Guess]:
    """Return the most likely patterns of one order that are not alike."""
    likelihood, bank = starts.likelihood, starts.bank
    patterns = likelihood.in_prior(pattern_coefficients(bank))
    values, strengths = np.empty(len(patterns)), np.empty(len(patterns))
    for first in range(0, len(patterns), _CHUNK):
        part = slice(first, first + _CHUNK)
        values[part], strengths[part] = likelihood.of_shapes(patterns[part])
    found: list[_Guess] = []
    for number in np.argsort(-values)[:_CHUNK]:
        shape = patterns[number] * strengths[number]
        kernel = bank.kernel(likelihood.from_prior(shape)).astype(np.float32)
        if any(_correlation(kernel, other.pattern) > _ALIKE for other in found):
            continue
        coefficients, reached = likelihood.maximise_from(shape)
        found.append(_Guess(starts, reached, kernel, bank.kernel(coefficients).astype(np.float32)))
        if len(found) == _AN_ORDER:
            break
    return found


def _correlation(one: NDArray[np.float32], other: NDArray[np.float32]) -> float:
    """Return the correlation of two kernels, or of one with half a turn of the other where that is larger: their power is the same."""
    first, second = one - one.mean(), other - other.mean()
    norms = float(np.linalg.norm(first) * np.linalg.norm(second)) + 1e-30
    return max(abs(float(np.vdot(first, second))), abs(float(np.vdot(first, second[::-1, ::-1])))) / norms
