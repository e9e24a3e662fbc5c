"""A recount finds what every partial must hold, from the ledger pages and the people alone."""

from __future__ import annotations

import copy
from collections.abc import Mapping

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.aggregates.base import PartialKey
from shared.aggregates.tally import Tally
from shared.facts import USER_INTERACTIONS, USER_SESSIONS, InteractionFact, SessionFact
from shared.ledger.partials import Partial
from shared.ledger.recount import Recount
from shared.ledger.shards import ShardId
from shared.ledger.state import Loaded, Write
from shared.units import Day
from tests.unit.shared.aggregates import fact_strategies
from tests.unit.shared.aggregates.fact_strategies import millis
from tests.unit.shared.ledger.memory_shard import SHARD, MemoryShard, change

TODAY = Day("2025-08-20")
TEN = "2025-08-05T10:15:00"
DAY, ANA, ANAS_AUGUST = (
    PartialKey("day", "2025-08-05"),
    PartialKey("person", "ana"),
    PartialKey("person_month", "202508|ana"),
)
AUGUST, SILENCE = PartialKey("month", "202508"), PartialKey("silence", "2025")


def interaction(at: str = TEN, user_id: str = "ana", rating: int | None = None) -> InteractionFact:
    return InteractionFact(user_id=user_id, at=millis(at), rating=rating)


def counted(*facts: InteractionFact) -> MemoryShard:
    shard = MemoryShard()
    shard.fold(*(change(fact, f"i{number}", number) for number, fact in enumerate(facts, 1)))
    return shard


def stored(shard: MemoryShard) -> dict[PartialKey, Loaded]:
    return {
        loaded.document.target: loaded
        for loaded in shard.documents.values()
        if isinstance(loaded.document, Partial)
    }


def recount(
    shard: MemoryShard, partials: Mapping[PartialKey, Loaded] | None = None, today: Day = TODAY
) -> Recount:
    """Recount the pages of a shard, with its own partials or others."""
    result = Recount(SHARD, stored(shard) if partials is None else partials, today)
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


def altered(
    shard: MemoryShard, target: PartialKey, counts: dict[str, dict[str, int]]
) -> dict[PartialKey, Loaded]:
    """Return the partials of a shard, one of them with other counts."""
    partials = copy.deepcopy(stored(shard))
    partial, etag = partials[target]
    assert isinstance(partial, Partial)
    partial.state = Tally(counts)
    partials[target] = Loaded(partial, etag)
    return partials


def test_partials_that_agree_with_the_ledger_are_not_written() -> None:
    shard = counted(interaction(), interaction("2025-07-05T10:00:00"), interaction(user_id="ben"))
    shard.fold(
        change(SessionFact(user_id="ana", at=millis(TEN), session_id="s"), "s", 9), source=USER_SESSIONS
    )
    assert recount(shard).writes(stored(shard)) == []


facts = st.lists(fact_strategies.interactions, min_size=1, max_size=5)


@settings(max_examples=50, deadline=None)
@given(facts)
def test_what_a_fold_counted_a_recount_counts(facts: list[InteractionFact]) -> None:
    shard = counted(*facts)
    assert corrections(recount(shard, today=Day("2025-02-10"))) == {}


@pytest.mark.parametrize("target", [DAY, ANAS_AUGUST, AUGUST, SILENCE])
def test_a_partial_that_differs_is_corrected_under_its_etag(target: PartialKey) -> None:
    shard = counted(interaction())
    partials = altered(shard, target, {"sums": {"interactions": 99}})
    corrected = corrections(recount(shard, partials))
    assert set(corrected) == {target}
    partial, guard = corrected[target]
    assert guard == partials[target].etag
    right = stored(shard)[target].document
    assert isinstance(right, Partial)
    assert (partial.state, partial.revision, partial.newest, partial.ttl) == (
        right.state, 2, right.newest, right.ttl
    )  # fmt: skip


def test_the_partials_that_were_read_are_not_changed() -> None:
    shard = counted(interaction())
    partials = altered(shard, DAY, {"sums": {"interactions": 99}})
    before = copy.deepcopy(partials)
    corrections(recount(shard, partials))
    assert partials == before


@pytest.mark.parametrize("target", [DAY, ANAS_AUGUST, AUGUST, SILENCE])
def test_a_partial_that_is_missing_is_created(target: PartialKey) -> None:
    shard = counted(interaction(), interaction(rating=1))
    partials = stored(shard)
    expected = partials.pop(target).document
    assert isinstance(expected, Partial)
    corrected = corrections(recount(shard, partials))
    assert corrected == {target: (expected, None)}
    assert corrected[target][0].shard == SHARD


def test_a_partial_that_counts_nothing_that_is_on_the_ledger_is_emptied() -> None:
    partials = altered(counted(interaction()), DAY, {"sums": {"interactions": 1}})
    person = copy.deepcopy(partials[ANA])
    assert isinstance(person.document, Partial)
    person.document.state = Tally()
    corrected = corrections(recount(MemoryShard(), partials | {ANA: person}))
    assert set(corrected) == {DAY, ANAS_AUGUST, AUGUST, SILENCE}
    assert [bool(partial.state) for partial, _ in corrected.values()] == [False] * 4


def test_a_partial_that_holds_nothing_and_is_not_stored_is_not_created() -> None:
    shard = counted(interaction())
    empty = PartialKey("day", "2025-08-06")
    assert recount(shard).writes([empty]) == []


def test_the_newest_version_of_a_corrected_partial_never_goes_back() -> None:
    shard = counted(interaction(), interaction())
    partials = altered(shard, DAY, {})
    document, etag = partials[DAY]
    assert isinstance(document, Partial)
    for newest, expected in ((1, 2), (50, 50)):
        document.newest = newest
        corrected = corrections(recount(shard, partials | {DAY: Loaded(document, etag)}))
        assert corrected[DAY][0].newest == expected


