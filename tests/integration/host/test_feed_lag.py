"""Positions count per physical partition: batches of one transaction, estimates of what waits, settling."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from azure.cosmos import PartitionKey
from azure.cosmos.aio import ContainerProxy

from local.drain import drain_with
from local.host.lag import FeedLag, LagMeter, measure_lag
from tests.cosmos_server import ServerProcess
from tests.integration.host.conftest import AppWriter, Database, drained, hosting, trigger, until
from tests.integration.host.recorder import Recorder, Seen

GROUPED = trigger().replace('"items"', '"grouped"')
IDS = [f"d{n}" for n in range(40)]


@pytest.fixture
async def grouped(database: Database) -> ContainerProxy:
    """A container in which many items share a logical partition."""
    return await database.proxy.create_container("grouped", PartitionKey("/group"))


async def write_batch(container: ContainerProxy, group: str, *ids: str) -> None:
    await container.execute_item_batch([("upsert", ({"id": one, "group": group},)) for one in ids], group)


async def test_a_transaction_is_one_invocation_however_few_items_are_asked_for(
    database: Database, grouped: ContainerProxy, recorder: Recorder, app: AppWriter
) -> None:
    folder = app(GROUPED)
    await grouped.upsert_item({"id": "before", "group": "g"})
    await write_batch(grouped, "g", *IDS)
    await grouped.upsert_item({"id": "after", "group": "g"})
    async with hosting(folder):
        await drained(folder)
    assert [len(seen.ids) for seen in recorder.done] == [1 + len(IDS), 1]
    numbers = {document["id"]: document["_lsn"] for document in recorder.done[0].documents}
    assert len({numbers[one] for one in IDS}) == 1
    assert numbers["before"] == numbers["d0"] - 1
    assert recorder.ids() == ["before", *IDS, "after"]


async def test_what_waits_is_counted_in_transactions_of_the_physical_partition(
    database: Database, grouped: ContainerProxy, recorder: Recorder, app: AppWriter
) -> None:
    folder = app(GROUPED)
    for group in range(30):  # numbers of other partitions, and of this one, that are no longer waited for
        await grouped.upsert_item({"id": "x", "group": str(group)})
    async with hosting(folder):
        await drained(folder)
    for n in range(7):
        await grouped.upsert_item({"id": f"single{n}", "group": "g"})
    [lag] = await measure_lag(folder)
    assert sorted(lease.pending for lease in lag.leases) == [0, 0, 0, 7]
    await write_batch(grouped, "g", *IDS)
    assert pending(await measure_lag(folder)) == 8
    async with hosting(folder):
        await drained(folder)
    assert pending(await measure_lag(folder)) == 0
    await write_batch(grouped, "g", *IDS)
    assert pending(await measure_lag(folder)) == 1


def pending(feeds: list[FeedLag]) -> int:
    [feed] = feeds
    assert feed.drained == (feed.pending == 0)
    return feed.pending


async def test_deletions_leave_nothing_to_wait_for(
    database: Database, recorder: Recorder, app: AppWriter
) -> None:
    folder = app(trigger())
    async with hosting(folder):
        await drained(folder)
    await database.write("d0")
    assert pending(await measure_lag(folder)) == 1
    await database.items.delete_item("d0", "d0")
    assert pending(await measure_lag(folder)) == 0
    async with LagMeter(folder) as meter:
        assert all(lag.drained for lag in await meter.measure(await meter.ends()))


async def test_what_was_written_after_the_ends_is_not_waited_for(
    server: ServerProcess, database: Database, recorder: Recorder, app: AppWriter
) -> None:
    leave = asyncio.Event()

    async def wait(seen: Seen) -> None:
        await leave.wait()

    folder = app(trigger())
    async with hosting(folder), LagMeter(folder) as meter:
        await drained(folder)
        before = await meter.ends()
        recorder.behave = wait
        await database.write(*IDS)
        between = await meter.ends()
        assert [lag.drained for lag in await meter.measure(before)] == [True]
        assert [lag.drained for lag in await meter.measure(between)] == [False]
        assert [lag.drained for lag in await meter.measure()] == [False]
        # The parts of a split partition go on counting where it stopped: its end holds for both.
        server.local("POST", "split", {"database": database.name, "container": "items"})
        leave.set()

        async def reached() -> bool:
            return all(lag.drained for lag in await meter.measure(between))

        await until(reached)
        assert sorted(recorder.ids()) == sorted(IDS)


@pytest.fixture
async def traffic(database: Database) -> AsyncIterator[list[str]]:
    """New documents without a pause; the list grows with what is written."""
    written: list[str] = []

    async def write() -> None:
        while True:
            one = f"t{len(written)}"
            await database.write(one)
            written.append(one)

    writing = asyncio.create_task(write())
    try:
        yield written
    finally:
        writing.cancel()
        await asyncio.gather(writing, return_exceptions=True)


@pytest.fixture
async def chain(database: Database, recorder: Recorder, app: AppWriter) -> Path:
    """Return an app of three functions, each of which writes what the next one is triggered by."""
    derived = await database.proxy.create_container("derived", PartitionKey("/id"))
    last = await database.proxy.create_container("last", PartitionKey("/id"))
    after = {"work": derived, "second": last}

    async def pass_on(seen: Seen) -> None:
        if seen.function in after:
            await asyncio.gather(*(after[seen.function].upsert_item({"id": one}) for one in seen.ids))

    recorder.behave = pass_on
    return app(
        # Downstream first: a feed is not behind another because it comes later in the app.
        trigger("third").replace('"items"', '"last"'),
        trigger("second").replace('"items"', '"derived"'),
        trigger("work"),
    )


async def test_settling_follows_what_was_written_once_to_the_end_of_the_chain(
    database: Database, recorder: Recorder, chain: Path
) -> None:
    async with hosting(chain), LagMeter(chain) as meter:
        for number in range(5):
            ids = [f"{number}-{one}" for one in IDS]
            await database.write(*ids)
            settled = await drain_with(meter, timeout=60)
            assert settled.drained
            assert set(ids) <= set(recorder.ids("third"))


async def test_settling_follows_what_was_written_to_the_end_of_the_chain_under_traffic(
    recorder: Recorder, chain: Path, traffic: list[str]
) -> None:
    async with hosting(chain), LagMeter(chain) as meter:
        for _ in range(3):
            before = set(traffic)
            settled = await drain_with(meter, timeout=60)
            assert settled.drained
            assert before <= set(recorder.ids("third"))
            assert len(traffic) > len(before)  # it went on meanwhile
