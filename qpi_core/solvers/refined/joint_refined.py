"""`refined` for several classes of defects: the joint harmonic kernels, corrected wherever held-out pixels show more.

    minimise |Y - b - sum_c (A_c + D_c)*M_c|^2 / sigma^2 + sum_c |D_c / s_c|^2

Whether a class gets a correction D_c at all, and how large and wide, is judged class by class as for one class; the corrections are
then solved together, so that what two classes could both explain widens the error bars of both.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from qpi_core.estimates.solution import KernelSolution
from qpi_core.operators.convolution import ForwardOperator
from qpi_core.operators.joint import JointOperator
from qpi_core.solvers.harmonic.joint.start import DefectClass
from qpi_core.solvers.least_squares.regularised import PreparedMap, centred, gaussian_envelope, prepare_map, solve_shifted, solved_window
from qpi_core.solvers.least_squares.single_defect import is_one_place
from qpi_core.solvers.refined.corrected_kernel import with_correction
from qpi_core.solvers.refined.correction import Judgement, judge_correction, judge_single_correction, solve_corrections
from qpi_core.solvers.refined.refined import NEGLIGIBLE, judge_part


def correct_jointly(
    map_: NDArray[np.float32], classes: Sequence[DefectClass], kernel_size: int, priors: Sequence[KernelSolution]
) -> list[KernelSolution]:
    """Return the corrected solution of every class; the priors are those of the joint harmonic solve."""
    shape = (map_.shape[0], map_.shape[1])
    prepared = prepare_map(map_)
    with torch.inference_mode():
        mask = torch.from_numpy(prepared.mask)
        fitted = sum((_superposition(prior) for prior in priors), start=np.zeros(shape, dtype=np.float32))
        left = (np.nan_to_num(map_) - fitted) / np.float32(prepared.scale)
        offset = float(left[prepared.mask > 0].mean(dtype=np.float64))
        residual = centred(torch.from_numpy(left), mask)
        window = solved_window(kernel_size, shape)
        operators = [ForwardOperator(one.positions, shape, window, one.weights) for one in classes]
        judged = _judge(residual, prepared, classes, operators, priors[0])
        if not judged:
            return [replace(prior, details={**prior.details, "prior": "harmonic", "correction": "none"}) for prior in priors]
        joint = JointOperator([operators[index] for index in judged])
        found = solve_corrections(residual, mask, joint, list(judged.values()))
    error = min(judgement.error for judgement in judged.values())
    background = (offset + found.background) * prepared.scale
    solutions = []
    for index, prior in enumerate(priors):
        common = replace(prior, background=background, noise_sigma=found.noise * prepared.scale)
        if index in judged:
            place = list(judged).index(index)
            added = operators[index](torch.from_numpy(found.changes[place])).numpy() * np.float32(prepared.scale)
            exact = np.where(prepared.mask > 0, _superposition(prior) + added, np.float32(0))
            common = replace(common, superposition=exact, details={**prior.details, "prior": "harmonic"})
            solutions.append(with_correction(common, found, place, judged[index], prepared.scale, error))
        else:
            solutions.append(replace(common, details={**prior.details, "prior": "harmonic", "correction": "none"}))
    return solutions


def _superposition(prior: KernelSolution) -> NDArray[np.float32]:
    assert prior.superposition is not None, "the joint harmonic solve gives it"
    return prior.superposition


def _judge(
    residual: Tensor, prepared: PreparedMap, classes: Sequence[DefectClass], operators: Sequence[ForwardOperator], prior: KernelSolution
) -> dict[int, Judgement]:
    """Return the classes that deserve a correction, the most needed first, each judged on what the ones before leave."""
    mask, judged = torch.from_numpy(prepared.mask), dict[int, Judgement]()
    waiting = set(range(len(classes)))
    # Between pixels a kernel on pixels leaves more than the solver that it came from, which knows the true offsets.
    if (prior.noise_sigma / prepared.scale) ** 2 < 3 * NEGLIGIBLE:
        return {}
    while waiting:
        found = {k: _judge_one(residual, prepared, classes[k], operators[k]) for k in waiting}
        decisive = {k: judgement for k, judgement in found.items() if judgement.strength is not None}
        if not decisive:
            break
        best = min(decisive, key=lambda k: (decisive[k].error, k))
        judged[best] = decisive[best]
        waiting.remove(best)
        strength = torch.tensor([decisive[best].strength])
        envelope = gaussian_envelope(operators[best].kernel_size, decisive[best].width)
        change = solve_shifted(operators[best], residual, mask, envelope, strength, 40)[0]
        residual = centred(residual - operators[best](change), mask)
    return judged


def _judge_one(residual: Tensor, prepared: PreparedMap, one: DefectClass, operator: ForwardOperator) -> Judgement:
    mask = torch.from_numpy(prepared.mask)
    plain = float(residual.square().sum() / mask.sum())
    if plain < NEGLIGIBLE:
        return Judgement(plain, None, 0.0)
    if is_one_place(one.positions):
        return judge_single_correction(residual, mask, one.positions[0], one.weights, operator.kernel_size)
    power = float((one.weights**2).sum())
    part = judge_part(residual, prepared, one.positions, one.weights, operator)
    return part or judge_correction(residual, mask, operator, power)