class TestPeople:
    """People are taken as they are stored: they outlive the ledger."""

    @pytest.mark.parametrize("counts", [{}, {"days": {"2025-08-01": 3}}])
    def test_a_person_is_never_written(self, counts: dict[str, dict[str, int]]) -> None:
        shard = counted(interaction())
        assert ANA not in corrections(recount(shard, altered(shard, ANA, counts)))

    def test_a_person_that_is_missing_is_not_created(self) -> None:
        shard = counted(interaction())
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

    def test_who_was_here_before_the_ledger_begins_is_not_new(self) -> None:
        shard = counted(interaction())
        partials = altered(shard, ANA, {"days": {"2025-07-05": 1, "2025-08-05": 1}})
        corrected = corrections(recount(shard, partials))
        august = corrected[AUGUST][0].state.encode()
        assert {name.partition(":")[0] for name in august} == {"casual"}
        assert (august["casual:sums"]["users"], august["casual:sums"]["returned"]) == (1, 1)
        assert "new_users" not in corrected[DAY][0].state.encode()["sums"]
        assert "sums" not in corrected[ANAS_AUGUST][0].state.encode()

    def test_who_is_on_no_page_any_more_still_falls_silent(self) -> None:
        partials = stored(counted(interaction()))
        corrected = corrections(recount(MemoryShard(), {ANA: partials[ANA]}))
        assert corrected[SILENCE][0].state.encode() == {"silent": {"2025-09-04": 1}}

    def test_who_refuses_is_in_no_month(self) -> None:
        shard = counted(interaction())
        partials = altered(shard, ANA, {"days": {"2025-08-05": 1}, "sums": {"refused": 1}})
        corrected = corrections(recount(shard, partials))
        assert corrected[AUGUST][0].state.encode() == {}
        assert corrected[ANAS_AUGUST][0].state.encode()["sums"] == {"first": 1, "refused": 1}

    def test_each_person_is_counted(self) -> None:
        shard = counted(interaction(), interaction(user_id="ben"), interaction(user_id="cid"))
        partials = stored(shard)
        del partials[AUGUST]
        corrected = corrections(recount(shard, partials))
        assert corrected[AUGUST][0].state.encode()["new:sums"]["users"] == 3


class TestAge:
    """State that the ledger does not tell any more is left as it is."""

    @pytest.mark.parametrize(("today", "corrected"), [("2025-11-03", True), ("2025-11-04", False)])
    def test_stored_days_are_corrected_for_ninety_days(self, today: str, corrected: bool) -> None:
        shard = counted(interaction())
        partials = altered(shard, DAY, {"sums": {"interactions": 99}})
        assert (DAY in corrections(recount(shard, partials, Day(today)))) is corrected

    @pytest.mark.parametrize(("today", "created"), [("2026-08-05", True), ("2026-08-06", False)])
    def test_missing_days_are_created_for_a_year(self, today: str, created: bool) -> None:
        shard = counted(interaction())
        partials = stored(shard)
        del partials[DAY]
        assert (DAY in corrections(recount(shard, partials, Day(today)))) is created

    @pytest.mark.parametrize("target", [AUGUST, ANAS_AUGUST])
    @pytest.mark.parametrize(("today", "corrected"), [("2025-10-30", True), ("2025-10-31", False)])
    def test_months_count_from_their_first_day(self, target: PartialKey, today: str, corrected: bool) -> None:
        shard = counted(interaction())
        partials = altered(shard, target, {"sums": {"users": 99}})
        assert (target in corrections(recount(shard, partials, Day(today)))) is corrected

    def test_what_has_no_period_is_corrected_at_any_age(self) -> None:
        shard = counted(interaction())
        partials = altered(shard, SILENCE, {})
        assert SILENCE in corrections(recount(shard, partials, Day("2029-01-01")))


class TestTargets:
    """Which partials a recount knows, and which it writes."""

    def test_are_those_that_are_counted_or_stored(self) -> None:
        shard = counted(interaction())
        other = Partial(ShardId("1:0000"), PartialKey("day", "2025-08-19"), state=Tally({"sums": {"x": 1}}))
        targets = recount(shard, {other.target: Loaded(other, "e")}).targets()
        # Without a stored person nothing follows from the person.
        assert targets >= {DAY, ANA, ANAS_AUGUST, other.target}
        assert recount(shard).targets() == {DAY, ANA, ANAS_AUGUST, AUGUST, SILENCE}

    def test_only_the_targets_asked_for_are_written_in_order(self) -> None:
        shard = counted(interaction())
        found = recount(shard, {ANA: stored(shard)[ANA]})
        writes: list[Write] = found.writes([SILENCE, DAY, AUGUST])
        assert [write.document.id for write in writes] == [
            "partial|day|2025-08-05",
            "partial|month|202508",
            "partial|silence|2025",
        ]


def test_all_parts_and_sources_are_counted_together() -> None:
    shard = counted(*(interaction() for _ in range(161)))
    session = SessionFact(user_id="ana", at=millis(TEN), session_id="s", seconds=60)
    shard.fold(change(session, "s", 200), source=USER_SESSIONS)
    assert f"ledger|{USER_INTERACTIONS}|2025-08-05T10|1" in shard.pages()
    partials = stored(shard)
    del partials[DAY]
    sums = corrections(recount(shard, partials))[DAY][0].state.encode()["sums"]
    assert (sums["interactions"], sums["sessions"], sums["session_seconds"]) == (161, 1, 60)
