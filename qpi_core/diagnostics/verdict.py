"""One verdict on a result: trust, doubt or do not use, with the one reason that matters and what mends it.

Every caution weighs as much as RULES says; the first one in its order that is there decides. A kernel whose error is not small beside the
kernel itself is judged too, by the ratio of their root mean squares. What is only to be known, such as a background that was modelled or
defects that moved by a fraction of a pixel, is no reason for doubt.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np

from qpi_core.base.provenance import json_ready
from qpi_core.diagnostics.search_limits import why_not_searched
from qpi_core.diagnostics.window import LARGEST_WINDOW
from qpi_core.estimates.caution import Caution, CautionKind, kind_of
from qpi_core.estimates.estimate import KernelEstimate
from qpi_core.estimates.stack_estimate import LayerKernel

MOST_ERROR, NOTICEABLE_ERROR = 1.0, 0.3
"""Ratio of the kernel's error to the kernel, root mean squares: beyond the first it cannot be told from nothing."""
LEAST_LEFT_AROUND = 1.5
"""Power of the residual in the kernel's own patterns, as a multiple of the noise, below which the widened error bars are answer enough."""


class Trust(StrEnum):
    """How far a result is to be relied on."""

    TRUST = "trust"
    DOUBT = "doubt"
    DO_NOT_USE = "do not use"


class Remedy(StrEnum):
    """What mends the reason of a verdict, as far as one step can."""

    ENLARGE_WINDOW = "enlarge the window"
    SHRINK_WINDOW = "shrink the window"
    ADOPT_LIST = "adopt the corrected list"
    SPLIT_KINDS = "solve the two kinds as classes"
    DROP_UNSUPPORTED = "take away the marks that the map does not support"
    MERGE_DUPLICATES = "merge marks at the same place"
    MODEL_NOISE = "model background and noise"
    FIND_MISSING = "look for defects like the kernel"
    FIND_DEFECTS = "find the defects in the map itself"
    SEARCH_LONGER = "search longer"
    USE_REFINED = "use the method refined"


@dataclass(frozen=True)
class Rule:
    """What a kind of caution means for the result.

    Attributes:
        trust: how far the result is to be relied on.
        remedy: what mends it, or None.
    """

    trust: Trust
    remedy: Remedy | None = None


_SIMPLE_METHODS = ("defect_average", "one_step", "two_step")
"""Methods that may fail where the list is right."""
_BAD, _DOUBTFUL, _FINE = Trust.DO_NOT_USE, Trust.DOUBT, Trust.TRUST
RULES: dict[CautionKind, Rule] = {
    CautionKind.CONSTANT_MAP: Rule(_BAD),
    CautionKind.NOT_FOUND_FOR_SURE: Rule(_BAD, Remedy.SEARCH_LONGER),
    CautionKind.WORSE_THAN_NOTHING: Rule(_BAD, Remedy.FIND_DEFECTS),
    CautionKind.NO_PATTERN: Rule(_BAD, Remedy.FIND_DEFECTS),
    CautionKind.NOTHING_EXPLAINED: Rule(_BAD, Remedy.FIND_DEFECTS),
    CautionKind.LARGE_ERROR: Rule(_BAD, Remedy.FIND_DEFECTS),
    CautionKind.WRONG_FORMULA: Rule(_BAD, Remedy.USE_REFINED),
    CautionKind.PERIOD_BEYOND_WINDOW: Rule(_BAD, Remedy.ENLARGE_WINDOW),
    CautionKind.LIST_CONTRADICTED: Rule(_DOUBTFUL, Remedy.ADOPT_LIST),
    CautionKind.TWO_KINDS: Rule(_DOUBTFUL, Remedy.SPLIT_KINDS),
    CautionKind.SAME_PLACE: Rule(_DOUBTFUL, Remedy.MERGE_DUPLICATES),
    CautionKind.UNSUPPORTED_DEFECTS: Rule(_DOUBTFUL, Remedy.DROP_UNSUPPORTED),
    CautionKind.WINDOW_CUTS: Rule(_DOUBTFUL, Remedy.ENLARGE_WINDOW),
    CautionKind.NEIGHBOURS: Rule(_DOUBTFUL, Remedy.USE_REFINED),
    CautionKind.ONE_DEFECT: Rule(_DOUBTFUL, Remedy.FIND_MISSING),
    CautionKind.STRUCTURE_LEFT: Rule(_DOUBTFUL, Remedy.FIND_MISSING),
    CautionKind.LEFT_AROUND_DEFECTS: Rule(_DOUBTFUL, Remedy.FIND_MISSING),
    CautionKind.UNLISTED_PATTERNS: Rule(_DOUBTFUL, Remedy.FIND_MISSING),
    CautionKind.LEFT_AT_DEFECTS: Rule(_DOUBTFUL),
    CautionKind.CLASSES_UNCLEAR: Rule(_DOUBTFUL),
    CautionKind.UNSEEN_WINDOW: Rule(_DOUBTFUL, Remedy.SHRINK_WINDOW),
    CautionKind.FEW_PIXELS: Rule(_DOUBTFUL, Remedy.SHRINK_WINDOW),
    CautionKind.NOTICEABLE_ERROR: Rule(_DOUBTFUL, Remedy.FIND_MISSING),
    CautionKind.TOO_MANY_GAPS_FOR_NOISE: Rule(_DOUBTFUL),
    CautionKind.NOISE_NOT_MODELLED: Rule(_DOUBTFUL),
    CautionKind.NOT_CHECKED: Rule(_DOUBTFUL),
    CautionKind.COARSE_NETWORK: Rule(_DOUBTFUL, Remedy.USE_REFINED),
    CautionKind.NOT_MEASURED: Rule(_FINE),
    CautionKind.DEFECTS_NOT_MEASURED: Rule(_FINE),
    CautionKind.SYMMETRY: Rule(_FINE),
    CautionKind.WAVE_VECTOR: Rule(_FINE),
    CautionKind.FORMULA: Rule(_FINE),
    CautionKind.MODELLED: Rule(_FINE),
    CautionKind.MOVED: Rule(_FINE),
    CautionKind.OTHER: Rule(_FINE),
}
"""Kind -> what it means; of several, the one that stands first here decides."""
_ORDER = {kind: number for number, kind in enumerate(RULES)}


