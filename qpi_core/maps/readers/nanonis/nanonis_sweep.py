"""The energies of a Nanonis grid (.3ds): what its header, its parameters and its bias channel say, and which of them is taken.

A header keeps settings of earlier measurements, such as the segments of a multi-line sweep beside a linear one, so a source counts only
where the file says that this kind of sweep was made. Where two sources disagree, a warning names both.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Energies = NDArray[np.float64]

_LINEAR, _MULTI_LINE = "linear", "multi-line"
_BIAS_CHANNEL = re.compile(r"^\s*bias(?!.*\[bwd\])", re.IGNORECASE)
_START, _END, _STEPS = "segment start", "segment end", "steps"
_MOST_SEGMENTS = 1000
_UNKNOWN_SUM = "The segments of this multi-line sweep do not add up to its points"


@dataclass(frozen=True, eq=False)
class Sweep:
    """Energies of the layers in mV, NaN where nothing says them, with what to know and what to beware of."""

    bias_mv: Energies
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class _Source:
    """One statement on the energies: its name in words, (points,) in mV or (0,) where it has other points, and its range in words."""

    name: str
    bias_mv: Energies
    words: str

    @property
    def fits(self) -> bool:
        return self.bias_mv.size > 0


@dataclass(frozen=True, eq=False)
class SweptData:
    """The records of a grid: (points of the grid, record) values, the parameters first, then the sweeps of all channels.

    Attributes:
        records: (height * width, parameter_count + channels * points), NaN where not measured.
        parameters: names of the first parameters of each record; some may have none.
        parameter_count: how many numbers stand before the sweeps.
        channels: names.
        points: of one sweep.
    """

    records: NDArray[np.float32]
    parameters: Sequence[str]
    parameter_count: int
    channels: Sequence[str]
    points: int


def sweep_energies(header: Mapping[str, str], data: SweptData) -> Sweep:
    """Return the energies of a sweep over the bias.

    Taken is the sweep that the file says it made (Filetype, else the sweep mode): linear from the recorded limits, or multi-line from the
    segments. A recorded bias channel is compared with it, and stands in where there is nothing else.
    """
    signal = header.get("Sweep Signal", "")
    unknown = np.full(data.points, np.nan)
    if "bias" not in signal.lower():
        return Sweep(unknown, (f"The sweep was over {signal or 'an unnamed signal'}, not over the bias: the layers have no energy.",))
    volts = 1e-3 if "(mv)" in signal.lower() else 1.0
    limits, warnings = _recorded_limits(data, volts)
    header_limits = _header_limits(header, data.points)
    linear = limits or header_limits
    segments = _segments(header, data.points)
    recorded = _bias_channel(data)
    kind, words = _kind_of_sweep(header, linear, segments, recorded)
    taken, others = (segments, [linear]) if kind == _MULTI_LINE else (linear, [segments, header_limits])
    if taken is None or not taken.fits:
        missing = _UNKNOWN_SUM if kind == _MULTI_LINE else "The sweep's start and end are missing"
        if recorded is None or not _follows_a_sweep(recorded):
            return Sweep(unknown, warnings=(*warnings, f"{missing}: the layers have no energy; choose them by number."))
        return Sweep(recorded.bias_mv, warnings=(*warnings, f"{missing}: the energies are those of {recorded.name} ({recorded.words})."))
    differing = [other for other in [*others, recorded] if other is not None and other is not taken and not _agree(taken, other)]
    warnings += [
        f"{_capital(other.name)} ({other.words}) does not agree with {taken.name} ({taken.words}); {words}, so the latter was taken."
        for other in differing
    ]
    return Sweep(taken.bias_mv, warnings=tuple(warnings))


def _kind_of_sweep(
    header: Mapping[str, str], linear: _Source | None, segments: _Source | None, recorded: _Source | None
) -> tuple[str, str]:
    """Return linear or multi-line, and how the file says it; where it does not, the one that the recorded bias or the limits bear out."""
    for key in ("Filetype", *(key for key in header if key.rpartition(">")[2].strip().lower() == "sweep mode")):
        stated = header.get(key, "").strip()
        word = re.sub(r"[^a-z]", "", stated.lower())
        if word.startswith(("mls", "multi", "segment")):
            return _MULTI_LINE, f"the file says {key}={stated}"
        if word.startswith("lin"):
            return _LINEAR, f"the file says {key}={stated}"
    words = "the file does not say which sweep it made"
    if segments is None or not segments.fits:
        return _LINEAR, words
    if linear is None or not linear.fits:
        return _MULTI_LINE, words
    if recorded is not None and _follows_a_sweep(recorded):
        misses = [float(np.abs(source.bias_mv - recorded.bias_mv).max()) for source in (linear, segments)]
        return (_LINEAR if misses[0] <= misses[1] else _MULTI_LINE), f"{words}, and {recorded.name} bears it out"
    ends = np.abs(segments.bias_mv[[0, -1]] - linear.bias_mv[[0, -1]]).max()
    return (_MULTI_LINE if ends <= _tolerance(linear.bias_mv) else _LINEAR), words


def _recorded_limits(data: SweptData, volts: float) -> tuple[_Source | None, list[str]]:
    """Return the even sweep between the limits that stand with every point, and a warning where they differ between points.

    Args:
        data: the records.
        volts: how many V the unit of the limits is.
    """
    names = [name.lower().removeprefix("sweep ") for name in data.parameters] or ["start", "end"]  # files without names begin so
    places = [next((i for i, name in enumerate(names) if name.startswith(key)), data.parameter_count) for key in ("start", "end")]
    if max(places) >= data.parameter_count:
        return None, []
    limits = data.records[:, places].astype(np.float64)
    limits = limits[np.isfinite(limits).all(axis=1)]
    if not len(limits) or not limits.any():
        return None, []
    start, end = (volts * float(str(np.float32(limit))) for limit in limits[0])  # 0.2 V was stored in single precision: 200 mV it is
    source = _even("the sweep from start to end recorded with every point", start, end, data.points)
    different = int((np.abs(limits - limits[0]).max(axis=1) > 1e-6).sum())
    sentence = f"The sweep's limits differ between points: {different} of {len(limits)} points have others than the first."
    return source, [sentence] if different else []


def _header_limits(header: Mapping[str, str], points: int) -> _Source | None:
    """Return the sweep between the start and end of the settings in the header."""
    named = {key.rpartition(">")[2].strip().lower(): value for key, value in header.items()}
    try:
        start, end = (float(named[key]) for key in ("sweep start (v)", "sweep end (v)"))
    except (KeyError, ValueError):
        return None
    return _even("the sweep from start to end in the header's settings", start, end, points)


def _even(name: str, start_v: float, end_v: float, points: int) -> _Source | None:
    if not (np.isfinite(start_v) and np.isfinite(end_v)):
        return None
    return _Source(name, np.linspace(start_v, end_v, points) * 1e3, _range(start_v * 1e3, end_v * 1e3))


def _segments(header: Mapping[str, str], points: int) -> _Source | None:
    """Return the sweep of the table of segments, "start,end,settling,integration,steps,...;...", its columns named by the key.

    Nanonis stores the energy that two segments share once; sweeps with a gap between segments store both ends.
    """
    key = next((key for key in header if re.search(rf"{_START} \(m?v\)", key.lower())), None)
    if key is None:
        return None
    volts = 1e-3 if f"{_START} (mv)" in key.lower() else 1.0
    titles = [title.rpartition(":")[2].strip().lower() for title in key.split(",")]
    columns = [next((i for i, title in enumerate(titles) if title.startswith(name)), None) for name in (_START, _END, _STEPS)]
    rows = [row.split(",") for row in header[key].split(";")[:_MOST_SEGMENTS] if row.strip()]
    try:
        table = np.array([[float(row[column]) for column in columns if column is not None] for row in rows], dtype=np.float64)
    except (ValueError, IndexError):
        return None
    if table.ndim != 2 or table.shape[1] != 3 or not np.isfinite(table).all() or (table[:, 2] != np.round(table[:, 2])).any():
        return None
    table[:, :2] *= volts
    parts = "one segment" if len(table) == 1 else f"{len(table)} segments"
    words = f"{_range(table[0, 0] * 1e3, table[-1, 1] * 1e3)} in {parts} of {int(table[:, 2].sum())} points"
    return _Source("the header's table of segments", _joined(table, points), words)


def _joined(table: Energies, points: int) -> Energies:
    """Return the energies in mV of segments (start, end, steps), empty where they do not give the points."""
    steps = table[:, 2]
    shares = np.concatenate([[False], table[1:, 0] == table[:-1, 1]])
    if (steps < 1).any() or points not in (steps.sum() - shares.sum(), steps.sum()):
        return np.empty(0)
    if points == steps.sum():
        shares[:] = False
    pieces = [np.linspace(start, end, int(count))[int(shared) :] for (start, end, count), shared in zip(table, shares, strict=True)]
    joined: Energies = np.concatenate(pieces) * 1e3
    return joined


def _bias_channel(data: SweptData) -> _Source | None:
    """Return the mean of the recorded bias over all points that were measured."""
    number = next((i for i, channel in enumerate(data.channels) if _BIAS_CHANNEL.search(channel)), None)
    if number is None:
        return None
    first = data.parameter_count + number * data.points
    values = data.records[:, first : first + data.points]
    values = values[np.isfinite(values).all(axis=1)]
    if not len(values):
        return None
    factor = 1.0 if "(mv)" in data.channels[number].lower() else 1e3
    with np.errstate(over="ignore", invalid="ignore"):
        mean = values.mean(axis=0, dtype=np.float64) * factor
    if not np.isfinite(mean).all():
        return None
    words = f"constant at {mean.mean():.6g} mV" if np.ptp(mean) < 1e-3 * max(1.0, abs(mean[0])) else _range(float(mean[0]), float(mean[-1]))
    return _Source(f"the recorded channel {data.channels[number].strip()!r}", mean, words)


def _follows_a_sweep(source: _Source) -> bool:
    """Say whether the energies go one way all along, but for a little noise."""
    values = source.bias_mv
    if len(values) < 2:
        return True
    span, steps = values[-1] - values[0], np.diff(values)
    return bool(abs(span) > 1e-3 * max(1.0, float(np.abs(values).max())) and (steps * np.sign(span) > 0).mean() > 0.9)


def _agree(taken: _Source, other: _Source) -> bool:
    if not other.fits:
        return False
    return bool(np.abs(taken.bias_mv - other.bias_mv).max() <= _tolerance(taken.bias_mv))


def _tolerance(energies: Energies) -> float:
    """Return half a step, the difference that moves a layer to its neighbour."""
    return 0.5 * float(np.abs(np.diff(energies)).mean()) + 1e-3 if len(energies) > 1 else 0.5


def _range(start_mv: float, end_mv: float) -> str:
    return f"{start_mv:.6g} to {end_mv:.6g} mV"


def _capital(text: str) -> str:
    return text[0].upper() + text[1:]
