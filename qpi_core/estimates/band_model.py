"""A band model fitted to the maps of a stack, and what may be claimed of it."""

from __future__ import annotations

import math
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
        lattice: lattice constant in nm and direction of a primitive vector in rad, of a tight-binding model.
        dispersion: (energy in meV, q = 2 k averaged over directions, its deviation, least and largest q, rad/nm with 2 pi included) of the
            layers that took part and have a contour.
    """

    name: str
    parameters: dict[str, tuple[float, float]]
    claimed: bool
    explains: bool
    log_evidence: dict[str, float]
    explained: float
    layers: int
    sentences: tuple[str, ...]
    lattice: tuple[float, float] | None = None
    dispersion: tuple[tuple[float, float, float, float, float], ...] = ()

    def record(self) -> dict[str, Any]:
        """Return strict JSON values for the side-car."""
        return dict(json_ready(asdict(self)))


@dataclass(frozen=True)
class BandComparison:
    """Several band models of one stack, fitted under the same noise.

    Attributes:
        models: as asked for.
    """

    models: tuple[BandModel, ...]

    @property
    def best(self) -> BandModel | None:
        """Return the claimed model of the highest evidence; None where none may be claimed."""
        claimed = [model for model in self.models if model.claimed]
        return max(claimed, key=lambda model: model.log_evidence["band"]) if claimed else None

    @property
    def probabilities(self) -> dict[str, float]:
        """Return the probability of every claimed model beside the others, all equally likely beforehand; empty where none is claimed."""
        if self.best is None:
            return {}
        top = self.best.log_evidence["band"]
        odds = {model.name: math.exp(model.log_evidence["band"] - top) for model in self.models if model.claimed}
        return {name: value / sum(odds.values()) for name, value in odds.items()}

    @property
    def sentences(self) -> tuple[str, ...]:
        """Return the answer in words."""
        best = self.best
        if best is None:
            return tuple(dict.fromkeys(sentence for model in self.models for sentence in model.sentences))
        others = [
            f"{model.name} (log evidence lower by {best.log_evidence['band'] - model.log_evidence['band']:.0f})"
            for model in self.models
            if model.claimed and model is not best
        ]
        beside = [f"Of the bands that were fitted the maps prefer {best.name} to {', '.join(others)}."] if others else []
        return (*best.sentences, *beside)

    def record(self) -> dict[str, Any]:
        """Return strict JSON values for the side-car."""
        return {"models": [model.record() for model in self.models], "probabilities": self.probabilities}
