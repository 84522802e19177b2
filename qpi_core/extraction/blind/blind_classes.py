"""Several kinds of defects and their kernels from a map, or a stack of energies, without any position."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qpi_core.base.errors import InputError
from qpi_core.base.provenance import json_ready
from qpi_core.estimates.blind_class_estimate import BlindCandidate, BlindClassEstimates, BlindClassStackEstimates
from qpi_core.estimates.blind_estimate import BlindAlternative
from qpi_core.estimates.class_estimate import ClassEstimates
from qpi_core.estimates.class_stack import ClassStackEstimates
from qpi_core.extraction.blind.blind_answer import METHOD, BlindProblem, not_trusted
from qpi_core.extraction.blind.blind_searched import kernels_of, searched_layers, searched_solve
from qpi_core.extraction.classes.class_extraction import ClassOptions, extract_classes
from qpi_core.extraction.classes.class_methods import solve_classes_as_listed
from qpi_core.extraction.methods import find_method
from qpi_core.runtime.progress import OutOfTime, Progress, in_time, no_progress, part_of
from qpi_core.runtime.threads import one_thread
from qpi_core.solvers.blind.finish import NEARLY
from qpi_core.solvers.blind.kinds.joint_kernels import Kind, Kinds, evidence_of, unexplained_by
from qpi_core.solvers.blind.kinds.kinds_search import KindsRule, search_kinds
from qpi_core.solvers.blind.kinds.kinds_trust import KINDS_TRUSTED, doubt_about_kinds
from qpi_core.solvers.blind.layers import Layers
from qpi_core.solvers.blind.trust.verdict import NOTHING_LEFT, doubt_about_residual

MAX_KINDS = 3
_ALTERNATIVES = 5
_SEARCHED = "harmonic"
"""The method that the search's own kernels go by: circular harmonics under the marginal likelihood."""


@dataclass(frozen=True, eq=False)
class KindsProblem:
    """An observation whose kinds are to be found, and what is made of those that are.

    Attributes:
        problem: the observation and what is asked.
        layers: of it.
        rule: of the search.
        doubt: why nothing found on this map is to be trusted, or None.
        begun: when the work began, by the clock of the options.
        on_best: called with every explanation that is better than those before it, or None.
    """

    problem: BlindProblem
    layers: Layers
    rule: KindsRule
    doubt: str | None
    begun: float
    on_best: Callable[[BlindCandidate], None] | None = None
    _seen: list[Kinds] = field(default_factory=list)

    def accepts(self, kinds: Kinds) -> bool:
        """Say whether kinds end the search, and tell of the best so far."""
        self._seen.append(kinds)
        best = sorted(self._seen, key=lambda one: -evidence_of(one))
        if self.on_best is not None and best[0] is kinds:
            self.on_best(self.candidate(best))
        return self.doubt is None and doubt_about_kinds(kinds) is None

    def candidate(self, found: Sequence[Kinds]) -> BlindCandidate:
        """Return the best kinds so far, with the answer that a search which is stopped here gives; the best come first."""

        def stopped_here() -> BlindClassEstimates | BlindClassStackEstimates:
            with one_thread():
                return self.answer(found, "stop", no_progress)

        kinds = _explanation(found[0], found[0], self.problem.size)
        return BlindCandidate(kinds[0], stopped_here, kinds)

    def answer(self, found: Sequence[Kinds], ended_by: str, report: Progress) -> BlindClassEstimates | BlindClassStackEstimates:
        """Return the estimates at the defects of the best kinds.

        Args:
            found: the best first, at least one.
            ended_by: "search", by its own rule; "time", or the user's "stop".
            report: called with the share that is done and a few words.
        """
        best, options = _strongest_first(found[0]), self.problem.options
        doubt = self.doubt or doubt_about_kinds(best)
        alternatives = tuple(_explanation(one, found[0], self.problem.size) for one in found[:_ALTERNATIVES])
        search_ended = options.clock()
        lists = [_positions(kind) for kind in best]
        labels = [_name(number) for number, own in enumerate(lists) for _ in own]
        solve = self._stack_solved if self.problem.original.ndim == 3 else self._map_solved
        # What time is left is for the solve, and never less than the search leaves to it.
        end = max(self.begun + options.time_limit_s, search_ended + (1 - self.rule.share) * options.time_limit_s)
        answer, late, doubt = solve(best, np.concatenate(lists), labels, doubt, report, end)
        if ended_by == "time" or late:
            where = "the kernels were solved for; these are those of the search" if late else "the search was at its end"
            doubt = f"{f'{doubt} ' if doubt else ''}The time limit of {options.time_limit_s:g} s was reached before {where}."
        judged: dict[str, Any] = {"trusted": doubt is None, "reason": doubt or KINDS_TRUSTED}
        record = {
            "time_limit_s": options.time_limit_s,
            "seed": self.rule.seed,
            "seconds": round(search_ended - self.begun, 2),
            "classes": self.rule.count,
            "unexplained_share": unexplained_by(best),
            "ended_by": "time" if late else ended_by,
            **judged,
        }
        if isinstance(answer, ClassStackEstimates):
            return BlindClassStackEstimates(**_noted(answer, doubt, record), **judged, alternatives=alternatives)
        return BlindClassEstimates(**_noted(answer, doubt, record), **judged, alternatives=alternatives)

    def _map_solved(
        self, best: Kinds, positions: NDArray[np.float64], labels: list[str], doubt: str | None, report: Progress, end: float
    ) -> tuple[ClassEstimates, bool, str | None]:
        """Return the estimates of a single map, whether time was up before they were solved for, and what speaks against them.

        A list that leaves much of the map is wrong: it would take minutes to solve with, and come to nothing.
        """
        problem, late = self.problem, False
        options = ClassOptions(
            find_method(METHOD),
            problem.size,
            refine_positions=unexplained_by(best) > NOTHING_LEFT,
            pixel_size_nm=problem.options.pixel_size_nm,
            solve=solve_classes_as_listed,
        )
        if unexplained_by(best) <= NEARLY:
            timed = in_time(part_of(report, self.rule.share, 1.0), problem.options.clock, end)
            try:
                answer = extract_classes(problem.extractor, problem.stack[0], positions, labels, None, options, timed)
            except OutOfTime:
                late = True
            else:
                return answer, False, doubt or doubt_about_residual(answer.residual, self.layers)
        plain = replace(options, method=find_method(_SEARCHED), refine_positions=False, solve=searched_solve(best))
        return extract_classes(problem.extractor, problem.stack[0], positions, labels, None, plain, no_progress), late, doubt

    def _stack_solved(
        self, best: Kinds, positions: NDArray[np.float64], labels: list[str], doubt: str | None, report: Progress, end: float
    ) -> tuple[ClassStackEstimates, bool, str | None]:
        """Return the kernels of all energies, whether time was up before they were solved for, and what speaks against them."""
        from qpi_core.extraction.stacks.stack_extraction import extract_stack

        problem, worth = self.problem, unexplained_by(best) <= NEARLY
        part = part_of(report, self.rule.share, 1.0)
        answer = extract_stack(
            problem.extractor,
            problem.stack,
            positions,
            classes=labels,
            bias_mv=problem.options.bias_mv,
            pixel_size_nm=problem.options.pixel_size_nm,
            kernel_size=problem.size,
            method=METHOD if worth else _SEARCHED,
            layers=None if worth else (),
            report=in_time(part, problem.options.clock, end),
        )
        if answer.complete:
            return answer, False, doubt
        # The user's own stop ends here, the end of the time does not.
        part(0.0, "Taking the kernels of the search")
        searched = searched_layers(best, answer.names, problem.stack, problem.size)
        missing = {index: searched[index] for index, done in enumerate(answer.done) if not done}
        return answer.with_layers(missing), worth, doubt


