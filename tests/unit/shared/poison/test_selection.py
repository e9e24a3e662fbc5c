"""Which rows a selection means, and how answers on several pages become groups."""

from __future__ import annotations

import re
from collections import Counter
from datetime import UTC, datetime
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from shared.poison.rows import Status
from shared.poison.selection import CAUSE, Selection, grouped

texts = st.text(max_size=10)
selections = st.builds(
    Selection,
    st.none() | st.sampled_from(Status),
    *[st.none() | texts] * 4,
    st.none() | st.datetimes(timezones=st.just(UTC)),
)


@given(selections, st.none() | st.integers(1, 1000))
def test_values_are_parameters_and_every_parameter_has_its_value(
    selection: Selection, limit: int | None
) -> None:
    for query, values in (selection.rows(limit), selection.count(), selection.groups()):
        assert set(re.findall(r"@(\w+)", query)) == set(values)
        empty, _ = Selection().rows(limit)
        for value in values.values():
            if isinstance(value, str) and len(value) > 3 and value not in empty:
                assert f"'{value}'" not in query


def test_a_time_is_compared_without_the_sign_that_ends_it() -> None:
    """Stored times end with Z after seconds or after milliseconds, and a dot is less than a Z."""
    _, values = Selection(since=datetime(2026, 11, 28, 20, 15, tzinfo=UTC)).rows(None)
    assert values["since"] <= "2026-11-28T20:15:00.001Z"
    assert values["since"] <= "2026-11-28T20:15:00Z"
    assert values["since"] > "2026-11-28T20:14:59.999Z"


rows = st.lists(
    st.builds(
        lambda source, error, field, first, last, number: {
            "source_container": source,
            "handler": f"fold_{source}",
            "error_type": error,
            "error_field": field,
            "first_failed_at": first,
            "last_failed_at": last,
            "id": f"poison_{number:03}",
        },
        st.sampled_from(["a", "b"]),
        st.sampled_from(["DocumentError", "FullError"]),
        st.none() | st.sampled_from(["user_rating", "timestamp"]),
        st.sampled_from(["2026-11-28T20:15:00Z", "2026-11-28T20:16:00.5Z"]),
        st.sampled_from(["2026-11-29T20:15:00Z", "2026-11-29T20:16:00.5Z"]),
        st.integers(0, 999),
    ),
    max_size=20,
)


def answers(page: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return what the service answers for the rows of one page."""
    found: dict[tuple[Any, ...], dict[str, Any]] = {}
    for row in page:
        key = tuple(row[name] for name in CAUSE)
        one = found.setdefault(key, {**row, "count": 0, "example": row["id"]})
        one["count"] += 1
        one["first_failed_at"] = min(one["first_failed_at"], row["first_failed_at"])
        one["last_failed_at"] = max(one["last_failed_at"], row["last_failed_at"])
        one["example"] = min(one["example"], row["id"])
    return list(found.values())


@given(rows, st.integers(0, 20))
def test_groups_are_the_same_on_one_page_or_two(found: list[dict[str, Any]], cut: int) -> None:
    groups = grouped([*answers(found[:cut]), *answers(found[cut:])])
    assert groups == grouped(answers(found))
    counts = Counter(tuple(row[name] for name in CAUSE) for row in found)
    assert {tuple(group.cause): group.count for group in groups} == dict(counts)
    assert [group.count for group in groups] == sorted((group.count for group in groups), reverse=True)
    for group in groups:
        assert group.example in {row["id"] for row in found}
