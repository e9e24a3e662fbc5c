"""Physical partitions split under running and stopped hosts: leases follow, nothing is lost or repeated."""

from __future__ import annotations

import asyncio
from collections import Counter
from pathlib import Path
from typing import Any

from azure.cosmos.aio import ContainerProxy

from local.host.lag import measure_lag
from local.host.lease_store import LeaseStore
from local.host.leases import FeedRange, Lease
from tests.cosmos_server import ServerProcess
from tests.integration.host.conftest import (
    PARTITIONS,
    AppWriter,
    Database,
    balanced,
    drained,
    hosting,
    trigger,
    until,
)
from tests.integration.host.recorder import Recorder, Seen

IDS = [f"d{n}" for n in range(60)]
MORE = [f"e{n}" for n in range(60)]


def split(server: ServerProcess, database: Database, partition: str | None = None) -> list[str]:
    """Split a physical partition of the container ``items``; return the ids of its parts."""
    body: dict[str, Any] = {"database": database.name, "container": "items"}
    if partition is not None:
        body["partition"] = partition
    children: list[str] = server.local("POST", "split", body)["children"]
    return children


async def ranges(container: ContainerProxy) -> list[FeedRange]:
    found = container.read_feed_ranges(force_refresh=True)
    return sorted([FeedRange.from_json(item) async for item in found])


async def leases(database: Database) -> list[Lease]:
    found = [Lease.from_document(document) for document in await database.lease_documents()]
    return sorted(found, key=lambda lease: lease.feed_range)


async def followed(database: Database, folder: Path) -> None:
    """Wait until everything is drained and there is exactly one lease for each physical partition."""
    await drained(folder)

    async def is_so() -> bool:
        return [lease.feed_range for lease in await leases(database)] == await ranges(database.items)

    await until(is_so)


async def test_a_running_host_follows_splits_and_splits_of_the_parts(
    server: ServerProcess, database: Database, recorder: Recorder, app: AppWriter
) -> None:
    folder = app(trigger())
    await database.write(*IDS)
    async with hosting(folder):
        await drained(folder)
        part, _ = split(server, database)
        await database.write(*MORE)
        await drained(folder)
        split(server, database, part)  # before or after the lease of the first split was divided
        await database.write("last")
        await followed(database, folder)
        assert len(await leases(database)) == PARTITIONS + 2
    assert Counter(recorder.ids()) == Counter([*IDS, *MORE, "last"])


async def test_the_parts_take_over_the_position_of_the_whole(
    server: ServerProcess, database: Database, recorder: Recorder, app: AppWriter
) -> None:
    folder = app(trigger())
    await database.write(*IDS)
    async with hosting(folder):
        await drained(folder)
    before = await leases(database)
    parts = split(server, database, "0")
    assert len(parts) == 2
    async with hosting(folder):
        await followed(database, folder)
    whole = before[0]
    divided = [lease for lease in await leases(database) if whole.feed_range.intersection(lease.feed_range)]
    assert [lease.feed_range.min for lease in divided] == [whole.feed_range.min, divided[0].feed_range.max]
    assert divided[1].feed_range.max == whole.feed_range.max
    assert {(lease.continuation, lease.version) for lease in divided} == {(whole.continuation, 1)}
    assert [lease.id for lease in divided] == [
        f"{whole.id.removesuffix(whole.token)}{lease.feed_range.token}" for lease in divided
    ]
    assert sorted(recorder.ids()) == sorted(IDS)  # no part read anything again


async def test_a_split_while_no_host_runs_is_found_at_the_start(
    server: ServerProcess, database: Database, recorder: Recorder, app: AppWriter
) -> None:
    folder = app(trigger())
    await database.write(*IDS)
    async with hosting(folder):
        await drained(folder)
    for _ in range(3):
        split(server, database)
    await database.write(*MORE)
    [lag] = await measure_lag(folder)
    assert not lag.drained
    async with hosting(folder):
        await followed(database, folder)
    assert Counter(recorder.ids()) == Counter([*IDS, *MORE])


