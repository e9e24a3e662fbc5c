"""A recount finds what every partial must hold, from the ledger pages and the people alone."""

from __future__ import annotations

import copy
from collections.abc import Mapping

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.aggregates.base import PartialKey
from shared.aggregates.person_record import MonthSummary, PersonRecord
from shared.aggregates.tally import Tally
from shared.facts import USER_INTERACTIONS, USER_SESSIONS, InteractionFact, SessionFact
from shared.ledger.partials import Partial
from shared.ledger.recount import Recount
from shared.ledger.shards import ShardId
from shared.ledger.state import Loaded, Write
from shared.units import Day, Millis, Month, month_of
from tests.unit.shared.aggregates import fact_strategies
from tests.unit.shared.aggregates.fact_strategies import millis
from tests.unit.shared.ledger.memory_shard import SHARD, MemoryShard, change, counted

TODAY = millis("2025-08-20T00:00:00")
AUGUST = Month("202508")
TEN = "2025-08-05T10:15:00"
DAY, ANA, ANAS_AUGUST = (
    PartialKey("day", "2025-08-05"),
    PartialKey("person", "ana"),
    PartialKey("person_month", "202508|ana"),
)

ANAS_ID = "partial|person|ana"


def active_on(*days: str) -> Tally:
    """Return the state of a person with one interaction on each day."""
    state = Tally()
    for day in days:
        state.part(month_of(Day(day))).count("days", day[8:])
    return state


def interaction(at: str = TEN, user_id: str = "ana", rating: int | None = None) -> InteractionFact:
    return InteractionFact(user_id=user_id, at=millis(at), rating=rating)


def folded(*facts: InteractionFact, now: Millis = TODAY) -> MemoryShard:
    shard = MemoryShard(now=now)
    shard.fold(*(change(fact, f"i{number}", number) for number, fact in enumerate(facts, 1)))
    return shard


def stored(shard: MemoryShard) -> dict[PartialKey, Loaded]:
    return {
        loaded.document.target: loaded
        for loaded in shard.documents.values()
        if isinstance(loaded.document, Partial)
    }


def recount(
    shard: MemoryShard, partials: Mapping[PartialKey, Loaded] | None = None, now: Millis = TODAY
) -> Recount:
    """Recount the pages of a shard, with its own partials or others."""
    result = Recount(SHARD, AUGUST, stored(shard) if partials is None else partials, now)
    for page in shard.pages().values():
        result.add(page)
    result.derive()
    return result


def corrections(found: Recount) -> dict[PartialKey, tuple[Partial, str | None]]:
    """Return the corrected partials with their guards."""
    return {
        document.target: (document, guard)
        for document, guard in found.writes(found.targets())
        if isinstance(document, Partial)
    }


def altered(shard: MemoryShard, target: PartialKey, state: Tally) -> dict[PartialKey, Loaded]:
    """Return the partials of a shard, one of them with other counts."""
    partials = copy.deepcopy(stored(shard))
    partial, etag = partials[target]
    assert isinstance(partial, Partial)
    partial.state = state
    partials[target] = Loaded(partial, etag)
    return partials


def test_partials_that_agree_with_the_ledger_are_not_written() -> None:
    shard = folded(interaction(), interaction("2025-07-05T10:00:00"), interaction(user_id="ben"))
    shard.fold(
        change(SessionFact(user_id="ana", at=millis(TEN), session_id="s"), "s", 9), source=USER_SESSIONS
    )
    assert recount(shard).writes(stored(shard)) == []


facts = st.lists(fact_strategies.interactions, min_size=1, max_size=5)


@settings(max_examples=50, deadline=None)
@given(facts)
def test_what_a_fold_counted_a_recount_counts(facts: list[InteractionFact]) -> None:
    shard = folded(*facts, now=millis("2025-02-10T00:00:00"))
    assert corrections(recount(shard, now=millis("2025-02-10T00:00:00"))) == {}


@pytest.mark.parametrize("target", [DAY, ANAS_AUGUST])
def test_a_partial_that_differs_is_corrected_under_its_etag(target: PartialKey) -> None:
    shard = folded(interaction())
    partials = altered(shard, target, counted("interactions", 99))
    corrected = corrections(recount(shard, partials))
    assert set(corrected) == {target}
    partial, guard = corrected[target]
    assert guard == partials[target].etag
    right = stored(shard)[target].document
    assert isinstance(right, Partial)
    assert (partial.state, partial.revision, partial.ttl) == (right.state, right.revision + 1, right.ttl)


