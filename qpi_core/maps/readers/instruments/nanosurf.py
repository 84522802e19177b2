"""Nanosurf scans (.nid): sections of "key=value", the mark #!, then the channels of all sections as integers, one after the other.

Layout as in Nanosurf's own reader NSFopen: value = minimum + range (n + 2^(bits - 1)) / 2^bits of signed n, the bottom row first.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from qpi_core.base.errors import InputError
from qpi_core.maps.channel_parts import content_of_parts
from qpi_core.maps.readers.shared.limits import require_plausible_size
from qpi_core.maps.readers.shared.names import decoded
from qpi_core.maps.readers.shared.two_statements import two_energies
from qpi_core.maps.readers.shared.units import mv_per_unit, nm_per_unit
from qpi_core.maps.scan_map import MapContent

NID_MAGIC = b"[DataSet]"
_DATA_MARK = b"\n#!"
_MOST_CHANNELS = 1000
_BIAS = re.compile(r"(?:sample |tip |gap |bias )?(?:voltage|bias)", re.IGNORECASE)
_QUANTITY = re.compile(r"\s*([-+]?[0-9]*\.?[0-9]+(?:[eE][-+]?[0-9]{1,2})?)\s*(\S*)")

Sections = dict[str, dict[str, str]]


@dataclass(frozen=True, eq=False)
class _Channel:
    """One image; see ChannelPart."""

    title: str
    unit: str
    values: NDArray[np.float64]
    bias_mv: NDArray[np.float64]
    pixel_size_nm: tuple[float, float] | None
    angle_deg: float = 0.0


def read_nid(content: bytes, name: str) -> MapContent:
    """Read the images of a scan, forward and backward; curves at points are left out. Pixels that are not there are NaN.

    Raises:
        InputError: a header that is incomplete, no image, or no data at all.
    """
    end = content.find(_DATA_MARK, 0, 2**24)
    if end < 0:
        raise InputError(f"{name} begins as a Nanosurf file, but its header does not end; the file is cut off, so copy it again.")
    sections = _sections(decoded(content[:end]))
    bias, note, warnings = _bias(sections)
    channels = [channel for channel in _channels(content, end + len(_DATA_MARK), sections, bias, name) if np.isfinite(channel.values).any()]
    if not channels:
        raise InputError(f"{name} holds no image: its data are curves, or cut off. Load the file of the scan.")
    return replace(content_of_parts(channels, [note] if note else []), warnings=warnings)


def _sections(header: str) -> Sections:
    found: Sections = {}
    entries: dict[str, str] = {}
    for line in header.splitlines():
        text = line.strip()
        if text.startswith("[") and text.endswith("]"):
            entries = found.setdefault(text[1:-1], {})
        else:
            key, equals, value = text.partition("=")
            if equals:
                entries.setdefault(key.strip(), value.strip())
    return found


def _channels(content: bytes, start: int, sections: Sections, bias: float, name: str) -> Iterator[_Channel]:
    """Yield the images; the data of the sections follow each other in the order of the groups."""
    data_set = sections.get("DataSet", {})
    keys = sorted((key for key in data_set if re.fullmatch(r"Gr[0-9]{1,6}-Ch[0-9]{1,6}", key)), key=_numbers)
    if len(keys) > _MOST_CHANNELS:
        raise InputError(f"{name} declares {len(keys)} channels; at most {_MOST_CHANNELS} are read, so the header is damaged.")
    for key in keys:
        section = sections.get(data_set[key], {})
        width, height, bits = (_whole(section, entry, name) for entry in ("Points", "Lines", "SaveBits"))
        if bits not in (8, 16, 32):
            raise InputError(f"{name} stores values of {bits} bits; only 8, 16 and 32 are known for Nanosurf files.")
        frame = section.get("Frame", "")
        if "scan" in frame.lower() or (not frame and section.get("Dim1Name", "").startswith("Y")):
            values = _values(content, start, (height, width), bits, section, name)
            pitch = [_number(section.get(f"Dim{axis}Range", "")) for axis in (1, 0)]
            size = [pitch[k] / (height, width)[k] * nm_per_unit(section.get(f"Dim{1 - k}Unit", "")) for k in (0, 1)]
            direction = " [bwd]" if "backward" in frame.lower() else ""
            second = "2nd " if frame.lower().startswith("2nd") else ""
            unit = section.get("Dim2Unit", "")
            title = f"{second}{section.get('Dim2Name', '') or 'value'}{direction}{f' ({unit})' if unit else ''}"
            yield _Channel(title, unit, values, np.array([bias]), (size[0], size[1]) if all(side > 0 for side in size) else None)
        start += height * width * bits // 8


def _values(content: bytes, start: int, sides: tuple[int, int], bits: int, section: dict[str, str], name: str) -> NDArray[np.float64]:
    order = ">" if section.get("SaveOrder", "").lower().startswith("motorola") else "<"
    signed = not section.get("SaveSign", "").lower().startswith("unsigned")
    dtype = np.dtype(f"{order}{'i' if signed else 'u'}{bits // 8}")
    held = min(max(len(content) - start, 0) // dtype.itemsize, sides[0] * sides[1])
    require_plausible_size(name, sides, held)
    data = np.full(sides, np.nan)
    data.reshape(-1)[:held] = np.frombuffer(content, dtype, count=held, offset=min(start, len(content)))
    low, span = (_number(section.get(key, "")) for key in ("Dim2Min", "Dim2Range"))
    share = (data + (2.0 ** (bits - 1) if signed else 0.0)) / 2.0**bits
    values: NDArray[np.float64] = low + span * share if np.isfinite([low, span]).all() else data
    return values[np.newaxis, ::-1]


def _bias(sections: Sections) -> tuple[float, str, tuple[str, ...]]:
    """Return the bias of the sample or else of the tip in mV, a sentence on what the file calls it, and one where it gives two."""
    found: list[tuple[str, float, bool]] = []
    for entries in sections.values():
        for key, value in entries.items():
            match = _QUANTITY.match(value.replace(",", ".")) if _BIAS.fullmatch(key.strip().rstrip(":")) else None
            if match and not np.isnan(mv_per_unit(match[2])):
                found.append((key.strip(), float(match[1]) * mv_per_unit(match[2]), key.lower().startswith("tip")))
    if not found:
        return float("nan"), "", ()
    # Of the same bias the tip's voltage has the opposite sign of the sample's.
    name, bias, tip = min(found, key=lambda entry: entry[2])
    others = [(f"{other} seen from the sample", -value) if of_tip != tip else (other, value) for other, value, of_tip in found]
    differing = tuple(dict.fromkeys(text for other, value in others for text in two_energies(name, bias, other, value)))
    return bias, "The bias is the tip voltage as the file gives it; the sample's has the opposite sign." if tip else "", differing


def _numbers(key: str) -> list[int]:
    return [int(number) for number in re.findall(r"[0-9]+", key)]


def _whole(section: dict[str, str], key: str, name: str) -> int:
    if not re.fullmatch(r"[0-9]{1,9}", section.get(key, "")) or int(section[key]) < 1:
        raise InputError(f"{name} has a channel without a usable entry {key!r} (a whole number is needed); the file is damaged.")
    return int(section[key])


def _number(text: str) -> float:
    try:
        return float(text.replace(",", "."))
    except ValueError:
        return float("nan")
