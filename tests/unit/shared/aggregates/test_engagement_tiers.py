"""Which tier a person's month reaches, and the scores that decide it."""

from __future__ import annotations

import pytest

from shared.aggregates.engagement_tiers import TIERS, MonthScores, depth_of, month_scores, tier_of
from shared.aggregates.tally import Tally
from shared.units import Month


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


def day(interactions: int = 1, **maps: dict[str, int]) -> Tally:
    return Tally({"sums": {"interactions": interactions} if interactions else {}, **maps})


def test_a_month_without_interactions_has_no_scores() -> None:
    assert month_scores(Month("202504"), {}) is None
    assert month_scores(Month("202504"), {"03": day(0, sessions={"a": 1})}) is None


def test_a_session_over_two_days_is_one_session() -> None:
    scores = month_scores(
        Month("202504"),
        {"03": day(sessions={"a": 3, "b": 1}), "04": day(sessions={"b": 1, "c": 1})},
    )
    assert scores is not None
    assert scores.sessions == 3


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
    days = {"03": day(2), "05": day(1)}
    scores = month_scores(Month(month), days)
    assert scores is not None
    assert scores.engagement == engagement


def test_a_day_with_a_session_and_no_interaction_is_not_an_active_day() -> None:
    days = {"03": day(2), "05": day(1), "09": day(0, sessions={"a": 1})}
    scores = month_scores(Month("202504"), days)
    assert scores is not None
    assert scores.engagement == 0.4909  # of two active days
    assert scores.sessions == 1


def test_the_scores_of_a_month_have_the_depth_of_all_its_days() -> None:
    days = {
        "03": day(1, passages={"p": 1}, texts={"gita": 1}),
        "05": day(1, passages={"p": 1, "q": 2}, texts={"gita": 3}),
    }
    scores = month_scores(Month("202504"), days)
    assert scores is not None
    assert scores.depth == 0.3929  # 4 citations, 2 interactions, 2 passages, 1 text


def test_depth_weighs_complexity_citations_and_passages_of_each_text() -> None:
    state = Tally(
        {
            "sums": {"interactions": 2, "complexity": 1_500_000, "complexity#": 2},
            "passages": {"p": 3, "q": 2, "r": 1},
            "texts": {"gita": 4, "dhammapada": 2},
        }
    )
    # complexity 0.75; 6 citations / 2 interactions = 3, 3 / (3 + 2) = 0.6; 3 passages / 2 texts = 1.5,
    # 1.5 / (1.5 + 5) = 0.230769; 0.4 * 0.75 + 0.3 * 0.6 + 0.3 * 0.230769 = 0.549231
    assert depth_of(state) == 0.5492


def test_without_complexity_depth_is_the_mean_of_the_other_parts() -> None:
    state = Tally({"sums": {"interactions": 2}, "passages": {"p": 4}, "texts": {"gita": 4}})
    # 4 / 2 = 2, 2 / (2 + 2) = 0.5; 1 / (1 + 5) = 0.166667; the mean of both
    assert depth_of(state) == 0.3333


def test_depth_without_citations_is_that_of_the_questions_alone() -> None:
    state = Tally({"sums": {"interactions": 1, "complexity": 1_000_000, "complexity#": 1}})
    assert depth_of(state) == 0.4
    assert depth_of(Tally({"sums": {"interactions": 1}})) == 0.0


def test_depth_of_no_interactions_is_unknown() -> None:
    assert depth_of(Tally({"passages": {"p": 4}, "texts": {"gita": 4}})) is None
