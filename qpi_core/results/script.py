"""Python code that makes an estimate again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qpi_core.estimates.estimate import KernelEstimate
from qpi_core.maps.preparation import Preparation


def python_snippet(estimate: KernelEstimate) -> str:
    """Return Python code that makes the estimate again from the map's file.

    Name, channel, layer, pixel size and preparation steps come from the provenance's "input" (see KernelEstimate.with_source);
    positions are written to the last bit. Defects that were found in the map are found again, unless it was the time, or the user, that
    ended the search for them: they are then listed, and their kernel is solved for.

    Raises:
        InputError: a preparation step that is unknown.
    """
    source = estimate.provenance.get("input", {})
    model = estimate.provenance.get("model") or {}
    search = estimate.provenance.get("blind") or {}
    if search.get("ended_by") == "search" or (search and not len(estimate.positions)):
        return _blind_snippet(estimate, search)
    classes = estimate.provenance.get("classes")
    positions, weights = estimate.positions, estimate.weights
    if classes:
        positions, weights = np.array(classes["positions_px"]), np.array(classes["weights"])
    # Strengths that the noise model found are an answer; asking again begins with the ones that were given.
    weights = np.array(estimate.provenance.get("noise_model", {}).get("given_weights", weights))
    plain = estimate.provenance.get("options", {}).get("noise_model") == "white"
    options = {
        "method": estimate.method,
        "kernel_size": estimate.kernel_size,
        "pixel_size_nm": estimate.pixel_size_nm,
        "weights": None if np.all(weights == 1) else [float(w) for w in weights],
        "noise_model": "white" if plain else None,
        "effort": estimate.provenance.get("effort", {}).get("chosen"),
    }
    lines = [
        "import numpy as np",
        "",
        "import qpi_core",
        "",
        *_observation_lines(source),
        *([_BROKEN_OFF[search.get("ended_by", "")]] if search.get("ended_by", "") in _BROKEN_OFF else []),
        *positions_lines(positions),
        f"extractor = qpi_core.load_extractor({_arguments({'name': model['name']} if model else {})})",
        f"{'estimates' if classes else 'estimate'} = extractor.{'extract_classes' if classes else 'extract'}(",
        "    observation,",
        "    positions,",
        *([f"    {list(classes['classes'])!r},"] if classes else []),
        *(f"    {name}={value!r}," for name, value in options.items() if value is not None),
        ")",
        *([f"estimate = estimates[{classes['class']!r}]"] if classes else []),
        'np.save("kernel.npy", estimate.kernel)',
    ]
    return "\n".join(lines) + "\n"


_BROKEN_OFF = {
    "time": "# Found in the map itself; the time limit ended that search, so it would not end at the same list everywhere.",
    "stop": "# Found in the map itself by a search that was stopped, so the list stands here.",
}


def _blind_snippet(estimate: KernelEstimate, search: dict[str, Any]) -> str:
    """Return Python code that finds defects and kernel again; of several kinds all, and takes the one that the estimate is of."""
    kind = (estimate.provenance.get("classes") or {}).get("class")
    name = "estimate" if kind is None else "found"
    options = {
        "kernel_size": estimate.kernel_size,
        "classes": None if kind is None else search["classes"],
        "pixel_size_nm": estimate.pixel_size_nm,
        "time_limit_s": search.get("time_limit_s"),
        "seed": search.get("seed"),
    }
    lines = [
        "import numpy as np",
        "",
        "import qpi_core",
        "",
        *_observation_lines(estimate.provenance.get("input", {})),
        f"{name} = qpi_core.load_extractor().extract_blind(",
        "    observation,",
        *(f"    {name}={value!r}," for name, value in options.items() if value is not None),
        ")",
        f"print({name}.trusted, {name}.reason)",
        *([] if kind is None else [f"estimate = found[{kind!r}]"]),
        'np.save("kernel.npy", estimate.kernel)',
        'np.save("positions.npy", estimate.positions)',
    ]
    return "\n".join(lines) + "\n"


def _observation_lines(source: dict[str, Any]) -> list[str]:
    """Return the code that reads the layer and repeats its preparation, where there was one.

    Raises:
        InputError: a step that is unknown.
    """
    chosen = {"channel": source.get("channel"), "index": source.get("layer_index")}
    layer = _arguments({key: value for key, value in chosen.items() if value is not None})
    name = repr(source.get("name", "map.npy"))
    steps = Preparation.from_json(source.get("steps") or []).to_json()
    if not steps:
        return [f"scan = qpi_core.load_map({name})", f"observation = scan.layer({layer})"]
    pitch = source.get("pixel_size_nm")
    size = f", pixel_size_nm={tuple(pitch)!r}" if pitch else ""
    return [
        f"scan = qpi_core.load_map({name}{size})",
        *preparation_lines(steps),
        f"observation = preparation.apply_to_scan(scan{', ' if layer else ''}{layer}).values",
    ]


def preparation_lines(steps: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the code that makes a preparation of steps, as JSON values."""
    return ["preparation = qpi_core.Preparation.from_json(", "    [", *(f"        {step!r}," for step in steps), "    ]", ")"]


def positions_lines(positions: NDArray[np.float64]) -> list[str]:
    """Return the code that holds positions, (n, 2) px, to the last bit."""
    rows = (f"        [{float(x)!r}, {float(y)!r}]," for x, y in positions)
    return ["positions = np.array(  # (x, y) in pixels", "    [", *rows, "    ]", ")"]


def _arguments(values: dict[str, Any]) -> str:
    return ", ".join(f"{name}={value!r}" for name, value in values.items())
