"""What holds for the repository as a whole: layers, light imports, safe loading, and a README whose commands exist."""

import ast
import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
BACKEND = sorted((ROOT / "qpi_core").rglob("*.py"))
SOURCES = [*BACKEND, ROOT / "run.py", ROOT / "app.py", *(ROOT / "ui").rglob("*.py"), *(ROOT / "pages").rglob("*.py")]
README = ROOT / "README.md"


def imports_of(path):
    """Every module that a file imports, wherever in the file."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or ""


def loaded_by(statement):
    """Names of the top-level packages that a fresh interpreter has loaded after a statement."""
    program = f"{statement}\nimport sys, json\nprint(json.dumps(sorted({{name.split('.')[0] for name in sys.modules}})))"
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True, timeout=300)
    return set(json.loads(done.stdout.splitlines()[-1]))


@pytest.mark.parametrize("path", BACKEND, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_backend_knows_nothing_of_the_application(path):
    roots = {name.split(".")[0] for name in imports_of(path)}
    assert not roots & {"streamlit", "ui", "pages", "app"}


@pytest.mark.slow
def test_backend_loads_without_streamlit():
    modules = [".".join(path.relative_to(ROOT).with_suffix("").parts) for path in BACKEND if not path.name.startswith("__")]
    loaded = loaded_by("import importlib\nfor name in " + repr(modules) + ": importlib.import_module(name)")
    assert "qpi_core" in loaded and "streamlit" not in loaded


@pytest.mark.parametrize(
    "statement",
    ["import qpi_core", "from qpi_core.extraction.methods import METHODS", "import qpi_core; qpi_core.phenomenological_kernel()"],
)
def test_light_parts_do_not_load_torch(statement):
    loaded = loaded_by(statement)
    assert not loaded & {"torch", "diffusers", "accelerate", "sklearn", "matplotlib"}


def test_every_public_name_is_listed():
    """What type checkers see under the package's name is what `from qpi_core import *` and the reference know of."""
    import qpi_core

    tree = ast.parse(Path(qpi_core.__file__).read_text(encoding="utf-8"))
    [block] = [node for node in tree.body if isinstance(node, ast.If)]
    assert {alias.asname for node in block.body for alias in node.names} == set(qpi_core.__all__)


