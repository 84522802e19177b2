"""Profiles of a spectrum: over the length of q, or along a line through q = 0, in a form that suits magnitude, real part and phase."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from qpi_core.base.errors import InputError
from qpi_core.qspace.spectra import Profile, line_cut, radial_average

KINDS = ("magnitude", "real", "phase")
_SAME_PHASE = 1e-3


def qspace_profile(
    spectrum: ArrayLike,
    q_step: tuple[float, float],
    kind: str = "magnitude",
    angle: float | None = None,
    width: float = 0.0,
    least_magnitude: float = 0.0,
) -> Profile:
    """Return a profile of a spectrum.

    Magnitudes are averaged as powers (root mean square), so that white noise of a known power is a level line; real parts as they are;
    the phase is that of the averaged complex values.

    Args:
        spectrum: (height, width) complex F(q), or a real magnitude; q = 0 at index n // 2.
        q_step: (q_y, q_x) in rad/nm.
        kind: one of KINDS.
        angle: direction of a cut, rad from +q_x towards +q_y (downwards); None averages over rings.
        width: full width of the strip that a cut averages over, rad/nm.
        least_magnitude: of an averaged value, up to which its phase is left out (NaN).

    Raises:
        InputError: an unknown kind, or as `qpi_core.qspace.spectra.line_cut` and `radial_average`.
    """
    values = np.asarray(spectrum)
    if kind not in KINDS:
        raise InputError(f"kind must be one of {', '.join(KINDS)}, but it is {kind!r}.")
    if values.ndim != 2:
        raise InputError(f"spectrum must be 2-D, but it has shape {values.shape}.")
    pitch = (2 * np.pi / (values.shape[0] * q_step[0]), 2 * np.pi / (values.shape[1] * q_step[1]))

    def average(part: NDArray[np.float64]) -> Profile:
        return radial_average(part, pitch) if angle is None else line_cut(part, pitch, angle, width)

    if kind == "magnitude":
        power = average(np.abs(values) ** 2)
        return Profile(power.q, np.sqrt(power.values))
    real = average(np.asarray(values.real, dtype=np.float64))
    if kind == "real":
        return real
    total = real.values + 1j * average(np.asarray(values.imag, dtype=np.float64)).values
    return Profile(real.q, np.where(np.abs(total) > least_magnitude, phase_of(total), np.nan))


def phase_of(values: NDArray[np.complex128]) -> NDArray[np.float64]:
    """Return the phase in rad, above -pi up to pi: what lies within _SAME_PHASE of -pi, such as a rounded negative number, has pi."""
    phase = np.angle(values)
    return np.where(phase < -np.pi + _SAME_PHASE, np.pi, phase)
