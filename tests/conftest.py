"""How the tests are shared out between two processes: a file stays in one of them, and all browser tests with their one server too."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

BROWSER = Path(__file__).resolve().parent / "browser"

if os.environ.get("PYTEST_XDIST_WORKER"):
    # Two processes on two cores: more threads in each would only wait for each other. Set before NumPy and torch are loaded.
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ.setdefault(name, "1")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Give every test the name of the group that runs in one process; nothing where pytest-xdist is not in use."""
    if not config.pluginmanager.hasplugin("xdist"):
        return
    for item in items:
        group = "browser" if item.path.is_relative_to(BROWSER) else f"{item.path.parent.name}/{item.path.stem}"
        item.add_marker(pytest.mark.xdist_group(group))
