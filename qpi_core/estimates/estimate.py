"""What an extraction returns."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qpi_core.base.provenance import json_ready
from qpi_core.estimates.caution import caution_records


@dataclass(frozen=True)
class KernelEstimate:
    """A kernel with everything that is needed to judge it and to find it again.

    Arrays are indexed [y, x]. The observation itself is reconstruction + residual.

    Attributes:
        kernel: (k, k) float32, units of the observation, centre at index k // 2.
        method: the method's name, as in the interface and the tables.
        kernel_size: k.
        reconstruction: A*M + background_map, shape of the observation, without gaps.
        residual: observation - reconstruction; NaN where the map was not measured.
        background: the constant b.
        noise_sigma: estimated standard deviation of the noise, units of the observation.
        positions: (n, 2) float64, (x, y) in pixels, as used.
        weights: (n,) float64, amplitude of each defect, as used.
        wide_kernel: (K, K) with K >= k, the window that was solved; `kernel` is its central crop.
        uncertainty: (k, k) one standard deviation, or None where the method gives none.
        pixel_size_nm: (dy, dx), or None where it is not known.
        latent: (4, 8, 8) what Encoder_Y gave, or None where no network was run.
        network_kernel: (k, k) Decoder_K(Encoder_Y(.)), units of the observation, or None where no network was run.
        symmetry_order: 0 isotropic, 2, 3, 4, 6, or None where the data do not say.
        parameters: name with its unit -> (value, standard deviation).
        warnings: plain sentences; those that the program makes know their kind (qpi_core.estimates.caution).
        provenance: strict JSON values: versions, model, method, input hash, every parameter.
        background_map: (height, width) float32, all that is neither kernel nor noise: a constant, and what the noise model adds to it.
        noise_model: name with its unit -> (value, standard deviation) of white noise and of every term that the map asked for.
    """

    kernel: NDArray[np.float32]
    method: str
    kernel_size: int
    reconstruction: NDArray[np.float32]
    residual: NDArray[np.float32]
    background: float
    noise_sigma: float
    positions: NDArray[np.float64]
    weights: NDArray[np.float64]
    wide_kernel: NDArray[np.float32]
    uncertainty: NDArray[np.float32] | None = None
    pixel_size_nm: tuple[float, float] | None = None
    latent: NDArray[np.float32] | None = None
    network_kernel: NDArray[np.float32] | None = None
    symmetry_order: int | None = None
    parameters: dict[str, tuple[float, float]] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    provenance: dict[str, Any] = field(default_factory=dict)
    background_map: NDArray[np.float32] | None = None
    noise_model: dict[str, tuple[float, float]] = field(default_factory=dict)

    @property
    def has_background(self) -> bool:
        """Whether more than a constant was found beside the kernel."""
        return self.background_map is not None and bool(np.ptp(self.background_map) > 0)

    @property
    def proposed_classes(self) -> tuple[str, ...] | None:
        """The class of each defect, "A" or "B", where the map shows that the list holds two kinds; for `Extractor.extract_classes`."""
        found = self.provenance.get("two_kinds")
        return None if found is None else tuple(found["classes"])

    def with_source(self, source: Mapping[str, Any]) -> KernelEstimate:
        """Return a copy whose provenance says where the observation came from.

        Args:
            source: strict-JSON values, put beside the observation's own hash under "input"; by custom `name` and `sha256`
                of the file, `channel`, `layer_index`, `bias_mv`, `unit`, and `steps`: the preparation in order, such as
                [{"step": "level", "kind": "plane"}].

        Raises:
            InputError: a value that JSON has no place for.
        """
        described = {**self.provenance.get("input", {}), **json_ready(source)}
        return replace(self, provenance={**self.provenance, "input": described})

    def summary(self) -> dict[str, Any]:
        """Return all values but the images, in strict JSON types: the content of the side-car file."""
        return {
            "method": self.method,
            "kernel_size": self.kernel_size,
            "pixel_size_nm": json_ready(self.pixel_size_nm),
            "background": json_ready(self.background),
            "noise_sigma": json_ready(self.noise_sigma),
            "symmetry_order": self.symmetry_order,
            "parameters": {
                name: {"value": json_ready(value), "standard_deviation": json_ready(deviation)}
                for name, (value, deviation) in self.parameters.items()
            },
            "noise_model": {
                name: {"value": json_ready(value), "standard_deviation": json_ready(deviation)}
                for name, (value, deviation) in self.noise_model.items()
            },
            "positions_px": json_ready(self.positions),
            "weights": json_ready(self.weights),
            "warnings": [str(sentence) for sentence in self.warnings],
            "warning_kinds": caution_records(self.warnings),
            "provenance": self.provenance,
        }
