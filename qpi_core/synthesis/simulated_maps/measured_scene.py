"""Simulated maps as they are measured: kernels, defects and every nuisance of a recipe, each from a random stream of its own.

    Y(p) = sum_j w_j A_k(j)(s(p) - s(p_j)) + structures(s(p)) + noise(p)

p_j is where the map shows defect j, s the scan's distortion, k(j) the kind of the defect. Kernels, places and white noise of a scene
depend on (seed, index) alone, and each nuisance on (seed, index, its own name), so adding one leaves the rest of the map as it was.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from qpi_core.base.grid import DEFAULT_PIXEL_SIZE_NM
from qpi_core.synthesis.nuisances.atomic_lattice import AtomicLattice, lattice_waves
from qpi_core.synthesis.nuisances.blurred_noise import BlurredNoise, draw_blurred_noise
from qpi_core.synthesis.nuisances.click_errors import ClickErrors, clicked
from qpi_core.synthesis.nuisances.pixel_noise import SignalNoise, Spikes, draw_signal_noise, draw_spikes
from qpi_core.synthesis.nuisances.row_noise import RowDrift, Streaks, draw_row_drift, draw_streaks
from qpi_core.synthesis.nuisances.second_kind import SecondKind
from qpi_core.synthesis.nuisances.smooth_background import SmoothBackground, draw_background
from qpi_core.synthesis.nuisances.step_edge import StepEdge, draw_step_line, step_profile
from qpi_core.synthesis.nuisances.unlike_cores import UnlikeCores, core_spots, draw_core_heights
from qpi_core.synthesis.simulated_maps.measured_defects import FIRST, SECOND, Defects, Frame, SceneStreams, draw_defects, draw_frame
from qpi_core.synthesis.simulated_maps.measured_recipe import MeasuredRecipe
from qpi_core.synthesis.simulated_maps.measured_variants import parse_variant
from qpi_core.synthesis.simulated_maps.scenes import BENCHMARK_SHAPE


@dataclass(frozen=True)
class MeasuredScene:
    """One simulated map with its truth.

    Attributes:
        recipe: what it holds.
        observation: (height, width) float32.
        positions: (n, 2) as listed, (x, y) in pixels of the map; defects of an unlisted second kind are not among them.
        weights: (n,) true strengths of the listed defects; those of the first kind have the mean 1.
        classes: (n,) true kind of each listed defect, "A" or "B".
        true_positions: (m, 2) where the map shows all defects, listed or not, the listed ones first.
        true_weights, true_classes: (m,) of all of them.
        kernels: kind -> (64, 64) float32, the pattern of a defect of strength 1, centre at index 32.
        symmetry_orders: kind -> 0, 2, 3, 4, 6, or None for a kernel without symmetry.
        noise_sigma: standard deviation of the white (or blurred) noise, units of the observation.
        signal: (height, width) the sum of all kernels, without noise and structures.
        structures: name -> (height, width), of "background", "lattice", "step" and "cores" those that there are.
        noises: name -> (height, width), of "white", "blurred", "streaks", "drift", "signal" and "spikes" those that there are.
        pixel_size_nm: pitch.
    """

    recipe: MeasuredRecipe
    observation: NDArray[np.float32]
    positions: NDArray[np.float64]
    weights: NDArray[np.float64]
    classes: tuple[str, ...]
    true_positions: NDArray[np.float64]
    true_weights: NDArray[np.float64]
    true_classes: tuple[str, ...]
    kernels: Mapping[str, NDArray[np.float32]]
    symmetry_orders: Mapping[str, int | None]
    noise_sigma: float
    signal: NDArray[np.float64]
    structures: Mapping[str, NDArray[np.float64]]
    noises: Mapping[str, NDArray[np.float64]]
    pixel_size_nm: float = DEFAULT_PIXEL_SIZE_NM

    @property
    def kernel(self) -> NDArray[np.float32]:
        """Return the kernel of the first kind, the one that a list of one kind asks for."""
        return self.kernels[FIRST]

    @property
    def symmetry_order(self) -> int | None:
        """Return the symmetry order of the first kind."""
        return self.symmetry_orders[FIRST]

    @property
    def nuisances(self) -> tuple[str, ...]:
        """Return the names of the nuisances, such as "SmoothBackground"."""
        return tuple(type(nuisance).__name__ for nuisance in self.recipe.nuisances)


def draw_measured_scene(variant: str | MeasuredRecipe, seed: int, index: int, shape: tuple[int, int] = BENCHMARK_SHAPE) -> MeasuredScene:
    """Draw scene `index` of a series; it depends on the arguments alone.

    Args:
        variant: a recipe, or a name that parse_variant reads, such as "background-1" or "all-weak".
        seed: names the series.
        index: number of the scene; the symmetry orders 0, 2, 3, 4, 6 of Eq. 7 follow each other, as do the families of bands.
        shape: (height, width) px; the pitch is 10 nm / 64.

    Raises:
        InputError: a name that is not understood, or more defects than the lattice has sites.
    """
    recipe = parse_variant(variant) if isinstance(variant, str) else variant
    streams = SceneStreams(seed, index)
    frame = draw_frame(recipe, streams, shape)
    return compose_scene(recipe, streams, frame, draw_defects(recipe, streams, frame))


def compose_scene(
    recipe: MeasuredRecipe, streams: SceneStreams, frame: Frame, defects: Defects, white: NDArray[np.float64] | None = None
) -> MeasuredScene:
    """Return the map of defects that are at hand already.

    Args:
        recipe, streams, frame, defects: of the scene.
        white: (height, width) white noise of unit standard deviation; None draws it from the streams.
    """
    signal = defects.signal(frame)
    spread = float(signal.std())
    structures = draw_structures(recipe, streams, frame, defects, spread)
    sigma, noises = draw_noises(recipe, streams, signal, white)
    observation = signal + sum(structures.values()) + sum(noises.values())
    return _scene(recipe, streams, defects, observation, sigma, signal, structures, noises)


def draw_structures(
    recipe: MeasuredRecipe, streams: SceneStreams, frame: Frame, defects: Defects, spread: float
) -> dict[str, NDArray[np.float64]]:
    """Return name -> map of what is neither kernel nor noise; `spread` is the standard deviation of the clean map."""
    found = {}
    background, lattice = recipe.get(SmoothBackground), recipe.get(AtomicLattice)
    step, cores = recipe.get(StepEdge), recipe.get(UnlikeCores)
    if background is not None:
        field = draw_background(background, frame.shape, streams.rng("background"))
        found["background"] = background.level * spread * field / field.std()
    if lattice is not None:
        waves = lattice_waves(frame.lattice, frame.x_nm, frame.y_nm)
        found["lattice"] = lattice.level * spread * waves / waves.std()
    if step is not None:
        line = draw_step_line(streams.rng("step"), *frame.corners_nm)
        profile = step_profile(step, line, frame.x_nm, frame.y_nm, defects.first_kernel.wave_vector)
        found["step"] = step.height * spread * profile
    if cores is not None:
        heights = draw_core_heights(len(defects.positions), streams.rng("cores"))
        found["cores"] = core_spots(cores, cores.level * defects.peak * heights, defects.positions, frame.shape)
    return found


def draw_noises(
    recipe: MeasuredRecipe, streams: SceneStreams, signal: NDArray[np.float64], white: NDArray[np.float64] | None = None
) -> tuple[float, dict[str, NDArray[np.float64]]]:
    """Return the standard deviation of the white or blurred noise, and name -> map of every noise."""
    shape, spread = (signal.shape[0], signal.shape[1]), float(signal.std())
    blurred, streaks, drift = recipe.get(BlurredNoise), recipe.get(Streaks), recipe.get(RowDrift)
    follows, spikes = recipe.get(SignalNoise), recipe.get(Spikes)
    found = {}
    if blurred is None:
        sigma = recipe.white_noise * spread
        found["white"] = sigma * (streams.rng("white").standard_normal(shape) if white is None else white)
    else:
        sigma = blurred.level * spread
        found["blurred"] = sigma * draw_blurred_noise(blurred, shape, streams.rng("blurred"))
    if streaks is not None:
        found["streaks"] = streaks.level * spread * draw_streaks(streaks, shape, streams.rng("streaks"))
    if drift is not None:
        found["drift"] = drift.level * spread * draw_row_drift(shape, streams.rng("drift"))
    if follows is not None:
        found["signal"] = follows.level * spread * draw_signal_noise(signal, streams.rng("signal-noise"))
    if spikes is not None:
        found["spikes"] = sigma * draw_spikes(spikes, shape, streams.rng("spikes"))
    return sigma, found


def _scene(
    recipe: MeasuredRecipe,
    streams: SceneStreams,
    defects: Defects,
    observation: NDArray[np.float64],
    sigma: float,
    signal: NDArray[np.float64],
    structures: dict[str, NDArray[np.float64]],
    noises: dict[str, NDArray[np.float64]],
) -> MeasuredScene:
    """Put the truth beside the map: what the list holds, and all that there is."""
    second = recipe.get(SecondKind)
    listed = np.ones(len(defects.positions), dtype=bool) if second is None or second.listed else ~defects.second
    order = np.argsort(~listed, kind="stable")
    kinds = tuple(SECOND if defects.second[place] else FIRST for place in order)
    count, true = int(listed.sum()), defects.positions[order]
    clicks = recipe.get(ClickErrors)
    shape = (observation.shape[0], observation.shape[1])
    told = true[:count] if clicks is None else clicked(clicks, true[:count], shape, streams.rng("clicks"))
    return MeasuredScene(
        recipe=recipe,
        observation=observation.astype(np.float32),
        positions=told,
        weights=defects.weights[order][:count],
        classes=kinds[:count],
        true_positions=true,
        true_weights=defects.weights[order],
        true_classes=kinds,
        kernels=defects.kernels(),
        symmetry_orders=defects.symmetry_orders(),
        noise_sigma=float(sigma),
        signal=signal,
        structures=structures,
        noises=noises,
    )
