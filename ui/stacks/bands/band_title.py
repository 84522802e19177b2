"""What kinds of bands are called on the page."""

from __future__ import annotations


def band_title(name: str) -> str:
    """Return `Free electron` for `free-electron`."""
    return name.replace("-", " ").capitalize()
