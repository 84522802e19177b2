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
from qpi_core.solvers.measured.noise_model.defect_effects import (
    core_columns,
    may_be_moved,
    may_be_unequal,
    on_the_scale_of,
    place_columns,
    strength_columns,
)
from qpi_core.solvers.measured.noise_model.noisy_start import CORES, PLACES, STRENGTHS

Array = NDArray[np.float64]

KERNEL_RANK = 1e-5
"""Share of a kernel's prior that its columns may lack."""
_LONGEST_MOVE = 0.5
"""Longest move of a round, in the solver's units: as far as a linear map of the places holds."""


class OneKernel:
    """The part of one kernel (see kernel_part); its stages are first stages of the harmonic solver on all measured pixels."""

    def __init__(self, problem: HarmonicProblem, begun: HarmonicStart, weights: Array) -> None:
        """Begin with the first stage under white noise; strengths and places are those of the list."""
        self.problem, self.white, self.given, self.weights = problem, begun, weights, weights
        self.aspect, self.floor = begun.aspect, begun.floor
        self._measured = np.isfinite(problem.values)
        self._raw, self._samples = begun.design, begun.samples
        self._listed = self._places = begun.samples.positions
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

    def place_columns(self, stage: HarmonicStart) -> Array | None:
        """Return how the map depends on the places in use; None where the defects are too few or too many."""
        if not may_be_moved(len(self.given)):
            return None
        # The kernel is the stage's; it may not have been solved for the places in use yet.
        samples = replace(self._samples, positions=self._places, weights=self.weights)
        return self._image(place_columns(samples, self.white.splines, stage.selection.best))

    def deviations(self, name: str) -> Array:
        """Return how far strengths, (n,), or places, (2 n,), in use are from those of the list."""
        return self.weights - self.given if name == STRENGTHS else (self._places - self._listed).T.ravel()

    def follow(self, name: str, effects: Array) -> None:
        """Use strengths or places that deviate by these effects from those of the list; a place goes at most half a pixel a round."""
        if name == PLACES:
            step = self._listed + effects.reshape(2, -1).T - self._places
            self._places = self._places + np.clip(step, -_LONGEST_MOVE, _LONGEST_MOVE)
            return
        now, given = self.weights, self.given
        # The columns leave out the common factor, which is the kernel's: along the weights in use everything stays.
        change = effects + now * float(now @ (now - given - effects)) / float(now @ now)
        self.weights = on_the_scale_of(given + change, given)

    @property
    def moves(self) -> Array | None:
        """(n, 2) px from the listed places to those in use; None where they are the same."""
        return None if self._places is self._listed else self.white.frame.pixels(self._places - self._listed)

    def move(self, moves: Array) -> None:
        """Use places so far, (n, 2) px, from those of the list."""
        self._places = self._listed + self.white.frame.coordinates(moves) if moves.any() else self._listed

    def take(self, values: Array) -> None:
        """Explain other values, (height, width), on the same pixels, with the strengths in use."""
        rows = values[self._rows, self._columns]
        known = self._samples
        same_defects = np.array_equal(self.weights, known.weights) and np.array_equal(self._places, known.positions)
        if same_defects and np.array_equal(rows, known.values):
            return
        self._samples = replace(known, values=rows, weights=self.weights, positions=self._places)
        self._raw = StoredDesign(self._samples, self.white.splines, tuple(sorted({0, *self.problem.symmetry_orders})))

    def _image(self, rows: Array) -> Array:
        image = np.zeros((*self._measured.shape, rows.shape[1]))
        image[self._rows, self._columns] = rows
        return image
