"""`refined`: the best prior mean the data know, corrected wherever the data show more.

    minimise |Y - b - A*M|^2 / sigma^2 + |(A - A_prior) / s|^2

A_prior is one of several candidates (harmonic posterior mean, network, nothing); s, down to none at all, follows from held-out
pixels (see correction). So what no prior can represent still comes through where the data show it, and a prior that is right
is left alone, with its own uncertainty.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from qpi_core.base.validation import require_problem
from qpi_core.estimates.solution import KernelSolution
from qpi_core.operators.convolution import ForwardOperator
from qpi_core.operators.joint import JointOperator
from qpi_core.runtime.threads import one_thread
from qpi_core.solvers.least_squares.regularised import PreparedMap, centred, prepare_map, representative_part, solved_window
from qpi_core.solvers.least_squares.single_defect import is_one_place
from qpi_core.solvers.refined.corrected_kernel import disagreement, with_correction
from qpi_core.solvers.refined.correction import Judgement, judge_correction, judge_single_correction, solve_corrections
from qpi_core.solvers.refined.cross_validation import Verdict, held_out_tiles, judge_candidates

NEGLIGIBLE = 1e-7
"""Share of the map's variance below which a residual is rounding and the error of the radial splines, not worth a correction."""
MOST_JUDGED = 20_000
"""Pixels of a map up to which the candidates compete on held-out tiles; beyond it nothing that was fitted counts against its pixels."""
JUDGED_SIDE = 512
"""Larger maps are judged on a part of this side, which holds as many pixels as any decision needs; the solve takes the whole map."""


@dataclass(frozen=True)
class Prior:
    """A candidate for the prior mean.

    Attributes:
        name: for the side-car.
        solution: what its method gave; wide_kernel is the mean.
        freedom: unknowns that were fitted to the same pixels, which flatter its held-out error.
        refit: (height, width) pixels that must take no part -> wide kernel made without them; None where that is not possible.
    """

    name: str
    solution: KernelSolution
    freedom: float
    refit: Callable[[NDArray[np.bool_]], NDArray[np.float32]] | None = None


