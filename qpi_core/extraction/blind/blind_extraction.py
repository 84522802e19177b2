"""Kernel and defects from a map, or a stack of energies, without any position."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from qpi_core.base.errors import InputError
from qpi_core.base.validation import MIN_KERNEL_SIZE, require_observation, require_pixel_size, require_positions
from qpi_core.diagnostics.search_limits import LEAST_SIDE, MOST_PIXELS, why_not_searched
from qpi_core.estimates.blind_class_estimate import BlindAnswer, BlindCandidate
from qpi_core.extraction.blind.blind_answer import BlindOptions, BlindProblem
from qpi_core.extraction.blind.blind_classes import MAX_KINDS, KindsProblem, extract_blind_classes
from qpi_core.runtime.progress import Progress
from qpi_core.runtime.threads import one_thread
from qpi_core.solvers.blind.finish import Finding
from qpi_core.solvers.blind.kinds.kinds_search import KindsRule
from qpi_core.solvers.blind.lattice_check import repeats_itself
from qpi_core.solvers.blind.layers import clearest_layers, prepare_layers
from qpi_core.solvers.blind.search import BlindSearch, SearchRule
from qpi_core.solvers.blind.single_pattern import is_single_pattern

if TYPE_CHECKING:
    from qpi_core.extraction.extractor import Extractor

SEARCH_SHARE = 0.7
"""Share of the time limit that the search may use; what is left is for the solve with the list that it found."""
_REACH = 0.56
"""Radius of the kernels that the search knows, as a share of the kernel window: a little beyond it."""
_LARGEST_RADIUS = 36.0
MOST_LAYERS = 6
"""Energies of a stack that the search looks at; the kernels are solved for at all of them."""
NOTHING_FOUND = "No defects could be told from the rest of the map."


def blind_options(
    kernel_size: int, classes: int, bias_mv: ArrayLike | None, pixel_size_nm: Any, time_limit_s: float, seed: int
) -> BlindOptions:
    """Return the checked options.

    Raises:
        InputError: an argument outside its range.
    """
    if isinstance(classes, bool) or not isinstance(classes, (int, np.integer)) or classes < 1:
        raise InputError(f"classes must be a whole number of at least 1, but it is {classes!r}.")
    if classes > MAX_KINDS:
        raise InputError(
            f"classes is {classes}, but at most {MAX_KINDS} kinds of defects are found from the map alone; mark the defects and their "
            "kinds instead."
        )
    if isinstance(kernel_size, bool) or not isinstance(kernel_size, (int, np.integer)) or kernel_size < MIN_KERNEL_SIZE:
        raise InputError(f"kernel_size must be a whole number of at least {MIN_KERNEL_SIZE} pixels, but it is {kernel_size!r}.")
    if not (isinstance(time_limit_s, (int, float, np.integer, np.floating)) and np.isfinite(time_limit_s) and time_limit_s > 0):
        raise InputError(f"time_limit_s must be a positive number of seconds, but it is {time_limit_s!r}.")
    if isinstance(seed, bool) or not isinstance(seed, (int, np.integer)) or seed < 0:
        raise InputError(f"seed must be a whole number of at least 0, but it is {seed!r}.")
    pitch = None if pixel_size_nm is None else require_pixel_size(pixel_size_nm)
    return BlindOptions(int(kernel_size), pitch, bias_mv, float(time_limit_s), int(seed), classes=int(classes))


def extract_blind(
    extractor: Extractor,
    observation: ArrayLike,
    options: BlindOptions,
    report: Progress,
    on_best: Callable[[BlindCandidate], None] | None = None,
) -> BlindAnswer:
    """Return the kernel, or one an energy, of the defects that are found in a map (height, width) or stack (energies, height, width).

    `on_best` is called with every explanation that is better than those before it.

    Raises:
        InputError: an observation that is neither, or too large; several classes on a map that does not show them.
    """
    begun = options.clock()
    stack = _require_stack(observation)
    height, width = stack.shape[1:]
    if options.marks is not None:
        if options.classes > 1:
            raise InputError("marks are where the search for one kind of defects starts; leave them out, or ask for classes=1.")
        options = replace(options, marks=_require_marks(options.marks, (height, width)))
    size = min(options.kernel_size, height, width)
    usable = stack[~_constant(stack)]
    problem = BlindProblem(extractor, stack, np.asarray(observation), options, size)
    doubt = _doubt_beforehand(stack, options.kernel_size)
    findings: list[Finding] = []
    with one_thread():
        if len(usable) and min(height, width) >= LEAST_SIDE:
            layers = prepare_layers(clearest_layers(usable, MOST_LAYERS))
            doubt = doubt or repeats_itself(layers) or is_single_pattern(layers)
            radius = min(_LARGEST_RADIUS, _REACH * size)
            # Where nothing found can be trusted, the best of one round is enough to look at.
            rounds = None if doubt is None else 1
            if options.classes > 1:
                limit = SEARCH_SHARE * options.time_limit_s
                kinds_rule = KindsRule(options.classes, radius, limit, options.seed, options.clock, SEARCH_SHARE, rounds)
                return extract_blind_classes(KindsProblem(problem, layers, kinds_rule, doubt, begun, on_best), report)
            rule = SearchRule(
                radius,
                SEARCH_SHARE * options.time_limit_s,
                options.seed,
                most_rounds=rounds,
                clock=options.clock,
                marks=None if options.marks is None else np.asarray(options.marks),
            )
            findings = BlindSearch(layers, rule, _Judge(problem, doubt, begun, on_best), report).run()
        if not findings and options.classes > 1:
            raise InputError(f"classes is {options.classes}, but nothing can be told from this map. {doubt or NOTHING_FOUND}")
        if not findings:
            return problem.nothing_found(doubt or NOTHING_FOUND)
        seconds = options.clock() - begun
        report(SEARCH_SHARE, "Solving for the kernel at the defects found")
        return problem.answer(findings, doubt, seconds, "time" if seconds > SEARCH_SHARE * options.time_limit_s else "search")


@dataclass
class _Judge:
    """Says of each finding whether it ends the search, and tells of the best one so far."""

    problem: BlindProblem
    doubt: str | None
    begun: float
    on_best: Callable[[BlindCandidate], None] | None
    seen: list[Finding] = field(default_factory=list)

    def __call__(self, finding: Finding) -> bool:
        self.seen.append(finding)
        best = sorted(self.seen, key=lambda one: -one.evidence)
        if self.on_best is not None and best[0] is finding:
            self.on_best(self.problem.candidate(best, self.doubt, self.problem.options.clock() - self.begun))
        return self.doubt is None and self.problem.doubt_about(finding) is None


def _require_stack(observation: ArrayLike) -> NDArray[np.float32]:
    """Return the observation as (energies, height, width) float32.

    Raises:
        InputError: neither a map nor a stack, or too many pixels.
    """
    if np.ndim(observation) == 3:
        layers: Sequence[ArrayLike] = list(np.asanyarray(observation))
        if not layers:
            raise InputError("observation holds no energy: its first axis is empty.")
    elif np.ndim(observation) == 2:
        layers = [observation]
    else:
        raise InputError(
            f"observation must be a map (height, width) or a stack (energies, height, width), but it has shape {np.shape(observation)}."
        )
    stack = np.stack([require_observation(layer) for layer in layers])
    if stack[0].size > MOST_PIXELS:
        raise InputError(
            f"observation has {stack[0].size} pixels an energy; at most {MOST_PIXELS} can be searched; crop or coarsen it first."
        )
    if not np.isfinite(stack).all(axis=0).any():
        raise InputError("observation has no pixel that was measured at every energy.")
    return stack


def _require_marks(marks: ArrayLike, shape: tuple[int, int]) -> NDArray[np.float64]:
    """Return the marks as positions on the map.

    Raises:
        InputError: as require_positions.
    """
    try:
        return require_positions(marks, shape)
    except InputError as problem:
        raise InputError(str(problem).replace("positions", "marks", 1)) from None


def _constant(stack: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Say which layers vary by no more than single precision does where all were measured."""
    inside = stack[:, np.isfinite(stack).all(axis=0)].astype(np.float64)
    return np.asarray(inside.std(axis=1) <= 1e-6 * np.abs(inside).max(axis=1))


def _doubt_beforehand(stack: NDArray[np.float32], kernel_size: int) -> str | None:
    """Return why no answer on this map can be trusted, before anything is looked for; None where nothing speaks against it."""
    height, width = stack.shape[1:]
    if _constant(stack).all():
        return "The map is constant: there is no pattern in it."
    if min(height, width) < LEAST_SIDE:
        return why_not_searched(height, width)
    if kernel_size > min(height, width):
        return (
            f"The map of {width} x {height} pixels is smaller than the kernel of {kernel_size} x {kernel_size}: "
            "no defect shows its whole pattern."
        )
    return None