async def test_a_split_before_anything_was_read(
    server: ServerProcess, database: Database, recorder: Recorder, app: AppWriter
) -> None:
    folder = app(trigger())
    async with hosting(folder, "one"):
        await drained(folder)
    for document in await database.lease_documents():
        await database.leases.replace_item(document["id"], {**document, "ContinuationToken": None})
    await database.write(*IDS)
    split(server, database)
    async with hosting(folder, "one"):
        await followed(database, folder)
    assert Counter(recorder.ids()) == Counter(IDS)


async def test_a_batch_in_flight_at_the_split_is_saved_once(
    server: ServerProcess, database: Database, recorder: Recorder, app: AppWriter
) -> None:
    leave = asyncio.Event()

    async def wait(seen: Seen) -> None:
        await leave.wait()

    recorder.behave = wait
    folder = app(trigger())
    await database.write(*IDS)
    async with hosting(folder):
        await recorder.until(lambda: len(recorder.all) == PARTITIONS)
        for partition in range(PARTITIONS):
            split(server, database, str(partition))
        leave.set()
        await followed(database, folder)
    assert Counter(recorder.ids()) == Counter(IDS)


async def test_two_hosts_follow_splits_under_traffic_and_stay_even(
    server: ServerProcess, database: Database, recorder: Recorder, app: AppWriter
) -> None:
    folder = app(trigger())
    written: list[str] = []
    enough = asyncio.Event()

    async def traffic() -> None:
        while not enough.is_set():
            written.append(f"t{len(written)}")
            await database.write(written[-1])

    async with hosting(folder, "one") as one, hosting(folder, "two") as two:
        await balanced(database, one, two)
        writing = asyncio.create_task(traffic())
        try:
            for count in range(1, 5):
                target = len(written) + 20
                await recorder.until(lambda: len(set(recorder.ids())) >= target)  # noqa: B023
                split(server, database)
                if count == 2:
                    server.local(
                        "POST", "split", {"database": database.name, "container": "leases"}
                    )  # where the leases are may split as well
        finally:
            enough.set()
            await writing
        await followed(database, folder)
        await balanced(database, one, two)
        await database.write("afterwards")
        await drained(folder)
    assert set(recorder.ids()) == {*written, "afterwards"}
    assert recorder.ids().count("afterwards") == 1


async def test_a_division_that_was_cut_short_is_completed(
    server: ServerProcess, database: Database, recorder: Recorder, app: AppWriter
) -> None:
    folder = app(trigger())
    await database.write(*IDS)
    async with hosting(folder):
        await drained(folder)
    whole = (await leases(database))[0]
    split(server, database, "0")
    [first, _] = [part for part in await ranges(database.items) if whole.feed_range.intersection(part)]
    store = LeaseStore(database.leases, prefix=whole.id.split("..")[0], owner="dead", process="p")
    await store.create(first, whole.continuation)  # and here the host died
    await database.write(*MORE)
    async with hosting(folder):
        await followed(database, folder)
    assert Counter(recorder.ids()) == Counter([*IDS, *MORE])


async def test_leases_of_an_older_processor_are_divided_as_well(
    server: ServerProcess, database: Database, recorder: Recorder, app: AppWriter
) -> None:
    folder = app(trigger())
    await database.write(*IDS)
    async with hosting(folder):
        await drained(folder)
    for number, lease in enumerate(await leases(database)):
        prefix = lease.id.removesuffix(lease.token)
        await database.leases.delete_item(lease.id, lease.id)
        await database.leases.create_item(
            {
                "id": f"{prefix}{number}",
                "LeaseToken": str(number),
                "Owner": None,
                "ContinuationToken": lease.continuation,
                "properties": {},
            }
        )
    split(server, database, "0")
    split(server, database, "2")
    await database.write(*MORE)
    async with hosting(folder):
        await followed(database, folder)
    assert Counter(recorder.ids()) == Counter([*IDS, *MORE])
    assert [lease.version for lease in await leases(database)] == [1, 1, 0, 1, 1, 0]
