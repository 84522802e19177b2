"""Rough activation maps from the skewed outputs of filter banks, for each order of symmetry."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from qpi_core.solvers.blind.layers import Layers
from qpi_core.solvers.blind.polishing.kernel_step import KernelStep
from qpi_core.solvers.blind.polishing.score import Candidate, scored
from qpi_core.solvers.blind.start.filter_bank import BankShape, FilterBank
from qpi_core.solvers.blind.start.independent_components import FixedPoint, distinct, skewed_directions
from qpi_core.solvers.blind.start.peak_threshold import cut_peaks
from qpi_core.solvers.blind.start.self_training import SelfTraining
from qpi_core.solvers.blind.start.whitening import WhiteningRule, whitening_matrix

_EDGE = 2
"""Pixels at the border whose responses lack half their neighbourhood; they take no part in the whitening."""
_FEWEST = 3


@dataclass(frozen=True)
class StartRule:
    """A bank and how its responses are separated."""

    radius: float
    step: float
    floor: float
    only_positive: bool = False

    def bank(self, order: int) -> BankShape:
        """Return the bank's shape for an order of symmetry."""
        return BankShape(order, self.radius, self.step, 2)


ROUND = (
    StartRule(20, 1.0, 1e-7),
    StartRule(20, 1.0, 1e-3, True),
    StartRule(12, 1.0, 1e-2),
    StartRule(32, 1.0, 1e-7),
    StartRule(20, 1.0, 1e-2),
)
"""For kernels that are round: several lengths, because one profile has few filters."""
TURNED = (StartRule(16, 1.5, 1e-7), StartRule(16, 1.5, 1e-2), StartRule(24, 2.0, 1e-7))
"""For kernels of two-fold symmetry and higher."""


class Starts:
    """The responses of all banks to one map, made once, and starts from one random stream after another."""

    def __init__(self, layers: Layers, order: int, step: KernelStep) -> None:
        """Filter the layers with the banks of one order of symmetry."""
        self.layers, self.step = layers, step
        rich = FilterBank(BankShape(order, 24, 1.0 if order == 0 else 1.5, 2), layers.shape)
        self._training = SelfTraining(_responses(rich, layers), layers.shape)
        self._separations = [_Separation(rule, order, layers) for rule in (ROUND if order == 0 else TURNED)]

    def draw(self, rng: np.random.Generator, most: int, components: int = 3) -> Iterator[Candidate]:
        """Yield scored candidates: of every bank the peaks of its most skewed components, as cut and after self-training."""
        seen: list[NDArray[np.float32]] = []
        for separation in self._separations:
            outputs, skewness = separation.components(rng)
            chosen = distinct(outputs, skewness, components)
            for number in chosen:
                output = outputs[number]
                if any(_alike(output, other) for other in seen):
                    continue
                seen.append(output)
                first = cut_peaks(output.reshape(self.layers.shape), most)
                trained = self._training.trained(first, most)
                for activation in (first, trained):
                    if activation.sum() >= _FEWEST:
                        yield scored(self.step, activation)


class _Separation:
    """One bank's whitened responses."""

    def __init__(self, rule: StartRule, order: int, layers: Layers) -> None:
        bank = FilterBank(rule.bank(order), layers.shape)
        self._rule = rule
        responses = _responses(bank, layers)
        inside = np.zeros(layers.shape, dtype=bool)
        inside[_EDGE:-_EDGE, _EDGE:-_EDGE] = layers.measured[_EDGE:-_EDGE, _EDGE:-_EDGE]
        taken = responses[:, inside.ravel()]
        taken = taken - taken.mean(axis=1, keepdims=True)
        covariance = np.asarray(taken @ taken.T, dtype=np.float64) / taken.shape[1]
        noise = np.asarray(np.kron(np.eye(len(layers.values)), bank.gram()), dtype=np.float64)
        self._matrix = whitening_matrix(covariance, noise, WhiteningRule(floor=rule.floor)).astype(np.float32)
        self._whitened = self._matrix.T @ taken
        self._all = self._matrix.T @ responses

    def components(self, rng: np.random.Generator) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
        """Return components (starts, height * width) and their skewness."""
        directions, skewness = skewed_directions(self._whitened, FixedPoint(only_positive=self._rule.only_positive), rng)
        return np.asarray(directions.astype(np.float32) @ self._all), skewness


def _responses(bank: FilterBank, layers: Layers) -> NDArray[np.float32]:
    """Return the responses of all layers, (energies * count, height * width), each of mean zero."""
    found = np.concatenate([bank.responses(layer) for layer in layers.values])
    return np.asarray(found - found.mean(axis=1, keepdims=True), dtype=np.float32)


def _alike(one: NDArray[np.float32], other: NDArray[np.float32]) -> bool:
    return len(distinct(np.stack([one, other]), np.array([1.0, 0.5]), 2)) == 1
