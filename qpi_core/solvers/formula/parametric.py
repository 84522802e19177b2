"""Kernels by a least-squares fit of Eq. 7: the one method that knows the formula.

    A(r, theta) = s sin^2(n theta / 2 + phi1) sin^2(B r + phi2) exp(-c r^2)

The symmetry order n and the starting point come from the harmonic solver (see equation_fit).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from qpi_core.base.validation import is_constant, require_pixel_size, require_problem
from qpi_core.estimates.caution import NO_PATTERN, Caution, CautionKind
from qpi_core.estimates.solution import KernelSolution
from qpi_core.runtime.threads import one_thread
from qpi_core.solvers.formula.equation_fit import EquationFit, fit_equation_seven, fit_equations_jointly
from qpi_core.solvers.formula.equation_seven import EquationSeven
from qpi_core.solvers.harmonic.fit import nothing_to_see
from qpi_core.solvers.harmonic.joint.fit import fit_jointly
from qpi_core.solvers.harmonic.joint.start import DefectClass
from qpi_core.solvers.harmonic.model import LEAST_GAIN, HarmonicModel, fit_harmonics, pattern_gain
from qpi_core.solvers.harmonic.orders.selection import log_evidence
from qpi_core.solvers.harmonic.posterior.kernel import KernelGrid
from qpi_core.solvers.harmonic.posterior.wave_evidence import wave_evidence
from qpi_core.solvers.harmonic.start import SYMMETRY_ORDERS

Array = NDArray[np.float64]


@one_thread()
def solve_parametric(
    observation: ArrayLike,
    positions: ArrayLike,
    kernel_size: int,
    *,
    weights: ArrayLike | None = None,
    pixel_size_nm: float | tuple[float, float] | None = None,
    symmetry_orders: tuple[int, ...] = SYMMETRY_ORDERS,
) -> KernelSolution:
    """Return the kernel of Eq. 7 that fits the map best, with error bars; arguments as in solve_harmonic.

    Raises:
        InputError: an argument is not usable; the sentence says which.
    """
    values, points, size, amplitudes = require_problem(observation, positions, kernel_size, weights)
    pitch = None if pixel_size_nm is None else require_pixel_size(pixel_size_nm)
    if is_constant(values):
        return nothing_to_see(values, size)
    model = fit_harmonics(values, points, size, amplitudes, pitch, symmetry_orders)
    fit = fit_equation_seven(model, _known_orders(symmetry_orders))
    return _solution(model, fit, 0, log_evidence(model.fit, model.equations.pixels), (size, pitch))


@one_thread()
def solve_parametric_classes(
    values: NDArray[np.float32],
    classes: Sequence[DefectClass],
    kernel_size: int,
    pixel_size_nm: tuple[float, float] | None = None,
    symmetry_orders: tuple[int, ...] = SYMMETRY_ORDERS,
) -> list[KernelSolution]:
    """Return the kernel of Eq. 7 of every class that fit the map best together, with error bars.

    Args:
        values: (height, width), checked, not constant, NaN where not measured.
        classes: of defects, checked.
        kernel_size, pixel_size_nm, symmetry_orders: as for solve_parametric.
    """
    joint = fit_jointly(values, classes, kernel_size, pixel_size_nm, symmetry_orders)
    fit = fit_equations_jointly(joint.models, _known_orders(symmetry_orders))
    window = (kernel_size, pixel_size_nm)
    return [_solution(model, fit, index, joint.log_evidence, window) for index, model in enumerate(joint.models)]


def _known_orders(symmetry_orders: tuple[int, ...]) -> tuple[int, ...]:
    """Return the orders that the formula has: it knows none without symmetry."""
    return tuple(order for order in symmetry_orders if order != 1) or (0,)


def _solution(
    model: HarmonicModel, fit: EquationFit, index: int, harmonic_evidence: float, window: tuple[int, tuple[float, float] | None]
) -> KernelSolution:
    """Return the answer for a class.

    Args:
        model: its harmonic model.
        fit: of all classes.
        index: of the class.
        harmonic_evidence: log evidence of the map under kernels without a formula.
        window: side of the kernel in px, and (dy, dx) in nm or None.
    """
    (size, pitch), own, covariance = window, fit.kernels[index], fit.part(index)
    half = max(int(np.floor(model.splines.radius / min(model.aspect))), size // 2)
    grid = KernelGrid.of_size(2 * half + 1, model.aspect)
    wide, slopes = own.values(grid.dx, grid.dy)
    start = half - size // 2
    crop = slice(start, start + size)
    deviation = np.sqrt(np.maximum(np.einsum("iyx,ij,jyx->yx", slopes[:, crop, crop], covariance, slopes[:, crop, crop]), 0.0))
    pixels = model.equations.pixels
    variance = fit.misfit / max(pixels - fit.searched - 1, 1)
    advantage = harmonic_evidence - fit.log_evidence(pixels, model.floor)
    assumed = "This method knows Eq. 7: for a kernel of any other family its kernel and its error bars mean nothing."
    warnings = [Caution(assumed, CautionKind.FORMULA)]
    if advantage > 10:
        worse = "Eq. 7 fits the map much worse than a kernel without a formula does: the kernel is not of that family."
        warnings.append(Caution(worse, CautionKind.WRONG_FORMULA))
    unseen = pattern_gain(model) < LEAST_GAIN
    if unseen:
        warnings.append(Caution(NO_PATTERN, CautionKind.NO_PATTERN))
    parameters = _parameters(own, covariance, pitch)
    waves = () if unseen else wave_evidence(model.equations, model.splines.nodes, model.fit, model.floor)
    if waves and not any(wave.decisive for wave in waves):
        # What a kernel without a formula does not show, the formula only assumes.
        parameters = {name: pair for name, pair in parameters.items() if not name.startswith("wave")}
        warnings.append(waves[0].sentence(None if pitch is None else float(np.sqrt(pitch[0] * pitch[1]))))
    return KernelSolution(
        kernel=wide[crop, crop].astype(np.float32),
        wide_kernel=wide.astype(np.float32),
        background=fit.background,
        noise_sigma=float(np.sqrt(variance)),
        uncertainty=deviation.astype(np.float32),
        symmetry_order=None if unseen else own.order,
        parameters=parameters,
        warnings=tuple(warnings),
        details={"knows_formula": True, "log_evidence_of_harmonic_over_formula": advantage},
    )


def _parameters(kernel: EquationSeven, covariance: Array, pitch: tuple[float, float] | None) -> dict[str, tuple[float, float]]:
    unit = 1.0 if pitch is None else float(np.sqrt(pitch[0] * pitch[1]))
    length = "px" if pitch is None else "nm"
    amplitude, turn, phase, wavenumber, decay = kernel.vector
    deviation = np.sqrt(np.maximum(covariance.diagonal(), 0.0))
    if wavenumber < 0:
        wavenumber, phase = -wavenumber, -phase
    found = {
        "amplitude": (float(amplitude), float(deviation[0])),
        "phase_rad": (float(phase % np.pi), float(deviation[2])),
        f"wavenumber_rad_per_{length}": (float(wavenumber) / unit, float(deviation[3]) / unit),
        f"wave_vector_rad_per_{length}": (2 * float(wavenumber) / unit, 2 * float(deviation[3]) / unit),
        f"decay_per_{length}2": (abs(float(decay)) / unit**2, float(deviation[4]) / unit**2),
    }
    if kernel.order:
        found["orientation_phase_rad"] = (float(turn % np.pi), float(deviation[1]))
    return found
