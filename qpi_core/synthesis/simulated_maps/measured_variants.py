"""Names of nuisances and mixtures of them, such as "background-0.3", "second-30-listed" or "all-weak", and what they stand for.

A name is "plain", a mixture of MIXTURES, one nuisance with its level, or several of these joined by "+". The ending "-tmatrix" puts
the nuisances on kernels of the T-matrix in place of Eq. 7. Levels are relative to the clean map's standard deviation, shares in
percent, lengths in pixels, cores relative to the kernel's largest value.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from types import MappingProxyType

from qpi_core.base.errors import InputError
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
from qpi_core.synthesis.simulated_maps.measured_recipe import MeasuredRecipe, Nuisance
from qpi_core.synthesis.simulated_maps.scene_kernels import EQUATION_7, T_MATRIX

PLAIN = "plain"
T_MATRIX_ENDING = "-tmatrix"

NUISANCES: Mapping[str, Callable[[float], Nuisance]] = MappingProxyType(
    {
        "streaks": Streaks,
        "drift": RowDrift,
        "blur2": BlurredNoise,
        "background": SmoothBackground,
        "lattice": AtomicLattice,
        "lattice-sites": lambda level: AtomicLattice(level, on_sites=True),
        "amplitudes": lambda percent: UnequalStrengths(percent / 100),
        "flips": lambda percent: FlippedSigns(percent / 100),
        "second": lambda percent: SecondKind(percent / 100),
        "second-listed": lambda percent: SecondKind(percent / 100, listed=True),
        "step": StepEdge,
        "cores": UnlikeCores,
        "spikes": lambda percent: Spikes(percent / 100),
        "signal-noise": SignalNoise,
        "creep": Creep,
        "shear": lambda percent: Shear(percent / 100),
        "clicks": ClickErrors,
    }
)
"""Name without its level -> the nuisance of a level."""

MIXTURES: Mapping[str, str] = MappingProxyType(
    {
        "spikes": "spikes-1",
        "all-weak": "streaks-0.1+background-0.3+lattice-0.3+amplitudes-20+second-5+shear-1+spikes-0.2+cores-0.3+clicks-0.2",
        "all-medium": ("streaks-0.3+background-1+lattice-1+amplitudes-30+second-10+shear-2+creep-1+spikes-0.5+cores-0.5+clicks-0.5"),
        "clicks-streaks-background": "clicks-0.5+streaks-0.3+background-1",
    }
)
"""Short names of what measured maps show together."""

MEASURED_VARIANTS: Mapping[str, str] = MappingProxyType(
    {
        PLAIN: "white noise only",
        "streaks-0.3": "1/f streaks along the fast axis and row offsets",
        "drift-1": "a level of the scan lines that walks at random, as strong as the signal",
        "blur2-0.2": "noise blurred with a Gaussian of 2 px in place of white noise",
        "background-0.3": "a smooth background, correlation length 3 nm",
        "background-1": "the same, as strong as the signal",
        "lattice-1": "waves of an atomic lattice, as strong as the signal",
        "lattice-1-sites": "the same, with the defects on its sites",
        "amplitudes-20": "strengths of the defects log-normal, 20 %",
        "amplitudes-50": "strengths of the defects log-normal, 50 %",
        "flips-20": "20 % of the defects with the other sign",
        "second-10": "10 % of the defects of a second kind, not listed",
        "second-30-listed": "30 % of the defects of a second kind, listed as the first",
        "step-1": "a step edge as high as the signal's spread, with standing waves",
        "step-3": "the same, three times as high",
        "cores-1": "cores of the defects not alike: spots of radius 2 px",
        "cores-3": "the same, three times as strong",
        "spikes": "1 % of the pixels off by ten standard deviations of the noise",
        "signal-noise-0.3": "noise proportional to the signal, on top of the white one",
        "creep-2": "creep of 2 px at the start of the scan",
        "all-weak": "all of it, weak: " + MIXTURES["all-weak"].replace("+", ", "),
        "all-medium": "all of it, medium: " + MIXTURES["all-medium"].replace("+", ", "),
        "clicks-streaks-background": "positions off by 0.5 px, streaks 0.3, background 1",
    }
)
"""The named scenes of the benchmark; any other name that parse_variant reads is one too."""

_NAME = re.compile(r"(?P<kind>[a-z]+[a-z0-9]*(?:-[a-z]+)*?)-(?P<level>\d+(?:\.\d+)?)(?:-(?P<ending>sites|listed))?")


def parse_variant(name: str) -> MeasuredRecipe:
    """Return the recipe that a name stands for.

    Raises:
        InputError: a name that is not understood, a level outside its range, or one nuisance twice.
    """
    source = T_MATRIX if name.endswith(T_MATRIX_ENDING) else EQUATION_7
    return MeasuredRecipe(tuple(NUISANCES[kind](level) for kind, level in named_levels(name)), source=source)


def named_levels(name: str) -> list[tuple[str, float]]:
    """Return (key of NUISANCES, level) of every nuisance in a name.

    Raises:
        InputError: a name that is not understood.
    """
    pieces = name.removesuffix(T_MATRIX_ENDING).split("+")
    parts = [part for piece in pieces for part in MIXTURES.get(piece, piece).split("+")]
    return [_named_level(part, name) for part in parts if part != PLAIN]


def is_measured_variant(name: str) -> bool:
    """Say whether parse_variant understands a name."""
    try:
        parse_variant(name)
    except InputError:
        return False
    return True


def describe_variant(name: str) -> str:
    """Return what a name stands for in words."""
    stem = name.removesuffix(T_MATRIX_ENDING)
    words = MEASURED_VARIANTS.get(stem, stem.replace("+", ", "))
    return f"{words}; kernels of the T-matrix" if stem != name else words


def _named_level(part: str, name: str) -> tuple[str, float]:
    found = _NAME.fullmatch(part)
    kind = "" if found is None else "-".join(word for word in (found["kind"], found["ending"]) if word)
    if found is None or kind not in NUISANCES:
        known = ", ".join([PLAIN, *MIXTURES, *(f"{start}-LEVEL" for start in NUISANCES)])
        raise InputError(f"variant {name!r} holds {part!r}, which is no nuisance with a level; known are {known}, also joined by +.")
    return kind, float(found["level"])
