"""The methods for several classes of defects in one map: what each one does with them, all classes solved together."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from qpi_core.base.errors import InputError
from qpi_core.extraction.methods import METHODS, Answer, Method, Request

if TYPE_CHECKING:
    from qpi_core.estimates.solution import KernelSolution
    from qpi_core.solvers.harmonic.joint import DefectClass


def require_class_method(method: Method) -> Method:
    """Return the method where it knows classes.

    Raises:
        InputError: it does not.
    """
    if method.name not in CLASS_METHODS:
        raise InputError(
            f"method {method.name!r} knows one class of defects only; for several choose one of: "
            f"{', '.join(name for name in METHODS if name in CLASS_METHODS)}."
        )
    return method


def solve_classes(method: Method, requests: Sequence[Request]) -> list[Answer]:
    """Return one answer a class; the requests share the map, each has the defects of its class."""
    return CLASS_METHODS[method.name](method, requests)


def _classes(requests: Sequence[Request]) -> list[DefectClass]:
    from qpi_core.solvers.harmonic.joint import DefectClass

    return [DefectClass(request.positions, request.weights) for request in requests]


def _defect_average(method: Method, requests: Sequence[Request]) -> list[Answer]:
    return [method.solve(request) for request in requests]


def _tikhonov(method: Method, requests: Sequence[Request]) -> list[Answer]:
    from qpi_core.solvers.joint_tikhonov import solve_joint_tikhonov

    return [Answer(one) for one in solve_joint_tikhonov(requests[0].observation, _classes(requests), requests[0].kernel_size)]


def _joint_harmonic(requests: Sequence[Request]) -> list[KernelSolution]:
    from qpi_core.solvers.harmonic.joint import solve_joint_harmonic

    one = requests[0]
    return solve_joint_harmonic(one.observation, _classes(requests), one.kernel_size, one.pixel_size_nm)[1]


def _harmonic(method: Method, requests: Sequence[Request]) -> list[Answer]:
    return [Answer(solution) for solution in _joint_harmonic(requests)]


def _refined(method: Method, requests: Sequence[Request]) -> list[Answer]:
    from qpi_core.solvers.joint_refined import correct_jointly

    one, priors = requests[0], _joint_harmonic(requests)
    return [Answer(solution) for solution in correct_jointly(one.observation, _classes(requests), one.kernel_size, priors)]


def _network(method: Method, requests: Sequence[Request]) -> list[Answer]:
    """Show the network of every class the map without what the joint harmonic solve says of the other classes."""
    requests[0].models()  # where there are none, that is said before the work
    return [method.solve(request) for request in leftovers(requests, _joint_harmonic(requests))]


def leftovers(requests: Sequence[Request], solutions: Sequence[KernelSolution]) -> list[Request]:
    """Return every class's request with the patterns of the other classes taken off the map."""
    from qpi_core.operators.reconstruction import reconstruct

    shape = requests[0].observation.shape
    images = [reconstruct(s.wide_kernel, 0.0, r.positions, r.weights, shape) for s, r in zip(solutions, requests, strict=True)]
    total = np.sum(images, axis=0, dtype=np.float32)
    return [replace(r, observation=r.observation - (total - image)) for r, image in zip(requests, images, strict=True)]


CLASS_METHODS: dict[str, Callable[[Method, Sequence[Request]], list[Answer]]] = {
    "defect_average": _defect_average,
    "tikhonov": _tikhonov,
    "harmonic": _harmonic,
    "refined": _refined,
    "one_step": _network,
    "two_step": _network,
}
