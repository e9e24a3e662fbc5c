"""The page about privacy leaves out no view about everybody, and nothing that a view lists by name."""

from __future__ import annotations

import re
from collections import defaultdict
from pathlib import Path

from shared.privacy.classes import MIN_PEOPLE
from shared.views.fields import FIELDS

PAGE = (Path(__file__).parents[3] / "docs/privacy.md").read_text(encoding="utf-8")
FEW = PAGE.split("## Few people")[1].split("\n## ")[0]

ABOUT_ONE_PERSON = {"user_analytics"}


def listed() -> dict[str, str]:
    """Return what the table says by view."""
    rows: defaultdict[str, str] = defaultdict(str)
    for line in FEW.splitlines():
        if line.startswith("| `"):
            view, what, _ = line[2:-2].split(" | ")
            rows[view.strip("`")] += what
    return rows


def test_every_view_about_everybody_is_in_the_table() -> None:
    assert set(listed()) == set(FIELDS) - ABOUT_ONE_PERSON


def test_everything_that_is_listed_by_name_is_in_the_table() -> None:
    rows = listed()
    named = {
        (view, re.split(r"\[\]|\.\*", path)[0])
        for view, fields in FIELDS.items()
        for path in fields
        if "[]" in path or ".*" in path
    }
    assert {each for each in named if f"`{each[1]}`" not in rows[each[0]]} == set()


def test_the_least_number_is_that_of_the_code() -> None:
    assert MIN_PEOPLE == 5
    assert "fewer than five people" in PAGE
