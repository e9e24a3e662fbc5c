"""The clock of the fleet tells the time in UTC, and can be replaced by a test's."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

from shared.clock import SYSTEM_CLOCK, Clock
from tests.fake_clock import FakeClock


def test_the_time_of_day_is_this_machines_in_utc() -> None:
    before = datetime.now(UTC)
    now = SYSTEM_CLOCK.now()
    assert before <= now <= datetime.now(UTC)
    assert now.utcoffset() == timedelta(0)


def test_the_timestamp_is_in_seconds_since_the_epoch() -> None:
    before = time.time()
    assert before - 0.001 <= SYSTEM_CLOCK.timestamp() <= time.time() + 0.001


def test_the_timestamp_is_the_time_of_day() -> None:
    class Fixed(Clock):
        def now(self) -> datetime:
            return datetime(2025, 8, 5, 13, 20, tzinfo=UTC)

    assert Fixed().timestamp() == 1_754_400_000


def test_the_other_clock_is_the_one_that_never_goes_back() -> None:
    before = time.monotonic()
    assert before <= SYSTEM_CLOCK.monotonic() <= time.monotonic()


def test_a_tests_clock_tells_what_the_test_says() -> None:
    moments: list[datetime | float] = [1_754_400_000.0, datetime(2025, 8, 5, 13, 21, tzinfo=UTC)]
    clock = FakeClock(lambda: moments[0], lambda: 7.0)
    assert (clock.now(), clock.monotonic()) == (datetime(2025, 8, 5, 13, 20, tzinfo=UTC), 7.0)
    moments.pop(0)
    assert clock.timestamp() == 1_754_400_060
