"""The fold: each document counts once, in its newest version, and everything that was read is guarded."""

from __future__ import annotations

import copy
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.facts import (
    ABUSE_INCIDENTS,
    USER_INTERACTIONS,
    USER_SESSIONS,
    USERS,
    Citation,
    ConsentFact,
    Fact,
    IncidentFact,
    InteractionFact,
    SessionFact,
    Uncounted,
)
from shared.ledger import pages
from shared.ledger.changes import Change, Verdict
from shared.ledger.document_version import Version
from shared.ledger.fold import PagesByFingerprint, fold_changes
from shared.ledger.needs import DocumentsById, drive
from shared.ledger.pages import fingerprint, page_id
from shared.ledger.partials import Partial
from shared.ledger.recount import Recount
from shared.ledger.state import Loaded
from shared.units import Day, EventHour, Micro
from tests.unit.shared.aggregates import fact_strategies
from tests.unit.shared.aggregates.fact_strategies import millis
from tests.unit.shared.ledger.memory_shard import SHARD, MemoryShard, change

TEN, ELEVEN = "2025-08-05T10:15:00", "2025-08-05T11:15:00"
PAGE_OF_TEN = "ledger|user_interactions|2025-08-05T10"
DAY, ANA, ANAS_AUGUST = "partial|day|2025-08-05", "partial|person|ana", "partial|person_month|202508|ana"
AUGUST, SILENCE = "partial|month|202508", "partial|silence|2025"
THIRTY_DAYS = 2_592_000


def interaction(at: str = TEN, user_id: str = "ana", **fields: Any) -> InteractionFact:
    return InteractionFact(user_id=user_id, at=millis(at), **fields)


def session(at: str = TEN, session_id: str = "s") -> SessionFact:
    return SessionFact(user_id="ana", at=millis(at), session_id=session_id)


def counted(shard: MemoryShard) -> dict[str, int]:
    """Return how many entries each page holds."""
    return {name: len(list(page)) for name, page in shard.pages().items()}


def revisions(shard: MemoryShard) -> dict[str, int]:
    return {name: loaded.document.revision for name, loaded in shard.documents.items() if loaded.document}


def test_a_new_document_is_on_the_page_of_its_hour_and_in_every_partial_that_counts_it() -> None:
    shard = MemoryShard()
    assert shard.fold(change(interaction(rating=5), number=7)) == [Verdict.ADDED]
    (page,) = shard.pages().values()
    assert page.id == PAGE_OF_TEN
    assert [(user, document, entry) for user, document, entry in page] == [
        ("ana", "i1", (Version(7, 7, '"7"'), interaction(rating=5)))
    ]
    assert revisions(shard) == dict.fromkeys([PAGE_OF_TEN, DAY, ANA, ANAS_AUGUST, AUGUST, SILENCE], 1)
    assert shard.state(ANA) == {"days": {"2025-08-05": 1}}
    day = shard.state(DAY)["sums"]
    assert {name: day[name] for name in ("interactions", "active_users", "new_users", "rating")} == {
        "interactions": 1,
        "active_users": 1,
        "new_users": 1,
        "rating": 5,
    }
    month = shard.state(ANAS_AUGUST)
    assert (month["sums"], month["05:sums"]["interactions"]) == ({"first": 1}, 1)
    assert shard.state(AUGUST)["new:sums"]["users"] == 1
    assert shard.state(SILENCE) == {"silent": {"2025-09-04": 1}}


def test_partials_know_how_new_the_documents_behind_them_are_and_when_they_expire() -> None:
    shard = MemoryShard()
    shard.fold(change(interaction(), "i1", 50), change(interaction(), "i2", 40))
    for name in (DAY, ANA, ANAS_AUGUST):
        assert shard.partial(name).newest == 50
    ttls = {name: shard.partial(name).ttl for name in (DAY, ANA, ANAS_AUGUST, AUGUST, SILENCE)}
    assert {name for name, ttl in ttls.items() if ttl == -1} == {ANA, AUGUST, SILENCE}
    shard.fold(change(interaction(), "i3", 45))
    assert shard.partial(DAY).newest == 50


