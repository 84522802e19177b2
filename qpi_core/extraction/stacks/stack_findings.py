"""What is said of a solved stack beyond its kernels: rings and their bands, a band fitted to the maps, the sign of a gap."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from qpi_core.base.provenance import json_ready
from qpi_core.estimates.band_model import BandComparison
from qpi_core.estimates.stack_estimate import StackEstimate
from qpi_core.extraction.bands.band import Band, band_sentences
from qpi_core.extraction.stability.stack_stability import StackAssessment
from qpi_core.qspace.dispersion.set_point import SetPointFindings
from qpi_core.qspace.phase.gap_sign import GapSignVerdict, judge_gap_sign
from qpi_core.qspace.phase.phase_resolved import AntisymmetrisedSignal, phase_resolved_signal, signal_of_stack
from qpi_core.qspace.regions import Ring


@dataclass(frozen=True, eq=False)
class GapSign:
    """The energy-odd signal of a ring of q-space, and the verdict on the sign of the gap over it."""

    ring: Ring
    signal: AntisymmetrisedSignal
    verdict: GapSignVerdict

    def record(self) -> dict[str, Any]:
        """Return strict JSON values for the side-car."""
        found = self.verdict
        content = {
            "q_min_rad_per_nm": self.ring.q_min,
            "q_max_rad_per_nm": self.ring.q_max,
            "wave_vectors": self.signal.wave_vectors,
            "verdict": found.verdict,
            "probability_of_a_sign_change": found.probability,
            "log_evidence_over_no_signal": found.gain,
            "gaps_mev": found.gaps_mev,
            "reason": found.reason,
            "caveats": found.caveats,
        }
        return dict(json_ready(content))

    def table(self) -> bytes:
        """Return the signal as CSV: energy_mev, rho_minus, sigma (empty where the kernels have none) and the fitted template."""
        lines = ["energy_mev,rho_minus,sigma,fitted"]
        signal = self.signal
        for energy, value, sigma, fitted in zip(signal.energy_mev, signal.signal, signal.deviation, self.verdict.fitted, strict=True):
            spread = f"{sigma:.9g}" if signal.known_deviation else ""
            lines.append(f"{energy:.9g},{value:.9g},{spread},{fitted:.9g}")
        return ("\n".join(lines) + "\n").encode()

    def sentences(self) -> list[str]:
        """Return the verdict and its caveats in words."""
        return [self.verdict.reason, *self.verdict.caveats]


@dataclass(frozen=True, eq=False)
class StackFindings:
    """What was asked of a stack and found.

    Attributes:
        bands: class -> rings over energy with a parabola and a line; the name is empty where there are no classes.
        band_models: fitted to the maps, or None where none was asked for.
        gap_signs: class -> the sign of a gap over a ring of q-space; empty where it was not asked for.
        set_point: class -> wave vectors that do not disperse; empty where it was not asked for.
        stability: class -> what two halves of the defects say of every layer; empty where it was not asked for.
    """

    bands: Mapping[str, Band]
    band_models: BandComparison | None = None
    gap_signs: Mapping[str, GapSign] = field(default_factory=dict)
    stability: Mapping[str, StackAssessment] = field(default_factory=dict)
    set_point: Mapping[str, SetPointFindings] = field(default_factory=dict)

    def sentences(self) -> list[str]:
        """Return all of it in words."""
        found = [(name, said) for name, band in self.bands.items() for said in band_sentences(band)]
        found += [("", said) for said in (() if self.band_models is None else self.band_models.sentences)]
        found += [(name, said) for name, gap in self.gap_signs.items() for said in gap.sentences()]
        found += [(name, said) for name, standing in self.set_point.items() for said in standing.sentences]
        found += [(name, halves.verdict) for name, halves in self.stability.items()]
        return [f"Class {name}: {said}" if name else said for name, said in found]


def find_gap_sign(estimate: StackEstimate, ring: Ring) -> GapSign:
    """Return the verdict on a ring of q-space.

    Raises:
        InputError: as signal_of_stack.
    """
    signal = signal_of_stack(estimate, ring)
    return GapSign(ring, signal, judge_gap_sign(signal))


def require_gap_input(ring: Ring, bias_mv: np.ndarray[Any, Any], kernel_size: int, pixel_size_nm: float | tuple[float, float]) -> None:
    """Refuse a ring or energies from which no verdict can come, before the kernels are solved.

    Raises:
        InputError: as phase_resolved_signal.
    """
    phase_resolved_signal(np.zeros((len(bias_mv), kernel_size, kernel_size)), bias_mv, pixel_size_nm, ring)
