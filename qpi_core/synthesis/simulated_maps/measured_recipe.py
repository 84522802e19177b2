"""Which nuisances a simulated map has: a set of at most one of each kind, with the white noise and the source of the kernel."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

from qpi_core.base.errors import InputError
from qpi_core.synthesis.bands.band_structures import require_in_range
from qpi_core.synthesis.nuisances.atomic_lattice import AtomicLattice
from qpi_core.synthesis.nuisances.blurred_noise import BlurredNoise
from qpi_core.synthesis.nuisances.click_errors import ClickErrors
from qpi_core.synthesis.nuisances.pixel_noise import SignalNoise, Spikes
from qpi_core.synthesis.nuisances.row_noise import RowDrift, Streaks
from qpi_core.synthesis.nuisances.scan_geometry import Creep, Shear
from qpi_core.synthesis.nuisances.second_kind import SecondKind
from qpi_core.synthesis.nuisances.smooth_background import SmoothBackground
from qpi_core.synthesis.nuisances.step_edge import StepEdge
from qpi_core.synthesis.nuisances.strengths import FlippedSigns, UnequalStrengths
from qpi_core.synthesis.nuisances.unlike_cores import UnlikeCores
from qpi_core.synthesis.simulated_maps.scene_kernels import EQUATION_7, KERNEL_SOURCES

Nuisance = (
    Streaks
    | RowDrift
    | BlurredNoise
    | SmoothBackground
    | AtomicLattice
    | UnequalStrengths
    | FlippedSigns
    | SecondKind
    | StepEdge
    | UnlikeCores
    | Spikes
    | SignalNoise
    | Creep
    | Shear
    | ClickErrors
)
Kind = TypeVar("Kind", bound=Nuisance)
WHITE_NOISE = 0.2


@dataclass(frozen=True)
class MeasuredRecipe:
    """What a simulated map holds beside its kernel.

    Attributes:
        nuisances: at most one of each class.
        white_noise: standard deviation of the white noise relative to that of the clean map; blurred noise takes its place.
        source: of the kernel, one of scene_kernels.KERNEL_SOURCES.
        defects: (least, most) number of them; the number is drawn evenly.

    Raises:
        InputError: one nuisance twice, an unknown source, a level or a number of defects outside its range.
    """

    nuisances: tuple[Nuisance, ...] = ()
    white_noise: float = WHITE_NOISE
    source: str = EQUATION_7
    defects: tuple[int, int] = (20, 60)

    def __post_init__(self) -> None:
        require_in_range("white_noise", self.white_noise, 0.0, 1e3, "of the clean map's standard deviation")
        if self.source not in KERNEL_SOURCES:
            raise InputError(f"source must be one of {', '.join(KERNEL_SOURCES)}, but it is {self.source!r}.")
        kinds = [type(nuisance) for nuisance in self.nuisances]
        for kind in kinds:
            if kinds.count(kind) > 1:
                raise InputError(f"nuisances holds {kind.__name__} {kinds.count(kind)} times; give each of them once.")
        least, most = self.defects
        if not 1 <= least <= most <= 1000:
            raise InputError(f"defects must be (least, most) with 1 <= least <= most <= 1000, but it is {self.defects!r}.")

    def get(self, kind: type[Kind]) -> Kind | None:
        """Return the nuisance of a class, None where the map does not have it."""
        return next((nuisance for nuisance in self.nuisances if isinstance(nuisance, kind)), None)
