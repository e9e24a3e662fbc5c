"""The yardstick itself: it computes what a reader computes by hand, and sees every field that is wrong."""

from __future__ import annotations

import copy
from datetime import UTC, date, datetime
from typing import Any

import pytest

from local.seed.malformed import INCIDENT_DEFECTS, break_as
from local.seed.traffic import TrafficPlan, writes
from tests.differences import Near, Text, differences, flattened
from tests.independent import Document, assert_views_equal, is_malformed, pricing
from tests.independent.arithmetic import grouped
from tests.independent.content import expected_popularity, expected_texts
from tests.independent.days import expected_day
from tests.independent.incidents import expected_incidents
from tests.independent.interactions import citations_of
from tests.independent.names import chapter_and_verse, plain_name
from tests.independent.people import expected_period, expected_tiers, period_of
from tests.independent.sources import Sources, good, is_malformed_incident
from tests.long_names import long_name

DAY, MONTH, PERSON = "2025-08-05", "2025-08", "e45d45fe-1111"

BY_HAND: list[Document] = [
    {
        "id": "a", "user_id": PERSON, "session_id": "s1", "timestamp": "2025-08-05T10:00:00Z",
        "response_text": "yes", "response_time_ms": 100, "user_rating": 4,
        "foundational_texts_used": [{"source": "gita", "chapter": 2, "verse": "47", "relevance_score": 0.9}],
        "response_metadata": {"personality_used": "krishna"},
        "cost_data": {"input_tokens": 1000, "output_tokens": 10, "model_used": "gemini-2.5-flash"},
    },
    {
        "id": "b", "user_id": PERSON, "session_id": "s1", "timestamp": "2025-08-05T10:00:30Z",
        "response_text": "", "response_time_ms": 300, "user_rating": 5,
        "foundational_texts_used": [{"source": "gita", "chapter": "2", "verse": 47, "relevance_score": 0.7}],
        "response_metadata": {"personality_used": "krishna"},
        "cost_data": {"input_tokens": 200_001, "output_tokens": 1, "model_used": "gemini-2.5-pro"},
    },
]  # fmt: skip


def shown(expected: Any) -> Any:
    """Return a document as it would be published: rounded values are numbers."""
    if isinstance(expected, dict):
        return {name: shown(value) for name, value in expected.items()}
    if isinstance(expected, list):
        return [shown(entry) for entry in expected]
    if isinstance(expected, Text):
        return f"{expected.start}…{expected.end}"
    return expected.value if isinstance(expected, Near) else copy.deepcopy(expected)


def expected_month(user: str, month: str, documents: list[Document]) -> Document:
    label, first, last = period_of("monthly", date.fromisoformat(f"{month}-01"))
    return expected_period(user, "monthly", label, first, last, Sources(documents), {})


def test_a_day_and_a_month_by_hand() -> None:
    day = shown(expected_day(DAY, Sources(BY_HAND)))
    assert day["system_performance"]["error_rate"] == 0.5
    assert day["system_performance"]["p95_response_time_ms"] == 300
    assert day["usage_statistics"]["peak_rps"] == 2 / 60
    assert day["content_performance"]["content_discovery_rate"] == 0.5
    assert day["ai_performance"]["model_performance"]["gemini_2_5_flash"]["cost_nano_usd"] == 325_000
    assert day["ai_performance"]["model_performance"]["gemini_2_5_pro"]["cost_nano_usd"] == 500_017_500
    month = shown(expected_month(PERSON, MONTH, BY_HAND))
    assert (month["id"], month["period_end"]) == ("user_analytics_e45d45fe_202508", "2025-08-31T23:59:59Z")
    assert month["interaction_metrics"]["response_satisfaction_avg"] == 4.5
    assert month["behavioral_insights"]["peak_engagement_time"] == "morning"
    assert month["cost"]["nano_usd"] == 500_342_500


def test_what_nobody_measured_is_unknown_and_not_nothing() -> None:
    bare = {"id": "c", "user_id": PERSON, "timestamp": "2025-08-05T11:00:00Z"}
    half = {**bare, "id": "d", "cost_data": {"input_tokens": 500, "model_used": "gemini-2.5-flash"}}
    free = {**bare, "id": "e", "cost_data": {"input_tokens": 1, "output_tokens": 1, "model_used": "own"}}
    day = shown(expected_day(DAY, Sources([*BY_HAND, bare, half, free])))
    assert day["system_performance"]["successful_requests"] == 1
    assert day["system_performance"]["error_rate"] == 0.5
    models = day["ai_performance"]["model_performance"]
    flash, unknown, own = models["gemini_2_5_flash"], models["unknown"], models["own"]
    assert (flash["avg_tokens_input"], flash["avg_tokens_output"]) == (750, 10)
    assert flash["cost_nano_usd"] == 325_000
    assert (unknown["total_tokens_input"], unknown["avg_tokens_input"], unknown["cost_usd"]) == (None,) * 3
    assert [m["unmeasured_requests"] for m in (flash, unknown, own)] == [1, 1, 0]
    assert day["ai_performance"]["unpriced_models"] == {"own": 1}
    cost = expected_month(PERSON, MONTH, [*BY_HAND, bare, half, free])["cost"]
    assert (cost["unpriced_interactions"], cost["unmeasured_interactions"]) == (1, 2)


