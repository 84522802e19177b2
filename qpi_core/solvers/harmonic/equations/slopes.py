"""A kernel of radial profiles and its slopes at any offsets."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from qpi_core.solvers.harmonic.equations.basis import RadialSplines, angular_functions
from qpi_core.solvers.harmonic.equations.normal_equations import functions_of

Array = NDArray[np.float64]


def kernel_with_slopes(
    splines: RadialSplines, orders: tuple[int, ...], profiles: Array, dx: Array, dy: Array
) -> tuple[Array, Array, Array]:
    """Return the kernel at offsets and its derivatives by x and y; profiles are (a, nodes)."""
    radii = np.hypot(dx, dy)
    inside = radii <= splines.radius
    first, weights = splines.pieces(np.where(inside, radii, 0.0))
    slopes = splines.slopes(np.where(inside, radii, 0.0))
    weights, slopes = weights * inside[..., None], slopes * inside[..., None]
    coefficients = profiles @ splines.interpolation.T
    columns = first[..., None] + np.arange(weights.shape[-1])
    functions = angular_functions(dx, dy, radii, orders)
    value, by_radius, by_angle = np.zeros_like(radii), np.zeros_like(radii), np.zeros_like(radii)
    for index, order in enumerate(functions_of(orders)):
        taken = coefficients[index][columns]
        profile = np.sum(taken * weights, axis=-1)
        value += profile * functions[index]
        by_radius += np.sum(taken * slopes, axis=-1) * functions[index]
        if order:
            # The derivative of the cosine is minus order times the sine, its right neighbour; of the sine, the cosine on its left.
            cosine = index == 0 or functions_of(orders)[index - 1] != order
            turned = -functions[index + 1] if cosine else functions[index - 1]
            by_angle += profile * order * turned
    safe = np.maximum(radii, 0.3)
    along, across = by_radius / safe, by_angle / safe**2
    return value, along * dx - across * dy, along * dy + across * dx
