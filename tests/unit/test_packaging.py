"""What is installed is pinned with hashes, and all that it requires, on every supported version of Python."""

from __future__ import annotations

import re
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
SUPPORTED = ("3.11", "3.12", "3.13")
LOCKS = ("requirements", "requirements-dev")
HASH = re.compile(r"--hash=sha256:[0-9a-f]{64}$")


@dataclass(frozen=True, slots=True)
class Locked:
    """One entry of a lock."""

    requirement: Requirement
    hashes: frozenset[str]

    @property
    def name(self) -> str:
        return canonicalize_name(self.requirement.name)

    @property
    def version(self) -> str:
        [pin] = self.requirement.specifier
        assert pin.operator == "==", self.requirement
        return pin.version


def applies(requirement: Requirement, python: str, extra: str = "") -> bool:
    """Say whether a requirement's marker holds on a version of Python, on Linux."""
    place = {
        "python_version": python,
        "python_full_version": f"{python}.0",
        "sys_platform": "linux",
        "platform_system": "Linux",
        "os_name": "posix",
        "implementation_name": "cpython",
        "platform_python_implementation": "CPython",
        "extra": extra,
    }
    return requirement.marker is None or requirement.marker.evaluate(place)


def direct(name: str) -> list[Requirement]:
    """Return what a person wrote into an .in file, with what it includes."""
    found: list[Requirement] = []
    for line in (ROOT / f"{name}.in").read_text(encoding="utf-8").splitlines():
        if line.startswith("-r "):
            found += direct(line.removeprefix("-r ").removesuffix(".in"))
        elif line and not line.startswith(("#", "-c ")):
            found.append(Requirement(line))
    return found


def entries(name: str) -> Iterator[Locked]:
    """Read a lock; fail on a line that is neither a pin with hashes nor a comment."""
    text = (ROOT / f"{name}.txt").read_text(encoding="utf-8")
    logical = re.sub(r"\\\n\s*", " ", text)
    for line in logical.splitlines():
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        requirement, *hashes = line.split(" --hash=")
        options = [f"--hash={text}".strip() for text in hashes]
        assert options, f"{line} has no hash"
        assert all(HASH.match(option) for option in options), line
        yield Locked(Requirement(requirement), frozenset(options))


def locked(name: str, python: str) -> dict[str, Locked]:
    """Return what a lock installs on a version of Python; fail if a package is there twice."""
    found: dict[str, Locked] = {}
    for entry in entries(name):
        if applies(entry.requirement, python):
            assert entry.name not in found, f"{entry.name} is locked twice for Python {python}"
            found[entry.name] = entry
    return found


@pytest.mark.parametrize("python", SUPPORTED)
@pytest.mark.parametrize("name", LOCKS)
def test_the_lock_has_what_was_asked_for(name: str, python: str) -> None:
    lock = locked(name, python)
    asked = [requirement for requirement in direct(name) if applies(requirement, python)]
    names = [canonicalize_name(requirement.name) for requirement in asked]
    assert len(set(names)) == len(names)
    for requirement in asked:
        entry = lock.get(canonicalize_name(requirement.name))
        assert entry is not None, f"{requirement} is not in {name}.txt: run make lock"
        assert str(entry.requirement.specifier) == str(requirement.specifier), "run make lock"


@pytest.mark.parametrize("python", SUPPORTED)
@pytest.mark.parametrize("name", LOCKS)
def test_the_lock_has_nothing_that_was_not_asked_for(name: str, python: str) -> None:
    """What the comment behind an entry names as its reason is asked for, or locked itself."""
    asked = {canonicalize_name(requirement.name) for requirement in direct(name)}
    text = (ROOT / f"{name}.txt").read_text(encoding="utf-8")
    reasons: dict[str, set[str]] = {}
    current = ""
    for line in text.splitlines():
        if match := re.match(r"([A-Za-z0-9][\w.-]*)==", line):
            current = canonicalize_name(match.group(1))
        elif current and (match := re.match(r"    #\s+(?:via )?([\w.\[\]-]+)", line)):
            reasons.setdefault(current, set()).add(match.group(1))
    for package in locked(name, python):
        because = {
            canonicalize_name(reason) for reason in reasons[package] if reason not in ("via", "-r", "-c")
        }
        assert package in asked or because & set(reasons), f"{package} is there for nothing: run make lock"


@pytest.mark.parametrize("python", SUPPORTED)
def test_the_checks_run_on_what_is_deployed(python: str) -> None:
    deployed, checked = locked("requirements", python), locked("requirements-dev", python)
    for name, entry in deployed.items():
        assert checked[name] == entry


def test_the_package_of_functions_is_the_one_for_the_version_of_python() -> None:
    versions = {python: locked("requirements", python)["azure-functions"].version for python in SUPPORTED}
    assert versions == {"3.11": "1.26.0", "3.12": "1.26.0", "3.13": "2.3.0"}
    workers = [
        python for python in SUPPORTED if "azure-functions-runtime" in locked("requirements-dev", python)
    ]
    assert workers == ["3.13"]


def test_what_is_installed_here_is_locked_and_complete() -> None:
    """Each package of the function app is installed as locked, and what it requires is locked as well."""
    running = "{}.{}".format(*sys.version_info)
    lock = locked("requirements", running)
    for name, entry in lock.items():
        assert metadata.version(name) == entry.version, f"run make setup: {name}"
        extras = [*entry.requirement.extras, ""]
        for text in metadata.requires(name) or ():
            needed = Requirement(text)
            if any(applies(needed, running, extra) for extra in extras):
                behind = lock.get(canonicalize_name(needed.name))
                assert behind is not None, f"{name} requires {needed}, which is not locked: run make lock"
                assert needed.specifier.contains(behind.version, prereleases=True), f"{name}: {needed}"


@pytest.mark.parametrize("name", LOCKS)
def test_locks_name_no_registry(name: str) -> None:
    for kind in ("in", "txt"):
        text = (ROOT / f"{name}.{kind}").read_text(encoding="utf-8")
        assert "://" not in text
        assert not re.search(r"^--?(?!r |c )", text, re.MULTILINE)


def test_every_place_names_the_same_versions_of_python() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    allowed = SpecifierSet(project["project"]["requires-python"])
    assert [python for python in (f"3.{minor}" for minor in range(30)) if python in allowed] == list(
        SUPPORTED
    )
    assert project["tool"]["mypy"]["python_version"] == SUPPORTED[0]
    assert f"--python-version {SUPPORTED[0]} " in (ROOT / "Makefile").read_text(encoding="utf-8")
    for page in ("README.md", "docs/how-to/deploy.md"):
        assert f"Python {SUPPORTED[0]} to {SUPPORTED[-1]}" in (ROOT / page).read_text(encoding="utf-8"), page
