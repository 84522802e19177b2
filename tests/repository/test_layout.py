"""The size of what the house is built of: folders of at most twelve entries, modules of at most 300 lines, functions of at most eight
arguments."""

from __future__ import annotations

import ast
import subprocess
from collections import defaultdict
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MOST_ENTRIES, MOST_LINES, MOST_ARGUMENTS = 12, 300, 8
WHAT_PYTHON_ASKS_FOR = {"__init__.py", "__main__.py", "conftest.py", "py.typed"}
"""Files that are no subject of their own."""
LARGER_FOLDERS = {
    "qpi_core": "the layers of the import contract, one folder each",
    "ui": "one folder a page, and what pages share",
    "tests": "mirrors qpi_core and ui",
    "tests/ui": "mirrors ui",
    "docs": "one page a subject, and three folders",
    "docs/screens": "one picture a page and theme, shown by one list",
}
OF_THE_TESTS_ALONE = {
    "tests/browser": "whole pages in Chromium",
    "tests/repository": "what holds for all of it",
    "tests/maps/written": "writers of the files that readers are tested with",
    "tests/maps/readers/faulty_files": "every reader with files that are damaged, odd or none",
}
CONTRACT = {"extract", "extract_classes", "extract_blind", "extract_stack", "assess", "find_defects"}
"""Public functions whose keywords people outside rely on."""
STILL_LONGER = {"fit_harmonics"}
"""Nine arguments: those that every step of the harmonic solver begins with, and three switches."""
MODULES = sorted(path for folder in ("qpi_core", "ui", "pages") for path in (ROOT / folder).rglob("*.py"))


def arguments_of(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    listed = [one.arg for one in (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs)]
    return len(listed) - (listed[:1] in (["self"], ["cls"]))


@cache
def longer_lists(path: Path) -> dict[str, int]:
    """Return the functions of a module with more arguments than are allowed."""
    nodes = ast.walk(ast.parse(path.read_text(encoding="utf-8")))
    counts = {node.name: arguments_of(node) for node in nodes if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))}
    return {name: count for name, count in counts.items() if count > MOST_ARGUMENTS}


def entries() -> dict[str, set[str]]:
    """Return the names in each folder below the root, as the repository holds them."""
    found: dict[str, set[str]] = defaultdict(set)
    for name in repository_files():
        for folder in list(Path(name).parents)[:-1]:
            found[folder.as_posix()].add(Path(name).relative_to(folder).parts[0])
    return {folder: names - WHAT_PYTHON_ASKS_FOR for folder, names in found.items()}


def repository_files() -> list[str]:
    done = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        pytest.skip("not a git checkout")
    return [name for name in done.stdout.split("\0") if name and (ROOT / name).is_file()]


def test_a_folder_is_a_subject_of_at_most_twelve_entries():
    larger = {folder: len(names) for folder, names in entries().items() if len(names) > MOST_ENTRIES}
    assert set(larger) == set(LARGER_FOLDERS), f"{larger}; split a folder by subject, take an exception away that nothing needs any more"


def test_every_folder_of_the_code_says_what_it_is():
    folders = {path.parent for top in ("qpi_core", "ui", "benchmarks") for path in (ROOT / top).rglob("*.py")}
    for folder in folders:
        init = folder / "__init__.py"
        assert init.is_file() and ast.get_docstring(ast.parse(init.read_text(encoding="utf-8"))), folder.relative_to(ROOT)


def test_tests_mirror_the_code():
    own = set()
    for folder in (name for name in entries() if name.startswith("tests/")):
        mirrored = folder.removeprefix("tests/")
        if not any((ROOT / place).is_dir() for place in (f"qpi_core/{mirrored}", mirrored)):
            own.add(folder)
    assert own == set(OF_THE_TESTS_ALONE)


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_a_module_is_one_idea_of_at_most_300_lines(path: Path):
    text = path.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= MOST_LINES, f"{path.name} has {len(text.splitlines())} lines; split it by subject"
    longer = longer_lists(path)
    assert set(longer) <= CONTRACT | STILL_LONGER, f"{longer} in {path.name}: pass the dataclass that holds what belongs together"


def test_the_exceptions_are_still_needed():
    assert {name for path in MODULES for name in longer_lists(path)} == CONTRACT | STILL_LONGER
