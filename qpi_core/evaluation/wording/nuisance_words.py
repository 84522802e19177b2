"""Whether warnings name what is in a map: each nuisance by the beginnings of words that a person would look for."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from types import MappingProxyType

from qpi_core.synthesis.nuisances.atomic_lattice import AtomicLattice
from qpi_core.synthesis.nuisances.blurred_noise import BlurredNoise
from qpi_core.synthesis.nuisances.click_errors import ClickErrors
from qpi_core.synthesis.nuisances.pixel_noise import SignalNoise, Spikes
from qpi_core.synthesis.nuisances.row_noise import RowDrift, Streaks
from qpi_core.synthesis.nuisances.scan_geometry import Creep, Shear
from qpi_core.synthesis.nuisances.second_kind import SecondKind
from qpi_core.synthesis.nuisances.smooth_background import SmoothBackground
from qpi_core.synthesis.nuisances.step_edge import StepEdge
from qpi_core.synthesis.nuisances.strengths import FlippedSigns, UnequalStrengths
from qpi_core.synthesis.nuisances.unlike_cores import UnlikeCores
from qpi_core.synthesis.simulated_maps.measured_recipe import Nuisance

WORDS: Mapping[type[Nuisance], tuple[str, ...]] = MappingProxyType(
    {
        Streaks: ("row offset", "offset against each other", "streak"),
        RowDrift: ("wander",),
        BlurredNoise: ("blur", "the noise is not white", "correlated noise", "coloured noise"),
        SmoothBackground: ("background",),
        AtomicLattice: ("lattice", "bragg"),
        UnequalStrengths: ("differ in strength", "strengths", "unequal"),
        FlippedSigns: ("other sign", "opposite sign", "signs", "negative"),
        SecondKind: ("second kind", "another kind", "two kinds", "several kinds", "other kind"),
        StepEdge: ("a step", "step edge", "steps"),
        UnlikeCores: ("cores",),
        Spikes: ("outlier", "spike", "single pixel"),
        SignalNoise: ("follows the signal", "proportional to the signal", "with the signal"),
        Creep: ("creep", "drift", "distort", "stretch"),
        Shear: ("shear", "drift", "distort"),
        ClickErrors: ("moved", "contradicts the list", "positions are off"),
    }
)
GUESSES = ("The residual is not white noise", "The residual still holds structure")
"""Beginnings of sentences that list what may be there; they name nothing."""


def share_named(warnings: Iterable[str], nuisances: tuple[Nuisance, ...]) -> float | None:
    """Return the share of the nuisances that one of the sentences names, None where there are none."""
    if not nuisances:
        return None
    text = "\n".join(sentence for sentence in warnings if not sentence.startswith(GUESSES)).lower()
    said = [any(re.search(rf"\b{word}", text) for word in WORDS[type(nuisance)]) for nuisance in nuisances]
    return sum(said) / len(said)
