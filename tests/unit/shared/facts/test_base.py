"""One passage has one spelling, whichever way a document writes it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.facts.base import Passage, passage_of


@pytest.mark.parametrize(
    ("chapter", "verse"),
    [
        ("2", "47"),
        ("2:47", None),
        ("2.47", " "),
        ("2:47", "47"),
        ("2", "2:47"),
        ("2", "Gita 2.47"),
        ("02", "047"),
        (None, "2.47"),
        ("", "BG 2:47"),
        (" 2 ", "2.047"),
    ],
)
def test_spellings_of_one_passage(chapter: str | None, verse: str | None) -> None:
    assert passage_of("gita", chapter, verse) == Passage("gita", "2", "47")


@pytest.mark.parametrize(
    ("chapter", "verse", "passage"),
    [
        ("6.8", "7", ("6.8", "7")),
        ("12.2", "2", ("12.2", "2")),
        ("2:47", "48", ("2_47", "48")),
        ("1", "2.14", ("1", "2.14")),
        ("2", "14-16", ("2", "14-16")),
        ("2", "2.14-16", ("2", "14-16")),
        ("2", None, ("2", None)),
        (None, None, (None, None)),
        ("2:47 " * 40, None, ("unknown", None)),
    ],
)
def test_other_passages_stay_apart(
    chapter: str | None, verse: str | None, passage: tuple[str | None, str | None]
) -> None:
    found = passage_of("gita", chapter, verse)
    assert (found.chapter or "").startswith(passage[0] or "")
    assert found.verse == passage[1]


@given(st.text(alphabet="0123456789.:- abँ२", max_size=8), st.text(alphabet="0123456789.: abँ२", max_size=8))
def test_a_normalized_passage_stays_what_it_is(chapter: str, verse: str) -> None:
    once = passage_of("gita", chapter, verse)
    if once.chapter is not None and once.verse is not None:
        assert passage_of(*once) == once
