"""One thread for each of the two processes that the whole suite runs in (run.py): more would only wait for each other."""

from __future__ import annotations

import os

if os.environ.get("PYTEST_XDIST_WORKER"):  # before NumPy and torch are loaded
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ.setdefault(name, "1")
