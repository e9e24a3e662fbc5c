"""What may import what, beyond the layers that import-linter holds, and how long code may be."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

MAX_MODULE_LINES = 400
"""A module that can be read in one sitting."""

MAX_FUNCTION_LINES = 60
"""A function that fits on a screen."""

PURE = (
    "shared/documents",
    "shared/facts",
    "shared/aggregates",
    "shared/scores",
    "shared/views",
    "shared/pricing/table.py",
    "shared/units.py",
    "shared/periods.py",
    "shared/ledger/fold.py",
    "shared/ledger/incident_passages.py",
    "shared/ledger/pages.py",
    "shared/ledger/partials.py",
    "shared/ledger/state.py",
    "shared/ledger/sizes.py",
    "shared/ledger/changes.py",
    "shared/ledger/document_version.py",
    "shared/ledger/shards.py",
    "shared/ledger/open_pages.py",
    "shared/ledger/recount.py",
    "shared/ledger/counted_entries.py",
    "shared/publishing/decide.py",
    "shared/publishing/plan.py",
    "shared/publishing/rounds.py",
    "shared/maintenance/rebuild_walk.py",
    "shared/publishing/whole_periods.py",
    "shared/publishing/merged_state.py",
)
"""Folders and modules of pure functions: they neither await nor call a service."""


def imported(path: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module)
            names.update(f"{node.module}.{alias.name}" for alias in node.names)
    return names


def modules(path: str) -> list[Path]:
    """Return the modules of a folder, or the one module that the path names; fail if there is none."""
    whole = ROOT / path
    found = sorted(whole.rglob("*.py")) if whole.is_dir() else [whole]
    assert found, f"{path} holds no module"
    assert whole.exists(), f"{path} does not exist"
    return found


def offenders(folder: str, *forbidden: str) -> list[str]:
    return [
        f"{path.relative_to(ROOT)}: {name}"
        for path in modules(folder)
        for name in imported(path)
        if any(name == module or name.startswith(f"{module}.") for module in forbidden)
    ]


@pytest.mark.parametrize("folder", ["shared", "ops", "bench", "terminal"])
def test_only_edges_know_the_functions_runtime(folder: str) -> None:
    assert offenders(folder, "azure.functions", "azure.durable_functions") == []


@pytest.mark.parametrize("path", PURE)
def test_arithmetic_needs_no_event_loop(path: str) -> None:
    assert offenders(path, "asyncio", "azure.cosmos") == []


def test_the_rules_of_imports_would_find_an_offender() -> None:
    assert offenders("functions", "azure.functions")
    assert offenders("shared/concurrency.py", "asyncio", "azure.cosmos")


def test_a_rule_for_a_path_that_does_not_exist_fails() -> None:
    with pytest.raises(AssertionError, match=r"shared/nowhere\.py does not exist"):
        offenders("shared/nowhere.py", "asyncio")


def oversized(source: str) -> list[str]:
    """Return what is too long in the source of a module: the module itself, or functions in it."""
    found = []
    lines = len(source.splitlines())
    if lines > MAX_MODULE_LINES:
        found.append(f"module: {lines} lines")
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            lines = (node.end_lineno or node.lineno) - node.lineno + 1
            if lines > MAX_FUNCTION_LINES:
                found.append(f"{node.name}: {lines} lines")
    return found


@pytest.mark.parametrize("folder", ["functions", "shared", "ops", "local", "bench", "terminal"])
def test_modules_and_functions_are_short(folder: str) -> None:
    found = [
        f"{path.relative_to(ROOT)}: {offence}"
        for path in modules(folder)
        for offence in oversized(path.read_text(encoding="utf-8"))
    ]
    assert found == []


def function(lines: int, indent: str = "", start: str = "def") -> str:
    """Return the source of a function with this number of lines."""
    return f"{indent}{start} long():\n" + f"{indent}    pass\n" * (lines - 1)


@pytest.mark.parametrize(
    ("source", "found"),
    [
        (function(60), []),
        (function(61), ["long: 61 lines"]),
        (function(61, start="async def"), ["long: 61 lines"]),
        ("class Some:\n" + function(61, indent="    "), ["long: 61 lines"]),
        # The lines of a nested function are lines of the outer one too; those of decorators are not.
        ("def outer():\n    pass\n" + function(59, indent="    "), ["outer: 61 lines"]),
        ("@some\n" * 5 + function(60), []),
        ("pass\n" * 400, []),
        ("pass\n" * 401, ["module: 401 lines"]),
    ],
)
def test_the_rule_of_lengths_would_find_an_offender(source: str, found: list[str]) -> None:
    assert oversized(source) == found
