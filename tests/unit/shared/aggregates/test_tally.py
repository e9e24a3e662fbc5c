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
    quantile,
    ratio,
    top,
)

maps = st.dictionaries(
    st.sampled_from(["sums", "models", "texts"]),
    st.dictionaries(st.sampled_from("abc"), st.integers(-5, 5).filter(bool), min_size=1),
)
tallies = maps.map(Tally)


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
    assert one == two


@given(tallies)
def test_a_copy_is_its_own(state: Tally) -> None:
    before = repr(state)
    state.copy().count("models", "a", 7)
    assert repr(state) == before


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


@pytest.mark.parametrize("name", ["bhagavad_gita", "भगवद्गीता", "論語"])
def test_the_weight_is_that_of_the_json_that_is_sent_in_any_script(name: str) -> None:
    state = Tally({"texts": {f"{name}{n}": 1_000_000 + n for n in range(100)}})
    sent = json.dumps(state.encode(), separators=(",", ":"), ensure_ascii=False).encode()
    assert state.weight == pytest.approx(len(sent), rel=0.1)
