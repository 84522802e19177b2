"""The table of benchmarks/app/times.py: what was measured, what was wanted, under which load; printed and put into docs/benchmarks.md."""

from __future__ import annotations

from typing import Any

Row = tuple[str, str, str, str]
HEADER = ("What a user waits for", "Measured", "Wanted", "Load")


def rows(content: dict[str, Any]) -> list[Row]:
    """Return (what, measured, wanted, load before it) of the parts in times.json."""
    found: list[Row] = []
    if first := content.get("first_page"):
        pages = f"{first['new_server_s']} s, in the next session {first['second_session_s']} s"
        found.append(("first page of a new server", pages, "2 s", _load(first)))
    if example := content.get("example"):
        once = f"{_job(example['first'])}; once more {_job(example['again'])}"
        found.append(("the example's kernel, from the click", once, "4 s", _load(example)))
    if marker := content.get("marker"):
        times = f"{marker['median_ms']} ms in the median, at most {marker['longest_ms']} ms"
        found.append((f"click to the new mark, {marker['marks']} marks", times, "100 ms", _load(marker)))
    if stack := content.get("stack"):
        for name, one in stack["switch_ms"].items():
            times = f"{one['later']} ms, the first time {one['first']} ms"
            found.append((f"to {name}, a stack of {stack['layers']} layers running", times, "300 ms", _load(stack)))
        found.append(("Cancel of that stack", f"{stack['cancel_stack_s']} s", "2 s", _load(stack)))
        found.append(("Cancel of a search for defects", f"{stack['cancel_search_s']} s", "2 s", _load(stack)))
    if scan := content.get("scan_to_verdict"):
        found.append(("measured scan on disk to verdict, 512 x 512", _job(scan), "15 s", _load(scan)))
    return found


def _job(one: dict[str, float]) -> str:
    return f"{one['s']} s ({one['server_cpu_s']} s of CPU)"


def _load(part: dict[str, Any]) -> str:
    return str(part["load_before"])
