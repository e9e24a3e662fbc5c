"""The fold: each document counts once, in its newest version, and everything that was read is guarded."""

from __future__ import annotations

import copy
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.aggregates.document_index import DocumentIndex, document_hash, reference_hash
from shared.aggregates.person_record import MonthSummary, PersonRecord
from shared.aggregates.tally import Mean
from shared.facts import (
    ABUSE_INCIDENTS,
    USER_INTERACTIONS,
    USER_SESSIONS,
    Citation,
    ConsentFact,
    Fact,
    IncidentFact,
    InteractionFact,
    SessionFact,
    Uncounted,
)
from shared.ledger import fold, incident_passages, open_pages, pages
from shared.ledger.changes import Change, Verdict
from shared.ledger.document_version import Version
from shared.ledger.fold import fold_changes
from shared.ledger.needs import Answer, DocumentsById, Need, RecordsOf, drive
from shared.ledger.pages import Entry, page_id
from shared.ledger.partials import Partial
from shared.ledger.recount import Recount
from shared.ledger.state import Loaded
from shared.units import MILLIS_PER_DAY, Day, EventHour, Micro, Millis, Month
from tests.unit.shared.aggregates import fact_strategies
from tests.unit.shared.aggregates.fact_strategies import millis
from tests.unit.shared.ledger.memory_shard import NOW, SHARD, MemoryShard, change

TEN, ELEVEN = "2025-08-05T10:15:00", "2025-08-05T11:15:00"
PAGE_OF_TEN = "ledger|user_interactions|2025-08-05T10"
DAY, ANA, ANAS_AUGUST = "partial|day|2025-08-05", "partial|person|ana", "partial|person_month|202508|ana"


def interaction(at: str = TEN, user_id: str = "ana", **fields: Any) -> InteractionFact:
    return InteractionFact(user_id=user_id, at=millis(at), **fields)


def session(at: str = TEN, session_id: str = "s") -> SessionFact:
    return SessionFact(user_id="ana", at=millis(at), session_id=session_id)


def counted(shard: MemoryShard) -> dict[str, int]:
    """Return how many entries each page holds."""
    return {name: len(list(page)) for name, page in shard.pages().items()}


def revisions(shard: MemoryShard) -> dict[str, int]:
    """Return how often each document was written."""
    return {
        name: loaded.document.revision - NOW for name, loaded in shard.documents.items() if loaded.document
    }


def active(*days: str) -> dict[str, Any]:
    """Return the state of a person with one interaction on each of some days of August."""
    return {"parts": {"202508": {"counts": {"days": dict.fromkeys(days, 1)}}}}


def index_of_pages(shard: MemoryShard, user_id: str) -> DocumentIndex:
    """Return the index of what is on the pages."""
    index = DocumentIndex()
    for page in shard.pages().values():
        for owner, document_id, entry in page:
            if owner == user_id:
                index.add(page.source, document_hash(page.source, document_id), page.hour)
                if entry.fact.reference is not None:
                    index.add(page.source, reference_hash(page.source, entry.fact.reference), page.hour)
    return index


def test_a_new_document_is_on_the_page_of_its_hour_and_in_every_partial_that_counts_it() -> None:
    shard = MemoryShard()
    assert shard.fold(change(interaction(rating=5), number=7)) == [Verdict.ADDED]
    (page,) = shard.pages().values()
    assert page.id == PAGE_OF_TEN
    assert [(user, document, entry) for user, document, entry in page] == [
        ("ana", "i1", (Version(7, 7, '"7"'), interaction(rating=5)))
    ]
    assert revisions(shard) == dict.fromkeys([PAGE_OF_TEN, DAY, ANA, ANAS_AUGUST], 1)
    assert shard.state(ANA) == active("05")
    assert shard.state(DAY)["sums"] == {"interactions": 1, "active_users": 1, "new_users": 1}
    assert shard.state(DAY)["means"]["rating"] == [5, 1]
    assert shard.state(ANAS_AUGUST)["parts"]["05"]["sums"]["interactions"] == 1


def test_a_new_document_is_in_the_index_of_its_person_and_in_the_summary_of_the_month() -> None:
    shard = MemoryShard()
    shard.fold(change(interaction(rating=5, session_id="s", persona="krishna")))
    record = shard.record("ana")
    assert list(record.index.hours_of(document_hash(USER_INTERACTIONS, "i1"))) == [TEN[:13]]
    assert record.months == {
        "202508": MonthSummary(
            sessions=1, depth=Micro(0), rating=Mean(5, 1), persona="krishna", daytime="morning"
        )
    }
    assert not record.pending


