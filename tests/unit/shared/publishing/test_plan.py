"""Planning: which documents changed states concern, and in which batches they are published."""

from __future__ import annotations

from shared.aggregates.base import PartialKey
from shared.aggregates.document_index import document_hash
from shared.aggregates.person_record import PersonRecord
from shared.builds.graph import CONTENT
from shared.facts import USER_INTERACTIONS
from shared.ledger.partials import Partial
from shared.ledger.shards import ShardId
from shared.publishing.merged_state import StoredPartial, owner_of
from shared.publishing.plan import (
    MAX_DOCUMENTS,
    MAX_STATES,
    DocumentKey,
    batches_within_memory,
    documents_affected_by,
    documents_of_person,
    inputs_of,
    people_pending,
    person_of,
)
from shared.units import Day, EventHour, day_after
from shared.views import VIEWS
from shared.views.base import Schedule

DAY = PartialKey("day", "2025-08-05")
MONTH_OF_ANN = PartialKey("person_month", "202508|ann")
PERIODS_OF_ANN = {
    DocumentKey("user_analytics", "202508|ann"),
    DocumentKey("user_analytics_daily", "202508|ann"),
    *(DocumentKey("user_analytics_weekly", f"2025W{week}|ann") for week in range(31, 36)),
    DocumentKey("user_analytics_quarterly", "2025Q3|ann"),
}


def test_a_changed_state_affects_the_documents_of_one_schedule() -> None:
    assert documents_affected_by([MONTH_OF_ANN], Schedule.LIVE) == [
        DocumentKey("user_analytics", "202508|ann")
    ]
    assert DocumentKey("daily_metrics", DAY.key) in documents_affected_by([DAY], Schedule.LIVE)


def test_a_document_that_two_states_affect_is_planned_once() -> None:
    documents = documents_affected_by([DAY, DAY, PartialKey("day", "2025-08-06")], Schedule.LIVE)
    assert len(documents) == len(set(documents))


def test_the_documents_of_a_person_are_those_of_all_their_months_in_all_schedules() -> None:
    record = PersonRecord()
    for hour in ("2025-08-05T10", "2025-08-30T10", "2025-09-01T10"):
        record.index.add(USER_INTERACTIONS, document_hash(USER_INTERACTIONS, hour), EventHour(hour))
    documents = documents_of_person("ann", record)
    assert set(documents) == PERIODS_OF_ANN | {
        DocumentKey("user_analytics", "202509|ann"),
        DocumentKey("user_analytics_daily", "202509|ann"),
        *(DocumentKey("user_analytics_weekly", f"2025W{week}|ann") for week in range(36, 41)),
    }
    assert len(documents) == len(set(documents))
    assert documents_of_person("ann", PersonRecord()) == []


def test_pending_are_the_people_whose_delivered_record_says_so() -> None:
    def delivered(user_id: str, *records: PersonRecord | None) -> dict[PartialKey, list[StoredPartial]]:
        target = PartialKey("person", user_id)
        partials = [Partial(ShardId("1:0000"), target, record=record) for record in records]
        return {target: [StoredPartial(each, written=1) for each in partials]}

    pending = PersonRecord(pending=True)
    changes = delivered("ann", pending, PersonRecord()) | delivered("bob", PersonRecord())
    assert people_pending(changes | delivered("cid", None)) == ["ann"]


def test_a_document_of_one_person_is_theirs() -> None:
    assert person_of(DocumentKey("user_analytics_quarterly", "2025Q3|ann")) == "ann"
    assert person_of(DocumentKey("daily_metrics", "2025-08-05")) is None


def test_a_malformed_key_has_no_inputs_and_is_planned_all_the_same() -> None:
    malformed = DocumentKey("user_analytics", "no period|ann")
    assert inputs_of(malformed) == ()
    assert person_of(malformed) is None
    assert list(batches_within_memory([malformed])) == [[malformed]]


def test_what_is_published_together_shows_a_bounded_number_of_days() -> None:
    days = [day_after(Day("2025-01-01"), n) for n in range(400)]
    months = [f"2025{month:02d}" for month in range(1, 13)]
    targets = [PartialKey(kind, day) for kind in ("day", CONTENT) for day in days]
    targets += [PartialKey("incident_month", f"{month}|gita") for month in months]
    targets += [PartialKey("person_month", f"202508|{n}") for n in range(300)]
    documents = [document for schedule in Schedule for document in documents_affected_by(targets, schedule)]
    found = list(batches_within_memory(documents))
    assert sorted(document for portion in found for document in portion) == sorted(documents)
    for portion in found:
        inputs = {target for view, key in portion for target in VIEWS[view].inputs(key)}
        shared = [target for target in inputs if owner_of(target) is None]
        assert len(shared) <= MAX_STATES
        assert shared or len(portion) <= MAX_DOCUMENTS
