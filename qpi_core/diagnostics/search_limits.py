"""How large and how small a map may be whose defects are to be found in it; apart, because a page asks before scipy is loaded."""

from __future__ import annotations

MOST_PIXELS = 2**17
"""Largest map that is searched, 362 x 362 pixels: memory and time grow with it."""
LEAST_SIDE = 24
"""Shortest side of a map in px in which a pattern and its repetition find room."""


def why_not_searched(height: int, width: int) -> str:
    """Return why a map of this size, in px, cannot be searched for defects, or ""."""
    if height * width > MOST_PIXELS:
        side = int(MOST_PIXELS**0.5)
        return f"The map has {width} x {height} pixels; up to {side} x {side} can be searched. Crop or resample it first."
    if min(height, width) < LEAST_SIDE:
        return f"The map of {width} x {height} pixels is too small: at least {LEAST_SIDE} x {LEAST_SIDE} are needed to find defects in it."
    return ""
