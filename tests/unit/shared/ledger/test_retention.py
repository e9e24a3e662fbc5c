"""State ends at one date per source and month, whenever it was written, and is closed two days before."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.aggregates.base import PartialKey
from shared.aggregates.person_record import PersonRecord
from shared.facts import ABUSE_INCIDENTS, USER_INTERACTIONS, USER_SESSIONS
from shared.ledger.pages import Page
from shared.ledger.partials import Partial
from shared.ledger.retention import CLOSED_DAYS, MAX_TTL, PERSON_DAYS, Retention
from shared.ledger.state import StateDocument
from shared.units import EventHour, Millis, Month, to_millis
from tests.unit.shared.ledger.memory_shard import SHARD

AUGUST = Month("202508")
LAST_SECOND = datetime(2025, 8, 31, 23, 59, 59, tzinfo=UTC)
NOW = datetime(2025, 9, 15, tzinfo=UTC)
KEPT = {USER_SESSIONS: 90, USER_INTERACTIONS: 365}
"""Days for which the sources keep documents."""


def ttl(document: StateDocument, now: datetime = NOW, margin: int = 35) -> int:
    Retention(margin).set_ttl(document, to_millis(now))
    return document.ttl


def page(source: str = USER_INTERACTIONS, hour: str = "2025-08-05T10") -> Page:
    return Page(SHARD, source, EventHour(hour))


def partial(aggregate: str, key: str) -> Partial:
    return Partial(SHARD, PartialKey(aggregate, key))


@pytest.mark.parametrize("source", KEPT)
@pytest.mark.parametrize("margin", [35, 400])
def test_a_month_is_closed_two_days_before_its_end(source: str, margin: int) -> None:
    closes = LAST_SECOND + timedelta(days=KEPT[source] + margin - CLOSED_DAYS)
    retention = Retention(margin)
    assert not retention.is_closed(source, AUGUST, Millis(to_millis(closes) - 1))
    assert retention.is_closed(source, AUGUST, to_millis(closes))


@pytest.mark.parametrize(
    ("document", "days"),
    [
        (page(), 400), (page(hour="2025-08-31T23"), 400), (page(USER_SESSIONS), 125),
        (partial("day", "2025-08-05"), 400), (partial("person_month", "202508|ana"), 400),
    ],
)  # fmt: skip
def test_state_lives_until_the_end_of_its_month(document: StateDocument, days: int) -> None:
    assert NOW + timedelta(seconds=ttl(document)) == LAST_SECOND + timedelta(days=days)


@given(st.datetimes(datetime(2025, 8, 1), datetime(2026, 10, 1), timezones=st.just(UTC)))
def test_the_end_does_not_depend_on_the_time_of_the_write(now: datetime) -> None:
    ends = to_millis(now) + 1000 * ttl(page(), now)
    assert 0 <= to_millis(LAST_SECOND + timedelta(days=400)) - ends < 1000


def test_incidents_outlive_their_interactions() -> None:
    assert ttl(page(ABUSE_INCIDENTS)) > ttl(page())
    assert ttl(partial("incident_month", "202508|gita")) == ttl(page(ABUSE_INCIDENTS))


def test_what_is_written_after_its_end_expires_at_once_and_no_time_is_too_long_for_the_service() -> None:
    assert ttl(page(hour="2020-01-01T00")) == 1
    assert ttl(page(), margin=40_000) == MAX_TTL


class TestPerson:
    """The record of a person ends with the last of their documents."""

    def test_of_the_last_active_month(self) -> None:
        person = partial("person", "ana")
        for month in ("202507", AUGUST, "202501"):
            person.state.part(month).count("days", "05")
        assert ttl(person) == ttl(page())

    def test_of_the_last_entry_on_a_page(self) -> None:
        person = partial("person", "ana")
        person.state.part(AUGUST).count("days", "05")
        person.record = PersonRecord()
        person.record.index.add(ABUSE_INCIDENTS, "AAAA", EventHour("2025-07-05T10"))
        assert ttl(person) == ttl(page(ABUSE_INCIDENTS, "2025-07-01T00"))

    def test_without_any_is_kept_for_a_time(self) -> None:
        person = partial("person", "ana")
        person.record = PersonRecord()
        assert ttl(person) == PERSON_DAYS * 86_400

    def test_is_never_closed(self) -> None:
        key = PartialKey("person", "ana")
        assert not Retention().is_partial_closed(key, to_millis(datetime(2090, 1, 1, tzinfo=UTC)))
