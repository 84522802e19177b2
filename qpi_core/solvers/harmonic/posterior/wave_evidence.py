"""Does a kernel have waves? The evidence of each wave vector against its absence, under the same noise model.

The rival has the same angular parts and one wave less: with none left, a profile that only decays, of any envelope and any coherence
length (exp(-(a r^2)^(p/2)) exp(-(r - r')^2 / 2 L^2)), which can follow a ring as far as its smoothness lets it. Hyperparameters of both are
at their optimum and priced alike (half the logarithm of the number of pixels each, Schwarz). A wave vector is stated only where this is
decisive; the evidence of a pattern grows with the number of defects and with the square of signal over noise, which says what it takes.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import LinAlgError

from qpi_core.estimates.caution import Caution, CautionKind
from qpi_core.solvers.harmonic.equations.normal_equations import NormalEquations
from qpi_core.solvers.harmonic.orders.selection import log_evidence
from qpi_core.solvers.harmonic.search import SHARED, Fit, Hyperparameters, cost_and_gradient, refine

Array = NDArray[np.float64]

DECISIVE = 5.0
"""Natural logarithm of the ratio of evidences from which on it is called decisive (Jeffreys: 4.6)."""
_BEYOND_DOUBT = 60.0
"""Evidence after one round of the rival's search from which on it need not be searched to its end."""
_COHERENCE_PX, _POWERS = (4.0, 10.0, 30.0), (1.2, 2.0)
_MOST_FACTOR = 100.0


@dataclass(frozen=True)
class WaveEvidence:
    """What speaks for one wave of a kernel.

    Attributes:
        wavenumber: q in rad/px.
        gain: natural logarithm of its evidence over that of its absence.
        price: of its own hyperparameters, which is in the gain.
    """

    wavenumber: float
    gain: float
    price: float

    @property
    def decisive(self) -> bool:
        """Whether the wave vector may be stated."""
        return self.gain > DECISIVE

    def sentence(self, unit_nm: float | None) -> Caution:
        """Return why the wave vector is not stated and what would be needed, in words; unit_nm is the length of a solver's pixel."""
        unit, length = (1.0, "px") if unit_nm is None else (unit_nm, "nm")
        begin = f"No wave vector is given for waves of q = {self.wavenumber / unit:.2g} rad/{length}: "
        grown = self.gain + self.price
        factor = (DECISIVE + self.price) / grown if grown > 0 else np.inf
        if factor > _MOST_FACTOR:
            return Caution(
                begin + "the map is explained as well without them (log evidence "
                f"{self.gain:.1f}), and more data of the same kind would hardly change that.",
                CautionKind.WAVE_VECTOR,
            )
        return Caution(
            begin + f"the log evidence for them against none is {self.gain:.1f}, and {DECISIVE:.0f} is asked for; that would take about "
            f"{factor:.1f} times as many defects, or a noise {np.sqrt(factor):.1f} times lower.",
            CautionKind.WAVE_VECTOR,
        )


def wave_evidence(equations: NormalEquations, nodes: Array, fit: Fit, floor: float) -> tuple[WaveEvidence, ...]:
    """Return what speaks for each wave of a fit, the strongest wave first as in its hyperparameters.

    Args:
        equations: that the fit is of.
        nodes: radii of the profile values.
        fit: at its optimum.
        floor: least noise variance.
    """
    point, level = fit.hyperparameters, log_evidence(fit, equations.pixels)
    found = []
    for wave in range(point.waves):
        rival = _without(equations, nodes, point, wave, floor, level)
        gain, price = np.inf, 0.0
        if rival is not None:
            gain = level - log_evidence(rival, equations.pixels)
            price = 0.5 * (point.searched - rival.hyperparameters.searched) * float(np.log(equations.pixels))
        found.append(WaveEvidence(float(point.radial.wavenumbers[wave]), float(gain), price))
    return tuple(found)


def _without(equations: NormalEquations, nodes: Array, point: Hyperparameters, wave: int, floor: float, level: float) -> Fit | None:
    """Return the fit with one wave less; None where no such kernel has any likelihood."""
    scored = []
    for start in _starts(point, wave):
        try:
            scored.append((cost_and_gradient(equations, nodes, start, floor)[0], start))
        except LinAlgError:
            continue
    if not scored:
        return None
    start = min(scored, key=lambda pair: pair[0])[1]
    first = refine(equations, nodes, start, floor, rounds=1)
    if level - log_evidence(first, equations.pixels) > _BEYOND_DOUBT:
        return first
    return refine(equations, nodes, first.hyperparameters, floor, rounds=6 if point.mixing_kind == SHARED else 2)


def _starts(point: Hyperparameters, wave: int) -> list[Hyperparameters]:
    waves, vector = point.waves, point.vector
    shorter = np.delete(vector, [2 + wave, 2 + waves + wave])
    power = 2 + 2 * (waves - 1)
    starts = []
    for length in _COHERENCE_PX:
        for start_power in _POWERS:
            own = shorter.copy()
            own[1], own[power] = np.log(length), np.log(start_power)
            starts.append(replace(point, vector=own, waves=waves - 1, periodic=False, gaussian=False))
    return starts
