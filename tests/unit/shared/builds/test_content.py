"""Contents add up in any order and grouping, and their parts are small."""

from __future__ import annotations

import json
import random
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.builds import content as content_module
from shared.builds.content import Content, Figures, merged, nested, part_of, parts_for, passage_from, size_of
from shared.builds.counting import ContentCounter
from shared.builds.rows import AllRow, CitedRow, Kind, ReadersRow, TextRow, TopicRow, WindowRow
from shared.facts import Passage, SessionFact
from shared.units import Millis
from tests.unit.shared.builds.interactions import counted, documents, fact_of
from tests.unit.shared.world import interaction

LARGEST = 512 * 1024


@given(st.lists(documents, max_size=8, unique_by=lambda d: (d["id"], d["user_id"])), st.randoms())
def test_the_grouping_of_documents_changes_only_how_often_a_person_reads(
    one_day: list[dict[str, object]], dice: random.Random
) -> None:
    whole = counted(one_day)
    dice.shuffle(one_day)
    middle = dice.randint(0, len(one_day))
    halves = merged([counted(one_day[:middle]), counted(one_day[middle:])])
    for kind in set(Kind) - {Kind.READERS}:
        assert halves.rows(kind) == whole.rows(kind)
    assert halves.rows(Kind.READERS).keys() == whole.rows(Kind.READERS).keys()


@settings(deadline=None)
@given(st.lists(documents, max_size=8), st.sampled_from([1, 2, 8, 64]))
def test_parts_add_up_to_the_whole(one_day: list[dict[str, object]], parts: int) -> None:
    whole = counted(one_day)
    pieces = whole.split(parts)
    assert merged(pieces.values()) == whole
    figures = Figures()
    for piece in pieces.values():
        figures = figures.plus(piece.figures())
    assert figures == whole.figures()
    assert Content.decode(json.loads(json.dumps(whole.encode()))) == whole
    for group in range(parts):
        counter = ContentCounter(group, parts)
        for document in one_day:
            counter.count(fact_of(document))
        assert counter.content == pieces.get(group, Content())


def test_rows_by_hand() -> None:
    cited = [
        {"source": "gita", "chapter": 2, "verse": 47, "relevance_score": 0.9},
        {"source": "gita", "chapter": "2:47", "relevance_score": 0.5},
        {"source": "gita", "chapter": "3"},
    ]
    content = counted([interaction(1, "2025-09-01T10:00:00Z", foundational_texts_used=cited)])
    assert content.all == AllRow(1, 3)
    assert content.text("gita") == TextRow(3, 1_400_000, 2, 1, 5, 1, place=1, places=1)
    assert content.topic("duty") == TopicRow(1, 5, 1)
    assert {key: CitedRow(*row) for key, row in content.rows(Kind.PASSAGES).items()} == {
        "krishna|gita|2|47": CitedRow(2, 1_400_000, 2, 5, 1, 20250901),
        "krishna|gita|3|": CitedRow(1, 0, 0, 5, 1, 20250901),
    }
    assert content.rows(Kind.PASSAGE_TOPICS) == {"gita|2|47|duty": [1], "gita|3||duty": [1]}
    assert {key: CitedRow(*row) for key, row in content.rows(Kind.CHAPTERS).items()} == {
        "gita|2": CitedRow(2, 1_400_000, 2, 5, 1),
        "gita|3": CitedRow(1, 0, 0, 5, 1),
    }
    assert content.figures() == Figures(1, 3, 2, {"120": list(WindowRow(1, 0, 1, 1001, 1, 5, 1))})
    assert passage_from("gita|3|") == Passage("gita", "3", None)


def test_a_session_counts_for_the_texts_that_the_person_accessed() -> None:
    counter = ContentCounter()
    session = SessionFact(
        user_id="ann", at=Millis(0), session_id="s", texts=("gita", "upanishads"), attention=420,
        outcome="completed", interactions=1,
    )  # fmt: skip
    counter.count_session(session)
    counter.count_session(replace(session, texts=("gita",), attention=None, interactions=5))
    counter.count_session(replace(session, texts=("gita",), attention=60, outcome=None))
    counter.count_session(replace(session, texts=("dhammapada",), attention=None, interactions=None))
    texts = {text: counter.content.text(text) for text in counter.content.rows(Kind.TEXTS)}
    assert texts == {
        "gita": TextRow(attention=480, attentions=2, bounced=1, sessions=2),
        "upanishads": TextRow(attention=420, attentions=1, bounced=1, sessions=1),
    }


