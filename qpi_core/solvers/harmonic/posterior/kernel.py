"""From a fit to a kernel with error bars.

The posterior has two parts: the Gaussian one of the profiles at the best hyperparameters, and that of the hyperparameters
themselves (Laplace approximation: inverse Hessian of the cost at the optimum), carried to the kernel by differences.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from qpi_core.solvers.harmonic.equations.basis import RadialSplines, angular_functions
from qpi_core.solvers.harmonic.equations.evidence import posterior_factor
from qpi_core.solvers.harmonic.equations.normal_equations import NormalEquations
from qpi_core.solvers.harmonic.search import Fit, Hyperparameters, cost_and_gradient

Array = NDArray[np.float64]

_DIFFERENCE = 1e-3
_AMPLITUDE_PX = 2.0


@dataclass(frozen=True)
class KernelGrid:
    """The pixels of a square window, in the length unit of the solver.

    Attributes:
        dx, dy: (size, size) offsets from the centre.
    """

    dx: Array
    dy: Array

    @classmethod
    def of_size(cls, size: int, aspect: tuple[float, float], stretch: Array | None = None) -> KernelGrid:
        """Return the window of size pixels, centre at index size // 2.

        Args:
            size: side in pixels.
            aspect: (dy, dx) of a pixel in solver units.
            stretch: symmetric (2, 2) that the offsets (x, y) are multiplied by in the end; None is nothing.
        """
        offsets = np.arange(size, dtype=np.float64) - size // 2
        dy, dx = np.meshgrid(offsets * aspect[0], offsets * aspect[1], indexing="ij")
        return cls(dx, dy) if stretch is None else cls(*np.tensordot(stretch, np.stack([dx, dy]), axes=1))


class Renderer:
    """Turns profiles into pixels of one window."""

    def __init__(self, grid: KernelGrid, splines: RadialSplines, orders: tuple[int, ...]) -> None:
        """Prepare the sampling of profiles and the angular functions."""
        self.grid = grid
        radii = np.hypot(grid.dx, grid.dy)
        self._shape = radii.shape
        distinct, inverse = np.unique(radii.ravel(), return_inverse=True)
        self._sampling = splines.sampling(distinct)
        self._inverse = inverse
        self._angular = [function.ravel() for function in angular_functions(grid.dx, grid.dy, radii, orders)]

    def __call__(self, profiles: Array) -> Array:
        """Return (size, size) from (a, nodes), or (size, size, k) from (a, nodes, k)."""
        total: Array | None = None
        for function, profile in zip(self._angular, profiles, strict=True):
            values = (self._sampling @ profile)[self._inverse]
            part = function * values if values.ndim == 1 else function[:, None] * values
            total = part if total is None else total + part
        assert total is not None
        return total.reshape(*self._shape, *total.shape[1:])


@dataclass(frozen=True)
class Laplace:
    """Uncertainty of the hyperparameters.

    Attributes:
        covariance: (k, k) of the vector.
        profile_slopes: (k, a, nodes) derivative of the posterior mean by every entry of the vector.
    """

    covariance: Array
    profile_slopes: Array


def laplace(equations: NormalEquations, nodes: Array, fit: Fit, floor: float) -> Laplace:
    """Return the Laplace approximation at the optimum; what the data leave open keeps its hyperprior's width."""
    point = fit.hyperparameters
    scales, lower, upper = point.search_box(nodes[1] - nodes[0])
    step, searched = _DIFFERENCE * scales, np.flatnonzero(upper > lower)
    hessian = []
    for index in searched:
        sides = []
        for sign in (1.0, -1.0):
            moved = point.vector.copy()
            moved[index] += sign * step[index]
            sides.append(cost_and_gradient(equations, nodes, replace(point, vector=moved), floor)[1])
        hessian.append((sides[0] - sides[1])[searched] / (2 * step[index]))
    units = np.outer(scales[searched], scales[searched])
    scaled = np.array(hessian) * units
    values, vectors = np.linalg.eigh(0.5 * (scaled + scaled.T))
    covariance = np.zeros((point.vector.size, point.vector.size))
    covariance[np.ix_(searched, searched)] = (vectors / np.maximum(values, 0.05)) @ vectors.T * units
    profile_slopes = np.zeros((point.vector.size, *fit.evidence.profiles.shape))
    profile_slopes[searched] = slopes_of_mean(equations, nodes, fit)[searched]
    return Laplace(covariance, profile_slopes)


