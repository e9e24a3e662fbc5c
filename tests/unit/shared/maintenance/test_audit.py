"""The auditor's own rules: how far it reads, what it keeps, what it calls repaired."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from types import SimpleNamespace
from typing import Any
from unittest.mock import AsyncMock

import pytest
from azure.cosmos.exceptions import CosmosHttpResponseError
from hypothesis import given
from hypothesis import strategies as st

from shared.aggregates.base import PartialKey
from shared.cosmos.change_feed import RangeSplitError
from shared.cosmos.retries import RUN_SECONDS
from shared.ledger.generations import Generations
from shared.ledger.partials import Partial
from shared.ledger.shards import ShardId
from shared.ledger.state_mark import MARK
from shared.maintenance import audit
from shared.maintenance.audit import Auditor
from shared.maintenance.audit_run import AuditReport, AuditRun
from shared.maintenance.cursors import CLOCK_SKEW_SECONDS, Cursors
from shared.poison.store import PoisonStore
from shared.publishing.consent import ConsentKeeper
from shared.publishing.existing import ExistingDocuments
from shared.publishing.merge import StateMerger
from shared.publishing.plan import DocumentKey
from shared.publishing.publisher import Publisher
from shared.publishing.readiness import ViewReadiness
from shared.publishing.writer import ViewWriter
from shared.settings import Settings
from tests.fake_clock import FakeClock
from tests.fake_feed import FakeFeed
from tests.fakes import FakeContainer
from tests.unit.shared.ledger.memory_shard import counted
from tests.unit.shared.world import contents, no_reference

INTERACTIONS, SESSIONS = "user_interactions", "user_sessions"
NOW = 1_000
DELAY = 300
OLD, YOUNG = NOW - DELAY, NOW - DELAY + 1


def change(number: int, written: int = OLD) -> dict[str, Any]:
    return {"id": f"d{number}", "_ts": written}


class Ledger:
    """Counts each document once, like the fold."""

    def __init__(self) -> None:
        self.counted: set[str] = set()
        self.live: list[str] = []
        self.broken = False

    async def ingest_batch(
        self, _feed: str, documents: Sequence[Mapping[str, Any]], *, live: bool, audited: bool
    ) -> Any:
        assert audited
        if self.broken:
            raise ConnectionError("the fold does not work")
        ids = [document["id"] for document in documents]
        self.live += ids if live else []
        new = set(ids) - self.counted
        self.counted |= new
        bad = sum("bad" in document for document in documents)
        return SimpleNamespace(changed=len(new), still_in_poison=bad)


class Timer:
    """Seconds that pass with every look at the clock."""

    def __init__(self, step: float = 0.0) -> None:
        self.now, self.step = 0.0, step

    def __call__(self) -> float:
        self.now += self.step
        return self.now


class World:
    """Feeds, state and everything that an auditor of any generation needs."""

    def __init__(self, **sources: FakeFeed) -> None:
        self.state = FakeFeed()
        self.fleet_state = FakeContainer("scope")
        self.ledger = Ledger()
        self.mark: Any = AsyncMock()
        self.containers: dict[str, Any] = {
            **sources,
            "view_state": self.state,
            "daily_metrics": FakeContainer("date"),
            "poison_messages": FakeContainer("partition_key"),
        }

    def get_container_client(self, name: str) -> Any:
        return self.containers[name]

    def generations(self, settings: Settings) -> Generations:
        return Generations(self.fleet_state, settings, clock=FakeClock(lambda: NOW - DELAY))  # type: ignore[arg-type]

    def publisher(self, generation: int = 1) -> Publisher:
        settings = Settings(FLEET_GENERATION=generation)
        existing = ExistingDocuments(self)  # type: ignore[arg-type]
        return Publisher(
            merger=StateMerger(self.containers["view_state"], settings),
            contents=contents(self.containers["view_state"], settings),
            reference=no_reference(),
            existing=existing,
            writer=ViewWriter(self, existing),  # type: ignore[arg-type]
            poison=PoisonStore(self.containers["poison_messages"]),
            readiness=ViewReadiness(
                self.fleet_state,
                settings,
                generations=self.generations(settings),  # type: ignore[arg-type]
                clock=FakeClock(lambda: NOW),
            ),
            consent=ConsentKeeper(self, settings),  # type: ignore[arg-type]
            settings=settings,
        )

    def auditor(self, generation: int = 1, timer: Timer | None = None) -> Auditor:
        settings = Settings(FLEET_GENERATION=generation, FLEET_AUDIT_DELAY_SECONDS=DELAY)
        ingest: Any = self.ledger
        return Auditor(
            reader=self,  # type: ignore[arg-type]
            cursors=self.fleet_state,  # type: ignore[arg-type]
            ingest=ingest,
            publisher=self.publisher(generation),
            generations=self.generations(settings),
            mark=self.mark,
            settings=settings,
            clock=FakeClock(lambda: NOW, timer or Timer()),
        )

    async def repaired(self, **options: Any) -> dict[str, int]:
        reports = await self.auditor().audit_all(**options)
        return {report.feed: report.repaired for report in reports}

    def cursors(self, feed: str, generation: int = 1) -> list[str | None] | None:
        item = self.fleet_state.items.get(("audit", f"{generation}|{feed}"))
        return item and [cursor["position"] for cursor in item["cursors"]]

    async def count(self, interactions: int, revision: int, *, shard: int = 0, generation: int = 1) -> Any:
        """Store the share of a day in a shard; return the partial as the feed delivers it."""
        partial = Partial(
            ShardId(f"{generation}:{shard:04d}"),
            PartialKey("day", "2025-08-05"),
            revision,
            counted("interactions", interactions),
        )
        return await self.state.upsert_item(partial.encode())

    def published(self) -> tuple[int, int]:
        """Return the generation that is published, and its interactions."""
        (day,) = self.containers["daily_metrics"].items.values()
        return day["state"]["generation"], day["usage_statistics"]["total_interactions"]


@pytest.fixture(autouse=True)
def two_sources(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audit, "SOURCES", {INTERACTIONS: None, SESSIONS: None})


@pytest.fixture
def feed() -> FakeFeed:
    return FakeFeed([change(number) for number in range(5)])


@pytest.fixture
def world(feed: FakeFeed) -> World:
    return World(user_interactions=feed, user_sessions=FakeFeed([]))


async def test_a_second_run_repairs_nothing_and_reads_on_from_the_first(world: World, feed: FakeFeed) -> None:
    assert (await world.repaired())[INTERACTIONS] == 5
    assert (await world.repaired())[INTERACTIONS] == 0
    feed.ranges[0].append(change(5))
    assert (await world.repaired())[INTERACTIONS] == 1
    assert feed.read_from == [(0, 0), (0, 2), (0, 4), (0, 5)]


async def test_a_horizon_inside_a_page_keeps_the_cursor_before_it(world: World, feed: FakeFeed) -> None:
    feed.ranges = [[change(0), change(1), change(2), change(3, YOUNG), change(4, YOUNG)]]
    (report, *_) = await world.auditor().audit_all()
    assert (report.documents, report.caught_up) == (3, True)
    assert world.ledger.counted == {"d0", "d1", "d2"}
    assert world.cursors(INTERACTIONS) == ['"2"']
    feed.ranges[0][3:] = [change(3), change(4)]
    assert (await world.repaired())[INTERACTIONS] == 2


async def test_the_time_of_a_run_is_for_all_feeds_and_each_gets_on(world: World, feed: FakeFeed) -> None:
    world.containers[SESSIONS] = FakeFeed([change(number) for number in range(10, 16)])
    slow = Timer(step=RUN_SECONDS + 1)
    first, second, state = await world.auditor(timer=slow).audit_all()
    assert [first.caught_up, second.caught_up, state.caught_up] == [False, False, True]
    assert (first.documents, second.documents) == (2, 2)
    assert (world.cursors(INTERACTIONS), world.cursors(SESSIONS)) == (['"2"'], ['"2"'])
    assert (await world.repaired())[SESSIONS] == 4


async def test_a_source_with_much_to_do_keeps_no_other_back_run_after_run(
    world: World, feed: FakeFeed, monkeypatch: pytest.MonkeyPatch
) -> None:
    feed.ranges = [[change(number) for number in range(2_000)]]
    world.containers[SESSIONS] = FakeFeed([change(number) for number in range(5_000, 5_020)])
    orders = iter([[INTERACTIONS, SESSIONS], [SESSIONS, INTERACTIONS]])
    monkeypatch.setattr(audit.random, "sample", lambda *_: next(orders))
    first, second, state = await world.auditor(timer=Timer(step=0.2)).audit_all()
    assert [report.feed for report in (first, second, state)] == [INTERACTIONS, SESSIONS, "view_state"]
    assert (first.caught_up, second.caught_up, second.documents) == (False, False, 2)
    first, second, _ = await world.auditor(timer=Timer(step=0.2)).audit_all()
    assert (first.caught_up, second.caught_up, second.documents) == (False, True, 18)


async def test_the_sources_leave_time_to_the_state(world: World, feed: FakeFeed) -> None:
    feed.ranges = [[change(number) for number in range(2_000)]]
    for number in range(3):
        await world.count(number + 1, 1, shard=number)
    timer = Timer(step=0.2)
    first, _, state = await world.auditor(timer=timer).audit_all()
    assert (first.caught_up, state.caught_up, state.documents) == (False, True, 3)
    assert timer.now < RUN_SECONDS


@pytest.mark.parametrize(
    ("seconds", "second"),
    [(0.03, range(500, 501)), (0.1, range(300, 450)), (0.4, range(50, 110)), (2.0, range(50, 51))],
)
async def test_a_page_is_as_large_as_the_time_left_allows(
    world: World, feed: FakeFeed, seconds: float, second: range
) -> None:
    feed.ranges = [[change(number) for number in range(6)]]
    await world.auditor(timer=Timer(step=seconds)).audit_all()
    assert feed.limits[0] == 50
    assert feed.limits[1] in second
    assert feed.limits[1:] == sorted(feed.limits[1:], reverse=True)


async def test_documents_that_are_too_young_are_read_in_large_pages(world: World, feed: FakeFeed) -> None:
    feed.ranges = [[change(number, YOUNG) for number in range(6)]]
    await world.auditor(timer=Timer(step=0.01)).audit_all()
    assert feed.limits == [50, 500, 500, 500]


async def test_a_feed_that_is_late_reads_a_small_page(world: World, feed: FakeFeed) -> None:
    feed.ranges = [[change(number) for number in range(6)]]
    await world.auditor(timer=Timer(step=RUN_SECONDS + 1)).audit_all()
    assert feed.limits == [50]


async def test_a_range_whose_repair_fails_keeps_its_cursor_and_other_feeds_are_audited(
    world: World,
) -> None:
    await world.count(2, 1)
    world.ledger.broken = True
    world.containers[SESSIONS] = FakeFeed([])
    with pytest.raises(ConnectionError, match="the fold does not work"):
        await world.auditor().audit_all()
    assert world.cursors(INTERACTIONS) == [None]
    assert world.published() == (1, 2)
    world.ledger.broken = False
    assert (await world.repaired())[INTERACTIONS] == 5


async def test_a_container_that_was_made_anew_is_read_from_the_start(world: World, feed: FakeFeed) -> None:
    await world.repaired()
    feed.rid = "rid-2"
    world.ledger.counted.clear()
    assert (await world.repaired())[INTERACTIONS] == 5
    assert feed.read_from[-3:] == [(0, 0), (0, 2), (0, 4)]


async def test_an_audit_from_the_beginning_forgets_the_cursors(world: World, feed: FakeFeed) -> None:
    await world.repaired()
    world.ledger.counted.clear()
    assert (await world.repaired())[INTERACTIONS] == 0
    assert (await world.repaired(from_beginning=True))[INTERACTIONS] == 5
    assert world.cursors(INTERACTIONS) == ['"5"']


async def test_each_range_has_a_cursor_of_its_own(world: World, feed: FakeFeed) -> None:
    feed.ranges = [[change(0), change(1, YOUNG)], [], [change(2), change(3), change(4)]]
    assert (await world.repaired())[INTERACTIONS] == 4
    assert world.cursors(INTERACTIONS) == [None, '"0"', '"3"']


async def test_after_its_time_a_feed_reads_one_page_however_many_ranges_it_has(
    world: World, feed: FakeFeed
) -> None:
    feed.ranges = [[change(10 * n), change(10 * n + 1)] for n in range(5)]
    slow = Timer(step=RUN_SECONDS + 1)
    (report, *_) = await world.auditor(timer=slow).audit_all()
    assert (report.documents, report.caught_up, len(feed.read_from)) == (2, False, 1)
    runs = 1
    while not report.caught_up:
        (report, *_) = await world.auditor(timer=Timer(step=RUN_SECONDS / 3)).audit_all()
        runs += 1
        assert runs < 50
    assert len(world.ledger.counted) == 10


async def test_instances_that_audit_at_once_keep_each_others_cursors(world: World, feed: FakeFeed) -> None:
    feed.ranges = [[change(10 * n + m) for m in range(4)] for n in range(6)]
    reports = await asyncio.gather(*(world.auditor().audit_all() for _ in range(3)))
    assert sum(report.repaired for first, *_ in reports for report in [first]) == 24
    assert world.cursors(INTERACTIONS) == ['"4"'] * 6


async def test_an_audit_from_the_beginning_that_was_cut_short_is_continued(
    world: World, feed: FakeFeed
) -> None:
    feed.ranges = [[change(10 * n + m) for m in range(4)] for n in range(3)]
    await world.repaired()
    world.ledger.counted.clear()
    slow = world.auditor(timer=Timer(step=RUN_SECONDS + 1))
    (report, *_) = await slow.audit_all(from_beginning=True)
    assert (report.repaired, report.caught_up) == (2, False)
    assert (await world.repaired())[INTERACTIONS] == 10


async def test_only_views_that_were_missed_are_called_repaired(world: World) -> None:
    auditor = world.auditor()
    assert (await auditor.audit_all())[-1].repaired == 0
    await world.count(2, 1)
    assert (await auditor.audit_all())[-1].repaired == 1
    await world.publisher().publish([await world.count(3, 2)])
    assert (await auditor.audit_all())[-1].repaired == 0


async def test_a_view_that_changed_again_meanwhile_was_not_missed(world: World) -> None:
    delivered = await world.count(2, 1)
    await world.auditor().audit_all()
    await world.count(9, 1, shard=1)  # its publication is under way
    report = await world.publisher().publish([delivered])
    assert (report.published, report.missed) == (1, 0)
    assert world.published() == (1, 11)


async def test_a_view_that_missed_an_older_change_than_it_shows_is_told_by_its_revision(
    world: World,
) -> None:
    await world.generations(Settings()).begin()
    first = await world.count(2, 1)
    publisher = world.publisher()
    await publisher.publish([first])
    (day,) = world.containers["daily_metrics"].items.values()
    second = await world.count(5, 2)
    day["calculated_at"] = "2030-01-01T00:00:00Z"  # as if something else had been published since
    report = await world.publisher().publish([second])
    assert (report.published, report.missed) == (1, 1)


async def test_a_new_generation_publishes_nothing_until_its_auditor_has_caught_up(
    world: World, feed: FakeFeed
) -> None:
    await world.count(7, 1)
    await world.auditor().audit_all()
    assert world.published() == (1, 7)

    partial = await world.count(3, 1, generation=2)
    slow = world.auditor(2, Timer(step=RUN_SECONDS))
    reports = await slow.audit_all()
    assert [report.caught_up for report in reports] == [False, True, False]
    publisher = world.publisher(2)
    held = await publisher.publish([partial])
    assert (held.published, held.poisoned) == (0, [])
    with pytest.raises(Exception, match=r"^Generation 2 has not counted everything yet: .*\.$"):
        await publisher.publish_again([DocumentKey("daily_metrics", "2025-08-05")])
    assert world.published() == (1, 7)

    await world.count(8, 2, generation=2)
    reports = await world.auditor(2).audit_all()
    assert all(report.caught_up for report in reports)
    assert world.published() == (2, 8)
    assert (await publisher.publish([partial])).current == 1
    assert feed.read_from == [(0, 0), (0, 2), (0, 4)] * 2  # each generation reads from the start


async def test_what_was_audited_up_to_a_moment_before_its_beginning_does_not_make_it_complete(
    world: World,
) -> None:
    await world.auditor().audit_all()
    await world.count(3, 1, generation=2)
    *_, state = await world.auditor(2).audit_all(delay_seconds=DELAY + 1)
    assert not state.caught_up
    assert not world.containers["daily_metrics"].items
    *_, state = await world.auditor(2).audit_all()
    assert (state.caught_up, state.repaired) == (True, 1)


async def test_a_failing_source_does_not_let_a_new_generation_be_complete(world: World) -> None:
    await world.auditor().audit_all()
    await world.count(3, 1, generation=2)
    world.ledger.broken = True
    with pytest.raises(ConnectionError):
        await world.auditor(2).audit_all()
    assert not world.containers["daily_metrics"].items


async def test_an_audit_says_until_when_there_is_nothing_to_do(world: World, feed: FakeFeed) -> None:
    feed.ranges = [[change(0), change(1, YOUNG + 20), change(2, YOUNG + 30)], [change(3, YOUNG + 10)]]
    (source, *_) = await world.auditor().audit_all()
    assert (source.caught_up, source.due_at) == (True, YOUNG + 10 + DELAY)
    (source, *_) = await world.auditor().audit_all(delay_seconds=0)
    assert (source.caught_up, source.due_at, source.repaired) == (True, None, 3)


async def test_a_run_without_enough_time_says_nothing_of_the_sort(world: World, feed: FakeFeed) -> None:
    feed.ranges = [[change(0, YOUNG), *(change(number) for number in range(1, 9))]]
    slow = world.auditor(timer=Timer(step=RUN_SECONDS + 1))
    (source, *_) = await slow.audit_all()
    assert (source.caught_up, source.due_at) == (False, None)


async def test_a_new_generation_says_when_it_can_be_complete(world: World) -> None:
    await world.auditor().audit_all()
    began = NOW - DELAY
    *_, state = await world.auditor(2).audit_all(delay_seconds=DELAY + 1)
    assert (state.caught_up, state.due_at) == (False, began + DELAY + 1)


async def test_an_older_write_behind_a_younger_one_is_seen(world: World, feed: FakeFeed) -> None:
    """The clocks of two replicas differ, and partitions that were merged have their writes mixed."""
    late = YOUNG + CLOCK_SKEW_SECONDS - 1
    feed.ranges = [[change(0), change(1, YOUNG), change(2, late), change(3), change(4, NOW), change(5)]]
    assert (await world.repaired())[INTERACTIONS] == 3
    assert world.ledger.counted == {
        "d0",
        "d3",
        "d5",
    }  # what was there before the first reading is not in order
    feed.ranges[0].extend([change(6, NOW), change(7)])
    assert (await world.repaired())[INTERACTIONS] == 1
    assert "d7" in world.ledger.counted


async def test_documents_still_in_poison_are_counted(world: World, feed: FakeFeed) -> None:
    feed.ranges = [[change(0), change(1) | {"bad": True}]]
    (source, *_) = await world.auditor().audit_all()
    assert (source.documents, source.still_in_poison) == (2, 1)


async def test_what_was_written_before_a_restore_counts_as_live(world: World, feed: FakeFeed) -> None:
    await world.repaired()
    world.ledger.live.clear()
    feed.rid = "rid-2"
    feed.ranges = [[change(0), change(1), change(2, NOW + CLOCK_SKEW_SECONDS + 1)]]
    await world.repaired(delay_seconds=-1_000)
    assert world.ledger.live == ["d0", "d1"]
    await world.repaired(from_beginning=True)
    assert world.ledger.live == ["d0", "d1"] * 2


@given(
    before=st.lists(st.integers(0, 5), min_size=2, max_size=2),
    after=st.lists(st.integers(0, 5), min_size=2, max_size=2),
    batch=st.integers(0, 5),
    noticed=st.booleans(),
)
async def test_a_container_that_is_made_again_in_the_middle_of_a_run_is_not_caught_up_unread(
    before: list[int], after: list[int], batch: int, noticed: bool
) -> None:
    feed = FakeFeed(*([change(10 * part + n) for n in range(count)] for part, count in enumerate(before)))
    world = World(user_interactions=feed)
    new = [[change(100 + 10 * part + n) for n in range(count)] for part, count in enumerate(after)]
    reading, pages = audit.read_page, 0

    async def read_page(*arguments: Any, **options: Any) -> Any:
        nonlocal pages
        pages += 1
        if pages == batch + 1:
            feed.rid, feed.ranges = "rid-2", new
            if noticed:
                raise RangeSplitError("the range lies elsewhere now")
        return await reading(*arguments, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(audit, "read_page", read_page)
        report = await world.auditor().audit(INTERACTIONS, delay_seconds=DELAY, deadline=1e9)
    expected = {each["id"] for part in new for each in part}
    if pages > batch:
        assert not report.caught_up or expected <= world.ledger.counted
        assert not noticed or report.caught_up
    report = await world.auditor().audit(INTERACTIONS, delay_seconds=DELAY, deadline=1e9)
    assert report.caught_up
    assert pages <= batch or expected <= world.ledger.counted


async def test_a_position_that_the_service_refuses_is_forgotten(
    world: World, feed: FakeFeed, monkeypatch: pytest.MonkeyPatch
) -> None:
    await world.repaired()

    async def read_page(*arguments: Any, **options: Any) -> Any:
        container, *_, position = arguments
        if container is feed and position is not None:
            refused.append(position)
            monkeypatch.setattr(audit, "read_page", reading)
            raise CosmosHttpResponseError(status_code=400, message="not a position")
        return await reading(*arguments, **options)

    refused: list[str] = []
    reading = audit.read_page
    monkeypatch.setattr(audit, "read_page", read_page)
    world.ledger.counted.clear()
    assert (await world.repaired())[INTERACTIONS] == 5
    assert refused == ['"5"']
    assert world.cursors(INTERACTIONS) == ['"5"']


async def test_an_audit_that_began_before_one_from_the_beginning_moves_no_cursor(
    world: World, feed: FakeFeed
) -> None:
    """Otherwise the audit from the beginning, when it is continued, would leave out what lies between."""
    feed.ranges = [[change(number) for number in range(8)]]
    await world.repaired()
    world.ledger.counted.clear()
    first = world.auditor()
    cursors = await first._load(INTERACTIONS, feed)  # type: ignore[arg-type]
    slow = world.auditor(timer=Timer(step=RUN_SECONDS + 1))
    (report, *_) = await slow.audit_all(from_beginning=True)
    assert not report.caught_up
    await first._commit(run_of(feed, cursors), cursors.cursors[0], '"8"')
    assert world.cursors(INTERACTIONS) == ['"2"']
    await world.repaired()
    assert len(world.ledger.counted) == 8


async def test_a_slow_auditor_moves_no_cursor_back(world: World, feed: FakeFeed) -> None:
    slow = world.auditor()
    cursors = await slow._load(INTERACTIONS, feed)  # type: ignore[arg-type]
    await world.repaired()
    await slow._commit(run_of(feed, cursors), cursors.cursors[0], '"2"')
    assert world.cursors(INTERACTIONS) == ['"5"']


def run_of(feed: FakeFeed, cursors: Cursors) -> Any:
    return AuditRun(INTERACTIONS, feed, NOW, DELAY, 0.0, AuditReport(INTERACTIONS), cursors)  # type: ignore[arg-type]


async def test_the_mark_grows_when_something_was_written_and_not_because_it_has_grown(
    world: World, feed: FakeFeed
) -> None:
    feed.ranges = [[change(1)]]
    await world.auditor().audit_all()
    world.mark.advance.assert_awaited_once()

    await world.state.upsert_item({"id": "1:mark", "shard": "1:mark", "kind": MARK, "at": 1})
    *_, state = await world.auditor().audit_all()
    assert (state.documents, world.mark.check.await_count) == (0, 2)
    world.mark.advance.assert_awaited_once()

    await world.count(2, 1)
    await world.auditor().audit_all()
    assert world.mark.advance.await_count == 2


async def test_a_document_of_a_source_is_no_mark(world: World, feed: FakeFeed) -> None:
    feed.ranges = [[change(1) | {"kind": MARK}]]
    source, *_ = await world.auditor().audit_all()
    assert source.documents == source.repaired == 1


async def test_a_mark_that_is_too_young_for_the_audit_does_not_have_its_page_read_again(world: World) -> None:
    world.state.write_from(OLD)
    await world.count(2, 1)
    await world.state.upsert_item({"id": "1:mark", "shard": "1:mark", "kind": MARK, "at": 1})
    *_, state = await world.auditor().audit_all()
    *_, again = await world.auditor().audit_all()
    assert (state.documents, again.documents) == (1, 0)
