"""The documentation: its Python runs, its commands exist, and the app shows it."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest
from PIL import Image
from streamlit import get_option

from qpi_core.__main__ import main
from tests.ui.app_driver import ROOT, start
from ui.documentation.page import TITLES

PICTURES = re.compile(r"^!\[[^\]]+\]\(([\w/]+\.png)\)$", re.MULTILINE)
DOCUMENTS = sorted((ROOT / "docs").glob("*.md"))


LONG = ["python"]  # pages whose examples solve whole stacks


@pytest.mark.parametrize(
    "path",
    [pytest.param(path, marks=[pytest.mark.slow] if path.stem in LONG else [], id=path.stem) for path in DOCUMENTS],
)
def test_python_examples_run(path, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # what an example writes
    names: dict[str, object] = {}
    for block in re.findall(r"```python\n(.*?)```", path.read_text(encoding="utf-8"), re.DOTALL):
        exec(compile(block, path.name, "exec"), names)


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.stem)
def test_commands_and_options_exist(path, capsys):
    for line in re.findall(r"^python run\.py (.*)$", path.read_text(encoding="utf-8"), re.MULTILINE):
        command, *words = line.split("#")[0].split()
        if command == "app":
            assert all(get_option(word.removeprefix("--")) is not None for word in words if word.startswith("--")), line
            continue
        with pytest.raises(SystemExit) as stop:
            main([command, "--help"])
        text = capsys.readouterr().out
        assert stop.value.code == 0 and all(word in text for word in words if word.startswith("--")), line


def test_the_page_shows_every_document():
    app = start().switch_page("pages/documentation.py").run()
    assert {path.stem for path in DOCUMENTS} == set(TITLES)
    for name in TITLES:
        app.get_by_key("document").set_value(name).run()
        assert not app.exception
        shown = "".join(part.value for part in (*app.markdown, *app.code))
        text = (ROOT / "docs" / f"{name}.md").read_text(encoding="utf-8")
        blocks = [block.strip() for block in re.findall(r"```\w+\n(.*?)```", text, re.DOTALL)]
        assert text.splitlines()[0] in shown and all(block in shown for block in blocks)
        assert len(app.get("image")) == len(PICTURES.findall(text)), name


def test_every_picture_of_a_document_is_there():
    for path in DOCUMENTS:
        for place in PICTURES.findall(path.read_text(encoding="utf-8")):
            assert (ROOT / "docs" / place).stat().st_size < 150_000, place


def test_every_picture_of_a_page_is_shown_and_small():
    folder = ROOT / "docs" / "screens"
    shown = re.findall(r"\]\(([^)]+\.png)\)", (folder / "README.md").read_text(encoding="utf-8"))
    assert sorted(shown) == sorted(path.name for path in folder.glob("*.png"))
    for path in [*folder.glob("*.png"), ROOT / "docs" / "screenshot.png"]:
        assert path.stat().st_size < 150_000, path.name
        with Image.open(path) as picture:
            assert picture.width == 1280, path.name


@pytest.mark.slow
def test_the_site_builds_without_a_warning(tmp_path):
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(tmp_path / "site")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    page = (tmp_path / "site" / "reference" / "extraction" / "index.html").read_text(encoding="utf-8")
    assert "refine_positions" in page and "extract_classes" in page


def test_the_readme_is_short_and_names_what_it_leaves_out():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 150
    assert all(f"docs/{name}.md" in text for name in ("tutorial", "method", "python", "benchmarks", "paper", "training"))


def test_every_folder_of_the_package_is_explained():
    listed = set(re.findall(r"^\| `(\w+)/` \|", (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8"), re.MULTILINE))
    assert listed == {path.parent.name for path in (ROOT / "qpi_core").glob("*/__init__.py")}
