"""Kernels from the power spectrum alone, for maps so dense that nothing is skewed any more.

Where many defects lie at random, the transform of the map is complex Gaussian noise of the variance v = K |A(q)|^2 + sigma^2, so the
kernel's coefficients follow from Whittle's likelihood,

    -log p = sum_q |Y(q)|^2 / v(q) + log v(q),

up to what the power cannot tell: the sign, half a turn, and signs on either side of a zero. A kernel of n-fold symmetry that is
centred on its defect leaves few such choices open, and random beginnings end in different ones; each is a start.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy import fft
from scipy.linalg import solve_triangular
from scipy.optimize import minimize

from qpi_core.solvers.blind.layers import Layers
from qpi_core.solvers.blind.long_waves import LONGEST_WAVE
from qpi_core.solvers.blind.polishing.convolution import Convolution
from qpi_core.solvers.blind.polishing.kernel_step import KernelFit, KernelStep, prior_root
from qpi_core.solvers.blind.polishing.polish import cut, with_amplitudes
from qpi_core.solvers.blind.polishing.score import Candidate
from qpi_core.solvers.blind.polishing.sparse_activation import sparse_activation
from qpi_core.solvers.blind.start.filter_bank import BankShape, FilterBank

Array = NDArray[np.float64]

_STEPS = 100
_BEGINNING = 0.02
"""Spread of the coefficients at the beginning: from near nothing the strongest waves grow first."""
_TAPER = 0.15
_ENVELOPE_PX, _RADIUS = 12.0, 28.0
_ROUGH_VARIANCE, _ROUGH_THRESHOLD, _ROUGH_STEPS = 0.1, 2.0, 40
"""A rough kernel leaves about so much of the map's variance unexplained."""


class WhittleLikelihood:
    """The likelihood of one layer's power for kernels of one bank.

    Attributes:
        noise: variance of white noise.
        kept: which of the frequencies, in the layout of rfft2, it counts.
        power: of those.
    """

    def __init__(self, bank: FilterBank, layer: NDArray[np.float32], measured: NDArray[np.bool_], noise: float) -> None:
        """Take a layer of variance 1 (0 where not measured) and the variance of its noise."""
        self.noise = max(noise, 1e-4)
        self._root = prior_root(bank, _ENVELOPE_PX)
        taper = np.outer(*(tukey(side, _TAPER) for side in layer.shape)) * measured
        spectrum = fft.rfft2(layer.astype(np.float64) * taper)
        rows, columns = fft.fftfreq(layer.shape[0]), fft.rfftfreq(layer.shape[1])
        # One half of the plane holds all of a real map; of its own edge columns both halves are there, which only weighs them double.
        # Waves that were left out of the layer say nothing, nor do those that the taper mixes with them.
        kept = (2 * np.pi * np.hypot(rows[:, None], columns) > LONGEST_WAVE) & (columns > 0)
        self.kept = kept
        self.power = (np.abs(spectrum) ** 2 / np.sum(taper**2))[kept]
        places = np.arange(-bank.half, bank.half + 1)
        across = np.exp(-2j * np.pi * np.outer(places, columns))
        down = np.exp(-2j * np.pi * np.outer(rows, places))
        self._transforms = (self._root.T @ (down @ bank.filters @ across)[:, kept]).astype(np.complex128)
        self._real, self._imaginary = np.ascontiguousarray(self._transforms.real), np.ascontiguousarray(self._transforms.imag)

    def maximise(self, rng: np.random.Generator) -> tuple[Array, float]:
        """Return the bank's coefficients at a maximum that a random beginning leads to, and the log likelihood there."""
        return self.maximise_from(_BEGINNING * rng.standard_normal(len(self._transforms)))

    def maximise_from(self, beginning: Array) -> tuple[Array, float]:
        """Return the same from a given beginning in units of the prior."""
        found = minimize(self._value_and_slope, beginning, jac=True, method="L-BFGS-B", options={"maxiter": _STEPS})
        return self.from_prior(found.x), -float(found.fun)

    def from_prior(self, shape: Array) -> Array:
        """Return the bank's coefficients of values in units of the prior."""
        return np.asarray(self._root @ shape)

    def in_prior(self, coefficients: Array) -> Array:
        """Return coefficients (n, filters) in units of the prior."""
        return np.asarray(solve_triangular(self._root, coefficients.T, lower=True).T)

    def of_shapes(self, shapes: Array) -> tuple[Array, Array]:
        """Return the log likelihood of shapes (n, filters), in units of the prior, and the factor that gives each the map's power."""
        power = (shapes @ self._real) ** 2 + (shapes @ self._imaginary) ** 2
        signal = max(float(self.power.sum()) - self.noise * self.power.size, 1.0)
        factors = signal / np.maximum(power.sum(axis=1), 1e-30)
        variance = factors[:, None] * power + self.noise
        return -np.sum(self.power / variance + np.log(variance), axis=1), np.sqrt(factors)

    def _value_and_slope(self, coefficients: Array) -> tuple[float, Array]:
        real, imaginary = coefficients @ self._real, coefficients @ self._imaginary
        variance = real**2 + imaginary**2 + self.noise
        value = float(np.sum(self.power / variance + np.log(variance))) + 0.5 * float(coefficients @ coefficients)
        slope = (1 - self.power / variance) / variance
        return value, 2 * (self._real @ (slope * real) + self._imaginary @ (slope * imaginary)) + coefficients