class TestVerdicts:
    """What becomes of a second delivery of a document."""

    @pytest.fixture
    def shard(self) -> MemoryShard:
        shard = MemoryShard()
        shard.fold(change(interaction(rating=3), number=10))
        return shard

    def test_the_counted_version_again_is_the_same_and_writes_nothing(self, shard: MemoryShard) -> None:
        assert shard.fold(change(interaction(rating=3), number=10)) == [Verdict.SAME]
        assert shard.written == []

    def test_an_older_version_writes_nothing(self, shard: MemoryShard) -> None:
        assert shard.fold(change(interaction(rating=1), number=9)) == [Verdict.OLDER]
        assert shard.written == []

    def test_a_newer_version_is_counted_in_the_place_of_the_older_one(self, shard: MemoryShard) -> None:
        assert shard.fold(change(interaction(rating=5), number=11)) == [Verdict.REPLACED]
        assert shard.state(DAY)["sums"]["rating"] == 5
        assert shard.state(DAY)["sums"]["interactions"] == 1
        assert counted(shard) == {PAGE_OF_TEN: 1}
        assert set(shard.written) == {PAGE_OF_TEN, DAY, ANAS_AUGUST, AUGUST} | {ANA}  # the person is a guard

    def test_an_order_that_only_the_live_document_tells_writes_nothing(self, shard: MemoryShard) -> None:
        unordered = Change("ana", "i1", Version(11, None, "b"), interaction(rating=5))
        assert shard.fold(unordered) == [Verdict.UNKNOWN]
        assert shard.written == []

    @pytest.mark.parametrize("version", [Version(11, None, "b"), Version(9, 9, "b"), Version(9, 11, "b")])
    def test_the_live_document_is_newer_whatever_its_stamps_say(
        self, shard: MemoryShard, version: Version
    ) -> None:
        assert shard.fold(Change("ana", "i1", version, interaction(rating=5), live=True)) == [
            Verdict.REPLACED
        ]
        assert shard.state(DAY)["sums"]["rating"] == 5

    def test_a_live_document_that_is_counted_is_the_same(self, shard: MemoryShard) -> None:
        assert shard.fold(change(interaction(rating=3), number=10, live=True)) == [Verdict.SAME]
        assert shard.written == []

    def test_a_new_price_of_the_counted_version_replaces_its_fact(self, shard: MemoryShard) -> None:
        priced = interaction(rating=3, model="m", cost=70)
        assert shard.fold(change(priced, number=10, reprices=True)) == [Verdict.REPLACED]
        assert shard.state(DAY)["model_cost"] == {"m": 70}

    def test_the_same_price_again_writes_nothing(self, shard: MemoryShard) -> None:
        assert shard.fold(change(interaction(rating=3), number=10, reprices=True)) == [Verdict.SAME]
        assert shard.written == []

    @pytest.mark.parametrize("number", [9, 11])
    def test_a_price_of_another_version_is_older(self, shard: MemoryShard, number: int) -> None:
        assert shard.fold(change(interaction(cost=70), number=number, reprices=True)) == [Verdict.OLDER]
        assert shard.written == []

    def test_a_price_of_a_document_that_is_not_counted_is_older(self, shard: MemoryShard) -> None:
        assert shard.fold(change(interaction(cost=70), "i2", 12, reprices=True)) == [Verdict.OLDER]
        assert shard.written == []

    def test_two_versions_in_one_batch_count_once(self) -> None:
        shard = MemoryShard()
        first, second = change(interaction(rating=1), number=1), change(interaction(rating=4), number=2)
        assert shard.fold(first, second, first) == [Verdict.ADDED, Verdict.REPLACED, Verdict.OLDER]
        assert shard.state(DAY)["sums"]["rating"] == 4
        assert shard.state(ANA) == {"days": {"2025-08-05": 1}}