@pytest.mark.parametrize("written", ["google/gemini-2.5-flash", "gemini-2.5-flash-001", "own"])
def test_before_its_first_price_a_name_costs_what_it_would_mean_without_one(
    written: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = written.replace(".", "-")
    monkeypatch.setitem(pricing.PRICES, name, [("2025-08-05", {None: (1, None, 2)})])
    usage: Document = {"input_tokens": 100, "output_tokens": 10}
    assert pricing.model_meant(written) == name
    bills = [pricing.bill_of(name, datetime(2025, 8, day, tzinfo=UTC), usage).cost for day in (4, 5)]
    assert bills == [None if written == "own" else 100 * 300 + 10 * 2500, 100 * 1000 + 10 * 2000]


def test_what_has_too_many_names_is_named_as_far_as_it_occurs_most() -> None:
    def asked(persona: str, number: int) -> Document:
        citations = [{"source": f"text {persona}", "verse": n} for n in range(number)]
        return {
            "id": f"{persona} {number}", "user_id": PERSON, "timestamp": "2025-08-05T11:00:00Z",
            "response_metadata": {"personality_used": persona}, "foundational_texts_used": citations,
        }  # fmt: skip

    many = [asked(f"p{n:03d}", times) for n in range(102) for times in range(3 if n else 60)]
    day = shown(expected_day(DAY, Sources(many)))
    personas = day["ai_performance"]["personalities_used"]
    assert len(personas) == 101
    assert (personas["p000"]["requests"], personas["p099"]["requests"], personas["other"]["requests"]) == (
        60,
        3,
        6,
    )
    assert day["content_performance"]["total_citations"] == sum(min(n, 50) for n in range(60)) + 101 * 3
    texts = shown(expected_month(PERSON, MONTH, many))["content_metrics"]["foundational_texts_accessed"]
    assert texts == [f"text p{n:03d}" for n in range(100)]


def published(documents: list[Document]) -> tuple[list[Document], list[Document]]:
    days = grouped(documents, lambda d: d["timestamp"][:10])
    months = grouped(documents, lambda d: (d["user_id"], d["timestamp"][:7]))
    tick = {"state": {"tick": "2099-12-31"}}
    return (
        [shown(expected_day(day, Sources(documents))) for day in days],
        [shown(expected_month(*key, documents)) | tick for key in months],
    )


@pytest.fixture(scope="module")
def documents() -> list[Document]:
    plan = TrafficPlan(users=3, interactions=24, days=3, seed=1, malformed_share=0.1)
    return [write.document for write in writes(plan) if write.kind == "create"]


def test_every_wrong_field_shows(documents: list[Document]) -> None:
    good = [document for document in documents if not is_malformed(document)]
    assert 0 < len(good) < len(documents)
    daily, users = published(good)
    assert_views_equal(daily, users, documents)
    for views, number in ((daily, 0), (users, 0)):
        for path in (path for path in leaves(views[number]) if path[0] != "state"):
            wrong = copy.deepcopy(views)
            change(wrong[number], path)
            pair = (wrong, users) if views is daily else (daily, wrong)
            with pytest.raises(AssertionError, match="differences"):
                assert_views_equal(*pair, documents)


def test_every_wrong_field_of_the_other_views_shows() -> None:
    incident = {
        "id": "x", "user_id": PERSON, "created_at": "2025-08-05T12:00:00Z", "interaction_id": "a",
        "flagged_content": {"violation_categories": ["threat"]}, "review_decision": "false_positive",
        "review_status": "resolved", "review_completed_at": "2025-08-05T13:00:00Z",
    }  # fmt: skip
    asked = [document | {"query_metadata": {"query_category": "duty"}} for document in BY_HAND]
    sources = Sources(asked, incidents=[incident])
    of_views = (
        expected_tiers(sources, {}, date.max), expected_popularity(sources, {}), expected_texts(sources, {}),
        expected_incidents(sources, {}),
    )  # fmt: skip
    for documents in of_views:
        assert documents
        for expected in documents.values():
            right = flat(shown(expected))
            assert not list(differences("it", right, flat(expected)))
            for path in right:
                wrong = dict(right)
                change(wrong, (path,))
                assert list(differences("it", wrong, flat(expected))), path


def flat(document: Document) -> Document:
    """Return a document of one level: entries of lists that are documents have places of their own."""
    return dict(flattened(document))


def test_what_is_published_twice_shows(documents: list[Document]) -> None:
    daily, users = published([document for document in documents if not is_malformed(document)])
    with pytest.raises(AssertionError, match="published twice"):
        assert_views_equal([*daily, daily[0]], users, documents)


def test_names_are_shown_plainly() -> None:
    names = {"source": " Śrī  (Gītā) ", "chapter": "\u0969", "verse": " ", "note": "ā"}
    (document,) = good(
        {"user_interactions": [BY_HAND[0] | {"foundational_texts_used": [names]}]}
    ).interactions
    assert document["foundational_texts_used"] == [
        {"source": "Śrī  _Gītā_", "chapter": "\u0969", "verse": " ", "note": "ā"}
    ]


def test_one_passage_has_one_spelling_and_a_sentence_none() -> None:
    for chapter, verse in (("2:47", None), ("2.47", " "), (2, "Gita 2.47"), (" 02", "047"), (None, "2:47")):
        assert chapter_and_verse(chapter, verse) == ("2", "47")
    assert chapter_and_verse("6.8", "7") == ("6.8", "7")
    assert chapter_and_verse("2:47", "48") == ("2_47", "48")
    assert chapter_and_verse(None, None) == ("", "")
    assert plain_name(long_name(1)) == long_name(1)
    assert (
        plain_name(long_name(1) + "z")
        == plain_name("a" * 31)
        == plain_name("one, two of three, four, five")
        == "unknown"
    )
    assert plain_name("ann@example.org") == "unknown"


def test_the_ten_most_relevant_citations_count_by_text() -> None:
    cited = [{"source": str(n), "relevance_score": r} for n, r in enumerate([0, None, 0.5, *[0.9] * 9])]
    document = {"foundational_texts_used": cited}
    assert [c["source"] for c in citations_of([document])] == [str(n) for n in range(2, 12)]


def test_a_document_more_or_less_shows(documents: list[Document]) -> None:
    good = [document for document in documents if not is_malformed(document)]
    daily, users = published(good)
    for other in (documents[:-1], [*documents, BY_HAND[0]]):
        with pytest.raises(AssertionError, match="differences"):
            assert_views_equal(daily, users, other)
    with pytest.raises(AssertionError, match="is not published"):
        assert_views_equal(daily[1:], users, documents)
    with pytest.raises(AssertionError, match="no such field"):
        assert_views_equal([{"date": DAY}], [], BY_HAND)
    with pytest.raises(AssertionError, match="is published, and should not be"):
        assert_views_equal([{"date": DAY}], [], [])


def leaves(document: Document, path: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    found = []
    for name, value in document.items():
        if path or name not in ("date", "user_id", "period_start"):  # these say which document it is
            inner = leaves(value, (*path, name)) if isinstance(value, dict) else None
            found += inner or [(*path, name)]
    return found


def change(document: Document, path: tuple[str, ...]) -> None:
    """Make one leaf wrong by as little as its type allows."""
    for name in path[:-1]:
        document = document[name]
    match document[path[-1]]:
        case bool() as value:
            document[path[-1]] = not value
        case int() as value:
            document[path[-1]] = value + 1
        case float() as value:
            document[path[-1]] = value * 1.02 + 0.2
        case list() as value:
            document[path[-1]] = value[1:] or ["made up"]
        case None:
            document[path[-1]] = 0
        case _:
            document[path[-1]] = "made up"


@pytest.mark.parametrize("kind", INCIDENT_DEFECTS)
def test_every_defect_of_the_sample_incidents_is_malformed(kind: str) -> None:
    incident = {
        "id": "n", "user_id": "ann", "created_at": "2025-08-05T10:00:00Z", "severity": "low",
        "incident_type": "spam", "actions_taken": [{"action_type": "warning_issued"}],
        "resolution": {"resolution_timestamp": "2025-08-05T11:00:00Z"},
        "detection_metadata": {"detection_timestamp": "2025-08-05T10:00:00Z"},
    }  # fmt: skip
    assert not is_malformed_incident(incident)
    assert is_malformed_incident(break_as(incident, INCIDENT_DEFECTS, kind))