def test_a_day_lists_its_pages_with_their_revisions() -> None:
    shard = MemoryShard()
    shard.fold(change(interaction()))
    shard.fold(change(session(), "s", 2), source=USER_SESSIONS)
    shard.fold(change(interaction(ELEVEN), "i2", 3), change(interaction(), "i3", 3))
    assert shard.partial(DAY).pages == {
        "user_interactions|2025-08-05T10": NOW + 2,
        "user_sessions|2025-08-05T10": NOW + 1,
        "user_interactions|2025-08-05T11": NOW + 1,
    }
    assert shard.partial(DAY).pages == {
        name: page.revision for _, page in shard.pages().items() for name in [page.name]
    }


def test_what_is_written_ends_with_the_state_of_its_month() -> None:
    shard = MemoryShard()
    shard.fold(change(interaction()))
    shard.fold(change(session(), "s", 2), source=USER_SESSIONS)
    end, now = millis("2025-08-31T23:59:59") + 35 * MILLIS_PER_DAY, NOW
    year, ninety = (end + days * MILLIS_PER_DAY - now for days in (365, 90))
    assert {name: loaded.document.ttl for name, loaded in shard.documents.items() if loaded.document} == {
        PAGE_OF_TEN: year // 1000,
        "ledger|user_sessions|2025-08-05T10": ninety // 1000,
        DAY: year // 1000,
        ANA: year // 1000,
        ANAS_AUGUST: year // 1000,
    }


