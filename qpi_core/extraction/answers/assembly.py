"""From a method's answer to a KernelEstimate: reconstruction, residual, warnings and the record of what was done."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from qpi_core.base.provenance import array_sha256, json_ready, versions
from qpi_core.diagnostics.defects import warn_about_defects
from qpi_core.diagnostics.identifiability import warn_about_fit, warn_about_gaps, warn_about_input
from qpi_core.diagnostics.window import warn_about_window
from qpi_core.estimates.estimate import KernelEstimate
from qpi_core.extraction.answers.first_estimate import NOT_TRIED
from qpi_core.extraction.answers.request import Answer, Request
from qpi_core.extraction.methods import Method
from qpi_core.noise.tiles import can_be_modelled
from qpi_core.operators.reconstruction import superposition_of

if TYPE_CHECKING:
    from qpi_core.networks.checkpoints import LoadedModels
    from qpi_core.noise.model import MapNoise


def estimate_of(
    method: Method,
    request: Request,
    answer: Answer,
    original: NDArray[Any],
    model: dict[str, str] | None,
    fitted: NDArray[np.float32] | None = None,
) -> KernelEstimate:
    """Return the estimate that a method's answer makes.

    Args:
        method, request, answer: what was run, on what, with what result.
        original: the observation as it came, for its hash.
        model: the networks that took part, as describe_models says; None where none did.
        fitted: (height, width) the reconstruction; None is that of the answer alone.
    """
    solution, network = answer.solution, answer.network
    image = request.observation
    noise, weights = answer.noise, request.weights if answer.weights is None else answer.weights
    constant = np.full(image.shape, solution.background, dtype=np.float32)
    background = constant if noise is None else noise.background.astype(np.float32)
    if fitted is None:
        # The solver's own is that of the repaired list.
        solution = solution if answer.repair is None else replace(solution, superposition=None)
        known = np.isfinite(image) if noise is None else np.isfinite(image) & ~noise.outliers
        fitted = superposition_of(solution, request.positions, weights, known) + background
    residual = image - fitted
    whitened = None if noise is None else np.where(np.isfinite(image) & ~noise.outliers, noise.whitened_residual, np.nan)
    wanted = request.noise_model == "auto" and noise is None and solution.uncertainty is not None
    warnings = [
        *warn_about_input(image, request.positions, request.kernel_size),
        *(answer.repair.sentences() if answer.repair is not None else []),
        *([] if answer.kinds is None else [answer.kinds.sentence()]),
        *answer.notes,
        *solution.warnings,
        *([] if noise is None else noise.sentences()),
        *warn_about_window(solution.kernel, solution.wide_kernel, solution.parameters, request.pixel_size_nm),
        *warn_about_fit(image - background, residual, solution.noise_sigma, whitened),
        *(warn_about_gaps(residual) if wanted and not can_be_modelled(np.isfinite(image)) else []),
        *warn_about_defects(image, residual, request.positions, solution.noise_sigma),
    ]
    provenance = {
        "versions": versions(),
        "method": method.name,
        "model": model,
        "input": {"observation_sha256": array_sha256(original), "shape": image.shape, "measured": float(np.isfinite(image).mean())},
        "options": {"kernel_size": request.kernel_size, "pixel_size_nm": request.pixel_size_nm, "noise_model": request.noise_model},
        **({} if request.effort == "full" else {"effort": {"chosen": request.effort, "not_tried": NOT_TRIED}}),
        "solver": solution.details,
        **({} if answer.repair is None else {"list_repair": answer.repair.record()}),
        **({} if answer.kinds is None else {"two_kinds": answer.kinds.record()}),
        **({} if noise is None else {"noise_model": _noise_record(noise, request, answer)}),
    }
    return KernelEstimate(
        kernel=solution.kernel,
        method=method.name,
        kernel_size=request.kernel_size,
        reconstruction=fitted,
        residual=residual,
        background=solution.background,
        noise_sigma=solution.noise_sigma,
        positions=request.positions,
        weights=weights,
        background_map=background,
        noise_model=_white_noise(solution.noise_sigma, image) if noise is None else dict(noise.parameters),
        wide_kernel=solution.wide_kernel,
        uncertainty=solution.uncertainty,
        pixel_size_nm=request.pixel_size_nm,
        latent=None if network is None else network.latent,
        network_kernel=None if network is None else network.kernel,
        symmetry_order=solution.symmetry_order,
        parameters=dict(solution.parameters),
        warnings=tuple(dict.fromkeys(warnings)),
        provenance=json_ready(provenance),
    )


def _noise_record(noise: MapNoise, request: Request, answer: Answer) -> dict[str, object]:
    """Return what the noise model found, with the strengths that were given where it found others."""
    return noise.record() if answer.weights is None else {**noise.record(), "given_weights": request.weights}


def _white_noise(sigma: float, image: NDArray[np.float32]) -> dict[str, tuple[float, float]]:
    """Return the noise model of white noise, its error that of a standard deviation of so many pixels."""
    return {"white_noise_sigma": (sigma, sigma / float(np.sqrt(2 * np.isfinite(image).sum())))}


def describe_models(models: LoadedModels) -> dict[str, str]:
    """Return name, hash and device of the networks, for the side-car."""
    return {"name": models.name, "sha256": models.sha256, "device": str(models.device)}
