"""Where each class may go, as the page about privacy says."""

from __future__ import annotations

import re
from pathlib import Path

from shared.privacy.classes import ALLOWED, FieldClass, Place, may_go

PAGE = (Path(__file__).parents[4] / "docs" / "privacy.md").read_text("utf-8")


def test_the_page_has_the_table_of_places() -> None:
    (header,) = re.findall(r"^\| place \| (.*) \|$", PAGE, re.MULTILINE)
    classes = [FieldClass(name) for name in header.split(" | ")]
    assert set(classes) == set(FieldClass)
    for place in Place:
        (row,) = re.findall(rf"^\| `{place}`[^|]*\| (.*) \|$", PAGE, re.MULTILINE)
        assert row.split(" | ") == ["yes" if may_go(each, place) else "–" for each in classes], place


def test_every_class_has_its_places() -> None:
    assert ALLOWED.keys() == set(FieldClass)
    assert not any(may_go(each, Place.LOG) for each in FieldClass)
    assert not any(may_go(FieldClass.SECRET, place) for place in Place)
