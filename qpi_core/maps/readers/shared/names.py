"""Names and other text out of files: decoded whatever the encoding, and channel names that do not collide."""

from __future__ import annotations

import re
from collections.abc import Container


def decoded(text: bytes) -> str:
    """Return text that is UTF-8, or else Latin-1, in which older programs write their micro signs."""
    try:
        return text.decode("utf-8")
    except UnicodeDecodeError:
        return text.decode("latin-1")


def is_companion(member: str) -> bool:
    """Say whether a file in an archive only holds what the macOS Finder remembers of another one (__MACOSX/._name, .DS_Store)."""
    folders = re.split(r"[\\/]", member)
    return "__MACOSX" in folders or folders[-1].startswith("._") or folders[-1] == ".DS_Store"


def unique_name(name: str, taken: Container[str]) -> str:
    """Return the name, or "name #2", "name #3" ... where it is already taken."""
    if name not in taken:
        return name
    number = 2
    while f"{name} #{number}" in taken:
        number += 1
    return f"{name} #{number}"