@dataclass(frozen=True)
class Verdict:
    """Whether to rely on a result.

    Attributes:
        trust: trust, doubt or do not use.
        reason: the one reason that matters, a plain sentence.
        kind: what it is about; OTHER where nothing speaks against the result.
        remedy: the one step that mends it, or None.
        value: the number that the step needs, such as a window in px; NaN where it needs none.
        others: the other sentences, those that raise a doubt first.
    """

    trust: Trust
    reason: str
    kind: CautionKind = CautionKind.OTHER
    remedy: Remedy | None = None
    value: float = math.nan
    others: tuple[str, ...] = ()

    def record(self) -> dict[str, Any]:
        """Return the verdict in strict JSON types, for the side-car; the other sentences stand there already."""
        return {
            "trust": self.trust.value,
            "reason": str(self.reason),
            "about": self.kind.value,
            "remedy": None if self.remedy is None else self.remedy.value,
            "value": json_ready(self.value),
        }


def verdict_of(estimate: KernelEstimate, together: Iterable[str] = ()) -> Verdict:
    """Return the verdict on an estimate.

    Args:
        estimate: with its warnings.
        together: sentences on all classes of defects, where the estimate is one of several.
    """
    sentences = [*together, *estimate.warnings, *_about_error(estimate)]
    ordered = sorted(sentences, key=lambda sentence: _ORDER[_kind(sentence)])
    if not ordered or RULES[_kind(ordered[0])].trust is Trust.TRUST:
        return Verdict(Trust.TRUST, _praise(estimate, len(estimate.positions)), others=tuple(ordered))
    worst = RULES[_kind(ordered[0])].trust
    as_bad = [sentence for sentence in ordered if RULES[_kind(sentence)].trust is worst]
    # Of reasons that weigh the same, one that can be mended is told; a background passes for much else, so it comes first.
    as_bad.sort(key=lambda sentence: _remedy(sentence, estimate)[0] is not Remedy.MODEL_NOISE)
    first = next((sentence for sentence in as_bad if _remedy(sentence, estimate)[0] is not None), as_bad[0])
    remedy, value = _remedy(first, estimate)
    others = tuple(sentence for sentence in ordered if sentence is not first)
    return Verdict(worst, first, _kind(first), remedy, value, others)


