"""A tally is a commutative group, and its histogram is within one per cent."""

from __future__ import annotations

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.aggregates.tally import (
    Tally,
    bucket_of,
    bucket_value,
    group_by_display_name,
    merged,
    quantile,
    ratio,
    top,
)
from tests.unit.shared.aggregates.fact_strategies import tallies


@given(tallies, tallies)
def test_adding_and_subtracting_leaves_no_trace(state: Tally, other: Tally) -> None:
    before = state.encode()
    changed = state.copy()
    changed.merge(other)
    changed.merge(other, -1)
    assert changed.encode() == before


@given(tallies, tallies, tallies)
def test_order_does_not_matter(a: Tally, b: Tally, c: Tally) -> None:
    one, two = a.copy(), c.copy()
    for other in (b, c):
        one.merge(other)
    for other in (a, b):
        two.merge(other)
    assert one == two == merged([b, c, a])


@given(tallies)
def test_a_tally_that_is_subtracted_from_itself_is_empty(state: Tally) -> None:
    assert bool(state) is bool(state.encode())
    state.merge(state.copy(), -1)
    assert not state
    assert state.encode() == {}


@given(tallies, tallies)
def test_a_copy_is_independent(state: Tally, other: Tally) -> None:
    before = json.dumps(state.encode())
    state.copy().merge(other)
    assert json.dumps(state.encode()) == before


@given(tallies)
def test_a_tally_survives_being_stored(state: Tally) -> None:
    assert Tally.decode(json.loads(json.dumps(state.encode()))) == state


def test_each_kind_of_entry_is_stored_apart() -> None:
    tally = Tally()
    tally.add("users", 2)
    tally.sample("users", 3)
    tally.count("users", "a")
    tally.sample_by("users", "a", 4)
    tally.sample_by("users", "b", None)
    tally.part("users").add("users", 1)
    tally.part("empty")
    assert tally.encode() == {
        "sums": {"users": 2},
        "means": {"users": [3, 1]},
        "counts": {"users": {"a": 1}},
        "means_by": {"users": {"a": [4, 1]}},
        "parts": {"users": {"sums": {"users": 1}}},
    }


@given(st.dictionaries(st.text(max_size=4), st.integers(1, 9), max_size=4))
def test_names_that_look_like_other_entries_are_names(counts: dict[str, int]) -> None:
    tally = Tally()
    for key, amount in counts.items():
        tally.count("rating#", key, amount)
    assert tally.counts("rating#") == counts
    assert tally.counts("rating") == {}
    assert tally.samples("rating") == 0


def test_a_part_that_is_dropped_counts_nothing() -> None:
    tally = Tally()
    tally.part("a").add("x", 1)
    tally.drop_part("a")
    tally.drop_part("a")
    assert not tally


@given(st.floats(0.001, 86_400_000))
def test_a_bucket_stands_for_its_values_within_one_per_cent(value: float) -> None:
    assert math.isclose(bucket_value(bucket_of(value)), value, rel_tol=0.0100001)


@given(st.lists(st.integers(0, 100_000), min_size=1, max_size=200), st.floats(0.01, 1))
def test_a_quantile_is_within_one_per_cent_of_the_nearest_rank(values: list[int], q: float) -> None:
    tally = Tally()
    for value in values:
        tally.observe("ms", value)
    exact = sorted(values)[max(1, math.ceil(q * len(values))) - 1]
    found = quantile(tally.counts("ms"), q)
    assert found is not None
    assert math.isclose(found, exact, rel_tol=0.0100001, abs_tol=1e-9)


def test_what_nothing_measured_is_none() -> None:
    empty = Tally()
    assert quantile(empty.counts("ms"), 0.95) is None
    assert empty.mean("rating") is None
    assert empty.mean_over("rating", ["krishna"]) is None
    assert ratio(0, 0) is None


def test_means_and_rankings() -> None:
    tally = Tally()
    for rating in (5, 4, None):
        tally.sample("rating", rating)
        tally.sample_by("persona", "krishna", rating)
    assert tally.mean("rating") == 4.5
    assert tally.mean_over("persona", ["krishna"]) == 4.5
    assert top({"b": 2, "a": 2, "c": 3, "d": 1}, 3) == ["c", "a", "b"]


def test_a_histogram_takes_no_negative_value() -> None:
    with pytest.raises(ValueError, match="-1"):
        bucket_of(-1)


def test_what_is_not_named_is_other_and_nothing_is_lost() -> None:
    counts = {"a-1": 2, "a_1": 2, "b": 3, "other": 1, "c": 1, "d": 1}
    assert group_by_display_name(counts, 9) == {key: [key] for key in counts}
    assert group_by_display_name(counts, 2) == {
        "a-1": ["a-1"],
        "b": ["b"],
        "other": ["a_1", "c", "d", "other"],
    }
    first = group_by_display_name(counts, 2, lambda key: key[0])
    assert first == {"a": ["a-1", "a_1"], "b": ["b"], "other": ["c", "d", "other"]}
    assert group_by_display_name({"other": 9, "x": 2, "y": 1}, 2) == {"other": ["other", "y"], "x": ["x"]}
    assert group_by_display_name({}, 2) == {}


@pytest.mark.parametrize("name", ["bhagavad_gita", "भगवद्गीता", "論語", "𑀩𑀼𑀤𑁆𑀥"])
@pytest.mark.parametrize("group", ["count", "sample_by"])
def test_the_weight_is_that_of_the_json_that_is_sent_in_any_script(name: str, group: str) -> None:
    state = Tally()
    for number in range(100):
        getattr(state, group)("texts", f"{name}{number}", 1_000_000 + number)
        state.part(f"{name}{number % 3}").add(f"{name}{number}", 1_000_000 + number)
    sent = json.dumps(state.encode(), separators=(",", ":"), ensure_ascii=False).encode()
    assert 0.95 * len(sent) <= state.weight <= 1.25 * len(sent)
