"""What the extraction of an energy stack returns."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class LayerKernel:
    """The kernel of one layer.

    Attributes:
        kernel: (k, k) float32, units of the stack, centre at index k // 2; NaN where the layer holds nothing.
        uncertainty: (k, k) float32, one standard deviation; NaN where the method gives none.
        background: the constant b.
        noise_sigma: standard deviation of the noise, units of the stack.
        symmetry_order: 0 isotropic, 2, 3, 4, 6, or None where the data do not say.
        warnings: plain sentences.
        background_map: (height, width) float32, all that is neither a kernel nor noise; None where that is the constant.
        noise_model: name with its unit -> (value, standard deviation) of every term that the layer asked for; empty where it is white.
        parameters: name with its unit -> (value, standard deviation): wave vectors, decay, orientation; empty where the method gives none.
    """

    kernel: NDArray[np.float32]
    uncertainty: NDArray[np.float32]
    background: float
    noise_sigma: float
    symmetry_order: int | None = None
    warnings: tuple[str, ...] = ()
    background_map: NDArray[np.float32] | None = None
    noise_model: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    parameters: Mapping[str, tuple[float, float]] = field(default_factory=dict)

    @classmethod
    def empty(cls, size: int, *warnings: str) -> LayerKernel:
        """Return a layer without any answer."""
        blank = np.full((size, size), np.nan, dtype=np.float32)
        return cls(blank, blank, float("nan"), float("nan"), None, warnings)


@dataclass(frozen=True, eq=False)
class StackEstimate:
    """Kernels over energy. Layers that were not computed (not asked for, or cancelled before) hold NaN and are False in `done`.

    Attributes:
        kernels: (energies, k, k) float32, all in the units of the stack, so on one scale; centre at index k // 2.
        uncertainties: (energies, k, k) float32, one standard deviation.
        noise_sigma: (energies,) standard deviation of the noise of each layer, units of the stack.
        background: (energies,) the constant b of each layer.
        bias_mv: (energies,), NaN where it is not known.
        done: (energies,) bool, which layers were computed.
        symmetry_order: for each layer 0 isotropic, 2, 3, 4, 6, or None where the data do not say.
        warnings: for each layer plain sentences.
        positions: (n, 2) float64, (x, y) in pixels.
        weights: (n,) float64.
        pixel_size_nm: (dy, dx), or None where it is not known.
        method: the method's name.
        notes: plain sentences on the stack as a whole.
        provenance: strict JSON values: versions, method, input hash, every parameter.
        background_maps: index of a layer -> (height, width) float32 all that is neither a kernel nor noise, for layers where that is more
            than a constant.
        noise_models: for each layer name with its unit -> (value, standard deviation) of every term of its noise that it asked for;
            empty where the noise is white.
        parameters: for each layer name with its unit -> (value, standard deviation): wave vectors, decay, orientation, as of one map.
    """

    kernels: NDArray[np.float32]
    uncertainties: NDArray[np.float32]
    noise_sigma: NDArray[np.float64]
    background: NDArray[np.float64]
    bias_mv: NDArray[np.float64]
    done: NDArray[np.bool_]
    symmetry_order: tuple[int | None, ...]
    warnings: tuple[tuple[str, ...], ...]
    positions: NDArray[np.float64]
    weights: NDArray[np.float64]
    pixel_size_nm: tuple[float, float] | None
    method: str
    notes: tuple[str, ...] = ()
    provenance: dict[str, Any] = field(default_factory=dict)
    background_maps: Mapping[int, NDArray[np.float32]] = field(default_factory=dict)
    noise_models: tuple[Mapping[str, tuple[float, float]], ...] = ()
    parameters: tuple[Mapping[str, tuple[float, float]], ...] = ()

    def background_stack(self) -> NDArray[np.float32]:
        """Return all that is neither a kernel nor noise, (energies, height, width); NaN where a layer was not computed.

        Raises:
            ValueError: no layer has more than a constant, so that the size of the map is not known here; see background.
        """
        if not self.background_maps:
            raise ValueError("no layer of this stack has more than a constant background; take `background`.")
        shape = next(iter(self.background_maps.values())).shape
        constants = [np.full(shape, value, dtype=np.float32) for value in self.background]
        return np.stack([self.background_maps.get(index, constant) for index, constant in enumerate(constants)])

    @property
    def complete(self) -> bool:
        """Say whether every layer was computed."""
        return bool(self.done.all())

    @property
    def usable(self) -> NDArray[np.bool_]:
        """Return (energies,) bool: computed, and with a finite kernel."""
        return np.asarray(self.done & np.isfinite(self.kernels).all(axis=(1, 2)))

    def layer(self, index: int) -> LayerKernel:
        """Return what was found for one layer."""
        return LayerKernel(
            self.kernels[index],
            self.uncertainties[index],
            float(self.background[index]),
            float(self.noise_sigma[index]),
            self.symmetry_order[index],
            self.warnings[index],
            self.background_maps.get(index),
            self.noise_models[index] if self.noise_models else {},
            self.parameters[index] if self.parameters else {},
        )

    def with_layers(self, layers: Mapping[int, LayerKernel]) -> StackEstimate:
        """Return a copy in which these layers, index -> kernel, take the place of what was there."""
        kernels, uncertainties, done = self.kernels.copy(), self.uncertainties.copy(), self.done.copy()
        noise, background = self.noise_sigma.copy(), self.background.copy()
        orders, warnings = list(self.symmetry_order), list(self.warnings)
        maps, models = dict(self.background_maps), list(self.noise_models) or [{}] * len(kernels)
        parameters = list(self.parameters) or [{}] * len(kernels)
        for index, layer in layers.items():
            kernels[index], uncertainties[index], done[index] = layer.kernel, layer.uncertainty, True
            noise[index], background[index] = layer.noise_sigma, layer.background
            orders[index], warnings[index], models[index] = layer.symmetry_order, layer.warnings, layer.noise_model
            parameters[index] = layer.parameters
            maps.pop(index, None)
            if layer.background_map is not None:
                maps[index] = layer.background_map
        return replace(
            self,
            kernels=kernels,
            uncertainties=uncertainties,
            done=done,
            noise_sigma=noise,
            background=background,
            symmetry_order=tuple(orders),
            warnings=tuple(warnings),
            background_maps=maps,
            noise_models=tuple(models),
            parameters=tuple(parameters),
        )
