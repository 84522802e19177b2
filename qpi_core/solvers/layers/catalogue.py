"""Lists of defects that the layers of a stack together contradict: some are missing, some are not there.

Every layer shows the same defects, so what the layers say of one more or one less adds up: a defect that no single layer shows beyond
chance is found by all of them. As for one map (positions.catalogue.repair) the kernels of the list as it is find the strongest
patterns like themselves in what they leave, now by the sum over a few layers, and a changed list is believed only where the evidence
of the whole models, summed over these layers, exceeds that of the list as given after the price of every change, and what it leaves is
white noise. Positions stay where they are: several layers move them on request (refinement).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from qpi_core.estimates.caution import Caution, CautionKind
from qpi_core.solvers.harmonic.joint.start import DefectClass
from qpi_core.solvers.harmonic.orders.significant_orders import is_explained
from qpi_core.solvers.layers.one_layer.full_fits import ClassAlone, FullFit, fits_in_full
from qpi_core.solvers.layers.one_layer.layer_models import LayerModels
from qpi_core.solvers.layers.pilots import choose_pilots
from qpi_core.solvers.layers.problem import StackProblem
from qpi_core.solvers.layers.shown_by_layers import beyond_the_list, not_shown
from qpi_core.solvers.measured.class_map import PlainClasses
from qpi_core.solvers.positions.catalogue.check import LEAST_DEFECTS, is_taken_as_given, longest_list
from qpi_core.solvers.positions.catalogue.repair import DECISIVE
from qpi_core.solvers.positions.catalogue.repaired_positions import RepairedList
from qpi_core.solvers.positions.jacobian import sensitivities
from qpi_core.solvers.positions.score_test import score_moves

Array = NDArray[np.float64]

LAYERS = 3
"""Layers that take part, spread over the energies."""
_ROUNDS, _SETTLING = 12, 4
_MOST_CHANGED = 0.5
"""Share of a class's list that may be absent: beyond it the list belongs to another map."""


@dataclass(frozen=True)
class LayersRepair:
    """What the layers would change in the list.

    Attributes:
        classes: the defects that the layers prefer, class by class; those that were given come first.
        repairs: the changes of each class, None where there are none.
        layers: which took part.
        off_px: how far the defects seem to be from where they are listed, where most of the layers say so clearly; else 0.
        begun: layer -> the kernels of several classes with these defects under white noise, where whoever solves it may go on.
    """

    classes: tuple[DefectClass, ...]
    repairs: tuple[RepairedList | None, ...]
    layers: tuple[int, ...]
    off_px: float = 0.0
    begun: Mapping[int, PlainClasses] = field(default_factory=dict)

    def offer(self) -> Caution | None:
        """Return what is offered where positions are off, in words."""
        if not self.off_px:
            return None
        return Caution(
            f"The layers contradict the positions: the defects seem to lie about {self.off_px:.1f} px from where they are listed. Let the "
            "layers move them (refine_positions, on the command line --refine-positions).",
            CautionKind.LIST_CONTRADICTED,
        )


def repair_over_layers(problem: StackProblem, layers: Sequence[int]) -> LayersRepair | None:
    """Return what the layers would change in the list by their summed evidence; layers hold something.

    None where the list is taken as given. It is searched for only where kernels of any shape leave patterns like themselves, or do
    not show what is listed.
    """
    chosen = choose_pilots(layers, LAYERS)
    if not chosen or is_taken_as_given(problem.layer(chosen[0]), problem.positions):
        return None
    fits = fits_in_full(problem, chosen, problem.classes)
    seen = [[fit.alone(index) for fit in fits if fit.shows(index)] for index in range(len(problem.classes))]
    if any(_is_doubtful(one, own) for one, own in zip(problem.classes, seen, strict=True)):
        search = _LayersSearch(problem, fits)
        mended = search.judged() if search.changed() else None
        if mended is not None:
            return mended
    unchanged = (None,) * len(problem.classes)
    return LayersRepair(problem.classes, unchanged, chosen, _off_px(seen, len(chosen)), _begun(fits))


