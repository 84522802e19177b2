"""The start script: installs once, repairs what was interrupted, says what to do; pip itself is replaced by a recorder."""

import ast
import importlib.util
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
specification = importlib.util.spec_from_file_location("run_script", ROOT / "run.py")
run = importlib.util.module_from_spec(specification)
specification.loader.exec_module(run)


class FakePip:
    """Stands for the programs that run.py starts: makes an interpreter file, and records what was installed."""

    def __init__(self, monkeypatch, environment):
        self.installs, self.created, self.status = [], 0, 0
        self.environment = environment
        monkeypatch.setattr(run.subprocess, "call", self.install)
        monkeypatch.setattr(run.Environment, "_create", lambda _: self.create())
        monkeypatch.setattr(run.Environment, "_answers", lambda _: environment.python.exists())

    def create(self):
        self.created += 1
        self.environment.python.parent.mkdir(parents=True, exist_ok=True)
        self.environment.python.touch()
        self.environment.unfinished.unlink(missing_ok=True)

    def install(self, command, cwd):
        self.installs.append(Path(command[-1]).name)
        assert self.environment.unfinished.exists()
        if isinstance(self.status, BaseException):
            raise self.status
        return self.status


@pytest.fixture
def environment(tmp_path):
    (tmp_path / "pyproject.toml").write_text('[project]\nname = "x"\ndependencies = ["numpy"]\n[tool.ruff]\nline-length = 140\n')
    (tmp_path / "requirements.txt").write_text("numpy\n")
    (tmp_path / "requirements-dev.txt").write_text("-r requirements.txt\npytest\n")
    return run.Environment(tmp_path)


def test_installs_once(environment, monkeypatch):
    pip = FakePip(monkeypatch, environment)
    environment.ensure()
    environment.ensure()
    assert (pip.created, pip.installs) == (1, ["requirements.txt"])


def test_test_tools_are_added_and_cover_the_application(environment, monkeypatch):
    pip = FakePip(monkeypatch, environment)
    environment.ensure()
    environment.ensure(dev=True)
    environment.ensure()
    environment.ensure(dev=True)
    assert (pip.created, pip.installs) == (1, ["requirements.txt", "requirements-dev.txt"])


def test_changed_requirements_are_installed_into_the_same_environment(environment, monkeypatch):
    pip = FakePip(monkeypatch, environment)
    environment.ensure()
    (environment.root / "requirements.txt").write_text("numpy\nscipy\n")
    environment.ensure()
    assert (pip.created, len(pip.installs)) == (1, 2)
    project = environment.root / "pyproject.toml"
    project.write_text(project.read_text().replace("140", "120"))
    environment.ensure()
    assert len(pip.installs) == 2, "settings of tools ask for nothing new"
    project.write_text(project.read_text().replace('"numpy"', '"numpy", "scipy"'))
    environment.ensure()
    assert (pip.created, len(pip.installs)) == (1, 3)


@pytest.mark.parametrize("interruption", [1, KeyboardInterrupt()])
def test_half_finished_install_is_made_again_from_nothing(environment, monkeypatch, interruption):
    pip = FakePip(monkeypatch, environment)
    pip.status = interruption
    with pytest.raises(KeyboardInterrupt if isinstance(interruption, BaseException) else SystemExit):
        environment.ensure()
    assert not list(environment.folder.glob("*.sha256"))
    pip.status = 0
    environment.ensure()
    environment.ensure()
    assert (pip.created, len(pip.installs)) == (2, 2)


def test_a_lost_interpreter_is_made_again(environment, monkeypatch):
    pip = FakePip(monkeypatch, environment)
    environment.ensure()
    environment.python.unlink()
    environment.ensure()
    assert (pip.created, len(pip.installs)) == (2, 2)


def test_failed_download_ends_with_a_sentence(environment, monkeypatch):
    FakePip(monkeypatch, environment).status = 1
    with pytest.raises(SystemExit, match="could not be installed"):
        environment.ensure()


def test_old_python_is_told_what_is_needed():
    with pytest.raises(SystemExit, match=r"needs Python 3\.11 or newer; it was started with Python 3\.9"):
        run.require_python((3, 9))
    run.require_python((3, 11))
    run.require_python((3, 14))


def test_unknown_command_shows_the_usage(capsys):
    assert run.main(["fly"]) == 2
    assert "python run.py COMMAND" in capsys.readouterr().err
    assert run.main([]) == 2
    assert run.main(["--help"]) == 0


def steps_of(monkeypatch, arguments, status=0, checks=None):
    """Return the programs that `run.py test` starts, and its exit status."""
    commands = []
    monkeypatch.setattr(run, "call", lambda command, cwd: commands.append(command[1:]) or (status if "mypy" in command else 0))
    monkeypatch.setattr(run, "CHECKS", checks or Path("nowhere"))
    return run.run_tests("python", arguments), commands


def test_every_check_runs_and_arguments_reach_pytest(monkeypatch, tmp_path):
    status, commands = steps_of(monkeypatch, ["-x", "-k", "grid"], checks=tmp_path)
    assert status == 0
    assert [command[1] for command in commands] == ["ruff", "mypy", "pytest"]
    assert "--strict" in commands[1]
    assert commands[2][-5:] == [str(tmp_path), "tests", "-x", "-k", "grid"]


def test_fast_leaves_out_the_slow_ones_and_the_suite_runs_in_two_processes(monkeypatch):
    _, commands = steps_of(monkeypatch, ["--fast", "-q"])
    assert commands[2][-4:] == ["-m", "not slow", "tests", "-q"] and "--numprocesses=2" in commands[2]
    for arguments in (["tests/repository/test_run.py"], ["-x"], ["--pdb"]):
        _, commands = steps_of(monkeypatch, arguments)
        assert "--numprocesses=2" not in commands[2] and "-m" not in commands[2][2:]


def test_chosen_files_replace_the_whole_suite(monkeypatch, tmp_path):
    _, commands = steps_of(monkeypatch, ["tests/repository/test_run.py::test_installs_once", "-q"], checks=tmp_path)
    assert commands[2][-2:] == ["tests/repository/test_run.py::test_installs_once", "-q"]
    assert "tests" not in commands[2]


def test_one_failed_check_fails_the_run_after_all_ran(monkeypatch):
    status, commands = steps_of(monkeypatch, [], status=1)
    assert status == 1 and len(commands) == 3


def test_exit_status_and_arguments_of_a_program_come_back(tmp_path):
    program = "import sys, qpi_core; sys.exit(int(sys.argv[1]))"
    assert run.call([sys.executable, "-c", program, "7"], cwd=tmp_path) == 7


def test_needs_the_standard_library_only_and_no_shell():
    tree = ast.parse((ROOT / "run.py").read_text(encoding="utf-8"))
    imported = {alias.name.split(".")[0] for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    imported |= {node.module.split(".")[0] for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert imported <= sys.stdlib_module_names
    keywords = [keyword.arg for node in ast.walk(tree) if isinstance(node, ast.Call) for keyword in node.keywords]
    assert "shell" not in keywords
