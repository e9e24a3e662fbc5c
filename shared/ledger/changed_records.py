"""The records of people after a fold: their document index, and the summaries of their months. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from shared.aggregates import person, person_month
from shared.aggregates.base import PartialKey
from shared.aggregates.engagement_tiers import first_month
from shared.aggregates.person_month import summary_of
from shared.aggregates.person_record import PersonRecord
from shared.aggregates.tally import Tally
from shared.facts import USER_INTERACTIONS
from shared.ledger.counted_entries import CountedEntries
from shared.ledger.open_pages import IndexChange
from shared.ledger.partials import Partial
from shared.ledger.retention import Retention
from shared.units import Day, Millis, Month, month_of


def changed_records(
    people: Iterable[str],
    index_changes: Iterable[IndexChange],
    count: CountedEntries,
    record_of: Callable[[str], PersonRecord],
    state_of: Callable[[PartialKey], Tally],
) -> Mapping[str, PersonRecord]:
    """Return the records of people whose entries or months change, by user id.

    Parameters
    ----------
    people
        People whose records are returned even if they stay the same.
    record_of, state_of
        Return the record of a person, and the state of a partial, before the fold.
    """
    records = {user_id: record_of(user_id).copy() for user_id in people}

    def record(user_id: str) -> PersonRecord:
        if user_id not in records:
            records[user_id] = record_of(user_id).copy()
        return records[user_id]

    for change in index_changes:
        index = record(change.user_id).index
        (index.add if change.is_added else index.discard)(change.source, change.hashed, change.hour)
    for target in count.contributions.changed():
        if target.aggregate == person_month.NAME:
            month, user_id = person_month.split_key(target.key)
            summary = summary_of(count.change_of(target, state_of).after)
            if summary is None:
                record(user_id).months.pop(month, None)
            else:
                record(user_id).months[month] = summary
    for user_id, changed in records.items():
        before, after = (
            first_month(state, changed)
            for state in count.change_of(PartialKey(person.NAME, user_id), state_of)
        )
        # Every later month of a person who was active before shows whether it is the first one.
        if before is not None and before != after:
            changed.mark_changed()
    return records


def drop_ended_months(partial: Partial, retention: Retention, now: Millis) -> None:
    """Drop what a person's partial says about months whose state has ended. Keep the first active day."""
    record = partial.record
    if record is None:
        return
    for source, month in record.index.months():
        if retention.is_closed(source, month, now):
            record.index.drop(source, month)
    ended = {
        Month(month)
        for month in partial.state.parts()
        if retention.is_closed(USER_INTERACTIONS, Month(month), now)
    }
    if ended:
        partial.state = partial.state.copy()
        first = min(day for day in person.active_days(partial.state) if month_of(day) in ended)
        record.first_known = Day(min(first, record.first_known or first))
        for month in ended:
            partial.state.drop_part(month)
            record.months.pop(month, None)
