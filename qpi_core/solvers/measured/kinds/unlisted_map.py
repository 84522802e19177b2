"""A map that shows, beside the kernel of its list, one of a kind that the list does not name: both are solved together.

    Y = b + A*M + sum_l B(p - s_l) + noise

The places s_l follow from what one kernel leaves (unlisted_kind) and are settled by Gauss-Newton steps between two joint solves. Accepted
only where both kernels leave white noise, where the log evidence, the price of all places taken off, is decidedly larger than that
of one kernel, and where B is no multiple of A: defects of the list's own kind are the list's affair.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from qpi_core.noise.model import UNLISTED, MapNoise
from qpi_core.noise.selection import SelectionOptions
from qpi_core.solvers.harmonic.answer import superposition
from qpi_core.solvers.harmonic.equations.slopes import kernel_with_slopes
from qpi_core.solvers.harmonic.joint.fit import JointModel, fit_jointly
from qpi_core.solvers.harmonic.joint.start import DefectClass
from qpi_core.solvers.harmonic.model import HarmonicModel
from qpi_core.solvers.harmonic.orders.selection import log_evidence
from qpi_core.solvers.harmonic.problem import HarmonicProblem
from qpi_core.solvers.harmonic.start import HarmonicStart
from qpi_core.solvers.measured.explained_map import ExplainedMap
from qpi_core.solvers.measured.kinds.local_patterns import LocalPatterns
from qpi_core.solvers.measured.kinds.two_kinds import (
    DECISIVE,
    OF_ANOTHER_LIST,
    differ_in_shape,
    explains_all,
    misfit_of_one_kind,
)
from qpi_core.solvers.measured.kinds.unlisted_kind import find_unlisted_places
from qpi_core.solvers.measured.noise_model.find_noise import chances_of_white_noise
from qpi_core.solvers.positions.catalogue.check import gain_of_another_list, is_taken_as_given
from qpi_core.solvers.positions.catalogue.selection import ListedFit

Array = NDArray[np.float64]

_PROMISING = 100.0
"""Gain in log likelihood over unequal strengths or cores and wrong places, in the local basis, the price of the places taken off, from
which on two kernels are solved for."""
_SETTLING, _SETTLED_PX, _MOST_PX = 2, 0.03, 1.0
_HOPELESS = 3.0
"""Power that patterns around the listed defects leave, in units of white noise's, from which on no settling of the places helps: places
that are off leave something around themselves. (Measured, 18 maps: 1.0 from the first solve on in all that a second kernel explains, 3.1
to 45 in 13 that it does not, hardly changed by settling.)"""


def explained_by_unlisted_kind(problem: HarmonicProblem, positions: Array, weights: Array, begun: HarmonicStart) -> ExplainedMap | None:
    """Return the map explained by the list and defects of one other kind; None where these alone do not explain it.

    Args:
        problem: the map.
        positions, weights: of the list.
        begun: first stage under white noise; whoever asks again of the same gets what was found.
    """
    return begun.remembered("unlisted kind", lambda: _explained(problem, positions, weights, begun))


def _explained(problem: HarmonicProblem, positions: Array, weights: Array, begun: HarmonicStart) -> ExplainedMap | None:
    values = problem.values
    if is_taken_as_given(values, positions):
        return None
    chances = chances_of_white_noise(problem, positions, weights, begun)
    if not any(chance < SelectionOptions().probability for chance in chances.values()):
        return None
    one = problem.simple_fit(positions, weights, begun)
    shape, measured = (values.shape[0], values.shape[1]), np.isfinite(values)
    left = _centred(values - superposition(one, shape), measured)
    found = find_unlisted_places(left, measured, positions, one.aspect)
    if found is None or 2 * len(found.places) > len(positions):
        return None
    price = len(found.places) * float(np.log(measured.sum()))
    # Unequal strengths and cores, and wrong places, leave strange patterns as well.
    patterns = LocalPatterns.around(positions, weights, measured, one.aspect)
    rival = misfit_of_one_kind(patterns, left.ravel(), one, shape)
    promised = 0.5 * float(measured.sum()) * float(np.log(rival / max(found.misfit, 1e-300))) - price
    if promised < _PROMISING or promised < OF_ANOTHER_LIST * gain_of_another_list(values, one, weights):
        return None
    places, joint = found.places, _together(problem, positions, weights, found.places)
    for _ in range(_SETTLING):
        if joint.models[0].excess > _HOPELESS or not differ_in_shape(joint, problem.kernel_size):
            return None
        moves = _moves(joint, values, measured, places)
        if float(np.abs(moves).max()) < _SETTLED_PX:
            break
        places = places + moves
        joint = _together(problem, positions, weights, places)
    gain = joint.log_evidence - price - log_evidence(one.fit, one.equations.pixels)
    if gain < DECISIVE or not differ_in_shape(joint, problem.kernel_size) or not explains_all(values, joint, positions):
        return None
    own, other = (superposition(model, shape).astype(np.float64) for model in joint.models)
    rest = _centred(values - own - other, measured)
    sigma = float(np.sqrt(joint.variance))
    noise = MapNoise(
        parts={UNLISTED: other},
        parameters={"white_noise_sigma": (sigma, sigma / float(np.sqrt(2 * measured.sum())))},
        strength_spread=0.0,
        outliers=np.zeros(shape, dtype=bool),
        whitened_residual=rest / sigma,
        log_evidence_gain=gain,
        signal=float(own[measured].std()),
        constant=joint.background,
        pixel_size_nm=problem.pixel_size_nm,
        strange=places,
    )
    listed = ListedFit(positions, weights, begun, joint.models[0], None)
    return ExplainedMap(np.asarray(values - other, dtype=np.float32), listed, noise, joint.log_evidence - price)


def _together(problem: HarmonicProblem, positions: Array, weights: Array, places: Array) -> JointModel:
    parts = [DefectClass(positions, weights), DefectClass(places, np.ones(len(places)))]
    return fit_jointly(problem.values, parts, problem.kernel_size, problem.pixel_size_nm, problem.symmetry_orders)


def _moves(joint: JointModel, values: NDArray[np.float32], measured: NDArray[np.bool_], places: Array) -> Array:
    """Return (m, 2) Gauss-Newton steps in px of the places of the second kernel, at most a pixel each."""
    model: HarmonicModel = joint.models[1]
    shape = (values.shape[0], values.shape[1])
    rest = _centred(values - np.sum([superposition(one, shape) for one in joint.models], axis=0), measured)
    y, x = np.nonzero(measured)
    columns = np.empty((y.size, 2 * len(places)))
    for number, place in enumerate(places):
        dx, dy = (x - place[0]) * model.aspect[1], (y - place[1]) * model.aspect[0]
        _, by_x, by_y = kernel_with_slopes(model.splines, model.fit.hyperparameters.orders, model.fit.evidence.profiles, dx, dy)
        columns[:, 2 * number], columns[:, 2 * number + 1] = -by_x * model.aspect[1], -by_y * model.aspect[0]
    columns -= columns.mean(axis=0)
    steps = np.linalg.lstsq(columns, rest[measured], rcond=None)[0].reshape(-1, 2)
    return np.asarray(np.clip(steps, -_MOST_PX, _MOST_PX))


def _centred(image: NDArray[np.floating], measured: NDArray[np.bool_]) -> Array:
    """Return an image about its mean, 0 where not measured."""
    known = np.where(measured, image, 0.0).astype(np.float64)
    return np.asarray(np.where(measured, known - known[measured].mean(), 0.0))
