"""Defects of a kind that the list does not name: where they are.

What a kernel leaves of a map around one strange place gives a first pattern, in a basis of rings and low angular orders. Matched filtering
finds the place where what is left shows it most; all places together give a better pattern, and so on, until no further place shows a
good part of it (matching pursuit). All places then have the same offset from the defects, because the first one was where the pattern
is strongest: the centre is where a small basis explains most, as only there a few angular orders suffice.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.signal import fftconvolve
from scipy.spatial import cKDTree

from qpi_core.noise.unlisted_patterns import PatternOptions, unlisted_patterns
from qpi_core.solvers.measured.kinds.local_patterns import LocalBasis, LocalPatterns

Array = NDArray[np.float64]

_ANY = PatternOptions(energy=0.0, contrast=0.0)
"""The strongest place, however weak: the evidence decides in the end."""
_CENTRING = LocalBasis(radius=8.0)
_COARSE, _FINE = np.arange(-6.0, 7.0), np.arange(-0.6, 0.7, 0.3)


@dataclass(frozen=True)
class UnlistedOptions:
    """Numbers of the search.

    Attributes:
        deviations: robust standard deviations of the filtered map from which on a peak is a place.
        share: of a whole pattern, below which a peak is no place.
        from_known: least distance from a listed defect or another place in px: what is nearer is its own affair.
        most: places.
    """

    deviations: float = 5.0
    share: float = 0.5
    from_known: float = 1.5
    most: int = 30


@dataclass(frozen=True, eq=False)
class UnlistedPlaces:
    """Where defects of another kind may be.

    Attributes:
        places: (m, 2) columns (x, y) in px.
        misfit: sum of squares that is left with their common pattern, fitted in the local basis.
    """

    places: Array
    misfit: float


def find_unlisted_places(
    left: Array, measured: NDArray[np.bool_], listed: Array, aspect: tuple[float, float], options: UnlistedOptions | None = None
) -> UnlistedPlaces | None:
    """Return where defects of another kind may be; None where nothing is strange.

    Args:
        left: (height, width) what a kernel leaves of a map, about its mean, 0 where not measured.
        measured: (height, width).
        listed: (n, 2) positions of the list in px.
        aspect: (dy, dx) of a pixel in solver units.
        options: numbers of the search.
    """
    chosen = options or UnlistedOptions()
    places = unlisted_patterns(left, _ANY)[:1]
    if not len(places):
        return None
    for _ in range(chosen.most):
        rest = _common_pattern(left, places, measured, aspect)
        moved = np.stack([_towards(rest.before, place) for place in places])
        more = _another(rest, np.concatenate([moved, listed]), chosen)
        settled = float(np.abs(moved - places).max()) < 0.1
        places = moved if more is None else np.concatenate([moved, more[None]])
        if more is None and settled:
            break
    for offsets in (_COARSE, _FINE):
        shifts = [np.array([x, y]) for x in offsets for y in offsets]
        explained = [_explained(left, places + shift, measured, aspect) for shift in shifts]
        places = places + shifts[int(np.argmax(explained))]
    height, width = left.shape
    inside = np.all((places > -0.5) & (places < [width - 0.5, height - 0.5]), axis=1)
    if not inside.any():
        return None
    gained = _explained(left, places[inside], measured, aspect)
    return UnlistedPlaces(places[inside], float((left**2).sum()) - gained)


def _explained(left: Array, places: Array, measured: NDArray[np.bool_], aspect: tuple[float, float]) -> float:
    """Return by how much a common pattern at places lowers the sum of squares of what is left."""
    design = LocalPatterns.around(places, np.ones(len(places)), measured, aspect, _CENTRING).design(np.ones(len(places)))
    system, pull = design.T @ design, design.T @ left.ravel()
    system[np.diag_indices_from(system)] += _CENTRING.ridge * float(np.mean(system.diagonal())) + 1e-12
    return float(pull @ np.linalg.solve(system, pull))


@dataclass(frozen=True, eq=False)
class _Rest:
    """What is left, correlated with the pattern that all places have in common.

    Attributes:
        before, after: (height, width) with the patterns at the places, and without.
        full: what one whole pattern gives.
    """

    before: Array
    after: Array
    full: float


def _common_pattern(left: Array, places: Array, measured: NDArray[np.bool_], aspect: tuple[float, float]) -> _Rest:
    basis, ones = LocalBasis(), np.ones(len(places))
    patterns = LocalPatterns.around(places, ones, measured, aspect, basis)
    (coefficients,), rest = patterns.fitted(left.ravel(), [ones])
    half_y, half_x = (int(np.ceil((basis.radius + basis.ring) / step)) for step in aspect)
    y, x = np.mgrid[-half_y : half_y + 1, -half_x : half_x + 1].astype(np.float64)
    pattern = (basis.rows(x.ravel() * aspect[1], y.ravel() * aspect[0]) @ coefficients).reshape(y.shape)
    before, after = (fftconvolve(image, pattern[::-1, ::-1], mode="same") for image in (left, rest.reshape(left.shape)))
    return _Rest(before, after, float(np.median(np.sum(patterns.images(coefficients) ** 2, axis=1))))


def _towards(image: Array, place: Array) -> Array:
    """Return the peak (x, y) of an image next to a place."""
    height, width = image.shape
    column, row = (int(np.clip(round(float(v)), 0, side - 1)) for v, side in zip(place, (width, height), strict=True))
    top, left = max(row - 1, 0), max(column - 1, 0)
    window = image[top : min(row + 2, height), left : min(column + 2, width)]
    y, x = np.unravel_index(int(np.argmax(window)), window.shape)
    return _between(image, top + int(y), left + int(x))


def _another(rest: _Rest, known: Array, options: UnlistedOptions) -> Array | None:
    """Return the place (x, y) of the strongest further pattern, if it is as strong as a good part of the others."""
    y, x = np.indices(rest.after.shape)
    free = cKDTree(known).query(np.stack([x.ravel(), y.ravel()], axis=1))[0].reshape(x.shape) >= options.from_known
    image = np.where(free, rest.after, -np.inf)
    row, column = np.unravel_index(int(np.argmax(image)), image.shape)
    spread = 1.4826 * float(np.median(np.abs(rest.after - np.median(rest.after))))
    if image[row, column] < max(options.share * rest.full, options.deviations * spread):
        return None
    return _between(rest.after, int(row), int(column))


def _rendered(basis: LocalBasis, coefficients: Array, aspect: tuple[float, float]) -> Array:
    half_y, half_x = (int(np.ceil((basis.radius + basis.ring) / step)) for step in aspect)
    y, x = np.mgrid[-half_y : half_y + 1, -half_x : half_x + 1].astype(np.float64)
    rows = basis.rows(x.ravel() * aspect[1], y.ravel() * aspect[0])
    return np.asarray((rows @ coefficients).reshape(y.shape))


def _between(image: Array, row: int, column: int) -> Array:
    """Return the place (x, y) of the parabola's top through a peak and its neighbours; the peak itself at the rim."""
    place = []
    for position, line in ((column, image[row]), (row, image[:, column])):
        if not 0 < position < line.size - 1:
            place.append(float(position))
            continue
        before, here, after = line[position - 1 : position + 2]
        curvature = before - 2 * here + after
        place.append(position + (0.5 * (before - after) / curvature if curvature < 0 else 0.0))
    return np.array(place)