class TestClosed:
    """A month whose state ends soon. The service may delete one of its documents before another."""

    OPEN, CLOSED = millis("2026-10-03T23:59:58"), millis("2026-10-03T23:59:59")

    @pytest.mark.parametrize(("now", "verdict"), [(OPEN, Verdict.ADDED), (CLOSED, Verdict.CLOSED)])
    def test_a_document_of_a_month_is_counted_until_two_days_before_the_end(
        self, now: Millis, verdict: Verdict
    ) -> None:
        shard = MemoryShard(now=now)
        assert shard.fold(change(interaction())) == [verdict]
        assert bool(shard.written) is (verdict is Verdict.ADDED)

    def test_a_document_that_has_moved_on_is_counted_where_it_is_now(self) -> None:
        shard = MemoryShard(now=self.OPEN)
        shard.fold(change(interaction()))
        shard.now = self.CLOSED
        assert shard.fold(change(interaction("2026-09-01T00:00:00"), number=2)) == [Verdict.ADDED]
        assert not {DAY, ANAS_AUGUST, PAGE_OF_TEN} & set(shard.written)
        assert shard.state(ANA) == {"parts": {"202609": {"counts": {"days": {"01": 1}}}}}
        record = shard.record("ana")
        assert (record.first_known, set(record.months)) == ("2025-08-05", {"202609"})
        assert record.index.months() == {(USER_INTERACTIONS, "202609")}
        assert "new_users" not in shard.state("partial|day|2026-09-01")["sums"]

    def test_documents_that_move_on_twice_in_one_batch_are_counted_once(self) -> None:
        shard, names = MemoryShard(now=self.OPEN), [f"i{n}" for n in range(20)]
        shard.fold(*(change(interaction(), name, 1) for name in names))
        shard.now = self.CLOSED
        moves = ("2026-09-01T00:00:00", "2026-09-02T00:00:00")
        versions = [change(interaction(at), name, n) for name in names for n, at in enumerate(moves, 2)]
        assert set(shard.fold(*versions)) == {Verdict.ADDED, Verdict.REPLACED}
        assert shard.state(ANA) == {"parts": {"202609": {"counts": {"days": {"02": 20}}}}}

    def test_a_document_that_moves_into_a_closed_month_is_taken_back_once(self) -> None:
        shard = MemoryShard(now=self.OPEN)
        shard.fold(change(interaction("2026-09-01T00:00:00"), number=1))
        shard.now = self.CLOSED
        assert shard.fold(change(interaction(), number=2)) == [Verdict.UNCOUNTED]
        assert shard.states() == {}
        assert shard.fold(change(interaction(), number=2)) == [Verdict.CLOSED]
        assert shard.fold(change(interaction("2026-09-01T00:00:00"), number=1)) == [Verdict.OLDER]
        assert shard.states() == {}

    def test_only_the_live_document_decides_whether_a_move_into_a_closed_month_is_newer(self) -> None:
        shard = MemoryShard(now=self.CLOSED)
        shard.fold(change(interaction("2026-09-01T00:00:00"), number=1))
        unordered = Change("ana", "i1", Version(11, None, "b"), interaction())
        assert shard.fold(unordered) == [Verdict.UNKNOWN]
        assert shard.fold(replace(unordered, live=True)) == [Verdict.UNCOUNTED]


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
        assert shard.state(DAY)["means"]["rating"] == [5, 1]
        assert shard.state(DAY)["sums"]["interactions"] == 1
        assert counted(shard) == {PAGE_OF_TEN: 1}
        assert set(shard.written) == {PAGE_OF_TEN, DAY, ANAS_AUGUST, ANA}
        assert shard.record("ana").months[Month("202508")].rating == (5, 1)

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
        assert shard.state(DAY)["means"]["rating"] == [5, 1]

    def test_a_live_document_that_is_counted_is_the_same(self, shard: MemoryShard) -> None:
        assert shard.fold(change(interaction(rating=3), number=10, live=True)) == [Verdict.SAME]
        assert shard.written == []

    def test_a_new_price_of_the_counted_version_replaces_its_fact(self, shard: MemoryShard) -> None:
        priced = interaction(rating=3, model="m", cost=70)
        assert shard.fold(change(priced, number=10, reprices=True)) == [Verdict.REPLACED]
        assert shard.state(DAY)["means_by"]["model_cost"] == {"m": [70, 1]}

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
        assert shard.state(DAY)["means"]["rating"] == [4, 1]
        assert shard.state(ANA) == active("05")


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
        assert shard.states() == {}
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
        assert shard.state(DAY)["means"]["rating"] == [2, 1]
        assert shard.state(ANA) == active("05")

    def test_is_counted_in_the_same_version_by_a_release_that_can_read_it(self, shard: MemoryShard) -> None:
        shard.fold(change(self.LATER, number=11))
        assert shard.fold(change(interaction(rating=2), number=11)) == [Verdict.REPLACED]
        assert shard.state(DAY)["means"]["rating"] == [2, 1]

    def test_is_the_same_when_the_version_still_cannot_be_read(self, shard: MemoryShard) -> None:
        shard.fold(change(self.LATER, number=11))
        assert shard.fold(change(self.LATER, number=11)) == [Verdict.SAME]

    def test_a_version_that_was_counted_is_not_taken_back(self, shard: MemoryShard) -> None:
        assert shard.fold(change(self.LATER, number=10)) == [Verdict.SAME]
        assert shard.state(DAY)["means"]["rating"] == [3, 1]

    def test_of_a_new_document_is_on_the_page_of_the_hour_it_was_written_in(self) -> None:
        shard = MemoryShard()
        assert shard.fold(change(self.LATER)) == [Verdict.UNCOUNTED]
        assert counted(shard) == {"ledger|user_interactions|2025-08-20T23": 1}
        assert shard.states() == {}


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
            ANA,
        }
        assert shard.state(ANA) == {"parts": {"202507": {"counts": {"days": {"31": 1}}}}}
        record = shard.record("ana")
        assert set(record.months) == {"202507"}
        assert record.index.months() == {(USER_INTERACTIONS, "202507")}
        assert record.pending

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
            ANA,
            ANAS_AUGUST,
        }

    def test_both_months_are_written_when_the_entry_moves_between_them(self) -> None:
        shard = MemoryShard()
        shard.fold(change(interaction("2025-07-31T23:00:00"), "i1", 1), change(interaction(), "i2", 2))
        shard.fold(change(session(), "s", number=3), source=USER_SESSIONS)
        moved = change(session("2025-07-31T23:30:00"), "s", number=4)
        shard.fold(moved, source=USER_SESSIONS)
        july = "partial|person_month|202507|ana"
        assert {ANAS_AUGUST, july, DAY, "partial|day|2025-07-31"} <= set(shard.written)

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

    def test_the_day_and_the_month_that_an_entry_leaves_are_written(self) -> None:
        shard = MemoryShard()
        shard.fold(change(interaction(session_id="s"), "i1", 1))
        shard.fold(change(session(), "s", number=2), source=USER_SESSIONS)
        before = shard.states()
        shard.fold(change(session("2025-07-31T23:30:00"), "s", number=3), source=USER_SESSIONS)
        assert shard.state(DAY)["sums"] == before[DAY]["sums"]
        assert {DAY, ANAS_AUGUST} <= set(shard.written)

    def test_the_moved_document_is_found_by_the_index_on_the_stored_page(self) -> None:
        shard = MemoryShard()
        shard.fold(change(interaction(), number=1))
        shard.fold(change(interaction("2025-09-01T00:00:00"), number=2))
        assert shard.asked_ids(stored=True) == {PAGE_OF_TEN}
        hashed = document_hash(USER_INTERACTIONS, "i1")
        assert list(shard.record("ana").index.hours_of(hashed)) == ["2025-09-01T00"]

    def test_two_documents_with_one_hash_are_two_documents(self, monkeypatch: pytest.MonkeyPatch) -> None:
        for module in (fold, open_pages, incident_passages):
            monkeypatch.setattr(module, "document_hash", lambda *_: "AAAA")
        shard = MemoryShard()
        at = [TEN, ELEVEN, "2025-07-31T23:00:00"]
        shard.fold(*(change(interaction(moment), f"i{n}", n) for n, moment in enumerate(at, 1)))
        assert shard.fold(change(interaction("2025-09-01T00:00:00"), "i2", 4)) == [Verdict.REPLACED]
        assert counted(shard) == {
            PAGE_OF_TEN: 1,
            "ledger|user_interactions|2025-08-05T11": 0,
            "ledger|user_interactions|2025-07-31T23": 1,
            "ledger|user_interactions|2025-09-01T00": 1,
        }
        assert sorted(shard.record("ana").index.hours_of("AAAA")) == [
            "2025-07-31T23", "2025-08-05T10", "2025-09-01T00"
        ]  # fmt: skip

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
        shard = MemoryShard()
        shard.fold(*(change(interaction(), f"i{n}", n) for n in range(1, 3)))
        monkeypatch.setattr(pages, "PAGE_BYTES", shard.pages()[PAGE_OF_TEN].size)
        shard.fold(change(interaction(), "i3", 3))
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

    def test_an_earlier_month_that_arrives_late_is_the_first(self) -> None:
        shard = MemoryShard()
        shard.fold(change(interaction(), "i1", 1))
        assert not shard.record("ana").pending
        assert shard.fold(change(interaction("2025-07-05T10:00:00"), "i2", 2)) == [Verdict.ADDED]
        assert shard.record("ana").pending
        assert set(shard.record("ana").months) == {"202507", "202508"}
        assert "new_users" not in shard.state(DAY)["sums"]
        assert shard.state("partial|day|2025-07-05")["sums"]["new_users"] == 1

    @pytest.mark.parametrize("later", [TEN, "2025-08-09T10:00:00", "2025-09-05T10:00:00"])
    def test_documents_of_the_first_month_and_later_change_no_first_month(self, later: str) -> None:
        shard = MemoryShard()
        shard.fold(change(interaction(), "i1", 1))
        shard.fold(change(interaction(later), "i2", 2))
        assert not shard.record("ana").pending

    def test_a_person_who_was_here_in_an_earlier_generation_is_not_new(self) -> None:
        shard = MemoryShard({"ana": PersonRecord(first_known=Day("2024-03-01"))})
        shard.fold(change(interaction(), "i1", 1))
        assert shard.record("ana").first_known == "2024-03-01"
        shard.fold(change(interaction("2025-07-05T10:00:00"), "i2", 2))
        assert not shard.record("ana").pending
        for day in (DAY, "partial|day|2025-07-05"):
            assert "new_users" not in shard.state(day)["sums"]

    def test_a_month_that_loses_its_last_interaction_has_no_summary(self) -> None:
        shard = MemoryShard()
        shard.fold(change(interaction(), "i1", 1), change(interaction("2025-09-05T10:00:00"), "i2", 1))
        shard.fold(change(Uncounted("ana", millis(TEN)), "i1", 2))
        assert set(shard.record("ana").months) == {"202509"}
        assert shard.record("ana").pending

    def test_a_session_alone_has_no_summary(self) -> None:
        shard = MemoryShard()
        shard.fold(change(session(), "s"), source=USER_SESSIONS)
        assert shard.record("ana").months == {}
        shard.fold(change(interaction(), "i"))
        assert shard.record("ana").months[Month("202508")].sessions == 1

    def test_the_record_of_a_new_person_is_the_one_that_was_read(self) -> None:
        accounts = {"u": Entry(Version(1, None, "e"), ConsentFact(user_id="ana", at=millis(TEN))).encode()}
        shard = MemoryShard({"ana": PersonRecord(accounts=accounts)})
        shard.fold(change(interaction()), change(interaction(user_id="ben")))
        assert RecordsOf(frozenset({"ana", "ben"})) in shard.needs
        assert shard.record("ana").accounts == accounts
        assert shard.record("ben").accounts == {}
        shard.fold(change(interaction(rating=4), number=2))
        assert shard.record("ana").accounts == accounts
        assert not any(isinstance(need, RecordsOf) for need in shard.needs)

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
        assert set(shard.written) == {PAGE_OF_TEN, DAY} | ({ANA} if written else set())


