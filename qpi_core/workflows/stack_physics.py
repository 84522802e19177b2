"""What a stack is asked beyond its kernels, for the command line: bands, and whether its patterns are the set point's."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from qpi_core.base.errors import InputError
from qpi_core.estimates.band_model import BandComparison
from qpi_core.estimates.class_stack import NO_CLASS, StackResult
from qpi_core.estimates.stack_estimate import StackEstimate
from qpi_core.extraction.bands.band_model import BAND_MODELS, band_family, compare_band_models
from qpi_core.extraction.extractor import Extractor
from qpi_core.extraction.stacks.stack_extraction import extract_stack
from qpi_core.maps import ScanMap
from qpi_core.qspace.dispersion.set_point import LEAST_LAYERS, SetPointFindings, check_set_point
from qpi_core.qspace.surface_lattice import surface_lattice
from qpi_core.workflows.prepared_stack import PreparedStack

if TYPE_CHECKING:
    from qpi_core.workflows.stack_inputs import StackInputs


def require_band_input(
    models: Sequence[str],
    stack: PreparedStack,
    labels: tuple[str, ...] | None = None,
    lattice: tuple[float, float] | None = None,
) -> tuple[str, ...]:
    """Return the names of band models that can be fitted to a stack.

    Raises:
        InputError: no such model, a lattice's without a lattice, several classes, or pixel size or energies are not known; told before
            the layers are solved.
    """
    for model in models:
        if model not in BAND_MODELS:
            raise InputError(f"band must be one of {', '.join(BAND_MODELS)}, but it is {model!r}.")
        band_family(model, *(_in_rad(lattice) or ()))
    if len(set(models)) != len(models):
        raise InputError(f"band must name each model once, but it is {' '.join(models)}.")
    if labels is not None:
        raise InputError("a band model is fitted to one class of defects, but the list names several; leave --band out, or keep one class.")
    if stack.pixel_size_nm is None:
        raise InputError("a band needs the pixel size, which the file does not say; give --pixel-size-nm.")
    if not np.isfinite(stack.bias_mv).all():
        raise InputError("a band needs the energy of every layer, which the file does not say.")
    return tuple(models)


def _in_rad(lattice: Sequence[float] | None) -> tuple[float, float] | None:
    """Return lattice constant in nm and direction in rad."""
    return None if lattice is None else (float(lattice[0]), math.radians(lattice[1]))


def compare_bands(inputs: StackInputs, result: StackResult) -> BandComparison | None:
    """Fit the bands that were asked for to the layers of one class of defects."""
    names, pitch = inputs.settings.get("band_models"), inputs.stack.pixel_size_nm
    if not names or pitch is None:
        return None
    return compare_band_models(
        inputs.stack.values,
        result.positions,
        inputs.stack.bias_mv,
        pitch,
        models=names,
        weights=result.weights,
        lattice=_in_rad(inputs.settings.get("lattice")),
    )


def require_path(kind: str, lattice: Sequence[float] | None, stack: PreparedStack) -> str:
    """Return the kind of lattice whose points of high symmetry E(q) can be followed through.

    Raises:
        InputError: no lattice, one out of range, or pixel size or energies are not known.
    """
    if lattice is None:
        raise InputError("a path needs the lattice: give --lattice NM DEGREES with it.")
    surface_lattice(kind, lattice[0], orientation=math.radians(lattice[1]))
    if stack.pixel_size_nm is None or not np.isfinite(stack.bias_mv).all():
        raise InputError("a path needs the pixel size and the energy of every layer, which the file does not say.")
    return kind


def require_channels(channels: Sequence[str], scan: ScanMap, stack: PreparedStack, labels: tuple[str, ...] | None) -> tuple[str, ...]:
    """Return the names of channels that can be compared with the stack.

    Raises:
        InputError: no such channel, several classes, a stack without pixel size or with too few layers.
    """
    for name in channels:
        scan.stack(name)
    if labels is not None:
        raise InputError("the set point is checked for one class of defects, but the list names several; leave --set-point out.")
    if stack.pixel_size_nm is None:
        raise InputError("a check of the set point needs the pixel size, which the file does not say; give --pixel-size-nm.")
    if len(stack.values) < LEAST_LAYERS:
        raise InputError(f"a check of the set point needs at least {LEAST_LAYERS} layers, but this stack has {len(stack.values)}.")
    return tuple(channels)


def compare_channels(extractor: Extractor, inputs: StackInputs, result: StackResult) -> Mapping[str, SetPointFindings]:
    """Solve the other channels at the same defects by the same method, and compare; empty where it was not asked for."""
    names = inputs.settings.get("set_point")
    if names is None or not isinstance(result, StackEstimate) or result.pixel_size_nm is None:
        return {}
    others = {}
    for name in names:
        count = len(inputs.scan.stack(name))
        layers = [inputs.preparation.apply_to_scan(inputs.scan, name, index=index).values for index in range(count)]
        solved = extract_stack(
            extractor,
            np.stack(layers),
            result.positions,
            pixel_size_nm=result.pixel_size_nm,
            kernel_size=inputs.kernel_size,
            method=inputs.settings["method"],
            weights=result.weights,
            noise_model=inputs.settings["noise_model"],
        )
        others[name] = solved.kernels
    return {NO_CLASS: check_set_point(result.kernels, result.bias_mv, result.pixel_size_nm, others)}
