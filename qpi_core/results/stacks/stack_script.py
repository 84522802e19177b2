"""Python code that makes the kernels of a stack again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from qpi_core.estimates.class_stack import StackResult, stacks_of
from qpi_core.estimates.stack_estimate import StackEstimate
from qpi_core.maps.preparation import Preparation
from qpi_core.results.script import preparation_lines


def stack_snippet(result: StackResult) -> str:
    """Return Python code that makes a solved stack again from its file or files.

    Names, channel, pixel size and preparation steps come from the provenance's "input" (see class_stack.with_source); positions and
    strengths are those that were given, also where the layers have moved them since, written to the last bit.

    Raises:
        InputError: a preparation step that is unknown.
    """
    first = next(iter(stacks_of(result).values()))
    provenance = first.provenance
    given = provenance.get("refinement", {}).get("given") or provenance.get("classes") or {}
    positions = np.array(given.get("positions_px", first.positions))
    weights = np.array(given.get("weights", first.weights))
    labels = provenance.get("classes", {}).get("classes")
    return (
        "\n".join(
            [
                "import numpy as np",
                "",
                "import qpi_core",
                "from qpi_core.workflows.prepared_stack import prepare_stack",
                "",
                *_stack_lines(provenance.get("input", {})),
                "positions = np.array(  # (x, y) in pixels of the prepared layers",
                "    [",
                *(f"        [{float(x)!r}, {float(y)!r}]," for x, y in positions),
                "    ]",
                ")",
                "result = qpi_core.extract_stack(",
                "    qpi_core.load_extractor(),",
                "    stack.values,",
                "    positions,",
                *([f"    classes={list(labels)!r},"] if labels else []),
                *(f"    {name}={value!r}," for name, value in _options(first, weights).items()),
                "    bias_mv=stack.bias_mv,",
                ")",
                *(_saved(result)),
            ]
        )
        + "\n"
    )


def _options(estimate: StackEstimate, weights: ArrayLike) -> dict[str, Any]:
    """Return the keywords of extract_stack that differ from the defaults, or are worth seeing."""
    asked: Mapping[str, Any] = estimate.provenance.get("options", {})
    options = {
        "method": estimate.method,
        "kernel_size": int(estimate.kernels.shape[-1]),
        "pixel_size_nm": None if estimate.pixel_size_nm is None else tuple(float(pitch) for pitch in estimate.pixel_size_nm),
        "weights": None if np.all(np.asarray(weights) == 1) else [float(weight) for weight in np.asarray(weights)],
        "refine_positions": asked.get("refine_positions") or None,
        "noise_model": "white" if asked.get("noise_model") == "white" else None,
        "refine_weights": asked.get("refine_weights") or None,
    }
    return {name: value for name, value in options.items() if value is not None}


def _saved(result: StackResult) -> list[str]:
    if isinstance(result, StackEstimate):
        return ['np.save("kernels.npy", result.kernels)']
    return ['np.savez("kernels.npz", **{name: estimate.kernels for name, estimate in result.estimates.items()})']


def _stack_lines(source: Mapping[str, Any]) -> list[str]:
    """Return the code that reads the layers and repeats their preparation."""
    scans, name, pitch = source.get("scans"), source.get("name", "stack.npy"), source.get("given_pixel_size_nm")
    size = "" if pitch is None else f", pixel_size_nm={pitch!r}"
    if scans:
        energies = source.get("scan_bias_mv")
        told = "" if energies is None else f", bias_mv={list(energies)!r}"
        channel = "" if source.get("channel") is None else f", channel={source['channel']!r}"
        read = f"scan = qpi_core.load_stack({list(scans)!r}{channel}{size}{told})"
    else:
        read = f"scan = qpi_core.load_map({name!r}{size})"
    steps = Preparation.from_json(source.get("steps") or []).to_json()
    return [
        read,
        *preparation_lines(steps),
        f"stack = prepare_stack(scan, {source.get('channel')!r}, preparation)",
    ]