def layer_verdict(layer: LayerKernel, defects: int) -> Verdict:
    """Return the verdict on one layer of a stack, by the same rules; what mends a layer is done to the whole stack, so no remedy is named.

    Args:
        layer: with its warnings.
        defects: how many its kernel stands at.
    """
    ordered = sorted([*layer.warnings, *_about_error(layer)], key=lambda sentence: _ORDER[_kind(sentence)])
    if not ordered or RULES[_kind(ordered[0])].trust is Trust.TRUST:
        return Verdict(Trust.TRUST, _praise(layer, defects), others=tuple(ordered))
    return Verdict(RULES[_kind(ordered[0])].trust, ordered[0], _kind(ordered[0]), others=tuple(ordered[1:]))


def relative_error(estimate: KernelEstimate | LayerKernel) -> float:
    """Return the root mean square of a kernel's error over that of the kernel; NaN where the method gives no error."""
    power = float(np.mean(estimate.kernel.astype(np.float64) ** 2))
    if estimate.uncertainty is None or power == 0:
        return math.nan
    return float(np.sqrt(np.mean(estimate.uncertainty.astype(np.float64) ** 2) / power))


def _kind(sentence: str) -> CautionKind:
    """Return the kind of a sentence; what is left around the defects counts only from a certain size on."""
    kind = kind_of(sentence)
    small = kind is CautionKind.LEFT_AROUND_DEFECTS and isinstance(sentence, Caution) and sentence.value < LEAST_LEFT_AROUND
    return CautionKind.OTHER if small else kind


def _about_error(estimate: KernelEstimate | LayerKernel) -> list[Caution]:
    error = relative_error(estimate)
    if not error > NOTICEABLE_ERROR:
        return []
    kind = CautionKind.LARGE_ERROR if error > MOST_ERROR else CautionKind.NOTICEABLE_ERROR
    much = "as large as the kernel itself" if error > MOST_ERROR else f"{100 * error:.0f} % of the kernel"
    return [Caution(f"The kernel's error is {much}: too few defects for the noise of the map, or wrong ones.", kind, error)]


def _remedy(sentence: str, estimate: KernelEstimate) -> tuple[Remedy | None, float]:
    """Return what mends the reason, with its number; None where it cannot help here."""
    remedy = RULES[_kind(sentence)].remedy
    value = sentence.value if isinstance(sentence, Caution) else math.nan
    largest = min(*estimate.reconstruction.shape, LARGEST_WINDOW)
    if remedy is Remedy.ENLARGE_WINDOW:
        size = min(value, largest) if math.isfinite(value) else largest
        if size > estimate.kernel_size:
            return remedy, float(size)
        # A pattern that is cut by a window as large as the map never ends: a background that passes for one.
        return (Remedy.MODEL_NOISE if _noise_is_white_by_choice(estimate) else None), math.nan
    if remedy is Remedy.SHRINK_WINDOW:
        return (remedy, value) if value < estimate.kernel_size else (None, math.nan)
    if remedy is Remedy.SEARCH_LONGER and (estimate.provenance.get("blind") or {}).get("ended_by") == "search":
        return None, math.nan
    if remedy in (Remedy.FIND_DEFECTS, Remedy.SEARCH_LONGER) and why_not_searched(*estimate.reconstruction.shape):
        return None, math.nan
    if remedy is Remedy.FIND_DEFECTS and estimate.method in _SIMPLE_METHODS:
        return Remedy.USE_REFINED, math.nan
    if remedy is Remedy.FIND_MISSING and kind_of(sentence) is CautionKind.STRUCTURE_LEFT and _noise_is_white_by_choice(estimate):
        return Remedy.MODEL_NOISE, math.nan
    if remedy is not None and estimate.provenance.get("classes") and remedy not in (Remedy.ENLARGE_WINDOW, Remedy.SHRINK_WINDOW):
        return None, math.nan  # the others know one class of defects only
    return remedy, value


def _noise_is_white_by_choice(estimate: KernelEstimate) -> bool:
    """Say whether a noise model would help that was not asked for; a single defect's own rings would go into the background."""
    return (estimate.provenance.get("options") or {}).get("noise_model") == "white" and len(estimate.positions) > 1


def _praise(estimate: KernelEstimate | LayerKernel, count: int) -> str:
    """Return what speaks for a result that nothing speaks against."""
    error = relative_error(estimate)
    found = f"What the kernel at {count} {'defect' if count == 1 else 'defects'} leaves of the map is noise"
    return f"{found}, and its error is {_percent(error)} of it." if math.isfinite(error) else f"{found}."


def _percent(share: float) -> str:
    return "less than 0.1 %" if share < 0.001 else f"{100 * share:.2g} %"
