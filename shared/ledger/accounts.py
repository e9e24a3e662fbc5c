"""Accounts: a person's consent, in the person's record. Pure.

An account is no event. Its ledger entry is in the record of its owner, and lives as long as that record. A
person who has any account that refuses, or that cannot be read, refuses. So does a person with more accounts
than a record has room for.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from shared.aggregates import person
from shared.aggregates.base import PartialKey
from shared.aggregates.person_record import FURTHER_ACCOUNTS, PersonRecord
from shared.documents.users import account_key, parse_user
from shared.errors import DocumentError
from shared.facts import ConsentFact, Uncounted, consent_fact
from shared.ledger.changed_records import drop_ended_months
from shared.ledger.changes import Change, Verdict
from shared.ledger.document_version import Version, VersionOrder
from shared.ledger.earlier_people import NOT_KNOWN, EarlierPerson
from shared.ledger.known_accounts import (
    ConsentChange,
    account_entry,
    known_account,
    refusals_in,
)
from shared.ledger.needs import DocumentsById, Fold, Folded, RecordsOf
from shared.ledger.pages import Entry
from shared.ledger.partials import Partial, partial_id
from shared.ledger.retention import DEFAULT_RETENTION, Retention
from shared.ledger.shards import ShardId
from shared.ledger.state import Loaded, Write
from shared.units import Millis

MAX_ACCOUNTS = 100
"""Accounts of one person that are recorded: at most 120 KB. A person normally has one."""

NO_VERSION = Version(0, None, "")
"""Version of the account :data:`~shared.aggregates.person_record.FURTHER_ACCOUNTS`."""


def unreadable_account(user_id: str, version: Version) -> Uncounted:
    """Return the fact of an account that cannot be read: its owner counts as refusing."""
    return Uncounted(user_id, Millis(version.ts * 1000), refused=True)


def new_record(
    user_id: str, accounts: Sequence[Mapping[str, Any]], earlier: EarlierPerson = NOT_KNOWN
) -> PersonRecord:
    """Return the record of a person who has no state yet, from the stored documents of their accounts.

    An account that refused in another generation, and does not exist any more, still refuses: the feed does
    not tell that it was deleted. Refusals of accounts without a recorded id count while no account exists.
    """
    record = PersonRecord(earlier.first_day)
    for raw in accounts:
        version = Version.of(raw)
        fact: ConsentFact | Uncounted
        try:
            fact = consent_fact(parse_user(raw))
        except DocumentError:
            fact = unreadable_account(user_id, version)
        _put(record, account_key(raw), Entry(version, fact))
    refusals = dict(earlier.refusals)
    if earlier.has_unnamed_refusal and not accounts:
        refusals[FURTHER_ACCOUNTS] = NO_VERSION
    for document_id, version in sorted(refusals.items()):
        if document_id not in record.accounts:
            _put(record, document_id, Entry(version, unreadable_account(user_id, version)))
    if record.refused:
        record.mark_changed()
    return record


def _put(record: PersonRecord, document_id: str, entry: Entry) -> bool:
    """Record an account; return whether there was room. If not, the person refuses from now on."""
    if document_id in record.accounts or len(record.accounts) < MAX_ACCOUNTS:
        record.accounts[document_id] = entry.encode()
        return True
    unread = Entry(NO_VERSION, unreadable_account(entry.fact.user_id, entry.version))
    record.accounts.setdefault(FURTHER_ACCOUNTS, unread.encode())
    return False


def fold_accounts(
    shard: ShardId,
    changes: Sequence[Change],
    now: Millis,
    *,
    retention: Retention = DEFAULT_RETENTION,
    only_known: bool = False,
) -> Fold:
    """Fold changes of accounts into the records of their owners, as :func:`~shared.ledger.fold.fold_changes`.

    A change of consent or of preferences marks the record as pending, until it is applied to what is
    published.

    Parameters
    ----------
    only_known
        Leave out people who have no state yet.
    """
    ids = {change.user_id: partial_id(PartialKey(person.NAME, change.user_id)) for change in changes}
    loaded: Mapping[str, Loaded] = yield DocumentsById(frozenset(ids.values()))
    newcomers = frozenset(user_id for user_id, name in ids.items() if loaded[name].document is None)
    records: dict[str, PersonRecord | None] = dict.fromkeys(newcomers)
    if newcomers and not only_known:
        read = yield RecordsOf(newcomers)
        records = {user_id: read.get(user_id, PersonRecord()) for user_id in newcomers}
    for user_id, name in ids.items():
        partial = loaded[name].document
        if isinstance(partial, Partial):
            stored = PersonRecord() if partial.record is None else partial.record.copy()
            records[user_id] = None if stored.erased else stored
    verdicts: list[tuple[Change, Verdict]] = []
    consents: list[ConsentChange] = []
    changed = {user_id for user_id in newcomers if records[user_id] is not None}
    for user_id in changed:
        consents += refusals_in(user_id, records[user_id] or PersonRecord())
    for change in changes:
        record = records[change.user_id]
        if record is None:
            verdicts.append((change, Verdict.ERASED))
            continue
        before = record.accounts.get(change.document_id)
        verdict = _decide(change, record)
        if verdict in (Verdict.ADDED, Verdict.REPLACED, Verdict.UNCOUNTED, Verdict.FULL):
            changed.add(change.user_id)
            consents += _consent_change(change, before, record)
        verdicts.append((change, verdict))
    writes = [
        _write(shard, user_id, loaded[ids[user_id]], changed_record, now, retention)
        for user_id in sorted(changed)
        if (changed_record := records[user_id]) is not None
    ]
    return Folded(verdicts, writes, consents=consents)


def _consent_change(
    change: Change, before: Mapping[str, Any] | None, record: PersonRecord
) -> list[ConsentChange]:
    """Return what a folded change of an account says of consent, if it refuses or has refused."""
    stored = record.accounts.get(change.document_id)
    if stored is None:  # there was no room
        return []
    after = known_account(stored)
    earlier = None if before is None else known_account(before)
    if not after.refused and (earlier is None or not earlier.refused):
        return []
    return [ConsentChange(change, after, None if earlier is None else earlier.version)]


def _decide(change: Change, record: PersonRecord) -> Verdict:
    stored, known = record.accounts.get(change.document_id), (record.refused, record.preferences)
    verdict = Verdict.ADDED
    if stored is not None:
        match change.order_against(account_entry(change.user_id, stored)):
            case VersionOrder.SAME:
                return Verdict.SAME
            case VersionOrder.OLDER:
                return Verdict.OLDER
            case VersionOrder.UNKNOWN:
                return Verdict.UNKNOWN
            case VersionOrder.NEWER:
                verdict = Verdict.REPLACED
    has_room = _put(record, change.document_id, Entry(change.version, change.fact))
    if (record.refused, record.preferences) != known:
        record.mark_changed()
    if not has_room:
        return Verdict.FULL
    return Verdict.UNCOUNTED if isinstance(change.fact, Uncounted) else verdict


def _write(
    shard: ShardId, user_id: str, loaded: Loaded, record: PersonRecord, now: Millis, retention: Retention
) -> Write:
    target = PartialKey(person.NAME, user_id)
    if isinstance(loaded.document, Partial):
        partial = loaded.document.copy()
    else:
        partial = Partial(shard, target, revision=now)
    partial.revision += 1
    partial.record = record
    drop_ended_months(partial, retention, now)
    retention.set_ttl(partial, now)
    return Write(partial, loaded.etag)
