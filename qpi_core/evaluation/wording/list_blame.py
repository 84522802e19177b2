"""Warnings that say the list of defects is wrong, told from those that only wonder what is in the map."""

from __future__ import annotations

from collections.abc import Iterable

BLAMES = (
    "contradicts the list",
    "there may be no such defect",
    "they may not be defects",
    "from where they were given; check them",
)
"""Parts of the sentences of repaired_positions.py, defect_refinement.py and positions/refinement.py that call a list wrong."""


def blames_list(warnings: Iterable[str]) -> bool:
    """Say whether one of the sentences calls the list of defects wrong."""
    return any(part in sentence for sentence in warnings for part in BLAMES)
