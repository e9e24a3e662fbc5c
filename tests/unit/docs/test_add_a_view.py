"""The page that says how a view gets a figure is followed to the letter, in a copy of the project."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.unit.docs.next_release import BEFORE, save
from tests.unit.docs.pages import PageError, apply_change, blocks, changed_file
from tests.unit.shared.world import World

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs/how-to/add-a-view.md").read_text(encoding="utf-8")
COPIED = ("shared", "ops", "tests", "docs", "local", "bench", "functions", "terminal")
PROGRAMS: dict[str, list[str]] = {".venv/bin/python": [], ".venv/bin/fleet": ["-m", "ops"]}
"""Programs that the page calls, as arguments of Python."""


def run(root: Path, *command: str) -> str:
    """Run Python in the copy; return what it prints."""
    ended = subprocess.run(
        [sys.executable, *command],
        cwd=root,
        env=os.environ | {"PYTHONPATH": str(root)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, f"{command}: {ended.stdout[-4_000:]}{ended.stderr[-4_000:]}"
    return ended.stdout


def follow(page: str, root: Path) -> None:
    """Apply each change of a page, and run each command, in order."""
    for language, text in blocks(page):
        if language == "diff":
            apply_change(text, root)
            continue
        for line in text.splitlines():
            command, _, output = line.partition(" > ")
            program, *arguments = shlex.split(command)
            printed = run(root, *PROGRAMS[program], *arguments)
            if output:
                (root / output).write_text(printed, encoding="utf-8")


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a copy of the project in which the steps of the page are done."""
    root = tmp_path_factory.mktemp("project")
    for name in COPIED:
        shutil.copytree(ROOT / name, root / name, ignore=shutil.ignore_patterns("__pycache__"))
    for file in ("pyproject.toml", "README.md"):
        shutil.copy(ROOT / file, root / file)
    follow(PAGE, root)
    return root


async def test_older_facts_have_the_figure_only_after_a_new_generation(copy: Path, tmp_path: Path) -> None:
    world = World()
    await world.ingest(*BEFORE)
    await world.publish()
    save(world, tmp_path / "state.json")
    printed = run(copy, "-m", "tests.unit.docs.next_release", str(tmp_path / "state.json"))
    found = json.loads(printed.splitlines()[-1])  # after the log
    partial = {"2025-09-14": [2, None], "2025-09-15": [2, 50.0], "2025-09-16": [2, 50.0]}
    assert found["deployed"] == found["rebuilt"] == partial
    assert found["outdated"] == ["2025-09-14", "2025-09-15"]
    right = {"2025-09-14": [2, 20.0], "2025-09-15": [2, 75.0], "2025-09-16": [2, 50.0]}
    assert found["counted again"] == right
    assert found["independent"] == {day: length for day, (_, length) in right.items()}
    assert found["outdated after that"] == []


def test_a_fact_with_a_new_field_needs_a_new_number(copy: Path, tmp_path: Path) -> None:
    """Without step 3 the tests fail: a rebuild could not tell which days lack the field."""
    root = tmp_path / "without"
    shutil.copytree(copy, root, ignore=shutil.ignore_patterns("__pycache__"))
    schema = root / "shared/facts/__init__.py"
    schema.write_text(
        schema.read_text(encoding="utf-8").replace("USER_INTERACTIONS: 5", "USER_INTERACTIONS: 4"),
        encoding="utf-8",
    )
    with pytest.raises(AssertionError, match="raise FACT_SCHEMA"):
        run(root, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/unit/shared/facts/test_schema.py")


def test_what_the_page_writes_passes_the_linter(copy: Path) -> None:
    changed = [changed_file(text) for language, text in blocks(PAGE) if language == "diff"]
    run(copy, "-m", "ruff", "check", "--no-cache", *changed)
    run(copy, "-m", "ruff", "format", "--no-cache", "--check", *changed)


def test_a_step_that_no_longer_fits_is_found(tmp_path: Path) -> None:
    (tmp_path / "module.py").write_text("one\ntwo\ntwo\n", encoding="utf-8")
    apply_change("--- module.py\n-one\n+zero\n@@\n zero\n+half\n", tmp_path)
    assert (tmp_path / "module.py").read_text(encoding="utf-8") == "zero\nhalf\ntwo\ntwo\n"
    for text in ("--- module.py\n-two\n", "--- module.py\n three\n+four\n", "--- module.py\nzero\n"):
        with pytest.raises(PageError):
            apply_change(text, tmp_path)
