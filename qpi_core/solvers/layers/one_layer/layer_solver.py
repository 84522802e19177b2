"""One layer of a stack: the best of the pilots' kinds of model for every class of defects, with hyperparameters of their own.

Several classes are raised in turn by the marginal likelihood of the layer, the kernels of the others marginalised, as in
harmonic.joint.fit; with one class nothing is left to marginalise and one turn is all.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import reduce
from math import gcd

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import LinAlgError

from qpi_core.base.grid import central_crop
from qpi_core.solvers.harmonic.equations.accumulation import ClassBasis, MapEquations, superpose
from qpi_core.solvers.harmonic.equations.basis import MapSamples
from qpi_core.solvers.harmonic.equations.normal_equations import NormalEquations, in_subspace
from qpi_core.solvers.harmonic.frame import SolverFrame
from qpi_core.solvers.harmonic.joint.fit import at_joint_optimum
from qpi_core.solvers.harmonic.model import LEAST_GAIN
from qpi_core.solvers.harmonic.orders.extension import profile_subspace
from qpi_core.solvers.harmonic.orders.selection import log_evidence
from qpi_core.solvers.harmonic.posterior.kernel import Laplace, Renderer, kernel_deviation, laplace
from qpi_core.solvers.harmonic.posterior.wave_evidence import wave_evidence
from qpi_core.solvers.harmonic.search import INDEPENDENT, Fit, Hyperparameters, cost_and_gradient, refine
from qpi_core.solvers.harmonic.stretch import stretch_deviation
from qpi_core.solvers.layers.one_layer.harmonic_layer import HarmonicLayer
from qpi_core.solvers.layers.one_layer.layer_stretch import LayerStretch
from qpi_core.solvers.layers.pilots import ModelKind

Array = NDArray[np.float64]

RELATIVE_FLOOR = 3e-4
"""Noise below this share of a layer's standard deviation cannot be told from the error of the radial splines."""
_STRETCHES = np.geomspace(0.7, 1.4, 9)
"""Factors on the wave vectors of a start: between two pilots they may move by more than a search follows."""
_TRIED = 2
_SWEEPS = 3
"""Turns in which the classes of a layer are raised, each with the others marginalised."""


@dataclass(frozen=True, eq=False)
class ClassFit:
    """What is known of one class in a layer.

    Attributes:
        equations: with the other classes marginalised.
        fit: to them.
    """

    equations: NormalEquations
    fit: Fit


@dataclass(frozen=True, eq=False)
class LayerOptions:
    """What is the same for the layers of a group.

    Attributes:
        kernel_size: side of the kernels in px.
        aspect: (dy, dx) of a pixel in solver units.
        stretches: of the coordinates of each class; None where it has none.
        floor: least noise variance; None follows from the values of each layer.
    """

    kernel_size: int
    aspect: tuple[float, float]
    stretches: tuple[LayerStretch | None, ...]
    floor: float | None = None


