"""The dispersion of a solved stack: rings of its layers, and both bands through them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from qpi_core.base.errors import InputError
from qpi_core.estimates.caution import CautionKind, kind_of
from qpi_core.estimates.stack_estimate import StackEstimate
from qpi_core.qspace.dispersion.evidence import DispersionEvidence, weigh_dispersion
from qpi_core.qspace.dispersion.fit import LineFit, ParabolaFit, fit_line, fit_parabola
from qpi_core.qspace.dispersion.rings import RingTrack, track_rings

SYSTEMATIC_PART = (
    "The error bars hold a systematic part for the form of the wave near the defect; its size is a setting tuned on simulated patterns."
)


@dataclass(frozen=True, eq=False)
class Band:
    """Rings and fits.

    Attributes:
        track: rings over energy, or None where there are none to look for.
        parabola, line: the fits, or None where there are too few rings.
        problem: why something is missing, or "".
        evidence: what the rings say for a band, or None where there are none to look for.
    """

    track: RingTrack | None = None
    parabola: ParabolaFit | None = None
    line: LineFit | None = None
    problem: str = ""
    evidence: DispersionEvidence | None = None

    @property
    def claimed(self) -> bool:
        """Whether the rings say so decisively that there is a band that its numbers may be stated."""
        return self.parabola is not None and self.evidence is not None and self.evidence.decisive


def find_band(estimate: StackEstimate) -> Band:
    """Track the rings of the finished layers and fit a parabola and a line; what cannot be found is said in a sentence."""
    if estimate.pixel_size_nm is None:
        return Band(problem="Without a pixel size there are no wave vectors in rad/nm, so no dispersion.")
    if not np.isfinite(estimate.bias_mv).all():
        return Band(problem="The energies of the layers are not known, so there is no dispersion.")
    shown = estimate.usable & ~_worthless(estimate)
    kernels = np.where(shown[:, None, None], estimate.kernels, np.nan)
    try:
        track = track_rings(kernels, estimate.bias_mv, estimate.pixel_size_nm, uncertainties=estimate.uncertainties)
    except InputError as error:
        return Band(problem=str(error))
    evidence = weigh_dispersion(track, int(estimate.usable.sum()))
    try:
        return Band(track, fit_parabola(track), fit_line(track), evidence.missing, evidence)
    except InputError as error:
        return Band(track, problem=str(error), evidence=evidence)


def _worthless(estimate: StackEstimate) -> NDArray[np.bool_]:
    """Say of which layers a kernel explains nothing: what looks like a ring in them is noise."""
    kinds = [{kind_of(sentence) for sentence in sentences} for sentences in estimate.warnings]
    return np.array([bool(found & _NOTHING) for found in kinds], dtype=bool)


_NOTHING = {CautionKind.CONSTANT_MAP, CautionKind.NO_PATTERN, CautionKind.NOTHING_EXPLAINED, CautionKind.WORSE_THAN_NOTHING}


def band_sentences(band: Band) -> list[str]:
    """Return the fits in words with one standard deviation, or what it would take to state them."""
    if band.parabola is None or band.line is None or not band.claimed:
        return [band.problem]
    (edge, edge_sigma), (mass, mass_sigma) = band.parabola.band_edge_mev, band.parabola.effective_mass
    (crossing, crossing_sigma), (velocity, velocity_sigma) = band.line.crossing_mev, band.line.velocity_km_per_s
    rings = f"through {band.parabola.layers} rings"
    return [
        f"Parabola {rings}: E0 = {edge:.1f} ± {edge_sigma:.1f} meV, m* = {mass:.3f} ± {mass_sigma:.3f} electron masses.",
        f"Line {rings}: E(q = 0) = {crossing:.1f} ± {crossing_sigma:.1f} meV, v = {velocity:.0f} ± {velocity_sigma:.0f} km/s.",
        SYSTEMATIC_PART,
    ]
