"""Where the files lie that belong to the project but are not code: models, documentation, the application."""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parents[1]
_CHECKOUT = _PACKAGE.parent
_IN_WHEEL = _PACKAGE / "application"


def shipped(name: str) -> Path:
    """Return the path of a file or folder of the project, which need not exist.

    In a checkout it stands beside the package, in an installed wheel inside of it (pyproject.toml, force-include).

    Args:
        name: of a file or folder at the top of the repository, such as "models" or "app.py".
    """
    return (_IN_WHEEL if _IN_WHEEL.is_dir() else _CHECKOUT) / name
