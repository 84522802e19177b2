"""Python code that makes an estimate again."""

from __future__ import annotations

from typing import Any

import numpy as np

from qpi_core.errors import InputError
from qpi_core.estimate import KernelEstimate


def python_snippet(estimate: KernelEstimate) -> str:
    """Return Python code that makes the estimate again from the map's file.

    Name, channel, layer and preparation steps come from the provenance's "input" (see KernelEstimate.with_source); positions are
    written to the last bit.

    Raises:
        InputError: a preparation step that has no code.
    """
    source = estimate.provenance.get("input", {})
    model = estimate.provenance.get("model") or {}
    options = {
        "method": estimate.method,
        "kernel_size": estimate.kernel_size,
        "pixel_size_nm": estimate.pixel_size_nm,
        "weights": None if np.all(estimate.weights == 1) else [float(w) for w in estimate.weights],
    }
    chosen = {"channel": source.get("channel"), "index": source.get("layer_index")}
    layer = {key: value for key, value in chosen.items() if value is not None}
    steps = [_step_line(step) for step in source.get("steps") or ()]
    lines = [
        "import numpy as np",
        "",
        "import qpi_core",
        *(["from qpi_core.maps import level"] if steps else []),
        "",
        f"scan = qpi_core.load_map({source.get('name', 'map.npy')!r})",
        f"observation = scan.layer({_arguments(layer)})",
        *steps,
        "positions = np.array(  # (x, y) in pixels",
        "    [",
        *(f"        [{float(x)!r}, {float(y)!r}]," for x, y in estimate.positions),
        "    ]",
        ")",
        f"extractor = qpi_core.load_extractor({_arguments({'name': model['name']} if model else {})})",
        "estimate = extractor.extract(",
        "    observation,",
        "    positions,",
        *(f"    {name}={value!r}," for name, value in options.items() if value is not None),
        ")",
        'np.save("kernel.npy", estimate.kernel)',
    ]
    return "\n".join(lines) + "\n"


def _step_line(step: dict[str, Any]) -> str:
    if step.get("step") != "level":
        raise InputError(f"the preparation step {step.get('step')!r} cannot be written as Python code; only 'level' can.")
    order = f", order={step['order']!r}" if "order" in step else ""
    return f"observation = level(observation, {step['kind']!r}{order})"


def _arguments(values: dict[str, Any]) -> str:
    return ", ".join(f"{name}={value!r}" for name, value in values.items())
