"""The summary of a demonstration: the figures are compared with the writes, and a wrong one is noticed."""

from __future__ import annotations

import contextlib
import copy
import io
import re
from collections import Counter, defaultdict
from dataclasses import replace
from datetime import UTC, datetime
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from local.report import print_report
from local.seed.traffic import TrafficPlan, Write, writes
from local.seed.writer import SeedSummary, Written, account_for
from local.summary import Check, Outcome, Summary, checks, models
from shared.aggregates import contribute
from shared.aggregates.base import Contributions
from shared.documents.interactions import parse_interaction
from shared.errors import DocumentError
from shared.facts import interaction_fact
from shared.pricing.table import PriceTable, list_prices
from shared.views import VIEWS
from shared.views.base import Stamp, States
from terminal import output
from tests.unit.terminal.hostile import texts, unsafe

PLAN = TrafficPlan(users=8, interactions=400, days=6, seed=9, malformed_share=0.02)
STAMP = Stamp(generation=1, revision=1, as_of=datetime(2025, 9, 1, tzinfo=UTC))


def final_documents(traffic: list[Write]) -> list[dict]:
    return list({write.document["id"]: write.document for write in traffic}.values())


def published(documents: list[dict]) -> Summary:
    """Compute the views in memory, with the fleet's own arithmetic."""
    contributions = Contributions()
    prices, poison = PriceTable(list_prices()), []
    for document in documents:
        try:
            fact = interaction_fact(parse_interaction(document), prices)
        except DocumentError as error:
            poison.append(
                {
                    "id": document["id"],
                    "source_container": "user_interactions",
                    "error_type": "DocumentError",
                    "error_field": error.field,
                    "error_message": str(error),
                }
            )
            continue
        contribute(fact, contributions)
    rendered = defaultdict(list)
    states = States(contributions.deltas)
    for name, view in VIEWS.items():
        for key in sorted({key for target in contributions.deltas for key in view.keys_affected_by(target)}):
            stamp = replace(STAMP, tick=view.tick(key, STAMP.as_of))
            rendered[name] += [one.body for one in view.render(key, states, stamp) if one.body is not None]
    return Summary(len(documents), rendered["daily_metrics"], rendered["user_analytics"], poison)


@pytest.fixture(scope="module")
def written() -> SeedSummary:
    summary = SeedSummary(created=PLAN.interactions)
    for write in writes(PLAN):
        account_for(write, summary)
    return summary


@pytest.fixture(scope="module")
def summary() -> Summary:
    return published(final_documents(list(writes(PLAN))))


def failing(found: list[Check]) -> list[str]:
    return [check.what for check in found if not check.holds]


def test_views_computed_from_the_documents_add_up(summary: Summary, written: SeedSummary) -> None:
    found = checks(summary, written)
    assert failing(found) == []
    assert len(found) == 5 + len(written.per_day)
    assert len(summary.poison) == written.malformed.total() == 8


def test_an_interaction_counted_twice_is_noticed(summary: Summary, written: SeedSummary) -> None:
    wrong = copy.deepcopy(summary)
    day = wrong.daily[2]
    day["usage_statistics"]["total_interactions"] += 1
    assert failing(checks(wrong, written)) == [
        "counted per day + poison = stored",
        f"interactions on {day['date']}",
    ]


def test_a_lost_poison_document_is_noticed(summary: Summary, written: SeedSummary) -> None:
    wrong = Summary(summary.sources, summary.daily, summary.people, summary.poison[1:])
    assert failing(checks(wrong, written)) == [
        "counted per day + poison = stored",
        "malformed interactions in poison",
    ]


def test_a_day_that_was_not_published_is_noticed(summary: Summary, written: SeedSummary) -> None:
    wrong = Summary(summary.sources, summary.daily[1:], summary.people, summary.poison)
    assert f"interactions on {summary.daily[0]['date']}" in failing(checks(wrong, written))


def test_people_who_refuse_to_be_analysed_are_not_expected(summary: Summary, written: SeedSummary) -> None:
    person = summary.people[0]["user_id"]
    some = copy.deepcopy(written)
    some.refusing.add(person)
    assert failing(checks(summary, some)) == ["counted per person = valid of those who agree"]
    shown = [one for one in summary.people if one["user_id"] != person]
    assert failing(checks(replace(summary, people=shown), some)) == []


def test_consent_that_is_given_later_counts() -> None:
    def said(kind: Literal["create", "replace"], agrees: bool) -> Write:
        document = {"user_id": "u", "privacy_settings": {"analytics_consent": agrees}}
        return Write(kind, 0, document, 0, container="users")

    summary = SeedSummary()
    account_for(said("create", False), summary)
    assert summary.refusing == {"u"}
    account_for(said("replace", True), summary)
    assert summary.refusing == set()


