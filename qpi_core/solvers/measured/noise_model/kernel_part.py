"""What the search for a noise model asks of the kernels of a map: one kernel, those of several classes, or those of a layer of a stack.

For a given noise model the kernels follow from the whitened map; for given kernels their prior is one more random effect of the map,
Y = sum_c A_c*M_c + everything else. Whoever can do both can be searched with (see noise_search).
"""

from __future__ import annotations

from typing import Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from qpi_core.noise.whitening import Whitener

Array = NDArray[np.float64]


class KernelStage(Protocol):
    """The kernels under one noise model."""

    @property
    def variance(self) -> float:
        """Variance of the white noise, units of the map squared."""

    @property
    def whitener(self) -> Whitener | None:
        """Of the noise model; None for white noise."""

    def log_evidence(self, pixels: int) -> float:
        """Return the log evidence of the whitened map of so many pixels, with the price of the kernels' hyperparameters taken off."""


Stage = TypeVar("Stage", bound=KernelStage)


class KernelPart(Protocol[Stage]):
    """The kernels of a map, to be found under one noise model after the other.

    Attributes:
        aspect: (dy, dx) of a pixel in the unit of the covariance's lengths.
        floor: least noise variance.
        given: (n,) strengths of the defects as listed.
    """

    aspect: tuple[float, float]
    floor: float
    given: Array

    @property
    def moves(self) -> Array | None:
        """(n, 2) px from the listed places to those in use; None where they are the same."""

    @property
    def white(self) -> Stage:
        """The kernels under white noise."""

    def solved(self, whitener: Whitener) -> Stage:
        """Return the kernels under a noise model."""

    def left(self, stage: Stage) -> Array:
        """Return what the kernels leave of the map, (height, width), about the mean; zero where not measured."""

    def columns(self, stage: Stage) -> Array:
        """Return the patterns that the kernels' prior allows, (height, width, k), in units of the noise."""

    def defect_groups(self, stage: Stage) -> dict[str, Array]:
        """Return the random effects of single defects by name, (height, width, k) each; empty where there can be none."""

    def place_columns(self, stage: Stage) -> Array | None:
        """Return how the map depends on the places in use, (height, width, 2 n); None where they cannot be moved."""

    def move(self, moves: Array) -> None:
        """Use places so far, (n, 2) px, from those of the list."""

    def deviations(self, name: str) -> Array:
        """Return how far strengths or places in use are from those of the list, (k,) in the units of the group's effects."""

    def follow(self, name: str, effects: Array) -> None:
        """Use strengths or places that deviate by these effects, (k,), from those of the list."""

    def use_listed(self, name: str) -> None:
        """Use the strengths or places of the list again."""

    def take(self, values: Array) -> None:
        """Explain other values, (height, width), on the same pixels, with the strengths and places in use."""
