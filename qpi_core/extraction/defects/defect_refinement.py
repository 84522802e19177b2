"""Defects moved and weighted by the map before a method runs, with a record of what was changed."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from qpi_core.base.units import movements
from qpi_core.estimates.caution import Caution, CautionKind
from qpi_core.estimates.estimate import KernelEstimate
from qpi_core.runtime.progress import Progress, no_progress

if TYPE_CHECKING:
    from qpi_core.extraction.answers.request import Request
    from qpi_core.solvers.positions.refinement import RefinedDefects


@dataclass(frozen=True)
class Refinement:
    """What the map changed.

    Attributes:
        given: (n, 2) positions as marked, px.
        moved_px: (n,) how far each defect moved.
        deviation_px: (n,) one standard deviation of a position in each direction.
        unsupported: numbers of the defects at which the map shows hardly any of the kernel.
        weighted: whether amplitudes were changed too.
    """

    given: NDArray[np.float64]
    moved_px: NDArray[np.float64]
    deviation_px: NDArray[np.float64]
    unsupported: tuple[int, ...]
    weighted: bool

    def note(self, estimate: KernelEstimate) -> KernelEstimate:
        """Return the estimate with sentences and provenance that say what was changed."""
        moved = f"The map moved the {'defect' if len(self.moved_px) == 1 else 'defects'} by {movements(self.moved_px)}"
        sentences = [Caution(moved + (", and gave each its own amplitude." if self.weighted else "."), CautionKind.MOVED)]
        if self.unsupported:
            places = ", ".join(f"({x:.1f}, {y:.1f})" for x, y in self.given[list(self.unsupported[:10])])
            more = f" and {len(self.unsupported) - 10} others" if len(self.unsupported) > 10 else ""
            none = f"The map shows hardly any of the kernel at (x, y) = {places} px{more}; there may be no such defect."
            sentences.append(Caution(none, CautionKind.UNSUPPORTED_DEFECTS, len(self.unsupported)))
        record = {
            "given_positions_px": self.given.tolist(),
            "moved_px": self.moved_px.tolist(),
            "deviation_px": self.deviation_px.tolist(),
            "unsupported": list(self.unsupported),
            "weights_refined": self.weighted,
        }
        warnings = tuple(dict.fromkeys([*estimate.warnings, *sentences]))
        return replace(estimate, warnings=warnings, provenance={**estimate.provenance, "refinement": record})


def refine_defects(request: Request, positions: bool, weights: bool, report: Progress = no_progress) -> tuple[Request, Refinement]:
    """Return the request with refined defects, kept on the map, and the record of it.

    Args:
        request: checked; its map is not constant.
        positions: move the defects.
        weights: change their amplitudes.
        report: as for `qpi_core.solvers.positions.refinement.refine`.
    """
    from qpi_core.solvers.positions.score_test import POSITION_SIGMA_PX

    found = _refined(request, positions, weights, POSITION_SIGMA_PX, report)
    height, width = request.observation.shape
    kept = np.clip(found.positions, -0.5, [width - 0.5, height - 0.5])
    moved = np.hypot(*(kept - request.positions).T)
    record = Refinement(request.positions, moved, found.deviation_px, tuple(int(i) for i in np.flatnonzero(found.unsupported)), weights)
    sigma = np.full(len(kept), POSITION_SIGMA_PX) if positions else None
    return replace(request, positions=kept, weights=found.weights, position_sigma=sigma), record


def _refined(request: Request, positions: bool, weights: bool, sigma_px: float, report: Progress) -> RefinedDefects:
    """Return the defects where the map has them: refined on the map as it is, and where that has a background, on the map without it.

    Clicks that are off leave a residual that passes for a background, and a background moves defects. So both are tried, the second one
    with the background that goes with the first one's positions, and the evidence under a noise model of its own decides. On maps of more
    than MOST_JOINT_PIXELS the noise model is left to the solve that follows, which would otherwise be made three times.
    """
    from qpi_core.solvers.harmonic.problem import HarmonicProblem
    from qpi_core.solvers.measured.measured_map import WEAK, ExplainedMap, explain_map
    from qpi_core.solvers.positions.refinement import MOST_JOINT_PIXELS, refine
    from qpi_core.solvers.positions.refinement_options import RefinementOptions

    def refined(values: NDArray[np.float32]) -> RefinedDefects:
        options = RefinementOptions(positions, weights, sigma_px)
        return refine(values, request.positions, request.kernel_size, request.weights, request.pixel_size_nm, options, report)

    def explained(defects: RefinedDefects) -> ExplainedMap | None:
        problem = HarmonicProblem(request.observation, request.kernel_size, request.pixel_size_nm)
        return explain_map(problem, defects.positions, defects.weights, mend_list=False)

    def worth(defects: RefinedDefects, map_: ExplainedMap) -> float:
        return map_.evidence - 0.5 * float(np.sum((defects.positions - request.positions) ** 2)) / sigma_px**2

    first = refined(request.observation)
    if request.noise_model == "white" or request.observation.size > MOST_JOINT_PIXELS:
        return first
    as_it_is = explained(first)
    if as_it_is is None or as_it_is.may_be_the_kernel(WEAK):
        return first
    second = refined(as_it_is.cleaned)
    without = explained(second)
    return second if without is None or worth(second, without) > worth(first, as_it_is) else first
