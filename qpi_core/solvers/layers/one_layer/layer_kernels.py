"""The kernels of one layer of a stack, to be found under one noise model after the other (see noise_model.kernel_part).

Which kinds of model there are is known from the pilots, so no symmetry is compared: each stage is the layer solver on the whitened
equations of this layer alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from qpi_core.noise.whitening import Whitener
from qpi_core.solvers.harmonic.equations.accumulation import ClassBasis, accumulate, superpose
from qpi_core.solvers.harmonic.equations.basis import MapSamples
from qpi_core.solvers.harmonic.equations.evidence import low_rank_factor
from qpi_core.solvers.harmonic.equations.stored_design import StoredDesign
from qpi_core.solvers.harmonic.equations.whitened_equations import accumulate_whitened
from qpi_core.solvers.harmonic.search import Fit
from qpi_core.solvers.layers.one_layer.layer_solver import ClassFit, LayerOptions, LayerSolver
from qpi_core.solvers.layers.pilots import ModelKind
from qpi_core.solvers.measured.noise_model.defects_in_use import DefectsInUse
from qpi_core.solvers.measured.noise_model.one_kernel import KERNEL_RANK

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class LayerStage:
    """The kernels of a layer under one noise model.

    Attributes:
        solver: of the layer's equations.
        fits: one a class.
        whitener: of the noise model; None for white noise.
    """

    solver: LayerSolver
    fits: tuple[ClassFit, ...]
    whitener: Whitener | None

    @property
    def variance(self) -> float:
        """Variance of the white noise, units of the layer squared."""
        return self.fits[-1].fit.evidence.variance

    def log_evidence(self, pixels: int) -> float:
        """Return the log evidence of the whitened layer, with the price of the kernels' hyperparameters taken off."""
        return self.solver.log_evidence(self.fits, 0)


class LayerKernels(DefectsInUse[LayerStage]):
    """The part of the kernels of one layer, or of a square of it."""

    def __init__(
        self,
        shape: tuple[int, int],
        bases: Sequence[ClassBasis],
        kinds: Sequence[tuple[ModelKind, ...]],
        layer: int,
        options: LayerOptions,
    ) -> None:
        """Remember the layer.

        Args:
            shape: (height, width).
            bases: one a class, on all measured pixels with the values of the layer.
            kinds: of model, one tuple a class.
            layer: its index in the stack.
            options: with the least noise variance.
        """
        assert options.floor is not None, "the floor of a single layer is known"
        super().__init__(bases, shape, options.aspect)
        self._bases, self._kinds, self._layer, self._options = tuple(bases), kinds, layer, options
        self.floor = options.floor
        self._designs: list[StoredDesign] | None = None

    @cached_property
    def white(self) -> LayerStage:
        """The kernels under white noise."""
        return self._stage(None)

    def solved(self, whitener: Whitener) -> LayerStage:
        """Return the kernels of the whitened layer."""
        return self._stage(whitener)

    def left(self, stage: LayerStage) -> Array:
        """Return what the kernels leave of the layer, (height, width), about the mean; zero where not measured."""
        return self.left_by(stage.fits)

    def left_by(self, fits: Sequence[ClassFit]) -> Array:
        """Return the same of kernels that were found elsewhere, such as on a square of the layer."""
        bases = [replace(basis, orders=one.fit.hyperparameters.orders) for basis, one in zip(self._bases, fits, strict=True)]
        values = self._bases[0].samples.values - superpose(bases, [one.fit.evidence.profiles for one in fits])
        return self._image((values - values.mean())[:, None])[..., 0]

    def columns(self, stage: LayerStage) -> Array:
        """Return the patterns that the kernels' priors allow, (height, width, k), in units of the noise."""
        if self._designs is None:
            self._designs = [StoredDesign(basis.samples, basis.splines, basis.orders) for basis in self._bases]
        found = []
        for design, basis, one in zip(self._designs, self._bases, stage.fits, strict=True):
            point = one.fit.hyperparameters
            factor = low_rank_factor(point.radial.covariance(basis.splines.nodes), KERNEL_RANK)
            if one.equations.subspace is not None:
                factor = one.equations.subspace @ (one.equations.subspace.T @ factor)
            found.append(design.prior_columns(point.orders, point.mixing(), factor))
        return self._image(np.concatenate(found, axis=1))

    def _stage(self, whitener: Whitener | None) -> LayerStage:
        shared = accumulate(self._bases) if whitener is None else accumulate_whitened(self._bases, self._rows, self._columns, whitener)
        solver = LayerSolver(shared, self._kinds, self._options)
        return LayerStage(solver, tuple(solver.fits(0, self._layer)), whitener)

    def _fits(self, stage: LayerStage) -> Sequence[Fit]:
        return [one.fit for one in stage.fits]

    def _redesign(self, samples: Sequence[MapSamples]) -> None:
        self._bases = tuple(replace(basis, samples=own) for basis, own in zip(self._bases, samples, strict=True))
        self._designs = None


def bases_of(bases: Sequence[ClassBasis], values: NDArray[np.float32]) -> list[ClassBasis]:
    """Return bases with the values of a layer, (height, width), on those of their pixels where it was measured."""
    samples = bases[0].samples
    seen = values[samples.places].astype(np.float64)
    inside = np.isfinite(seen)
    return [replace(basis, samples=replace(basis.samples, values=seen).restricted(inside)) for basis in bases]
