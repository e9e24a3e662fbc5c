"""What make and .ci/run do with the interpreters of a machine: refuse, or choose, and say which."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TOOLS = ("bash", "dirname", "grep", "cat", "env", "sh", "test", "mkdir", "touch", "sed", "rm")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A PATH with what the scripts need, without any Python."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for tool in TOOLS:
        if found := shutil.which(tool):
            (folder / tool).symlink_to(found)
    return folder


def command(folder: Path, name: str, body: str) -> Path:
    folder.mkdir(exist_ok=True)
    script = folder / name
    script.write_text(f"#!/bin/sh\n{body}\n")
    script.chmod(0o755)
    return script


def interpreter(folder: Path, name: str, version: str) -> Path:
    """A command that answers as Python does to the two questions that are asked of it."""
    wanted = version.rpartition(".")[0]
    return command(
        folder,
        name,
        f'case "$2" in *"!= \'{wanted}\'"*) echo "{folder / name}";; *) '
        f'[ "$1" = --version ] && echo "Python {version}" && exit 0; exit 1;; esac',
    )


def run(*arguments: str, path: Path) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": str(path), "HOME": str(path)}
    return subprocess.run(arguments, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60)


def ci(path: Path) -> subprocess.CompletedProcess[str]:
    command(path, "make", 'echo "make $@"')
    return run("bash", ".ci/run", path=path)


def test_ci_tests_the_oldest_and_the_newest_version_each_in_its_environment(path: Path) -> None:
    oldest, newest = interpreter(path, "python3.11", "3.11.9"), interpreter(path, "python3.13", "3.13.5")
    done = ci(path)
    assert done.returncode == 0, done.stderr
    assert [line for line in done.stdout.splitlines() if line.startswith("make")] == [
        f"make infra-check PYTHON={oldest} VENV=.venv-3.11",
        f"make test PYTHON={oldest} VENV=.venv-3.11 ARGS=--hypothesis-seed=0",
        f"make test PYTHON={newest} VENV=.venv-3.13 ARGS=--hypothesis-seed=0",
    ]


@pytest.mark.parametrize(("there", "missing"), [("3.11.9", "3.13"), ("3.13.5", "3.11"), ("3.12.1", "3.11")])
def test_ci_fails_before_any_test_where_an_interpreter_is_missing(
    path: Path, there: str, missing: str
) -> None:
    interpreter(path, f"python{there.rpartition('.')[0]}", there)
    done = ci(path)
    assert done.returncode != 0
    assert f"there is no Python {missing}" in done.stderr
    assert "make test" not in done.stdout


def test_ci_fails_where_a_test_run_fails(path: Path) -> None:
    interpreter(path, "python3.11", "3.11.9")
    interpreter(path, "python3.13", "3.13.5")
    command(path, "make", 'echo "make $@"; [ "$1" != test ]')
    done = run("bash", ".ci/run", path=path)
    assert done.returncode != 0
    assert [line for line in done.stdout.splitlines() if line.startswith("make test")] == [
        f"make test PYTHON={path / 'python3.11'} VENV=.venv-3.11 ARGS=--hypothesis-seed=0"
    ]


def test_ci_finds_an_interpreter_by_its_plain_name_and_passes_over_a_shim_that_does_not_run(
    path: Path,
) -> None:
    plain = interpreter(path, "python3", "3.13.5")
    interpreter(path, "python3.11", "3.11.9")
    command(path, "python3.13", "echo 'pyenv: python3.13: command not found' >&2; exit 127")
    assert f"PYTHON={plain} VENV=.venv-3.13" in ci(path).stdout


def test_ci_asks_version_managers(path: Path, tmp_path: Path) -> None:
    of_pyenv = interpreter(tmp_path / "managed", "python", "3.11.9")
    of_uv = interpreter(tmp_path / "uv", "python", "3.13.5")
    (tmp_path / "prefix").mkdir()
    (tmp_path / "prefix/bin").symlink_to(of_pyenv.parent)
    command(
        path,
        "pyenv",
        f'[ "$1" = versions ] && printf "3.1.0\\n3.11.9\\n3.110.0\\n" || echo "{tmp_path}/prefix"; true',
    )
    command(path, "uv", f'case "$*" in *3.13) echo "{of_uv}";; *) exit 2;; esac')
    done = ci(path)
    assert f"PYTHON={of_pyenv} VENV=.venv-3.11" in done.stdout, done.stderr
    assert f"PYTHON={of_uv} VENV=.venv-3.13" in done.stdout


@pytest.mark.parametrize("version", ["3.10.13", "3.14.0"])
def test_make_refuses_a_version_that_is_not_supported(path: Path, tmp_path: Path, version: str) -> None:
    python = command(path, "python3", f'[ "$1" = --version ] && echo "Python {version}" || exit 1')
    done = run(shutil.which("make") or "make", "setup", f"VENV={tmp_path / 'venv'}", path=path)
    assert done.returncode != 0
    assert f"Python {version} is not supported" in done.stderr
    assert "3.11, 3.12 or 3.13" in done.stderr
    assert not (tmp_path / "venv").exists(), python


def test_make_says_what_is_missing_without_python(path: Path, tmp_path: Path) -> None:
    done = run(shutil.which("make") or "make", "setup", f"VENV={tmp_path / 'venv'}", path=path)
    assert done.returncode != 0
    assert "there is no python3 on the PATH" in done.stderr


def test_the_list_of_commands_fits_a_terminal() -> None:
    done = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert max(map(len, lines)) <= 80, max(lines, key=len)
    assert any(line.startswith("make lock ") for line in lines)


def test_the_operators_command_uses_the_environment_it_lies_in(path: Path, tmp_path: Path) -> None:
    folder = tmp_path / "project/.venv-3.13/bin"
    folder.mkdir(parents=True)
    shutil.copy(ROOT / "ops/fleet.sh", folder / "fleet")
    command(folder, "python", 'echo "$PYTHONPATH $@"')
    (path / "fleet").symlink_to(folder / "fleet")
    (path / "readlink").symlink_to(shutil.which("readlink") or "readlink")
    for started in (folder / "fleet", path / "fleet"):
        done = run("sh", str(started), "views", "list", path=path)
        assert done.stdout == f"{tmp_path / 'project'} -P -m ops views list\n", done.stderr
