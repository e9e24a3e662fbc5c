"""Planning: which documents changed states concern, and in which batches they are published."""

from __future__ import annotations

from shared.aggregates.base import PartialKey
from shared.aggregates.document_index import DocumentIndex
from shared.aggregates.person_record import PersonRecord
from shared.builds.graph import CONTENT
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
from shared.units import Day, day_after
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


def stored(target: PartialKey) -> list[StoredPartial]:
    return [StoredPartial(Partial(ShardId("1:0000"), target, 1), written=1)]


def test_a_changed_state_affects_the_documents_of_one_schedule() -> None:
    assert documents_affected_by([MONTH_OF_ANN], Schedule.LIVE) == [
        DocumentKey("user_analytics", "202508|ann")
    ]
    assert DocumentKey("daily_metrics", DAY.key) in documents_affected_by([DAY], Schedule.LIVE)


def test_a_document_that_two_states_affect_is_planned_once() -> None:
    documents = documents_affected_by([DAY, DAY, PartialKey("day", "2025-08-06")], Schedule.LIVE)
    assert len(documents) == len(set(documents))


def test_a_person_s_documents_are_those_of_all_schedules_and_of_all_months_with_activity() -> None:
    record = PersonRecord(index=DocumentIndex({"user_interactions|202508": "", "user_sessions|202508": ""}))
    assert set(documents_of_person("ann", record)) == PERIODS_OF_ANN
    assert documents_of_person("ann", PersonRecord()) == []


def test_documents_follow_a_person_whose_record_says_so() -> None:
    delivered = {
        PartialKey("person", name): [
            StoredPartial(Partial(ShardId("1:0000"), PartialKey("person", name), 1, record=record), written=1)
        ]
        for name, record in (("ann", PersonRecord(pending=True)), ("bob", PersonRecord()))
    }
    assert people_pending(delivered) == ["ann"]
    assert people_pending({DAY: stored(DAY)}) == []


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
    targets = [PartialKey("day", day) for day in days] + [
        PartialKey(CONTENT, label) for label in (*days, *months)
    ]
    targets += [PartialKey("person_month", f"202508|{n}") for n in range(300)]
    documents = [document for schedule in Schedule for document in documents_affected_by(targets, schedule)]
    found = list(batches_within_memory(documents))
    assert sorted(document for portion in found for document in portion) == sorted(documents)
    for portion in found:
        inputs = {target for view, key in portion for target in VIEWS[view].inputs(key)}
        shared = [t for t in inputs if owner_of(t) is None]
        assert len(shared) <= MAX_STATES
        assert shared or len(portion) <= MAX_DOCUMENTS
