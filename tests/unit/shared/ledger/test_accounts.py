"""Accounts: each version counts once, one refusal is enough, and a change of consent is pending."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.aggregates.person_record import FURTHER_ACCOUNTS, PersonRecord
from shared.facts import USER_INTERACTIONS, USERS, ConsentFact, InteractionFact, Uncounted
from shared.ledger import accounts
from shared.ledger.accounts import new_record, unreadable_account
from shared.ledger.changes import Change, Verdict
from shared.ledger.document_version import Version
from shared.ledger.earlier_people import EarlierPerson
from shared.ledger.needs import DocumentsById, RecordsOf
from shared.ledger.sizes import MAX_BATCH_BYTES
from shared.units import Day, Millis
from tests.unit.shared.aggregates.fact_strategies import millis
from tests.unit.shared.ledger.memory_shard import NOW, MemoryShard, change

AT = millis("2025-08-05T10:15:00")
ANA = "partial|person|ana"


def account(refused: bool = False, user_id: str = "ana") -> ConsentFact:
    return ConsentFact(user_id=user_id, at=AT, refused=refused)


def raw(number: int, consent: object = True, **fields: Any) -> dict[str, Any]:
    """Return the ``number``-th write of an account as it is stored."""
    system = {"_ts": number, "_etag": f'"{number}"'}
    return {"id": "u", "user_id": "ana", "analytics_consent": consent, **system, **fields}


def settled(shard: MemoryShard) -> MemoryShard:
    """Return the shard after what is published follows the record."""
    shard.record("ana").pending = False
    return shard


class TestNewRecord:
    """The record of a person who has no state."""

    def test_has_the_accounts_as_they_are_stored(self) -> None:
        record = new_record("ana", [raw(3), raw(4, id="v")], EarlierPerson(Day("2024-03-01")))
        assert set(record.accounts) == {"u", "v"}
        assert (record.refused, record.pending, record.first_known) == (False, False, "2024-03-01")

    @pytest.mark.parametrize("consent", [False, "perhaps"])
    def test_is_pending_if_an_account_refuses_or_cannot_be_read(self, consent: object) -> None:
        record = new_record("ana", [raw(3), raw(4, consent, id="v")])
        assert (record.refused, record.pending) == (True, True)

    def test_of_a_person_without_accounts_does_not_refuse(self) -> None:
        assert new_record("ana", []) == PersonRecord()

    def test_knows_the_versions_so_that_the_feed_counts_them_once(self) -> None:
        shard = MemoryShard({"ana": new_record("ana", [raw(3)])})
        delivered = Change("ana", "u", Version(3, 7, '"3"'), account())
        assert shard.fold(delivered, source=USERS) == [Verdict.SAME]
        later = Change("ana", "u", Version(4, 8, '"4"'), account(refused=True))
        assert shard.fold(later, source=USERS) == [Verdict.UNKNOWN]
        live = Change("ana", "u", Version(4, None, '"4"'), account(refused=True), live=True)
        assert shard.fold(live, source=USERS) == [Verdict.REPLACED]
        assert shard.record("ana").refused


class TestFold:
    """What the users feed changes."""

    def test_needs_the_person_and_for_a_new_one_a_record(self) -> None:
        shard = MemoryShard()
        shard.fold(change(account(), "u"), source=USERS)
        assert shard.needs == [DocumentsById(frozenset({ANA})), RecordsOf(frozenset({"ana"}))]
        assert shard.written == [ANA]
        assert shard.partial(ANA).revision == NOW + 1
        shard.fold(change(account(refused=True), "u", 2), source=USERS)
        assert shard.needs == [DocumentsById(frozenset({ANA}))]
        assert shard.partial(ANA).revision == NOW + 2

    def test_a_version_that_is_counted_or_older_writes_nothing(self) -> None:
        shard = MemoryShard()
        shard.fold(change(account(), "u", 5), source=USERS)
        delivered = [change(account(refused=True), "u", 4), change(account(refused=True), "u", 5)]
        assert shard.fold(*delivered, source=USERS) == [Verdict.OLDER, Verdict.SAME]
        assert shard.written == []

    def test_two_versions_in_one_batch_count_as_the_last_one(self) -> None:
        shard = MemoryShard()
        versions = [change(account(refused=True), "u", 1), change(account(), "u", 2)]
        assert shard.fold(*versions, source=USERS) == [Verdict.ADDED, Verdict.REPLACED]
        assert not shard.record("ana").refused

    @pytest.mark.parametrize(("before", "after"), [(False, True), (True, False)])
    def test_a_change_of_consent_is_pending(self, before: bool, after: bool) -> None:
        shard = MemoryShard()
        shard.fold(change(account(before), "u", 1), source=USERS)
        assert shard.record("ana").pending is before
        settled(shard).fold(change(account(after), "u", 2), source=USERS)
        assert (shard.record("ana").refused, shard.record("ana").pending) == (after, True)

    @pytest.mark.parametrize("name", ["zone", "citation_style", "subscription"])
    def test_a_change_of_a_preference_is_pending(self, name: str) -> None:
        shard = MemoryShard()
        shard.fold(change(account(), "u", 1), source=USERS)
        shard.fold(change(replace(account(), **{name: "x"}), "u", 2), source=USERS)
        assert (getattr(shard.record("ana").preferences, name), shard.record("ana").pending) == ("x", True)
        settled(shard).fold(change(replace(account(), **{name: "x"}), "u", 3), source=USERS)
        assert not shard.record("ana").pending

    def test_of_several_accounts_the_first_by_id_that_says_it_counts(self) -> None:
        shard = MemoryShard()
        shard.fold(change(replace(account(), zone="Asia/Tokyo", subscription="free"), "v"), source=USERS)
        shard.fold(change(replace(account(), zone="Europe/Berlin"), "u"), source=USERS)
        assert shard.record("ana").preferences == ("Europe/Berlin", None, "free")

    def test_a_second_account_that_refuses_changes_nothing_more(self) -> None:
        shard = MemoryShard()
        shard.fold(change(account(refused=True), "u", 1), source=USERS)
        settled(shard).fold(change(account(refused=True), "v", 2), source=USERS)
        assert not shard.record("ana").pending
        shard.fold(change(account(), "u", 3), source=USERS)
        assert (shard.record("ana").refused, shard.record("ana").pending) == (True, False)

    def test_an_account_that_cannot_be_read_refuses_until_it_can(self) -> None:
        shard = MemoryShard()
        version = Version(2, 2, '"2"')
        unreadable = Change("ana", "u", version, unreadable_account("ana", version))
        shard.fold(change(account(), "u", 1), source=USERS)
        assert shard.fold(unreadable, source=USERS) == [Verdict.UNCOUNTED]
        assert shard.record("ana").refused
        assert shard.fold(unreadable, source=USERS) == [Verdict.SAME]
        assert shard.fold(change(account(), "u", 2), source=USERS) == [Verdict.REPLACED]
        assert not shard.record("ana").refused

    def test_everything_else_of_the_person_stays(self) -> None:
        shard = MemoryShard()
        shard.fold(change(InteractionFact(user_id="ana", at=AT)), source=USER_INTERACTIONS)
        before = shard.partial(ANA).encode()
        shard.fold(change(account(), "u", 2), source=USERS)
        after = shard.partial(ANA).encode()
        assert after["record"].pop("accounts")
        assert after | {"revision": before["revision"]} == before

    def test_people_are_written_apart(self) -> None:
        shard = MemoryShard()
        shard.fold(change(account(user_id="ben"), "u"), change(account(refused=True), "v"), source=USERS)
        assert shard.written == [ANA, "partial|person|ben"]
        assert (shard.record("ana").refused, shard.record("ben").refused) == (True, False)


class TestTooManyAccounts:
    """A person with more accounts than a record has room for refuses."""

    @pytest.fixture(autouse=True)
    def _two_accounts(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(accounts, "MAX_ACCOUNTS", 2)

    def test_of_the_feed(self) -> None:
        shard = MemoryShard()
        some = [change(account(), name, number) for number, name in enumerate("uvw", 1)]
        assert shard.fold(*some, source=USERS) == [Verdict.ADDED, Verdict.ADDED, Verdict.FULL]
        record = shard.record("ana")
        assert set(record.accounts) == {"u", "v", FURTHER_ACCOUNTS}
        assert (record.refused, record.pending) == (True, True)
        settled(shard).fold(change(account(), "x", 9), source=USERS)
        assert not shard.record("ana").pending
        assert len(shard.record("ana").accounts) == 3

    def test_of_the_source(self) -> None:
        record = new_record("ana", [raw(number, id=name) for number, name in enumerate("uvwx")])
        assert (len(record.accounts), record.refused) == (3, True)

    def test_and_accounts_that_are_known_still_change(self) -> None:
        shard = MemoryShard()
        shard.fold(*(change(account(), name) for name in "uvw"), source=USERS)
        assert shard.fold(change(account(refused=True), "u", 2), source=USERS) == [Verdict.REPLACED]


def test_a_record_with_as_many_accounts_as_possible_is_small() -> None:
    ids = [f"{number:03d}" + "𑀩" * 252 for number in range(2 * accounts.MAX_ACCOUNTS)]
    preferences = {
        "timezone": "A" * 32 + ("/" + "b" * 32) * 2,
        "content_preferences": {"citation_style": "c" * 24},
        "subscription_tier": "d" * 24,
    }
    record = new_record("ana", [raw(number, id=name, **preferences) for number, name in enumerate(ids)])
    assert len(json.dumps(record.encode(), ensure_ascii=False).encode()) <= record.weight
    assert record.weight < MAX_BATCH_BYTES / 10


@settings(deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from("uv"), st.booleans(), st.integers(0, 4)), min_size=1, max_size=8),
    st.data(),
)
def test_any_order_and_repetition_ends_as_the_final_versions(
    writes: list[tuple[str, bool, int]], data: st.DataObject
) -> None:
    versions, final = [], {}
    for number, (name, refused, unreadable) in enumerate(writes, 1):
        fact: ConsentFact | Uncounted = account(refused)
        if not unreadable:
            fact = Uncounted("ana", Millis(number * 1000), refused=True)
        versions.append(change(fact, name, number))
        final[name] = fact
    stream = data.draw(st.permutations(versions + data.draw(st.lists(st.sampled_from(versions), max_size=4))))
    shard, cut = MemoryShard(), data.draw(st.integers(0, len(stream)))
    for batch in (stream[:cut], stream[cut:]):
        if batch:
            shard.fold(*batch, source=USERS)
    record = shard.record("ana")
    assert set(record.accounts) == set(final)
    assert record.refused is any(fact.refused for fact in final.values())
    if record.refused:
        assert record.pending
