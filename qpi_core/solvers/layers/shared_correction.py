"""Where circular harmonics leave structure: free corrections of the kernels, each class with one strength for all layers.

The strengths are judged on the pilot layers (see refined.correction). With them fixed, operator, degrees of freedom and uncertainty do
not depend on the values of a layer, so they are computed once; what is left for each layer is a single linear solve for all classes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from qpi_core.base.grid import central_crop
from qpi_core.operators.convolution import ForwardOperator
from qpi_core.operators.joint import JointOperator
from qpi_core.solvers.harmonic.joint.start import DefectClass
from qpi_core.solvers.least_squares.regularised import centred, gaussian_envelope, noise_of, solve_shifted, solved_window
from qpi_core.solvers.least_squares.single_defect import is_one_place
from qpi_core.solvers.refined.correction import FINAL_ITERATIONS, TOLERANCE, Judgement, judge_correction, prior_envelope, solve_corrections

LEAST_SHARE = 0.05
"""Size of the correction, as a share of the pilots' kernels, below which none is made: it would add more noise than it takes away error."""


@dataclass(frozen=True, eq=False)
class SharedCorrection:
    """Corrections that only wait for the values of a layer.

    Attributes:
        classes: which classes get one.
        operator: of the solved windows of these classes, which lie below each other.
        envelope: of their priors, divided by the root of the strength, (C K, K).
        mask: (height, width), 1 where measured.
        relative_deviations: (K, K) each, one standard deviation of the change over that of the noise.
        freedom: degrees of freedom that they take from a layer.
    """

    classes: tuple[int, ...]
    operator: JointOperator
    envelope: Tensor
    mask: NDArray[np.float32]
    relative_deviations: tuple[NDArray[np.float32], ...]
    freedom: float

    def solve(self, residual: NDArray[np.float32]) -> tuple[dict[int, NDArray[np.float32]], NDArray[np.float32], float]:
        """Return (class -> change (K, K), what is left (height, width), noise sigma) of a residual whose unmeasured pixels are 0."""
        mask = torch.from_numpy(self.mask)
        with torch.inference_mode():
            values = centred(torch.from_numpy(residual), mask)
            change = solve_shifted(self.operator, values, mask, self.envelope, torch.tensor([1.0]), FINAL_ITERATIONS, TOLERANCE)[0]
            left = centred(values - self.operator(change), mask)
        pixels = float(self.mask.sum())
        power = float(left.double().square().sum())
        noise = noise_of(power, pixels, self.freedom)
        changes = {index: part.numpy().copy() for index, part in zip(self.classes, self.operator.parts(change), strict=True)}
        return changes, left.numpy(), noise


@dataclass(frozen=True, eq=False)
class PilotResidual:
    """What the harmonic kernels leave of a pilot layer: the residual, (height, width), 0 where not measured, and each class's kernel."""

    residual: NDArray[np.float32]
    kernels: Sequence[NDArray[np.float32]]


def plan_correction(
    pilots: Sequence[PilotResidual], mask: NDArray[np.float32], classes: Sequence[DefectClass], kernel_size: int
) -> SharedCorrection | None:
    """Return the corrections that the pilots ask for, or None where most of them ask for none or for a negligible one.

    Args:
        pilots: residuals of the pilot layers.
        mask: (height, width), 1 where measured.
        classes: the defects.
        kernel_size: of the kernels that are asked for.
    """
    shape = (mask.shape[0], mask.shape[1])
    window, measured = solved_window(kernel_size, shape), torch.from_numpy(mask)
    if not pilots:
        return None
    with torch.inference_mode():
        scales = [float(one.residual[mask > 0].std(dtype=np.float64)) or 1.0 for one in pilots]
        # The judgement works on values of order one.
        left = [centred(torch.from_numpy(one.residual / np.float32(scale)), measured) for one, scale in zip(pilots, scales, strict=True)]
        waiting = {
            k: ForwardOperator(c.positions, shape, window, c.weights) for k, c in enumerate(classes) if not is_one_place(c.positions)
        }
        chosen: dict[int, tuple[ForwardOperator, Judgement]] = {}
        while waiting:
            found = {k: _shared_judgement(left, measured, operator, classes[k]) for k, operator in waiting.items()}
            decisive = {k: judgement for k, judgement in found.items() if judgement is not None}
            if not decisive:
                break
            best = min(decisive, key=lambda k: (decisive[k].error, k))
            operator, judgement = waiting.pop(best), decisive[best]
            change = solve_corrections(left[len(left) // 2], measured, JointOperator([operator]), [judgement]).changes[0]
            size = float(np.linalg.norm(central_crop(pilots[len(left) // 2].kernels[best], kernel_size)))
            if float(np.linalg.norm(central_crop(change, kernel_size))) * scales[len(left) // 2] >= LEAST_SHARE * size:
                chosen[best] = operator, judgement
                left = [_without(values, measured, operator, judgement) for values in left] if waiting else left
        if not chosen:
            return None
        middle = centred(torch.from_numpy(pilots[len(pilots) // 2].residual / np.float32(scales[len(pilots) // 2])), measured)
        return _prepared(middle, mask, chosen)


def _shared_judgement(residuals: Sequence[Tensor], mask: Tensor, operator: ForwardOperator, one: DefectClass) -> Judgement | None:
    """Return the strength and the width that most pilots ask for, or None."""
    every = [judge_correction(values, mask, operator, float((one.weights**2).sum())) for values in residuals]
    decided = [judgement for judgement in every if judgement.strength is not None]
    if 2 * len(decided) <= len(every):
        return None
    strength = float(np.exp(np.mean([np.log(float(judgement.strength or 1.0)) for judgement in decided])))
    error = float(np.mean([judgement.error for judgement in decided]))
    return Judgement(error, strength, float(np.median([judgement.width for judgement in decided])))


def _without(values: Tensor, mask: Tensor, operator: ForwardOperator, judgement: Judgement) -> Tensor:
    envelope = gaussian_envelope(operator.kernel_size, judgement.width)
    change = solve_shifted(operator, values, mask, envelope, torch.tensor([judgement.strength]), FINAL_ITERATIONS, TOLERANCE)[0]
    return centred(values - operator(change), mask)


def _prepared(values: Tensor, mask: NDArray[np.float32], chosen: dict[int, tuple[ForwardOperator, Judgement]]) -> SharedCorrection:
    """Solve one layer with draws from the posterior: its deviations over the noise, and its degrees of freedom, are those of all."""
    measured, operators, judged = torch.from_numpy(mask), [o for o, _ in chosen.values()], [j for _, j in chosen.values()]
    joint = JointOperator(operators)
    found = solve_corrections(values, measured, joint, judged)
    changes, deviations, noise = found.changes, found.deviations, found.noise
    envelopes = [prior_envelope(joint.kernel_size, one) for one in judged]
    left = centred(values - joint(torch.cat([torch.from_numpy(change) for change in changes], dim=-2)), measured)
    # The noise says how many degrees of freedom were counted.
    freedom = float(mask.sum()) - 1 - float(left.double().square().sum()) / noise**2
    relative = tuple(deviation / np.float32(noise) for deviation in deviations)
    return SharedCorrection(tuple(chosen), joint, torch.cat(envelopes), mask, relative, max(freedom, 0.0))
