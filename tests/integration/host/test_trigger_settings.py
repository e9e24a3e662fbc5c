"""Each setting of the Cosmos DB trigger, as a function's decorator gives it, changes what the host does."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from azure.cosmos import PartitionKey
from azure.cosmos.aio import CosmosClient

from local.host.errors import HostStartError
from local.host.runner import Host, HostConfig
from tests.cosmos_server import ServerProcess, running_server
from tests.integration.host.conftest import (
    PARTITIONS,
    AppWriter,
    Database,
    drained,
    hosting,
    trigger,
    until,
)
from tests.integration.host.recorder import Recorder
from tests.unit.local.host.apps import write_app

IDS = [f"d{n}" for n in range(40)]
LONG = 600_000
"""Milliseconds: nothing with this interval happens a second time during a test."""


def other(**settings: Any) -> str:
    """Return the code of a second trigger on the same container that differs in some settings."""
    code = trigger("other", options='lease_container_prefix="other-"')
    for name, value in settings.items():
        before, _, rest = code.partition(f"{name}=")
        assert rest, f"the test triggers do not set {name}"
        old = rest.split(",")[0].split("\n")[0]
        code = f"{before}{name}={value}{rest.removeprefix(old)}"
    return code


async def leases_of(database: Database, function: str) -> list[dict[str, Any]]:
    found = await database.lease_documents()
    return [item for item in found if item["id"].startswith("other-") == (function == "other")]


async def _all_looked(database: Database, count: int) -> bool:
    """Say whether every feed was read once, found empty, and this was saved."""
    positions = [lease["ContinuationToken"] for lease in await database.lease_documents()]
    return len(positions) == count and None not in positions


@pytest.mark.parametrize("size", [1, 7])
async def test_max_items_per_invocation(
    database: Database, recorder: Recorder, app: AppWriter, size: int
) -> None:
    folder = app(trigger().replace("max_items_per_invocation=10", f"max_items_per_invocation={size}"))
    await database.write(*IDS)
    async with hosting(folder):
        await drained(folder)
    assert sorted(recorder.ids()) == sorted(IDS)
    assert max(len(seen.ids) for seen in recorder.done) == size


async def test_without_max_items_per_invocation_it_is_the_services_hundred(
    database: Database, recorder: Recorder, app: AppWriter
) -> None:
    folder = app(trigger().replace(", max_items_per_invocation=10", ""))
    for first in range(0, 1_000, 100):
        await database.write(*(f"d{n}" for n in range(first, first + 100)))
    async with hosting(folder):
        await drained(folder)
    assert max(len(seen.ids) for seen in recorder.done) == 100
    assert len(recorder.ids()) == 1_000


async def test_feed_poll_delay(database: Database, recorder: Recorder, app: AppWriter) -> None:
    folder = app(trigger(), other(feed_poll_delay=LONG))
    async with hosting(folder):
        await until(lambda: _all_looked(database, 2 * PARTITIONS))
        for one in IDS:
            await database.write(one)
            await recorder.until(lambda: recorder.ids("work")[-1:] == [one])  # noqa: B023
        assert recorder.ids("other") == []
    async with hosting(folder):
        await drained(folder)
    assert sorted(recorder.ids("other")) == sorted(IDS)


async def test_start_from_beginning(database: Database, recorder: Recorder, app: AppWriter) -> None:
    await database.write(*IDS)
    folder = app(trigger(), other(start_from_beginning=False))
    second = (await _newest(database)) + timedelta(seconds=2)
    await _write_at(database, "clock", second)  # "now" has whole seconds
    async with hosting(folder):
        await drained(folder)
        await database.write("new")
        await drained(folder)
    assert set(recorder.ids("work")) == {*IDS, "clock", "new"}
    assert not set(recorder.ids("other")) & set(IDS)
    assert "new" in recorder.ids("other")


async def test_start_from_time(database: Database, recorder: Recorder, app: AppWriter) -> None:
    await database.write("old")
    since = (await _newest(database)) + timedelta(seconds=1)
    await _write_at(database, "new", since + timedelta(seconds=1))
    folder = app(
        trigger().replace("start_from_beginning=True", f'start_from_time="{since:%Y-%m-%dT%H:%M:%SZ}"')
    )
    async with hosting(folder):
        await drained(folder)
    assert recorder.ids() == ["new"]


@pytest.mark.parametrize("setting", ["start_from_beginning=True", 'start_from_time="2020-01-01T00:00:00Z"'])
async def test_where_to_start_is_of_no_account_once_there_is_a_position(
    database: Database, recorder: Recorder, app: AppWriter, setting: str
) -> None:
    folder = app(trigger().replace("start_from_beginning=True", setting))
    await database.write(*IDS)
    async with hosting(folder):
        await drained(folder)
    async with hosting(folder):
        await drained(folder)
    assert sorted(recorder.ids()) == sorted(IDS)


async def _newest(database: Database) -> datetime:
    found = database.items.query_items("SELECT VALUE MAX(c._ts) FROM c")
    [seconds] = [one async for one in found]
    return datetime.fromtimestamp(seconds, UTC)


async def _write_at(database: Database, one: str, moment: datetime) -> None:
    """Write a document again and again until its ``_ts`` is at or behind a moment."""

    async def late_enough() -> bool:
        await database.items.upsert_item({"id": one})
        item = await database.items.read_item(one, one)
        return datetime.fromtimestamp(item["_ts"], UTC) >= moment

    await until(late_enough)


async def test_lease_acquire_interval(
    database: Database, recorder: Recorder, server: ServerProcess, tmp_path: Path, app: AppWriter
) -> None:
    fast = app(trigger(), host_json=_named("fast"))
    async with hosting(fast, "fast"):
        await until(lambda: _owned_by(database, "fast", PARTITIONS))
        (tmp_path / "slow").mkdir()
        code = trigger().replace("lease_acquire_interval=100", f"lease_acquire_interval={LONG}")
        slow = write_app(tmp_path / "slow", code, _named("slow"))
        async with hosting(slow, "slow"):
            # It looks once and steals one lease; to its share it would get by looking again.
            await until(lambda: _owned_by(database, "slow", 1))
            looked = _looks(server, "fast")

            async def fast_has_looked_often() -> bool:
                return _looks(server, "fast") > looked + 10

            await until(fast_has_looked_often)
            assert await _owned_by(database, "slow", 1)
            assert _looks(server, "slow") == 1


def _named(client: str) -> dict[str, Any]:
    return {"extensions": {"cosmosDB": {"userAgentSuffix": client}}}


def _looks(server: ServerProcess, client: str) -> int:
    """Return how often a client has looked at the leases of all instances: a page per physical partition."""
    rows = server.local("GET", "charges")["accounts"]
    pages: int = sum(
        row["requests"]
        for row in rows
        if (row["client"], row["container"], row["operation"]) == (client, "leases", "query")
    )
    return pages // PARTITIONS


async def _owned_by(database: Database, name: str, count: int) -> bool:
    return (await database.owners()).count(name) == count


async def test_lease_renew_interval(database: Database, recorder: Recorder, app: AppWriter) -> None:
    folder = app(trigger(), other(lease_renew_interval=LONG, lease_expiration_interval=2 * LONG))
    async with hosting(folder):
        await until(lambda: _all_looked(database, 2 * PARTITIONS))
        first = {lease["id"]: lease["timestamp"] for lease in await database.lease_documents()}
        for _ in range(3):
            before = {lease["id"]: lease["timestamp"] for lease in await leases_of(database, "work")}

            async def renewed() -> bool:
                now = await leases_of(database, "work")
                return all(lease["timestamp"] > before[lease["id"]] for lease in now)  # noqa: B023

            await until(renewed)
        assert {lease["id"]: lease["timestamp"] for lease in await leases_of(database, "other")} == {
            name: moment for name, moment in first.items() if name.startswith("other-")
        }


async def test_lease_expiration_interval(database: Database, recorder: Recorder, app: AppWriter) -> None:
    folder = app(trigger(), other(lease_expiration_interval=LONG))
    async with hosting(folder):
        await drained(folder)
    for lease in await database.lease_documents():  # a host that was killed leaves them like this
        moment = f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%S.%f}Z"
        await database.leases.replace_item(lease["id"], {**lease, "Owner": "dead", "timestamp": moment})
    await database.write(*IDS)
    async with hosting(folder, "heir"):
        await recorder.until(lambda: len(recorder.ids("work")) == len(IDS))

        async def all_taken() -> bool:
            return {lease["Owner"] for lease in await leases_of(database, "work")} == {"heir"}

        await until(all_taken)
        owners = [lease["Owner"] for lease in await leases_of(database, "other")]
        assert owners.count("dead") >= PARTITIONS // 2  # it looks alive; only its surplus may be taken
    assert sorted(recorder.ids("work")) == sorted(IDS)
    assert len(recorder.ids("other")) < len(IDS)


async def test_lease_container_prefix(database: Database, recorder: Recorder, app: AppWriter) -> None:
    folder = app(trigger(), other())
    await database.write(*IDS)
    async with hosting(folder):
        await drained(folder)
        ids = [item["id"] async for item in database.leases.query_items("SELECT c.id FROM c")]
    assert sorted(recorder.ids("work")) == sorted(recorder.ids("other")) == sorted(IDS)
    prefixed = {one for one in ids if one.startswith("other-")}
    assert prefixed == {f"other-{one}" for one in set(ids) - prefixed}
    assert len(prefixed) == PARTITIONS + 1  # and .info


@pytest.mark.parametrize("create", [True, False])
async def test_create_lease_container_if_not_exists(
    database: Database, recorder: Recorder, app: AppWriter, create: bool
) -> None:
    options = f"create_lease_container_if_not_exists={create}"
    folder = app(trigger(options=options).replace('"leases"', '"absent"'))
    if not create:
        with pytest.raises(HostStartError, match=r"'absent'.*does not exist"):
            await Host(HostConfig(folder, "one")).start()
        return
    await database.write(*IDS)
    for _ in range(2):  # and it is no mistake that it exists the next time
        async with hosting(folder):
            await drained(folder)
    assert sorted(recorder.ids()) == sorted(IDS)
    created = await database.proxy.get_container_client("absent").read()
    assert created["partitionKey"]["paths"] == ["/id"]


async def test_lease_database_name(
    database: Database, recorder: Recorder, app: AppWriter, account: str
) -> None:
    options = 'lease_database_name="elsewhere", create_lease_container_if_not_exists=True'
    folder = app(trigger(options=options))
    async with CosmosClient.from_connection_string(account) as client:
        elsewhere = await client.create_database_if_not_exists("elsewhere")
        await database.write(*IDS)
        async with hosting(folder):
            await drained(folder)
        leases = elsewhere.get_container_client("leases")
        found = [item async for item in leases.query_items("SELECT * FROM c WHERE IS_DEFINED(c.LeaseToken)")]
        await client.delete_database("elsewhere")
    assert len(found) == PARTITIONS
    assert await database.lease_documents() == []
    assert sorted(recorder.ids()) == sorted(IDS)


async def test_lease_connection(
    database: Database, recorder: Recorder, app: AppWriter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = app(trigger(options='lease_connection="HostTestLeases"'))
    with running_server(tmp_path / "leases", partitions=1) as second:
        monkeypatch.setenv("HostTestLeases", second.connection_string)
        async with CosmosClient.from_connection_string(second.connection_string) as client:
            proxy = await client.create_database(database.name)
            leases = await proxy.create_container("leases", PartitionKey("/id"))
            await database.write(*IDS)
            async with hosting(folder):
                await drained(folder)
            query = "SELECT * FROM c WHERE IS_DEFINED(c.LeaseToken)"
            found = [item async for item in leases.query_items(query)]
    assert len(found) == PARTITIONS
    assert await database.lease_documents() == []
    assert sorted(recorder.ids()) == sorted(IDS)
