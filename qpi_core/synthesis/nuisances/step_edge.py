"""A step edge across the map, with the standing waves that it makes.

    b(d) = (1 + tanh(d / w)) / 2 - a J0(q |d|) exp(-|d| / L)

d is the distance from the edge. At a hard wall the local density of states of a surface state is 1 - J0(2 k d) (Crommie, Lutz,
Eigler, Nature 363, 524 (1993); Hasegawa, Avouris, PRL 71, 1071 (1993)); q = 2 k is that of the kernel, L its damping.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import j0

from qpi_core.synthesis.bands.band_structures import require_in_range


@dataclass(frozen=True)
class StepEdge:
    """One straight step.

    Attributes:
        height: relative to the standard deviation of the clean map.
        wave_share: a, amplitude of the standing waves relative to the height.
        width_nm: w.
        damping_nm: L.

    Raises:
        InputError: a value outside its range.
    """

    height: float = 1.0
    wave_share: float = 0.5
    width_nm: float = 0.2
    damping_nm: float = 2.0

    def __post_init__(self) -> None:
        require_in_range("height", self.height, 0.0, 1e3, "of the clean map's standard deviation")
        require_in_range("wave_share", self.wave_share, 0.0, 10.0, "of the height")
        require_in_range("width_nm", self.width_nm, 1e-3, 10.0, "nm")
        require_in_range("damping_nm", self.damping_nm, 0.1, 100.0, "nm")


@dataclass(frozen=True)
class StepLine:
    """Where the edge runs: d = cos(angle) x + sin(angle) y - offset_nm."""

    angle: float
    offset_nm: float


def draw_step_line(rng: np.random.Generator, low_nm: NDArray[np.float64], high_nm: NDArray[np.float64]) -> StepLine:
    """Draw a line in any direction through the middle half of the rectangle from low to high, (x, y) in nm."""
    angle = float(rng.uniform(0, 2 * np.pi))
    x, y = (low_nm + high_nm) / 2 + rng.uniform(-0.25, 0.25, 2) * (high_nm - low_nm)
    return StepLine(angle, float(np.cos(angle) * x + np.sin(angle) * y))


def step_profile(
    step: StepEdge, line: StepLine, x_nm: NDArray[np.float64], y_nm: NDArray[np.float64], wave_vector: float
) -> NDArray[np.float64]:
    """Return the step of height 1 at places in nm, with standing waves of the wave vector q in rad/nm."""
    distance = np.cos(line.angle) * x_nm + np.sin(line.angle) * y_nm - line.offset_nm
    waves = j0(wave_vector * np.abs(distance)) * np.exp(-np.abs(distance) / step.damping_nm)
    return np.asarray(0.5 * (1 + np.tanh(distance / step.width_nm)) - step.wave_share * waves)
