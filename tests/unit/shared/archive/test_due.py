"""What is due, and positions that stay true through splits and merges."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.archive.due import (
    NOTHING,
    NotArchivedError,
    Position,
    Positions,
    alert_until,
    archived_containers,
    due_until,
)
from shared.containers import CATALOGUE, DAY
from shared.cosmos.change_feed import FeedRange

POINTS = 8
BOUNDS = ["", *(f"{point:02X}" for point in range(1, POINTS)), "FF"]
RANGES = st.tuples(st.integers(0, POINTS), st.integers(0, POINTS)).filter(lambda pair: pair[0] < pair[1])
CLAIMS = st.lists(st.tuples(RANGES, st.integers(0, 50)), max_size=12)


def of(pair: tuple[int, int]) -> FeedRange:
    return FeedRange(BOUNDS[pair[0]], BOUNDS[pair[1]])


@given(CLAIMS)
def test_a_position_is_the_earliest_of_what_was_claimed_for_its_keys(
    claims: list[tuple[tuple[int, int], int]],
) -> None:
    positions = Positions("r", "a")
    best = [NOTHING] * POINTS
    for pair, through in claims:
        positions = positions.claiming(Position(of(pair), through))
        for key in range(*pair):
            best[key] = max(best[key], through)
        assert Positions.decode(positions.encode(), "r", "a") == positions
    for low in range(POINTS):
        for high in range(low + 1, POINTS + 1):
            assert positions.of(of((low, high))) == min(best[low:high])


def test_splits_that_are_over_leave_no_trace() -> None:
    positions = Positions("r", "a").claiming(Position(of((0, 8)), 5))
    for pair in ((0, 4), (4, 6), (6, 8)):
        positions = positions.claiming(Position(of(pair), 9))
    assert positions.positions == [Position(of((0, 8)), 9)]


@pytest.mark.parametrize(
    "stored",
    [
        None,
        {},
        {"rid": "other", "archive": "a", "positions": [{"low": "", "high": "FF", "through": 9}]},
        {"rid": "r", "archive": "other", "positions": [{"low": "", "high": "FF", "through": 9}]},
        {"rid": "r", "archive": "a", "positions": [{"low": "", "high": "FF", "through": "9"}]},
        {"rid": "r", "archive": "a", "positions": "none"},
    ],
)
def test_what_another_container_or_archive_has_claims_nothing(stored: object) -> None:
    found = Positions.decode(stored, "r", "a")  # type: ignore[arg-type]
    assert found.of(of((0, 8))) == NOTHING


def test_every_archived_container_is_archived_well_before_its_documents_expire() -> None:
    days = {each.name: each.archive_after for each in CATALOGUE if each.archive_after is not None}
    assert days == {
        "user_interactions": 180,
        "user_sessions": 60,
        "abuse_incidents": 365,
        "user_analytics": 60,
        "content_analytics": 60,
        "daily_metrics": 180,
    }
    now = 1_800_000_000.5
    for name in days:
        assert due_until(name, now) == 1_800_000_000 - days[name] * DAY  # type: ignore[operator]
        assert alert_until(name, now) < due_until(name, now)
    assert alert_until("user_sessions", now) == 1_800_000_000 - 76 * DAY
    assert due_until("user_sessions", now, 5) == 1_800_000_000 - 5 * DAY
    assert due_until("user_sessions", now, 0) == 1_800_000_000 - DAY


def test_a_container_that_is_not_archived_is_refused() -> None:
    assert archived_containers("user_sessions") == ("user_sessions",)
    with pytest.raises(NotArchivedError, match="user_sessions, user_interactions"):
        archived_containers("users")
