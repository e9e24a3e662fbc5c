"""The page about the specification names tests and notes that exist, and leaves nothing out."""

from __future__ import annotations

import ast
import re
from collections import Counter
from pathlib import Path
from typing import NamedTuple

import pytest

from shared.views.fields import FIELDS
from shared.views.fields_base import NOT_MEASURED

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs/specification-coverage.md").read_text(encoding="utf-8")
NOTES = (ROOT / "docs/specification-notes.md").read_text(encoding="utf-8")

LAST_LINE = 2288
"""The last line of the specification."""


class Row(NamedTuple):
    """One thing that is asked for."""

    asked: str
    state: str
    where: str


def rows_of(section: str) -> list[Row]:
    lines = [line for line in section.splitlines() if line.startswith("| ")]
    return [Row(*line[2:-2].split(" | ")) for line in lines if not line.startswith(("| asked", "| state"))]


SECTIONS = PAGE.split("\n## ")[1:]
ROWS = [row for section in SECTIONS for row in rows_of(section)]
STATES = {
    cells[0]: int(cells[1])
    for line in PAGE.split("\n## ")[0].splitlines()
    if line.startswith("| ") and (cells := line[2:-2].split(" | "))[1].isdecimal()
}
PARTS = re.findall(r"[a-z ]+", PAGE.split("not built yet: ")[1].split(".")[0])


def of(state: str) -> list[Row]:
    return [row for row in ROWS if row.state == state]


def test_the_sections_cover_the_specification() -> None:
    ranges = [re.search(r"^Lines (\d+)–(\d+) of", section, re.MULTILINE) for section in SECTIONS[1:]]
    bounds = [(int(found[1]), int(found[2])) for found in ranges if found]
    assert len(bounds) == len(ranges)
    assert [first for first, _ in bounds] == [1, *(last + 1 for _, last in bounds[:-1])]
    assert bounds[-1][1] == LAST_LINE
    assert all(rows_of(section) for section in SECTIONS)


def test_the_rows_are_counted_by_state() -> None:
    assert Counter(row.state for row in ROWS) == STATES
    assert len({(row.asked, row.where) for row in of("open")}) == len(of("open"))


@pytest.mark.parametrize("where", sorted({row.where for row in of("done")}))
def test_a_row_that_is_done_names_a_test(where: str) -> None:
    path, _, name = where.strip("`").partition("::")
    tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    functions = {n.name for n in ast.walk(tree) if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef)}
    assert name in functions


@pytest.mark.parametrize("where", sorted({row.where for row in of("noted")}))
def test_a_row_that_is_noted_names_a_note(where: str) -> None:
    assert f"\n| {where}" in NOTES


def test_every_section_lives_in_files_that_exist() -> None:
    places = re.findall(r"`([\w./-]+)`", NOTES.split("\n## Where each section lives\n")[1].split("\n## ")[0])
    assert len(places) > 40
    assert [place for place in places if not (ROOT / place).exists()] == []


def test_what_is_left_to_a_part_names_the_part() -> None:
    assert {row.where for row in of("later")} == {part.strip() for part in PARTS}


def test_every_field_without_a_source_has_a_row() -> None:
    asked = " ".join(row.asked for row in ROWS if row.state != "done")
    missing = {
        f"{view}.{path}"
        for view, fields in FIELDS.items()
        for path, origin in fields.items()
        if origin == NOT_MEASURED and not named(path, asked)
    }
    assert missing == set()


def named(path: str, asked: str) -> bool:
    """Say whether rows name a field, by its last name: ``cost_usd``."""
    return re.search(rf"`(\w+(\[\])?\.)*{path.rsplit('.', 1)[-1]}`", asked) is not None
