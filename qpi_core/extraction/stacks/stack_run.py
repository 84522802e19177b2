"""One extraction of an energy stack: its defects moved, its layers solved, and what came of them put together."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from qpi_core.base.provenance import array_sha256, json_ready, versions
from qpi_core.base.units import movements
from qpi_core.base.validation import is_constant
from qpi_core.diagnostics.identifiability import warn_about_input
from qpi_core.estimates.estimate import KernelEstimate
from qpi_core.estimates.stack_estimate import LayerKernel, StackEstimate
from qpi_core.extraction.answers.first_estimate import LITTLE_EFFORT, MODELLING_METHODS, NOT_TRIED
from qpi_core.extraction.methods import Method
from qpi_core.extraction.stacks.stack_input import ListedDefects
from qpi_core.runtime.progress import Progress, part_of
from qpi_core.solvers.layers.catalogue import LayersRepair, repair_over_layers
from qpi_core.solvers.layers.problem import StackProblem
from qpi_core.solvers.layers.refinement import RefinedList, refine_over_layers
from qpi_core.solvers.layers.shared_solver import NOTHING_MEASURED, SharedSolver
from qpi_core.solvers.positions.catalogue.check import is_taken_as_given
from qpi_core.solvers.positions.score_test import POSITION_SIGMA_PX

if TYPE_CHECKING:
    from qpi_core.extraction.extractor import Extractor

SHARED_METHODS = ("refined", "harmonic")
MENDING_METHOD = "refined"
"""The method that repairs a list, as it does for one map."""
Layers = Iterator[tuple[int, tuple[LayerKernel, ...]]]


@dataclass
class StackRun:
    """One extraction: what it solves, and how far it is."""

    extractor: Extractor
    method: Method
    problem: StackProblem
    listed: ListedDefects
    wanted: list[int]
    report: Progress
    effort: str = "full"
    solver: SharedSolver | None = None
    refined: RefinedList | None = None
    given: ListedDefects | None = None
    asked: dict[str, bool] = field(default_factory=dict)
    finished: dict[int, tuple[LayerKernel, ...]] | None = None
    repair: LayersRepair | None = None

    def say(self, message: str) -> None:
        """Tell which share of the layers is done, and what is going on."""
        self.report(len(self.finished or ()) / max(1, len(self.wanted)), message)

    def refine(self, positions: bool, weights: bool) -> None:
        """Let some layers together move and weight the defects; without a layer that holds anything they stay."""
        layers = self._telling_layers()
        if not layers:
            return
        # No layer is done by then, so the share stays where it is.
        tell = part_of(self.report, 0.0, 0.0)
        self.refined = refine_over_layers(self.problem, layers, POSITION_SIGMA_PX, positions, weights, tell)
        self.problem = replace(self.problem, classes=self.refined.classes)
        self.given, self.asked = self.listed, {"refine_positions": positions, "refine_weights": weights}
        self.listed = self.listed.moved(self.refined.classes)

    def mend_list(self) -> None:
        """Where `refined` solves and the layers together contradict the list, solve with the one that they prefer.

        It is asked even where all layers are there already: what is said of the stack must not depend on where a run was stopped.
        """
        if self.method.name != MENDING_METHOD or self.effort == "fast":
            return
        self.say("Asking the layers whether the list of defects is whole")
        layers = self._telling_layers()
        self.repair = repair_over_layers(self.problem, layers)
        # Places that several layers have moved together are better known than by one.
        movable = self.refined is None and bool(layers) and not is_taken_as_given(self.problem.layer(layers[0]), self.problem.positions)
        self.problem = replace(self.problem, movable=movable)
        if self.repair is not None and any(self.repair.repairs):
            self.problem = replace(self.problem, classes=self.repair.classes)

    def repair_notes(self, place: int) -> tuple[str, ...]:
        """Return what was changed in the list of a class, or is offered, in words."""
        if self.repair is None:
            return ()
        found, offer = self.repair.repairs[place], self.repair.offer()
        return (*(() if found is None else found.sentences()), *(() if offer is None else (offer,)))

    def _telling_layers(self) -> list[int]:
        """Return the layers that hold something."""
        values = ((k, self.problem.layer(k)) for k in range(len(self.problem.stack)))
        return [k for k, layer in values if np.isfinite(layer).any() and not is_constant(layer)]

    def refinement_notes(self) -> tuple[str, ...]:
        """Return a sentence on how the defects moved."""
        if self.refined is None:
            return ()
        moved, layers = self.refined.moved_px, len(self.refined.layers)
        return (f"{layers} layers together moved the {'defect' if len(moved) == 1 else 'defects'} by {movements(moved)}.",)

    def effort_notes(self) -> tuple[str, ...]:
        """Return what little effort has left out, in words."""
        return (LITTLE_EFFORT,) if self.effort == "fast" and self.method.name in MODELLING_METHODS else ()

    def solve(self, finished: dict[int, tuple[LayerKernel, ...]]) -> Layers:
        """Yield (index, kernels of all classes) of the layers; finished is where the caller keeps them."""
        self.finished = finished
        if self.method.name in SHARED_METHODS:
            begun = {} if self.repair is None else self.repair.begun
            corrected = self.method.name == "refined" and self.effort == "full"
            self.solver = SharedSolver(self.problem, corrected, self.report, begun)
            yield from self.solver.solve(self.wanted)
        else:
            yield from self._one_by_one()

    def _one_by_one(self) -> Layers:
        problem, listed = self.problem, self.listed
        for number, index in enumerate(self.wanted, start=1):
            self.say(f"Solving layer {number} of {len(self.wanted)}")
            values = problem.layer(index)
            if not np.isfinite(values).any():
                yield index, (LayerKernel.empty(problem.kernel_size, NOTHING_MEASURED),) * len(listed.names)
                continue
            arguments = (values, listed.positions)
            options: dict[str, Any] = {
                "method": self.method.name,
                "kernel_size": problem.kernel_size,
                "weights": listed.weights,
                "noise_model": problem.noise_model,
                "effort": self.effort,
            }
            # Without classes the labels are one empty name.
            if listed.names == ("",):
                estimates = [self.extractor.extract(*arguments, pixel_size_nm=problem.pixel_size_nm, **options)]
            else:
                several = self.extractor.extract_classes(*arguments, listed.labels, pixel_size_nm=problem.pixel_size_nm, **options)
                estimates = [several[name] for name in listed.names]
            yield index, tuple(_layer_of(estimate) for estimate in estimates)

    def pilots(self, place: int) -> list[dict[str, object]]:
        """Return what the layers that were solved in full chose for a class."""
        chosen = [] if self.solver is None else self.solver.pilots[place]
        return [{"layer": pilot.layer, "angular_orders": list(pilot.hyperparameters.orders)} for pilot in chosen]


def _layer_of(estimate: KernelEstimate) -> LayerKernel:
    blank = np.full_like(estimate.kernel, np.nan)
    deviation = blank if estimate.uncertainty is None else estimate.uncertainty
    order, warnings = estimate.symmetry_order, estimate.warnings
    coloured = estimate.noise_model if estimate.provenance.get("noise_model") else {}
    background = estimate.background_map if estimate.has_background else None
    numbers = (estimate.background, estimate.noise_sigma, order, warnings, background, coloured)
    return LayerKernel(estimate.kernel, deviation, *numbers, estimate.parameters)


def input_notes(array: NDArray[np.floating], listed: ListedDefects, kernel_size: int) -> list[str]:
    for layer in array:
        if np.isfinite(layer).any():
            return [*warn_about_input(np.asarray(layer, dtype=np.float32), listed.positions, kernel_size)]
    return ["Nothing of this stack was measured."]


def assemble(
    run: StackRun,
    place: int,
    energies: NDArray[np.float64],
    finished: dict[int, LayerKernel],
    notes: tuple[str, ...],
    window: dict[str, object],
) -> StackEstimate:
    # A repaired list makes the kernels; positions are those of the list, as for one map.
    problem, one, name = run.problem, run.listed.by_class()[place], run.listed.names[place]
    count = len(problem.stack)
    blank = LayerKernel.empty(problem.kernel_size)
    every = [finished.get(index, blank) for index in range(count)]
    provenance: dict[str, object] = {
        "versions": versions(),
        "method": run.method.name,
        "input": {"stack_sha256": array_sha256(problem.stack), "shape": problem.stack.shape},
        "options": {
            "kernel_size": problem.kernel_size,
            "pixel_size_nm": problem.pixel_size_nm,
            "noise_model": problem.noise_model,
            **run.asked,
        },
        **({} if run.effort == "full" else {"effort": {"chosen": run.effort, "not_tried": NOT_TRIED}}),
        "pilots": run.pilots(place),
        **window,
    }
    if run.refined is not None and run.given is not None:
        given = {"positions_px": run.given.positions, "weights": run.given.weights}
        members = run.listed.members(name)
        starts = np.cumsum([0, *(len(one.positions) for one in run.listed.by_class())])
        own = slice(int(starts[place]), int(starts[place + 1]))
        record = {"moved_px": run.refined.moved_px[own], "deviation_px": run.refined.deviation_px[own], "layers": run.refined.layers}
        provenance["refinement"] = {"defects": members, "given": given, **record}
    repair = None if run.repair is None else run.repair.repairs[place]
    if repair is not None and run.repair is not None:
        provenance["list_repair"] = {**repair.record(), "layers": run.repair.layers}
    if name:
        everyone = {"positions_px": run.listed.positions, "weights": run.listed.weights, "classes": run.listed.labels}
        provenance["classes"] = {"class": name, **everyone}
    return StackEstimate(
        kernels=np.stack([one.kernel for one in every]),
        uncertainties=np.stack([one.uncertainty for one in every]),
        noise_sigma=np.array([one.noise_sigma for one in every]),
        background=np.array([one.background for one in every]),
        bias_mv=energies,
        done=np.array([index in finished for index in range(count)]),
        symmetry_order=tuple(one.symmetry_order for one in every),
        warnings=tuple(one.warnings for one in every),
        positions=one.positions,
        weights=one.weights,
        background_maps={index: one.background_map for index, one in enumerate(every) if one.background_map is not None},
        noise_models=tuple(one.noise_model for one in every),
        parameters=tuple(one.parameters for one in every),
        pixel_size_nm=problem.pixel_size_nm,
        method=run.method.name,
        notes=(*notes, *run.repair_notes(place)),
        provenance=json_ready(provenance),
    )
