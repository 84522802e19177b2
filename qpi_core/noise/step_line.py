"""A straight step across a map: where it runs, and what depends on the distance from it.

Terraces on both sides of a step edge differ in height, and waves stand along it. All of that is a function of the signed distance d from
a line. The line is the one whose plain step, tanh(d / w), raises the likelihood most under a noise model without it (a step is poor
fare for a smooth background); then a step and narrow hats along d are random effects like any other.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from qpi_core.noise.whitening import Whitener

Array = NDArray[np.float64]


@dataclass(frozen=True)
class StepOptions:
    """Numbers of the search.

    Attributes:
        angles: directions that are tried.
        spacing: of the offsets that are tried, px.
        width: of the step, px.
        hat: distance of the hats, px.
        reach: distance from the line that the hats cover, px.
        share: of the map that must lie on either side.
        gain: in log likelihood, from which on there is a step (measured on eleven maps: 120 to 190 with one as high as the signal's spread,
            at most 11 without).
    """

    angles: int = 24
    spacing: float = 2.0
    width: float = 1.5
    hat: float = 1.5
    reach: float = 24.0
    share: float = 0.05
    gain: float = 25.0


@dataclass(frozen=True)
class StepLine:
    """cos(angle) x + sin(angle) y = offset, (x, y) in px from the middle of the map.

    Attributes:
        angle: in rad.
        offset: in px.
    """

    angle: float
    offset: float

    def distance(self, shape: tuple[int, int]) -> Array:
        """Return the signed distance of every pixel, (height, width)."""
        y, x = np.indices(shape)
        across, down = x - (shape[1] - 1) / 2, y - (shape[0] - 1) / 2
        return np.asarray(np.cos(self.angle) * across + np.sin(self.angle) * down - self.offset)

    def columns(self, shape: tuple[int, int], options: StepOptions | None = None) -> Array:
        """Return the step and the hats along it, (height, width, k)."""
        chosen = options or StepOptions()
        distance = self.distance(shape)
        places = np.arange(-chosen.reach, chosen.reach + 0.5 * chosen.hat, chosen.hat)
        hats = np.maximum(1 - np.abs(distance[..., None] - places) / chosen.hat, 0.0)
        return np.concatenate([3 * np.tanh(distance / chosen.width)[..., None], hats[..., hats.any(axis=(0, 1))]], axis=2)

    def middle(self, shape: tuple[int, int]) -> tuple[float, float]:
        """Return the point (x, y) of the line in px that is closest to the middle of the map."""
        x, y = (shape[1] - 1) / 2 + self.offset * np.cos(self.angle), (shape[0] - 1) / 2 + self.offset * np.sin(self.angle)
        return float(x), float(y)


def find_step(whitener: Whitener, left: Array, measured: NDArray[np.bool_], options: StepOptions | None = None) -> StepLine | None:
    """Return the line of a step in what a kernel leaves of a map; None without a decisive one.

    Args:
        whitener: of the noise model so far.
        left: (height, width), 0 where not measured.
        measured: (height, width).
        options: numbers of the search.
    """
    chosen = options or StepOptions()
    shape = (left.shape[0], left.shape[1])
    white = whitener(left.reshape(-1, 1))[:, 0]
    variance = float(white @ white) / max(int(measured.sum()) - 1, 1)

    def gains(lines: list[StepLine]) -> Array:
        profiles = np.stack([np.tanh(line.distance(shape) / chosen.width) * measured for line in lines], axis=-1)
        seen = whitener(profiles.reshape(left.size, -1))
        return np.asarray(0.5 * (seen.T @ white) ** 2 / np.maximum(np.sum(seen**2, axis=0), 1e-300) / variance)

    offsets = np.arange(-0.5 * np.hypot(*shape), 0.5 * np.hypot(*shape), chosen.spacing)
    every = [StepLine(float(angle), float(offset)) for angle in np.arange(chosen.angles) * np.pi / chosen.angles for offset in offsets]
    lines = [line for line in every if chosen.share < float((line.distance(shape)[measured] > 0).mean()) < 1 - chosen.share]
    if not lines or variance <= 0:
        return None
    found = gains(lines)
    best = lines[int(np.argmax(found))]
    if float(found.max()) < 0.5 * chosen.gain:
        return None
    simplex = np.array([[best.angle, best.offset], [best.angle + 0.06, best.offset], [best.angle, best.offset + 1.0]])
    limits = {"initial_simplex": simplex, "maxiter": 60, "xatol": 1e-3, "fatol": 1e-2}
    refined = minimize(lambda v: -float(gains([StepLine(v[0], v[1])])[0]), simplex[0], method="Nelder-Mead", options=limits)
    return StepLine(float(refined.x[0]), float(refined.x[1])) if -float(refined.fun) > chosen.gain else None