class TestUncounted:
    """A document whose newest version cannot be read."""

    LATER = Uncounted("ana", millis("2025-08-20T23:00:00"))

    @pytest.fixture
    def shard(self) -> MemoryShard:
        shard = MemoryShard()
        shard.fold(change(interaction(rating=3), number=10))
        return shard

    def test_takes_back_the_fact_and_stays_on_its_page(self, shard: MemoryShard) -> None:
        assert shard.fold(change(self.LATER, number=11)) == [Verdict.UNCOUNTED]
        assert shard.states() == {ANA: {"sums": {"withdrawn": 1}}}
        assert [(name, entry.fact) for name, page in shard.pages().items() for _, _, entry in page] == [
            (PAGE_OF_TEN, self.LATER)
        ]

    def test_stops_an_older_version_that_is_delivered_late(self, shard: MemoryShard) -> None:
        shard.fold(change(self.LATER, number=11))
        assert shard.fold(change(interaction(rating=3), number=10)) == [Verdict.OLDER]

    def test_is_counted_again_when_the_document_is_corrected(self, shard: MemoryShard) -> None:
        shard.fold(change(self.LATER, number=11))
        assert shard.fold(change(interaction(rating=2), number=12)) == [Verdict.REPLACED]
        assert counted(shard) == {PAGE_OF_TEN: 1}
        assert shard.state(DAY)["sums"]["rating"] == 2
        assert shard.state(ANA) == {"days": {"2025-08-05": 1}}

    def test_is_counted_in_the_same_version_by_a_release_that_can_read_it(self, shard: MemoryShard) -> None:
        shard.fold(change(self.LATER, number=11))
        assert shard.fold(change(interaction(rating=2), number=11)) == [Verdict.REPLACED]
        assert shard.state(DAY)["sums"]["rating"] == 2

    def test_is_the_same_when_the_version_still_cannot_be_read(self, shard: MemoryShard) -> None:
        shard.fold(change(self.LATER, number=11))
        assert shard.fold(change(self.LATER, number=11)) == [Verdict.SAME]

    def test_a_version_that_was_counted_is_not_taken_back(self, shard: MemoryShard) -> None:
        assert shard.fold(change(self.LATER, number=10)) == [Verdict.SAME]
        assert shard.state(DAY)["sums"]["rating"] == 3

    def test_of_a_new_document_is_on_the_page_of_the_hour_it_was_written_in(self) -> None:
        shard = MemoryShard()
        assert shard.fold(change(self.LATER)) == [Verdict.UNCOUNTED]
        assert counted(shard) == {"ledger|user_interactions|2025-08-20T23": 1}
        assert shard.states() == {ANA: {"sums": {"withdrawn": 1}}}


