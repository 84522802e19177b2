"""Defects moved and weighted by the map before a method runs, with a record of what was changed."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from qpi_core.base.units import movements
from qpi_core.estimates.caution import Caution, CautionKind
from qpi_core.estimates.estimate import KernelEstimate
from qpi_core.extraction.answers.first_stage import FirstStage, first_stage
from qpi_core.runtime.progress import Progress, no_progress, part_of

if TYPE_CHECKING:
    from qpi_core.extraction.answers.request import Request
    from qpi_core.solvers.measured.explained_map import ExplainedMap
    from qpi_core.solvers.measured.noise_model.noisy_start import NoisyStart
    from qpi_core.solvers.positions.refinement import RefinedDefects

_TILTED = 0.5
"""Share of a map's variance from which on its plane is taken off before defects are moved."""
_PARTS = (0.0, 0.15), (0.15, 0.55), (0.55, 0.7), (0.7, 1.0)
"""Shares of the work, roughly: moving, the noise model of the moved list, and both once more on the map without its background."""


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

    found, begun = _refined(request, positions, weights, POSITION_SIGMA_PX, report)
    sigma = np.full(len(found.positions), POSITION_SIGMA_PX) if positions else None
    moved = replace(request, positions=found.positions, weights=found.weights, position_sigma=sigma, begun=begun)
    return moved, _record(request, found, weights)


def refinement_at(request: Request, places: NDArray[np.float64]) -> Refinement:
    """Return the record of defects that were moved to places, (n, 2) px on the map, by whoever found them.

    Args:
        request: as marked; its map holds nothing but the kernel of these defects and noise.
        places: where they were found.
    """
    return _record(request, _seen_at(request, places, request.weights), False)


def _seen_at(request: Request, places: NDArray[np.float64], weights: NDArray[np.float64]) -> RefinedDefects:
    """Return how well places, (n, 2) px, are known, and which defects the map of a request shows there at all."""
    from qpi_core.solvers.positions.refinement import refine
    from qpi_core.solvers.positions.refinement_options import RefinementOptions

    as_they_are = RefinementOptions(positions=False, weights=False)
    return refine(request.observation, places, request.kernel_size, weights, request.pixel_size_nm, as_they_are)


def _record(request: Request, found: RefinedDefects, weighted: bool) -> Refinement:
    moved = np.hypot(*(found.positions - request.positions).T)
    return Refinement(request.positions, moved, found.deviation_px, tuple(int(i) for i in np.flatnonzero(found.unsupported)), weighted)


def _refined(
    request: Request, positions: bool, weights: bool, sigma_px: float, report: Progress
) -> tuple[RefinedDefects, FirstStage | None]:
    """Return the defects where the map has them: refined on the map as it is or, where that has a background, beside it.

    Clicks that are off leave a residual that passes for a background, and a background moves defects. So where there is one, it and the
    places are found together, beginning with the list as marked: the places are marginalised in the noise model, or, of too many
    defects, found on the map without that background. The evidence decides whether that is better. On maps of more than MOST_JOINT_PIXELS
    the noise model is left to the solve that follows, which would otherwise be made three times.

    The first stage for the list that was chosen comes with it where it was made: the solve goes on from it, and from its noise model.
    """
    from qpi_core.maps.preparation.levelling import subtract_plane, tilt_share
    from qpi_core.solvers.measured.measured_map import explain_map
    from qpi_core.solvers.measured.mended_list import WEAK
    from qpi_core.solvers.positions.refinement import MOST_JOINT_PIXELS, refine
    from qpi_core.solvers.positions.refinement_options import RefinementOptions

    height, width = request.observation.shape

    def refined(values: NDArray[np.float32], told: Progress) -> RefinedDefects:
        # A kernel that is moved along a slope explains some of it.
        values = values if tilt_share(values) < _TILTED else subtract_plane(values.astype(np.float64)).astype(np.float32)
        options = RefinementOptions(positions, weights, sigma_px)
        found = refine(values, request.positions, request.kernel_size, request.weights, request.pixel_size_nm, options, told)
        return replace(found, positions=np.clip(found.positions, -0.5, [width - 0.5, height - 0.5]))

    def begun(defects: RefinedDefects) -> FirstStage:
        return first_stage(replace(request, positions=defects.positions, weights=defects.weights))

    def explained(stage: FirstStage, told: Progress, known: NoisyStart | None = None) -> ExplainedMap | None:
        listed = stage.positions, stage.weights
        return explain_map(stage.problem, *listed, stage.start, mend_list=False, report=told, known=known)

    def worth(defects: RefinedDefects, map_: ExplainedMap) -> float:
        return map_.evidence - 0.5 * float(np.sum((defects.positions - request.positions) ** 2)) / sigma_px**2

    def beside(noisy: NoisyStart, told: Progress) -> tuple[RefinedDefects, FirstStage, ExplainedMap | None]:
        places, amplitudes = noisy.places(request.positions), noisy.start.samples.weights if weights else request.weights
        stage = first_stage(replace(request, positions=places, weights=amplitudes))
        found = explained(stage, told, replace(noisy, moves=None))
        # How well the places are known, and which defects the map shows at all, is seen without the background.
        values = request.observation if found is None else found.cleaned
        return _seen_at(replace(request, observation=values), places, amplitudes), stage, found

    if request.noise_model == "white" or request.observation.size > MOST_JOINT_PIXELS:
        return refined(request.observation, report), None
    first = refined(request.observation, part_of(report, *_PARTS[0]))
    stage = begun(first)
    as_it_is = explained(stage, part_of(report, *_PARTS[1]))
    if as_it_is is None or as_it_is.may_be_the_kernel(WEAK):
        return first, stage
    noisy = _beside_noise(request, as_it_is.stage, part_of(report, *_PARTS[2])) if positions and _may_be_found_together(request) else None
    if noisy is not None:
        second, other, without = beside(noisy, part_of(report, *_PARTS[3]))
    else:
        second = refined(as_it_is.cleaned, part_of(report, *_PARTS[2]))
        other = begun(second)
        without = explained(other, part_of(report, *_PARTS[3]), as_it_is.stage)
    return (second, other) if without is None or worth(second, without) > worth(first, as_it_is) else (first, stage)


def _may_be_found_together(request: Request) -> bool:
    """Say whether defects and map are few enough for the places to be found along with background and noise."""
    from qpi_core.diagnostics.identifiability import may_be_modelled
    from qpi_core.solvers.measured.noise_model.defect_effects import may_be_moved

    return may_be_moved(len(request.positions)) and may_be_modelled(np.isfinite(request.observation))


def _beside_noise(request: Request, known: NoisyStart | None, report: Progress) -> NoisyStart | None:
    """Return the noise model of a map with the places of the marked defects found along with it; None where they are not moved.

    Args:
        request: with the list as marked.
        known: noise model for the defects elsewhere, to begin with.
        report: progress.
    """
    from qpi_core.solvers.measured.noise_model.find_noise import find_noise

    report(0.0, "Moving the defects, background and noise along with them")
    marked, known = first_stage(request), None if known is None else replace(known, moves=None)
    noisy = find_noise(marked.problem, marked.positions, marked.weights, marked.start, known=known, movable=True)
    return None if noisy is None or noisy.moves is None else noisy
