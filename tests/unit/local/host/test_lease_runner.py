"""One lease's work with a scripted feed and store: splits, outages, and a database that stays away."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from azure.core.exceptions import ServiceRequestError

from local.host.bindings import CosmosTrigger, FunctionSpec
from local.host.cosmos_source import CosmosSource
from local.host.feed import FeedPage, RangeSplitError
from local.host.invoke import Invoker
from local.host.lease_runner import LeaseRunner
from local.host.lease_store import LeaseLostError, utc_now
from local.host.leases import FeedRange, Lease

WHOLE = FeedRange("", "FF")
TRIGGER = CosmosTrigger(
    connection="c",
    database="d",
    container="items",
    lease_connection="c",
    lease_database="d",
    poll_delay=0.001,
    renew_interval=0.02,
    expiration_interval=0.1,
)


class Feed:
    """Answers one read after the other from a script; then everything is empty."""

    def __init__(self, *answers: FeedPage | Exception) -> None:
        self._answers = list(answers)
        self.positions: list[str | None] = []

    parts = (FeedRange("", "80"), FeedRange("80", "FF"))

    async def ranges(self) -> list[FeedRange]:
        return list(self.parts)

    async def read(self, feed_range: FeedRange, position: str | None, start: Any, count: int) -> FeedPage:
        self.positions.append(position)
        if not self._answers:
            await asyncio.sleep(0)
            return FeedPage([], position or '"0"', 0)
        answer = self._answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


class Held:
    """A held lease in memory, whose writes fail as scripted."""

    def __init__(self, *failures: Exception) -> None:
        self.lease = Lease("id", WHOLE.token, WHOLE, owner="me", continuation='"1"', timestamp=utc_now())
        self.failures = list(failures)
        self.checkpoints: list[str] = []
        self.released = False

    async def checkpoint(self, continuation: str) -> None:
        if self.failures:
            raise self.failures.pop(0)
        self.checkpoints.append(continuation)

    async def renew(self) -> None:
        if self.failures:
            raise self.failures[0]

    async def release(self) -> None:
        self.released = True


class Store:
    """Remembers what was created and deleted."""

    def __init__(self) -> None:
        self.created: list[tuple[FeedRange, str | None]] = []
        self.deleted: list[str] = []

    async def create(self, feed_range: FeedRange, continuation: str | None) -> None:
        self.created.append((feed_range, continuation))

    async def delete(self, lease: Lease) -> None:
        self.deleted.append(lease.id)


@pytest.fixture
def invoker() -> Invoker:
    return Invoker(timeout=None, threads=1)


def page(name: str, position: str) -> FeedPage:
    return FeedPage([{"id": name}], position, 0)


class Work:
    """A function that remembers what it received and stops the runner after so many calls."""

    def __init__(self, stop_after: int) -> None:
        self.seen: list[str] = []
        self._stop_after = stop_after
        self.runner: LeaseRunner | None = None

    async def __call__(self, documents: Any) -> None:
        self.seen += [document["id"] for document in documents]
        if len(self.seen) == self._stop_after and self.runner:
            self.runner.quit.set()


def runner(work: Any, feed: Feed, held: Held, store: Store, invoker: Invoker) -> LeaseRunner:
    spec = FunctionSpec("work", work, True, "documents", None, TRIGGER, None, Path())
    source = CosmosSource("work", TRIGGER, feed, store)  # type: ignore[arg-type]
    made = LeaseRunner(spec, source, held, invoker, "Beginning")  # type: ignore[arg-type]
    work.runner = made
    return made


async def test_batches_are_saved_in_order_and_the_lease_is_given_back(invoker: Invoker) -> None:
    feed, held, work = Feed(page("a", '"2"'), page("b", '"3"')), Held(), Work(2)
    await runner(work, feed, held, Store(), invoker).run()
    assert work.seen == ["a", "b"]
    assert held.checkpoints == ['"2"', '"3"']
    assert feed.positions == ['"1"', '"2"']
    assert held.released


async def test_an_outage_between_reads_loses_and_repeats_nothing(invoker: Invoker) -> None:
    away = ServiceRequestError("down")
    feed, held, work = Feed(away, page("a", '"2"'), away, page("b", '"3"')), Held(), Work(2)
    await runner(work, feed, held, Store(), invoker).run()
    assert work.seen == ["a", "b"]
    assert feed.positions == ['"1"', '"1"', '"2"', '"2"']


async def test_a_checkpoint_is_repeated_until_the_database_is_back(invoker: Invoker) -> None:
    held, work = Held(ServiceRequestError("down"), ServiceRequestError("down")), Work(2)
    held.renew = lambda: asyncio.sleep(0)  # type: ignore[method-assign]
    await runner(work, Feed(page("a", '"2"'), page("b", '"3"')), held, Store(), invoker).run()
    assert work.seen == ["a", "b"]
    assert held.checkpoints == ['"2"', '"3"']


async def test_a_lost_lease_is_not_given_back(invoker: Invoker) -> None:
    held, work = Held(LeaseLostError("stolen")), Work(9)
    async with asyncio.timeout(10):
        await runner(work, Feed(page("a", '"2"'), page("b", '"3"')), held, Store(), invoker).run()
    assert work.seen == ["a"]
    assert held.checkpoints == []
    assert not held.released


async def test_a_lease_that_cannot_be_renewed_until_it_expired_counts_as_lost(invoker: Invoker) -> None:
    held, work = Held(ServiceRequestError("down")), Work(9)
    async with asyncio.timeout(10):
        await runner(work, Feed(), held, Store(), invoker).run()
    assert not held.released


async def test_a_split_range_is_divided_at_the_same_position(invoker: Invoker) -> None:
    held, store, work = Held(), Store(), Work(9)
    made = runner(work, Feed(RangeSplitError("two")), held, store, invoker)
    await made.run()
    assert store.created == [(FeedRange("", "80"), '"1"'), (FeedRange("80", "FF"), '"1"')]
    assert store.deleted == ["id"]
    assert made.divided
    assert not held.released


async def test_a_lease_that_was_taken_meanwhile_is_not_divided(invoker: Invoker) -> None:
    held, store, work = Held(LeaseLostError("stolen")), Store(), Work(9)
    made = runner(work, Feed(RangeSplitError("two")), held, store, invoker)
    await made.run()
    assert (store.created, store.deleted, made.divided, held.released) == ([], [], False, False)


@pytest.mark.parametrize("parts", [(WHOLE,), (FeedRange("", "40"), FeedRange("80", "FF")), ()])
async def test_a_lease_is_kept_unless_its_parts_make_up_the_whole(
    invoker: Invoker, parts: tuple[FeedRange, ...]
) -> None:
    held, store, feed = Held(), Store(), Feed(RangeSplitError("two"))
    feed.parts = parts  # type: ignore[assignment]
    made = runner(Work(9), feed, held, store, invoker)
    await made.run()
    assert (store.created, store.deleted, made.divided, held.released) == ([], [], False, True)


async def test_a_division_that_fails_is_left_to_the_next_owner(invoker: Invoker) -> None:
    class Away(Store):
        async def create(self, feed_range: FeedRange, continuation: str | None) -> None:
            raise ServiceRequestError("down")

    held, store = Held(), Away()
    made = runner(Work(9), Feed(RangeSplitError("two")), held, store, invoker)
    await made.run()
    assert (store.deleted, made.divided, held.released) == ([], False, True)


async def test_a_renewal_under_way_at_the_end_is_not_cut_off(invoker: Invoker) -> None:
    entered, leave = asyncio.Event(), asyncio.Event()
    order = []

    class Slow(Held):
        async def renew(self) -> None:
            entered.set()
            await leave.wait()
            order.append("renewed")

        async def release(self) -> None:
            order.append("released")

    made = runner(Work(9), Feed(), Slow(), Store(), invoker)
    task = asyncio.create_task(made.run())
    await entered.wait()
    made.quit.set()
    await asyncio.sleep(0)
    leave.set()
    await task
    assert order == ["renewed", "released"]


async def test_a_cancellation_while_the_lease_is_given_back_does_not_keep_it(invoker: Invoker) -> None:
    entered, leave = asyncio.Event(), asyncio.Event()

    class Slow(Held):
        async def release(self) -> None:
            entered.set()
            await leave.wait()
            self.released = True

    held = Slow()
    made = runner(Work(9), Feed(), held, Store(), invoker)
    made.quit.set()
    task = asyncio.create_task(made.run())
    await entered.wait()
    task.cancel()
    await asyncio.sleep(0)
    leave.set()
    await asyncio.gather(task, return_exceptions=True)
    assert task.cancelled()
    assert held.released