def _is_doubtful(one: DefectClass, seen: Sequence[ClassAlone]) -> bool:
    """Say whether the layers that show a class show defects beyond its list, or do not show some of it."""
    if not seen:
        return False
    models, scores = [own.model for own in seen], [own.score for own in seen]
    if not_shown(models, one, scores)[0].any():
        return True
    return bool(len(beyond_the_list(models, [own.values for own in seen], one, scores)[0]))


def _off_px(seen: Sequence[Sequence[ClassAlone]], layers: int) -> float:
    """Return how far defects seem to be off in each layer on average, where most layers' kernels are blurred by it; else 0."""
    scores = [own.score for one in seen for own in one]
    clear = [score.spread_px for score in scores if score.blurred and score.decisive]
    return float(np.sqrt(2) * np.median(clear)) if 2 * len(clear) > layers * len(seen) else 0.0


def _begun(fits: Sequence[FullFit]) -> dict[int, PlainClasses]:
    return {fit.layer: fit.joint for fit in fits if fit.joint is not None}


class _LayersSearch:
    """The list on its way: where each defect comes from (its number in the class's list, -1: none), and the models that go with it."""

    def __init__(self, problem: StackProblem, given: Sequence[FullFit]) -> None:
        """Begin with the list as given, and the layers' fits of it."""
        self.problem, self.given, self.fits = problem, tuple(given), tuple(given)
        self.layers = tuple(fit.layer for fit in given)
        self.state = LayerModels(problem, self.layers)
        self.origins = [np.arange(len(one.positions)) for one in problem.classes]
        self._go_on()

    def changed(self) -> bool:
        """Complete the list, and say whether anything was changed."""
        chosen = True
        for _ in range(_ROUNDS):
            step = self._with_missing()
            if step:
                chosen = False
            elif not chosen:
                # Symmetries and wave vectors were chosen for a worse list.
                self._fit_again()
                chosen = True
            elif not self._without_absent():
                break
        return any(
            len(origin) != len(one.positions) or (origin < 0).any() for origin, one in zip(self.origins, self.problem.classes, strict=True)
        )

    def _fit_again(self) -> None:
        self.fits = fits_in_full(self.problem, self.layers, self.state.classes)
        self._go_on()

    def _go_on(self) -> None:
        for fit in self.fits:
            for index in range(len(self.state.classes)):
                self.state.take(index, fit.layer, fit.alone(index).model)

    def judged(self) -> LayersRepair | None:
        """Return the list where its evidence pays for the changes and it leaves white noise."""
        state = self.state
        pixels = int(np.isfinite(self.problem.layer(self.layers[0])).sum())
        price = 0.0
        for index, one in enumerate(self.problem.classes):
            absent = len(one.positions) - int(np.sum(self.origins[index] >= 0))
            price += 0.5 * float(np.log(pixels)) * absent + self._occam(index, pixels)
        gain = sum(fit.log_evidence for fit in self.fits) - sum(fit.log_evidence for fit in self.given) - price
        if gain < DECISIVE or 2 * sum(fit.is_white for fit in self.fits) <= len(self.fits):
            return None
        repairs = [self._repair(index, gain, price) for index in range(len(state.classes))]
        return LayersRepair(tuple(state.classes), tuple(repairs), self.layers, begun=_begun(self.fits))

    def _repair(self, index: int, gain: float, price: float) -> RepairedList | None:
        given, one, origin = self.problem.classes[index], self.state.classes[index], self.origins[index]
        absent = tuple(int(k) for k in np.setdiff1d(np.arange(len(given.positions)), origin))
        added = int(np.sum(origin < 0))
        if not added and not absent:
            return None
        sigma = np.where(origin < 0, self._anywhere(), 0.0)
        still = np.zeros(len(origin) - added)
        return RepairedList(one.positions, one.weights, added, absent, still, sigma, float(gain), float(price))

    def _with_missing(self) -> bool:
        """Add the defects that the layers clearly show beyond the list, of the class that explains them best."""
        best: tuple[float, int, Array] | None = None
        for index, one in enumerate(self.state.classes):
            telling = self._unexplained(index)
            if not telling or self._is_full():
                continue
            models = [self.state.models[index, layer] for layer in telling]
            rests = [self.state.rest(index, layer) for layer in telling]
            places, first = beyond_the_list(models, rests, one, [score_moves(model) for model in models])
            if len(places) and (best is None or first > best[0]):
                best = (first, index, places)
        if best is None:
            return False
        _, index, places = best
        one = self.state.classes[index]
        weights = np.concatenate([one.weights, np.full(len(places), float(np.median(one.weights)))])
        self.state.classes[index] = DefectClass(np.vstack([one.positions, places]), weights)
        self.origins[index] = np.concatenate([self.origins[index], np.full(len(places), -1)])
        self._settle(index)
        return True

    def _without_absent(self) -> bool:
        """Leave out the defects whose pattern the layers do not show; of several classes the clearest one only."""
        best: tuple[float, int, NDArray[np.bool_]] | None = None
        for index, one in enumerate(self.state.classes):
            telling = self._unexplained(index)
            if not telling:
                continue
            models = [self.state.models[index, layer] for layer in telling]
            absent, gains = not_shown(models, one, [score_moves(model) for model in models])
            if len(self.state.classes) > 1:
                absent &= gains == gains.max()
            kept = int(np.sum(~absent))
            if not absent.any() or absent.sum() > _MOST_CHANGED * absent.size or kept < LEAST_DEFECTS:
                continue
            if best is None or gains.max() > best[0]:
                best = (float(gains.max()), index, absent)
        if best is None:
            return False
        _, index, absent = best
        one = self.state.classes[index]
        self.state.classes[index] = replace(one, positions=one.positions[~absent], weights=one.weights[~absent])
        self.origins[index] = self.origins[index][~absent]
        self._fit_again()
        return True

    def _unexplained(self, index: int) -> list[int]:
        """Return the layers that show the class's pattern, and more than it."""
        models = self.state.models
        return [k for k in self.state.telling(index) if not is_explained(models[index, k].fit, models[index, k].floor)]

    def _is_full(self) -> bool:
        return sum(len(one.positions) for one in self.state.classes) >= longest_list(len(self.problem.positions))

    def _settle(self, index: int) -> None:
        """Lead the added defects of a class to their places by Gauss-Newton steps of all layers, the kernels solved along with them."""
        for _ in range(_SETTLING):
            self.state.solve(index, select=False)
            one = self.state.classes[index]
            information, pull = self._system(index)
            step = np.linalg.solve(information + np.eye(len(pull)) / self._anywhere() ** 2, pull).reshape(2, -1).T
            moved = one.positions.copy()
            moved[self.origins[index] < 0] += np.clip(step, -0.5, 0.5)
            self.state.classes[index] = replace(one, positions=moved)
        self.state.solve(index, select=False)

    def _system(self, index: int) -> tuple[Array, Array]:
        """Return the information of the added positions of a class and the pull on them, summed over the layers: all x, then all y."""
        one, count = self.state.classes[index], len(self.state.classes[index].positions)
        free = np.flatnonzero(np.tile(self.origins[index] < 0, 2))
        information, pull = np.zeros((free.size, free.size)), np.zeros(free.size)
        for layer in self.state.telling(index):
            system = sensitivities(self.state.rest(index, layer), self.state.models[index, layer], one.positions, one.weights)
            information += system.information[: 2 * count, : 2 * count][np.ix_(free, free)] / system.variance
            pull += system.pull[: 2 * count][free] / system.variance
        return information, pull

    def _occam(self, index: int, pixels: int) -> float:
        """Return the log of prior over posterior volume of the added positions of a class (Laplace)."""
        information, _ = self._system(index)
        return 0.5 * float(np.linalg.slogdet(np.eye(len(information)) + self._anywhere() ** 2 * information)[1])

    def _anywhere(self) -> float:
        """Return the deviation in px of a place that may be anywhere on the map."""
        return float(np.sqrt(np.isfinite(self.problem.layer(self.layers[0])).sum() / (2 * np.pi)))