def test_the_partials_that_were_read_are_not_changed() -> None:
    shard = folded(interaction())
    partials = altered(shard, DAY, counted("interactions", 99))
    before = copy.deepcopy(partials)
    corrections(recount(shard, partials))
    assert partials == before


@pytest.mark.parametrize("target", [DAY, ANAS_AUGUST])
def test_a_partial_that_is_missing_is_created(target: PartialKey) -> None:
    shard = folded(interaction(), interaction(rating=1))
    partials = stored(shard)
    expected = partials.pop(target).document
    assert isinstance(expected, Partial)
    corrected = corrections(recount(shard, partials))
    assert corrected == {target: (expected, None)}
    assert corrected[target][0].shard == SHARD


def test_a_partial_that_counts_nothing_that_is_on_the_ledger_is_emptied() -> None:
    partials = altered(folded(interaction()), DAY, counted("interactions", 1))
    person = copy.deepcopy(partials[ANA])
    assert isinstance(person.document, Partial)
    person.document.state = Tally()
    corrected = corrections(recount(MemoryShard(), partials | {ANA: person}))
    assert set(corrected) == {DAY, ANAS_AUGUST}
    assert [bool(partial.state) for partial, _ in corrected.values()] == [False] * 2


def test_a_partial_that_holds_nothing_and_is_not_stored_is_not_created() -> None:
    shard = folded(interaction())
    empty = PartialKey("day", "2025-08-06")
    assert recount(shard).writes([empty]) == []


def test_a_day_with_another_list_of_pages_is_corrected() -> None:
    shard = folded(interaction())
    partials = copy.deepcopy(stored(shard))
    day = partials[DAY].document
    assert isinstance(day, Partial)
    right = day.pages
    day.pages = {"user_interactions|2025-08-05T10": 3}
    assert corrections(recount(shard, partials))[DAY][0].pages == right


class TestPeople:
    """Active days are taken as they are stored: they outlive the ledger."""

    @pytest.mark.parametrize("days", [[], ["2025-08-01"]])
    def test_the_days_of_a_person_are_never_written(self, days: list[str]) -> None:
        shard = folded(interaction())
        assert ANA not in corrections(recount(shard, altered(shard, ANA, active_on(*days))))

    def test_a_person_that_is_missing_is_not_created(self) -> None:
        shard = folded(interaction())
        partials = stored(shard)
        del partials[ANA]
        assert ANA not in corrections(recount(shard, partials))

    def test_sessions_of_a_person_that_is_missing_are_counted(self) -> None:
        shard = MemoryShard()
        session = SessionFact(user_id="ana", at=millis(TEN), session_id="s")
        shard.fold(change(session, "s"), source=USER_SESSIONS)
        partials = stored(shard)
        del partials[ANA], partials[DAY]
        corrected = corrections(recount(shard, partials))
        assert corrected[DAY][0].state.encode() == {"sums": {"sessions": 1}}

    def test_a_person_who_was_here_before_the_ledger_begins_is_not_new(self) -> None:
        shard = folded(interaction())
        partials = altered(shard, ANA, active_on("2025-07-05", "2025-08-05"))
        assert "new_users" not in corrections(recount(shard, partials))[DAY][0].state.encode()["sums"]

    def test_a_person_who_was_here_in_an_earlier_generation_is_not_new(self) -> None:
        shard = MemoryShard({"ana": PersonRecord(first_known=Day("2024-03-01"))}, now=TODAY)
        shard.fold(change(interaction()))
        assert corrections(recount(shard)) == {}

    def test_an_active_day_on_no_page_counts(self) -> None:
        partials = stored(folded(interaction()))
        corrected = corrections(recount(MemoryShard(), {ANA: partials[ANA]}))
        assert corrected[DAY][0].state.encode() == {"sums": {"active_users": 1, "new_users": 1}}


