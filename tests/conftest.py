"""One thread for each of the two processes that the whole suite runs in (run.py), and what is said of tests that needed a second try."""

from __future__ import annotations

import os
from typing import Any

if os.environ.get("PYTEST_XDIST_WORKER"):  # before NumPy and torch are loaded: more threads would only wait for each other
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ.setdefault(name, "1")


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Say why a test was tried twice: a second try that passes must not hide a fault."""
    for report in terminalreporter.stats.get("rerun", []):
        terminalreporter.write_sep("_", f"first try of {report.nodeid}")
        terminalreporter.write_line(report.longreprtext[-3000:])
        for title, content in report.sections:
            if title.startswith("page"):
                terminalreporter.write_line(f"{title}: {content}")
