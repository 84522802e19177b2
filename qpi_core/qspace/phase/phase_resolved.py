"""Phase-resolved quasiparticle interference: the part of a kernel's transform that is odd in energy, summed over a region of q-space.

    g(q, E) = sum over pixels of A(r, E) exp(-i q . r),   phase origin at the defect
    rho_-(E) = sum over q in the region of { Re g(q, E) - Re g(q, -E) },   E > 0

Since kernels are centred on the defect, their transforms have a phase; that of a map's transform is lost among the positions of its
defects. Where the region holds the wave vectors between two parts of the Fermi surface, rho_-(E) keeps one sign between the gaps if the
order parameter changes sign between them, and changes sign there itself, and is weak, if it does not.

What is assumed of errors: those of different layers are independent. A pixel's deviation u(r) is carried through the sum,

    Var = c sum over r of u(r)^2 w(r)^2,   w(r) = sum over q in the region of cos(q . r),

with c = 1 where nothing is known of the kernel's symmetry (pixels independent) and c = n for an n-fold one (equal pixels err alike; an
upper bound). For an isotropic kernel all pixels of a ring err alike: Var = sum over rings of (sum over its pixels of u w)^2. What else
pixels have in common is not known here; judge_gap_sign takes up a common factor of all deviations as unknown.

Sources: Hirschfeld, Altenfeld, Eremin, Mazin, Phys. Rev. B 92, 184513 (2015); Martiny, Kreisel, Hirschfeld, Andersen, Phys. Rev. B 95,
184507 (2017), for why it takes a kernel rather than a map of several defects; Sharma et al., npj Quantum Materials 6, 7 (2021), for
many defects together.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from qpi_core.base.errors import InputError
from qpi_core.base.grid import kernel_coordinates, kernel_polar
from qpi_core.estimates.stack_estimate import StackEstimate
from qpi_core.qspace.regions import Region, region_mask
from qpi_core.qspace.spectra import q_axes

Array = NDArray[np.float64]

LEAST_PAIRS = 5
SET_POINT = (
    "If the tip's height was set at one bias for all layers, the current there divides every spectrum, and that mixes the pattern at the "
    "set point into rho_-(E): repeat with another set point, or normalise, before a sign is believed."
)


@dataclass(frozen=True, eq=False)
class AntisymmetrisedSignal:
    """rho_-(E) of a region.

    Attributes:
        energy_mev: (n,) E > 0, ascending.
        signal: (n,) units of the stack.
        deviation: (n,) one standard deviation, under the assumptions of this module; ones where the kernels have none.
        wave_vectors: number of q of the region.
        known_deviation: whether the kernels' own uncertainties were carried through.
        caveats: plain sentences.
    """

    energy_mev: Array
    signal: Array
    deviation: Array
    wave_vectors: int
    known_deviation: bool
    caveats: tuple[str, ...] = (SET_POINT,)


def phase_resolved_signal(
    kernels: ArrayLike,
    bias_mv: ArrayLike,
    pixel_size_nm: float | tuple[float, float],
    region: Region | Sequence[Region] | ArrayLike,
    *,
    uncertainties: ArrayLike | None = None,
    symmetry_orders: Sequence[int | None] | None = None,
) -> AntisymmetrisedSignal:
    """Return rho_-(E). Where no layer lies at -E, the two next to it are interpolated linearly; energies beyond them are left out.

    Args:
        kernels: (energies, k, k), centre at index k // 2; layers with NaN take no part.
        bias_mv: (energies,) finite, relative to the Fermi level.
        pixel_size_nm: pitch, one number or (dy, dx).
        region: Disc, Ring, several of them, or a mask (k, k) with q = 0 at index k // 2.
        uncertainties: (energies, k, k) one standard deviation, or None.
        symmetry_orders: (energies,) with which kernels were solved: 0 isotropic, n, or None; None for all is independent pixels.

    Raises:
        InputError: shapes that do not fit, a bad region, or fewer than five energies with a partner.
    """
    patterns, energies = np.asarray(kernels, dtype=np.float64), np.asarray(bias_mv, dtype=np.float64)
    if patterns.ndim != 3 or patterns.shape[1] != patterns.shape[2]:
        raise InputError(f"kernels must have shape (energies, k, k), but it has shape {patterns.shape}.")
    if energies.shape != (len(patterns),) or not np.isfinite(energies).all():
        raise InputError(f"bias_mv must be {len(patterns)} finite energies, one a layer, but it has shape {energies.shape}.")
    errors = None if uncertainties is None else np.asarray(uncertainties, dtype=np.float64)
    if errors is not None and errors.shape != patterns.shape:
        raise InputError(f"uncertainties must have the shape of kernels, {patterns.shape}, but it has shape {errors.shape}.")
    orders = [None] * len(patterns) if symmetry_orders is None else list(symmetry_orders)
    if len(orders) != len(patterns):
        raise InputError(f"symmetry_orders must hold {len(patterns)} values, one a layer, but it holds {len(orders)}.")
    mask = region_mask(region, patterns.shape[1], pixel_size_nm)
    weights = _weights(mask, pixel_size_nm)
    there = np.asarray(np.isfinite(patterns).all(axis=(1, 2)))
    known = errors is not None and bool(np.isfinite(errors[there]).all()) and bool((errors[there] > 0).any())
    values: Array = np.tensordot(np.where(np.isfinite(patterns), patterns, 0.0), weights, axes=2)
    variances = np.ones(len(values))
    if known and errors is not None:
        rings = np.rint(kernel_polar(patterns.shape[1], _aspect(pixel_size_nm))[0]).astype(np.intp).ravel()
        variances = np.array([_variance(one, weights, order, rings) for one, order in zip(errors, orders, strict=True)])
    energy, signal, variance = _pair(energies[there], values[there], variances[there])
    if len(energy) < LEAST_PAIRS:
        raise InputError(
            f"only {len(energy)} positive energies have kernels at the negative energy too; at least {LEAST_PAIRS} are needed, so the "
            "stack has to reach as far below the Fermi level as above it."
        )
    return AntisymmetrisedSignal(energy, signal, np.sqrt(variance), int(mask.sum()), known)


def signal_of_stack(estimate: StackEstimate, region: Region | Sequence[Region] | ArrayLike) -> AntisymmetrisedSignal:
    """Return rho_-(E) of a solved stack, its own uncertainties and symmetries carried through.

    Raises:
        InputError: as phase_resolved_signal, or a pixel size that is not known.
    """
    if estimate.pixel_size_nm is None:
        raise InputError("pixel_size_nm of the stack is not known, so there are no wave vectors in rad/nm; give it to extract_stack.")
    kernels = np.where(estimate.usable[:, None, None], estimate.kernels, np.nan)
    uncertain = estimate.uncertainties if np.isfinite(estimate.uncertainties[estimate.usable]).all() else None
    return phase_resolved_signal(
        kernels, estimate.bias_mv, estimate.pixel_size_nm, region, uncertainties=uncertain, symmetry_orders=estimate.symmetry_order
    )


def _aspect(pixel_size_nm: float | tuple[float, float]) -> tuple[float, float]:
    dy, dx = np.broadcast_to(np.asarray(pixel_size_nm, dtype=np.float64), (2,))
    return float(dy / min(dy, dx)), float(dx / min(dy, dx))


def _weights(mask: NDArray[np.bool_], pixel_size_nm: float | tuple[float, float]) -> Array:
    """Return w(r) = sum over q of cos(q . r), (k, k): the signal of a layer is sum over r of A(r) w(r)."""
    size = len(mask)
    qy, qx = q_axes((size, size), pixel_size_nm)
    x, y = kernel_coordinates(size, pixel_size_nm)
    column, row = np.exp(1j * np.outer(y[:, 0], qy)), np.exp(1j * np.outer(x[0], qx))
    return np.real(column @ mask @ row.T)


def _variance(deviation: Array, weights: Array, order: int | None, rings: NDArray[np.intp]) -> float:
    if order == 0:
        return float(np.sum(np.bincount(rings, weights=(deviation * weights).ravel()) ** 2))
    return float((order or 1) * np.sum((deviation * weights) ** 2))


def _pair(energies: Array, values: Array, variances: Array) -> tuple[Array, Array, Array]:
    """Return E > 0, value(E) - value(-E) and its variance; -E by linear interpolation between layers."""
    order = np.argsort(energies)
    energies, values, variances = energies[order], values[order], variances[order]
    below = np.flatnonzero(energies < 0)
    found = []
    for index in np.flatnonzero(energies > 0):
        wanted = -energies[index]
        if not len(below):
            continue
        close = 1e-6 * abs(wanted)
        if wanted < energies[below[0]] - close or wanted > energies[below[-1]] + close:
            continue
        right = int(np.clip(np.searchsorted(energies[below], wanted - close), 0, len(below) - 1))
        left = max(right - 1, 0)
        span = energies[below[right]] - energies[below[left]]
        share = 1.0 if span == 0 else float(np.clip((wanted - energies[below[left]]) / span, 0.0, 1.0))
        partner = (1 - share) * values[below[left]] + share * values[below[right]]
        spread = (1 - share) ** 2 * variances[below[left]] + share**2 * variances[below[right]]
        found.append((energies[index], values[index] - partner, variances[index] + spread))
    return tuple(np.array(found).reshape(-1, 3).T)  # type: ignore[return-value]
