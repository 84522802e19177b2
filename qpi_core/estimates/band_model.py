"""A band model fitted to the maps of a stack, and what may be claimed of it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from qpi_core.base.provenance import json_ready


@dataclass(frozen=True)
class BandModel:
    """A band model of a stack.

    Attributes:
        name: of the model.
        parameters: name with its unit -> (value, standard deviation); empty where nothing is claimed.
        claimed: whether the maps show such a band.
        explains: whether it explains them better than free kernels do, by evidence.
        log_evidence: of the band, of a wave that does not disperse and of free kernels, each over no wave at all.
        explained: share of the power of the free kernels that the band explains.
        layers: layers with energies inside the band.
        sentences: the same in words.
    """

    name: str
    parameters: dict[str, tuple[float, float]]
    claimed: bool
    explains: bool
    log_evidence: dict[str, float]
    explained: float
    layers: int
    sentences: tuple[str, ...]

    def record(self) -> dict[str, Any]:
        """Return strict JSON values for the side-car."""
        return dict(json_ready(asdict(self)))
