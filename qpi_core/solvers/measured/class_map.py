"""A map with several classes of defects as it was measured: the kernels of all classes under the noise model that the map asks for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from qpi_core.diagnostics.identifiability import may_be_modelled
from qpi_core.noise.model import MapNoise
from qpi_core.noise.outliers import find_outliers
from qpi_core.noise.selection import SelectionOptions
from qpi_core.runtime.progress import Progress, no_progress
from qpi_core.solvers.harmonic.joint.fit import JointModel, finish_jointly, in_their_order, ranked_classes
from qpi_core.solvers.harmonic.joint.start import ClassStart, DefectClass, choose_jointly, open_classes
from qpi_core.solvers.harmonic.joint.stretch import stretched_jointly
from qpi_core.solvers.harmonic.orders.significant_orders import ChosenOrders, is_explained
from qpi_core.solvers.harmonic.problem import HarmonicProblem
from qpi_core.solvers.harmonic.search import SHARED
from qpi_core.solvers.measured.all_pixels import away_from_defects
from qpi_core.solvers.measured.map_parts import FoundKernels, described_noise
from qpi_core.solvers.measured.model_checks.free_kernels import predict_unseen_parts
from qpi_core.solvers.measured.model_checks.kernel_or_noise import KernelTrial
from qpi_core.solvers.measured.model_checks.whiteness import leaves_white_noise
from qpi_core.solvers.measured.noise_model.joint_kernels import JointKernels, JointStage
from qpi_core.solvers.measured.noise_model.noisy_start import NoisyStage
from qpi_core.solvers.measured.noise_model.search import NoiseSearch

Array = NDArray[np.float64]

_QUICK_SWEEPS = 2


@dataclass(frozen=True)
class ExplainedClasses:
    """The kernels of all classes of a map, and everything else that it holds.

    Attributes:
        joint: the kernels, in the order of the classes.
        classes: the defects with the strengths and places that the map gives them, in the same order.
        noise: everything else; None where that is a constant and white noise.
        stage: of the search for the noise model, to begin with on a like map; its moves are in the order of the classes. None where there
            is none.
    """

    joint: JointModel
    classes: tuple[DefectClass, ...]
    noise: MapNoise | None
    stage: NoisyStage[JointStage] | None = None

    @property
    def log_evidence(self) -> float:
        """Log marginal likelihood of the map with the price of all parameters, comparable with that of an explained map."""
        if self.stage is None:
            return self.joint.log_evidence
        pixels = self.joint.models[0].equations.pixels
        # The kernels were refined since, under the same noise.
        return self.stage.evidence + self.joint.log_evidence - self.stage.start.log_evidence(pixels)

    def leaves_more(self, values: NDArray[np.float32]) -> bool:
        """Say whether the kernels leave more of the map, (height, width), than white noise, and there is no noise model."""
        if self.noise is not None:
            return False
        found = FoundKernels.of_models(self.joint.models, (values.shape[0], values.shape[1]))
        return not leaves_white_noise(values - found.part, found.aspect, found.positions)


@dataclass(frozen=True)
class PlainClasses:
    """The kernels of all classes under a constant and white noise.

    Attributes:
        joint: the kernels, in the order in which the classes were given.
        quick: the choice of one symmetry for each ranked class, where the search for a noise model begins.
        starts: the designs that it was made with, of the ranked classes; empty where they were not kept.
    """

    joint: JointModel
    quick: tuple[ChosenOrders, ...]
    starts: tuple[ClassStart, ...] = ()

    def without_designs(self) -> PlainClasses:
        """Return the same without the designs, to be kept: they are large."""
        return replace(self, starts=())


def fit_plainly(problem: HarmonicProblem, classes: Sequence[DefectClass], stretchable: bool = True, extended: bool = True) -> PlainClasses:
    """Return the kernels of all classes of a map, which is not constant, as if its noise were white.

    Args:
        problem, classes, stretchable: as for explain_classes.
        extended: whether a kernel may have more orders than those of one symmetry.
    """
    values, size = problem.values, problem.kernel_size
    ranks = ranked_classes(classes)
    ordered = [classes[k] for k in ranks]
    starts = open_classes(values, ordered, size, problem.pixel_size_nm, problem.symmetry_orders)
    quick = choose_jointly(starts, problem.symmetry_orders, sweeps=_QUICK_SWEEPS, extended=False)
    chosen = choose_jointly(starts, problem.symmetry_orders, quick, sweeps=1) if extended else quick
    plain = finish_jointly(values, ordered, starts, chosen, size)
    plain = stretched_jointly(problem, ordered, plain) if stretchable else plain
    return PlainClasses(in_their_order(plain, ranks), tuple(quick), tuple(starts))


def explain_classes(
    problem: HarmonicProblem,
    classes: Sequence[DefectClass],
    noise_model: str = "auto",
    report: Progress = no_progress,
    stretchable: bool = True,
    plain: PlainClasses | None = None,
    movable: bool = False,
) -> ExplainedClasses:
    """Return the kernels of all classes, under a noise model where the map asks for one.

    Args:
        problem: the map, which is not constant.
        classes: their defects; the answer does not depend on the order of the classes.
        noise_model: "auto", or "white": a constant and white noise.
        report: progress, called between the steps; what it raises stops the work.
        stretchable: whether a kernel may be one in stretched coordinates (see harmonic.stretch); under a noise model none is (for one
            class see stretched_map).
        plain: the answer of fit_plainly where it is known already.
        movable: the listed places may be off; they are marginalised to first order where the map asks for it.
    """
    values, size = problem.values, problem.kernel_size
    ranks = ranked_classes(classes)
    ordered = [classes[k] for k in ranks]
    plain = fit_plainly(problem, classes, stretchable) if plain is None else plain
    joint, noisy = plain.joint, None
    if noise_model != "white" and may_be_modelled(np.isfinite(values)) and not is_explained(plain.quick[-1].fit, joint.models[0].floor):
        report(0.3, "Looking for background and coloured noise")
        kernels = _on_all_pixels(problem, ordered, plain)
        if not (_kernels_suffice(values, kernels, joint) or predict_unseen_parts(values, ordered, size)):
            noisy = find_class_noise(problem, ordered, kernels, plain.quick, movable)
    if noisy is None:
        return ExplainedClasses(joint, tuple(classes), None)
    report(0.7, "Solving for the kernels under the noise model")
    whitener = noisy.start.whitener
    chosen = choose_jointly(noisy.start.starts, problem.symmetry_orders, noisy.start.chosen, sweeps=1)
    in_use, back = _in_use(ordered, noisy), np.argsort(ranks)
    under = finish_jointly(noisy.values, in_use, noisy.start.starts, chosen, size, whitener)
    pixels = under.models[0].equations.pixels
    gain = under.log_evidence - noisy.start.log_evidence(pixels)
    if whitener is not None and noisy.evidence + gain < joint.log_evidence:
        return ExplainedClasses(joint, tuple(classes), None)
    shape = (values.shape[0], values.shape[1])
    noise = described_noise(problem, noisy, FoundKernels.of_models(under.models, shape))
    return ExplainedClasses(
        in_their_order(under, ranks), tuple(in_use[k] for k in back), noise, replace(noisy, moves=_moves(ordered, in_use, back))
    )


def _in_use(listed: Sequence[DefectClass], noisy: NoisyStage[JointStage]) -> list[DefectClass]:
    """Return the classes with the strengths and places that the map gives their defects."""
    places = noisy.places(np.concatenate([one.positions for one in listed]))
    ends = np.cumsum([len(one.positions) for one in listed])[:-1]
    return [DefectClass(at, start.samples.weights) for at, start in zip(np.split(places, ends), noisy.start.starts, strict=True)]


def _moves(listed: Sequence[DefectClass], in_use: Sequence[DefectClass], order: NDArray[np.intp]) -> Array | None:
    """Return how far the defects were moved, (n, 2) px, the classes in another order; None where they are as listed."""
    moved = [now.positions - one.positions for now, one in zip(in_use, listed, strict=True)]
    return np.concatenate([moved[k] for k in order]) if any(own.any() for own in moved) else None


def find_class_noise(
    problem: HarmonicProblem,
    classes: Sequence[DefectClass],
    kernels: JointKernels,
    quick: Sequence[ChosenOrders],
    movable: bool = False,
) -> NoisyStage[JointStage] | None:
    """Return the kernels under the noise model that a map asks for; None where white noise explains it.

    Args:
        problem: the map.
        classes: their defects, in the order of the kernels.
        kernels: under white noise, of one symmetry each.
        quick: how these were chosen.
        movable: the listed places may be off.
    """
    values, options = problem.values, SelectionOptions()
    positions = np.concatenate([one.positions for one in classes])
    left = np.where(np.isfinite(values), kernels.left(kernels.white), np.nan)
    outliers = away_from_defects(find_outliers(left), positions)
    if outliers.any():
        values = np.where(outliers, np.float32(np.nan), values)
        kernels = _opened(problem, values, classes, quick)
    search = NoiseSearch(values, kernels, options, movable=movable)
    asked = min(search.tested().values()) < options.probability
    found = search.run() if asked else None
    return search.white() if found is None and outliers.any() else found


def _kernels_suffice(values: NDArray[np.float32], kernels: JointKernels, plain: JointModel) -> bool:
    """Say whether kernels of other shapes than the first ones explain a map without a noise model."""
    shape = (values.shape[0], values.shape[1])
    first = np.where(np.isfinite(values), kernels.left(kernels.white), np.nan)
    found = FoundKernels.of_models(plain.models, shape)
    shared = all(model.fit.hyperparameters.mixing_kind == SHARED for model in plain.models)
    gain = plain.log_evidence - kernels.white.log_evidence(plain.models[0].equations.pixels)
    return KernelTrial(values, first, values - found.part, gain, shared).suffices(kernels.aspect, found.positions)


def _on_all_pixels(problem: HarmonicProblem, classes: Sequence[DefectClass], plain: PlainClasses) -> JointKernels:
    """Return the kernels on every measured pixel: the evidence of a part of them is no measure for that of all."""
    starts = plain.starts or open_classes(problem.values, classes, problem.kernel_size, problem.pixel_size_nm, problem.symmetry_orders)
    if starts[0].samples.values.size == int(np.isfinite(problem.values).sum()):
        return JointKernels((problem.values.shape[0], problem.values.shape[1]), starts, plain.quick)
    return _opened(problem, problem.values, classes, plain.quick)


def _opened(
    problem: HarmonicProblem, values: NDArray[np.float32], classes: Sequence[DefectClass], quick: Sequence[ChosenOrders]
) -> JointKernels:
    starts = open_classes(values, classes, problem.kernel_size, problem.pixel_size_nm, problem.symmetry_orders, None)
    chosen = choose_jointly(starts, problem.symmetry_orders, quick, 1, extended=False)
    return JointKernels((values.shape[0], values.shape[1]), starts, chosen)
