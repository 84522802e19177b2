"""The methods that are networks, and a network's kernel as the solution of a method."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from qpi_core.extraction.answers.request import Answer, Request

if TYPE_CHECKING:
    from qpi_core.estimates.solution import KernelSolution
    from qpi_core.networks.inference import NetworkKernel
    from qpi_core.solvers.harmonic.start import HarmonicStart


def solve_one_step(request: Request) -> Answer:
    """Return the kernel of the one network of the paper's baseline."""
    from qpi_core.networks.inference import one_step_kernel

    return Answer(
        network_solution(
            request, one_step_kernel(request.models(), request.observation, request.positions, request.kernel_size, request.weights)
        )
    )


def solve_two_step(request: Request) -> Answer:
    """Return the kernel of Decoder_K(Encoder_Y(.))."""
    network = run_two_step(request)
    return Answer(network_solution(request, network), network)


def run_two_step(request: Request, start: HarmonicStart | None = None) -> NetworkKernel:
    """Return Decoder_K(Encoder_Y(.)) for a request; start is the harmonic solver's first stage where it was made already."""
    from qpi_core.networks.inference import two_step_kernel

    # The networks know square pixels only, and were shown round kernels.
    shared = start if start is not None and start.aspect == (1.0, 1.0) and start.stretch is None else None
    return two_step_kernel(request.models(), request.observation, request.positions, request.kernel_size, request.weights, shared)


def network_solution(request: Request, network: NetworkKernel) -> KernelSolution:
    """Return a network's kernel as a solution; the spread of what it leaves counts as noise, so it is an upper limit."""
    from qpi_core.estimates.solution import KernelSolution
    from qpi_core.operators.reconstruction import reconstruct

    fitted = reconstruct(network.wide_kernel, network.background, request.positions, request.weights, request.observation.shape)
    noise = float(np.nanstd(request.observation - fitted, dtype=np.float64))
    kernel, wide, warnings = network.kernel, network.wide_kernel, network.warnings
    return KernelSolution(kernel, wide, network.background, noise, uncertainty=network.deviation, warnings=warnings)
