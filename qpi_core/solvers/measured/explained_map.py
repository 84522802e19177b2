"""What a map is taken for: kernel, defects, background and noise, with the evidence of it all."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from qpi_core.noise.model import MapNoise
from qpi_core.solvers.harmonic.orders.selection import log_evidence
from qpi_core.solvers.harmonic.problem import HarmonicProblem
from qpi_core.solvers.measured.map_parts import FoundKernels, described_noise
from qpi_core.solvers.measured.noise_model.noisy_start import NoisyStart
from qpi_core.solvers.positions.catalogue.repaired_positions import RepairedList
from qpi_core.solvers.positions.catalogue.selection import ListedFit

Array = NDArray[np.float64]


@dataclass(frozen=True)
class ExplainedMap:
    """A map under its noise model.

    Attributes:
        cleaned: (height, width) the map without lattice, long waves and rows, NaN where not measured or an outlier.
        listed: the list that explains it, with the harmonic model under the noise model.
        noise: everything else.
        evidence: log marginal likelihood of the map, the price of all parameters taken off.
        stage: the first stage under the noise model; None where an unlisted kind took its place.
    """

    cleaned: NDArray[np.float32]
    listed: ListedFit
    noise: MapNoise
    evidence: float
    stage: NoisyStart | None = None

    def may_be_the_kernel(self, share: float) -> bool:
        """Say whether what was found besides the kernel is no more than a kernel of another shape could leave, too.

        That is: the background varies by less than this share of what the kernel's pattern does.
        """
        return float(self.noise.removable().std()) < share * self.noise.signal


def explained(problem: HarmonicProblem, positions: Array, noisy: NoisyStart) -> ExplainedMap:
    """Return a map explained by a list, (n, 2) px, with the noise model that was found for it."""
    weights, there = noisy.start.samples.weights, noisy.places(positions)
    model = replace(problem, values=noisy.values).fit(there, weights, noisy.start)
    shape = (problem.values.shape[0], problem.values.shape[1])
    noise = described_noise(problem, noisy, FoundKernels.of_models([model], shape))
    cleaned = np.asarray(noisy.values - noise.removable(), dtype=np.float32)
    # The first stage's fit was refined since, under the same noise.
    evidence = (
        noisy.evidence + log_evidence(model.fit, model.equations.pixels) - log_evidence(noisy.start.selection.best, model.equations.pixels)
    )
    repair = None if noisy.moves is None else RepairedList.moved(positions, there, weights, noisy.moving_gain)
    return ExplainedMap(cleaned, ListedFit(there, weights, noisy.start, model, repair), noise, evidence, noisy)