def test_documents_lost_or_too_many_in_other_containers_are_noticed(
    summary: Summary, written: SeedSummary
) -> None:
    more = copy.deepcopy(written)
    more.beside["user_sessions"] = Written(created=90, replaced=90, malformed=Counter(duration_negative=2))
    right = replace(summary, beside={"user_sessions": 90}, poison_beside=Counter(user_sessions=2))
    assert failing(checks(right, more)) == []
    assert failing(checks(replace(right, beside={"user_sessions": 89}), more)) == ["user_sessions stored"]
    short = replace(right, poison_beside=Counter({"user_sessions": 1}))
    assert failing(checks(short, more)) == ["malformed user_sessions in poison"]


def test_costs_are_summed_over_days_by_model(summary: Summary) -> None:
    totals = models(summary.daily)
    assert sum(requests for requests, _ in totals.values()) == summary.counted
    assert totals["gemini_2_5_flash"][1] == pytest.approx(
        sum(
            day["ai_performance"]["model_performance"].get("gemini_2_5_flash", {}).get("cost_usd") or 0
            for day in summary.daily
        )
    )


CHARGES = [
    {
        "client": "fleet",
        "container": "view_state",
        "operation": "batch",
        "requests": 7,
        "request_units": 70.4,
    },
    {"client": "seed", "container": None, "operation": "create", "requests": 2, "request_units": 12.0},
]


def outcome_of(summary: Summary, written: SeedSummary, charges: list[dict] = CHARGES) -> Outcome:
    return Outcome(written, summary, checks(summary, written), charges, drained_after=25.4)


def printed(outcome: Outcome, width: int | None, **options: str) -> str:
    """Return the report as a terminal of this width shows it; as a pipe gets it without a width."""
    stream = io.StringIO()
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(stream):
        patch.setattr(output, "width_of", lambda _: width)
        print_report(outcome, **options)
    return stream.getvalue()


@pytest.mark.parametrize("width", [80, 120, None])
def test_the_report_is_readable_at_any_width(
    summary: Summary, written: SeedSummary, width: int | None
) -> None:
    outcome = outcome_of(summary, written)
    text = printed(outcome, width)
    lines = text.splitlines()
    assert width is None or max(map(len, lines)) <= width
    for day in summary.daily:
        assert any(line.startswith(day["date"]) for line in lines)
    assert summary.people[0]["id"] in text
    assert "Request units (the local server's estimate): 82" in text
    assert "cost_data.input_tokens" in text
    assert outcome.as_json()["adds_up"] is True
    assert outcome.as_json()["request_units"] == 82.4


def test_the_verdict_is_the_first_and_nearly_the_last_line(summary: Summary, written: SeedSummary) -> None:
    lines = printed(outcome_of(summary, written), 80, kept_in="DIR").splitlines()
    assert lines[:2] == ["", "Every figure adds up, 25 s."]
    end = lines[lines.index("Every figure adds up, 25 s.", 2) :]
    assert "The data are kept in DIR." in end
    assert any(line.startswith("make run ") for line in end)
    wrong = replace(summary, daily=summary.daily[1:])
    outcome = outcome_of(wrong, written)
    count = len(failing(outcome.checks))
    lines = printed(outcome, 80).splitlines()
    assert lines[1] == f"{count} of {len(outcome.checks)} comparisons do not add up, 25 s."


def test_poison_of_every_source_is_in_the_heading(summary: Summary, written: SeedSummary) -> None:
    other = {
        "source_container": "user_sessions",
        "error_type": "DocumentError",
        "error_field": "start_time",
        "error_message": "start_time is missing",
    }
    text = printed(outcome_of(replace(summary, other_poison=[other] * 3), written), 80)
    assert f"In poison: {len(summary.poison) + 3} documents" in text
    assert re.search(r"^ +3  user_sessions +start_time", text, re.MULTILINE)


def test_requests_beyond_the_first_kinds_are_summed_and_named(summary: Summary, written: SeedSummary) -> None:
    charges = [CHARGES[0] | {"operation": f"kind {number}", "request_units": 1.0} for number in range(20)]
    text = printed(outcome_of(summary, written, charges), 80)
    assert re.search(r"^less than these +6 more rows +42 +6$", text, re.MULTILINE)


@given(st.lists(texts, min_size=4, max_size=4), st.sampled_from([80, 120, None]))
def test_texts_of_documents_reach_the_terminal_escaped(hostile: list[str], width: int | None) -> None:
    field, message, model, client = hostile
    row = {
        "source_container": "users",
        "error_type": "ValueError",
        "error_field": field,
        "error_message": message,
    }
    usage = ("active_users", "new_users", "total_sessions", "total_interactions")
    day = {
        "id": f"day {message}",
        "date": "2025-08-05",
        "usage_statistics": dict.fromkeys(usage, 1),
        "content_performance": {"total_citations": 1, message: {field: model}},
        "quality_metrics": {"user_satisfaction_avg": None},
        "system_performance": {"p95_response_time_ms": 1.5},
        "ai_performance": {
            "total_cost_usd": None,
            "model_performance": {model: {"requests": 1, "cost_usd": 1.0}},
        },
    }
    summary = Summary(1, [day], [], [row])
    text = printed(outcome_of(summary, SeedSummary(), [CHARGES[0] | {"client": client}]), width)
    assert unsafe(text) == set()
