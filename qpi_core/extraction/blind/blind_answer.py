"""From what the blind search found to an estimate: the method `refined` at the defects found, with the verdict and the alternatives."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from qpi_core.base.provenance import array_sha256, json_ready, versions
from qpi_core.estimates.blind_class_estimate import BlindCandidate
from qpi_core.estimates.blind_estimate import BlindAlternative, BlindEstimate, BlindStackEstimate
from qpi_core.estimates.caution import Caution, CautionKind
from qpi_core.estimates.estimate import KernelEstimate
from qpi_core.estimates.stack_estimate import StackEstimate
from qpi_core.extraction.blind.blind_searched import kernel_window
from qpi_core.extraction.methods import find_method, solve_refined_as_listed
from qpi_core.runtime.threads import one_thread
from qpi_core.solvers.blind.finish import Finding
from qpi_core.solvers.blind.trust.confidence import defect_probabilities
from qpi_core.solvers.blind.trust.hold_out import doubt_about_prediction, held_out_share
from qpi_core.solvers.blind.trust.verdict import LITTLE_NOISE, TRUSTED, Evidence, doubt_about_number, doubt_about_residual, weigh

if TYPE_CHECKING:
    from qpi_core.extraction.extractor import Extractor

METHOD = "refined"
DEFAULT_TIME_LIMIT_S = 60.0
_ALTERNATIVES = 5


@dataclass(frozen=True)
class BlindOptions:
    """What is asked of a blind extraction, checked.

    Attributes:
        kernel_size: side of the kernel in pixels; cut to the map where that is smaller.
        pixel_size_nm: (dy, dx), or None where it is not known.
        bias_mv: (energies,) of a stack, or None.
        time_limit_s: the search ends by then.
        seed: of the random starts.
        marks: (n, 2) some of the defects, (x, y) in pixels, or None.
        classes: kinds of defects.
        clock: what the time is read from; measurements take the processor's own, which other work on the machine does not slow down.
    """

    kernel_size: int = 64
    pixel_size_nm: tuple[float, float] | None = None
    bias_mv: ArrayLike | None = None
    time_limit_s: float = DEFAULT_TIME_LIMIT_S
    seed: int = 0
    marks: ArrayLike | None = None
    classes: int = 1
    clock: Callable[[], float] = time.monotonic


@dataclass(frozen=True, eq=False)
class BlindProblem:
    """An observation whose defects are to be found, and who solves for the kernel then.

    Attributes:
        extractor: runs the method.
        stack: (energies, height, width) float32, NaN where not measured.
        original: the observation as it came, 2-D or 3-D.
        options: what is asked.
        size: side of the kernel in pixels, at most the shorter side of the map.
    """

    extractor: Extractor
    stack: NDArray[np.float32]
    original: NDArray[Any]
    options: BlindOptions
    size: int
    _solved: dict[int, tuple[Finding, KernelEstimate]] = field(default_factory=dict)

    def doubt_about(self, finding: Finding) -> str | None:
        """Return why a finding is not to be trusted; None where it is.

        What it leaves of the map is judged with the kernels of the search; where that is not white, with the final kernel. Not where
        there is much noise: a richer kernel at wrong places follows the noise until what is left looks white.
        """
        evidence = weigh(finding)
        doubt = evidence.doubt()
        rest = evidence.doubt_about_rest()
        appeal = not evidence.hopeless and evidence.noise <= LITTLE_NOISE and self.original.ndim == 2
        if doubt is None and rest is not None and appeal:
            rest = doubt_about_residual(self._single(finding).residual, finding.step.layers)
        return doubt or rest or doubt_about_number(finding) or doubt_about_prediction(finding)

    def candidate(self, findings: Sequence[Finding], doubt: str | None, seconds: float) -> BlindCandidate:
        """Return the best finding so far, with the answer that a search which is stopped here gives; arguments as `answer`."""

        def stopped_here() -> BlindEstimate | BlindStackEstimate:
            with one_thread():
                return self.answer(findings, doubt, seconds, "stop")

        best = _alternatives(findings[:1], self.size)
        return BlindCandidate(best[0], stopped_here, best)

    def answer(self, findings: Sequence[Finding], doubt: str | None, seconds: float, ended_by: str) -> BlindEstimate | BlindStackEstimate:
        """Return the estimate at the defects of the best finding.

        Args:
            findings: the best first, at least one.
            doubt: why nothing found on this map is to be trusted, or None.
            seconds: that the search took.
            ended_by: "search", by its own rule, so that the same seed gives the same answer; "time", or the user's "stop".
        """
        best = findings[0]
        doubt = doubt or self.doubt_about(best)
        record = {**self._record(best, weigh(best), seconds), "ended_by": ended_by}
        alternatives = _alternatives(findings, self.size)
        if self.original.ndim == 3:
            return BlindStackEstimate(**_judged(self._all_energies(best), "notes", doubt, record), alternatives=alternatives)
        estimate = self._single(best)
        doubt = doubt or doubt_about_residual(estimate.residual, best.step.layers)
        return BlindEstimate(**_judged(estimate, "warnings", doubt, record), alternatives=alternatives)

    def nothing_found(self, doubt: str) -> BlindEstimate | BlindStackEstimate:
        """Return the empty answer: no defect, and a kernel of zeros on the mean of the map."""
        zeros = np.zeros((self.size, self.size), dtype=np.float32)
        backgrounds: NDArray[np.float64] = np.asarray(np.nanmean(self.stack, axis=(1, 2), dtype=np.float64))
        spreads: NDArray[np.float64] = np.asarray(np.nanstd(self.stack, axis=(1, 2), dtype=np.float64))
        nowhere, record = np.zeros((0, 2)), {"time_limit_s": self.options.time_limit_s, "seed": self.options.seed, "defects": 0}
        provenance = json_ready({"versions": versions(), "method": METHOD, "model": None, "input": self._input(), "options": self._asked()})
        if self.original.ndim == 3:
            count = len(self.stack)
            many = np.repeat(zeros[None], count, axis=0)
            stack = StackEstimate(
                many, many, spreads, backgrounds, self._energies(), np.ones(count, dtype=bool), (None,) * count, ((),) * count,
                nowhere, np.zeros(0), self.options.pixel_size_nm, METHOD, provenance=provenance,
            )  # fmt: skip
            return BlindStackEstimate(**_judged(stack, "notes", doubt, record), alternatives=())
        flat = np.full(self.stack.shape[1:], backgrounds[0], dtype=np.float32)
        estimate = KernelEstimate(
            zeros, METHOD, self.size, flat, self.stack[0] - flat, float(backgrounds[0]), float(spreads[0]), nowhere, np.zeros(0), zeros,
            pixel_size_nm=self.options.pixel_size_nm, provenance=provenance,
        )  # fmt: skip
        return BlindEstimate(**_judged(estimate, "warnings", doubt, record), alternatives=())

    def _single(self, best: Finding) -> KernelEstimate:
        """Return what `refined` makes of the map at the defects found; the networks take no part that it does not ask for."""
        if id(best) not in self._solved:
            request = replace(
                self.extractor.request(self.stack[0], best.positions, self.size, self.options.pixel_size_nm, best.weights),
                position_sigma=best.deviations if best.deviations.any() else None,
                latent_wanted=False,
            )
            answer = solve_refined_as_listed(request)
            self._solved[id(best)] = best, self.extractor.assemble(find_method(METHOD), request, answer, self.original)
        return self._solved[id(best)][1]

    def _all_energies(self, best: Finding) -> StackEstimate:
        """Return the kernels of all energies at the defects found."""
        from qpi_core.extraction.stacks.stack_extraction import extract_stack

        return extract_stack(
            self.extractor,
            self.stack,
            best.positions,
            bias_mv=self.options.bias_mv,
            pixel_size_nm=self.options.pixel_size_nm,
            kernel_size=self.size,
            weights=best.weights,
        )

    def _energies(self) -> NDArray[np.float64]:
        bias = self.options.bias_mv
        return np.full(len(self.stack), np.nan) if bias is None else np.asarray(bias, dtype=np.float64)

    def _input(self) -> dict[str, Any]:
        return {"observation_sha256": array_sha256(self.original), "shape": self.original.shape}

    def _asked(self) -> dict[str, Any]:
        return {"kernel_size": self.size, "pixel_size_nm": self.options.pixel_size_nm}

    def _record(self, best: Finding, evidence: Evidence, seconds: float) -> dict[str, Any]:
        """Return what the search says of itself, for the side-car."""
        return {
            "time_limit_s": self.options.time_limit_s,
            "seed": self.options.seed,
            "seconds": round(seconds, 2),
            "symmetry_order": best.symmetry_order,
            "log_evidence_over_noise": evidence.gain,
            "defects": evidence.defects,
            "unexplained_share": evidence.unexplained,
            "residual_correlation": evidence.correlated,
            "held_out_share": held_out_share(best),
            "position_deviation_px": best.deviations,
            "defect_probability": defect_probabilities(best),
        }


def not_trusted(doubt: str) -> Caution:
    """Return the warning that goes with a doubt."""
    sentence = f"Kernel and defects were found from the map alone and are not to be trusted. {doubt}"
    return Caution(sentence, CautionKind.NOT_FOUND_FOR_SURE)


def _judged(answer: KernelEstimate | StackEstimate, words: str, doubt: str | None, record: dict[str, Any]) -> dict[str, Any]:
    """Return the fields of a blind answer but its alternatives: those of the plain one, a warning where there is a doubt, the verdict.

    words is the name of the field that holds the sentences for the user.
    """
    values = {entry.name: getattr(answer, entry.name) for entry in fields(answer)}
    trusted, reason = doubt is None, TRUSTED if doubt is None else doubt
    if doubt is not None:
        values[words] = (not_trusted(doubt), *values[words])
    values["provenance"] = {**values["provenance"], "blind": json_ready({**record, "trusted": trusted, "reason": reason})}
    return {**values, "trusted": trusted, "reason": reason}


def _alternatives(findings: Sequence[Finding], size: int) -> tuple[BlindAlternative, ...]:
    """Return the best findings with their kernels in the units of the observation."""
    found = []
    for finding in findings[:_ALTERNATIVES]:
        scales = finding.step.layers.scales[:, None, None]
        kernels = np.stack([kernel_window(kernel, size) for kernel in (finding.fit.kernels * scales).astype(np.float32)])
        behind = finding.evidence - findings[0].evidence
        found.append(BlindAlternative(kernels, finding.positions, finding.weights, finding.symmetry_order, behind, finding.unexplained))
    return tuple(found)
