"""Files of the repository that its texts name are there, and each number lies beside the command that measured it."""

from __future__ import annotations

import json
import re

from tests.repository.test_layout import ROOT, repository_files

NAMED = re.compile(r"(?<![\w/.])(?:(?:benchmarks|docs|tests|pages|ui|qpi_core)/[\w./-]+\.(?:py|sh|json|md|png))\b")
TEXTS = {".md", ".py", ".sh", ".json", ".yml"}


def test_every_file_that_a_text_names_is_there():
    for name in repository_files():
        path = ROOT / name
        if path.suffix in TEXTS and path.stat().st_size < 2**20:
            named = NAMED.findall(path.read_text(encoding="utf-8"))
            assert not {one for one in named if not (ROOT / one).exists()}, name


def test_a_benchmark_file_names_the_command_beside_it():
    for path in (ROOT / "benchmarks").rglob("*.json"):
        content = json.loads(path.read_text(encoding="utf-8"))
        if isinstance(content, dict) and "python benchmarks/" in str(content.get("command")):
            script = ROOT / re.search(r"benchmarks/\S+\.py", content["command"])[0]
            assert script.parent == path.parent and script.is_file(), path.name
