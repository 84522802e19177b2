"""What an extraction of several kinds from a map alone returns."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from qpi_core.estimates.blind_estimate import BlindAlternative, BlindEstimate, BlindStackEstimate
from qpi_core.estimates.class_estimate import ClassEstimates
from qpi_core.estimates.class_stack import ClassStackEstimates


@dataclass(frozen=True, eq=False)
class BlindClassEstimates(ClassEstimates):
    """ClassEstimates whose defects and kinds were found in the map itself: A is the kind whose patterns are strongest.

    Attributes:
        trusted: whether it vouches for the kernels and the lists.
        reason: why, or why not, in one sentence.
        alternatives: the explanations that the search came to, the best first; each holds one entry a kind.
    """

    trusted: bool = False
    reason: str = ""
    alternatives: tuple[tuple[BlindAlternative, ...], ...] = ()


@dataclass(frozen=True, eq=False)
class BlindClassStackEstimates(ClassStackEstimates):
    """ClassStackEstimates whose defects and kinds were found in the stack itself; attributes as BlindClassEstimates."""

    trusted: bool = False
    reason: str = ""
    alternatives: tuple[tuple[BlindAlternative, ...], ...] = ()


BlindAnswer = BlindEstimate | BlindStackEstimate | BlindClassEstimates | BlindClassStackEstimates


@dataclass(frozen=True, eq=False)
class BlindCandidate:
    """The best explanation that a search has come to so far.

    Attributes:
        best: kernels in the units of the observation, defects and what they leave; of several kinds the strongest.
        answer: solves for what the extraction would return if the search ended here; takes about as long as `refined` does.
        kinds: the explanation kind by kind, the strongest first.
    """

    best: BlindAlternative
    answer: Callable[[], BlindAnswer]
    kinds: tuple[BlindAlternative, ...]