class TestProtocol:
    """What a fold asks for, in which order. That nothing is asked for twice is checked in every test."""

    def test_a_new_document_of_a_new_person_needs_the_documents_of_its_hour_and_a_record(self) -> None:
        shard = MemoryShard()
        shard.fold(change(interaction()))
        assert shard.needs == [
            DocumentsById(frozenset({PAGE_OF_TEN, DAY, ANA, ANAS_AUGUST})),
            RecordsOf(frozenset({"ana"})),
        ]

    def test_a_new_document_of_a_known_person_needs_no_page_but_that_of_its_hour(self) -> None:
        shard = MemoryShard()
        shard.fold(change(interaction(), "i1", 1))
        shard.fold(change(interaction("2025-07-05T10:00:00"), "i2", 2))
        july = {"partial|day|2025-07-05", "partial|person_month|202507|ana"}
        assert shard.needs == [
            DocumentsById(frozenset({"ledger|user_interactions|2025-07-05T10", ANA, *july})),
            DocumentsById(frozenset({DAY})),
        ]

    def test_a_document_on_the_page_of_its_hour_is_not_looked_for_elsewhere(self) -> None:
        shard = MemoryShard()
        shard.fold(change(interaction(), number=1))
        shard.fold(change(interaction(rating=1), number=2))
        assert shard.asked_ids(stored=True) == set()

    def test_a_page_that_lacks_an_entry_of_the_index_is_read_again(self) -> None:
        shard = MemoryShard()
        shard.fold(change(interaction(), "i1", 1))
        stale = shard.documents[PAGE_OF_TEN]
        shard.fold(change(interaction(), "i2", 2))
        fresh = shard.documents[PAGE_OF_TEN]

        def answer(need: Need) -> Answer:
            cached = isinstance(need, DocumentsById) and not need.stored
            shard.documents[PAGE_OF_TEN] = stale if cached else fresh
            return shard.answer(need)

        shard.needs = []
        newer = change(interaction(rating=5), "i2", 3)
        folded = drive(fold_changes(SHARD, USER_INTERACTIONS, [newer], NOW), answer)
        assert [verdict for _, verdict in folded.verdicts] == [Verdict.REPLACED]
        shard.commit(folded.writes)
        assert counted(shard) == {PAGE_OF_TEN: 2}

    def test_writes_are_guarded_by_the_etags_of_what_was_loaded(self) -> None:
        shard = MemoryShard()
        shard.fold(change(interaction(), "i1", 1))
        late = change(interaction("2025-07-05T10:00:00"), "i2", 2)
        shard.needs = []
        folded = drive(fold_changes(SHARD, USER_INTERACTIONS, [late], NOW), shard.answer)
        guards = {document.id: guard for document, guard in folded.writes}
        stored = {name: loaded.etag for name, loaded in shard.documents.items()}
        assert guards == {name: stored.get(name) for name in guards}
        assert {name for name, guard in guards.items() if guard is not None} == {ANA, DAY}

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
            fold_changes(SHARD, USER_INTERACTIONS, changes, NOW),
            lambda need: {name: sent.get(name, Loaded(None, None)) for name in getattr(need, "ids", ())},
        )
        assert len(folded.writes) == 7
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

    def test_that_comes_before_its_interaction(self) -> None:
        shard = MemoryShard()
        shard.fold(change(self.INCIDENT, "a", 1), source=ABUSE_INCIDENTS)
        assert self.incidents(shard) == {self.NOWHERE: 1}
        shard.fold(change(interaction(citations=self.CITED), "interaction_1", 2))
        assert self.incidents(shard) == {self.GITA: 1}

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


