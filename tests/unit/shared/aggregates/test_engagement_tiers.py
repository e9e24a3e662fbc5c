"""Which tier a person's month reaches, and the scores that decide it."""

from __future__ import annotations

import pytest

from shared.aggregates.engagement_tiers import (
    TIERS,
    MonthScores,
    first_month,
    is_churned,
    month_scores,
    tier_in,
    tier_of,
)
from shared.aggregates.person_record import MonthSummary, PersonRecord
from shared.aggregates.tally import Tally
from shared.units import Day, Micro, Month


@pytest.mark.parametrize(
    ("sessions", "engagement", "depth", "tier"),
    [
        (20, 0.80, 0.70, "power_user"),
        (45, 1.0, 1.0, "power_user"),
        (19, 0.80, 0.70, "engaged"),
        (20, 0.7999, 0.70, "engaged"),
        (20, 0.80, 0.6999, "engaged"),
        (20, 0.80, None, "engaged"),
        (8, 0.60, 0.0, "engaged"),
        (8, 0.60, None, "engaged"),
        (7, 1.0, 1.0, "casual"),
        (45, 0.5999, 1.0, "casual"),
        (0, 0.0, None, "casual"),
    ],
)
def test_a_tier_is_the_highest_whose_criteria_are_all_reached(
    sessions: int, engagement: float, depth: float | None, tier: str
) -> None:
    assert tier_of(MonthScores(sessions, engagement, depth), is_first_month=False) == tier


def test_the_first_month_of_a_person_is_new_whatever_it_reaches() -> None:
    assert tier_of(MonthScores(45, 1.0, 1.0), is_first_month=True) == "new"
    assert tier_of(MonthScores(0, 0.0, None), is_first_month=True) == "new"


def test_the_tiers_are_those_of_the_specification() -> None:
    assert TIERS == ("new", "casual", "engaged", "power_user", "churned")


@pytest.mark.parametrize(
    ("month", "engagement"),
    [
        # 2 active days and 3 interactions in d = 30 + 7 days, on the last day of activity:
        # 0.3 + 0.4 * 2 / (2 + 0.1 d) + 0.3 * 3 / (3 + 0.4 d)
        ("202504", 0.4909),
        ("202505", 0.4874),  # d = 31 + 7
        ("202502", 0.4984),  # d = 28 + 7
        ("202402", 0.4946),  # d = 29 + 7
    ],
)
def test_engagement_is_that_of_the_whole_month_as_of_the_last_active_day(
    month: str, engagement: float
) -> None:
    summary = MonthSummary(sessions=3, depth=Micro(250_000))
    assert month_scores(Month(month), [2, 1], summary) == MonthScores(3, engagement, 0.25)


def test_a_month_without_depth_has_none() -> None:
    assert month_scores(Month("202504"), [1], MonthSummary()).depth is None


def active_on(**days: int) -> Tally:
    """Return the state of a person with interactions on days, ``d20250805=2``."""
    state = Tally()
    for name, count in days.items():
        state.part(name[1:7]).count("days", name[7:], count)
    return state


class TestTierIn:
    """The tier of a person in a month."""

    PERSON = active_on(d20250705=1, d20250805=2, d20250806=1)
    RECORD = PersonRecord(months={Month("202507"): MonthSummary(), Month("202508"): MonthSummary()})

    @pytest.mark.parametrize(
        ("month", "tier"), [("202506", None), ("202507", "new"), ("202508", "casual"), ("202509", None)]
    )
    def test_is_new_in_the_first_month_and_none_without_activity(self, month: str, tier: str | None) -> None:
        assert tier_in(Month(month), self.PERSON, self.RECORD) == tier

    def test_is_that_of_the_scores_of_all_days(self) -> None:
        days = {f"d202508{day:02d}": 9 for day in range(1, 32)}
        power = MonthSummary(sessions=20, depth=Micro(700_000))
        record = PersonRecord(Day("2025-07-01"), months={Month("202508"): power})
        assert tier_in(Month("202508"), active_on(**days), record) == "power_user"
        assert tier_in(Month("202508"), active_on(d20250801=9), record) == "casual"


class TestFirstMonth:
    """The first month with activity."""

    def test_is_that_of_the_first_active_day(self) -> None:
        assert first_month(active_on(d20250805=1, d20241231=1), PersonRecord()) == "202412"

    @pytest.mark.parametrize(("known", "month"), [("2024-03-01", "202403"), ("2026-01-01", "202508")])
    def test_includes_earlier_generations(self, known: str, month: str) -> None:
        assert first_month(active_on(d20250805=1), PersonRecord(Day(known))) == month

    def test_of_no_activity_is_none(self) -> None:
        assert first_month(Tally(), PersonRecord()) is None


@pytest.mark.parametrize(("as_of", "churned"), [("2025-09-03", False), ("2025-09-04", True)])
def test_a_person_has_churned_after_thirty_days(as_of: str, churned: bool) -> None:
    assert is_churned(Day("2025-08-05"), Day(as_of)) is churned