def slopes_of_mean(equations: NormalEquations, nodes: Array, fit: Fit) -> Array:
    """Return the derivatives of the posterior mean of the profiles, (k, a, nodes), by every entry of the vector.

    The mean is g = K u with u = B^T (y - B g), so dg = (1 - P P^T B^T B) dK u, P P^T the posterior covariance. Differences of means would
    do, but for the directions that a low-rank factor of K gains or loses between two points.
    """
    point, mixing = fit.hyperparameters, fit.hyperparameters.mixing()
    inner = equations.reduced(fit.evidence.profiles)
    left = equations.projection - np.einsum("ijnm,jm->in", equations.gram, inner, optimize=True)
    left = left if equations.subspace is None else left @ equations.subspace.T
    by_mixing = point.mixing_slopes() @ mixing.T
    changes = np.concatenate(
        [
            (mixing @ mixing.T @ left) @ point.radial.slopes(nodes),
            (by_mixing + by_mixing.transpose(0, 2, 1)) @ left @ point.radial.covariance(nodes),
        ]
    )
    changes = equations.reduced(changes)
    factor = posterior_factor(equations, nodes, point.radial, mixing)
    factor = equations.reduced(factor.transpose(0, 2, 1)).transpose(0, 2, 1)
    seen = np.einsum("ijnm,kjm->kin", equations.gram, changes, optimize=True)
    slopes = changes - np.einsum("inr,kr->kin", factor, np.tensordot(seen, factor, axes=([1, 2], [0, 1])), optimize=True)
    return np.asarray(slopes if equations.subspace is None else slopes @ equations.subspace.T)


def kernel_deviation(equations: NormalEquations, nodes: Array, fit: Fit, spread: Laplace, renderer: Renderer) -> Array:
    """Return one standard deviation of every pixel of the window, (size, size)."""
    point = fit.hyperparameters
    factor = posterior_factor(equations, nodes, point.radial, point.mixing())
    variance = fit.evidence.variance * np.sum(renderer(factor) ** 2, axis=-1)
    slopes = renderer(np.moveaxis(spread.profile_slopes, 0, -1))
    variance += np.einsum("yxi,ij,yxj->yx", slopes, spread.covariance, slopes, optimize=True)
    return np.asarray(np.sqrt(np.maximum(variance, 0.0)))


def representation_error(splines: RadialSplines, wavenumber: float) -> float:
    """Return the root mean square error of the best spline for a wave of amplitude 1, wavenumber in rad/px, away from the ends."""
    radii = np.linspace(0.0, splines.radius, 6 * splines.count)
    sampling = splines.sampling(radii)[:, 5:-5]
    waves = np.stack([np.cos(wavenumber * radii), np.sin(wavenumber * radii)], axis=1)
    missed = waves - sampling @ np.linalg.lstsq(sampling, waves, rcond=None)[0]
    inner = (radii > 0.3 * splines.radius) & (radii < 0.7 * splines.radius)
    return float(np.sqrt(np.mean(missed[inner] ** 2)))


def local_amplitude(kernel: Array) -> Array:
    """Return the amplitude of a wave with the local mean square of a kernel, (k, k)."""
    return np.asarray(np.sqrt(2 * gaussian_filter(kernel**2, _AMPLITUDE_PX)))


def with_deviation(quantity: Callable[[Array], float], point: Hyperparameters, covariance: Array) -> tuple[float, float]:
    """Return a function of the hyperparameter vector at the optimum and its standard deviation (first order)."""
    steps = 0.01 * np.sqrt(np.maximum(covariance.diagonal(), 1e-16))
    slope = np.array([(quantity(point.vector + d) - quantity(point.vector - d)) / (2 * d.max()) for d in np.diag(steps)])
    return quantity(point.vector), float(np.sqrt(max(slope @ covariance @ slope, 0.0)))
