"""All layers of a map after the same preparation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from qpi_core.base.errors import InputError
from qpi_core.maps.preparation.coordinates import CoordinateMap
from qpi_core.runtime.progress import Progress, no_progress

if TYPE_CHECKING:
    from qpi_core.maps import ScanMap
    from qpi_core.maps.preparation import Preparation


@dataclass(frozen=True, eq=False)
class PreparedStack:
    """Layers ready for extract_stack.

    Attributes:
        values: (energies, height, width) float32, NaN = not measured.
        bias_mv: (energies,), NaN where the file does not say.
        pixel_size_nm: (dy, dx) after the preparation, or None where it is not known.
        unit: of the values.
        coordinates: from the raw map to the prepared layers, for positions.
    """

    values: NDArray[np.float32]
    bias_mv: NDArray[np.float64]
    pixel_size_nm: tuple[float, float] | None
    unit: str
    coordinates: CoordinateMap


def require_stack(scan: ScanMap, channel: str | None, preparation: Preparation) -> int:
    """Return the number of layers of a channel (None: the default one) that can be solved together.

    Raises:
        InputError: no such channel, only one layer, or a preparation that moves positions differently from layer to layer.
    """
    count = len(scan.stack(channel))
    if count < 2:
        name = scan.default_channel if channel is None else channel
        raise InputError(f"The channel {name} of this map has one layer only; an energy stack needs at least two.")
    if preparation.follows_the_layer:
        raise InputError("A step of the preparation moves every layer differently, so the layers have no common positions; remove it.")
    return count


def prepare_stack(scan: ScanMap, channel: str | None, preparation: Preparation, report: Progress = no_progress) -> PreparedStack:
    """Prepare every layer of a channel alike; layers without any measured pixel stay empty.

    Args:
        scan: a map with several layers.
        channel: None is the default one.
        preparation: the steps, none for the values as they are.
        report: called before each layer with the share that is done; what it raises stops the work.

    Raises:
        InputError: as require_stack, a step does not fit, or no layer holds anything.
    """
    raw, count = scan.stack(channel), require_stack(scan, channel, preparation)
    prepared: dict[int, NDArray[np.float32]] = {}
    last = None
    for index in range(count):
        report(index / count, f"Preparing layer {index + 1} of {count}")
        if np.isfinite(raw[index]).any():
            last = preparation.apply_to_scan(scan, channel, index=index)
            prepared[index] = last.values.astype(np.float32)
    if last is None:
        raise InputError("Nothing of this stack was measured.")
    blank = np.full(last.values.shape, np.nan, dtype=np.float32)
    values = np.stack([prepared.get(index, blank) for index in range(count)])
    pitch = last.pixel_size_nm if scan.pixel_size_known else None
    return PreparedStack(values, np.asarray(scan.energies(channel), dtype=np.float64), pitch, last.unit, last.coordinates)
