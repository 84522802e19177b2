"""A richer prior on the radial profiles where the simple one loses its phase: another envelope, further wave vectors.

Eq. 7 has one endless wave under a Gaussian envelope, and there nothing of this is tried. A band structure has several waves, and
a mean free path an exponential envelope. Each addition has to pay for its hyperparameters by the evidence.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import LinAlgError

from qpi_core.solvers.harmonic.equations.normal_equations import NormalEquations
from qpi_core.solvers.harmonic.orders.selection import log_evidence
from qpi_core.solvers.harmonic.search import INDEPENDENT, Fit, Hyperparameters, cost_and_gradient, refine, without_dephasing

Array = NDArray[np.float64]

MOST_WAVES = 3
_START_POWER = 1.2
_START_LOGIT = -1.0
_LONGEST_START_PX = 60.0
_SHORT_COHERENCE_PX = 8.0
_CANDIDATES = 4
_TRIED = 2
_MOST_UNKNOWNS = 240
"""Independent profiles with more unknowns than this are left as they are: a search takes seconds, and they fit as they are."""
_APART = 0.1


def shape_profiles(equations: NormalEquations, nodes: Array, fit: Fit, floor: float, doubtful: bool = True) -> Fit:
    """Return the most probable of the fit, the same with an endless wave, with another envelope, and with up to MOST_WAVES waves.

    An endless wave that is not doubtful, because it leaves white noise, is taken as it is.
    """
    independent = fit.hyperparameters.mixing_kind == INDEPENDENT
    if independent and equations.projection.size > _MOST_UNKNOWNS:
        return fit
    rounds = 1 if independent else 6
    best = without_dephasing(equations, nodes, fit, floor)
    if best.hyperparameters.periodic:
        short = _with_short_coherence(equations, nodes, best, floor) if doubtful else None
        if short is None:
            return best
        best = short
    best = _with_free_envelope(equations, nodes, best, floor, rounds)
    while best.hyperparameters.waves < MOST_WAVES:
        wider = _with_another_wave(equations, nodes, best, floor, rounds)
        if wider is None or log_evidence(wider, equations.pixels) <= log_evidence(best, equations.pixels):
            break
        best = wider
    return best


def _with_short_coherence(equations: NormalEquations, nodes: Array, fit: Fit, floor: float) -> Fit | None:
    """Return the fit of a profile that soon loses its phase, with a free envelope, where it is better than an endless wave; else None.

    A search that begins at an endless wave stays there, also where the map has none. One round tells.
    """
    point, vector = fit.hyperparameters, fit.hyperparameters.vector.copy()
    vector[1], vector[point.head - 1] = np.log(_SHORT_COHERENCE_PX), np.log(_START_POWER)
    start = replace(point, vector=vector, periodic=False, gaussian=False)
    try:
        tried = refine(equations, nodes, start, floor, rounds=1)
    except LinAlgError:
        return None
    if log_evidence(tried, equations.pixels) <= log_evidence(fit, equations.pixels):
        return None
    return refine(equations, nodes, tried.hyperparameters, floor)


def _with_free_envelope(equations: NormalEquations, nodes: Array, fit: Fit, floor: float, rounds: int) -> Fit:
    point = fit.hyperparameters
    if not point.gaussian:
        return fit
    vector = point.vector.copy()
    # a stays: the radius where the envelope is 1 / e does not depend on the power.
    vector[point.head - 1] = np.log(_START_POWER)
    candidate = refine(equations, nodes, replace(point, vector=vector, gaussian=False), floor, rounds)
    if point.mixing_kind == INDEPENDENT:
        return max((candidate, fit), key=lambda one: log_evidence(one, equations.pixels))
    # A profile that is no endless wave has no reason to end like a Gaussian, so freedom costs nothing: its error bars rest on the tails.
    return min((candidate, fit), key=lambda one: one.cost)


def _with_another_wave(equations: NormalEquations, nodes: Array, fit: Fit, floor: float, rounds: int) -> Fit | None:
    """Return the best fit with one wave more, started at the peaks of the profiles' spectrum; None without a peak."""
    starts = [_add_wave(fit.hyperparameters, q) for q in _spectral_peaks(nodes, fit)]
    scored = []
    for start in starts:
        try:
            scored.append((cost_and_gradient(equations, nodes, start, floor)[0], start))
        except LinAlgError:
            continue
    scored.sort(key=lambda pair: pair[0])
    fits = [refine(equations, nodes, start, floor, rounds) for _, start in scored[:_TRIED]]
    return min(fits, key=lambda candidate: candidate.cost) if fits else None


def _add_wave(point: Hyperparameters, wavenumber: float) -> Hyperparameters:
    w, vector = point.waves, point.vector
    longer = np.concatenate([vector[: 2 + w], [wavenumber], vector[2 + w : 2 + 2 * w], [_START_LOGIT], vector[2 + 2 * w :]])
    # With two waves each keeps its phase for longer than the one did that stood for both.
    longer[1] = min(longer[1] + np.log(4.0), np.log(_LONGEST_START_PX))
    return replace(point, vector=longer, waves=w + 1)


def _spectral_peaks(nodes: Array, fit: Fit) -> list[float]:
    """Return wave vectors in rad/px at the strongest peaks of the profiles' power spectrum, apart from those in use."""
    outside = nodes >= 0
    radii, profiles = nodes[outside], fit.evidence.profiles[:, outside]
    # sqrt(r) gives rings of all radii equal weight.
    weighted = (profiles - profiles.mean(axis=1, keepdims=True)) * np.sqrt(radii)
    grid = np.linspace(0.05, 0.9 * np.pi / (nodes[1] - nodes[0]), 240)
    power = np.sum(np.abs(weighted @ np.exp(-1j * np.outer(radii, grid))) ** 2, axis=0)
    known = fit.hyperparameters.radial.wavenumbers
    higher = np.diff(power) > 0
    peaks = [int(k) for k in 1 + np.flatnonzero(higher[:-1] & ~higher[1:]) if np.abs(known - grid[k]).min() > _APART]
    strongest = sorted(peaks, key=lambda k: -power[k])[:_CANDIDATES]
    # Besides the peaks: close to the known wave, where two waves look like one peak.
    beside = [float(q) for q in (known[0] * 0.85, known[0] * 1.15) if 0.05 < q < grid[-1]]
    return [float(grid[k]) for k in strongest] + beside
