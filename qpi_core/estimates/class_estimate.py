"""What an extraction with several classes of defects returns."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qpi_core.estimates.caution import Caution, kind_of
from qpi_core.estimates.estimate import KernelEstimate


@dataclass(frozen=True, eq=False)
class ClassEstimates:
    """One estimate a class, and what they have in common.

    Attributes:
        estimates: class -> estimate, in the order in which the classes first appear. Each has the kernel, the positions and the weights
            of its own class, and the reconstruction, residual, background and noise of all classes together.
        classes: the class of each defect.
        positions: (n, 2) float64, all defects, (x, y) in pixels, as used.
        weights: (n,) float64, as used.
        warnings: plain sentences on all classes together.
    """

    estimates: dict[str, KernelEstimate]
    classes: tuple[str, ...]
    positions: NDArray[np.float64]
    weights: NDArray[np.float64]
    warnings: tuple[str, ...] = ()

    def __getitem__(self, name: str) -> KernelEstimate:
        """Return the estimate of a class."""
        return self.estimates[name]

    @property
    def names(self) -> tuple[str, ...]:
        """The classes, in the order in which they first appear."""
        return tuple(self.estimates)

    @property
    def reconstruction(self) -> NDArray[np.float32]:
        """sum_c A_c*M_c + background, shape of the observation, without gaps."""
        return self._first.reconstruction

    @property
    def residual(self) -> NDArray[np.float32]:
        """Observation - reconstruction; NaN where the map was not measured."""
        return self._first.residual

    @property
    def background(self) -> float:
        """The constant b."""
        return self._first.background

    @property
    def background_map(self) -> NDArray[np.float32] | None:
        """All that is neither a kernel nor noise, shape of the observation."""
        return self._first.background_map

    @property
    def noise_model(self) -> dict[str, tuple[float, float]]:
        """Name with its unit -> (value, standard deviation), one noise model for all classes."""
        return self._first.noise_model

    @property
    def noise_sigma(self) -> float:
        """Estimated standard deviation of the noise, units of the observation."""
        return self._first.noise_sigma

    @property
    def method(self) -> str:
        """The method's name."""
        return self._first.method

    def all_warnings(self) -> tuple[str, ...]:
        """Return the warnings on all classes together, then those of single classes with their names; what all say is said once."""
        said = [estimate.warnings for estimate in self.estimates.values()]
        common = [sentence for sentence in said[0] if all(sentence in one for one in said)]
        own = [
            Caution(f"Class {name}: {s}", kind_of(s))
            for name, estimate in self.estimates.items()
            for s in estimate.warnings
            if s not in common
        ]
        return tuple(dict.fromkeys([*self.warnings, *common, *own]))

    def with_source(self, source: Mapping[str, Any]) -> ClassEstimates:
        """Return a copy in which every estimate says where the observation came from; see KernelEstimate.with_source."""
        return replace(self, estimates={name: estimate.with_source(source) for name, estimate in self.estimates.items()})

    @property
    def _first(self) -> KernelEstimate:
        return next(iter(self.estimates.values()))
