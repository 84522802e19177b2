"""The wheel: built from what is in git, installed beside nothing of the checkout, and used as a stranger would."""

import os
import shutil
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import numpy as np
import pytest

from qpi_core import phenomenological_kernel, simulate_observation
from qpi_core.synthesis.kernel_families.equation_7 import KernelParameters

ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.slow


def run(*command, **options):
    # run.py points PYTHONPATH at the checkout.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        [str(part) for part in command], capture_output=True, text=True, check=False, timeout=600, env=environment, **options
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """An environment with the wheel; its requirements are those of this environment, which spares downloading them again."""
    folder = tmp_path_factory.mktemp("wheel")
    if not (ROOT / ".git").exists():
        pytest.skip("not a git checkout")
    source = folder / "source"
    source.mkdir()
    names = [
        name
        for name in run("git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", cwd=ROOT).split("\0")
        if name and (ROOT / name).is_file()
    ]
    for name in names:
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / name, source / name)
    run(sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", folder, source)
    venv.create(folder / "env", with_pip=False)
    python = folder / "env" / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    [wheel] = folder.glob("*.whl")
    run(sys.executable, "-m", "pip", "--python", python, "install", "--quiet", "--no-deps", "--no-index", wheel)
    packages = Path(run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))").strip())
    # A plain line adds the folder, and nothing that .pth files in it would add: not this checkout.
    (packages / "requirements.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return python, packages


def test_the_command_line_solves_a_map_with_the_released_model(installed, tmp_path):
    python, packages = installed
    parameters = KernelParameters(4, 0.3, 3.0, 0.5, 0.2)
    positions = np.random.default_rng(0).uniform(4, 60, (20, 2))
    observation = simulate_observation(parameters, positions, (64, 64), 10 / 64, noise_sigma=0.05, rng=np.random.default_rng(1))
    np.save(tmp_path / "map.npy", observation)
    np.savetxt(tmp_path / "defects.csv", positions, delimiter=",", header="x_px,y_px", comments="")
    script = python.with_name("qpi.exe" if os.name == "nt" else "qpi")
    told = run(script, "extract", "map.npy", "--positions", "defects.csv", "--method", "two_step", "--out", "kernel", cwd=tmp_path)
    kernel = np.load(tmp_path / "kernel" / "kernel.npy")
    truth = phenomenological_kernel(4, 0.3, 3.0, 0.5, 0.2)
    assert np.corrcoef(kernel.ravel(), truth.ravel())[0, 1] > 0.98, told
    where = run(python, "-c", "import qpi_core; print(qpi_core.__file__)", cwd=tmp_path).strip()
    assert Path(where).is_relative_to(packages)


def test_the_application_travels_with_it(installed):
    python, packages = installed
    shipped = packages / "qpi_core" / "application"
    expected = {"app.py", "pages", "ui", "docs", ".streamlit", "models"}
    assert {path.name for path in shipped.iterdir()} - {"__pycache__"} == expected
    assert (packages / "qpi_core" / "py.typed").is_file()
    program = f"import sys; sys.path.insert(0, {str(shipped)!r}); import ui.extract.page as page; print(page.__file__)"
    assert run(python, "-c", program, cwd=packages).strip().startswith(str(shipped))
    assert "Streamlit" in run(python, "-m", "streamlit", "--version", cwd=shipped)
    assert "--server.port" in run(python.with_name("qpi"), "app", "--help")
