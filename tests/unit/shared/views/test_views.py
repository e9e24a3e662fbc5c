"""Views: the specification's shape, figures that can be checked by hand, and a reference that is complete."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from ops.fields import fields_page
from shared import containers
from shared.aggregates import contributions, person, person_month
from shared.aggregates.base import PartialKey
from shared.aggregates.engagement_tiers import TIERS
from shared.aggregates.person_record import PersonRecord
from shared.aggregates.tally import Tally
from shared.aggregates.tier_counts import TierCounts, TierKey
from shared.builds.content import Content
from shared.builds.content import merged as total
from shared.builds.counting import ContentCounter
from shared.builds.graph import contents_of
from shared.documents.incidents import parse_incident
from shared.documents.interactions import MAX_CITATIONS, parse_interaction
from shared.documents.sessions import parse_session
from shared.facts import (
    Fact,
    IncidentFact,
    InteractionFact,
    Passage,
    SessionFact,
    incident_fact,
    interaction_fact,
    session_fact,
)
from shared.ledger.counted_entries import CountedEntries
from shared.pricing.table import PriceTable, list_prices
from shared.privacy.classes import MIN_PEOPLE
from shared.scores import churn_risk
from shared.units import Day, Month, json_bytes, month_of
from shared.views import VIEWS
from shared.views.base import Stamp, States
from shared.views.daily_metrics import MOST_NAMED
from shared.views.engagement_summary import render_tiers
from shared.views.fields import FIELDS
from shared.views.person_blocks import TEXTS
from shared.views.reference import NOTHING_KNOWN
from tests.long_names import long_name

PRICES = PriceTable(list_prices())
STAMP = Stamp(generation=1, revision=7, as_of=datetime(2025, 8, 5, 14, 45, tzinfo=UTC))
ROOT = Path(__file__).parents[4]

SAMPLE: dict[str, Any] = {
    "id": "interaction_bd6a8685-73c7-46b0-a7eb-786955803418",
    "user_id": "e45d45fe-d106-46b0-8bef-8bb87a179c0d",
    "session_id": "session_e45d45fe_20250805_143721",
    "timestamp": "2025-08-05T14:39:15.127Z",
    "response_time_ms": 1250,
    "processing_stages": {"content_retrieval_ms": 400},
    "query_metadata": {"query_complexity": "medium", "query_category": "leadership_guidance"},
    "response_text": "My fellow citizen",
    "response_metadata": {"personality_used": "krishna", "model_used": "gemini-2.5-flash"},
    "foundational_texts_used": [
        {"source": "bhagavad_gita", "chapter": "2", "verse": "47", "relevance_score": 0.92}
    ],
    "rag_metadata": {"chunks_retrieved": 5, "avg_relevance_score": 0.84},
    "user_rating": 5,
    "user_feedback": {"accurate": True},
    "cost_data": {"input_tokens": 234, "output_tokens": 456, "model_used": "gemini-2.5-flash"},
    "quality_metrics": {"response_relevance": 0.91, "citation_accuracy": 0.96, "safety_score": 0.99},
}


TOKENS = {"input_tokens": 1, "output_tokens": 1}


def fact(**change: Any) -> InteractionFact:
    return interaction_fact(parse_interaction(SAMPLE | change), PRICES)


def states(*facts: Fact) -> dict[PartialKey, Tally]:
    """Count facts one by one, with what is derived from each."""
    state: dict[PartialKey, Tally] = {}
    for one in facts:
        count = CountedEntries()
        count.add(contributions(one))
        count.derive(count.people_changed(lambda target: state.get(target, Tally()), lambda _: None))
        for target, delta in count.contributions.deltas.items():
            state.setdefault(target, Tally()).merge(delta)
    return state


def records(state: Mapping[PartialKey, Tally]) -> dict[str, PersonRecord]:
    """Return the records of all people, with the summaries of their months."""
    found: dict[str, PersonRecord] = defaultdict(PersonRecord)
    for target, tally in state.items():
        if target.aggregate == person_month.NAME and (summary := person_month.summary_of(tally)):
            month, user_id = person_month.split_key(target.key)
            found[user_id].months[month] = summary
    return found


def rendered(view: str, key: str, *facts: Fact) -> dict[str, Any]:
    (document,) = documents(view, key, *facts)
    return document


def contents_of_facts(*facts: Fact) -> dict[str, Content]:
    """Build the contents of all days and months."""
    days: dict[str, ContentCounter] = defaultdict(ContentCounter)
    for one in facts:
        if isinstance(one, InteractionFact):
            days[one.day].count(one)
    months: dict[str, Content] = defaultdict(Content)
    for day, counter in days.items():
        months[month_of(Day(day))].merge(counter.content)
    for month in months.values():
        month.count_readers()
    return {**{day: counter.content for day, counter in days.items()}, **months}


def documents(view: str, key: str, *facts: Fact, now: datetime = STAMP.as_of) -> list[dict[str, Any]]:
    tick = VIEWS[view].tick(key, now)
    collector, groups = VIEWS[view].collector(key, tick, NOTHING_KNOWN), VIEWS[view].contents(key)
    built = contents_of_facts(*facts)
    figures = built[groups[0][0]].figures() if groups and groups[0][0] in built else None
    for number in range(collector.passes if collector else 0):
        assert collector is not None
        collector.add(number, [total(built[each] for each in group if each in built) for group in groups])
    counted = states(*facts)
    states_of_facts = States(counted, records(counted), collected=collector, figures=figures)
    shown = VIEWS[view].render(key, states_of_facts, replace(STAMP, tick=tick))
    return [one.body for one in shown if one.body is not None]


def test_daily_metrics_of_the_specification_s_sample() -> None:
    day = rendered("daily_metrics", "2025-08-05", fact(), fact(user_rating=None, response_text=""))
    assert day["id"] == "daily_metrics_20250805"
    assert day["partition_key"] == day["date"] == "2025-08-05"
    assert day["system_performance"]["error_rate"] == 0.5
    assert day["system_performance"]["availability_percent"] is None
    assert day["usage_statistics"]["active_users"] == 1
    assert day["usage_statistics"]["new_users"] == 1
    assert day["usage_statistics"]["total_sessions"] == 1
    assert day["usage_statistics"]["peak_rps"] == round(2 / 60, 4)
    flash = day["ai_performance"]["model_performance"]["gemini_2_5_flash"]
    assert flash["requests"] == 2
    assert flash["avg_tokens_input"] == 234
    assert flash["cost_nano_usd"] == 2 * (234 * 300 + 456 * 2500)
    assert flash["cost_usd"] == 0.0024204
    assert day["ai_performance"]["personalities_used"]["krishna"] == {
        "requests": 2,
        "satisfaction": 5.0,
        "response_time": 1250.0,
    }
    assert day["quality_metrics"]["user_satisfaction_avg"] == 5.0
    assert day["calculated_at"] == "2025-08-05T14:45:00Z"


def test_an_unknown_model_is_counted_unpriced_and_listed() -> None:
    usage = {"input_tokens": 1, "output_tokens": 1, "model_used": "model-of-tomorrow"}
    day = rendered("daily_metrics", "2025-08-05", fact(), fact(cost_data=usage))
    tomorrow = day["ai_performance"]["model_performance"]["model_of_tomorrow"]
    assert (tomorrow["requests"], tomorrow["cost_usd"], tomorrow["unpriced_requests"]) == (1, None, 1)
    assert day["ai_performance"]["unpriced_models"] == {"model-of-tomorrow": 1}
    assert day["ai_performance"]["total_cost_usd"] == 0.0012102


def test_what_is_not_measured_is_counted_and_costs_nobody_knows_what() -> None:
    usage = {"model_used": "gemini-2.5-flash"}
    bare = fact(cost_data=usage, response_text=None)
    half = fact(cost_data=usage | {"input_tokens": 100}, response_text=None)
    day = rendered("daily_metrics", "2025-08-05", fact(), bare, half)
    assert (day["system_performance"]["successful_requests"], day["system_performance"]["error_rate"]) == (
        1,
        0,
    )
    flash = day["ai_performance"]["model_performance"]["gemini_2_5_flash"]
    assert (flash["requests"], flash["unmeasured_requests"], flash["unpriced_requests"]) == (3, 2, 0)
    assert (flash["avg_tokens_input"], flash["avg_tokens_output"]) == (167, 456)
    assert flash["cost_nano_usd"] == 234 * 300 + 456 * 2500
    assert day["ai_performance"]["unpriced_models"] == {}
    month = rendered("user_analytics", f"202508|{SAMPLE['user_id']}", fact(), bare, half)
    assert month["cost"]["unmeasured_interactions"] == 2
    assert month["cost"]["unpriced_interactions"] == 0
    alone = rendered("daily_metrics", "2025-08-05", bare)
    assert alone["system_performance"]["error_rate"] is None
    flash = alone["ai_performance"]["model_performance"]["gemini_2_5_flash"]
    assert (flash["total_tokens_input"], flash["cost_nano_usd"]) == (None, None)


def test_documents_can_make_up_names_without_end_and_a_view_stays_a_document() -> None:
    def by(number: int, **more: Any) -> InteractionFact:
        name = long_name(number)
        response = {"personality_used": name, "model_used": name}
        return fact(response_metadata=response, cost_data=TOKENS, user_rating=number % 5 + 1, **more)

    facts = [by(number) for number in range(MOST_NAMED + 30)] + [by(7), by(MOST_NAMED + 20)]
    facts.append(
        fact(response_metadata={"personality_used": "other", "model_used": "Other"}, cost_data=TOKENS)
    )
    day = rendered("daily_metrics", "2025-08-05", *facts)
    for block in (day["ai_performance"]["personalities_used"], day["ai_performance"]["model_performance"]):
        assert len(block) in (MOST_NAMED, MOST_NAMED + 1)
        assert sum(one["requests"] for one in block.values()) == len(facts)
    personas = day["ai_performance"]["personalities_used"]
    assert personas[long_name(MOST_NAMED + 20)]["requests"] == 2
    rest = [n % 5 + 1 for n in range(MOST_NAMED - 1, MOST_NAMED + 30) if n != MOST_NAMED + 20]
    assert personas["other"]["requests"] == len(rest) + 1
    assert personas["other"]["satisfaction"] == round((sum(rest) + 5) / (len(rest) + 1), 2)
    assert len(day["ai_performance"]["unpriced_models"]) == MOST_NAMED + 1
    assert sum(day["ai_performance"]["unpriced_models"].values()) == len(facts)
    assert json_bytes(day) < 120_000


def test_a_document_adds_a_bounded_number_of_short_keys_to_the_state_of_its_day() -> None:
    longest = [
        dict.fromkeys(("source", "chapter", "verse"), long_name(n)) | {"relevance_score": 0.123456}
        for n in range(900)
    ]
    one = fact(foundational_texts_used=longest, session_id="s" * 255)
    day = rendered("daily_metrics", "2025-08-05", one)
    assert day["content_performance"]["total_citations"] == MAX_CITATIONS
    assert day["content_performance"]["content_discovery_rate"] == 1
    assert states(one)[PartialKey("day", "2025-08-05")].weight < 3_000
    assert json_bytes(one.encode()) < 6_000
    assert (
        states(fact(session_id="s" * 255))[PartialKey("person_month", f"202508|{one.user_id}")].weight < 700
    )


def test_a_month_names_the_texts_cited_most() -> None:
    def cites(*sources: int) -> InteractionFact:
        return fact(foundational_texts_used=[{"source": f"t{n:03d}"} for n in sources])

    facts = [cites(n) for n in range(TEXTS + 10)] + [cites(TEXTS + 9)]
    month = rendered("user_analytics", f"202508|{SAMPLE['user_id']}", *facts)
    texts = month["content_metrics"]["foundational_texts_accessed"]
    assert texts == sorted([*(f"t{n:03d}" for n in range(TEXTS - 1)), f"t{TEXTS + 9:03d}"])
    assert month["content_metrics"]["content_discovery_rate"] == 1.0


def test_user_analytics_of_a_month() -> None:
    user = SAMPLE["user_id"]
    later = fact(timestamp="2025-08-15T20:00:00Z", session_id="s2", foundational_texts_used=None)
    month = rendered("user_analytics", f"202508|{user}", fact(), fact(), later)
    assert month["id"] == "user_analytics_e45d45fe_202508"
    assert month["user_id"] == month["partition_key"] == user
    assert (month["period_start"], month["period_end"]) == ("2025-08-01T00:00:00Z", "2025-08-31T23:59:59Z")
    assert month["session_metrics"]["total_sessions"] == 2
    assert month["session_metrics"]["session_frequency_days"] == 10.0
    assert month["session_metrics"]["peak_usage_hour"] == 14
    assert month["interaction_metrics"]["total_interactions"] == 3
    assert month["interaction_metrics"]["avg_interactions_per_session"] == 1.5
    assert month["interaction_metrics"]["citation_engagement_rate"] is None
    assert month["content_metrics"]["content_discovery_rate"] == 1.0
    assert month["behavioral_insights"]["peak_engagement_time"] == "afternoon"
    assert month["predictions"]["churn_risk_score"] == churn_risk(
        days_inactive=0, days_active=2, days_spanned=10
    )


def test_a_person_is_new_on_the_earliest_day_whatever_came_first() -> None:
    early, late = fact(timestamp="2025-07-30T10:00:00Z"), fact()
    state = states(late, early)
    assert state["day", "2025-07-30"].total("new_users") == 1  # type: ignore[index]
    assert state["day", "2025-08-05"].total("new_users") == 0  # type: ignore[index]


def session(**change: Any) -> SessionFact:
    document = {
        "id": "session_1", "user_id": SAMPLE["user_id"], "start_time": "2025-08-05T14:37:21Z",
        "end_time": "2025-08-05T14:45:44Z", "duration_seconds": 503, "status": "completed",
    }  # fmt: skip
    return session_fact(parse_session(document | change))


def incident(**change: Any) -> IncidentFact:
    document = {
        "id": "incident_1", "user_id": SAMPLE["user_id"], "created_at": "2025-08-05T14:39:16Z",
        "incident_type": "spam", "severity": "low", "actions_taken": [{"action_type": "warning_issued"}],
        "flagged_content": {"violation_categories": ["harassment"]}, "review_decision": "false_positive",
        "resolution": {"resolution_timestamp": "2025-08-05T16:39:16Z"}, "review_status": "resolved",
    }  # fmt: skip
    found = incident_fact(parse_incident(document | change))
    return replace(found, passage=Passage("bhagavad_gita", "2", "47"))


EVERYTHING = (
    fact(cost_data={"input_tokens": 1, "output_tokens": 1, "model_used": "other"}, response_time_ms=9000),
    session(),
    incident(),
    *(fact(id=f"i{number}", user_id=f"p{number}", response_time_ms=9000) for number in range(MIN_PEOPLE)),
)


@pytest.mark.parametrize(
    ("view", "container"), [(name, view.container) for name, view in VIEWS.items()], ids=str
)
def test_the_reference_names_exactly_the_fields_that_are_rendered(view: str, container: str) -> None:
    state = states(*EVERYTHING)
    targets = {each for target in state for each in (target, *contents_of(target))}
    keys = {key for target in targets for key in VIEWS[view].keys_affected_by(target)}
    shown = [document for key in sorted(keys) for document in documents(view, key, *EVERYTHING)]
    assert_fields(container, shown)


def test_the_reference_names_exactly_the_fields_of_engagement_summary() -> None:
    counted, key = states(*EVERYTHING), TierKey.at(Month("202508"), Day("2025-08-05"))
    counts = TierCounts(Day("2025-08-05"))
    for user_id, record in records(counted).items():
        counts.add(counted[PartialKey(person.NAME, user_id)], record)
    shown = render_tiers(key, counts.of(key.month), Tally(), STAMP)
    assert [one.partition for one in shown] == list(TIERS)
    assert_fields("engagement_summary", [one.body for one in shown if one.body is not None])


def assert_fields(container: str, shown: list[dict[str, Any]]) -> None:
    """Compare the fields of rendered documents with the reference."""
    assert shown
    named: set[str] = set()
    for document in shown:
        document["state"] |= dict.fromkeys(("digest", "content"), "added by the publisher")
        assert document["_ttl"] == containers.container(container).default_ttl
        named |= {generic(path) for path in paths(document)}
    assert named == FIELDS[container].keys()


def test_the_page_of_fields_is_up_to_date() -> None:
    assert (ROOT / "docs" / "fields.md").read_text(encoding="utf-8") == fields_page()


def paths(value: Any, prefix: str = "") -> Iterator[str]:
    if isinstance(value, dict) and value:
        for name, item in value.items():
            yield from paths(item, f"{prefix}.{name}" if prefix else name)
    elif isinstance(value, list) and value and isinstance(value[0], dict):
        for item in value:
            yield from paths(item, f"{prefix}[]")
    elif value != [] or f"{prefix}[]" not in LISTS:
        yield prefix


LISTS = {path.rpartition(".")[0] for fields in FIELDS.values() for path in fields if "[]" in path}
"""Lists of objects: where one is empty, its fields are seen in another document."""


def generic(path: str) -> str:
    for data in ("personalities_used", "model_performance", "unpriced_models", "by_severity", "by_type"):
        head, found, rest = path.partition(f".{data}.")
        if found:
            _, dot, tail = rest.partition(".")
            return f"{head}.{data}.*{dot}{tail}"
    return path


@pytest.mark.parametrize("read", ["in one moment", "before the month", "when only a later month was known"])
def test_the_first_month_is_new_whenever_the_person_was_read(read: str) -> None:
    """The documents of a person and of a month are written in one transaction, and read one after another."""
    one = fact()
    counted = states(one)
    target = PartialKey(person.NAME, one.user_id)
    if read == "before the month":
        del counted[target]
    elif read == "when only a later month was known":
        counted[target] = states(fact(timestamp="2025-09-01T10:00:00Z"))[target]
    state = States(counted, records(counted))
    (shown,) = VIEWS["user_analytics"].render(
        f"202508|{one.user_id}", state, replace(STAMP, tick="2025-08-05")
    )
    assert shown.body is not None
    assert shown.body["user_profile"]["user_tier"] == "new"
