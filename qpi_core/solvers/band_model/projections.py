"""What a stack says about kernels of some angular orders, in numbers small enough to fit a band to them again and again.

With D the design of radial splines times angular functions summed over the defects (pixels, coefficients) and F the orthonormal cosine
transform of a map, coefficients of F are sorted into bins of |f|, in which the noise of a layer is taken as white:

    gram_b = D^T F_b^T F_b D,   projection_eb = D^T F_b^T F_b Y_e,   power_eb = |F_b Y_e|^2

A smooth background is then large in the first bins and weighs little (a stationary covariance is nearly diagonal in F). The constant of
a map is its zeroth coefficient, which takes no part. A map with gaps inside has no transform: it is one bin of pixels about their mean.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from qpi_core.solvers.harmonic.equations.basis import (
    MapSamples,
    RadialSplines,
    angular_count,
    design_tiles,
    furthest_offset,
    take_samples,
)

Array = NDArray[np.float64]

STEP_PX = 0.8
FURTHEST_PX = 160.0
"""Radius of the kernels in px: beyond it a wave of any real lifetime is below the noise, and the algebra grows with its square."""
MOST_UNKNOWNS = 600
"""Coefficients of all angular functions together: more orders are followed less far."""
_BINS, _BINS_OF_SEVERAL = 24, 12
_LEAST_IN_A_BIN = 40
_AT_ONCE = 32


@dataclass(frozen=True, eq=False)
class Projections:
    """Sufficient statistics of a stack for kernels of some angular orders.

    Attributes:
        splines: radial basis; lengths in px of the square pixel of the same area.
        gram: (bins, c, c), c the splines of one angular function after the other.
        projection: (energies, bins, c).
        power: (energies, bins).
        count: (bins,) coefficients of a bin.
        orders: ascending from 0; 1, then cos(m theta) and sin(m theta) of every other order, are the angular functions.
    """

    splines: RadialSplines
    gram: Array
    projection: Array
    power: Array
    count: Array
    orders: tuple[int, ...] = (0,)

    @property
    def blocks(self) -> int:
        """Return the number of angular functions."""
        return angular_count(self.orders)

    def isotropic(self) -> Projections:
        """Return what they say of the isotropic part alone."""
        c = self.splines.count
        return Projections(self.splines, self.gram[:, :c, :c], self.projection[:, :, :c], self.power, self.count)

    @property
    def radii(self) -> Array:
        """Return (c,) the radius in px at which each coefficient's spline has its middle."""
        return np.asarray(self.splines.step * (np.arange(self.splines.count) - 2.0))


def project_stack(
    stack: NDArray[np.floating],
    positions: Array,
    weights: Array,
    aspect: tuple[float, float],
    furthest: float = FURTHEST_PX,
    orders: tuple[int, ...] = (0,),
) -> Projections:
    """Return the statistics of layers that were measured at the same pixels.

    Args:
        stack: (energies, height, width), NaN where not measured, the same pixels in all layers.
        positions: (n, 2) columns (x, y) in px.
        weights: (n,) amplitudes of the defects.
        aspect: (dy, dx) of a pixel in units of the square pixel of the same area.
        furthest: radius of the kernels in these units.
        orders: of the angular functions, ascending from 0.
    """
    samples = take_samples(np.asarray(stack[0], dtype=np.float32), positions, weights, aspect)
    # The outermost six splines are margin.
    reach = min(furthest_offset(samples), furthest, STEP_PX * (MOST_UNKNOWNS // angular_count(orders) - 6))
    splines = RadialSplines(STEP_PX, reach)
    rows = np.rint(samples.y / aspect[0]).astype(np.intp)
    columns = np.rint(samples.x / aspect[1]).astype(np.intp)
    values = np.stack([np.asarray(layer, dtype=np.float64)[rows, columns] for layer in stack])
    design = _design(samples, splines, orders)
    # Scans that were moved onto each other leave a rectangle of pixels that all of them cover.
    rows, columns = rows - rows.min(), columns - columns.min()
    shape = (int(rows.max()) + 1, int(columns.max()) + 1)
    if values.shape[1] < shape[0] * shape[1]:
        return replace(_in_pixels(splines, design, values), orders=orders)
    order = np.argsort(rows * shape[1] + columns)
    found = _in_frequencies(splines, design[order], values[:, order], shape, aspect, _BINS if orders == (0,) else _BINS_OF_SEVERAL)
    return replace(found, orders=orders)


def _design(samples: MapSamples, splines: RadialSplines, orders: tuple[int, ...]) -> NDArray[np.float32]:
    """Return (pixels, c): the splines of one angular function after the other."""
    design = np.empty((samples.values.size, angular_count(orders), splines.count), dtype=np.float32)
    for part, block in design_tiles(samples, splines, orders):
        design[part] = block.transpose(1, 0, 2)
    return design.reshape(len(design), -1)


def _in_pixels(splines: RadialSplines, design: NDArray[np.float32], values: Array) -> Projections:
    design = design - design.mean(axis=0, dtype=np.float64).astype(np.float32)
    values = values - values.mean(axis=1, keepdims=True)
    gram = (design.T @ design).astype(np.float64)[None]
    projection = (values.astype(np.float32) @ design).astype(np.float64)[:, None]
    return Projections(splines, gram, projection, np.sum(values**2, axis=1)[:, None], np.array([values.shape[1] - 1.0]))


def _in_frequencies(
    splines: RadialSplines,
    design: NDArray[np.float32],
    values: Array,
    shape: tuple[int, int],
    aspect: tuple[float, float],
    bins: int,
) -> Projections:
    for start in range(0, design.shape[1], _AT_ONCE):
        part = design[:, start : start + _AT_ONCE].reshape(*shape, -1)
        design[:, start : start + _AT_ONCE] = scipy.fft.dctn(part, axes=(0, 1), norm="ortho").reshape(part.shape[0] * part.shape[1], -1)
    turned = scipy.fft.dctn(values.reshape(-1, *shape), axes=(1, 2), norm="ortho").reshape(len(values), -1)
    label = _bins(shape, aspect, bins)
    gram, projection, power, count = [], [], [], []
    for one in range(label.max() + 1):
        chosen = np.flatnonzero(label == one)
        part, layers = design[chosen], turned[:, chosen]
        gram.append((part.T @ part).astype(np.float64))
        projection.append((layers.astype(np.float32) @ part).astype(np.float64))
        power.append(np.sum(layers**2, axis=1))
        count.append(float(chosen.size))
    return Projections(splines, np.stack(gram), np.stack(projection, axis=1), np.stack(power, axis=1), np.array(count))


def _bins(shape: tuple[int, int], aspect: tuple[float, float], bins: int) -> NDArray[np.intp]:
    """Return (pixels,) the bin of every coefficient, -1 for the constant; geometric edges, none with too few coefficients."""
    fy, fx = np.arange(shape[0]) / (shape[0] * aspect[0]), np.arange(shape[1]) / (shape[1] * aspect[1])
    length = np.hypot(fy[:, None], fx[None, :]).ravel()
    ordered = np.sort(length)[1:]
    edges, last = [0.0], 0
    for edge in np.geomspace(ordered[0], ordered[-1] * 1.0001, bins + 1)[1:]:
        upto = int(np.searchsorted(ordered, edge))
        if upto - last >= _LEAST_IN_A_BIN:
            edges.append(float(edge))
            last = upto
    edges[-1] = float(ordered[-1]) * 1.0001
    label = np.searchsorted(edges, length, side="right") - 1
    label[0] = -1
    return np.asarray(label, dtype=np.intp)