class TestCorrectedTime:
    """A newer version that belongs in another hour."""

    def test_the_entry_moves_to_the_page_of_its_hour(self) -> None:
        shard = MemoryShard()
        shard.fold(change(interaction(), number=1))
        assert shard.fold(change(interaction("2025-07-31T23:00:00"), number=2)) == [Verdict.REPLACED]
        assert counted(shard) == {PAGE_OF_TEN: 0, "ledger|user_interactions|2025-07-31T23": 1}
        assert set(shard.states()) == {
            "partial|day|2025-07-31",
            "partial|person_month|202507|ana",
            "partial|month|202507",
            ANA,
            SILENCE,
        }
        assert shard.state(ANA) == {"days": {"2025-07-31": 1}}

    def test_every_partial_that_counts_the_entry_is_written_though_no_count_changes(self) -> None:
        shard = MemoryShard()
        shard.fold(change(interaction(), number=1))
        shard.fold(change(session(), "s", number=2), source=USER_SESSIONS)
        before = shard.states()
        shard.fold(change(session("2025-08-05T11:00:00"), "s", number=3), source=USER_SESSIONS)
        assert shard.states() == before
        assert set(shard.written) == {
            "ledger|user_sessions|2025-08-05T10",
            "ledger|user_sessions|2025-08-05T11",
            DAY,
            AUGUST,
            ANA,
            ANAS_AUGUST,
        }

    def test_both_months_are_written_when_the_entry_moves_between_them(self) -> None:
        shard = MemoryShard()
        shard.fold(change(interaction("2025-07-31T23:00:00"), "i1", 1), change(interaction(), "i2", 2))
        shard.fold(change(session(), "s", number=3), source=USER_SESSIONS)
        moved = change(session("2025-07-31T23:30:00"), "s", number=4)
        shard.fold(moved, source=USER_SESSIONS)
        assert {AUGUST, "partial|month|202507", DAY, "partial|day|2025-07-31"} <= set(shard.written)

    def test_the_days_before_and_after_are_written_though_other_documents_make_up_for_the_move(self) -> None:
        shard = MemoryShard()
        sixth = "2025-08-06T10:15:00"
        shard.fold(change(interaction(), "i1", 1), change(interaction(sixth), "i2", 2))
        days = {name: state for name, state in shard.states().items() if name.startswith("partial|day")}
        moved, unreadable = (
            change(interaction(sixth), "i1", 3),
            change(Uncounted("ana", millis(sixth)), "i2", 4),
        )
        shard.fold(moved, unreadable, change(interaction(), "i3", 5))
        assert {name: shard.state(name) for name in days} == days
        assert {DAY, "partial|day|2025-08-06"} <= set(shard.written)

    def test_the_day_and_the_month_that_an_entry_leaves_are_written_though_their_counts_stay(self) -> None:
        shard = MemoryShard()
        shard.fold(change(interaction(session_id="s"), "i1", 1))
        shard.fold(change(session(), "s", number=2), source=USER_SESSIONS)
        before = shard.states()
        shard.fold(change(session("2025-07-31T23:30:00"), "s", number=3), source=USER_SESSIONS)
        assert [shard.state(name) for name in (DAY, AUGUST)] == [before[name] for name in (DAY, AUGUST)]
        assert {DAY, AUGUST} <= set(shard.written)

    def test_a_guard_that_is_not_stored_is_not_created(self) -> None:
        shard = MemoryShard()
        shard.fold(change(session(), "s", number=1), source=USER_SESSIONS)
        shard.fold(change(session("2025-08-05T11:00:00"), "s", number=2), source=USER_SESSIONS)
        assert AUGUST not in shard.documents  # a person who only had a session does not count in the month

    def test_the_moved_document_is_found_by_its_fingerprint(self) -> None:
        shard = MemoryShard()
        shard.fold(change(interaction(), number=1))
        shard.fold(change(interaction("2025-09-01T00:00:00"), number=2))
        fingerprints = [need for need in shard.needs if isinstance(need, PagesByFingerprint)]
        assert fingerprints == [PagesByFingerprint((fingerprint(USER_INTERACTIONS, "ana", "i1"),))]

    def test_an_entry_that_no_longer_fits_on_its_page_moves_to_a_further_part(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        shard = MemoryShard()
        shard.fold(change(interaction(), "i1", 1), change(interaction(), "i2", 2))
        size = shard.pages()[PAGE_OF_TEN].size
        monkeypatch.setattr(pages, "MAX_PAGE_BYTES", size + 100)
        monkeypatch.setattr(pages, "PAGE_BYTES", size // 2)
        large = interaction(citations=(Citation("t" * 200, None, None, None),))
        assert shard.fold(change(large, "i1", 3)) == [Verdict.REPLACED]
        assert counted(shard) == {PAGE_OF_TEN: 1, f"{PAGE_OF_TEN}|1": 1}
        assert shard.state(DAY)["sums"]["interactions"] == 2


class TestParts:
    """An hour that has more documents than one page holds."""

    FIRST, SECOND, THIRD = PAGE_OF_TEN, f"{PAGE_OF_TEN}|1", f"{PAGE_OF_TEN}|2"

    @pytest.fixture
    def shard(self, monkeypatch: pytest.MonkeyPatch) -> MemoryShard:
        monkeypatch.setattr(pages, "PAGE_ENTRIES", 2)
        shard = MemoryShard()
        shard.fold(*(change(interaction(), f"i{n}", n) for n in range(1, 4)))
        return shard

    def test_a_full_page_is_followed_by_a_further_part(self, shard: MemoryShard) -> None:
        assert counted(shard) == {self.FIRST: 2, self.SECOND: 1}
        assert shard.pages()[self.FIRST].parts == 2

    def test_the_next_document_goes_on_the_last_part(self, shard: MemoryShard) -> None:
        shard.fold(change(interaction(), "i4", 4))
        assert counted(shard) == {self.FIRST: 2, self.SECOND: 2}
        assert DocumentsById(frozenset({self.SECOND})) in shard.needs
        assert self.FIRST not in shard.written

    def test_a_document_on_a_middle_part_is_found_and_counted_once(self, shard: MemoryShard) -> None:
        shard.fold(*(change(interaction(), f"i{n}", n) for n in range(4, 6)))
        assert counted(shard) == {self.FIRST: 2, self.SECOND: 2, self.THIRD: 1}
        assert shard.fold(change(interaction(rating=4), "i3", 9)) == [Verdict.REPLACED]
        assert counted(shard) == {self.FIRST: 2, self.SECOND: 2, self.THIRD: 1}
        assert shard.state(DAY)["sums"]["interactions"] == 5

    def test_a_document_of_the_hour_of_another_source_has_its_own_page(self, shard: MemoryShard) -> None:
        shard.fold(change(session(), "s", 9), source=USER_SESSIONS)
        assert counted(shard)["ledger|user_sessions|2025-08-05T10"] == 1


class TestPeople:
    """What concerns people is derived from each person's own state before and after."""

    def test_late_july_moves_a_person_from_new_to_casual_in_august(self) -> None:
        shard = MemoryShard()
        shard.fold(change(interaction(), "i1", 1))
        assert shard.state(AUGUST)["new:sums"]["users"] == 1
        assert shard.fold(change(interaction("2025-07-05T10:00:00"), "i2", 2)) == [Verdict.ADDED]
        august, july = shard.state(AUGUST), shard.state("partial|month|202507")
        assert {name.partition(":")[0] for name in august} == {"casual"}
        assert (august["casual:sums"]["users"], august["casual:sums"]["returned"]) == (1, 1)
        assert {name.partition(":")[0] for name in july} == {"new"}
        assert (july["new:sums"]["users"], july["new:sums"].get("returned", 0)) == (1, 0)
        assert "sums" not in shard.state(ANAS_AUGUST)
        assert shard.state("partial|person_month|202507|ana")["sums"] == {"first": 1}
        assert shard.state(DAY)["sums"].get("new_users", 0) == 0
        assert shard.state("partial|day|2025-07-05")["sums"]["new_users"] == 1

    def test_a_month_that_means_something_else_is_guarded_though_its_counts_stay(self) -> None:
        shard = MemoryShard()
        shard.fold(change(interaction("2025-06-05T10:00:00"), "i1", 1), change(interaction(), "i2", 2))
        before = shard.state(ANAS_AUGUST)
        shard.fold(change(interaction("2025-07-05T10:00:00"), "i3", 3))
        assert shard.state(AUGUST)["casual:sums"]["returned"] == 1
        assert shard.state(ANAS_AUGUST) == before
        assert ANAS_AUGUST in shard.written

    def test_refusal_takes_a_person_out_of_all_their_months(self) -> None:
        shard = MemoryShard()
        shard.fold(change(interaction(), "i1", 1), change(interaction("2025-07-05T10:00:00"), "i2", 2))
        refusal = ConsentFact(user_id="ana", at=millis(TEN), refused=True)
        assert shard.fold(change(refusal, "u", 3), source=USERS) == [Verdict.ADDED]
        assert {AUGUST, "partial|month|202507", SILENCE}.isdisjoint(shard.states())
        assert shard.state(ANAS_AUGUST)["sums"]["refused"] == 1
        assert shard.state("partial|person_month|202507|ana")["sums"]["refused"] == 1

    def test_the_person_is_written_when_an_entry_is_added_or_moved_and_not_without_cause(self) -> None:
        shard = MemoryShard()
        account = ConsentFact(user_id="ana", at=millis(TEN))
        shard.fold(change(account, "u", 1), source=USERS)
        assert ANA in shard.written
        shard.fold(change(replace(account, at=millis("2025-08-05T11:00:00")), "u", 2), source=USERS)
        assert ANA in shard.written
        assert revisions(shard)[ANA] == 2
        shard.fold(change(replace(account, at=millis("2025-08-05T11:30:00")), "u", 3), source=USERS)
        assert shard.written == ["ledger|users|2025-08-05T11"]

    @pytest.mark.parametrize(("texts", "written"), [(["gita", "udana"], False), (["udana", "gita"], True)])
    def test_the_person_is_written_when_an_answer_cites_another_passage_first(
        self, texts: list[str], written: bool
    ) -> None:
        shard = MemoryShard()
        citations = tuple(Citation(text, None, None, None) for text in ("gita", "udana"))
        shard.fold(change(interaction(citations=citations), number=1))
        before = shard.states()
        reordered = tuple(Citation(text, None, None, None) for text in texts)
        assert shard.fold(change(interaction(citations=reordered), number=2)) == [Verdict.REPLACED]
        assert shard.states() == before
        assert set(shard.written) == {PAGE_OF_TEN} | ({ANA} if written else set())


class TestRenewal:
    """A partial outlives what it counts: it is written again while its documents are."""

    @pytest.mark.parametrize(("later", "renewed"), [(THIRTY_DAYS, False), (THIRTY_DAYS + 1, True)])
    def test_partials_are_written_again_after_thirty_days(self, later: int, renewed: bool) -> None:
        shard = MemoryShard()
        shard.fold(change(interaction(), number=1, ts=1000))
        before = shard.states()
        shard.fold(change(interaction(), number=2, ts=1000 + later))
        assert shard.states() == before
        assert set(shard.written) == {PAGE_OF_TEN} | ({DAY, ANA, ANAS_AUGUST} if renewed else set())
        assert shard.partial(DAY).newest == (1000 + later if renewed else 1000)


class TestProtocol:
    """What a fold asks for, in which order. That nothing is asked for twice is checked in every test."""

    def test_a_new_document_of_a_new_person_needs_the_documents_of_its_hour_and_no_index(self) -> None:
        shard = MemoryShard()
        shard.fold(change(interaction()))
        assert shard.needs == [
            DocumentsById(frozenset({PAGE_OF_TEN, DAY, ANA, ANAS_AUGUST})),
            DocumentsById(frozenset({AUGUST, SILENCE})),
        ]

    def test_a_new_account_needs_one_answer(self) -> None:
        shard = MemoryShard()
        shard.fold(change(ConsentFact(user_id="ana", at=millis(TEN)), "u"), source=USERS)
        assert shard.needs == [DocumentsById(frozenset({"ledger|users|2025-08-05T10", ANA}))]

    def test_a_new_document_of_a_known_person_is_looked_for_in_the_index_before_the_months(self) -> None:
        shard = MemoryShard()
        shard.fold(change(interaction(), "i1", 1))
        shard.fold(change(interaction("2025-07-05T10:00:00"), "i2", 2))
        july = {"partial|day|2025-07-05", "partial|person_month|202507|ana"}
        assert shard.needs == [
            DocumentsById(frozenset({"ledger|user_interactions|2025-07-05T10", ANA, *july})),
            PagesByFingerprint((fingerprint(USER_INTERACTIONS, "ana", "i2"),)),
            DocumentsById(frozenset({ANAS_AUGUST})),
            DocumentsById(frozenset({AUGUST, "partial|month|202507", SILENCE, DAY})),
        ]

    def test_a_document_on_the_page_of_its_hour_is_not_looked_for_in_the_index(self) -> None:
        shard = MemoryShard()
        shard.fold(change(interaction(), number=1))
        shard.fold(change(interaction(rating=1), number=2))
        assert not any(isinstance(need, PagesByFingerprint) for need in shard.needs)

    def test_fingerprints_are_asked_for_in_order(self) -> None:
        shard = MemoryShard()
        shard.fold(change(interaction(), "i0", 1))
        shard.fold(*(change(interaction(), f"i{n}", n + 1) for n in range(1, 9)))
        (asked,) = (need for need in shard.needs if isinstance(need, PagesByFingerprint))
        expected = sorted(fingerprint(USER_INTERACTIONS, "ana", f"i{n}") for n in range(1, 9))
        assert list(asked.fingerprints) == expected

    def test_writes_are_guarded_by_the_etags_of_what_was_loaded(self) -> None:
        shard = MemoryShard()
        shard.fold(change(interaction(), "i1", 1))
        late = change(interaction("2025-07-05T10:00:00"), "i2", 2)
        shard.needs = []
        folded = drive(fold_changes(SHARD, USER_INTERACTIONS, [late]), shard.answer)
        guards = {document.id: guard for document, guard in folded.writes}
        stored = {name: loaded.etag for name, loaded in shard.documents.items()}
        assert guards == {name: stored.get(name) for name in guards}
        assert {name for name, guard in guards.items() if guard is not None} == {
            ANA, ANAS_AUGUST, AUGUST, SILENCE, DAY
        }  # fmt: skip

    def test_loaded_documents_are_not_changed_since_the_commit_may_fail(self) -> None:
        shard = MemoryShard()
        shard.fold(change(interaction(), "i1", 1))
        sent = shard.documents
        before = {name: copy.deepcopy(loaded) for name, loaded in sent.items()}
        changes = [
            change(interaction(rating=1), "i1", 2),
            change(interaction("2025-07-05T10:00:00"), "i2", 3),
        ]
        folded = drive(
            fold_changes(SHARD, USER_INTERACTIONS, changes),
            lambda need: {name: sent.get(name, Loaded(None, None)) for name in getattr(need, "ids", ())},
        )
        assert len(folded.writes) == 10
        assert sent == before


class TestIncidents:
    """An incident counts under the passage that its interaction cites first."""

    CITED = (Citation("gita", "2", "47", Micro(900_000)),)
    INCIDENT = IncidentFact(user_id="ana", at=millis("2025-08-06T09:00:00"), interaction="1")
    GITA, NOWHERE = "partial|incident_month|202508|gita", "partial|incident_month|202508|unattributed"

    def incidents(self, shard: MemoryShard) -> dict[str, int]:
        """Return the number of incidents by partial."""
        return {
            name: state["sums"]["incidents"]
            for name, state in shard.states().items()
            if "incident_month" in name
        }

    def test_that_comes_after_its_interaction(self) -> None:
        shard = MemoryShard()
        shard.fold(change(interaction(citations=self.CITED), "interaction_1", 1))
        assert shard.fold(change(self.INCIDENT, "a", 2), source=ABUSE_INCIDENTS) == [Verdict.ADDED]
        assert self.incidents(shard) == {self.GITA: 1}
        assert shard.partial(self.GITA).newest == 2

    def test_that_comes_before_its_interaction(self) -> None:
        shard = MemoryShard()
        shard.fold(change(self.INCIDENT, "a", 1), source=ABUSE_INCIDENTS)
        assert self.incidents(shard) == {self.NOWHERE: 1}
        shard.fold(change(interaction(citations=self.CITED), "interaction_1", 2))
        assert self.incidents(shard) == {self.GITA: 1}
        assert shard.partial(self.GITA).newest == 1  # the incident's own version

    def test_moves_when_the_interaction_cites_another_passage(self) -> None:
        shard = MemoryShard()
        shard.fold(change(interaction(citations=self.CITED), "interaction_1", 1))
        shard.fold(change(self.INCIDENT, "a", 2), source=ABUSE_INCIDENTS)
        other = (Citation("dhammapada", None, None, None),)
        shard.fold(change(interaction(citations=other), "interaction_1", 3))
        assert self.incidents(shard) == {"partial|incident_month|202508|dhammapada": 1}
        page = shard.pages()["ledger|abuse_incidents|2025-08-06T09"]
        entry = page.get("ana", "a")
        assert entry is not None
        assert entry.version == Version(2, 2, '"2"')
        assert isinstance(entry.fact, IncidentFact)
        assert entry.fact.passage == ("dhammapada", None, None)


STRATEGIES: dict[str, st.SearchStrategy[Fact]] = {
    USER_INTERACTIONS: fact_strategies.interactions,
    USER_SESSIONS: fact_strategies.sessions,
    # The passage is not in the document: the fold fills it in.
    ABUSE_INCIDENTS: fact_strategies.incidents.map(lambda fact: replace(fact, passage=None)),
    USERS: fact_strategies.consents,
}


@st.composite
def deliveries(draw: st.DrawFn) -> tuple[str, list[Change], list[list[Change]]]:
    """Draw a source, the final version of each document, and batches that deliver all versions."""
    source = draw(st.sampled_from(sorted(STRATEGIES)))
    versions: list[Change] = []
    final: dict[tuple[str, str], Change] = {}
    for number in range(1, draw(st.integers(1, 7)) + 1):
        fact: Fact | Uncounted = draw(STRATEGIES[source])
        if draw(st.integers(0, 5)) == 0:
            fact = Uncounted(fact.user_id, fact.at, refused=source == USERS)
        written = change(fact, draw(st.sampled_from(["d1", "d2", "d3"])), number)
        versions.append(written)
        final[written.user_id, written.document_id] = written
    again = draw(st.lists(st.sampled_from(versions), max_size=5))
    stream = draw(st.permutations(versions + again))
    cuts = sorted(draw(st.sets(st.integers(1, len(stream)), max_size=4)) | {0, len(stream)})
    return (
        source,
        list(final.values()),
        [stream[start:end] for start, end in pairwise(cuts)],
    )


@settings(max_examples=200, deadline=None)
@given(deliveries())
def test_any_order_and_repetition_ends_as_the_final_versions_folded_once(
    delivered: tuple[str, list[Change], list[list[Change]]],
) -> None:
    source, final, batches = delivered
    shard, expected = MemoryShard(), MemoryShard()
    for batch in batches:
        shard.fold(*batch, source=source)
    expected.fold(*final, source=source)
    assert shard.states() == expected.states()
    entries = sorted(
        (user, document, entry) for page in shard.pages().values() for user, document, entry in page
    )
    assert [(user, document, entry.version) for user, document, entry in entries] == sorted(
        (last.user_id, last.document_id, last.version) for last in final
    )


def test_changes_that_cancel_out_write_the_partials_that_a_rebuild_would_count_otherwise() -> None:
    shard = MemoryShard()
    shard.fold(change(interaction(TEN, rating=3), "a", 1), change(interaction(ELEVEN, rating=4), "b", 2))
    stored = {
        loaded.document.target: loaded
        for loaded in shard.documents.values()
        if isinstance(loaded.document, Partial)
    }
    rebuild = Recount(SHARD, stored, Day("2025-08-20"))
    rebuild.add(shard.pages()[page_id(USER_INTERACTIONS, EventHour(TEN[:13]))])  # read before the fold
    shard.fold(change(interaction(TEN, rating=4), "a", 3), change(interaction(ELEVEN, rating=3), "b", 4))
    rebuild.add(shard.pages()[page_id(USER_INTERACTIONS, EventHour(ELEVEN[:13]))])  # and after it
    rebuild.derive()
    wrong = rebuild.writes(rebuild.targets())
    assert {write.document.id for write in wrong} == {
        "partial|day|2025-08-05", "partial|month|202508", "partial|person_month|202508|ana"
    }  # fmt: skip
    assert [
        write.document.id for write in wrong if write.guard == shard.documents[write.document.id].etag
    ] == []
