"""`python -m qpi_core app`: the application in the browser."""

from __future__ import annotations

import argparse
import subprocess
import sys
from importlib.util import find_spec
from typing import Any

from qpi_core.base.errors import InputError
from qpi_core.base.places import shipped

DESCRIPTION = """\
Open the application in the browser: load a map, mark its defects or let them be found, and take the kernel home. It runs on this computer
and shows itself to no other one; what is given after the command goes to `streamlit run`, for example --server.port 8600 for another
port, or --server.headless true to open no browser. Ctrl+C ends it.
"""


def add_parser(subparsers: argparse._SubParsersAction[Any]) -> None:
    """Add the command `app`."""
    parser = subparsers.add_parser("app", help="open the application in the browser", description=DESCRIPTION)
    parser.add_argument("arguments", nargs=argparse.REMAINDER, help="options of `streamlit run`, for example --server.port 8600")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Start Streamlit and wait for its end; Ctrl+C goes to Streamlit, which shuts down by itself.

    Raises:
        InputError: the application's packages or files are not installed.
    """
    if find_spec("streamlit") is None or find_spec("plotly") is None:
        raise InputError('the application needs more packages than the command line: python -m pip install "qpi-kernels[app]".')
    script = shipped("app.py")
    if not script.is_file():
        raise InputError(f"the application's file {script} is missing; install the package again.")
    # Streamlit reads .streamlit/config.toml from the working folder.
    with subprocess.Popen([sys.executable, "-m", "streamlit", "run", script.name, *args.arguments], cwd=script.parent) as process:
        while True:
            try:
                return process.wait()
            except KeyboardInterrupt:
                continue
