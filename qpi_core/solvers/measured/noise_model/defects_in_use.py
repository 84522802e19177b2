"""The defects of a map's kernels, class by class: their strengths and places as listed, those in use, and how the map depends on both.

What one kernel, the kernels of several classes and those of a layer of a stack share (see kernel_part).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import replace
from typing import Generic, Protocol

import numpy as np
from numpy.typing import NDArray

from qpi_core.solvers.harmonic.equations.basis import MapSamples, RadialSplines
from qpi_core.solvers.harmonic.frame import SolverFrame
from qpi_core.solvers.harmonic.search import Fit
from qpi_core.solvers.measured.noise_model.defect_effects import (
    core_columns,
    may_be_moved,
    may_be_unequal,
    on_the_scale_of,
    place_columns,
    strength_columns,
)
from qpi_core.solvers.measured.noise_model.kernel_part import Stage
from qpi_core.solvers.measured.noise_model.noisy_start import CORES, PLACES, STRENGTHS

Array = NDArray[np.float64]

_LONGEST_MOVE = 0.5
"""Longest move of a round, in the solver's units: as far as a linear map of the places holds."""


class ListedClass(Protocol):
    """The defects of one class on the pixels of a map."""

    @property
    def samples(self) -> MapSamples:
        """The pixels, with the defects as listed."""

    @property
    def splines(self) -> RadialSplines:
        """Radial basis of the kernel."""


class DefectsInUse(ABC, Generic[Stage]):
    """Strengths and places of the defects of all classes. Every class has a common factor that is its kernel's."""

    def __init__(self, classes: Sequence[ListedClass], shape: tuple[int, int], aspect: tuple[float, float]) -> None:
        """Begin with the list.

        Args:
            classes: on the same pixels.
            shape: (height, width) of the map.
            aspect: (dy, dx) of a pixel in solver units.
        """
        self.aspect, self._shape = aspect, shape
        self._splines, self._in_use = [one.splines for one in classes], [one.samples for one in classes]
        self._frames = [SolverFrame(aspect, samples.stretch) for samples in self._in_use]
        self.given = self.weights = np.concatenate([samples.weights for samples in self._in_use])
        self._listed = self._places = np.concatenate([samples.positions for samples in self._in_use])
        self._ends = np.cumsum([len(samples.weights) for samples in self._in_use])[:-1]
        self._rows, self._columns = self._in_use[0].places

    @abstractmethod
    def _fits(self, stage: Stage) -> Sequence[Fit]:
        """Return the kernels of a stage, one a class."""

    @abstractmethod
    def _redesign(self, samples: Sequence[MapSamples]) -> None:
        """Use other values, strengths or places from now on; one a class."""

    @property
    def moves(self) -> Array | None:
        """(n, 2) px from the listed places to those in use; None where they are the same."""
        if self._places is self._listed:
            return None
        pairs = zip(self._frames, np.split(self._places - self._listed, self._ends), strict=True)
        return np.concatenate([frame.pixels(own) for frame, own in pairs])

    def defect_groups(self, stage: Stage) -> dict[str, Array]:
        """Return how the map depends on each defect's strength, and spots at their cores; nothing where the defects are too few."""
        if not may_be_unequal(len(self.given)):
            return {}
        known = zip(self._in_use, self._splines, self._fits(stage), strict=True)
        strengths = np.concatenate([strength_columns(*one) for one in known], axis=1)
        cores = np.concatenate([core_columns(samples) for samples in self._in_use], axis=1)
        return {STRENGTHS: self._image(strengths), CORES: self._image(cores)}

    def place_columns(self, stage: Stage) -> Array | None:
        """Return how the map depends on the places in use, class by class all x, then all y; None where the defects are too few or many."""
        if not may_be_moved(len(self.given)):
            return None
        # The kernels are the stage's; they may not have been solved for the places in use yet.
        known = zip(self._placed(self._in_use), self._splines, self._fits(stage), strict=True)
        return self._image(np.concatenate([place_columns(*one) for one in known], axis=1))

    def deviations(self, name: str) -> Array:
        """Return how far strengths, (n,), or places, (2 n,), in use are from those of the list."""
        if name == STRENGTHS:
            return np.asarray(self.weights - self.given)
        return np.concatenate([own.T.ravel() for own in np.split(self._places - self._listed, self._ends)])

    def follow(self, name: str, effects: Array) -> None:
        """Use strengths or places that deviate by these effects from those of the list; a place goes at most half a pixel a round."""
        if name == PLACES:
            wanted = [own.reshape(2, -1).T for own in np.split(effects, 2 * self._ends)]
            step = self._listed + np.concatenate(wanted) - self._places
            self._places = self._places + np.clip(step, -_LONGEST_MOVE, _LONGEST_MOVE)
            return
        classes = zip(*(np.split(each, self._ends) for each in (self.weights, self.given, effects)), strict=True)
        self.weights = np.concatenate([_followed(*one) for one in classes])

    def use_listed(self, name: str) -> None:
        """Use the strengths or the places of the list again."""
        if name == PLACES:
            self._places = self._listed
        else:
            self.weights = self.given

    def move(self, moves: Array) -> None:
        """Use places so far, (n, 2) px, from those of the list."""
        pairs = zip(self._frames, np.split(moves, self._ends), strict=True)
        self._places = self._listed + np.concatenate([frame.coordinates(own) for frame, own in pairs])

    def take(self, values: Array) -> None:
        """Explain other values, (height, width), on the same pixels, with the strengths and places in use."""
        seen, known = values[self._rows, self._columns], self._in_use
        found = [replace(samples, values=seen) for samples in self._placed(known)]
        pairs = [(getattr(a, name), getattr(b, name)) for a, b in zip(found, known, strict=True) for name in ("weights", "positions")]
        if not all(np.array_equal(*pair) for pair in [(seen, known[0].values), *pairs]):
            self._in_use = found
            self._redesign(found)

    def _placed(self, samples: Sequence[MapSamples]) -> list[MapSamples]:
        """Return samples with the strengths and places in use."""
        defects = zip(np.split(self._places, self._ends), np.split(self.weights, self._ends), strict=True)
        return [replace(one, positions=at, weights=weights) for one, (at, weights) in zip(samples, defects, strict=True)]

    def _image(self, rows: Array) -> Array:
        image = np.zeros((*self._shape, rows.shape[1]))
        image[self._rows, self._columns] = rows
        return image


def _followed(now: Array, given: Array, effects: Array) -> Array:
    """Return the strengths of a class that deviate by these effects from those of the list."""
    # The columns leave out the common factor, which is the kernel's: along the weights in use everything stays.
    change = effects + now * float(now @ (now - given - effects)) / float(now @ now)
    return on_the_scale_of(given + change, given)
