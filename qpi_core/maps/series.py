"""A stack from several scans: one file, or one pass of a file, for every energy, moved onto each other."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from qpi_core.base.errors import InputError
from qpi_core.maps.load import load_map
from qpi_core.maps.registration import Shift, find_shift, moved_back
from qpi_core.maps.scan_map import MapArray, ScanMap

_SAME_PITCH = 0.01
_SAME_ANGLE_DEG = 0.5
_STILL_PX = 0.02


def load_stack(
    paths: Sequence[str | Path],
    *,
    channel: str | None = None,
    pixel_size_nm: float | tuple[float, float] | None = None,
    bias_mv: Sequence[float] | None = None,
    align: bool = True,
) -> ScanMap:
    """Read several files of the same place as one stack, layers in the order of their energies.

    The first file stays where it is: positions on it hold for all layers. Every other one is moved onto the neighbour in energy that was
    moved before it, as their cross-correlation says (sub-pixel, by cubic splines); layers of one file move together. What is not covered
    by all files is NaN in all layers. A warning says how far each file was moved; one that has too little in common is left in place.

    Args:
        paths: two files or more; a file may hold several layers.
        channel: the channel of all of them; None is each file's default one.
        pixel_size_nm: pitch, one number or (dy, dx); overrides what the files say.
        bias_mv: one energy a file, for files of one layer that do not say; overrides them.
        align: False leaves every file where it is.

    Raises:
        InputError: fewer than two files, one that cannot be read, or files whose sizes, pixels, angles or units do not agree.
    """
    if isinstance(paths, str | Path) or len(paths) < 2:
        raise InputError("paths must be a list of at least two files; a single file is read by load_map.")
    if bias_mv is not None and len(bias_mv) != len(paths):
        raise InputError(f"bias_mv must hold one energy for each of the {len(paths)} files, but it holds {len(bias_mv)}.")
    biases = [None] * len(paths) if bias_mv is None else [float(bias) for bias in bias_mv]
    scans = [load_map(path, pixel_size_nm=pixel_size_nm, channel=channel, bias_mv=bias) for path, bias in zip(paths, biases, strict=True)]
    first = scans[0]
    for other in scans[1:]:
        _require_same_place(first, other, channel)
    shifts = _shifts(scans, channel) if align else [Shift(0.0, 0.0, 1.0, True)] * len(scans)
    layers, energies = [], []
    for scan, shift in zip(scans, shifts, strict=True):
        for layer, energy in zip(scan.stack(channel), scan.energies(channel), strict=True):
            layers.append(moved_back(layer, shift.dy, shift.dx) if _moves(shift) else np.asarray(layer, dtype=np.float64))
            energies.append(float(energy))
    bias = np.array(energies)
    order = np.argsort(bias, kind="stable") if np.isfinite(bias).all() else np.arange(len(bias))
    values = np.stack(layers)[order]
    warnings = [*_about_shifts(scans, shifts, align), *_about_energies(bias)]
    if not np.isfinite(values).all(axis=0).any():
        raise InputError("the files have no pixel in common that all of them measured; leave out those of another place.")
    # The same pixels in all layers: whatever is solved is then solved for all of them together.
    values[:, ~np.isfinite(values).all(axis=0)] = np.nan
    return _as_one(scans, channel, values, bias[order], warnings)


def _require_same_place(first: ScanMap, other: ScanMap, channel: str | None) -> None:
    if first.shape != other.shape:
        raise InputError(
            f"the files must have the same size in pixels: {first.name} has {first.shape[1]} x {first.shape[0]}, "
            f"{other.name} has {other.shape[1]} x {other.shape[0]}; resample or crop one of them."
        )
    if first.pixel_size_known and other.pixel_size_known and not np.allclose(first.pixel_size_nm, other.pixel_size_nm, rtol=_SAME_PITCH):
        raise InputError(
            f"the files must have the same pixel size: {first.name} has {first.pixel_size_nm[1]:.6g} nm, {other.name} has "
            f"{other.pixel_size_nm[1]:.6g} nm; give --pixel-size-nm if one of them is wrong."
        )
    turned = abs((first.angle_deg - other.angle_deg + 180) % 360 - 180)
    if turned > _SAME_ANGLE_DEG:
        raise InputError(f"{other.name} was scanned at an angle {turned:.3g} degrees from that of {first.name}; they cannot be moved only.")
    if first.unit(channel) != other.unit(channel):
        raise InputError(
            f"the files must hold the same quantity: {first.name} is in {first.unit(channel) or 'no unit'}, {other.name} in "
            f"{other.unit(channel) or 'no unit'}; choose one channel for all."
        )


def _shifts(scans: list[ScanMap], channel: str | None) -> list[Shift]:
    """Return the shift of every file relative to the first, each found against the neighbour in energy that is placed already."""
    middle = [float(np.nanmean(scan.energies(channel))) if np.isfinite(scan.energies(channel)).any() else np.nan for scan in scans]
    known = bool(np.isfinite(middle).all())
    placed: dict[int, Shift] = {0: Shift(0.0, 0.0, 1.0, True)}
    pending = sorted(range(1, len(scans)), key=lambda index: abs(middle[index] - middle[0]) if known else index)
    for index in pending:
        # Maps at energies far apart look less alike than neighbours do.
        near = min(placed, key=lambda other: abs(middle[other] - middle[index]) if known else abs(other - index))
        found = find_shift(_picture(scans[near], channel), _picture(scans[index], channel))
        before = placed[near]
        if found.trusted:
            placed[index] = Shift(before.dy + found.dy, before.dx + found.dx, found.correlation, True)
        else:
            placed[index] = Shift(0.0, 0.0, found.correlation, False)
    return [placed[index] for index in range(len(scans))]


def _picture(scan: ScanMap, channel: str | None) -> MapArray:
    """Return the layer of a file that its shift is found from: the one with the most measured pixels, in the middle of its energies."""
    stack = scan.stack(channel)
    measured = np.isfinite(stack).mean(axis=(1, 2))
    best = np.flatnonzero(measured == measured.max())
    return np.asarray(stack[best[len(best) // 2]])


def _moves(shift: Shift) -> bool:
    return max(abs(shift.dy), abs(shift.dx)) > _STILL_PX


def _about_shifts(scans: list[ScanMap], shifts: list[Shift], align: bool) -> list[str]:
    if not align:
        return []
    moved = [f"{scan.name} by ({-shift.dx:.2f}, {-shift.dy:.2f}) px" for scan, shift in zip(scans, shifts, strict=True) if _moves(shift)]
    left = [scan.name for scan, shift in zip(scans, shifts, strict=True) if not shift.trusted]
    sentences = []
    if moved:
        sentences.append(
            f"The scans were moved onto {scans[0].name}, as the maps themselves say (x, y): {'; '.join(moved)}. Pixels "
            "that one of them does not cover are left out of all; positions are those on the first file."
        )
    if left:
        sentences.append(f"Too little in common to be moved, left in place: {', '.join(left)}.")
    return sentences


def _about_energies(bias: NDArray[np.float64]) -> list[str]:
    if not np.isfinite(bias).all():
        return ["Not every file says at which bias it was measured; the layers are in the order of the files, without energies."]
    if len(np.unique(bias)) < len(bias):
        return ["Several layers were measured at the same bias; each is a layer of its own."]
    return []


def _as_one(
    scans: list[ScanMap], channel: str | None, values: NDArray[np.float64], bias: NDArray[np.float64], warnings: list[str]
) -> ScanMap:
    first = scans[0]
    own = [f"{scan.name}: {warning}" for scan in scans for warning in scan.warnings]
    said = tuple(dict.fromkeys([*warnings, *own]))
    notes = tuple(dict.fromkeys([*said, f"A stack of {len(values)} layers from {len(scans)} files.", *first.notes]))
    name = channel or first.default_channel
    return ScanMap(
        name=f"{first.name} and {len(scans) - 1} more",
        file_format=f"{first.file_format}, {len(scans)} files",
        sha256=hashlib.sha256("".join(scan.sha256 for scan in scans).encode()).hexdigest(),
        values={name: values},
        units={name: first.unit(channel)},
        bias_mv=bias,
        pixel_size_nm=first.pixel_size_nm,
        pixel_size_known=first.pixel_size_known,
        angle_deg=first.angle_deg,
        metadata=first.metadata,
        notes=notes,
        warnings=said,
        centre_nm=first.centre_nm,
    )
