"""A score test for the kernel: would one without symmetry explain what the first stage leaves, the list of defects as it is?

The strongest sign of a wrong list is also what a kernel of an unusual shape leaves, and to repair a list takes much longer than to
solve for another kernel. So before a list is repaired the kernel is asked: with C the map's columns of free profiles in all angular
orders at hand, in the envelope and strength of the first stage's kernel, and r what that leaves in units of the noise, their log
evidence over nothing is

    r^T C (C^T C + 1)^-1 C^T r / 2 - log det (C^T C + 1) / 2.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cholesky, solve_triangular

from qpi_core.solvers.harmonic.equations.evidence import low_rank_factor
from qpi_core.solvers.harmonic.model import HarmonicModel
from qpi_core.solvers.harmonic.problem import HarmonicProblem
from qpi_core.solvers.harmonic.start import SYMMETRY_ORDERS, HarmonicStart

Array = NDArray[np.float64]

_LONGEST_LOG_COHERENCE = float(np.log(4.0))
_RANK = 1e-4


def shape_evidence(start: HarmonicStart) -> float:
    """Return the log evidence of a kernel of any shape over that of a first stage, for the same list.

    Measured (seed 72000, 40 defects, noise 0.2, three maps each): 2500 to 3500 where the kernel has no symmetry and 270 to 1330 where
    it is one-sided, the list being right; -380 to -300 for Eq. 7 with clicks 0.7 px off, -640 to -140 with a tenth of the defects
    missing. What moved defects promise on these maps is 530 to 750, 50 to 220, 1070 to 1290 and 70 to 320.
    """
    fit, design = start.selection.best, start.design
    radial = fit.hyperparameters.radial
    free = replace(radial, log_coherence=min(radial.log_coherence, _LONGEST_LOG_COHERENCE))
    factor = low_rank_factor(free.covariance(start.splines.nodes), _RANK)
    deviation = float(np.sqrt(fit.evidence.variance))
    strength = float(np.abs(fit.evidence.profiles).max()) / deviation
    equations = design.equations_in(SYMMETRY_ORDERS, strength * factor)
    size = equations.projection.size
    system = equations.gram.transpose(0, 2, 1, 3).reshape(size, size)
    system[np.diag_indices(size)] += 1.0
    lower = cholesky(system, lower=True, check_finite=False)
    residual = design.residual(fit.hyperparameters.orders, fit.evidence.profiles) / deviation
    pull = np.tensordot(design.projections(SYMMETRY_ORDERS, residual[:, None])[..., 0], strength * factor, axes=1).ravel()
    half = solve_triangular(lower, pull, lower=True, check_finite=False)
    return 0.5 * float(half @ half) - float(np.log(lower.diagonal()).sum())


def model_of_its_shape(problem: HarmonicProblem, positions: Array, weights: Array) -> HarmonicModel:
    """Return the model to move the defects by: of one symmetry, or with more angular orders where there is evidence for another shape.

    What is not modelled of a lattice-like pattern moves the defects (measured at a signal to noise of 1: to 0.5 px from their places,
    which the information of the fit takes for known to 0.03 px).
    """
    begun = problem.start(positions, weights)
    if shape_evidence(begun) > 0:
        return problem.fit(positions, weights, begun)
    return problem.simple_fit(positions, weights, begun)
