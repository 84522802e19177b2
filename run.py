"""Start the application, its tests or its command line: python run.py app | test | setup | extract | stack | ...

Needs nothing but Python 3.11 or newer: the first start makes the environment .venv beside this file and installs
requirements.txt into it; later starts find a stamp (the hash of what is required) and go straight on.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import tomllib
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent
CHECKS = ROOT.parent / "shared" / "checks"
OLDEST_PYTHON = (3, 11)
COMMANDS = ("extract", "stack", "dataset", "train", "evaluate", "benchmark", "paper", "atlas")
FAST = "--fast"
TWO_PROCESSES = ("--numprocesses=2", "--dist=loadfile", "--no-loadscope-reorder")
"""Whole files in their own order, so that the browser's, which mostly wait, begin first."""

ONE_PROCESS = frozenset(("-s", "-x", "--pdb", "--exitfirst", "--stepwise", "--sw", "--collect-only", "--co"))
"""Arguments of pytest that need its own process, or make sense in it alone."""
USAGE = """usage: python run.py COMMAND [arguments]

  app [streamlit arguments]   open the application in the browser, for example: python run.py app --server.port 8600
  test [pytest arguments]     ruff, mypy and the tests, for example: python run.py test -k dataset
  test --fast                 the same without the tests that train, solve large maps or drive a browser: under two minutes
  setup [--dev]               only make the environment .venv (--dev: with the test tools)
  extract, stack, dataset, train, evaluate, benchmark ...
                              the command line of qpi_core inside that environment; each has --help
"""


class Environment:
    """Keep one virtual environment equal to the requirements files of a project folder."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.folder = root / ".venv"
        self.python = self.folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
        self.unfinished = self.folder / "unfinished-install"

    def ensure(self, dev: bool = False) -> None:
        """Install what is missing; do nothing where the stamp says that everything is there.

        An install that was interrupted leaves its marker behind and is made again from nothing, because pip does not
        notice a package whose files were only partly copied.
        """
        kinds = ("app", "dev") if dev else ("app",)
        usable = not self.unfinished.exists() and self._answers()
        if usable and self._stamp(kinds[-1]).is_file() and self._stamp(kinds[-1]).read_text() == self._wanted(kinds[-1]):
            return
        print(f"Setting up {self.folder.name}: the first time this downloads the packages and takes some minutes.", flush=True)
        if not usable:
            self._create()
        self.unfinished.touch()
        requirements = self._files(kinds[-1])[-1]
        command = [str(self.python), "-m", "pip", "install", "--disable-pip-version-check", "-r", str(requirements)]
        if subprocess.call(command, cwd=self.root) != 0:
            sys.exit("The packages could not be installed (pip's message is above). Check network and free disk space, then start again.")
        for kind in kinds:
            self._stamp(kind).write_text(self._wanted(kind))
        self.unfinished.unlink()

    def _answers(self) -> bool:
        """Say whether the environment's interpreter starts: it does not after the Python it came from was removed."""
        if not self.python.exists():
            return False
        try:
            return subprocess.run([str(self.python), "-c", "import pip"], capture_output=True, check=False).returncode == 0
        except OSError:
            return False

    def _create(self) -> None:
        try:
            venv.EnvBuilder(clear=True, with_pip=True, symlinks=os.name != "nt").create(self.folder)
        except (OSError, subprocess.CalledProcessError) as error:
            sys.exit(
                f"The environment {self.folder.name} could not be made: {error}. On Debian and Ubuntu install python3-venv; "
                f"otherwise close programs that use {self.folder.name} and check that this folder can be written."
            )

    def _files(self, kind: str) -> list[Path]:
        names = ["requirements.txt", "requirements-dev.txt"] if kind == "dev" else ["requirements.txt"]
        return [self.root / name for name in names]

    def _stamp(self, kind: str) -> Path:
        return self.folder / f"installed-{kind}.sha256"

    def _wanted(self, kind: str) -> str:
        project = tomllib.loads((self.root / "pyproject.toml").read_text(encoding="utf-8")).get("project", {})
        described = json.dumps(project, sort_keys=True).encode()
        return hashlib.sha256(b"\0".join([described, *(path.read_bytes() for path in self._files(kind))])).hexdigest()


def call(command: list[str], cwd: Path | None = None) -> int:
    """Run a program to its end and return its exit status; Ctrl+C goes to the program, which shuts down by itself."""
    # The package is found whatever folder the command was given in; user paths stay relative to that folder.
    paths = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    with subprocess.Popen(command, cwd=cwd, env={**os.environ, "PYTHONPATH": paths}) as process:
        while True:
            try:
                return process.wait()
            except KeyboardInterrupt:
                continue


def run_app(python: str, arguments: list[str]) -> int:
    # Streamlit reads .streamlit/config.toml from the working folder.
    return call([python, "-m", "streamlit", "run", "app.py", *arguments], cwd=ROOT)


def run_tests(python: str, arguments: list[str]) -> int:
    """Run every check even when an earlier one failed, so that one run shows all there is to mend.

    The whole suite runs in two processes, each test file in one of them; chosen files run in one, where they start at once. The checks
    beside the project do not say which of them are slow: --fast leaves them out.
    """
    fast = ["-m", "not slow"] if FAST in arguments else []
    arguments = [argument for argument in arguments if argument != FAST]
    chosen = any((ROOT / argument.split("::")[0]).exists() for argument in arguments if not argument.startswith("-"))
    # The checks are few long files: begun last, they would leave one of the two processes without work at the end.
    targets = [] if chosen else [*([str(CHECKS)] if CHECKS.is_dir() and not fast else []), "tests"]
    workers = [] if chosen or not ONE_PROCESS.isdisjoint(arguments) else list(TWO_PROCESSES)
    steps = {
        "ruff": ["ruff", "check", "."],
        "mypy": ["mypy", "--strict", "qpi_core", "ui", "app.py"],
        "pytest": ["pytest", "-c", "pyproject.toml", "--rootdir", ".", *workers, *fast, *targets, *arguments],
    }
    failed = []
    for name, step in steps.items():
        print(f"== {name}", flush=True)
        if call([python, "-m", *step], cwd=ROOT) != 0:
            failed.append(name)
    if failed:
        print(f"Failed: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


def require_python(version: tuple[int, int]) -> None:
    if version < OLDEST_PYTHON:
        sys.exit(
            f"This needs Python {OLDEST_PYTHON[0]}.{OLDEST_PYTHON[1]} or newer; it was started with Python {version[0]}.{version[1]}. "
            "Start it with a newer one, for example: python3.11 run.py app"
        )


def main(arguments: list[str]) -> int:
    require_python(sys.version_info[:2])
    command, rest = (arguments[0], arguments[1:]) if arguments else ("", [])
    if command in ("-h", "--help", "help"):
        print(USAGE)
        return 0
    if command not in ("app", "test", "setup", *COMMANDS):
        print(USAGE, file=sys.stderr)
        return 2
    environment = Environment(ROOT)
    environment.ensure(dev=command == "test" or (command == "setup" and "--dev" in rest))
    python = str(environment.python)
    if command == "app":
        return run_app(python, rest)
    if command == "test":
        return run_tests(python, rest)
    if command == "setup":
        print(f"{environment.folder.name} is ready.")
        return 0
    return call([python, "-m", "qpi_core", command, *rest])


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit("Stopped. Start again to go on.")
