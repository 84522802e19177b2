"""A measured map as it came out of a file: channels, energies, pixel size."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qpi_core.base.errors import InputError
from qpi_core.base.validation import require_pixel_size
from qpi_core.maps.channel_choice import ChannelChoice, choose_channel, doubt_about
from qpi_core.maps.positions.scanner_frame import ScannerFrame

MapArray = NDArray[np.floating[Any]]

_SINGLE_BIAS_TOLERANCE_MV = 0.5
SIZE_UNKNOWN = "The file does not say how large the map is: lengths count pixels (1 px = 1 nm) until a pixel size is given."


@dataclass(frozen=True, eq=False)
class MapContent:
    """What a reader found in one file; load_map adds the name and the hash and makes a ScanMap of it.

    Attributes:
        values: channel name to array (energies, height, width); a channel measured once has one energy. NaN = not measured.
        units: channel name to unit, "" where the file has none.
        bias_mv: (energies,), NaN where the file does not say.
        pixel_size_nm: (dy, dx), or None where the file does not say.
        angle_deg: rotation of the scan frame as the instrument wrote it, degrees clockwise.
        metadata: what else the header says, as text.
        notes: plain sentences on how the file was read.
        warnings: plain sentences on what to beware of: the file disagrees with itself, or does not say what it should.
        channel_bias_mv: channel name to (layers,) energies of its own, where channels were measured at different ones.
        others: channels of other sizes, which do not fit into the same map.
        centre_nm: (x, y) of the frame's centre in the scanner's coordinates, x to the right, y upwards; None where it is not known.
    """

    values: Mapping[str, MapArray]
    units: Mapping[str, str] = field(default_factory=dict)
    bias_mv: NDArray[np.float64] | None = None
    pixel_size_nm: tuple[float, float] | None = None
    angle_deg: float = 0.0
    metadata: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    channel_bias_mv: Mapping[str, NDArray[np.float64]] = field(default_factory=dict)
    others: tuple[MapContent, ...] = ()
    centre_nm: tuple[float, float] | None = None


@dataclass(frozen=True, eq=False)
class ScanMap:
    """One measured map, or a stack of them over energy.

    Attributes:
        name: file name, without folders.
        file_format: what it was read as, in words.
        sha256: hash of the file's content.
        values: channel name to array (energies, height, width), x to the right, y downwards; NaN = not measured. Values are in the
            units of the file (`units`), never rescaled beyond the calibration that the file states.
        units: channel name to unit, "" where the file has none.
        bias_mv: (energies,), NaN where the file does not say.
        channel_bias_mv: channel name to (layers,) energies of its own, where channels were measured at different ones (`energies`).
        pixel_size_nm: (dy, dx). Where the file does not say (`pixel_size_known` is False) it is (1.0, 1.0), so that lengths count
            pixels, and `notes` says so.
        pixel_size_known: whether the pixel size came from the file or from the user.
        angle_deg: rotation of the scan frame, degrees clockwise; the arrays are in the frame, not rotated back.
        centre_nm: (x, y) of the frame's centre in the scanner's coordinates, None where the file does not say (`scanner_frame`).
        metadata: header entries as text.
        notes: plain sentences on how the file was read, the warnings first.
        warnings: those of the notes that the user should act on: the file disagrees with itself, or does not say what it should.
    """

    name: str
    file_format: str
    sha256: str
    values: Mapping[str, MapArray]
    units: Mapping[str, str]
    bias_mv: NDArray[np.float64]
    pixel_size_nm: tuple[float, float]
    pixel_size_known: bool
    angle_deg: float = 0.0
    metadata: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    channel_bias_mv: Mapping[str, NDArray[np.float64]] = field(default_factory=dict)
    centre_nm: tuple[float, float] | None = None

    @property
    def channels(self) -> tuple[str, ...]:
        """Return the channel names in the order of the file."""
        return tuple(self.values)

    @property
    def shape(self) -> tuple[int, int]:
        """Return (height, width) in pixels."""
        height, width = next(iter(self.values.values())).shape[-2:]
        return int(height), int(width)

    @property
    def scanner_frame(self) -> ScannerFrame | None:
        """Return where the map lies in the scanner's coordinates, None where the file does not say."""
        if self.centre_nm is None or not self.pixel_size_known:
            return None
        return ScannerFrame(self.centre_nm, self.angle_deg, self.shape, self.pixel_size_nm)

    @cached_property
    def channel_choice(self) -> ChannelChoice:
        """Return the channel that is shown first, and whether the file leaves no other choice."""
        return choose_channel(self.values)

    @property
    def default_channel(self) -> str:
        """Return the dI/dV channel where there is one, else the first one that is not constant, forward and of several layers if any is."""
        return self.channel_choice.name

    @cached_property
    def complete(self) -> float:
        """Return the fraction of points of the default channel that were measured, in (0, 1]."""
        return float(np.mean(np.isfinite(self.values[self.default_channel])))

    def sentences(self, channel: str | None = None) -> tuple[str, ...]:
        """Return the notes as lines to print, the warnings marked as such; a doubt about the channel only where none was chosen."""
        doubt = doubt_about(self.channel_choice, self.channels) if channel is not None else ""
        return tuple(f"Warning: {note}" if note in self.warnings else note for note in self.notes if note != doubt or not doubt)

    def unit(self, channel: str | None = None) -> str:
        """Return the unit of a channel, "" where the file has none."""
        return self.units.get(self._channel(channel), "")

    def energies(self, channel: str | None = None) -> NDArray[np.float64]:
        """Return the energies of a channel's layers in mV, (layers,); NaN where the file does not say, or for a channel measured once."""
        name, own = self._channel(channel), self.channel_bias_mv.get(self._channel(channel))
        if own is not None:
            return own
        count = len(self.values[name])
        return self.bias_mv if len(self.bias_mv) == count else np.full(count, np.nan)

    def stack(self, channel: str | None = None) -> MapArray:
        """Return a channel as (energies, height, width); treat it as read-only.

        Raises:
            InputError: no channel of that name.
        """
        return self.values[self._channel(channel)]

    def layer(self, channel: str | None = None, bias_mv: float | None = None, index: int | None = None) -> MapArray:
        """Return one layer (height, width) of a channel as a new array.

        Args:
            channel: its name; None is the dI/dV channel where there is one, else the first.
            bias_mv: energy in mV; the nearest measured one within half a step is taken.
            index: number of the layer, from 0; negative counts from the end. Without bias_mv and index it is the first layer.
                A channel that was measured once (a topograph beside a stack) has only that layer, whatever the energy.

        Raises:
            InputError: no such channel, no such layer, both bias_mv and index given, or an energy that was not measured.
        """
        return np.array(self.stack(channel)[self.layer_index(channel, bias_mv, index)])

    def layer_index(self, channel: str | None = None, bias_mv: float | None = None, index: int | None = None) -> int:
        """Return the number, from 0, of the layer that `layer` takes; arguments and errors as there."""
        count = len(self.stack(channel))
        if bias_mv is not None and index is not None:
            raise InputError("layer takes bias_mv or index, not both; leave one out.")
        if count == 1 and len(self.bias_mv) > 1 and self._channel(channel) not in self.channel_bias_mv:
            return 0
        number = self._nearest_layer(self.energies(channel), bias_mv) if bias_mv is not None else (index or 0)
        if not -count <= number < count:
            raise InputError(f"index {number} is beyond the {count} layers of {self.name}; choose 0 to {count - 1}.")
        return number % count

    def with_pixel_size(self, pixel_size_nm: float | tuple[float, float]) -> ScanMap:
        """Return the same map with the pixel size, (dy, dx) in nm, that the user states."""
        notes = tuple(note for note in self.notes if note != SIZE_UNKNOWN)
        return replace(self, pixel_size_nm=require_pixel_size(pixel_size_nm), pixel_size_known=True, notes=notes)

    def _channel(self, channel: str | None) -> str:
        if channel is None:
            return self.default_channel
        if channel not in self.values:
            raise InputError(f"{self.name} has no channel {channel!r}; it has {', '.join(repr(name) for name in self.channels)}.")
        return channel

    def _nearest_layer(self, energies: NDArray[np.float64], bias_mv: float) -> int:
        known = np.isfinite(energies)
        if not known.any():
            raise InputError(f"{self.name} does not say at which bias it was measured; choose a layer by index instead of bias_mv.")
        distance = np.where(known, np.abs(energies - bias_mv), np.inf)
        nearest = int(np.argmin(distance))
        steps = np.abs(np.diff(energies[known]))
        tolerance = max(_SINGLE_BIAS_TOLERANCE_MV, float(steps.max()) / 2 if steps.size else 0.0) * (1 + 1e-9)
        if not distance[nearest] <= tolerance:
            low, high = np.nanmin(energies), np.nanmax(energies)
            measured = f"at {low:.6g} mV" if low == high else f"from {low:.6g} to {high:.6g} mV"
            raise InputError(f"bias_mv = {bias_mv:.6g} was not measured in {self.name}; it was measured {measured}.")
        return nearest
