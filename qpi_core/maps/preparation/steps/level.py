"""Levelling as a recorded step."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from qpi_core.maps.preparation.levelling import LEVELLING_KINDS, level
from qpi_core.maps.preparation.step import Layer, Step, StepResult, difference, require_choice, require_whole

_KINDS = tuple(kind for kind in LEVELLING_KINDS if kind != "none")
_DEFAULT_ORDER = 2


@dataclass(frozen=True)
class Level(Step):
    """Take out tilt, bow, or offsets between the lines; see qpi_core.maps.level.

    Attributes:
        kind: plane, polynomial, lines (median of every line), line_means, lines_linear, line_differences (the median step from
            line to line, which keeps terraces).
        order: total order of the polynomial, 1 to 5; None is 2, and the only choice for the other kinds.
    """

    name: ClassVar[str] = "level"
    kind: str = "plane"
    order: int | None = None

    def __post_init__(self) -> None:
        require_choice(self.name, "kind", self.kind, _KINDS)
        if self.order is not None:
            highest = 5 if self.kind == "polynomial" else 0
            if highest == 0:
                require_choice(self.name, "kind (with an order)", self.kind, ("polynomial",))
            require_whole(self.name, "order", self.order, 1, highest)

    def apply(self, layer: Layer) -> StepResult:
        """Return the levelled layer; removed is the surface, or the offsets of the lines."""
        return difference(layer, level(layer.values, self.kind, self.order or _DEFAULT_ORDER), "Background")
