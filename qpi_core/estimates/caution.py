"""What is to be kept in mind about a result: a sentence for people, with its kind and its number for programs."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from enum import StrEnum
from typing import Any


class CautionKind(StrEnum):
    """What a caution is about; `qpi_core.diagnostics.verdict` says how much each weighs and what mends it."""

    CONSTANT_MAP = "constant map"
    NO_PATTERN = "no pattern"
    WORSE_THAN_NOTHING = "worse than nothing"
    NOTHING_EXPLAINED = "nothing explained"
    PERIOD_BEYOND_WINDOW = "period beyond window"
    NOT_FOUND_FOR_SURE = "search not trusted"
    WRONG_FORMULA = "wrong formula"
    LARGE_ERROR = "large error"
    NOTICEABLE_ERROR = "noticeable error"
    WINDOW_CUTS = "window cuts"
    LIST_CONTRADICTED = "list contradicted"
    TWO_KINDS = "two kinds"
    UNSUPPORTED_DEFECTS = "unsupported defects"
    STRUCTURE_LEFT = "structure left"
    LEFT_AT_DEFECTS = "left at defects"
    LEFT_AROUND_DEFECTS = "left around defects"
    UNLISTED_PATTERNS = "unlisted patterns"
    TOO_MANY_GAPS_FOR_NOISE = "too many gaps for noise model"
    NOISE_NOT_MODELLED = "noise not modelled"
    ONE_DEFECT = "one defect"
    SAME_PLACE = "same place"
    UNSEEN_WINDOW = "unseen window"
    FEW_PIXELS = "few pixels"
    NEIGHBOURS = "neighbours in average"
    CLASSES_UNCLEAR = "classes unclear"
    COARSE_NETWORK = "coarse network"
    NOT_CHECKED = "not checked"
    NOT_MEASURED = "not measured"
    DEFECTS_NOT_MEASURED = "defects not measured"
    SYMMETRY = "symmetry"
    WAVE_VECTOR = "wave vector"
    FORMULA = "formula"
    MODELLED = "modelled"
    MOVED = "moved"
    OTHER = "other"


class Caution(str):
    """A plain sentence that knows what it is about; to whoever only reads it, it is a str.

    Attributes:
        kind: what it is about.
        value: the number that mends it, such as a window in px; NaN where there is none.
    """

    kind: CautionKind
    value: float

    def __new__(cls, sentence: str, kind: CautionKind = CautionKind.OTHER, value: float = math.nan) -> Caution:
        """Return the sentence with its kind and number."""
        made = super().__new__(cls, sentence)
        made.kind, made.value = kind, value
        return made


def kind_of(sentence: str) -> CautionKind:
    """Return the kind of a sentence; OTHER for one that does not know it."""
    return sentence.kind if isinstance(sentence, Caution) else CautionKind.OTHER


def caution_records(sentences: Iterable[str]) -> list[dict[str, Any]]:
    """Return kind and number of each sentence in strict JSON types, to be kept beside the sentences."""
    values = [one.value if isinstance(one, Caution) else math.nan for one in sentences]
    return [
        {"kind": kind_of(one).value, "value": value if math.isfinite(value) else None} for one, value in zip(sentences, values, strict=True)
    ]


def cautions_again(sentences: Sequence[str], records: Sequence[Any]) -> tuple[str, ...]:
    """Return sentences with the kinds that were kept beside them; one without a kind stays plain."""
    kinds = {kind.value for kind in CautionKind}
    found: list[str] = []
    for number, sentence in enumerate(sentences):
        record: dict[str, Any] = records[number] if number < len(records) and isinstance(records[number], dict) else {}
        kind, value = record.get("kind"), record.get("value")
        if kind not in kinds or kind == CautionKind.OTHER:
            found.append(str(sentence))
        else:
            found.append(Caution(str(sentence), CautionKind(kind), float(value) if isinstance(value, (int, float)) else math.nan))
    return tuple(found)


NO_PATTERN = "The map shows no pattern that repeats at the given positions; the kernel is not determined by the data."
"""What two methods say in the same words."""

NO_NOISE_MODEL = Caution(
    "The background and noise of this map could not be modelled; it was taken with a constant background and white noise.",
    CautionKind.NOISE_NOT_MODELLED,
)
ONE_DEFECT = Caution(
    "Only one defect is marked: its surroundings are the kernel, so noise and anything else nearby are in it.", CautionKind.ONE_DEFECT
)
"""What the list itself and the solvers say in the same words, so that it is said once."""
