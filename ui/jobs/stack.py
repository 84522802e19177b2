"""What the Stacks page asks for, and what comes back."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from qpi_core.qspace.dispersion.energy_map import EnergyMap, energy_map
from ui.state.loaders import array_hash

if TYPE_CHECKING:
    from qpi_core.estimates.class_stack import StackResult
    from qpi_core.estimates.stack_estimate import LayerKernel, StackEstimate
    from qpi_core.extraction.bands.band import Band
    from qpi_core.extraction.stacks.stack_findings import StackFindings
    from qpi_core.maps import ScanMap


@dataclass(frozen=True, eq=False)
class StackQuestion:
    """Everything that decides the answer.

    Attributes:
        name, file_sha256: of the file.
        scan: the map, with the pixel size in use.
        channel: of the layers.
        steps: of the preparation, as JSON values.
        positions: (n, 2) px on the prepared layers.
        method, kernel_size: as chosen; "auto" leaves the kernel size to the pattern.
        labels: the class of each defect, or None.
        layers: the first and the last one wanted, or None for all; what is there already stays whatever is asked for.
        refine_positions: whether several layers together may move the defects.
    """

    name: str
    file_sha256: str
    scan: ScanMap
    channel: str
    steps: list[dict[str, Any]]
    positions: NDArray[np.float64]
    method: str
    kernel_size: int | str
    labels: tuple[str, ...] | None = None
    layers: tuple[int, int] | None = None
    refine_positions: bool = False

    @property
    def wanted(self) -> list[int]:
        """The indices of the layers that are asked for."""
        count = len(self.scan.stack(self.channel))
        first, last = self.layers or (0, count - 1)
        return list(range(first, min(last + 1, count)))

    @property
    def classes(self) -> tuple[str, ...] | None:
        """The class of each defect where there are several."""
        return self.labels if self.labels is not None and len(set(self.labels)) > 1 else None

    def source(self, unit: str | None = None) -> dict[str, Any]:
        """Return where the stack came from, by the names that class_stack.with_source keeps."""
        pitch = list(self.scan.pixel_size_nm) if self.scan.pixel_size_known else None
        told = {"name": self.name, "channel": self.channel, "unit": unit, "given_pixel_size_nm": pitch, "steps": self.steps}
        return {key: value for key, value in {**told, "sha256": self.file_sha256}.items() if value is not None}

    def record(self) -> dict[str, Any]:
        """Return what was asked, as strict JSON."""
        asked = {"method": self.method, "kernel_size": self.kernel_size}
        return {**self.source(), **asked, **({"refine_positions": True} if self.refine_positions else {})}

    def fingerprint(self) -> tuple[Any, ...]:
        """Return what has to be equal for an answer to be up to date."""
        pitch = self.scan.pixel_size_nm if self.scan.pixel_size_known else None
        what = (self.file_sha256, self.channel, json.dumps(self.steps), pitch)
        return (*what, array_hash(self.positions), self.method, self.kernel_size, self.classes, self.refine_positions)


@dataclass(frozen=True, eq=False)
class StackView:
    """What was found of one class of defects in a solved stack.

    Attributes:
        question: what was asked.
        name: of the class; empty where there is one kind only.
        estimate: kernels of the layers, with `done` for each.
        band: rings and fits.
        spectra: E(q).
        unit: of the kernels.
    """

    question: StackQuestion
    name: str
    estimate: StackEstimate
    band: Band
    spectra: EnergyMap
    unit: str


@dataclass(frozen=True, eq=False)
class StackOutcome:
    """A solved stack, whole or stopped before its end: one view a class, all with the same layers done."""

    views: dict[str, StackView]

    @property
    def question(self) -> StackQuestion:
        """What was asked."""
        return self._first.question

    @property
    def estimate(self) -> StackEstimate:
        """The first class, which stands for all in what layers are done."""
        return self._first.estimate

    @property
    def result(self) -> StackResult:
        """The kernels of all classes in one, as extract_stack gives them."""
        from qpi_core.estimates.class_stack import ClassStackEstimates

        if self.question.classes is None:
            return self.estimate
        together = self.estimate.provenance["classes"]
        positions, weights = np.array(together["positions_px"]), np.array(together["weights"])
        return ClassStackEstimates({name: view.estimate for name, view in self.views.items()}, self.question.classes, positions, weights)

    @property
    def findings(self) -> StackFindings:
        """The bands of all classes."""
        from qpi_core.extraction.stacks.stack_findings import StackFindings

        return StackFindings({name: view.band for name, view in self.views.items()})

    @property
    def layers(self) -> dict[int, dict[str, LayerKernel]]:
        """The layers that are done: index -> class -> kernel."""
        done = (int(index) for index in np.flatnonzero(self.estimate.done))
        return {index: {name: view.estimate.layer(index) for name, view in self.views.items()} for index in done}

    def prepared(self) -> NDArray[np.floating]:
        """Return the layers as the extraction saw them, (energies, height, width)."""
        from qpi_core.maps.preparation import Preparation
        from qpi_core.workflows.prepared_stack import prepare_stack

        return prepare_stack(self.question.scan, self.question.channel, Preparation.from_json(self.question.steps)).values

    def missing(self, question: StackQuestion) -> list[int]:
        """Return the layers that a question asks for and that are not done."""
        return [index for index in question.wanted if not self.estimate.done[index]]

    @property
    def _first(self) -> StackView:
        return next(iter(self.views.values()))


def seen_stack(question: StackQuestion, found: dict[str, tuple[StackEstimate, Band]], unit: str) -> StackOutcome:
    """Return a solved stack, class -> (kernels, rings), with what the page shows of it."""
    return StackOutcome(
        {
            name: StackView(question, name, one, band, energy_map(one.kernels, one.bias_mv, one.pixel_size_nm), unit)
            for name, (one, band) in found.items()
        }
    )
