"""The noise model that one map with one list of defects asks for, and whether it asks for any."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from qpi_core.diagnostics.identifiability import may_be_modelled
from qpi_core.noise.lattice_waves import LatticeWave
from qpi_core.noise.selection import SelectionOptions
from qpi_core.solvers.harmonic.orders.significant_orders import is_explained
from qpi_core.solvers.harmonic.problem import HarmonicProblem
from qpi_core.solvers.harmonic.start import HarmonicStart
from qpi_core.solvers.measured.all_pixels import on_all_pixels, without_outliers
from qpi_core.solvers.measured.noise_model.noisy_start import LATTICE, NoisyStart
from qpi_core.solvers.measured.noise_model.one_kernel import OneKernel
from qpi_core.solvers.measured.noise_model.search import NoiseSearch

Array = NDArray[np.float64]

_STRONG_WAVE = 0.3
"""Amplitude in units of the map's standard deviation that a lattice has and the speckle of a wrong list has not."""


def find_noise(
    problem: HarmonicProblem,
    positions: Array,
    weights: Array,
    begun: HarmonicStart,
    options: SelectionOptions | None = None,
    unequal: bool = True,
    known: NoisyStart | None = None,
    movable: bool = False,
) -> NoisyStart | None:
    """Return the first stage under the noise model that the map asks for; None where white noise explains it.

    Args:
        problem: the map.
        positions, weights: its defects.
        begun: the first stage under white noise.
        options: numbers of the choice.
        unequal: the defects may have strengths and cores of their own, and a step may run through the map.
        known: the answer for another list of the same map or another stretch of the kernel, to begin with; its moves are those of this
            list.
        movable: the listed places may be off; they are marginalised to first order where the map asks for it.
    """
    chosen = options or SelectionOptions()
    # A stretch that explains the map under white noise needs no noise model; one that was found beside a noise model goes on from it.
    nothing_to_find = is_explained(begun.selection.best, begun.floor) or not may_be_modelled(np.isfinite(problem.values))
    if nothing_to_find or (begun.stretch is not None and known is None):
        return None
    whole = problem
    if known is not None and known.values.shape == problem.values.shape:
        # On other pixels the evidence of the two could not be compared.
        problem, begun = _without_those_of(known, problem, positions, weights, begun)
    else:
        problem, begun = without_outliers(problem, positions, weights, on_all_pixels(problem, positions, weights, begun))
    search = NoiseSearch(problem.values, OneKernel(problem, begun), chosen, unequal, movable)
    asked = min(_tested_once(search, begun).values()) < chosen.probability
    found = search.run(known) if asked else None
    return search.white() if found is None and problem is not whole else found


def _without_those_of(
    known: NoisyStart, problem: HarmonicProblem, positions: Array, weights: Array, begun: HarmonicStart
) -> tuple[HarmonicProblem, HarmonicStart]:
    """Return the problem without the outliers of another answer for the same map, and its first stage on every pixel."""
    if not np.array_equal(np.isfinite(known.values), np.isfinite(problem.values)):
        problem = replace(problem, values=known.values)
        begun = problem.start(positions, weights)
    return problem, on_all_pixels(problem, positions, weights, begun)


def chances_of_white_noise(problem: HarmonicProblem, positions: Array, weights: Array, begun: HarmonicStart) -> dict[str, float]:
    """Return how probable white noise makes what the first stage leaves, term by term; empty where it leaves nothing to look at."""
    if begun.stretch is not None or not may_be_modelled(np.isfinite(problem.values)) or is_explained(begun.selection.best, begun.floor):
        return {}
    begun = on_all_pixels(problem, positions, weights, begun)
    search = NoiseSearch(problem.values, OneKernel(problem, begun), SelectionOptions())
    found = _tested_once(search, begun)
    strongest = max((wave.amplitude for wave in search.waves), default=0.0)
    return {**found, LATTICE: 0.0 if strongest > _STRONG_WAVE * float(np.nanstd(problem.values)) else 1.0}


def _tested_once(search: NoiseSearch[HarmonicStart], begun: HarmonicStart) -> dict[str, float]:
    """Return what the tests of white noise say; whoever asks again of the same first stage gets what was found."""

    def test() -> tuple[tuple[LatticeWave, ...], dict[str, float]]:
        found = search.tested()
        return search.waves, found

    search.waves, told = begun.remembered(("white noise", search.options, search.unequal), test)
    return told
