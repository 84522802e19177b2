"""Positions and kernel solved together: the positions' normal equations with the kernel's profiles and the background eliminated.

A kernel that is solved for wrong positions hides part of their error, so solving the two in turn creeps. With B the map of the
profiles, J the derivative of the map by the defects' parameters, and K the prior covariance of the profiles in units of the noise
variance, the Gauss-Newton matrix of both has the Schur complement

    J^T J - J^T B (B^T B + K^-1)^-1 B^T J,    (B^T B + K^-1)^-1 = P P^T (posterior_factor),

all about the mean over pixels, since the background is free. It is the curvature of the marginal likelihood over positions: it gives
the joint step, the positions' deviations that include what is not known of the kernel, and the Occam factor of moved defects. The
profiles follow the positions by dg/dr = -P P^T B^T J. (Golub and Pereyra's variable projection, in Kaufman's approximation.)
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve, cholesky

from qpi_core.solvers.harmonic.equations.evidence import posterior_factor
from qpi_core.solvers.harmonic.equations.map_products import map_products
from qpi_core.solvers.harmonic.model import HarmonicModel
from qpi_core.solvers.harmonic.posterior.kernel import Renderer
from qpi_core.solvers.positions.jacobian import defect_slopes, solve_again

Array = NDArray[np.float64]

_LONGEST_STEP_PX = 0.5
_NEGLIGIBLE_GAIN = 0.05
"""Log likelihood that a further step promises below which positions have converged."""
_HALVINGS = 2


@dataclass(frozen=True)
class JointSystem:
    """What the map says about the defects once the kernel follows them; parameters are all x, then all y (px), then all amplitudes.

    Attributes:
        information: (3 n, 3 n), the Schur complement.
        pull: (3 n,), J^T residual.
        response: (a, nodes, 3 n), derivative of the profiles' posterior mean by the parameters.
        variance: mean square of the residual, with the solver's floor.
    """

    information: Array
    pull: Array
    response: Array
    variance: float


def joint_system(model: HarmonicModel) -> JointSystem:
    """Return the system at the defects and on the pixels that the model was solved for.

    All pixels that the kernel reaches count, unlike in sensitivities(): what the profiles take over is known only for all of them.
    """
    point, count = model.fit.hyperparameters, len(model.samples.positions)

    def slopes(part: slice) -> tuple[NDArray[np.intp], Array]:
        near, _, jacobian = defect_slopes(model, model.samples, part)
        return np.concatenate([near, near + count, near + 2 * count]), jacobian

    products = map_products(model, 3 * count, slopes)
    factor = posterior_factor(model.equations, model.splines.nodes, point.radial, point.mixing())
    taken_over = np.einsum("ank,anc->kc", factor, products.onto, optimize=True)
    information = products.gram - taken_over.T @ taken_over
    response = -np.einsum("ank,kc->anc", factor, taken_over, optimize=True)
    return JointSystem(information, products.pull, response, products.variance)


def converged(
    values: NDArray[np.float32], model: HarmonicModel, points: Array, weights: Array, sigma: Array, centres: Array, steps: int
) -> tuple[Array, HarmonicModel]:
    """Return positions, (n, 2) px, after so many joint steps at most, and the model there.

    Args:
        values: (height, width) map, NaN where not measured.
        model: of the points, solved on all pixels.
        points: (n, 2) columns (x, y) in px.
        weights: (n,) amplitudes.
        sigma: (n,) prior deviation in px of each defect in each direction; 0 for those that stay.
        centres: (n, 2) of the priors.
        steps: at most.
    """
    free = np.flatnonzero(np.tile(sigma > 0, 2))
    precision = np.tile(np.where(sigma > 0, sigma, 1.0), 2)[free] ** -2.0
    limits = np.array(values.shape[::-1]) - 0.5

    def offset(places: Array) -> Array:
        return np.asarray((places - centres).T.ravel()[free])

    def cost(at: HarmonicModel, places: Array) -> float:
        return at.fit.cost + 0.5 * float(precision @ offset(places) ** 2)

    for _ in range(steps):
        system = joint_system(model)
        information = system.information[np.ix_(free, free)] / system.variance + np.diag(precision)
        pull = system.pull[free] / system.variance - precision * offset(points)
        change = cho_solve(cho_factor(information), pull)
        if 0.5 * float(change @ pull) < _NEGLIGIBLE_GAIN:
            break
        step = np.zeros(2 * len(points))
        step[free] = np.clip(change, -_LONGEST_STEP_PX, _LONGEST_STEP_PX)
        for halving in range(_HALVINGS + 1):
            there = np.clip(points + 0.5**halving * step.reshape(2, -1).T, -0.5, limits)
            tried = solve_again(values, model, there, weights, most=None)
            if cost(tried, there) < cost(model, points):
                points, model = there, tried
                break
        else:
            break
    return points, model


def position_covariance(system: JointSystem, sigma: Array) -> tuple[NDArray[np.intp], Array]:
    """Return the free coordinates among the system's parameters, (f,), and their covariance, (f, f) in px^2; sigma as in converged()."""
    free = np.flatnonzero(np.tile(sigma > 0, 2))
    precision = np.tile(np.where(sigma > 0, sigma, 1.0), 2)[free] ** -2.0
    information = system.information[np.ix_(free, free)] / system.variance + np.diag(precision)
    return free, np.asarray(cho_solve(cho_factor(information), np.eye(free.size)))


def kernel_variance(model: HarmonicModel, sigma: Array, size: int) -> Array:
    """Return the variance, (size, size), that the kernel owes to positions found from the same map; sigma as in converged()."""
    system = joint_system(model)
    free, covariance = position_covariance(system, sigma)
    window = Renderer(model.frame.grid(size), model.splines, model.fit.hyperparameters.orders)
    return np.asarray(np.sum(window(system.response[:, :, free] @ cholesky(covariance, lower=True)) ** 2, axis=-1))


def occam(system: JointSystem, sigma: Array) -> float:
    """Return the log of prior over posterior volume of the free positions (Laplace); sigma as in converged()."""
    free = np.flatnonzero(np.tile(sigma > 0, 2))
    scale = np.tile(sigma, 2)[free]
    scaled = system.information[np.ix_(free, free)] / system.variance * np.outer(scale, scale)
    return 0.5 * float(np.linalg.slogdet(np.eye(free.size) + scaled)[1])
