"""The physical limit of a scene: the error of whoever knows Eq. 7, the positions, the noise and the symmetry order.

With the derivatives J of the map by the free parameters of Eq. 7, the background projected out, no unbiased estimate of them has
a covariance below C = sigma^2 (J^T J)^-1 (Cramer and Rao). A kernel whose derivatives are K then errs by K R^-1 z, J = Q R and z
normal with deviation sigma, so that its mean square error is sum_i lambda_i z_i^2 with the eigenvalues of C K^T K / n.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import solve_triangular

from qpi_core.base.grid import kernel_coordinates
from qpi_core.evaluation.benchmark.scenes import BenchmarkScene
from qpi_core.solvers.formula.equation_seven import EquationSeven
from qpi_core.synthesis.kernel_families.equation_7 import KernelParameters
from qpi_core.synthesis.simulated_maps.scenes import superpose

Array = NDArray[np.float64]


@dataclass(frozen=True)
class ExpectedErrors:
    """Expectations of the errors of metrics.KernelErrors, on the truth's own [0, 1] scale."""

    mae: float
    mse: float
    rmse: float


def formula_limit(scene: BenchmarkScene) -> ExpectedErrors:
    """Return the least errors that are to be expected on a scene from its true positions, exactly proportional to the noise.

    Raises:
        ValueError: the scene's kernel is not of Eq. 7.
    """
    if scene.parameters is None:
        raise ValueError(f"scenes of the variant {scene.variant} have no kernel of Eq. 7, so there is no limit of the formula.")
    spread = (scene.noise_sigma / float(np.ptp(scene.kernel))) * unit_spread(scene)
    weights = np.linalg.svd(spread, compute_uv=False) ** 2 / len(spread)
    deviations = np.linalg.norm(spread, axis=1)
    return ExpectedErrors(float(np.sqrt(2 / np.pi) * deviations.mean()), float(weights.sum()), expected_root(weights))


def unit_spread(scene: BenchmarkScene) -> Array:
    """Return K R^-1, (pixels of the kernel, free parameters): the kernel's error for noise of deviation 1 is this times normal numbers."""
    assert scene.parameters is not None
    kernel = in_nanometres(scene.parameters)

    def derivative(parameter: int) -> Array:
        pattern = superpose(
            lambda dx, dy: kernel.values(dx, dy)[1][parameter], scene.true_positions, scene.observation.shape, scene.pixel_size_nm
        )
        return np.asarray((pattern - pattern.mean()).ravel())

    triangle = np.linalg.qr(np.stack([derivative(parameter) for parameter in kernel.free], axis=1), mode="r")
    slopes = kernel.values(*kernel_coordinates(len(scene.kernel), scene.pixel_size_nm))[1][kernel.free]
    return np.asarray(solve_triangular(triangle, slopes.reshape(len(kernel.free), -1), trans="T").T)


def in_nanometres(parameters: KernelParameters) -> EquationSeven:
    """Return the kernel as a function of offsets in nm, with its derivatives; simulated kernels have the amplitude 1."""
    vector = [1.0, parameters.orientation, parameters.phase, parameters.wavenumber, parameters.decay]
    return EquationSeven(parameters.symmetry_order, np.array(vector))


def expected_root(weights: Array) -> float:
    """Return the expectation of sqrt(q), q = sum_i w_i z_i^2 with independent normal z_i, to machine precision.

    sqrt(q) = 1 / (2 sqrt(pi)) times the integral of (1 - exp(-q t)) t^(-3/2) over t > 0, and the expectation of exp(-q t) is the
    product of (1 + 2 w_i t)^(-1/2). Over log t the integrand falls off exponentially on both sides.
    """
    total = float(weights.sum())
    if total == 0:
        return 0.0
    log_t = np.arange(-80, 80, 0.1)
    exponent = 0.5 * np.log1p(2 * np.exp(log_t)[:, None] * (weights / total)).sum(axis=1)
    integral = 0.1 * float(np.sum(-np.expm1(-exponent) * np.exp(-0.5 * log_t)))
    return float(np.sqrt(total / np.pi)) * integral / 2
