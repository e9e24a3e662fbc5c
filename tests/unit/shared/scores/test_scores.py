"""Scores: in range and monotone whatever goes in, nothing out of nothing, and examples worked by hand."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from ops.scores import parameters, scores_page
from shared import scores
from shared.scores import SCORES, content, people, service
from shared.scores.not_scored import NOT_SCORED
from shared.views.fields import FIELDS, NOT_MEASURED

ROOT = Path(__file__).parents[4]

COUNTS = st.integers(0, 10**15)
TIMES = st.floats(-1, 1e12)
SHARES = st.floats(0, 1)
PARTS = SHARES | st.none()

UP, DOWN, MIXED = 1, -1, 0


@dataclass(frozen=True)
class Case:
    """One score: what its inputs may be, which way it goes with each, which it cannot do without."""

    score: Callable[..., float | None]
    inputs: Mapping[str, st.SearchStrategy[Any]]
    ways: Mapping[str, int]
    required: tuple[str, ...]
    low: float = 0
    high: float = 1
    ratings: bool = False

    def __str__(self) -> str:
        return self.score.__name__


RHYTHM = {
    "days_inactive": TIMES,
    "days_active": st.integers(1, 40_000),
    "days_spanned": st.integers(0, 40_000),
}
RATINGS = {"rating_sum": COUNTS, "ratings": st.integers(1, 10**15)}

CASES = [
    Case(
        scores.engagement,
        {"days_active": COUNTS, "interactions": COUNTS, "days_inactive": TIMES, "period_days": COUNTS},
        {"days_active": UP, "interactions": UP, "days_inactive": DOWN, "period_days": DOWN},
        ("days_active", "interactions", "days_inactive", "period_days"),
    ),
    Case(
        scores.content_depth,
        {
            "interactions": st.integers(1, 10**15),
            "citations": COUNTS,
            "passages": COUNTS,
            "texts": st.integers(1, 10**15),
            "complexity": PARTS,
        },
        {"interactions": DOWN, "citations": UP, "passages": UP, "texts": DOWN, "complexity": UP},
        ("interactions", "citations", "passages", "texts"),
    ),
    Case(
        scores.churn_risk,
        RHYTHM,
        {"days_inactive": UP, "days_active": UP, "days_spanned": DOWN},
        tuple(RHYTHM),
        low=people.PRIOR_GONE,
    ),
    Case(
        scores.next_session_probability,
        {**RHYTHM, "horizon_days": TIMES},
        {"days_inactive": DOWN, "horizon_days": UP, "days_active": MIXED, "days_spanned": MIXED},
        tuple(RHYTHM),
        high=1 - people.PRIOR_GONE,
    ),
    Case(
        scores.upgrade_propensity,
        {"engagement_score": SHARES, "churn_risk_score": SHARES, "satisfaction_score": PARTS},
        {"engagement_score": UP, "churn_risk_score": DOWN, "satisfaction_score": UP},
        ("engagement_score", "churn_risk_score"),
    ),
    Case(
        scores.recommendation_confidence,
        {"in_interests": COUNTS, "interactions": st.integers(1, 10**15)},
        {"in_interests": UP, "interactions": MIXED},
        ("in_interests", "interactions"),
    ),
    Case(
        scores.trending,
        {
            "recent": COUNTS,
            "recent_hours": st.floats(0.1, 1e6),
            "earlier": COUNTS,
            "earlier_hours": st.floats(0.1, 1e6),
        },
        {"recent": UP, "recent_hours": DOWN, "earlier": DOWN, "earlier_hours": UP},
        ("recent", "recent_hours", "earlier", "earlier_hours"),
    ),
    Case(
        scores.response_effectiveness,
        {"satisfaction_score": PARTS, "relevance": PARTS, "citation_accuracy": PARTS},
        {"satisfaction_score": UP, "relevance": UP, "citation_accuracy": UP},
        (),
    ),
    Case(
        scores.efficiency,
        {"avg_response_ms": TIMES, "avg_cost_usd": TIMES | st.none()},
        {"avg_response_ms": DOWN, "avg_cost_usd": DOWN},
        ("avg_response_ms",),
    ),
    Case(
        scores.enhancement_priority,
        {"citations": COUNTS, "effectiveness": SHARES},
        {"citations": UP, "effectiveness": DOWN},
        ("citations", "effectiveness"),
    ),
    Case(
        scores.health,
        {
            "error_rate": SHARES,
            "p95_response_ms": TIMES | st.none(),
            "safety": PARTS,
            "content_accuracy": PARTS,
            "citation_accuracy": PARTS,
            "satisfaction_score": PARTS,
        },
        {
            "error_rate": DOWN,
            "p95_response_ms": DOWN,
            "safety": UP,
            "content_accuracy": UP,
            "citation_accuracy": UP,
            "satisfaction_score": UP,
        },
        ("error_rate",),
    ),
    Case(
        scores.resolution_efficiency,
        {
            "incidents": st.integers(1, 10**15),
            "resolved": st.integers(1, 10**15),
            "avg_resolution_hours": TIMES,
        },
        {"incidents": DOWN, "resolved": UP, "avg_resolution_hours": DOWN},
        ("incidents", "resolved", "avg_resolution_hours"),
    ),
    Case(scores.satisfaction, RATINGS, {"rating_sum": UP, "ratings": MIXED}, tuple(RATINGS)),
    Case(
        scores.bayesian_average_rating,
        RATINGS,
        {"rating_sum": UP, "ratings": MIXED},
        tuple(RATINGS),
        low=1,
        high=5,
    ),
    Case(
        scores.wilson_lower_bound,
        {"hits": COUNTS, "total": st.integers(1, 10**15)},
        {"hits": UP, "total": MIXED},
        ("hits", "total"),
    ),
    Case(
        scores.growth_rate,
        {"recent": COUNTS, "earlier": st.integers(1, 10**15)},
        {"recent": UP, "earlier": DOWN},
        ("recent", "earlier"),
        low=-1,
        high=float("inf"),
    ),
    Case(
        scores.data_completeness,
        {"given": COUNTS, "expected": st.integers(1, 10**15)},
        {"given": UP, "expected": DOWN},
        ("given", "expected"),
    ),
    Case(scores.calculation_confidence, {"sample_size": COUNTS}, {"sample_size": UP}, ("sample_size",)),
]
every_score = pytest.mark.parametrize("case", CASES, ids=str)


def test_every_score_has_a_case() -> None:
    assert {case.score for case in CASES} == set(SCORES) - {scores.health_status}
    assert all(case.ways.keys() == case.inputs.keys() for case in CASES)


@every_score
@given(data=st.data())
def test_a_score_is_in_range(case: Case, data: st.DataObject) -> None:
    value = case.score(**data.draw(st.fixed_dictionaries(dict(case.inputs))))
    if value is None:
        assert not case.required
    else:
        assert case.low <= value <= case.high
        assert value == round(value, 4)


@every_score
@given(data=st.data())
def test_a_score_goes_one_way_with_each_input(case: Case, data: st.DataObject) -> None:
    inputs = data.draw(st.fixed_dictionaries(dict(case.inputs)))
    for name, way in case.ways.items():
        other = data.draw(case.inputs[name])
        if way == MIXED or inputs[name] is None or other is None:
            continue
        less, more = sorted((inputs[name], other))
        below, above = case.score(**{**inputs, name: less}), case.score(**{**inputs, name: more})
        assert below is not None
        assert above is not None
        assert (above - below) * way >= 0, name


@every_score
@given(data=st.data())
def test_there_is_no_score_without_what_it_needs(case: Case, data: st.DataObject) -> None:
    inputs = data.draw(st.fixed_dictionaries(dict(case.inputs)))
    for name in case.required:
        assert case.score(**{**inputs, name: None}) is None, name


@every_score
@pytest.mark.parametrize("value", [0, -1, 10**300, 1e300])
def test_extremes_give_a_score_in_range_or_none(case: Case, value: float) -> None:
    result = case.score(**dict.fromkeys(case.inputs, value))
    assert result is None or case.low <= result <= case.high


@pytest.mark.parametrize(
    "weights",
    [
        people.ENGAGEMENT_WEIGHTS,
        people.DEPTH_WEIGHTS,
        people.UPGRADE_WEIGHTS,
        content.EFFECTIVENESS_WEIGHTS,
        content.EFFICIENCY_WEIGHTS,
        service.HEALTH_WEIGHTS,
    ],
)
def test_weights_sum_to_one(weights: dict[str, float]) -> None:
    assert sum(weights.values()) == pytest.approx(1)
    assert min(weights.values()) > 0


@pytest.mark.parametrize(
    ("score", "inputs", "expected"),
    [
        # 23 + 7 days: a = 3/30 and v = 12/30 are at their half, a week of silence too.
        (scores.engagement, (3, 12, 7, 23), 0.5),
        # a = 6/30: 2/3; v = 12/30: 1/2; silent for two weeks: 1/4. 0.075 + 0.26667 + 0.15
        (scores.engagement, (6, 12, 14, 23), 0.4917),
        # c = 20/10: 1/2; p = 10/2: 1/2; 0.4 × 0.75 + 0.3 × 0.5 + 0.3 × 0.5
        (scores.content_depth, (10, 20, 10, 2, 0.75), 0.6),
        (scores.content_depth, (10, 20, 10, 2, None), 0.5),
        (scores.content_depth, (10, 0, 0, 0, 0.5), 0.2),
        # v = 4, d = 28, s = (28/42)^4 = 16/81: 0.1 / (0.1 + 0.9 × 16/81)
        (scores.churn_risk, (14, 1, 0), 0.36),
        (scores.churn_risk, (0, 1, 0), 0.1),
        # v = 5, d = 35, s = (35/70)^5 = 1/32: 0.1 / (0.1 + 0.028125)
        (scores.churn_risk, (35, 2, 7), 0.7805),
        # The weekend of a daily visitor, and a month after a single visit: what PRIOR_VISITS gives as reason.
        (scores.churn_risk, (2, 30, 29), 0.2575),
        (scores.churn_risk, (30, 1, 0), 0.6717),
        # On the day of a first visit: 0.9 × (1 − (28/35)^4) = 0.9 × (1 − 0.4096)
        (scores.next_session_probability, (0, 1, 0), 0.5314),
        # 0.64 × (1 − (42/56)^4) = 0.64 × (1 − 81/256)
        (scores.next_session_probability, (14, 1, 0, 14), 0.4375),
        # 0.64^0.5 × 1 × 1
        (scores.upgrade_propensity, (0.64, 0, 1), 0.8),
        # Without ratings: 0.25^(0.5/0.8) × 1
        (scores.upgrade_propensity, (0.25, 0, None), 0.4204),
        (scores.upgrade_propensity, (0.9, 1, 1), 0.0),
        # 24 of 24 against an expected 1/7 of 35 = 5: (24 + 5) / (24 + 5 + 10)
        (scores.trending, (24, 24, 35, 168), 0.7436),
        (scores.trending, (10, 24, 10, 24), 0.5),
        (scores.trending, (0, 24, 0, 24), 0.5),
        # 0.4 × 0.75 + 0.35 × 0.8 + 0.25 × 1
        (scores.response_effectiveness, (0.75, 0.8, 1), 0.83),
        (scores.response_effectiveness, (None, 0.8, None), 0.8),
        (scores.response_effectiveness, (None, None, None), None),
        # 4800 / 6000 = 0.8 and 0.01 / 0.01 + 0.01 = 0.5: 0.56 + 0.15
        (scores.efficiency, (1200, 0.01), 0.71),
        (scores.efficiency, (1200, None), 0.8),
        # √(1/2 × 1/2)
        (scores.enhancement_priority, (50, 0.5), 0.5),
        # Only answering is known, one in twenty unanswered.
        (scores.health, (0.05, None, None, None, None, None), 0.5),
        # answering 1/2 at weight 0.4, speed 1/2 at 0.2: 0.5 again
        (scores.health, (0.05, 9600, None, None, None, None), 0.5),
        # 0.5^0.4
        (scores.health, (0.05, 100, 1, 1, 1, 1), 0.7579),
        (scores.health, (0, 100, 1, 1, 1, 1), 1.0),
        (scores.health, (0, 100, 0, 1, 1, 1), 0.0),
        # 9/12 × 24/48
        (scores.resolution_efficiency, (12, 9, 24), 0.375),
        (scores.resolution_efficiency, (12, 0, None), 0.0),
        (scores.resolution_efficiency, (0, 0, 0), None),
        # Wilson, 8 of 10: the textbook's 0.4902
        (scores.recommendation_confidence, (8, 10), 0.4902),
        (scores.wilson_lower_bound, (8, 10), 0.4902),
        # p = 0: exactly nothing is sure
        (scores.wilson_lower_bound, (0, 10), 0.0),
        # (15 + 5) / 6; a quarter of what is above 1
        (scores.bayesian_average_rating, (5, 1), 3.3333),
        (scores.satisfaction, (5, 1), 0.5833),
        (scores.growth_rate, (23, 20), 0.15),
        (scores.growth_rate, (1, 0), None),
        (scores.data_completeness, (47, 50), 0.94),
        # 1 − 1.96 / √(30 + 3.8415)
        (scores.calculation_confidence, (30,), 0.6631),
        (scores.calculation_confidence, (0,), 0.0),
    ],
)
def test_examples_worked_by_hand(
    score: Callable[..., float | None], inputs: tuple[Any, ...], expected: float | None
) -> None:
    names = next(case for case in CASES if case.score == score).inputs
    assert score(**dict(zip(names, inputs, strict=False))) == expected


def test_the_same_silence_means_more_of_somebody_who_came_daily() -> None:
    daily = scores.churn_risk(days_inactive=7, days_active=29, days_spanned=28)
    weekly = scores.churn_risk(days_inactive=7, days_active=5, days_spanned=28)
    assert daily is not None
    assert weekly is not None
    assert daily > 0.8
    assert weekly < 0.3


def test_a_regular_is_told_from_a_passer_by_from_the_first_days_of_a_month() -> None:
    early = scores.engagement(days_active=5, interactions=12, days_inactive=0, period_days=6)
    once = scores.engagement(days_active=1, interactions=2, days_inactive=0, period_days=1)
    full = scores.engagement(days_active=20, interactions=60, days_inactive=0, period_days=30)
    assert once is not None
    assert early is not None
    assert full is not None
    assert once < early < full
    assert full > 0.8  # the specification's power user


def test_three_of_three_is_less_sure_than_ninety_of_a_hundred() -> None:
    few, many = scores.wilson_lower_bound(hits=3, total=3), scores.wilson_lower_bound(hits=90, total=100)
    assert few is not None
    assert many is not None
    assert few < many


@given(hits=COUNTS, total=st.integers(1, 10**15))
def test_a_sure_share_is_no_more_than_the_share(hits: int, total: int) -> None:
    assume(hits <= total)
    share = scores.wilson_lower_bound(hits=hits, total=total)
    assert share is not None
    assert share <= round(hits / total, 4)


@pytest.mark.parametrize(
    ("score", "word"),
    [
        (1, "excellent"),
        (0.96, "excellent"),
        (0.9, "excellent"),
        (0.8, "good"),
        (0.5, "fair"),
        (0.4999, "poor"),
        (0, "poor"),
        (-1, "poor"),
        (None, None),
    ],
)
def test_the_word_for_a_health_score(score: float | None, word: str | None) -> None:
    assert scores.health_status(score=score) == word


def test_the_page_of_scores_is_up_to_date() -> None:
    assert (ROOT / "docs" / "scores.md").read_text(encoding="utf-8") == scores_page()


@pytest.mark.parametrize("score", SCORES, ids=lambda score: score.__name__)
def test_each_score_is_documented(score: Callable[..., Any]) -> None:
    section = scores_page().partition(f"## {score.__name__}\n")[2].partition("\n## ")[0]
    assert "Formula:" in section
    assert "Result:" in section
    for name in score.__kwdefaults__ or {}:
        assert name in section
    for name in score.__code__.co_varnames[: score.__code__.co_kwonlyargcount]:
        assert name in section
    for name, (_, reason) in parameters(score).items():
        assert name in section
        assert len(reason) > len(name)


@pytest.mark.parametrize("score", SCORES, ids=lambda score: score.__name__)
def test_a_score_names_fields_that_are_calculated_by_it(score: Callable[..., Any]) -> None:
    purpose = " ".join((score.__doc__ or "").partition("Formula:")[0].split())
    for claim in re.findall(r"``(\w+)``: ((?:``[^`]+``(?:, )?)+)", purpose):
        for field in re.findall("``([^`]+)``", claim[1]):
            meaning = FIELDS[claim[0]][field]
            assert meaning != NOT_MEASURED
            said = re.match(r"score (\w+)", meaning)
            assert said is None or said[1] == score.__name__


def test_a_field_that_names_a_score_is_named_by_it() -> None:
    described = {score.__name__: score.__doc__ or "" for score in SCORES}
    for fields in FIELDS.values():
        for field, meaning in fields.items():
            if named := re.match(r"score (\w+)", meaning):
                assert f"``{field}``" in described[named[1]]


def test_a_parameter_used_through_a_helper_is_found() -> None:
    assert parameters(scores.churn_risk).keys() == {"PRIOR_GONE", "PRIOR_VISITS", "PRIOR_DAYS"}


def test_a_parameter_used_as_a_default_is_found() -> None:
    assert "NEXT_SESSION_DAYS" in parameters(scores.next_session_probability)


def test_what_is_not_scored_is_not_measured_in_any_view() -> None:
    for path in NOT_SCORED:
        view, _, field = path.partition(".")
        assert FIELDS.get(view, {}).get(field, NOT_MEASURED) == NOT_MEASURED


def test_what_is_not_scored_says_why() -> None:
    page = scores_page()
    for field, reason in NOT_SCORED.items():
        assert f"| `{field}` | {reason} |" in page