@one_thread()
def solve_refined(
    observation: ArrayLike,
    positions: ArrayLike,
    kernel_size: int,
    priors: Sequence[Prior],
    *,
    weights: ArrayLike | None = None,
    rivals: Callable[[], Sequence[Prior]] | None = None,
) -> KernelSolution:
    """Correct the first prior mean where held-out pixels say that it helps; where they do, its rivals are tried too.

    Args:
        observation: (height, width), NaN where not measured.
        positions: (n, 2) columns (x, y) in pixels.
        kernel_size: side of the kernel in pixels.
        priors: candidates, at least one, the most trusted first.
        weights: amplitude of each defect; None is 1.
        rivals: makes more candidates, asked only where the first one does not settle the matter.

    Raises:
        InputError: bad observation, positions, kernel_size or weights.
    """
    map_, points, size, amplitudes = require_problem(observation, positions, kernel_size, weights)
    shape = (map_.shape[0], map_.shape[1])
    prepared = prepare_map(map_)
    mask = torch.from_numpy(prepared.mask)
    with torch.inference_mode():
        operator = ForwardOperator(points, shape, solved_window(size, shape), amplitudes)
        power = float((amplitudes**2).sum())

        def left_by(prior: Prior) -> tuple[float, Tensor]:
            left = _leftover(map_, prior.solution, points, amplitudes)
            offset = float(left[prepared.mask > 0].mean(dtype=np.float64))
            return offset, centred(torch.from_numpy(left / np.float32(prepared.scale)), mask)

        def judge(residual: Tensor) -> Judgement:
            left = float(residual.square().sum() / mask.sum())
            if left < NEGLIGIBLE:
                return Judgement(left, None, 0.0)
            if is_one_place(points):
                return judge_single_correction(residual, mask, points[0], amplitudes, operator.kernel_size)
            return judge_part(residual, prepared, points, amplitudes, operator) or judge_correction(residual, mask, operator, power)

        # Between pixels a kernel on pixels leaves more than the solver that it came from, which knows the true offsets.
        explained = (priors[0].solution.noise_sigma / prepared.scale) ** 2 < 3 * NEGLIGIBLE
        left_over = [left_by(priors[0])]
        judgements = [Judgement(NEGLIGIBLE, None, 0.0) if explained else judge(left_over[0][1])]
        # Wrong positions and missing defects make a kernel of independent profiles without any symmetry, and leave nothing to correct.
        first = priors[0].solution
        shapeless = first.symmetry_order is None and first.details.get("profiles") == "independent"
        doubtful = judgements[0].strength is not None or (shapeless and not explained)
        if doubtful:
            priors = [*priors, *(rivals() if rivals is not None else ())]
            left_over += [left_by(prior) for prior in priors[1:]]
        offsets, residuals = zip(*left_over, strict=True)
        if doubtful and not is_one_place(points) and mask.sum() <= MOST_JUDGED and all(prior.refit for prior in priors):
            verdict = _verdict(map_, prepared, points, amplitudes, priors, operator)
            judgement = Judgement(verdict.errors[verdict.index], verdict.strength, verdict.width)
            notes = {f"held_out_error_{prior.name}": error * prepared.scale**2 for prior, error in zip(priors, verdict.errors, strict=True)}
            best = verdict.index
            chosen = _Chosen(priors[best], residuals[best], offsets[best], judgement)
            return _finished(chosen, first, prepared, operator, notes)
        # A first choice that leaves nothing to correct needs no rivals.
        if judgements[0].strength is not None:
            judgements += [judge(residual) for residual in residuals[1:]]
        errors = [_honest(judgement, prior, float(mask.sum())) for judgement, prior in zip(judgements, priors, strict=False)]
        best = int(np.argmin(errors))
        notes = {f"held_out_error_{prior.name}": error * prepared.scale**2 for prior, error in zip(priors, errors, strict=False)}
        chosen = _Chosen(priors[best], residuals[best], offsets[best], judgements[best])
        return _finished(chosen, first, prepared, operator, notes)


def uncorrected(
    observation: ArrayLike, positions: ArrayLike, kernel_size: int, prior: Prior, weights: ArrayLike | None = None
) -> KernelSolution | None:
    """Return the answer with one prior mean where held-out pixels find nothing to correct in it, else None; arguments as above."""
    solution = solve_refined(observation, positions, kernel_size, [prior], weights=weights)
    return solution if solution.details["correction"] == "none" else None


def _verdict(
    map_: NDArray[np.float32],
    prepared: PreparedMap,
    points: NDArray[np.float64],
    amplitudes: NDArray[np.float64],
    priors: Sequence[Prior],
    operator: ForwardOperator,
) -> Verdict:
    """Let the priors compete on tiles of the map that none of them has seen."""
    held, label = held_out_tiles(prepared.mask)
    left = []
    for prior in priors:
        assert prior.refit is not None
        kernel = prior.refit(held)
        unseen = _leftover(map_, replace(prior.solution, wide_kernel=kernel, superposition=None), points, amplitudes)
        if prior.solution.superposition is not None:
            # What sampling the kernel on pixels costs is no fault of the prior.
            sampled = _leftover(map_, replace(prior.solution, superposition=None), points, amplitudes)
            unseen += _leftover(map_, prior.solution, points, amplitudes) - sampled
        left.append(unseen / np.float32(prepared.scale))
    return judge_candidates(torch.from_numpy(np.stack(left)), prepared.mask, held, label, operator, float((amplitudes**2).sum()))


@dataclass(frozen=True)
class _Chosen:
    """The prior that was chosen: what it leaves of the prepared map, the background there, and what held-out pixels said."""

    prior: Prior
    residual: Tensor
    offset: float
    judgement: Judgement


