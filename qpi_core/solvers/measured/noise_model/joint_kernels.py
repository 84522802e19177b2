"""The kernels of several classes of a map, to be found under one noise model after the other (see kernel_part).

Y = sum_c B_c g_c + noise with g_c ~ N(0, sigma^2 K_c): given the noise model and the K_c all kernels have one joint posterior, and the
marginal likelihood has all of them integrated out. The K_c are those of one rotation symmetry for each class.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_solve, cholesky

from qpi_core.noise.whitening import Whitener
from qpi_core.solvers.harmonic.equations.basis import MapSamples
from qpi_core.solvers.harmonic.equations.stored_design import StoredDesign
from qpi_core.solvers.harmonic.joint.start import ClassStart, choose_jointly, class_columns
from qpi_core.solvers.harmonic.orders.significant_orders import ChosenOrders
from qpi_core.solvers.harmonic.search import Fit
from qpi_core.solvers.measured.noise_model.defects_in_use import DefectsInUse
from qpi_core.solvers.measured.noise_model.one_kernel import KERNEL_RANK

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class JointStage:
    """The kernels of all classes under one noise model.

    Attributes:
        starts: their designs, whitened.
        chosen: angular orders and hyperparameters of each.
        effects: (k,) posterior means of the columns of all classes.
        cost: minus the log marginal likelihood of the whitened map, the priors of the hyperparameters included.
        variance: of the white noise.
        whitener: of the noise model; None for white noise.
    """

    starts: tuple[ClassStart, ...]
    chosen: tuple[ChosenOrders, ...]
    effects: Array
    cost: float
    variance: float
    whitener: Whitener | None

    @property
    def noise(self) -> float:
        """Noise variance that the columns are in units of."""
        return self.chosen[-1].fit.evidence.variance

    def log_evidence(self, pixels: int) -> float:
        """Return the log evidence of the whitened map, with the price of the kernels' hyperparameters taken off."""
        searched = sum(one.fit.hyperparameters.searched for one in self.chosen)
        return -self.cost - 0.5 * searched * float(np.log(pixels))


class JointKernels(DefectsInUse[JointStage]):
    """The part of several kernels."""

    def __init__(self, shape: tuple[int, int], starts: Sequence[ClassStart], chosen: Sequence[ChosenOrders]) -> None:
        """Begin with kernels under white noise.

        Args:
            shape: (height, width) of the map.
            starts: one a class, on all measured pixels.
            chosen: their angular orders, those of one symmetry each.
        """
        super().__init__(starts, shape, starts[0].aspect)
        self._raw, self.floor = tuple(starts), starts[0].floor
        self.white = _stage(self._raw, chosen, None)
        self._known = self.white

    def solved(self, whitener: Whitener) -> JointStage:
        """Return the kernels of the whitened problem, beginning with those that were found last."""
        starts = [replace(one, design=one.design.whitened(whitener, self._rows, self._columns)) for one in self._raw]
        chosen = choose_jointly(starts, known=self._known.chosen, sweeps=1, extended=False)
        self._known = _stage(starts, chosen, whitener)
        return self._known

    def left(self, stage: JointStage) -> Array:
        """Return what the kernels leave of the map, (height, width), about the mean; zero where not measured."""
        columns = [class_columns(start, one, stage.noise) for start, one in zip(self._raw, stage.chosen, strict=True)]
        values = self._raw[0].samples.values
        return self._image((values - values.mean() - np.concatenate(columns, axis=1) @ stage.effects)[:, None])[..., 0]

    def columns(self, stage: JointStage) -> Array:
        """Return the patterns that the kernels' priors allow, (height, width, k), in units of the noise."""
        pairs = zip(self._raw, stage.chosen, strict=True)
        return self._image(np.concatenate([class_columns(start, one, stage.noise, KERNEL_RANK) for start, one in pairs], axis=1))

    def _fits(self, stage: JointStage) -> Sequence[Fit]:
        return [one.fit for one in stage.chosen]

    def _redesign(self, samples: Sequence[MapSamples]) -> None:
        pairs = zip(self._raw, samples, strict=True)
        self._raw = tuple(replace(one, samples=own, design=StoredDesign(own, one.splines, one.design.orders)) for one, own in pairs)


def _stage(starts: Sequence[ClassStart], chosen: Sequence[ChosenOrders], whitener: Whitener | None) -> JointStage:
    """Return the joint posterior and marginal likelihood of all kernels for hyperparameters that were chosen class by class."""
    noise = chosen[-1].fit.evidence.variance
    columns = np.concatenate([class_columns(start, one, noise) for start, one in zip(starts, chosen, strict=True)], axis=1)
    values, floor = starts[0].design.values, starts[0].floor
    system = columns.T @ columns
    system[np.diag_indices_from(system)] += 1.0
    lower = cholesky(system, lower=True, check_finite=False)
    seen = columns.T @ values
    effects = cho_solve((lower, True), seen, check_finite=False)
    freedom = starts[0].samples.values.size - 1
    misfit = max(float(values @ values - seen @ effects), 0.0) + freedom * floor
    penalty = sum(one.fit.cost - one.fit.evidence.cost for one in chosen)
    cost = 0.5 * freedom * float(np.log(misfit)) + float(np.log(lower.diagonal()).sum()) + penalty
    return JointStage(tuple(starts), tuple(chosen), effects, cost, misfit / freedom, whitener)
