"""Cursors of physical partitions that are split and merged: what they claim was seen."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.cosmos.change_feed import FeedRange
from shared.maintenance.cursors import CLOCK_SKEW_SECONDS, Cursor, Cursors

KEYS = 16
"""Keys of the feed. Key ``n`` is the text of ``n`` in two hexadecimal digits."""

NOW = 5_000


def feed_range(low: int, high: int) -> FeedRange:
    return FeedRange(f"{low:02X}", f"{high:02X}")


def keys_of(cursor: Cursor) -> range:
    return range(int(cursor.range.low, 16), int(cursor.range.high, 16))


def claims(cursors: Cursors) -> dict[int, int]:
    """Return up to which sequence number each key was seen."""
    found = dict.fromkeys(range(KEYS), 0)
    for cursor in cursors.cursors:
        for key in keys_of(cursor):
            found[key] = int((cursor.position or "0").strip('"'))
    return found


layouts = st.sets(st.integers(1, KEYS - 1), max_size=6).map(
    lambda cuts: [feed_range(low, high) for low, high in zip([0, *sorted(cuts)], [*sorted(cuts), KEYS])]  # noqa: B905
)
positions = st.none() | st.integers(1, 50).map(lambda number: f'"{number}"')


@st.composite
def cursors(draw: st.DrawFn) -> Cursors:
    kept = [each for each in draw(layouts) if draw(st.integers(0, 9))]  # now and then one is missing
    return Cursors("rid", 1, [Cursor(each, draw(positions), draw(st.integers(0, NOW))) for each in kept])


@given(before=cursors(), layout=layouts)
def test_cursors_claim_nothing_that_was_not_claimed_before(before: Cursors, layout: list[FeedRange]) -> None:
    after = before.aligned(layout, NOW)
    assert [cursor.range for cursor in after.cursors] == layout
    held, claimed = claims(before), claims(after)
    assert all(claimed[key] <= held[key] for key in range(KEYS))
    for cursor in after.cursors:  # and no more is given up than the whole of a merged range needs
        assert claimed[keys_of(cursor)[0]] == min(held[key] for key in keys_of(cursor))


@given(before=cursors(), layout=layouts)
def test_the_times_of_a_merged_range_are_in_order_only_since_then(
    before: Cursors, layout: list[FeedRange]
) -> None:
    for cursor in before.aligned(layout, NOW).cursors:
        parts = [each for each in before.cursors if each.range.overlaps(cursor.range)]
        is_part = len(parts) == 1 and cursor.range.is_covered_by([parts[0].range])
        assert cursor.ordered_since == (parts[0].ordered_since if is_part else NOW)


@given(before=cursors(), layout=layouts, index=st.integers(0, 6), number=st.integers(1, 50))
def test_a_claim_counts_for_its_own_keys_and_never_takes_one_back(
    before: Cursors, layout: list[FeedRange], index: int, number: int
) -> None:
    claim = Cursor(layout[index % len(layout)], f'"{number}"')
    held, claimed = claims(before), claims(before.claiming(claim))
    for cursor in before.cursors:
        inside = cursor.range.is_covered_by([claim.range])
        for key in keys_of(cursor):
            assert claimed[key] == (max(held[key], number) if inside else held[key])


@given(before=cursors())
def test_what_is_stored_is_read_back(before: Cursors) -> None:
    assert Cursors.decode(before.encode()) == before


@pytest.mark.parametrize(
    "stored",
    [
        None,
        "text",
        {"low": "", "high": "FF", "position": "", "ordered_since": 0},
        {"low": "", "high": "FF", "position": 7, "ordered_since": 0},
        {"low": "", "high": "FF", "ordered_since": 0},
        {"low": "", "position": '"7"', "ordered_since": 0},
        {"feed_range": {"Range": {"min": "", "max": "FF"}}, "continuation": "e30="},
    ],
)
def test_a_cursor_that_cannot_be_read_is_left_out_and_its_range_is_read_from_the_beginning(
    stored: Any,
) -> None:
    good = Cursor(feed_range(0, 8), '"5"', 0)
    document = Cursors("rid", 1, [good]).encode()
    document["cursors"].append(stored)
    found = Cursors.decode(document)
    assert found is not None
    assert found.unreadable == 1
    aligned = found.aligned([feed_range(0, 8), feed_range(8, KEYS)], NOW)
    assert aligned.cursors == [good, Cursor(feed_range(8, KEYS), None, NOW)]


def test_a_document_of_another_form_has_no_cursors() -> None:
    found = Cursors.decode({"rid": "rid", "ranges": [{"feed_range": {}, "continuation": "e30="}]})
    assert found is not None
    assert (found.cursors, found.unreadable) == ([], 1)
    assert Cursors.decode({"ranges": []}) is None
    assert Cursors.decode(None) is None


def test_positions_that_are_no_numbers_are_not_compared() -> None:
    parts = Cursors("rid", 1, [Cursor(feed_range(0, 8), "abc"), Cursor(feed_range(8, KEYS), '"9"')])
    (merged,) = parts.aligned([feed_range(0, KEYS)], NOW).cursors
    assert merged.position is None
    (claimed,) = Cursors("rid", 1, [parts.cursors[0]]).claiming(Cursor(feed_range(0, 8), '"3"')).cursors
    assert claimed.position == '"3"'


@given(known=st.none() | cursors(), rid=st.sampled_from(["rid", "another"]), now=st.integers(1, 2 * NOW))
def test_every_reading_from_the_beginning_takes_what_is_there_for_live(
    known: Cursors | None, rid: str, now: int
) -> None:
    """Nothing tells it that the container was not restored: cursors may be lost, or may never have been."""
    reading = Cursors.from_beginning(rid, [feed_range(0, KEYS)], now, after=known)
    assert reading.live_until == now + CLOCK_SKEW_SECONDS
    assert known is None or not reading.is_same_reading(known)
    assert Cursors.decode(reading.encode()) == reading
    assert reading.aligned([feed_range(0, 8), feed_range(8, KEYS)], now + 1).live_until == reading.live_until
