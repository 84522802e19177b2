"""The examples in the docstrings of the public interface run, and every public function has one."""

from __future__ import annotations

import doctest
import importlib
import inspect
import pkgutil
from types import ModuleType

import pytest

import qpi_core

FUNCTIONS = ("assess", "extract_stack", "find_defects", "load_map", "load_positions", "phenomenological_kernel", "simulate_observation")
METHODS = ("extract", "extract_classes")


def modules_with_examples() -> list[str]:
    """Return the modules whose source holds an example."""
    names = [found.name for found in pkgutil.walk_packages(qpi_core.__path__, "qpi_core.") if not found.name.endswith("__main__")]
    return [name for name in names if ">>> " in _source(name)]


def _source(name: str) -> str:
    specification = importlib.util.find_spec(name)
    assert specification is not None and specification.origin is not None
    with open(specification.origin, encoding="utf-8") as file:
        return file.read()


@pytest.mark.parametrize("name", modules_with_examples())
def test_examples_run(name: str):
    module: ModuleType = importlib.import_module(name)
    outcome = doctest.testmod(module)
    assert outcome.attempted and not outcome.failed


def test_the_public_interface_has_examples():
    documented = [getattr(qpi_core, name) for name in FUNCTIONS] + [getattr(qpi_core.Extractor, name) for name in METHODS]
    missing = [one.__qualname__ for one in documented if ">>> " not in (inspect.getdoc(one) or "")]
    assert not missing
