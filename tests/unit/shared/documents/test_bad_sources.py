"""Sessions, incidents and accounts that cannot be true, and merely odd ones, as ``docs/input.md`` says."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.documents.incidents import parse_incident
from shared.documents.sessions import parse_session
from shared.errors import DocumentError
from shared.facts import ABUSE_INCIDENTS, USERS
from shared.facts.incidents import ACTIONS, REVIEWS, SEVERITIES, TYPES, incident_fact
from shared.facts.sessions import session_fact
from tests.unit.shared.world import World, interaction

START = "2025-09-01T10:00:00Z"
SESSION = {"id": "s", "user_id": "ann", "start_time": START, "status": "completed", "duration_seconds": 60}
INCIDENT = {"id": "n", "user_id": "ann", "created_at": START, "incident_type": "spam", "severity": "low"}


@pytest.mark.parametrize(
    ("parse", "sample", "change", "field"),
    [
        (parse_session, SESSION, {"user_id": None}, "user_id"),
        (parse_session, SESSION, {"start_time": None}, "start_time"),
        (parse_session, SESSION, {"end_time": "2025-09-01T09:58:59Z"}, "end_time"),
        (parse_session, SESSION, {"end_time": "2025-09-01T10:00:01+01:00"}, "end_time"),
        (parse_session, SESSION, {"last_activity": "2025-08-31T23:00:00Z"}, "last_activity"),
        (parse_session, SESSION, {"end_time": "9999-12-31T23:59:59Z"}, "end_time"),
        (parse_session, SESSION, {"duration_seconds": -61}, "duration_seconds"),
        (parse_session, SESSION, {"duration_seconds": 1e308}, "duration_seconds"),
        (parse_session, SESSION, {"duration_seconds": float("nan")}, "duration_seconds"),
        (parse_session, SESSION, {"duration_seconds": True}, "duration_seconds"),
        (parse_session, SESSION, {"interaction_count": -1}, "interaction_count"),
        (parse_session, SESSION, {"interaction_count": 10_001}, "interaction_count"),
        (parse_session, SESSION, {"interaction_count": 1.5}, "interaction_count"),
        (parse_session, SESSION, {"user_satisfaction_rating": 5.1}, "user_satisfaction_rating"),
        (parse_incident, INCIDENT, {"user_id": ""}, "user_id"),
        (parse_incident, INCIDENT, {"created_at": None}, "created_at"),
        (parse_incident, INCIDENT, {"created_at": "0001-01-01T00:00:00+14:00"}, "created_at"),
        (parse_incident, INCIDENT, {"severity": 3}, "severity"),
        (parse_incident, INCIDENT, {"_ts": 1_756_500_000}, "created_at"),
    ],
)
def test_what_cannot_be_true_is_refused(
    parse: Callable[[object], object], sample: dict[str, Any], change: dict[str, Any], field: str
) -> None:
    parse(sample)
    with pytest.raises(DocumentError) as caught:
        parse(sample | change)
    assert caught.value.field == field


def test_a_session_of_more_than_a_day_was_left_open() -> None:
    left = session_fact(parse_session(SESSION | {"duration_seconds": 86_401}))
    assert (left.seconds, left.until, left.outcome) == (None, None, "completed")
    ended = SESSION | {"duration_seconds": None, "end_time": "2025-09-02T10:00:01Z"}
    left = session_fact(parse_session(ended))
    assert (left.seconds, left.until, left.outcome) == (None, None, "completed")


def test_odd_incidents_are_counted() -> None:
    odd = INCIDENT | {"incident_type": "witchcraft", "severity": None, "resolution": {
        "resolution_timestamp": "2025-08-31T10:00:00Z"
    }}  # fmt: skip
    fact = incident_fact(parse_incident(odd))
    assert (fact.kind, fact.severity, fact.resolved_ms) == ("unknown", "unknown", None)
    many = INCIDENT | {"actions_taken": [{"action_type": "warning_issued"}] * 60}
    assert len(incident_fact(parse_incident(many)).actions) == 50


async def test_an_incident_that_points_at_nobody_s_or_another_s_answer_is_unattributed() -> None:
    world = World()
    await world.ingest(interaction(1, START, "bob"))
    for number, target in enumerate([None, "", "interaction_9", "interaction_1"]):
        await world.ingest(INCIDENT | {"id": f"n{number}", "interaction_id": target}, source=ABUSE_INCIDENTS)
    await world.publish()
    (shown,) = world.documents("incidents_by_content").values()
    assert (shown["source"], shown["sample_size"]) == ("unattributed", 4)


CONSENT = {"privacy_settings": {"analytics_consent": True}}
REFUSAL = {"privacy_settings": {"analytics_consent": False}}


@pytest.mark.parametrize(
    "unreadable",
    [
        REFUSAL | {"created_at": "yesterday"},
        REFUSAL | {"profile_version": "9.9"},
        {"privacy_settings": {"analytics_consent": "false"}},
        {"privacy_settings": "none"},
    ],
)
@pytest.mark.parametrize("before", [CONSENT, REFUSAL, None])
async def test_nobody_agrees_in_an_account_that_cannot_be_read(
    unreadable: dict[str, Any], before: dict[str, Any] | None
) -> None:
    world = World()
    account = {"id": "user_ann", "user_id": "ann"}
    await world.ingest(interaction(1, START))
    if before is not None:
        await world.ingest(account | before, source=USERS)
    await world.ingest(account | unreadable, source=USERS)
    await world.publish()
    assert world.documents("user_analytics") == {}
    await world.ingest(account | CONSENT, source=USERS)
    await world.publish()
    periods = ("202509", "20250901", "2025W36", "2025Q3")
    assert world.documents("user_analytics").keys() == {f"user_analytics_ann_{each}" for each in periods}


@pytest.mark.parametrize("version", [{}, {"profile_version": "1.0"}])
async def test_a_refusal_in_its_old_place_counts_whatever_version_the_account_says(
    version: dict[str, Any],
) -> None:
    world = World()
    await world.ingest(interaction(1, START))
    await world.ingest({"id": "u", "user_id": "ann", "analytics_consent": False} | version, source=USERS)
    await world.publish()
    assert world.documents("user_analytics") == {}


@given(st.text(max_size=60))
def test_no_word_of_an_incident_but_the_known_ones_is_counted(word: str) -> None:
    odd = INCIDENT | {
        "incident_type": word,
        "severity": word,
        "review_status": word,
        "actions_taken": [{"action_type": word}],
    }
    fact = incident_fact(parse_incident(odd))
    assert fact.kind in {*TYPES, "unknown"}
    assert fact.severity in {*SEVERITIES, "unknown"}
    assert fact.review in {*REVIEWS, "unknown", None}
    assert set(fact.actions) <= {*ACTIONS, "unknown"}