class TestRecords:
    """The summaries of months are made again. The rest of a record is not touched."""

    AUGUST = Month("202508")

    def test_a_wrong_summary_is_corrected_under_the_etag(self) -> None:
        shard = folded(interaction(rating=4))
        shard.record("ana").pending = True
        right = copy.deepcopy(shard.record("ana"))
        shard.record("ana").months[self.AUGUST] = MonthSummary(sessions=9)
        corrected = corrections(recount(shard))
        assert set(corrected) == {ANA}
        partial, guard = corrected[ANA]
        assert (partial.record, guard) == (right, stored(shard)[ANA].etag)
        before = stored(shard)[ANA].document
        assert isinstance(before, Partial)
        assert (partial.state, partial.revision) == (before.state, before.revision + 1)
        assert before.record is not None
        assert before.record.months[self.AUGUST].sessions == 9  # what was read is not changed

    def test_a_missing_summary_is_made(self) -> None:
        shard = folded(interaction(rating=4))
        right = shard.record("ana").months.pop(self.AUGUST)
        partial, _ = corrections(recount(shard))[ANA]
        assert partial.record is not None
        assert partial.record.months == {self.AUGUST: right}

    def test_a_summary_of_a_month_whose_pages_have_ended_stays(self) -> None:
        shard = folded(interaction(rating=4))
        summary = shard.record("ana").months[self.AUGUST] = MonthSummary(sessions=9)
        shard.documents = {name: loaded for name, loaded in shard.documents.items() if name == ANAS_ID}
        assert corrections(recount(shard)).keys() == {DAY}
        assert shard.record("ana").months == {self.AUGUST: summary}


class TestAge:
    """State of which the ledger lacks facts is left as it is."""

    @pytest.mark.parametrize("target", [DAY, ANAS_AUGUST])
    @pytest.mark.parametrize(
        ("now", "corrected"), [("2026-01-01T23:59:58", True), ("2026-01-01T23:59:59", False)]
    )
    def test_stored_partials_are_corrected_while_the_ledger_has_sessions(
        self, target: PartialKey, now: str, corrected: bool
    ) -> None:
        shard = folded(interaction())
        partials = altered(shard, target, counted("interactions", 99))
        assert (target in corrections(recount(shard, partials, millis(now)))) is corrected

    @pytest.mark.parametrize("target", [DAY, ANAS_AUGUST])
    @pytest.mark.parametrize(
        ("now", "created"), [("2026-10-03T23:59:58", True), ("2026-10-03T23:59:59", False)]
    )
    def test_missing_partials_are_created_until_the_month_is_closed(
        self, target: PartialKey, now: str, created: bool
    ) -> None:
        shard = folded(interaction())
        partials = stored(shard)
        del partials[target]
        assert (target in corrections(recount(shard, partials, millis(now)))) is created


class TestTargets:
    """Which partials a recount knows, and which it writes."""

    def test_are_those_that_are_counted_or_stored(self) -> None:
        shard = folded(interaction())
        other = Partial(ShardId("1:0000"), PartialKey("day", "2025-08-19"), state=counted("x", 1))
        targets = recount(shard, {other.target: Loaded(other, "e")}).targets()
        # Without a stored person nothing follows from the person.
        assert targets >= {DAY, ANA, ANAS_AUGUST, other.target}
        assert recount(shard).targets() == {DAY, ANA, ANAS_AUGUST}

    def test_only_the_targets_asked_for_are_written_in_order(self) -> None:
        shard = folded(interaction(), interaction("2025-08-06T10:00:00"))
        found = recount(shard, {ANA: stored(shard)[ANA]})
        writes: list[Write] = found.writes([ANAS_AUGUST, DAY])
        assert [write.document.id for write in writes] == [
            "partial|day|2025-08-05",
            "partial|person_month|202508|ana",
        ]


def test_all_parts_and_sources_are_counted_together() -> None:
    shard = folded(*(interaction() for _ in range(2_000)))
    session = SessionFact(user_id="ana", at=millis(TEN), session_id="s", seconds=60)
    shard.fold(change(session, "s", 9000), source=USER_SESSIONS)
    assert f"ledger|{USER_INTERACTIONS}|2025-08-05T10|1" in shard.pages()
    partials = stored(shard)
    del partials[DAY]
    state = corrections(recount(shard, partials))[DAY][0].state
    assert (state.total("interactions"), state.total("sessions"), state.mean_of("session_seconds")) == (
        2_000, 1, (60, 1)
    )  # fmt: skip
