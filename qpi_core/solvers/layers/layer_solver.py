"""One layer of a stack: the best of the pilots' kinds of model, with hyperparameters of its own."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import reduce
from math import gcd

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import LinAlgError

from qpi_core.base.grid import central_crop
from qpi_core.solvers.harmonic.equations.normal_equations import NormalEquations
from qpi_core.solvers.harmonic.model import LEAST_GAIN
from qpi_core.solvers.harmonic.orders.extension import profile_subspace
from qpi_core.solvers.harmonic.orders.selection import log_evidence
from qpi_core.solvers.harmonic.posterior import KernelGrid, Laplace, Renderer, kernel_deviation, laplace
from qpi_core.solvers.harmonic.search import INDEPENDENT, Fit, Hyperparameters, cost_and_gradient, refine
from qpi_core.solvers.layers.pilots import ModelKind
from qpi_core.solvers.layers.shared_equations import SharedEquations, in_subspace

Array = NDArray[np.float64]

RELATIVE_FLOOR = 3e-4
"""Noise below this share of a layer's standard deviation cannot be told from the error of the radial splines."""
_STRETCHES = np.geomspace(0.7, 1.4, 9)
"""Factors on the wave vectors of a start: between two pilots they may move by more than a search follows."""
_TRIED = 2
NO_PATTERN = "This layer shows no pattern that repeats at the given positions; its kernel is not determined by the data."


@dataclass(frozen=True, eq=False)
class HarmonicLayer:
    """What the harmonic solver found in one layer.

    Attributes:
        wide_kernel: (K, K), the whole radius that was solved.
        uncertainty: (k, k), one standard deviation.
        background: constant b.
        noise_sigma: standard deviation of the noise.
        symmetry_order: 0 isotropic, 2, 3, 4, 6 ..., or None.
        gain: log evidence of a kernel over plain noise.
    """

    wide_kernel: NDArray[np.float32]
    uncertainty: NDArray[np.float32]
    background: float
    noise_sigma: float
    symmetry_order: int | None
    gain: float


class LayerSolver:
    """Solves the layers of one group (the same measured pixels)."""

    def __init__(self, shared: SharedEquations, kinds: tuple[ModelKind, ...], kernel_size: int, aspect: tuple[float, float]) -> None:
        """Prepare what all layers share; aspect is (dy, dx) of a pixel in solver units."""
        self._shared, self._kinds, self._size = shared, kinds, kernel_size
        self._equations = {kind.orders: shared.restricted(kind.orders) for kind in kinds}
        half = max(int(np.floor(shared.splines.radius / min(aspect))), kernel_size // 2)
        wide, window = KernelGrid.of_size(2 * half + 1, aspect), KernelGrid.of_size(kernel_size, aspect)
        self._wide = {orders: Renderer(wide, shared.splines, orders) for orders in self._equations}
        self._window = {orders: Renderer(window, shared.splines, orders) for orders in self._equations}

    def solve(self, layer: int, excess: float = 1.0) -> HarmonicLayer:
        """Solve one layer; the deviation is widened by the root of excess, the power of a residual that is not white noise."""
        nodes, pixels = self._shared.splines.nodes, self._shared.common.pixels
        floor = RELATIVE_FLOOR**2 * self._shared.totals[layer] / pixels
        found = [self._fit(kind, layer, floor) for kind in self._kinds]
        equations, fit = max(found, key=lambda pair: log_evidence(pair[1], pixels))
        orders = fit.hyperparameters.orders
        wide = self._wide[orders](fit.evidence.profiles)
        deviation = np.sqrt(excess) * kernel_deviation(equations, nodes, fit, self._determined(equations, fit, floor), self._window[orders])
        gain = log_evidence(fit, pixels) + 0.5 * (pixels - 1) * float(np.log(self._shared.totals[layer] + (pixels - 1) * floor))
        symmetry = reduce(gcd, orders, 0)
        return HarmonicLayer(
            wide_kernel=wide.astype(np.float32),
            uncertainty=deviation.astype(np.float32),
            background=equations.background(fit.evidence.profiles),
            noise_sigma=float(np.sqrt(max(fit.evidence.variance - floor, 0.0))),
            symmetry_order=None if symmetry == 1 or gain <= LEAST_GAIN else symmetry,
            gain=gain,
        )

    def crop(self, solved: HarmonicLayer) -> NDArray[np.float32]:
        """Return the kernel window, (k, k)."""
        return central_crop(solved.wide_kernel, self._size).copy()

    def _determined(self, equations: NormalEquations, fit: Fit, floor: float) -> Laplace:
        """Return the Laplace approximation without the directions that the data leave open, such as those across a bound.

        There the cost is no parabola; a kernel that fits a map moves little along what the map does not determine.
        """
        nodes = self._shared.splines.nodes
        spread = laplace(equations, nodes, fit, floor)
        scales, _, _ = fit.hyperparameters.search_box(nodes[1] - nodes[0])
        values, vectors = np.linalg.eigh(spread.covariance / np.outer(scales, scales))
        kept = np.where(values < 1.0, np.maximum(values, 0.0), 0.0)
        return replace(spread, covariance=(vectors * kept) @ vectors.T * np.outer(scales, scales))

    def _fit(self, kind: ModelKind, layer: int, floor: float) -> tuple[NormalEquations, Fit]:
        nodes = self._shared.splines.nodes
        full = self._shared.with_layer(self._equations[kind.orders], layer)
        best: tuple[NormalEquations, Fit] | None = None
        for start in self._promising(full, kind.starts(layer), floor):
            equations = full
            if start.mixing_kind == INDEPENDENT:
                # Many angular parts: only profiles that the prior leaves room for, or every step would take seconds.
                room = replace(start.radial, log_decay=start.radial.log_decay - float(np.log(1.5)))
                equations = in_subspace(full, profile_subspace(room, nodes))
            fit = refine(equations, nodes, start, floor)
            if best is None or fit.cost < best[1].cost:
                best = equations, fit
        assert best is not None, "a kind of model has at least one start"
        return best

    def _promising(self, equations: NormalEquations, starts: list[Hyperparameters], floor: float) -> list[Hyperparameters]:
        """Return the starts with the lowest cost among those given and the same with all wave vectors stretched."""
        nodes = self._shared.splines.nodes
        if starts[0].mixing_kind == INDEPENDENT:
            return starts[-1:]
        scored = []
        for start in starts:
            _, lower, upper = start.search_box(nodes[1] - nodes[0])
            for stretch in _STRETCHES:
                vector = start.vector.copy()
                vector[2 : 2 + start.waves] *= stretch
                candidate = replace(start, vector=np.clip(vector, lower, upper))
                try:
                    scored.append((cost_and_gradient(equations, nodes, candidate, floor)[0], candidate))
                except LinAlgError:
                    continue
        scored.sort(key=lambda pair: pair[0])
        return [candidate for _, candidate in scored[:_TRIED]] or starts[:1]
