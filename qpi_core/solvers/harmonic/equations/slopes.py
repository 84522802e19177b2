"""A kernel of radial profiles and its slopes at any offsets."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from qpi_core.solvers.harmonic.equations.basis import RadialSplines, angular_functions, spline_rows

Array = NDArray[np.float64]


def kernel_with_slopes(
    splines: RadialSplines, orders: tuple[int, ...], profiles: Array, dx: Array, dy: Array
) -> tuple[Array, Array, Array]:
    """Return the kernel at offsets and its derivatives by x and y; profiles are (a, nodes)."""
    radii = np.hypot(dx, dy)
    inside = radii <= splines.radius
    first, weights, slopes = splines.pieces_with_slopes(np.where(inside, radii, 0.0))
    coefficients = np.ascontiguousarray((profiles @ splines.interpolation.T).T)
    values, steepness = (spline_rows(first, each, splines.count) @ coefficients for each in (weights, slopes))
    functions = np.stack(angular_functions(dx, dy, radii, orders), axis=-1).reshape(values.shape)
    turned, place = np.zeros_like(functions), 0
    for order in orders:
        if order:
            # The derivative of the cosine by the angle is minus order times the sine, that of the sine order times the cosine.
            turned[:, place] = -order * functions[:, place + 1]
            turned[:, place + 1] = order * functions[:, place]
        place += 2 if order else 1
    value, by_radius, by_angle = (
        np.einsum("na,na->n", one, other).reshape(radii.shape) * inside
        for one, other in ((values, functions), (steepness, functions), (values, turned))
    )
    safe = np.maximum(radii, 0.3)
    along, across = by_radius / safe, by_angle / safe**2
    return value, along * dx - across * dy, along * dy + across * dx
