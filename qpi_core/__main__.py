"""The command line: `python -m qpi_core COMMAND`, one module of qpi_core.cli a command.

Bad input ends with one sentence on stderr and exit status 2, as does a wrong option.
"""

from __future__ import annotations

import argparse
import pkgutil
import sys
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path

from qpi_core import cli
from qpi_core.base.errors import InputError
from qpi_core.base.version import __version__

BAD_INPUT = 2
INTERRUPTED = 130


def build_parser() -> argparse.ArgumentParser:
    """Return the parser with a sub-command for each module of qpi_core.cli."""
    parser = argparse.ArgumentParser(prog=_called_as(), description="Scattering kernels from STM maps of quasiparticle interference.")
    parser.add_argument("--version", action="version", version=f"qpi_core {__version__}")
    subparsers = parser.add_subparsers(title="commands", dest="command", metavar="COMMAND", required=True)
    for module in (one for one in pkgutil.iter_modules(cli.__path__) if not one.ispkg):
        import_module(f"{cli.__name__}.{module.name}").add_parser(subparsers)
    return parser


def _called_as() -> str:
    """Return how the command line was started: by the installed script, or as a module."""
    return "qpi" if Path(sys.argv[0]).stem == "qpi" else "python -m qpi_core"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return its exit status: 0 done, 2 bad input, 130 interrupted."""
    args = build_parser().parse_args(arguments)
    try:
        return int(args.run(args))
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return BAD_INPUT
    except MemoryError:
        print("error: the map is too large for this machine's memory; crop or resample it first.", file=sys.stderr)
        return BAD_INPUT
    except OSError as error:
        # Commands check what they can beforehand; a disk that fills up or goes away is met here.
        print(f"error: {error.filename or 'a file'} cannot be read or written ({error.strerror or error}); check it.", file=sys.stderr)
        return BAD_INPUT
    except KeyboardInterrupt:
        print("Stopped.", file=sys.stderr)
        return INTERRUPTED


if __name__ == "__main__":
    sys.exit(main())
