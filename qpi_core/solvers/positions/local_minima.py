"""Defects that sit in the wrong valley of the misfit, taken to the deepest one within reach of their click.

A wave pattern shifted by a wave length fits nearly as well, so Gauss-Newton steps end in the valley that the click was closest
to. Here every place of a fine grid about each click is judged, with the kernel and all other defects as they are; two defects
that are close together are judged as a pair, because neither can move without the other. Several maps of the same defects, such as the
layers of a stack, are judged together.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from qpi_core.operators.reconstruction import reconstruct
from qpi_core.solvers.harmonic.model import HarmonicModel
from qpi_core.solvers.harmonic.posterior.kernel import KernelGrid, Renderer

Array = NDArray[np.float64]

_STEPS_PER_PX = 4
_MOST_REACH_PX = 12
_MOST_RANGE_PX = 4
_REACH_SIGMAS = 3.5
_PAIR_PX = 2.2
_MOST_PAIRS = 40
_DECISIVE = 2.0
"""Gain in log posterior that another valley needs: the noise of the residual is not white while defects are still off."""
_SAME_VALLEY_PX = 0.4


@dataclass(frozen=True)
class Misfit:
    """How well a map is explained with defects at other places, its kernel and all other defects as they are.

    Attributes:
        values: (height, width) map, NaN where not measured.
        model: kernel and background.
        points: (n, 2) where the defects are now, px.
        weights: (n,) amplitudes.
        variance: of the residual.
    """

    values: NDArray[np.float32]
    model: HarmonicModel
    points: Array
    weights: Array
    variance: float

    def single(self, alone: NDArray[np.intp], anchors: Array, shifts: Array) -> tuple[Array, Array]:
        """Return the log likelihood of single defects at anchors + shifts, (n, shifts), and where they are now, (n,)."""
        weights = self.weights[alone, None]
        residual, seen = self._windows(anchors)
        own, templates = self._kernels_at(self.points[alone] - anchors), self._templates(shifts)
        target = residual + weights * own * seen
        gain = (weights * (target @ templates.T) - 0.5 * weights**2 * (seen @ (templates**2).T)) / self.variance
        now = (weights * target * own - 0.5 * weights**2 * own**2 * seen).sum(axis=1) / self.variance
        return gain, now

    def pair(self, pair: NDArray[np.intp], anchor: Array, shifts: Array) -> tuple[Array, float]:
        """Return the log likelihood of two defects at anchor + shifts each, (shifts, shifts), and where they are now."""
        weights = self.weights[pair]
        residual, seen = self._windows(anchor[None])
        own = self._kernels_at(self.points[pair] - anchor) * seen
        target = residual[0] + weights @ own
        templates = self._templates(shifts) * seen
        alone = templates @ target
        power = np.sum(templates**2, axis=1)
        gains = [(w * alone - 0.5 * w**2 * power) / self.variance for w in weights]
        gain = gains[0][:, None] + gains[1] - weights.prod() / self.variance * (templates @ templates.T)
        left = target - weights @ own
        return gain, 0.5 * float(target @ target - left @ left) / self.variance

    @cached_property
    def _reach(self) -> int:
        """Half side in px of the windows on which places are compared: where the envelope has fallen to 0.2."""
        return int(np.clip(np.sqrt(1.6 / np.exp(self.model.fit.hyperparameters.vector[0])), 4, _MOST_REACH_PX))

    @cached_property
    def _known(self) -> dict[bytes, Array]:
        return {}

    def _templates(self, shifts: Array) -> Array:
        """Return _kernels_at of shifts that are asked for again and again."""
        key = shifts.tobytes()
        if key not in self._known:
            self._known[key] = self._kernels_at(shifts)
        return self._known[key]

    def _kernels_at(self, shifts: Array) -> Array:
        """Return the kernel on a window of pixels for a defect off its centre by every shift, (shifts, window pixels)."""
        across, down = np.meshgrid(*2 * (np.arange(-self._reach, self._reach + 1.0),))
        offsets = np.stack([across.ravel() - shifts[:, :1], down.ravel() - shifts[:, 1:]], axis=-1)
        grid = KernelGrid(*np.moveaxis(self.model.frame.coordinates(offsets), -1, 0))
        return Renderer(grid, self.model.splines, self.model.fit.hyperparameters.orders)(self.model.fit.evidence.profiles)

    @cached_property
    def _residual(self) -> Array:
        """The map minus all defects, NaN where not measured, with a margin of one window around it."""
        model = self.model
        grid = model.frame.grid(2 * model.frame.reach(model.splines.radius) + 1)
        wide = Renderer(grid, model.splines, model.fit.hyperparameters.orders)(model.fit.evidence.profiles).astype(np.float32)
        background = model.equations.background(model.fit.evidence.profiles)
        residual = self.values - reconstruct(wide, background, self.points, self.weights, self.values.shape)
        return np.pad(residual.astype(np.float64), self._reach, constant_values=np.nan)

    def _windows(self, anchors: Array) -> tuple[Array, Array]:
        """Return the residual around whole pixels, zero where not measured, and which pixels count; both (n, window pixels)."""
        window, corner = np.arange(2 * self._reach + 1), anchors.astype(np.intp)
        taken = self._residual[corner[:, 1, None, None] + window[:, None], corner[:, 0, None, None] + window].reshape(len(anchors), -1)
        return np.nan_to_num(taken), np.isfinite(taken).astype(np.float64)


@dataclass(frozen=True)
class ValleySearch:
    """Judges other places for defects, one at a time and two that are close together at once.

    Attributes:
        misfits: of the maps that show these defects: one map, or the layers of a stack, whose log likelihoods add up.
        clicked: (n, 2) centres of the prior.
        sigma: standard deviation of the clicks in each direction, px.
    """

    misfits: tuple[Misfit, ...]
    clicked: Array
    sigma: float

    @property
    def points(self) -> Array:
        """(n, 2) where the defects are now, px."""
        return self.misfits[0].points

    def moved(self) -> Array:
        """Return positions (n, 2), those that fit decidedly better elsewhere moved there."""
        found = self.points.copy()
        close = cKDTree(self.points).query_pairs(_PAIR_PX) | cKDTree(self.clicked).query_pairs(_PAIR_PX)
        for pair in sorted(close)[:_MOST_PAIRS]:
            found[list(pair)] = self._pair(np.array(pair))
        alone = np.setdiff1d(np.arange(len(found)), np.array(sorted(close), dtype=np.intp).ravel())
        if alone.size:
            found[alone] = self._single(alone)
        return found

    @cached_property
    def _shifts(self) -> Array:
        """(shifts, 2) places that are tried, relative to a whole pixel."""
        count = min(max(1, int(np.ceil(_REACH_SIGMAS * self.sigma))), _MOST_RANGE_PX) * _STEPS_PER_PX
        steps = np.arange(-count, count + 1) / _STEPS_PER_PX
        return np.stack([grid.ravel() for grid in np.meshgrid(steps, steps)], axis=1)

    def _pixels(self, places: Array) -> Array:
        """Return the pixels (..., 2) of the map closest to places, which may lie half a pixel beyond the outermost centres."""
        height, width = self.misfits[0].values.shape
        return np.asarray(np.clip(np.rint(places), 0, [width - 1, height - 1]))

    def _prior(self, places: Array, defects: NDArray[np.intp]) -> Array:
        """Return the log prior of places (..., 2) for defects, minus infinity beyond the map."""
        height, width = self.misfits[0].values.shape
        outside = (places < -0.5).any(axis=-1) | (places[..., 0] > width - 0.5) | (places[..., 1] > height - 0.5)
        return np.where(outside, -np.inf, -0.5 * ((places - self.clicked[defects]) ** 2).sum(axis=-1) / self.sigma**2)

    def _single(self, alone: NDArray[np.intp]) -> Array:
        anchors = self._pixels(self.clicked[alone])
        gain, now = self._prior(anchors[:, None] + self._shifts, alone[:, None]), self._prior(self.points[alone], alone)
        for misfit in self.misfits:
            there, here = misfit.single(alone, anchors, self._shifts)
            gain, now = gain + there, now + here
        best = np.argmax(gain, axis=1)
        there = anchors + self._shifts[best]
        leave = (gain[np.arange(len(alone)), best] > now + _DECISIVE) & (np.hypot(*(there - self.points[alone]).T) > _SAME_VALLEY_PX)
        return np.where(leave[:, None], there, self.points[alone])

    def _pair(self, pair: NDArray[np.intp]) -> Array:
        """Return the best places of two defects, judged together on a window around their middle."""
        anchor = self._pixels(self.clicked[pair].mean(axis=0))
        first_prior, second_prior = (self._prior(anchor + self._shifts, np.array([defect])) for defect in pair)
        gain, now = first_prior[:, None] + second_prior, float(self._prior(self.points[pair], pair).sum())
        for misfit in self.misfits:
            there, here = misfit.pair(pair, anchor, self._shifts)
            gain, now = gain + there, now + here
        first, second = np.unravel_index(int(np.argmax(gain)), gain.shape)
        places = anchor + self._shifts[[first, second]]
        better = gain[first, second] > now + _DECISIVE and np.abs(places - self.points[pair]).max() > 1 / _STEPS_PER_PX
        return places if better else self.points[pair]
