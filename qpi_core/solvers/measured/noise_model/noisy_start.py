"""What the search for a noise model gives: the first stage of the harmonic solver under it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, TypeAlias

import numpy as np
from numpy.typing import NDArray

from qpi_core.noise.lattice_waves import LatticeWave
from qpi_core.noise.selection import NoiseFit
from qpi_core.noise.step_line import StepLine
from qpi_core.solvers.harmonic.start import HarmonicStart
from qpi_core.solvers.measured.noise_model.kernel_part import Stage

Array = NDArray[np.float64]

LATTICE, STRENGTHS, CORES, STEP, DRIFT, PLACES = "lattice", "strengths", "cores", "step", "drift", "places"
"""Groups of random effects beside the kernel."""
OF_THE_DESIGN = (STRENGTHS, PLACES)
"""Groups that the kernel's design follows: what they have become is in the strengths and places in use."""
WAVES = "waves"
"""Name of the test for lattice waves of any strength."""


@dataclass(frozen=True)
class Effects:
    """Random effects beside the kernel.

    Attributes:
        names: of the groups, in order.
        columns: (height, width, k) of each.
    """

    names: tuple[str, ...]
    columns: tuple[Array, ...]


@dataclass(frozen=True)
class NoisyStage(Generic[Stage]):
    """The kernels of a map under a noise model.

    Attributes:
        values: (height, width) the map without the outliers (NaN there).
        start: the kernels; of one kernel the design is whitened, and the samples hold the weights that were found.
        noise: the strengths; the first group is the kernel.
        effects: the other groups.
        waves: of the lattice group.
        evidence: log marginal likelihood of the map with the price of all parameters, comparable with that of other noise models.
        white: the same for white noise on the same pixels.
        given: (n,) strengths of the list as it was given.
        step: the line of the step group.
        moves: (n, 2) px from the listed positions to those in use, the most probable ones; None where they are as listed.
        moving_gain: log evidence that these gained.
    """

    values: NDArray[np.float32]
    start: Stage
    noise: NoiseFit
    effects: Effects
    waves: tuple[LatticeWave, ...]
    evidence: float
    white: float
    given: Array
    step: StepLine | None = None
    moves: Array | None = None
    moving_gain: float = 0.0

    def strength(self, name: str) -> float:
        """Return v_g of a group, 0 where there is none."""
        return self.noise.strengths[1 + self.effects.names.index(name)] if name in self.effects.names else 0.0

    def places(self, listed: Array) -> Array:
        """Return the places in use, (n, 2) px, kept on the map."""
        if self.moves is None:
            return listed
        height, width = self.values.shape
        return np.asarray(np.clip(listed + self.moves, -0.5, [width - 0.5, height - 0.5]))


NoisyStart: TypeAlias = NoisyStage[HarmonicStart]
"""One kernel: the first stage of the harmonic solver."""