def extract_blind_classes(task: KindsProblem, report: Progress) -> BlindClassEstimates | BlindClassStackEstimates:
    """Return the estimates of the kinds that are found; the strongest is A.

    Args:
        task: what is to be found.
        report: called with the share that is done and a few words.

    Raises:
        InputError: not as many kinds are found.
    """
    rule = task.rule
    found = search_kinds(task.layers, rule, task.accepts, report)
    if not found:
        raise InputError(f"classes is {rule.count}, but the map does not show so many kinds of defects; try classes=1.")
    report(rule.share, "Solving for the kernels of all kinds at the defects found")
    # A search that was accepted, or has nothing more to try, ends before its share of the time is over.
    accepted = task.doubt is None and doubt_about_kinds(found[0]) is None
    late = rule.clock() - task.begun > rule.time_limit_s
    return task.answer(found, "time" if late and not accepted else "search", report)


def _noted(answer: ClassEstimates | ClassStackEstimates, doubt: str | None, record: dict[str, Any]) -> dict[str, Any]:
    """Return the fields of an answer, with a warning where there is a doubt, and the record of the search with every kind."""
    noted = () if doubt is None else (not_trusted(doubt),)
    values: dict[str, Any] = {entry.name: getattr(answer, entry.name) for entry in fields(answer)}
    told = {name: {**one.provenance, "blind": json_ready(record)} for name, one in answer.estimates.items()}
    if isinstance(answer, ClassEstimates):
        values["warnings"] = (*noted, *answer.warnings)
        values["estimates"] = {name: replace(one, provenance=told[name]) for name, one in answer.estimates.items()}
    else:
        kinds = answer.estimates.items()
        values["estimates"] = {name: replace(one, notes=(*noted, *one.notes), provenance=told[name]) for name, one in kinds}
    return values


def _name(number: int) -> str:
    return chr(ord("A") + number)


def _strongest_first(kinds: Kinds) -> Kinds:
    """Return the kinds by the energy of their kernels, in units of the noise, times their number of defects."""
    return tuple(sorted(kinds, key=lambda kind: -float((kind.fit.kernels.astype(np.float64) ** 2).sum() * kind.activation.sum())))


def _positions(kind: Kind) -> NDArray[np.float64]:
    rows, columns = np.nonzero(kind.activation)
    return np.stack([columns, rows], axis=1).astype(np.float64)


def _explanation(kinds: Kinds, best: Kinds, size: int) -> tuple[BlindAlternative, ...]:
    """Return the kinds of an explanation, the strongest first, their kernels in the units of the observation."""
    behind, unexplained = evidence_of(kinds) - evidence_of(best), unexplained_by(kinds)
    found = []
    for kind in _strongest_first(kinds):
        positions, order = _positions(kind), kind.step.bank.bank.symmetry_order
        found.append(BlindAlternative(kernels_of(kind, size), positions, np.ones(len(positions)), order, behind, unexplained))
    return tuple(found)
