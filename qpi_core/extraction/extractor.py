"""From a map and its defects to a KernelEstimate, by any of the methods."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from qpi_core.base.errors import InputError
from qpi_core.base.validation import is_constant, require_effort, require_noise_model
from qpi_core.estimates.estimate import KernelEstimate
from qpi_core.extraction.answers.assembly import describe_models, estimate_of
from qpi_core.extraction.answers.first_estimate import FirstLook
from qpi_core.extraction.answers.request import Answer, Request, checked_request, constant_answer
from qpi_core.extraction.defects.defect_refinement import refine_defects
from qpi_core.extraction.methods import Method, find_method, solve
from qpi_core.extraction.networks.model_holder import ModelHolder
from qpi_core.extraction.networks.network_methods import run_two_step
from qpi_core.extraction.windows.window_search import AUTO, find_window, resolve_window, window_and_rest, with_proposal
from qpi_core.runtime.progress import Progress, no_progress, part_of
from qpi_core.runtime.threads import one_thread

if TYPE_CHECKING:
    from qpi_core.estimates.blind_class_estimate import BlindAnswer, BlindCandidate
    from qpi_core.estimates.class_estimate import ClassEstimates
    from qpi_core.networks.inference import NetworkKernel

_MOVING, _SOLVED = 0.6, 0.9
"""Shares of the time of an extraction, roughly: after the defects were moved, and after the solve."""


class Extractor(ModelHolder):
    """Runs the methods; loads the networks when a method first needs them, once, also from several threads.

    Attributes:
        model_name: name or path of the model, None for the default one.
        device: where the networks run; the solvers run on the CPU.
    """

    @one_thread()
    def extract(
        self,
        observation: ArrayLike,
        positions: ArrayLike,
        method: str | None = None,
        kernel_size: int | str = 64,
        refine_positions: bool = False,
        refine_weights: bool = False,
        pixel_size_nm: float | tuple[float, float] | None = None,
        *,
        weights: ArrayLike | None = None,
        with_latent: bool | None = None,
        report: Progress | None = None,
        noise_model: str = "auto",
        effort: str = "full",
        on_first: Callable[[KernelEstimate], None] | None = None,
    ) -> KernelEstimate:
        """Extract the kernel from a map.

        Args:
            observation: (height, width), any units, NaN where not measured.
            positions: (n, 2) columns (x, y) in pixels, fractions allowed.
            method: a name out of `qpi_core.extraction.methods.METHODS`; None is the default one.
            kernel_size: side of the kernel in pixels, at most the shorter side of the map; "auto": as the pattern itself asks for
                (qpi_core.extraction.windows.window_proposal), which solves the map once more; the provenance says why.
            refine_positions: let the data move the defects before the method runs; the estimate says how far they moved.
            refine_weights: let the data give each defect its own amplitude, their mean kept.
            pixel_size_nm: pitch, one number or (dy, dx), for parameters in nm; None where it is not known.
            weights: amplitude of each defect; None is 1.
            with_latent: True: also run Encoder_Y into Decoder_K where a model is there, whatever the method. False: run them only
                where the kernel itself needs them, and let `add_latent` follow. None: `refined` and `two_step` bring a latent.
            report: called before each stage with the share that is done, roughly, and a few words; what it raises stops the work.
            noise_model: "auto": `harmonic`, `parametric` and `refined` model background, coloured noise and unequal defects as the map
                asks for them (marginal likelihood); "white": a constant background and white noise.
            effort: "full", or "fast" for many maps: `refined` and `harmonic` stop at their first stage, a symmetric kernel with one radial
                profile under white noise, and `parametric` takes the noise as white; a warning and the provenance say what was not tried.
            on_first: called with the first stage's estimate as soon as `refined` or `harmonic` have it, and before defects are moved.

        Raises:
            InputError: a bad argument (units and ranges above); no model for a method that needs one.

        Example:
            >>> import numpy as np
            >>> import qpi_core
            >>> positions = np.array([[12.0, 20.0], [40.0, 33.0], [25.5, 8.0]])
            >>> pattern = {"symmetry_order": 4, "orientation": 0.3, "wavenumber": 3.0, "phase": 0.5, "decay": 0.2}
            >>> observation = qpi_core.simulate_observation(pattern, positions, (48, 56), noise_sigma=0.05, rng=1)
            >>> estimate = qpi_core.load_extractor().extract(observation, positions, method="harmonic", kernel_size=32)
            >>> estimate.kernel.shape, estimate.symmetry_order, round(estimate.noise_sigma, 2)
            ((32, 32), 4, 0.05)
        """
        chosen = find_method(method)
        first = FirstLook(self, chosen, observation, on_first)
        seek, tell = window_and_rest(kernel_size, report)
        pitch = pixel_size_nm
        if kernel_size == AUTO or refine_positions or refine_weights:
            first.look(positions, kernel_size, pixel_size_nm, weights)
        size, proposal = resolve_window(
            kernel_size,
            lambda: find_window(self, observation, positions, weights=weights, pixel_size_nm=pitch, noise_model=noise_model, report=seek),
        )
        request = self.request(observation, positions, size, pixel_size_nm, weights)
        request = replace(
            request,
            latent_wanted=with_latent is not False,
            noise_model="white" if require_effort(effort) == "fast" else require_noise_model(noise_model),
            effort=effort,
            report=part_of(tell, _MOVING, _SOLVED),
        )
        constant, refinement = is_constant(request.observation), None
        if (refine_positions or refine_weights) and not constant:
            request, refinement = refine_defects(request, refine_positions, refine_weights, part_of(tell, 0.0, _MOVING))
        tell(_MOVING if refinement is not None else 0.0, "Solving for the kernel")
        answer = constant_answer(request) if constant else solve(chosen, first.told(request))
        tell(_SOLVED, "Comparing with the map")
        estimate = self.assemble(chosen, request, answer, np.asarray(observation))
        estimate = estimate if proposal is None else with_proposal(estimate, proposal)
        estimate = estimate if refinement is None else refinement.note(estimate)
        return self.add_latent(estimate, observation) if with_latent and self.has_model and not constant else estimate

    def add_latent(self, estimate: KernelEstimate, observation: ArrayLike) -> KernelEstimate:
        """Return an estimate with what Encoder_Y and Decoder_K make of the same map beside it; unchanged where that is there already.

        Args:
            estimate: by any method.
            observation: the map that it was made from.

        Raises:
            InputError: as `latent_of`.
        """
        if estimate.latent is not None:
            return estimate
        network = self.latent_of(observation, estimate.positions, estimate.kernel_size, estimate.weights)
        provenance = {**estimate.provenance, "model": describe_models(self.models())}
        return replace(estimate, latent=network.latent, network_kernel=network.kernel, provenance=provenance)

    @one_thread()
    def latent_of(
        self, observation: ArrayLike, positions: ArrayLike, kernel_size: int = 64, weights: ArrayLike | None = None
    ) -> NetworkKernel:
        """Run Encoder_Y into Decoder_K: the latent and the networks' own kernel.

        Raises:
            InputError: as `extract`; a constant map has no latent.
        """
        request = self.request(observation, positions, kernel_size, None, weights)
        if not is_constant(request.observation):
            return run_two_step(request)
        raise InputError("observation is constant: there is no pattern in it, so it has no place in the latent space.")

    def extract_classes(
        self,
        observation: ArrayLike,
        positions: ArrayLike,
        classes: Sequence[object],
        method: str | None = None,
        kernel_size: int | str = 64,
        refine_positions: bool = False,
        refine_weights: bool = False,
        pixel_size_nm: float | tuple[float, float] | None = None,
        *,
        weights: ArrayLike | None = None,
        with_latent: bool = False,
        report: Progress | None = None,
        noise_model: str = "auto",
        effort: str = "full",
    ) -> ClassEstimates:
        """Extract one kernel for each class of defects, all solved together: Y = b + sum_c A_c*M_c + noise.

        Args:
            observation: (height, width), any units, NaN where not measured.
            positions: (n, 2) columns (x, y) in pixels, of all classes.
            classes: the class of each defect, a name or a whole number; one class for all is the same as `extract`.
            method: `harmonic`, `refined` (the default), `parametric` and `tikhonov` solve all kernels together, `defect_average` is
                of each class alone, `one_step` and `two_step` see the map without what the harmonic solve says of the others.
            kernel_size: side of every kernel in pixels; "auto": the largest that one of them asks for.
            refine_positions, refine_weights: as for `extract`, each class by its own kernel.
            pixel_size_nm, weights, with_latent, report, noise_model, effort: as for `extract`; the noise model is one for all classes.

        Raises:
            InputError: as `extract`; a label too few, or too many classes.

        Example:
            >>> import numpy as np
            >>> import qpi_core
            >>> positions = np.array([[12.0, 20.0], [40.0, 33.0], [25.5, 8.0]])
            >>> pattern = {"symmetry_order": 4, "orientation": 0.3, "wavenumber": 3.0, "phase": 0.5, "decay": 0.2}
            >>> observation = qpi_core.simulate_observation(pattern, positions, (48, 56), noise_sigma=0.05, rng=1)
            >>> kinds = ["vacancy", "dopant", "vacancy"]
            >>> found = qpi_core.load_extractor().extract_classes(observation, positions, kinds, method="tikhonov", kernel_size=24)
            >>> {name: len(found[name].positions) for name in found.names}
            {'vacancy': 2, 'dopant': 1}
        """
        from qpi_core.extraction.classes.class_extraction import ClassOptions, extract_classes

        seek, tell = window_and_rest(kernel_size, report)
        size, proposal = resolve_window(
            kernel_size,
            lambda: find_window(self, observation, positions, classes=classes, weights=weights, pixel_size_nm=pixel_size_nm, report=seek),
        )
        noise = "white" if require_effort(effort) == "fast" else require_noise_model(noise_model)
        options = ClassOptions(find_method(method), size, refine_positions, refine_weights, pixel_size_nm, with_latent, noise, effort)
        found = extract_classes(self, observation, positions, classes, weights, options, tell)
        proposed = {} if proposal is None else {name: with_proposal(one, proposal) for name, one in found.estimates.items()}
        return replace(found, estimates=proposed or found.estimates)

    def extract_blind(
        self,
        observation: ArrayLike,
        kernel_size: int = 64,
        classes: int = 1,
        bias_mv: ArrayLike | None = None,
        pixel_size_nm: float | tuple[float, float] | None = None,
        report: Progress | None = None,
        *,
        time_limit_s: float = 60.0,
        seed: int = 0,
        on_best: Callable[[BlindCandidate], None] | None = None,
        marks: ArrayLike | None = None,
    ) -> BlindAnswer:
        """Find the defects and their kernel from the map alone, and say whether the answer is to be trusted.

        Starts for kernels of two-, three-, four- and six-fold symmetry and for round ones are polished until one of them explains the
        map; then `refined` solves for the kernel at the defects found. The answer has everything that `extract` gives, and `trusted`,
        `reason` and `alternatives`; where it is not trusted, a warning says so.

        Args:
            observation: (height, width), or (energies, height, width) with the same defects at every energy; NaN where not measured.
            kernel_size: side of the kernel in pixels; a map that is smaller gets the largest kernel that fits, and is not trusted.
            classes: kinds of defects, 1 to 3; every kind gets a list and a kernel of its own.
            bias_mv: (energies,) of a stack; None where it is not known.
            pixel_size_nm: pitch, one number or (dy, dx); None where it is not known.
            report: called with the share that is done, roughly, and a few words; what it raises stops the work.
            time_limit_s: the search ends at 70 % of it, with the best that it has, and the rest is for the solve.
            seed: of the random starts; the same seed gives the same answer where time is not what ends the search.
            on_best: called with every explanation that is better than those before it, to be looked at or kept while the search goes on.
            marks: (n, 2) a few of the defects, (x, y) in pixels, where some are known: the search starts from them and finds the rest.

        Returns:
            A BlindEstimate, of a stack a BlindStackEstimate; with several classes ("A" the strongest) a BlindClass(Stack)Estimates.

        Raises:
            InputError: a bad observation or option, more classes than are found, or a map too large to be searched.
        """
        from qpi_core.extraction.blind.blind_extraction import blind_options, extract_blind

        options = blind_options(kernel_size, classes, bias_mv, pixel_size_nm, time_limit_s, seed)
        options = replace(options, marks=marks)
        return extract_blind(self, observation, options, report or no_progress, on_best)

    def request(
        self,
        observation: ArrayLike,
        positions: ArrayLike,
        kernel_size: int,
        pixel_size_nm: float | tuple[float, float] | None,
        weights: ArrayLike | None,
    ) -> Request:
        """Return the checked arguments of an extraction.

        Raises:
            InputError: as `extract`.
        """
        return checked_request(observation, positions, kernel_size, pixel_size_nm, weights, (self.models, lambda: self.has_model))

    def assemble(
        self, method: Method, request: Request, answer: Answer, original: NDArray[Any], fitted: NDArray[np.float32] | None = None
    ) -> KernelEstimate:
        """Return the estimate that a method's answer makes.

        Args:
            method, request, answer: what was run, on what, with what result.
            original: the observation as it came, for its hash.
            fitted: (height, width) the reconstruction; None is that of the answer alone.
        """
        used = self._models if method.needs_model or answer.network is not None else None
        return estimate_of(method, request, answer, original, describe_models(used) if used else None, fitted)


def load_extractor(name: str | Path | None = None, device: str = "auto") -> Extractor:
    """Return an Extractor that uses a released model.

    The networks are read when a method first needs them, so the methods without networks work with no model at all.

    Args:
        name: of a folder under models/, or a path; None is the default model.
        device: `auto` (a GPU where there is one), `cpu`, `cuda`, `cuda:0` ... or `mps`.

    Raises:
        InputError: a named model that is not there, or an unknown or missing device.
    """
    if name is not None:
        from qpi_core.networks.checkpoints import resolve_model

        resolve_model(name)
    return Extractor(name, device)
