"""The report of a publication: one outcome per document key, and the counts of a batch."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
import structlog.testing

from shared.publishing.decide import Delivery, ExistingDocument
from shared.publishing.report import Outcome, PublishReport
from shared.publishing.writer import WriteResult
from shared.views.base import Schedule

NOTHING_DELIVERED = Delivery(generation=1, revision=0, until=0)
DELIVERED = Delivery(generation=1, revision=7, until=1_000)


def existing(revision: int, written: int = 1_000, generation: int = 1) -> ExistingDocument:
    as_of = datetime.fromtimestamp(written, UTC)
    return ExistingDocument("ann", '"1"', generation, revision, "", "digest", "content", as_of)


def written(replaced: ExistingDocument | None) -> WriteResult:
    return WriteResult(written=True, replaced=replaced)


UNCHANGED = WriteResult(written=False)


@pytest.mark.parametrize("results", [[], [UNCHANGED], [UNCHANGED, UNCHANGED]])
def test_a_key_of_which_nothing_was_written_was_current(results: list[WriteResult]) -> None:
    assert Outcome.of(results, DELIVERED, Schedule.LIVE) is Outcome.CURRENT


def test_a_key_is_published_if_one_of_its_documents_was_written() -> None:
    assert Outcome.of([UNCHANGED, written(existing(7))], DELIVERED, Schedule.LIVE) is Outcome.PUBLISHED
    assert Outcome.of([written(existing(0, 0))], NOTHING_DELIVERED, Schedule.LIVE) is Outcome.PUBLISHED


@pytest.mark.parametrize("replaced", [None, existing(6), existing(7, written=999), existing(9, generation=0)])
def test_a_key_is_missed_if_one_of_the_replaced_documents_lacked_what_was_delivered(
    replaced: ExistingDocument | None,
) -> None:
    assert Outcome.of([written(existing(7)), written(replaced)], DELIVERED, Schedule.LIVE) is Outcome.MISSED


@pytest.mark.parametrize("schedule", [Schedule.HOURLY, Schedule.TWICE_A_DAY])
def test_of_a_scheduled_view_only_a_deletion_is_missed(schedule: Schedule) -> None:
    deleted = WriteResult(written=True, replaced=existing(6), deleted=True)
    assert Outcome.of([written(None), written(existing(6))], DELIVERED, schedule) is Outcome.PUBLISHED
    assert Outcome.of([deleted], DELIVERED, schedule) is Outcome.MISSED


@pytest.mark.parametrize(
    ("outcome", "counts"),
    [
        (Outcome.PUBLISHED, {"published": 1}),
        (Outcome.MISSED, {"published": 1, "missed": 1}),
        (Outcome.CURRENT, {"current": 1}),
        (Outcome.ABSENT, {"absent": 1}),
        (Outcome.HELD, {"held": 1}),
    ],
)
def test_every_outcome_is_counted(outcome: Outcome, counts: dict[str, int]) -> None:
    report = PublishReport(partials=2)
    report.add(outcome)
    names = ("published", "missed", "current", "absent", "held")
    assert {name: getattr(report, name) for name in names} == dict.fromkeys(names, 0) | counts


def test_a_batch_is_logged_with_its_counts_and_its_cost_and_without_ids() -> None:
    report = PublishReport(partials=3, published=2, missed=1, current=4, poisoned=["poison_1", "poison_2"])
    with structlog.testing.capture_logs() as logged:
        report.log()
    (entry,) = logged
    counts = {"partials": 3, "published": 2, "missed": 1, "current": 4, "poisoned": 2}
    assert entry["event"] == "views_published"
    assert {name: entry[name] for name in counts} == counts
    assert {"request_units", "requests"} <= entry.keys()
    assert "poison_1" not in str(entry)
