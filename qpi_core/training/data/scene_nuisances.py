"""What measured maps add, drawn at random levels for the training stream."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from qpi_core.synthesis.kernel_families.equation_7 import KernelParameters
from qpi_core.synthesis.kernel_families.harmonic_patterns import HarmonicPattern
from qpi_core.synthesis.simulated_maps.measured_defects import SceneStreams, draw_frame, dress_defects
from qpi_core.synthesis.simulated_maps.measured_recipe import MeasuredRecipe, Nuisance
from qpi_core.synthesis.simulated_maps.measured_scene import compose_scene
from qpi_core.synthesis.simulated_maps.measured_variants import NUISANCES
from qpi_core.synthesis.simulated_maps.scene_kernels import SceneKernel
from qpi_core.training.data.streams import DrawnPattern, KernelShares, draw_pattern

MOST_ON_SITES = 100
"""Defects; larger lists may have no place on the sites of a small map."""
FEWEST_FOR_SHARES = 10
"""Defects below which a share of them is no share."""
_USUAL_WAVE_VECTORS = (2.0, 12.0)


@dataclass(frozen=True)
class RandomLevel:
    """How often a nuisance is there, and between which levels (log-uniform, units of measured_variants)."""

    probability: float
    low: float
    high: float


LEVELS: Mapping[str, RandomLevel] = MappingProxyType(
    {
        "streaks": RandomLevel(0.4, 0.05, 1.0),
        "blur2": RandomLevel(0.15, 0.05, 1.0),
        "background": RandomLevel(0.5, 0.1, 3.0),
        "lattice": RandomLevel(0.3, 0.1, 2.0),
        "amplitudes": RandomLevel(0.4, 10.0, 60.0),
        "flips": RandomLevel(0.1, 5.0, 30.0),
        "second": RandomLevel(0.2, 5.0, 30.0),
        "step": RandomLevel(0.15, 0.2, 3.0),
        "cores": RandomLevel(0.3, 0.1, 2.0),
        "spikes": RandomLevel(0.2, 0.1, 2.0),
        "signal-noise": RandomLevel(0.2, 0.1, 0.5),
        "creep": RandomLevel(0.2, 0.3, 3.0),
        "shear": RandomLevel(0.2, 0.2, 3.0),
        "drift": RandomLevel(0.2, 0.1, 2.0),
    }
)
"""Errors of the listed positions are the stream's own."""


@dataclass(frozen=True)
class MeasuredMap:
    """A training map with nuisances.

    Attributes:
        observation: (height, width).
        positions: (n, 2) px, the defects that a list holds.
        sign: of the mean strength, with which the kernel is to be multiplied.
    """

    observation: NDArray[np.float64]
    positions: NDArray[np.float64]
    sign: float


def draw_nuisances(rng: np.random.Generator, count: int) -> tuple[Nuisance, ...]:
    """Draw which nuisances a map of so many defects has, and their levels; at least one."""
    chosen: dict[str, float] = {}
    while not chosen:
        for name, level in LEVELS.items():
            if rng.random() < level.probability and (count >= FEWEST_FOR_SHARES or name not in ("flips", "second")):
                chosen[name] = float(np.exp(rng.uniform(np.log(level.low), np.log(level.high))))
    if "flips" in chosen:
        chosen.pop("amplitudes", None)  # strengths of both signs may cancel, and then there is no kernel of a mean strength
    endings = {"lattice": "lattice-sites", "second": "second-listed"}
    found = []
    for name, value in chosen.items():
        other = name in endings and rng.random() < 0.5 and (name != "lattice" or count <= MOST_ON_SITES)
        found.append(NUISANCES[endings[name] if other else name](value))
    return tuple(found)


def measured_map(
    stream: tuple[int, int],
    drawn: DrawnPattern,
    positions: NDArray[np.float64],
    white: NDArray[np.float64],
    noise_level: float,
    shares: KernelShares,
) -> MeasuredMap:
    """Return a map of defects with nuisances at random levels.

    Args:
        stream: (seed, index) of the scene, which decide nuisances and levels.
        drawn: kernel of the first kind.
        positions: (n, 2) px.
        white: (height, width) white noise of unit standard deviation.
        noise_level: of the white noise, relative to the standard deviation of the clean map.
        shares: of the kernel families that a second kind is drawn from.
    """
    streams = SceneStreams(*stream)
    recipe = MeasuredRecipe(draw_nuisances(streams.rng("nuisances"), len(positions)), noise_level)
    frame = draw_frame(recipe, streams, (white.shape[0], white.shape[1]))
    first = _scene_kernel(drawn, streams.rng("wave vector"))

    def draw_other() -> SceneKernel:
        other = _scene_kernel(draw_pattern(streams.rng("second kernel"), shares), streams.rng("wave vector"))
        factor = float(np.abs(first.on_window()).max() / max(float(np.abs(other.on_window()).max()), 1e-12))
        return replace(other, pattern=lambda dx, dy: factor * other.pattern(dx, dy))

    defects = dress_defects(recipe, streams, frame, positions, first, draw_other)
    scene = compose_scene(recipe, streams, frame, defects, white)
    return MeasuredMap(scene.observation.astype(np.float64), scene.positions, float(np.sign(defects.scale)))


def _scene_kernel(drawn: DrawnPattern, rng: np.random.Generator) -> SceneKernel:
    source = drawn.source
    wave = float(rng.uniform(*_USUAL_WAVE_VECTORS))
    if isinstance(source, KernelParameters):
        wave = 2 * source.wavenumber
    elif isinstance(source, HarmonicPattern):
        wave = float(source.wave_vectors[0])
    return SceneKernel(drawn.pattern, drawn.symmetry_order, wave)
