"""The kinds of defects that a list of one kind holds: first on the map as it is, then under a noise model."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from qpi_core.noise.model import CORES
from qpi_core.noise.selection import SelectionOptions
from qpi_core.solvers.harmonic.joint.start import DefectClass
from qpi_core.solvers.harmonic.problem import HarmonicProblem
from qpi_core.solvers.harmonic.start import HarmonicStart
from qpi_core.solvers.measured.class_map import explain_classes
from qpi_core.solvers.measured.explained_map import ExplainedMap
from qpi_core.solvers.measured.kinds.two_kinds import (
    DECISIVE,
    SortedKinds,
    TwoKinds,
    differ_in_shape,
    find_two_kinds,
    first_kernel,
    price_of_kinds,
    sort_kinds,
)
from qpi_core.solvers.measured.model_checks.whiteness import model_leaves_white_noise
from qpi_core.solvers.measured.noise_model.find_noise import chances_of_white_noise
from qpi_core.solvers.positions.catalogue.check import is_taken_as_given

Array = NDArray[np.float64]


def two_kinds_alone(problem: HarmonicProblem, positions: Array, weights: Array, begun: HarmonicStart) -> TwoKinds | None:
    """Return the two kinds that a list of one holds where these alone explain a map that the first stage did not.

    None where the first stage or one kernel of any shape leaves white noise, or two kinds leave anything else: then a noise model is found
    first, and the kinds under it (two_kinds_under_noise).
    """
    if is_taken_as_given(problem.values, positions):
        return None
    chances = chances_of_white_noise(problem, positions, weights, begun)
    if not any(chance < SelectionOptions().probability for chance in chances.values()):
        return None

    def one_kernel_explains() -> bool:
        # It is remembered, so whoever goes on with one kernel has it at once.
        model = problem.fit(positions, weights, begun)
        return model.excess == 1.0 and model_leaves_white_noise(model, problem.values)

    return find_two_kinds(problem, positions, weights, problem.simple_fit(positions, weights, begun), one_kernel_explains)


def two_kinds_under_noise(problem: HarmonicProblem, positions: Array, weights: Array, found: ExplainedMap) -> TwoKinds | None:
    """Return the two kinds that a list of one holds, on a map with a noise model; None where the map does not ask for them.

    Unequal strengths, cores and a background of short length take up much of what a second kind leaves: so kinds are looked for where
    these were found, and the noise model of the two kernels is found afresh.
    """
    asked = found.noise.strength_spread > 0 or CORES in found.noise.parts or len(found.noise.strange) > 0
    if not asked or found.listed.repair is not None or is_taken_as_given(problem.values, positions):
        return None
    known = np.where(found.noise.outliers, np.float32(np.nan), problem.values)
    best: SortedKinds | None = None
    for values in (known, found.cleaned):
        shown = replace(problem, values=values)
        kinds = sort_kinds(values, positions, weights, shown.simple_fit(positions, weights))
        if kinds is not None and (best is None or kinds.promised > best.promised):
            best = kinds
    if best is None:
        return None
    parts = [DefectClass(positions[own], weights[own]) for own in (~best.second, best.second)]
    explained = explain_classes(replace(problem, values=known), parts)
    same_pixels = explained.stage is None or np.array_equal(np.isfinite(explained.stage.values), np.isfinite(known))
    gain = explained.log_evidence - price_of_kinds(best.second) - found.evidence
    right = same_pixels and gain > DECISIVE and differ_in_shape(explained.joint, problem.kernel_size)
    return TwoKinds(best.second, gain, positions, first_kernel(explained.joint, problem.kernel_size)) if right else None
