"""How an operator may write a time."""

from __future__ import annotations

import contextlib
from datetime import UTC, datetime, timedelta

import pytest
import typer
from hypothesis import given
from hypothesis import strategies as st

from ops.arguments import moment
from tests.fake_clock import FakeClock

NOW = datetime(2026, 11, 28, 20, 15, tzinfo=UTC)
CLOCK = FakeClock(lambda: NOW)


@pytest.mark.parametrize(
    ("text", "time"),
    [
        ("2026-11-28", datetime(2026, 11, 28, tzinfo=UTC)),
        ("2026-11-28T20:15Z", NOW),
        ("2026-11-28T20:15", NOW),
        ("2026-11-28 21:15+01:00", NOW),
        ("45m", NOW - timedelta(minutes=45)),
        ("6h", NOW - timedelta(hours=6)),
        ("3d", NOW - timedelta(days=3)),
        ("2w", NOW - timedelta(weeks=2)),
    ],
)
def test_a_time_is_a_day_a_moment_or_how_long_ago(text: str, time: datetime) -> None:
    assert moment(text, clock=CLOCK) == time


@given(
    st.one_of(
        st.text(max_size=30), st.from_regex(r"[0-9]{1,30}[mhdwy]", fullmatch=True), st.datetimes().map(str)
    )
)
def test_any_text_is_a_time_or_refused(text: str) -> None:
    with contextlib.suppress(typer.BadParameter):
        assert moment(text, clock=CLOCK).tzinfo is not None


@pytest.mark.parametrize("text", ["", "yesterday", "3", "3y", "99999999d", "9999999w", "2026-13-01", "20:15"])
def test_what_is_no_time_is_refused_with_examples(text: str) -> None:
    with pytest.raises(typer.BadParameter, match=r"is not a day \(2026-11-28\), a time .* or how long ago"):
        moment(text, clock=CLOCK)
