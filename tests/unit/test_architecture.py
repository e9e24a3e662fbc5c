"""What may import what, beyond the layers that import-linter holds."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def imported(path: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module)
            names.update(f"{node.module}.{alias.name}" for alias in node.names)
    return names


def offenders(folder: str, *forbidden: str) -> list[str]:
    return [
        f"{path.relative_to(ROOT)}: {name}"
        for path in sorted((ROOT / folder).rglob("*.py"))
        for name in imported(path)
        if any(name == module or name.startswith(f"{module}.") for module in forbidden)
    ]


@pytest.mark.parametrize("folder", ["shared", "ops", "bench"])
def test_only_edges_know_the_functions_runtime(folder: str) -> None:
    assert offenders(folder, "azure.functions", "azure.durable_functions") == []


def test_arithmetic_needs_no_event_loop() -> None:
    pure = ["fold", "ledger", "tally", "version", "pricing", "facts", "units", "shards"]
    found = [
        offence
        for offence in offenders("shared", "asyncio", "azure.cosmos")
        if Path(offence.split(":")[0]).stem in pure
        or any(folder in offence for folder in ("/views/", "/documents/", "/scores/"))
    ]
    assert found == []


def test_the_rule_would_find_an_offender() -> None:
    assert offenders("functions", "azure.functions")
