"""Alerts of a period, and how they ended."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from shared.views.alerts import Course, Values, alerts, courses
from tests.unit.shared.views.test_views import documents, fact

QUIET: Values = {"error_rate": 0.0, "avg_response_time_ms": 900.0, "user_satisfaction": 4.5}
SLOW: Values = {**QUIET, "avg_response_time_ms": 3000.1}
UNHAPPY: Values = {**QUIET, "user_satisfaction": 3.99}

windows = st.lists(
    st.fixed_dictionaries(
        {
            "error_rate": st.sampled_from([None, 0.05, 0.0501]),
            "avg_response_time_ms": st.sampled_from([None, 3000.0, 3000.1]),
            "user_satisfaction": st.sampled_from([None, 4.0, 3.99]),
        }
    ),
    max_size=8,
)


def test_an_alert_lasts_until_the_next_window_that_does_not_raise_it() -> None:
    assert courses([(0, QUIET), (5, SLOW), (10, SLOW), (60, QUIET), (65, UNHAPPY)]) == [
        Course("performance", 5, 60),
        Course("quality", 65, None),
    ]


@given(windows)
def test_alerts_of_a_kind_follow_each_other_and_cover_the_windows_that_raise_it(
    figures: Sequence[Values],
) -> None:
    found = courses((5 * number, values) for number, values in enumerate(figures))
    for kind in ("reliability", "performance", "quality"):
        own = [course for course in found if course.kind == kind]
        covered = Counter(
            minute
            for course in own
            for minute in range(course.began, 5 * len(figures) if course.ended is None else course.ended, 5)
        )
        raising = [
            5 * number
            for number, values in enumerate(figures)
            if kind in [alert["alert_type"] for alert in alerts(values)]
        ]
        assert covered == Counter(raising)
        assert [course for course in own if course.ended is None] in ([], own[-1:])


def test_the_last_alert_of_a_kind_says_whether_it_is_resolved() -> None:
    slow_again = [Course("performance", 5, 15), Course("performance", 20, 60), Course("quality", 0, 5)]
    assert ended(alerts(SLOW, slow_again)) == [(True, 40)]
    assert ended(alerts(SLOW, [*slow_again, Course("performance", 65, None)])) == [(False, None)]
    assert ended(alerts(SLOW)) == [(None, None)]


def test_a_day_says_how_its_alerts_ended() -> None:
    def shown(*times: str, slow: int) -> list[tuple[bool | None, int | None]]:
        taken = [90_000 if number < slow else 10 for number in range(len(times))]
        facts = [
            fact(id=at, timestamp=f"2025-08-05T{at}:00Z", response_time_ms=ms)
            for at, ms in zip(times, taken, strict=True)
        ]
        (day,) = documents("daily_metrics", "2025-08-05", *facts)
        return ended([alert for alert in day["alerts"] if alert["alert_type"] == "performance"])

    assert shown("10:04", "10:05", "10:31", "23:59", slow=2) == [(True, 30)]
    assert shown("10:04", "10:05", "10:31", slow=3) == [(False, None)]


def ended(raised: list[dict[str, Any]]) -> list[tuple[bool | None, int | None]]:
    return [(alert["resolved"], alert["resolution_time_min"]) for alert in raised]
