"""The tables of retries and deadlines in docs/failure.md have the numbers of the code, all of them."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from shared.cosmos import retries, transport
from shared.cosmos.retries import RetryPolicy
from shared.maintenance import rebuild
from shared.settings import Settings

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "failure.md").read_text(encoding="utf-8")


def rows_of(section: str, text: str = PAGE) -> dict[str, list[str]]:
    """Return the rows of a section's table, by the name of a constant or function in the last column."""
    section = text.partition(f"## {section}\n")[2].partition("\n## ")[0]
    rows: dict[str, list[str]] = {}
    for line in section.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        name = re.match(r"`(\w+)`", cells[-1])
        if line.startswith("|") and name:
            rows[name[1]] = cells
    return rows


def numbers(cell: str) -> list[float]:
    return [float(number) for number in re.findall(r"(?<![\w.])\d+(?:\.\d+)?", cell)]


def constants(kind: str) -> set[str]:
    """Return the names of the constants of ``shared/cosmos/retries.py``: seconds, or policies."""
    tree = ast.parse(Path(retries.__file__).read_text(encoding="utf-8"))
    names = {
        target.id
        for node in tree.body
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    if kind == "seconds":
        return {name for name in names if name.endswith("_SECONDS")}
    return {name for name in names if isinstance(getattr(retries, name), RetryPolicy)}


def test_every_policy_and_every_deadline_of_the_code_is_in_the_tables() -> None:
    assert constants("policies") <= set(rows_of("Retries"))
    assert constants("seconds") == set(rows_of("Deadlines")) | {"FAULT_SUMMARY_SECONDS"}
    assert f"every {retries.FAULT_SUMMARY_SECONDS:g} s" in PAGE


@pytest.mark.parametrize("name", sorted(constants("policies")))
def test_a_policy_s_attempts_and_pauses_are_those_of_the_code(name: str) -> None:
    policy, (_, _, often, pauses, _) = getattr(retries, name), rows_of("Retries")[name]
    assert numbers(often) == ([] if policy.attempts is None else [policy.attempts])
    assert numbers(pauses) == [policy.first_pause, policy.longest_pause]


@pytest.mark.parametrize("name", sorted(constants("seconds") - {"FAULT_SUMMARY_SECONDS"}))
def test_a_deadline_is_that_of_the_code(name: str) -> None:
    assert numbers(rows_of("Deadlines")[name][1])[0] == getattr(retries, name)


def test_the_other_numbers_of_the_table_are_those_of_the_code() -> None:
    rows, settings = rows_of("Retries"), Settings(CosmosDb="x")
    document = rows["document_pause"]
    assert numbers(document[2]) == [settings.document_attempts]
    assert numbers(document[3])[0] == settings.document_backoff_seconds
    assert numbers(rows["REBUILD_PASSES"][2]) == [retries.REBUILD_PASSES]
    assert numbers(rows["LAG_PASSES"][2]) == [rebuild.LAG_PASSES]
    statuses = {int(number) for number in numbers(rows["REQUEST"][1])} - {
        207,
        400,
        1024,
        403,
        3,
        404,
        1002,
        1008,
    }
    assert statuses == retries.TRANSIENT_STATUSES
    assert numbers(rows["MOST_HANDOVERS"][2]) == [transport.MOST_HANDOVERS]


def test_the_page_names_the_version_of_the_sdk_whose_behaviour_it_describes() -> None:
    pinned = re.search(r"azure-cosmos==([\d.]+)", (ROOT / "requirements.txt").read_text(encoding="utf-8"))
    assert pinned is not None
    assert f"(`azure-cosmos` {pinned[1]})" in PAGE


def test_a_changed_number_is_found() -> None:
    row = "| one | what | 8 attempts | up to 0.3 s, then 6 s | `REQUEST` |"
    cells = rows_of("Retries", f"## Retries\n{row}\n")["REQUEST"]
    assert (numbers(cells[2]), numbers(cells[3])) == ([8], [0.3, 6])
