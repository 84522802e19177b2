"""What axe-core (WCAG 2) finds on an open page."""

from __future__ import annotations

from typing import Any

from axe_playwright_python.sync_playwright import Axe

_GRAVE = ("serious", "critical")
_INACTIVE = """targets => targets.map(target => {
    const widget = document.querySelector(target)?.closest("[class*=st-key-]")
    return Boolean(widget?.querySelector("input:disabled, button:disabled, [aria-disabled=true]"))
})"""


def grave_findings(page: Any) -> list[str]:
    """Return the serious and critical findings; the contrast of controls that cannot be used now is nobody's concern (WCAG 1.4.3)."""
    found = []
    for violation in Axe().run(page).response["violations"]:
        if violation["impact"] not in _GRAVE:
            continue
        nodes = violation["nodes"]
        if violation["id"] == "color-contrast":
            inactive = page.evaluate(_INACTIVE, [node["target"][-1] for node in nodes])
            nodes = [node for node, unused in zip(nodes, inactive, strict=True) if not unused]
        found += [f"{violation['id']}: {node['html'][:120]} {node['failureSummary'][:200]}" for node in nodes]
    return found