class LayerSolver:
    """Solves the layers of one group (the same measured pixels, in the same coordinates)."""

    def __init__(self, shared: MapEquations, kinds: Sequence[tuple[ModelKind, ...]], options: LayerOptions) -> None:
        """Prepare what all layers share.

        Args:
            shared: equations of all layers and classes, of every order that a kind of the class has.
            kinds: of model, one tuple a class.
            options: of the group.
        """
        self._shared, self._kinds, self._options = shared, kinds, options
        self._narrowed: dict[tuple[tuple[int, ...], ...], MapEquations] = {}
        self._renderers: list[dict[tuple[int, ...], tuple[Renderer, Renderer]]] = []
        for basis, own in zip(shared.bases, kinds, strict=True):
            frame = SolverFrame(options.aspect, basis.samples.stretch)
            half = max(frame.reach(basis.splines.radius), options.kernel_size // 2)
            wide, window = frame.grid(2 * half + 1), frame.grid(options.kernel_size)
            orders = {kind.orders for kind in own}
            self._renderers.append({o: (Renderer(wide, basis.splines, o), Renderer(window, basis.splines, o)) for o in orders})

    @property
    def samples(self) -> MapSamples:
        """The pixels of the equations, with the defects of the first class."""
        return self._shared.bases[0].samples

    @property
    def bases(self) -> tuple[ClassBasis, ...]:
        """The bases of the equations, one a class."""
        return self._shared.bases

    def solve(self, place: int, layer: int, excess: Sequence[float] | None = None) -> list[HarmonicLayer]:
        """Return what was found of every class.

        Args:
            place: of the layer in the equations.
            layer: its index in the stack, which the pilots know it by.
            excess: power of a residual that is not white noise, one a class; the deviation is widened by its root. None is 1.
        """
        return self.answers(self.fits(place, layer), place, excess)

    def answers(self, fits: Sequence[ClassFit], place: int, excess: Sequence[float] | None = None) -> list[HarmonicLayer]:
        """Return what fits() found of every class; place and excess as for solve()."""
        floor = self._floor(place)
        background, widened = self._background(fits, place), excess or [1.0] * len(fits)
        return [self._answer(index, one, background, floor, widened[index]) for index, one in enumerate(fits)]

    def crop(self, solved: HarmonicLayer) -> NDArray[np.float32]:
        """Return the kernel window, (k, k)."""
        return central_crop(solved.wide_kernel, self._options.kernel_size).copy()

    def exact(self, solved: Sequence[HarmonicLayer]) -> Array:
        """Return sum_c A_c*M_c at the samples, (pixels,), with every profile evaluated at the true offsets."""
        return self._superposed([one.orders for one in solved], [one.profiles for one in solved])

    def fitted(self, fits: Sequence[ClassFit]) -> Array:
        """Return the same of what fits() found."""
        return self._superposed([one.fit.hyperparameters.orders for one in fits], [one.fit.evidence.profiles for one in fits])

    def _superposed(self, orders: Sequence[tuple[int, ...]], profiles: Sequence[Array]) -> Array:
        bases = [replace(basis, orders=own) for basis, own in zip(self._shared.bases, orders, strict=True)]
        return superpose(bases, profiles)

    def log_evidence(self, fits: Sequence[ClassFit], place: int) -> float:
        """Return the log evidence of a layer, all kernels integrated out, with the price of their hyperparameters taken off."""
        points = [one.fit.hyperparameters for one in fits]
        joint = self._restricted([point.orders for point in points], [one.equations.subspace for one in fits])
        penalty = sum(one.fit.cost - one.fit.evidence.cost for one in fits)
        price = 0.5 * sum(point.searched for point in points) * float(np.log(self._shared.pixels))
        return -joint.joint_cost(points, self._floor(place), place) - penalty - price

    def fits(self, place: int, layer: int) -> list[ClassFit]:
        """Return the best of the kinds of model for every class; place and layer as for solve()."""
        pixels = self._shared.pixels
        floor = self._floor(place)
        points = [_nearest(own, layer) for own in self._kinds]
        spans: list[Array | None] = [None] * len(points)
        kinds = list(self._kinds)
        fits: dict[int, ClassFit] = {}
        several = len(points) > 1
        for _ in range(_SWEEPS if several else 1):
            for index, own in enumerate(kinds):
                found = []
                for kind in own:
                    own_orders = kind.orders if index not in fits else points[index].orders
                    orders = [own_orders if k == index else point.orders for k, point in enumerate(points)]
                    others = [None if k == index else span for k, span in enumerate(spans)]
                    equations = self._restricted(orders, others).marginalised(index, points, place)
                    starts = [points[index]]
                    if index not in fits:
                        starts = self._promising(equations, self._shared.bases[index].splines.nodes, kind.starts(layer), floor)
                    found.append(self._fit(equations, index, starts, floor))
                best = max(found, key=lambda one: log_evidence(one.fit, pixels))
                # The others' priors are in units of one noise variance, which has become that of this fit.
                noise = best.fit.evidence.variance
                if several and fits:
                    before = next(reversed(fits.values())).fit.evidence.variance
                    points = [point.rescaled(before / noise) for point in points]
                points[index], spans[index] = best.fit.hyperparameters, best.equations.subspace
                fits.pop(index, None)
                fits[index] = best
                kinds[index] = own[:1]
        if not several:
            return [fits[0]]
        joint = self._restricted([point.orders for point in points], spans)
        ended = [replace(fits[index].fit, hyperparameters=point) for index, point in enumerate(points)]
        return [ClassFit(equations, fit) for equations, fit in at_joint_optimum(joint, ended, floor, place)]

    def _restricted(self, orders: Sequence[tuple[int, ...]], spans: Sequence[Array | None]) -> MapEquations:
        key = tuple(orders)
        if key not in self._narrowed:
            self._narrowed[key] = self._shared.narrowed(orders)
        return self._narrowed[key].narrowed(orders, spans)

    def _background(self, fits: Sequence[ClassFit], place: int) -> float:
        orders = [one.fit.hyperparameters.orders for one in fits]
        spans = [one.equations.subspace for one in fits]
        return self._restricted(orders, spans).background([one.fit.evidence.profiles for one in fits], place)

    def _floor(self, place: int) -> float:
        known = self._options.floor
        return known if known is not None else float(RELATIVE_FLOOR**2 * self._shared.totals[place] / self._shared.pixels)

    def _answer(self, index: int, one: ClassFit, background: float, floor: float, excess: float) -> HarmonicLayer:
        pixels, fit = self._shared.pixels, one.fit
        orders = fit.hyperparameters.orders
        wide, window = self._renderers[index][orders]
        spread = self._determined(one.equations, index, fit, floor)
        nodes = self._shared.bases[index].splines.nodes
        own = kernel_deviation(one.equations, nodes, fit, spread, window)
        known = self._options.stretches[index]
        stretch = None if known is None else known.described(fit.evidence.profiles)
        if stretch is not None:
            own = np.hypot(own, stretch_deviation(stretch, window.grid, self._shared.bases[index].splines, fit))
        deviation = np.sqrt(excess) * own
        gain = log_evidence(fit, pixels) + 0.5 * (pixels - 1) * float(np.log(one.equations.total + (pixels - 1) * floor))
        # A kernel that cannot be told from nothing has no symmetry to tell of.
        told = gain > LEAST_GAIN and float(np.mean(deviation**2)) < float(np.mean(window(fit.evidence.profiles) ** 2))
        return HarmonicLayer(
            wide_kernel=wide(fit.evidence.profiles).astype(np.float32),
            uncertainty=deviation.astype(np.float32),
            background=background,
            noise_sigma=float(np.sqrt(max(fit.evidence.variance - floor, 0.0))),
            symmetry_order=_symmetry(orders, stretch is not None) if told else None,
            gain=gain,
            orders=orders,
            profiles=fit.evidence.profiles,
            point=fit.hyperparameters,
            covariance=spread.covariance,
            waves=wave_evidence(one.equations, nodes, fit, floor) if gain > LEAST_GAIN else (),
            stretch=stretch,
        )

    def _determined(self, equations: NormalEquations, index: int, fit: Fit, floor: float) -> Laplace:
        """Return the Laplace approximation without the directions that the data leave open, such as those across a bound.

        There the cost is no parabola; a kernel that fits a map moves little along what the map does not determine.
        """
        nodes = self._shared.bases[index].splines.nodes
        spread = laplace(equations, nodes, fit, floor)
        scales, _, _ = fit.hyperparameters.search_box(nodes[1] - nodes[0])
        values, vectors = np.linalg.eigh(spread.covariance / np.outer(scales, scales))
        kept = np.where(values < 1.0, np.maximum(values, 0.0), 0.0)
        return replace(spread, covariance=(vectors * kept) @ vectors.T * np.outer(scales, scales))

    def _fit(self, full: NormalEquations, index: int, starts: list[Hyperparameters], floor: float) -> ClassFit:
        nodes = self._shared.bases[index].splines.nodes
        best: ClassFit | None = None
        for start in starts:
            equations = full
            if start.mixing_kind == INDEPENDENT:
                # Many angular parts: only profiles that the prior leaves room for, or every step would take seconds.
                room = replace(start.radial, log_decay=start.radial.log_decay - float(np.log(1.5)))
                equations = in_subspace(full, profile_subspace(room, nodes))
            fit = refine(equations, nodes, start, floor)
            if best is None or fit.cost < best.fit.cost:
                best = ClassFit(equations, fit)
        assert best is not None, "a kind of model has at least one start"
        return best

    def _promising(self, equations: NormalEquations, nodes: Array, starts: list[Hyperparameters], floor: float) -> list[Hyperparameters]:
        """Return the starts with the lowest cost among those given and the same with all wave vectors stretched."""
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


def _symmetry(orders: tuple[int, ...], stretched: bool) -> int | None:
    """Return the symmetry order of a kernel of these angular orders; of a stretched one's half a turn is left, where it is even."""
    order = reduce(gcd, orders, 0)
    if stretched:
        return 2 if order % 2 == 0 else None
    return order if order != 1 else None


def _nearest(kinds: tuple[ModelKind, ...], layer: int) -> Hyperparameters:
    """Return the optimum of the pilot that is nearest to a layer."""
    return min((pilot for kind in kinds for pilot in kind.pilots), key=lambda pilot: abs(pilot.layer - layer)).hyperparameters