def test_texts_of_equal_relevance_share_the_best_place() -> None:
    cited = [
        {"source": source, "relevance_score": relevance}
        for source, relevance in (("a", 0.5), ("b", 0.9), ("c", 0.9), ("b", 0.1), ("d", None))
    ]
    content = counted([interaction(1, "2025-09-01T10:00:00Z", foundational_texts_used=cited)])
    places = {text: (content.text(text).place, content.text(text).places) for text in "abcd"}
    assert places == {"a": (3, 1), "b": (1, 1), "c": (1, 1), "d": (0, 0)}


def test_a_row_of_an_earlier_version_is_shorter() -> None:
    earlier, later = Content({Kind.TEXTS: {"gita": [3, 7]}}), Content({Kind.TEXTS: {"gita": [1, 1, 5]}})
    assert merged([earlier, later]) == merged([later, earlier]) == Content({Kind.TEXTS: {"gita": [4, 8, 5]}})


def test_the_last_day_of_a_passage_is_kept() -> None:
    days = [counted([interaction(1, f"2025-09-{day:02d}T10:00:00Z")]) for day in (3, 9, 1)]
    assert merged(days).rows(Kind.PASSAGES)["krishna|gita|2|47"][-1] == 20250909


def test_readers_of_a_month_are_people_and_not_days() -> None:
    days = [
        counted([interaction(number, f"2025-09-{day:02d}T10:00:00Z", user) for number in range(3)])
        for day, user in ((1, "ann"), (2, "ann"), (2, "bob"))
    ]
    month = merged(days)
    with pytest.raises(ValueError, match="2 days"):
        month.encode()
    month.count_readers()
    assert month.rows(Kind.READER_COUNTS) == {"gita": list(ReadersRow(2, 1))}
    assert not month.rows(Kind.READERS)


@pytest.mark.parametrize("parts", [1, 2, 64])
def test_parts_follow_each_other_within_coarser_parts(parts: int) -> None:
    order = list(nested(parts))
    assert sorted(order) == list(range(parts))
    for coarser in (1, 2, 8):
        if coarser <= parts:
            changes = sum(a % coarser != b % coarser for a, b in pairwise(order))
            assert changes == coarser - 1


@pytest.mark.parametrize("kind", [Kind.TOPICS, Kind.PASSAGES, Kind.READERS])
def test_no_part_of_very_many_names_is_large(kind: Kind, monkeypatch: pytest.MonkeyPatch) -> None:
    """One thirtieth of a million names, and one thirtieth of the part."""
    monkeypatch.setattr(content_module, "PART_BYTES", content_module.PART_BYTES // 30)
    content = Content()
    for number in range(33_000):
        match kind:
            case Kind.TOPICS:
                content.add(kind, f"{number:05d}{'t' * 59}", TopicRow(1, 5, 1))
            case Kind.PASSAGES:
                content.add(
                    kind, f"p|bible|{number // 30}|{number % 30}", CitedRow(1, 900_000, 1, 5, 1, 20250901)
                )
            case _:
                content.add(kind, f"bible|{number:011d}", [1])
    pieces = content.split(parts_for(size_of(content.encode())))
    sizes = [size_of(piece.encode()) for piece in pieces.values()]
    assert max(sizes) < LARGEST / 30
    assert sum(sizes) / len(sizes) > content_module.PART_BYTES / 3


def test_a_passage_with_very_many_topics_fills_many_small_documents() -> None:
    content = Content()
    for number in range(30_000):
        content.add(Kind.PASSAGE_TOPICS, f"gita|2|47|{number:05d}{'t' * 59}", [1])
    assert len(content.split(64)) == 1
    sheets = content.sheets()
    assert max(map(size_of, sheets)) < LARGEST
    assert merged(map(Content.decode, sheets)) == content


def test_all_rows_of_a_passage_are_in_one_part() -> None:
    for verse in range(50):
        passage = f"gita|2|{verse}"
        found = {
            part_of(Kind.PASSAGES, f"{persona}|{passage}", 64) for persona in ("krishna", "socrates")
        } | {part_of(Kind.PASSAGE_TOPICS, f"{passage}|duty", 64)}
        assert len(found) == 1