def test_an_incident_that_its_page_has_no_room_for_under_its_new_text_goes_to_another_part(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    shard, page = MemoryShard(), "ledger|abuse_incidents|2025-08-06T09"
    shard.fold(change(interaction(), "interaction_1", 1))
    incidents = [change(TestIncidents.INCIDENT, name, 2) for name in "abc"]
    shard.fold(*incidents, source=ABUSE_INCIDENTS)
    size = shard.pages()[page].size
    monkeypatch.setattr(pages, "MAX_PAGE_BYTES", size + 1)
    monkeypatch.setattr(pages, "PAGE_BYTES", size // 2)
    shard.fold(change(interaction(citations=TestIncidents.CITED), "interaction_1", 3))
    assert {name for name, number in counted(shard).items() if "abuse" in name and number} > {f"{page}|1"}
    assert TestIncidents().incidents(shard) == {TestIncidents.GITA: 3}
    assert shard.record("ana").index == index_of_pages(shard, "ana")


@pytest.mark.parametrize("number", [4, 5, 11])
def test_the_incidents_of_an_interaction_follow_in_several_transactions(number: int) -> None:
    shard = MemoryShard()
    shard.fold(change(interaction(), "interaction_1", 1))
    shard.fold(*(change(TestIncidents.INCIDENT, f"a{n}", 2) for n in range(number)), source=ABUSE_INCIDENTS)
    moved = change(interaction(citations=TestIncidents.CITED), "interaction_1", 3)
    shard.needs = []
    folded = drive(fold_changes(SHARD, USER_INTERACTIONS, [moved], NOW), shard.answer)
    assert folded.unfinished is (number > 4)
    shard.commit(folded.writes)  # the process dies here: the next delivery moves the rest
    assert TestIncidents().incidents(shard)[TestIncidents.GITA] == 4
    assert shard.fold(moved) == [Verdict.SAME]
    assert TestIncidents().incidents(shard) == {TestIncidents.GITA: number}
    assert shard.fold(moved) == [Verdict.SAME]
    assert shard.written == []


AFTERWARDS = millis("2025-02-10T00:00:00")
"""After all drawn facts. No month is closed."""

STRATEGIES: dict[str, st.SearchStrategy[Fact]] = {
    USER_INTERACTIONS: fact_strategies.interactions,
    USER_SESSIONS: fact_strategies.sessions,
    # The passage is not in the document: the fold fills it in.
    ABUSE_INCIDENTS: fact_strategies.incidents.map(lambda fact: replace(fact, passage=None)),
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
            fact = Uncounted(fact.user_id, fact.at)
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
    shard, expected = MemoryShard(now=AFTERWARDS), MemoryShard(now=AFTERWARDS)
    for batch in batches:
        shard.fold(*batch, source=source)
    expected.fold(*final, source=source)
    assert shard.states() == expected.states()
    for user_id in {last.user_id for last in final}:
        assert shard.record(user_id).months == expected.record(user_id).months
        assert shard.record(user_id).index == index_of_pages(shard, user_id)
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
    rebuild = Recount(SHARD, Month("202508"), stored, millis("2025-08-20T00:00:00"))
    rebuild.add(shard.pages()[page_id(USER_INTERACTIONS, EventHour(TEN[:13]))])  # read before the fold
    shard.fold(change(interaction(TEN, rating=4), "a", 3), change(interaction(ELEVEN, rating=3), "b", 4))
    rebuild.add(shard.pages()[page_id(USER_INTERACTIONS, EventHour(ELEVEN[:13]))])  # and after it
    rebuild.derive()
    wrong = rebuild.writes(rebuild.targets())
    assert {write.document.id for write in wrong} == {
        "partial|day|2025-08-05", "partial|person_month|202508|ana", ANA
    }  # fmt: skip
    assert [
        write.document.id for write in wrong if write.guard == shard.documents[write.document.id].etag
    ] == []