def _finished(
    chosen: _Chosen, reference: KernelSolution, prepared: PreparedMap, operator: ForwardOperator, notes: dict[str, float]
) -> KernelSolution:
    """Return the chosen prior, corrected where the judgement says so, with an uncertainty whatever the prior brought.

    Where a kernel comes without error bars, how far it is from the reference is the least that is not known.
    """
    prior = chosen.prior.solution
    known = replace(prior, details={**prior.details, "prior": chosen.prior.name, **notes})
    if chosen.judgement.strength is None:
        solution = replace(known, details={**known.details, "correction": "none"})
        return solution if prior.uncertainty is not None else replace(solution, uncertainty=disagreement(prior.kernel, reference.kernel))
    found = solve_corrections(chosen.residual, torch.from_numpy(prepared.mask), JointOperator([operator]), [chosen.judgement])
    exact = prior.superposition
    if exact is not None:
        added = operator(torch.from_numpy(found.changes[0])).numpy() * np.float32(prepared.scale)
        exact = np.where(prepared.mask > 0, exact + added, np.float32(0))
    # What neither the prior nor its change explains has the background as its mean, whatever background the prior brought.
    background = chosen.offset + found.background * prepared.scale
    known = replace(known, background=background, noise_sigma=found.noise * prepared.scale, superposition=exact)
    return with_correction(known, found, 0, chosen.judgement, prepared.scale, reference=reference.kernel)


def nothing_known(observation: NDArray[np.float32], kernel_size: int) -> KernelSolution:
    """Return the prior mean of somebody who knows nothing: a zero kernel on the map's mean."""
    kernel = np.zeros((kernel_size, kernel_size), dtype=np.float32)
    spread = float(np.nanstd(observation, dtype=np.float64))
    return KernelSolution(kernel, kernel, float(np.nanmean(observation, dtype=np.float64)), spread)


def _leftover(
    map_: NDArray[np.float32], solution: KernelSolution, positions: NDArray[np.float64], weights: NDArray[np.float64]
) -> NDArray[np.float32]:
    """Return what a prior leaves of the map; unmeasured pixels as if the map were zero there."""
    if solution.superposition is not None:
        return np.asarray(np.nan_to_num(map_) - solution.superposition, dtype=np.float32)
    wide = torch.from_numpy(np.ascontiguousarray(solution.wide_kernel))
    fitted = ForwardOperator(positions, (map_.shape[0], map_.shape[1]), wide.shape[-1], weights)(wide)
    return np.asarray(np.nan_to_num(map_) - fitted.numpy(), dtype=np.float32)


def judge_part(
    residual: Tensor, prepared: PreparedMap, positions: NDArray[np.float64], weights: NDArray[np.float64], operator: ForwardOperator
) -> Judgement | None:
    """Judge a correction on a part of a large map; None where the map is not large, or the part mostly unmeasured."""
    if max(prepared.mask.shape) <= JUDGED_SIDE:
        return None
    whole = PreparedMap(residual.numpy(), prepared.mask, 0.0, 1.0)
    part, near, near_weights = representative_part(whole, positions, weights, operator.kernel_size, JUDGED_SIDE)
    mask = torch.from_numpy(part.mask)
    if float(mask.mean()) < 0.5 or not len(near):
        return None
    local = ForwardOperator(near, (part.mask.shape[0], part.mask.shape[1]), operator.kernel_size, near_weights)
    # The strength is absolute, so it holds for the whole; its candidates span what the part itself can carry.
    power = float((weights**2).sum()) * float(mask.sum()) / float(prepared.mask.sum())
    return judge_correction(centred(torch.from_numpy(part.values), mask), mask, local, power)


def _honest(judgement: Judgement, prior: Prior, pixels: float) -> float:
    """Return the held-out error without what the prior gained by having been fitted to those pixels too (as in Akaike's FPE)."""
    share = min(prior.freedom / pixels, 0.5)
    return judgement.error * (1 + share) / (1 - share)
