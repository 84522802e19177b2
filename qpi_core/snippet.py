"""Python code that makes an estimate again."""

from __future__ import annotations

from typing import Any

import numpy as np

from qpi_core.estimate import KernelEstimate


def python_snippet(estimate: KernelEstimate) -> str:
    """Return Python code that makes the estimate again from the map's file.

    Name, channel, layer and preparation come from the provenance's "input"; positions are written to the last bit.
    """
    source = estimate.provenance.get("input", {})
    model = estimate.provenance.get("model") or {}
    options = {
        "method": estimate.method,
        "kernel_size": estimate.kernel_size,
        "pixel_size_nm": estimate.pixel_size_nm,
        "weights": None if np.all(estimate.weights == 1) else [float(w) for w in estimate.weights],
    }
    layer = {key: source[key] for key in ("channel", "bias_mv", "index") if source.get(key) is not None}
    if "index" in layer:
        # One of the two is enough, and the index is exact.
        layer.pop("bias_mv", None)
    level = source.get("level")
    levelled = level not in (None, "none")
    lines = [
        "import numpy as np",
        "",
        "import qpi_core",
        *(["from qpi_core.maps import level"] if levelled else []),
        "",
        f"scan = qpi_core.load_map({source.get('name', 'map.npy')!r})",
        f"observation = scan.layer({_arguments(layer)})",
        *([f"observation = level(observation, {level!r})"] if levelled else []),
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


def _arguments(values: dict[str, Any]) -> str:
    return ", ".join(f"{name}={value!r}" for name, value in values.items())