def tukey(side: int, share: float) -> Array:
    """Return a window of ones whose ends, a share of it on each side, fall off as a cosine."""
    distance = (np.minimum(np.arange(side), np.arange(side)[::-1]) + 0.5) / (share * side)
    return np.asarray(0.5 - 0.5 * np.cos(np.pi * np.minimum(distance, 1)))


class SpectralStarts:
    """Starts for one order of symmetry from the power spectrum of the layer that shows most above its noise."""

    def __init__(self, layers: Layers, order: int, step: KernelStep) -> None:
        """Prepare the likelihood."""
        self.layers, self.step = layers, step
        self._clearest = int(np.argmin(layers.noise))
        self.bank = FilterBank(BankShape(order, min(_RADIUS, step.bank.bank.radius), 1.0, 1), layers.shape)
        layer, noise = layers.values[self._clearest], float(layers.noise[self._clearest])
        self.likelihood = WhittleLikelihood(self.bank, layer, layers.measured, noise)

    def draw(self, rng: np.random.Generator, most: int, count: int) -> Iterator[Candidate]:
        """Yield scored candidates of so many random beginnings, every one with both signs, and where it is another kernel half a turn."""
        for _ in range(count):
            yield from self.candidates(self.bank.kernel(self.likelihood.maximise(rng)[0]).astype(np.float32), most)

    def candidates(self, kernel: NDArray[np.float32], most: int) -> Iterator[Candidate]:
        """Yield the scored candidates of a rough kernel with both signs, and where it is another kernel half a turn."""
        turned = (kernel, kernel[::-1, ::-1]) if self.bank.bank.symmetry_order % 2 else (kernel,)
        for version in (sign * one for one in turned for sign in (np.float32(1), np.float32(-1))):
            candidate = self._candidate(version, most)
            if candidate is not None:
                yield candidate

    def _candidate(self, kernel: NDArray[np.float32], most: int) -> Candidate | None:
        """Return the candidate that a rough kernel of the clearest layer leads to."""
        one = slice(self._clearest, self._clearest + 1)
        nothing = np.zeros(self.layers.shape, dtype=np.float32)
        rough = KernelFit(kernel[None], nothing[None], np.array([_ROUGH_VARIANCE]), 0.0, np.zeros(1), ())
        values = self.layers.values[one] / np.float32(np.sqrt(_ROUGH_VARIANCE))
        found = sparse_activation(Convolution(rough, self.layers.long_waves), values, nothing, _ROUGH_THRESHOLD, _ROUGH_STEPS)
        if not found.any():
            return None
        rough_map = Candidate(self.step, found, self.step.solve(found), -np.inf)
        amplitudes = with_amplitudes(rough_map, 1, 25, 3.0)
        # The amplitudes are kept: a rough kernel's peaks, cut to 0 and 1, would be a worse list than they are.
        return replace(amplitudes, score=amplitudes.fit.log_likelihood) if cut(amplitudes, most) else None
