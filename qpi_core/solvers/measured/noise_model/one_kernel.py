"""The one kernel of a map, to be found under one noise model after the other: the first stage of the harmonic solver, whitened."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from qpi_core.noise.whitening import Whitener
from qpi_core.solvers.harmonic.equations.evidence import low_rank_factor
from qpi_core.solvers.harmonic.equations.stored_design import StoredDesign
from qpi_core.solvers.harmonic.orders.selection import select_orders
from qpi_core.solvers.harmonic.problem import HarmonicProblem
from qpi_core.solvers.harmonic.start import HarmonicStart
from qpi_core.solvers.measured.noise_model.defect_effects import core_columns, may_be_unequal, on_the_scale_of, strength_columns
from qpi_core.solvers.measured.noise_model.noisy_start import CORES, STRENGTHS

Array = NDArray[np.float64]

KERNEL_RANK = 1e-5
"""Share of a kernel's prior that its columns may lack."""


class OneKernel:
    """The part of one kernel (see kernel_part); its stages are first stages of the harmonic solver on all measured pixels."""

    def __init__(self, problem: HarmonicProblem, begun: HarmonicStart, weights: Array) -> None:
        """Begin with the first stage under white noise and the strengths of the list."""
        self.problem, self.white, self.given, self.weights = problem, begun, weights, weights
        self.aspect, self.floor = begun.aspect, begun.floor
        self._measured = np.isfinite(problem.values)
        self._raw, self._samples = begun.design, begun.samples
        self._rows, self._columns = self._samples.places

    def solved(self, whitener: Whitener) -> HarmonicStart:
        """Return the first stage of the whitened problem."""
        design = self._raw.whitened(whitener, self._rows, self._columns)
        selection = select_orders(design, self.white.splines.nodes, self.problem.symmetry_orders, self.floor)
        return replace(self.white, samples=self._samples, design=design, selection=selection, whitener=whitener)

    def left(self, stage: HarmonicStart) -> Array:
        """Return what the kernel leaves of the map, (height, width), about the mean; zero where not measured."""
        fit = stage.selection.best
        return self._image(self._raw.residual(fit.hyperparameters.orders, fit.evidence.profiles)[:, None])[..., 0]

    def columns(self, stage: HarmonicStart) -> Array:
        """Return the patterns that the kernel's prior allows, (height, width, k), in units of the noise."""
        point = stage.selection.best.hyperparameters
        factor = low_rank_factor(point.radial.covariance(self.white.splines.nodes), KERNEL_RANK)
        self._raw.add_orders(point.orders)
        return self._image(self._raw.prior_columns(point.orders, point.mixing(), factor))

    def defect_groups(self, stage: HarmonicStart) -> dict[str, Array]:
        """Return how the map depends on each defect's strength, and spots at their cores; nothing where the defects are too few."""
        if not may_be_unequal(len(self.given)):
            return {}
        strengths = strength_columns(self._samples, self.white.splines, stage.selection.best)
        return {STRENGTHS: self._image(strengths), CORES: self._image(core_columns(self._samples))}

    def reweigh(self, weights: Array) -> None:
        """Give the defects other strengths, (n,)."""
        self.weights = on_the_scale_of(weights, self.given)

    def take(self, values: Array) -> None:
        """Explain other values, (height, width), on the same pixels, with the strengths in use."""
        rows = values[self._rows, self._columns]
        known = self._samples
        if np.array_equal(rows, known.values) and np.array_equal(self.weights, known.weights):
            return
        self._samples = replace(known, values=rows, weights=self.weights)
        self._raw = StoredDesign(self._samples, self.white.splines, tuple(sorted({0, *self.problem.symmetry_orders})))

    def _image(self, rows: Array) -> Array:
        image = np.zeros((*self._measured.shape, rows.shape[1]))
        image[self._rows, self._columns] = rows
        return image