def test_public_names_exist():
    import qpi_core

    assert {"load_map", "find_defects", "load_extractor", "phenomenological_kernel", "simulate_observation"} <= set(qpi_core.__all__)
    for name in qpi_core.__all__:
        assert getattr(qpi_core, name) is not None
    with pytest.raises(AttributeError, match="nothing_here"):
        _ = qpi_core.nothing_here


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_nothing_is_unpickled_or_swallowed(path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            given = {keyword.arg: getattr(keyword.value, "value", None) for keyword in node.keywords}
            assert given.get("allow_pickle") is not True
            assert given.get("weights_only") is not False
            assert given.get("unsafe_allow_html") is not True
        if isinstance(node, ast.ExceptHandler):
            assert node.type is not None, f"line {node.lineno}: an except without a type also swallows Ctrl+C"
    assert not {name.split(".")[0] for name in imports_of(path)} & {"pickle", "joblib", "dill"}


PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
EXTRAS = PROJECT["optional-dependencies"]


@pytest.mark.parametrize("requirement", sorted({*PROJECT["dependencies"], *(line for extra in EXTRAS.values() for line in extra)}))
def test_requirements_have_bounds(requirement):
    assert re.fullmatch(r"[a-z0-9-]+(\[\w+\])?>=[\d.]+(,<[\d.]+)?", requirement)


def test_requirements_files_only_name_extras_and_no_index():
    for path in ROOT.glob("requirements*.txt"):
        lines = [line for line in path.read_text().splitlines() if not line.startswith("#")]
        assert len(lines) == 1 and set(re.fullmatch(r"-e \.\[([\w,]+)\]", lines[0])[1].split(",")) <= set(EXTRAS), path.name


NAMES_OF_PACKAGES = {"PIL": "pillow", "skimage": "scikit-image", "sklearn": "scikit-learn"}


@pytest.mark.slow
def test_every_package_that_is_imported_is_required():
    """Optional packages only where an import is guarded: then a sentence says what to install."""
    required = {re.split(r"[>\[]", line)[0] for line in [*PROJECT["dependencies"], *EXTRAS["train"], *EXTRAS["app"]]}
    optional = {re.split(r"[>\[]", line)[0] for line in [*EXTRAS["formats"], *EXTRAS["cluster"]]}
    for path in SOURCES:
        roots = {name.split(".")[0] for name in imports_of(path)} - {"qpi_core", "ui", "pages", "run", ""} - sys.stdlib_module_names
        packages = {NAMES_OF_PACKAGES.get(root, root) for root in roots}
        assert packages <= required | optional | {"h5py"}, path


def test_imports_point_one_way(monkeypatch):
    from importlinter.cli import lint_imports

    monkeypatch.chdir(ROOT)
    assert lint_imports(config_filename="pyproject.toml", no_cache=True) == 0, "run lint-imports to see which import points upwards"


def tracked_files():
    done = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        pytest.skip("not a git checkout")
    return [ROOT / name for name in done.stdout.split("\0") if name and (ROOT / name).is_file()]


def test_files_are_small_enough_to_keep():
    large = [path.name for path in tracked_files() if path.stat().st_size > 16 * 2**20]
    assert large == []


def test_released_models_hold_no_pickles_and_fit_their_limit():
    for folder in (path for path in (ROOT / "models").glob("*") if path.is_dir()):
        files = [path for path in folder.rglob("*") if path.is_file()]
        assert {path.suffix for path in files} <= {".safetensors", ".json", ".md", ".npz", ".png"}
        assert sum(path.stat().st_size for path in files) <= 32 * 2**20


def readme_blocks(language):
    """The code blocks of the README in one language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", README.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)


def readme_commands():
    """Every command line of the README, without its comment."""
    return [line.split("#")[0].strip() for block in readme_blocks("bash") for line in block.splitlines()]


def test_readme_opens_with_the_two_commands():
    first = README.read_text(encoding="utf-8")[:1500]
    assert first.index("python run.py app") < first.index("python run.py test")


def test_readme_commands_exist_with_these_options(capsys):
    from qpi_core.__main__ import main

    commands = readme_commands()
    assert {command.split()[2] for command in commands} == {
        *("app", "test", "extract", "stack", "dataset", "train", "evaluate", "benchmark", "paper")
    }
    for command in commands:
        python, script, sub_command, *_ = command.split()
        assert (python, script) == ("python", "run.py"), command
        if sub_command in ("app", "test"):
            continue
        with pytest.raises(SystemExit):
            main([sub_command, "--help"])
        help_text = capsys.readouterr().out
        for option in re.findall(r"(?<=\s)--[a-z-]+", command):
            assert option in help_text, f"{command}: {option} is not in its help"


def test_readme_example_runs(tmp_path, monkeypatch, capsys):
    import numpy as np

    import qpi_core

    (example,) = readme_blocks("python")
    positions = np.array([[20.0, 30.0], [50.0, 41.0], [33.0, 12.0]])
    parameters = qpi_core.KernelParameters(4, 0.3, 3.0, 0.5, 0.2)
    np.save(tmp_path / "map.npy", qpi_core.simulate_observation(parameters, positions, (64, 64)))
    np.savetxt(tmp_path / "defects.csv", positions, delimiter=",", header="x_px,y_px", comments="")
    monkeypatch.chdir(tmp_path)
    exec(compile(example.replace("map.sxm", "map.npy"), "README.md", "exec"), {})
    assert capsys.readouterr().out.startswith("(64, 64) ")


def test_readme_lists_the_methods_and_the_default():
    from qpi_core.extraction.methods import DEFAULT_METHOD, METHODS

    described, _results = README.read_text(encoding="utf-8").split("## In Python")
    listed = re.findall(r"^\| `(\w+)`( \(default\))? \|", described, flags=re.MULTILINE)
    assert [name for name, _ in listed] == list(METHODS)
    assert [name for name, mark in listed if mark] == [DEFAULT_METHOD]


def test_readme_files_exist():
    text = README.read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)#]+)\)", text):
        if not target.startswith(("http://", "https://")):
            assert (ROOT / target).exists(), target


def test_ci_calls_the_readme_command():
    script = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    assert "python3 run.py test" in script and "QPI_REQUIRE_BROWSER=1" in script


@pytest.mark.slow
def test_the_harmonic_method_imports_no_torch():
    """torch takes longer to import than the solve of a small map."""
    program = (
        "import numpy as np\nimport qpi_core\nr = np.random.default_rng(0)\n"
        "y, x = np.mgrid[:32, :32]\np = r.uniform(3, 28, (6, 2))\n"
        "m = sum(np.cos(np.hypot(x - a, y - b)) * np.exp(-np.hypot(x - a, y - b) / 4) for a, b in p) + 0.1 * r.standard_normal((32, 32))\n"
        "qpi_core.load_extractor(device='cpu').extract(m, p, method='harmonic', kernel_size=16, noise_model='white')"
    )
    assert not {"torch", "diffusers", "skimage", "matplotlib"} & loaded_by(program)
