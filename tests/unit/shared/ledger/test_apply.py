"""Changes are applied once: again after a conflict, in parts if they are too many, and never half."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterable, Mapping, Sequence

import pytest
import structlog.testing
from azure.cosmos.exceptions import CosmosHttpResponseError

from shared.aggregates.base import PartialKey
from shared.aggregates.person_record import PersonRecord
from shared.errors import ConflictError, TooLargeError
from shared.facts import ABUSE_INCIDENTS, USER_INTERACTIONS, Citation, IncidentFact, InteractionFact
from shared.ledger import fold
from shared.ledger.apply import FoldResult, ShardWriter
from shared.ledger.changes import Change, Verdict
from shared.ledger.document_version import Version
from shared.ledger.needs import DocumentsById
from shared.ledger.partials import Partial
from shared.ledger.shards import ShardId
from shared.ledger.state import Loaded, StateDocument, Write
from shared.ledger.store import ShardStore
from tests.fake_clock import FakeClock
from tests.fakes import FakeContainer, Killed
from tests.unit.shared.aggregates.fact_strategies import millis
from tests.unit.shared.delivery import no_pauses
from tests.unit.shared.ledger.memory_shard import NOW, SHARD, MemoryShard, change

pytestmark = pytest.mark.usefixtures(no_pauses.__name__)


class ScriptedStore:
    """A store of one shard in memory, whose commits fail as a test says.

    Parameters
    ----------
    errors
        Errors that the first commits raise, in order; nothing is written then.
    fits
        How many people's documents fit in one transaction.
    too_large
        People of whom not even one document fits.
    """

    def __init__(
        self, *errors: BaseException, fits: int | None = None, too_large: Sequence[str] = ()
    ) -> None:
        self.shard = MemoryShard()
        self.forgotten = 0
        self.attempts = 0
        self.committed: list[list[str]] = []
        """The people of each commit."""
        self._errors = list(errors)
        self._fits = fits
        self._too_large = too_large
        self._lock = asyncio.Lock()

    def lock(self, shard: ShardId) -> asyncio.Lock:
        assert shard == SHARD
        return self._lock

    def forget(self, shard: ShardId) -> None:
        assert shard == SHARD
        self.forgotten += 1

    async def load(
        self, shard: ShardId, ids: Collection[str], *, stored: bool = False
    ) -> Mapping[str, Loaded]:
        assert shard == SHARD
        assert self._lock.locked()
        self.shard.needs = []
        return self.shard.answer(DocumentsById(frozenset(ids), stored))

    async def commit(self, shard: ShardId, writes: list[Write]) -> None:
        assert shard == SHARD
        assert self._lock.locked()
        self.attempts += 1
        if self._errors:
            raise self._errors.pop(0)
        ids = sorted(document.id for document, _ in writes)
        people = [name.rpartition("|")[2] for name in ids if name.startswith("partial|person|")]
        if (self._fits is not None and len(people) > self._fits) or set(people) & set(self._too_large):
            raise TooLargeError("too large")
        self.shard.commit(writes)
        self.committed.append(people)


def of(user_id: str, number: int = 1) -> Change:
    fact = InteractionFact(user_id=user_id, at=millis("2025-08-05T10:15:00"))
    return change(fact, f"i-{user_id}-{number}", number)


async def no_records(_: Collection[str]) -> dict[str, PersonRecord]:
    return {}


CLOCK = FakeClock(lambda: NOW / 1000)


async def apply(store: ScriptedStore, *changes: Change, result: FoldResult | None = None) -> FoldResult:
    writer = ShardWriter(store, no_records, clock=CLOCK)  # type: ignore[arg-type]
    return await writer.apply(SHARD, USER_INTERACTIONS, changes, result)


async def test_changes_are_committed_in_one_transaction() -> None:
    store = ScriptedStore()
    result = await apply(store, of("ana"), of("ben"))
    assert result == FoldResult({Verdict.ADDED: 2}, conflicts=0, commits=1)  # type: ignore[arg-type]
    assert store.committed == [["ana", "ben"]]
    assert store.forgotten == 0


async def test_what_changes_nothing_is_not_committed() -> None:
    store = ScriptedStore()
    await apply(store, of("ana"))
    result = await apply(store, of("ana"))
    assert result == FoldResult({Verdict.SAME: 1}, [], conflicts=0, commits=0)  # type: ignore[arg-type]
    assert store.attempts == 1


async def test_changes_that_only_the_live_document_can_order_are_returned() -> None:
    store = ScriptedStore()
    await apply(store, of("ana"))
    fact = of("ana").fact
    unordered = Change("ana", "i-ana-1", Version(9, None, "other"), fact)
    result = await apply(store, unordered, of("ana"))
    assert result.unknown == [unordered]
    assert result.verdicts == {Verdict.UNKNOWN: 1, Verdict.SAME: 1}


async def test_after_a_conflict_the_shard_is_read_again_and_the_changes_folded_again() -> None:
    store = ScriptedStore(ConflictError("1"), ConflictError("2"))
    result = await apply(store, of("ana"))
    assert result == FoldResult({Verdict.ADDED: 1}, [], conflicts=2, commits=1)  # type: ignore[arg-type]
    assert (store.attempts, store.forgotten) == (3, 2)


async def test_twelve_conflicts_in_a_row_are_an_error() -> None:
    store, result = ScriptedStore(*(ConflictError("again") for _ in range(20))), FoldResult()
    with pytest.raises(ConflictError):
        await apply(store, of("ana"), result=result)
    assert (store.attempts, result.conflicts, result.commits) == (12, 12, 0)
    assert result.verdicts == {}


@pytest.mark.parametrize("error", [Killed(), CosmosHttpResponseError(status_code=503, message="later")])
async def test_any_other_error_is_raised_with_nothing_cached(error: BaseException) -> None:
    store, result = ScriptedStore(error), FoldResult()
    with pytest.raises(type(error)):
        await apply(store, of("ana"), result=result)
    assert (store.attempts, store.forgotten) == (1, 1)
    assert result == FoldResult()


async def test_changes_that_do_not_fit_are_split_by_person_until_they_do() -> None:
    store = ScriptedStore(fits=1)
    people = ["dan", "ana", "cid", "ben"]
    changes = [of(user_id, number) for number in (1, 2) for user_id in people]
    result = await apply(store, *changes)
    assert result == FoldResult({Verdict.ADDED: 8}, [], conflicts=0, commits=4)  # type: ignore[arg-type]
    assert store.committed == [["ana"], ["ben"], ["cid"], ["dan"]]


async def test_what_is_cached_stays_when_changes_do_not_fit() -> None:
    store = ScriptedStore(fits=1)
    await apply(store, of("ana"), of("ben"))
    assert store.forgotten == 0


async def test_the_order_of_the_callers_changes_stays() -> None:
    changes = [of("ben"), of("ana")]
    writer = ShardWriter(ScriptedStore(fits=1), no_records, clock=CLOCK)  # type: ignore[arg-type]
    await writer.apply(SHARD, USER_INTERACTIONS, changes)
    assert changes == [of("ben"), of("ana")]


async def test_a_single_change_that_does_not_fit_is_an_error_and_the_result_has_what_was_committed() -> None:
    store, result = ScriptedStore(fits=1, too_large=["cid"]), FoldResult()
    with pytest.raises(TooLargeError):
        await apply(store, *map(of, ["ana", "ben", "cid", "dan"]), result=result)
    assert store.committed == [["ana"], ["ben"]]
    assert (result.verdicts, result.commits) == ({Verdict.ADDED: 2}, 2)
    assert "partial|person|dan" not in store.shard.documents


async def test_the_result_that_is_passed_collects_several_calls() -> None:
    store, result = ScriptedStore(ConflictError("1")), FoldResult()
    assert await apply(store, of("ana"), result=result) is result
    assert await apply(store, of("ben"), result=result) is result
    assert result == FoldResult({Verdict.ADDED: 2}, conflicts=1, commits=2)  # type: ignore[arg-type]


def test_results_of_several_shards_are_added_up() -> None:
    total = FoldResult()
    for conflicts, commits in ((1, 2), (10, 20)):
        part = FoldResult(unknown=[of("ana", commits)], conflicts=conflicts, commits=commits)
        part.verdicts[Verdict.ADDED] = commits
        total.merge(part)
    assert (total.conflicts, total.commits) == (11, 22)
    assert total.verdicts == {Verdict.ADDED: 22}
    assert total.unknown == [of("ana", 2), of("ana", 20)]


def writer_on(container: FakeContainer) -> ShardWriter:
    return ShardWriter(
        ShardStore(container, cache_bytes=1_000_000),  # type: ignore[arg-type]
        no_records,
        clock=CLOCK,
    )


async def test_one_instance_never_meets_itself_on_a_shard() -> None:
    container = FakeContainer()
    writer = writer_on(container)
    results = await asyncio.gather(
        *(writer.apply(SHARD, USER_INTERACTIONS, [of("ana", n)]) for n in range(1, 6))
    )
    assert [result.conflicts for result in results] == [0] * 5
    assert container.items[SHARD, "partial|person|ana"]["state"] == {
        "parts": {"202508": {"counts": {"days": {"05": 5}}}}
    }


async def test_an_instance_whose_cache_is_stale_meets_the_other_one_and_both_are_counted() -> None:
    container = FakeContainer()
    one, other = writer_on(container), writer_on(container)
    await one.apply(SHARD, USER_INTERACTIONS, [of("ana", 1)])
    await other.apply(SHARD, USER_INTERACTIONS, [of("ana", 2)])
    result = await one.apply(SHARD, USER_INTERACTIONS, [of("ana", 3)])
    assert (result.conflicts, result.commits, result.verdicts) == (1, 1, {Verdict.ADDED: 1})
    assert container.items[SHARD, "partial|person|ana"]["state"] == {
        "parts": {"202508": {"counts": {"days": {"05": 3}}}}
    }


async def test_a_commit_whose_answer_was_lost_is_not_counted_twice() -> None:
    container = FakeContainer()
    lost = [CosmosHttpResponseError(status_code=408, message="timeout")]

    def lose_the_answer(operation: str, when: str) -> None:
        if (operation, when) == ("batch", "after") and lost:
            raise lost.pop()

    container.fault = lose_the_answer
    writer = writer_on(container)
    with pytest.raises(CosmosHttpResponseError):
        await writer.apply(SHARD, USER_INTERACTIONS, [of("ana")])
    result = await writer.apply(SHARD, USER_INTERACTIONS, [of("ana")])
    assert (result.verdicts, result.commits, lost) == ({Verdict.SAME: 1}, 0, [])
    assert container.items[SHARD, "partial|person|ana"]["state"] == {
        "parts": {"202508": {"counts": {"days": {"05": 1}}}}
    }


def answer(number: int, text: str) -> Change:
    citations = (Citation(text, "2", "47", None),)
    fact = InteractionFact(user_id="ana", at=millis("2025-08-05T10:15:00"), citations=citations)
    return change(fact, "interaction_1", number)


def incident(number: int) -> Change:
    fact = IncidentFact(user_id="ana", at=millis("2025-08-06T09:00:00"), interaction="1")
    return change(fact, f"a{number}", 2)


def incidents_by_text(container: FakeContainer) -> dict[str, int]:
    return {
        item["key"].partition("|")[2]: item["state"]["sums"]["incidents"]
        for item in container.items.values()
        if item.get("aggregate") == "incident_month" and "sums" in item["state"]
    }


async def test_all_incidents_of_an_answer_follow_it_to_another_text() -> None:
    container = FakeContainer()
    await writer_on(container).apply(SHARD, USER_INTERACTIONS, [answer(1, "gita")])
    await writer_on(container).apply(SHARD, ABUSE_INCIDENTS, [incident(number) for number in range(11)])
    container.requests.clear()
    result = await writer_on(container).apply(SHARD, USER_INTERACTIONS, [answer(2, "udana")])
    assert incidents_by_text(container) == {"udana": 11}
    assert (result.verdicts, result.commits) == ({Verdict.REPLACED: 1}, 3)
    assert container.requests.count("batch") == 3


@pytest.mark.parametrize(("room_for", "moved"), [(0, 0), (2, 2), (3, 3)])
async def test_incidents_stay_where_the_month_of_the_new_text_has_no_room_and_the_answer_is_counted(
    monkeypatch: pytest.MonkeyPatch, room_for: int, moved: int
) -> None:
    container = FakeContainer()
    await writer_on(container).apply(SHARD, USER_INTERACTIONS, [answer(1, "gita")])
    await writer_on(container).apply(SHARD, ABUSE_INCIDENTS, [incident(number) for number in range(6)])

    def outgrown(documents: Iterable[StateDocument], _: object) -> list[PartialKey]:
        return [
            document.target
            for document in documents
            if isinstance(document, Partial)
            and document.target.key == "202508|udana"
            and document.state.total("incidents") > room_for
        ]

    monkeypatch.setattr(fold, "outgrown_states", outgrown)
    with structlog.testing.capture_logs() as logged:
        result = await writer_on(container).apply(SHARD, USER_INTERACTIONS, [answer(2, "udana")])
    assert result.verdicts == {Verdict.REPLACED: 1}
    assert incidents_by_text(container) == {
        text: number for text, number in (("gita", 6 - moved), ("udana", moved)) if number
    }
    assert [entry["event"] for entry in logged] == ["incidents_not_moved"]


async def test_a_single_change_that_needs_too_much_by_itself_is_an_error_whatever_follows_it() -> None:
    store = ScriptedStore()
    await apply(store, answer(1, "gita"))
    await ShardWriter(store, no_records, clock=CLOCK).apply(  # type: ignore[arg-type]
        SHARD, ABUSE_INCIDENTS, [incident(number) for number in range(6)]
    )
    store._too_large = ["ana"]
    with pytest.raises(TooLargeError):
        await apply(store, answer(2, "udana"))
