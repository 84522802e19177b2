"""The one kernel of a map, to be found under one noise model after the other: the first stage of the harmonic solver, whitened."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from qpi_core.noise.whitening import Whitener
from qpi_core.solvers.harmonic.equations.basis import MapSamples
from qpi_core.solvers.harmonic.equations.evidence import low_rank_factor
from qpi_core.solvers.harmonic.equations.stored_design import StoredDesign
from qpi_core.solvers.harmonic.orders.selection import select_orders
from qpi_core.solvers.harmonic.problem import HarmonicProblem
from qpi_core.solvers.harmonic.search import Fit
from qpi_core.solvers.harmonic.start import HarmonicStart
from qpi_core.solvers.measured.noise_model.defects_in_use import DefectsInUse

Array = NDArray[np.float64]

KERNEL_RANK = 1e-5
"""Share of a kernel's prior that its columns may lack."""


class OneKernel(DefectsInUse[HarmonicStart]):
    """The part of one kernel (see kernel_part); its stages are first stages of the harmonic solver on all measured pixels."""

    def __init__(self, problem: HarmonicProblem, begun: HarmonicStart) -> None:
        """Begin with the first stage under white noise; strengths and places are those of the list."""
        super().__init__([begun], (problem.values.shape[0], problem.values.shape[1]), begun.aspect)
        self.problem, self.white, self.floor = problem, begun, begun.floor
        self._raw = begun.design

    def solved(self, whitener: Whitener) -> HarmonicStart:
        """Return the first stage of the whitened problem."""
        design = self._raw.whitened(whitener, self._rows, self._columns)
        selection = select_orders(design, self.white.splines.nodes, self.problem.symmetry_orders, self.floor)
        return replace(self.white, samples=self._in_use[0], design=design, selection=selection, whitener=whitener)

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

    def _fits(self, stage: HarmonicStart) -> Sequence[Fit]:
        return [stage.selection.best]

    def _redesign(self, samples: Sequence[MapSamples]) -> None:
        self._raw = StoredDesign(samples[0], self.white.splines, tuple(sorted({0, *self.problem.symmetry_orders})))
