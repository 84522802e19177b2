"""Several kinds of defects and their kernels from a map, or a stack of energies, without any position."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qpi_core.base.errors import InputError
from qpi_core.base.provenance import json_ready
from qpi_core.estimates.blind_class_estimate import BlindClassEstimates, BlindClassStackEstimates
from qpi_core.estimates.blind_estimate import BlindAlternative
from qpi_core.extraction.blind.blind_answer import METHOD, BlindProblem, kernel_window, not_trusted
from qpi_core.extraction.classes.class_extraction import ClassOptions, extract_classes
from qpi_core.extraction.methods import find_method
from qpi_core.runtime.progress import Progress, no_progress
from qpi_core.solvers.blind.kinds.joint_kernels import Kind, Kinds, evidence_of, unexplained_by
from qpi_core.solvers.blind.kinds.kinds_search import KindsRule, search_kinds
from qpi_core.solvers.blind.kinds.kinds_trust import KINDS_TRUSTED, doubt_about_kinds
from qpi_core.solvers.blind.layers import Layers

MAX_KINDS = 3
_ALTERNATIVES = 5


def extract_blind_classes(
    problem: BlindProblem, layers: Layers, rule: KindsRule, doubt: str | None, report: Progress
) -> BlindClassEstimates | BlindClassStackEstimates:
    """Return the estimates of the kinds that are found; the strongest is A.

    Args:
        problem: the observation and what is asked.
        layers: of it.
        rule: of the search.
        doubt: why nothing found on this map is to be trusted, or None.
        report: called with the share that is done and a few words.

    Raises:
        InputError: not as many kinds are found.
    """
    found = search_kinds(layers, rule, lambda kinds: doubt is None and doubt_about_kinds(kinds) is None, report)
    if not found:
        raise InputError(f"classes is {rule.count}, but the map does not show so many kinds of defects; try classes=1.")
    best = _strongest_first(found[0])
    doubt = doubt or doubt_about_kinds(best)
    names = [chr(ord("A") + number) for number in range(len(best))]
    lists = [_positions(kind) for kind in best]
    positions = np.concatenate(lists)
    labels = [name for name, own in zip(names, lists, strict=True) for _ in own]
    alternatives = tuple(tuple(_alternative(kind, one, found[0], problem.size) for kind in _strongest_first(one)) for one in found)
    judged: dict[str, Any] = {
        "trusted": doubt is None,
        "reason": doubt or KINDS_TRUSTED,
        "alternatives": alternatives[:_ALTERNATIVES],
    }
    report(rule.share, "Solving for the kernels of all kinds at the defects found")
    record = {"seed": rule.seed, "classes": rule.count, "unexplained_share": unexplained_by(best), **_without(judged, "alternatives")}
    if problem.original.ndim == 3:
        return _of_stack(problem, positions, labels, judged, record)
    options = ClassOptions(find_method(METHOD), problem.size, refine_positions=True, pixel_size_nm=problem.options.pixel_size_nm)
    answer = extract_classes(problem.extractor, problem.stack[0], positions, labels, None, options, no_progress)
    estimates = {name: replace(one, provenance={**one.provenance, "blind": json_ready(record)}) for name, one in answer.estimates.items()}
    values = {entry.name: getattr(answer, entry.name) for entry in fields(answer)} | {"estimates": estimates}
    if doubt is not None:
        values["warnings"] = (not_trusted(doubt), *answer.warnings)
    return BlindClassEstimates(**values, **judged)


def _of_stack(
    problem: BlindProblem, positions: NDArray[np.float64], labels: Sequence[str], judged: dict[str, Any], record: dict[str, Any]
) -> BlindClassStackEstimates:
    """Return the kernels of all energies and kinds at the defects found."""
    from qpi_core.extraction.stacks.stack_extraction import extract_stack

    options = problem.options
    answer = extract_stack(
        problem.extractor,
        problem.stack,
        positions,
        classes=labels,
        bias_mv=options.bias_mv,
        pixel_size_nm=options.pixel_size_nm,
        kernel_size=problem.size,
    )
    notes = () if judged["trusted"] else (not_trusted(judged["reason"]),)
    estimates = {
        name: replace(one, notes=(*notes, *one.notes), provenance={**one.provenance, "blind": json_ready(record)})
        for name, one in answer.estimates.items()
    }
    values = {entry.name: getattr(answer, entry.name) for entry in fields(answer)} | {"estimates": estimates}
    return BlindClassStackEstimates(**values, **judged)


def _without(values: dict[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in values.items() if key != name}


def _strongest_first(kinds: Kinds) -> Kinds:
    """Return the kinds by the energy of their kernels, in units of the noise, times their number of defects."""
    return tuple(sorted(kinds, key=lambda kind: -float((kind.fit.kernels.astype(np.float64) ** 2).sum() * kind.activation.sum())))


def _positions(kind: Kind) -> NDArray[np.float64]:
    rows, columns = np.nonzero(kind.activation)
    return np.stack([columns, rows], axis=1).astype(np.float64)


def _alternative(kind: Kind, kinds: Kinds, best: Kinds, size: int) -> BlindAlternative:
    """Return one kind of an explanation, its kernels in the units of the observation."""
    scales = kind.step.layers.scales[:, None, None]
    kernels = np.stack([kernel_window(kernel, size) for kernel in (kind.fit.kernels * scales).astype(np.float32)])
    positions = _positions(kind)
    order, behind = kind.step.bank.bank.symmetry_order, evidence_of(kinds) - evidence_of(best)
    return BlindAlternative(kernels, positions, np.ones(len(positions)), order, behind, unexplained_by(kinds))
