"""Read the parameters of Eq. 7 off a noise-free kernel image: orders by angular harmonics, then least squares."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import least_squares

from qpi_core.synthesis.kernel_families.equation_7 import SYMMETRY_ORDERS, KernelParameters, equation_7

_LARGEST_MISFIT = 1e-3


@dataclass(frozen=True)
class Equation7Fit:
    """Parameters with the amplitude that makes them the image.

    Attributes:
        parameters: those of Eq. 7.
        amplitude: factor in front of Eq. 7, in units of the image.
        misfit: RMS difference relative to the range of the image.
    """

    parameters: KernelParameters
    amplitude: float
    misfit: float


def fit_equation_7(image: NDArray[np.float64], origin_px: float, pixel_size_nm: float) -> Equation7Fit | None:
    """Return the parameters of Eq. 7 that reproduce a noise-free image, or None where none do.

    Args:
        image: (k, k).
        origin_px: pixel coordinate of r = 0 along both axes, fractions allowed.
        pixel_size_nm: pitch.
    """
    spread = float(np.ptp(image))
    if spread == 0:
        return None
    axis = (np.arange(len(image)) - origin_px) * pixel_size_nm
    y, x = np.meshgrid(axis, axis, indexing="ij")
    # At r = 0 the formula has no single value; what a file holds there says nothing.
    measured = np.hypot(x, y) > 0.5 * pixel_size_nm
    best: Equation7Fit | None = None
    for order in _likely_orders(image, x, y):
        fit = _fit_order(image, x, y, measured, order, pixel_size_nm)
        if best is None or fit.misfit < best.misfit:
            best = fit
        if best.misfit <= _LARGEST_MISFIT:
            return best
    return None


def _likely_orders(image: NDArray[np.float64], x: NDArray[np.float64], y: NDArray[np.float64]) -> list[int]:
    """Return the orders sorted by the strength of their angular harmonic, isotropic last but for an image without any."""
    theta = np.arctan2(y, x)
    weight = np.abs(image)
    strength = {n: abs(np.sum(image * np.exp(-1j * n * theta))) / np.sum(weight) for n in SYMMETRY_ORDERS if n}
    ordered = sorted(strength, key=lambda n: -strength[n])
    return [0, *ordered] if max(strength.values()) < 0.05 else [*ordered, 0]


def _fit_order(
    image: NDArray[np.float64], x: NDArray[np.float64], y: NDArray[np.float64], measured: NDArray[np.bool_], order: int, pitch: float
) -> Equation7Fit:
    """Return the best fit of one order, started from every wave number that the grid can hold.

    With order and orientation known, Eq. 7 is amplitude x angular x (1 - cos(2 B r + 2 phi2)) / 2 x exp(-c r^2): the two
    nonlinear unknowns B and c are searched on a grid with the others in closed form, then all are refined together.
    """
    r, theta = np.hypot(x, y)[measured], np.arctan2(y, x)[measured]
    values, spread = image[measured], float(np.ptp(image))
    orientation = np.pi / 2
    if order:
        # sin^2(A t + phi1) = (1 - cos(n t + 2 phi1)) / 2: the phase of the n-th harmonic is pi + 2 phi1.
        orientation = (np.angle(np.sum(values * np.exp(-1j * order * theta))) - np.pi) / 2
    angular = np.sin(order * theta / 2 + orientation) ** 2
    half_width = float(np.abs(x).max())
    decays = np.geomspace(0.05, 400.0, 16) / half_width**2
    wavenumbers = np.linspace(0.0, 0.5 * np.pi / pitch, 96)
    starts = []
    for decay in decays:
        envelope = angular * np.exp(-decay * r**2)
        for wavenumber in wavenumbers[1:]:
            # Amplitude x (1 - cos(2 B r) cos(2 phi2) + sin(2 B r) sin(2 phi2)) / 2, linear in three numbers.
            design = np.stack([envelope, envelope * np.cos(2 * wavenumber * r), envelope * np.sin(2 * wavenumber * r)], axis=1)
            coefficients, *_ = np.linalg.lstsq(design.T @ design + 1e-12 * np.eye(3), design.T @ values, rcond=None)
            error = float(np.sum((values - design @ coefficients) ** 2))
            starts.append((error, decay, wavenumber, coefficients))
    starts.sort(key=lambda start: start[0])
    fits = [_refine(start, order, float(orientation), r, theta, values, spread) for start in starts[:4]]
    return min(fits, key=lambda fit: fit.misfit)


def _refine(
    start: tuple[float, float, float, NDArray[np.float64]],
    order: int,
    orientation: float,
    r: NDArray[np.float64],
    theta: NDArray[np.float64],
    values: NDArray[np.float64],
    spread: float,
) -> Equation7Fit:
    _, decay, wavenumber, coefficients = start
    phase = 0.5 * float(np.arctan2(coefficients[2], -coefficients[1]))
    dx, dy = r * np.cos(theta), r * np.sin(theta)
    free_orientation = [orientation] if order else []

    def model(unknowns: NDArray[np.float64]) -> NDArray[np.float64]:
        turned = unknowns[4] if order else np.pi / 2
        return np.asarray(unknowns[0] * equation_7(dx, dy, order, turned, unknowns[1], unknowns[2], np.exp(unknowns[3])))

    first = np.array([2 * abs(coefficients[0]), wavenumber, phase, np.log(decay), *free_orientation])
    found = least_squares(lambda unknowns: (model(unknowns) - values) / spread, first, method="lm", max_nfev=400)
    amplitude, wavenumber, phase, log_decay = (float(value) for value in found.x[:4])
    if wavenumber < 0:
        wavenumber, phase = -wavenumber, -phase
    turned = float(found.x[4]) if order else np.pi / 2
    parameters = KernelParameters(order, turned if order == 0 else turned % np.pi, wavenumber, phase % np.pi, float(np.exp(log_decay)))
    return Equation7Fit(parameters, amplitude, float(np.sqrt(np.mean(found.fun**2))))
