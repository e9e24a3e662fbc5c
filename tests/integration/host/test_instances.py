"""Several hosts share the work, take over from the dead, and start and stop as processes."""

from __future__ import annotations

import asyncio
import signal
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from local.host.errors import HostStartError
from local.host.lease_store import LOCK_SECONDS, HeldLease, LeaseLostError, LeaseStore, utc_now
from local.host.leases import Lease
from local.host.runner import Host, HostConfig
from tests.integration.host.conftest import (
    AppWriter,
    Database,
    balanced,
    drained,
    hosting,
    trigger,
    until,
)
from tests.integration.host.processes import host_process, spawn
from tests.integration.host.recorder import Recorder, Seen

# A function in a process of its own tells what happens by printing; it hangs where the process was told to.
PRINTING = """
import asyncio, json, os

@app.cosmos_db_trigger(
    arg_name="documents", connection="HostTestDb", database_name="%HOST_TEST_DATABASE%",
    container_name="items", lease_container_name="leases", start_from_beginning=True,
    feed_poll_delay=20, lease_acquire_interval=100, lease_expiration_interval=1500,
    lease_renew_interval=300, max_items_per_invocation=10
)
async def work(documents: func.DocumentList) -> None:
    ids = [document["id"] for document in documents]
    print(json.dumps({"began": ids}), flush=True)
    if "HOST_TEST_HANG" in os.environ:
        await asyncio.Event().wait()
    print(json.dumps({"ended": ids}), flush=True)
"""
HANG = {"HOST_TEST_HANG": "1"}
IDS = [f"d{n}" for n in range(30)]


async def test_two_instances_share_the_ranges_and_each_change_is_seen(
    database: Database, recorder: Recorder, app: AppWriter
) -> None:
    folder = app(trigger())
    async with hosting(folder, "one") as one:
        await balanced(database, one)
        async with hosting(folder, "two") as two:
            await balanced(database, one, two)
            await database.write(*IDS)
            await drained(folder)
            assert sorted(recorder.ids()) == sorted(IDS)
        await balanced(database, one)  # what "two" gave back is taken
        await database.write("later")
        await drained(folder)
    assert recorder.ids()[len(IDS) :] == ["later"]


async def test_four_instances_one_range_each(database: Database, recorder: Recorder, app: AppWriter) -> None:
    folder = app(trigger())
    async with (
        hosting(folder, "a") as a,
        hosting(folder, "b") as b,
        hosting(folder, "c") as c,
        hosting(folder, "d") as d,
    ):
        await balanced(database, a, b, c, d)
        await database.write(*IDS)
        await drained(folder)
    assert sorted(recorder.ids()) == sorted(IDS)


async def test_a_checkpoint_fails_once_the_lease_is_somebody_elses(
    database: Database, recorder: Recorder, app: AppWriter
) -> None:
    leave = asyncio.Event()

    async def wait(seen: Seen) -> None:
        if len(recorder.all) == 1:
            await leave.wait()

    recorder.behave = wait
    folder = app(trigger())
    await database.write("d0")
    async with hosting(folder, "one"):
        await recorder.until(lambda: len(recorder.all) == 1)
        busy = await _only_lease_without_position(database)
        thief = LeaseStore(database.leases, prefix=busy["id"].split("..")[0], owner="thief", process="p")
        stolen = await thief.acquire(Lease.from_document(busy))
        leave.set()
        await recorder.until(lambda: recorder.ids() == ["d0"])
        # Only the thief may write it: "one" has finished the batch but must not advance the lease.
        await stolen.renew()
        assert (await thief.read(busy["id"])) == stolen.lease
        assert stolen.lease.continuation is None
        await stolen.release()
        await drained(folder)
    assert recorder.ids() == ["d0", "d0"]  # so the batch came a second time


async def _only_lease_without_position(database: Database) -> dict[str, Any]:
    """Return the lease whose first batch is still in flight; the others have saved where they began."""
    found: list[dict[str, Any]] = []

    async def only_one() -> bool:
        found[:] = [item for item in await database.lease_documents() if item["ContinuationToken"] is None]
        return len(found) == 1

    await until(only_one)
    return found[0]


async def test_a_ghost_of_the_same_name_cannot_write_the_lease(database: Database) -> None:
    store = LeaseStore(database.leases, prefix="p", owner="host", process="first")
    await store.initialize(lambda: _one_range(database))
    [lease] = await store.list()
    ghost = await store.acquire(lease)
    successor = LeaseStore(database.leases, prefix="p", owner="host", process="second")
    held = await successor.acquire(replace(ghost.lease))
    await held.checkpoint('"7"')
    for write in (ghost.renew, ghost.release, lambda: ghost.checkpoint('"9"')):
        with pytest.raises(LeaseLostError):
            await write()
    assert (await successor.read(lease.id)) == held.lease


async def test_only_one_of_two_acquires(database: Database) -> None:
    stores = [LeaseStore(database.leases, prefix="p", owner=name, process="x") for name in "ab"]
    await stores[0].initialize(lambda: _one_range(database))
    [lease] = await stores[0].list()
    results = await asyncio.gather(*(store.acquire(lease) for store in stores), return_exceptions=True)
    assert sorted(type(result) for result in results if isinstance(result, HeldLease)) == [HeldLease]
    assert [type(result) for result in results if isinstance(result, Exception)] == [LeaseLostError]


async def test_instances_that_start_together_create_the_leases_once(database: Database) -> None:
    calls = []

    async def ranges() -> list[object]:
        calls.append(1)
        return await _one_range(database)

    stores = [LeaseStore(database.leases, prefix="p", owner=f"h{n}", process="x") for n in range(5)]
    await asyncio.gather(*(store.initialize(ranges) for store in stores))
    assert len(calls) == 1
    assert len(await stores[0].list()) == 1
    ids = [item["id"] async for item in database.leases.query_items("SELECT c.id FROM c")]
    assert "p.info" in ids
    assert "p.lock" not in ids


async def test_the_lock_of_an_instance_that_died_while_it_created_the_leases_is_taken_away(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    await database.leases.create_item({"id": "p.lock", "ttl": LOCK_SECONDS})
    later = utc_now() + timedelta(seconds=LOCK_SECONDS + 1)
    store = LeaseStore(database.leases, prefix="p", owner="heir", process="x")
    monkeypatch.setattr("local.host.lease_store.utc_now", lambda: later)
    async with asyncio.timeout(LOCK_SECONDS - 1):
        await store.initialize(lambda: _one_range(database))
    assert len(await store.list()) == 1


async def _one_range(database: Database) -> list[object]:
    from local.host.leases import FeedRange

    return [FeedRange("", "FF")]


async def test_a_host_killed_in_the_middle_of_a_batch_redelivers_it_to_another(
    database: Database, app: AppWriter
) -> None:
    folder = app(PRINTING)
    await database.write(*IDS)
    async with host_process(folder, "victim", env=HANG) as victim:
        await victim.until(lambda: bool(victim.printed("began")))
        async with host_process(folder, "heir") as heir:
            await victim.kill()
            await drained(folder)
            assert victim.printed("ended") == []
            assert {one for ids in heir.printed("ended") for one in ids} == set(IDS)
            assert set(await database.owners()) == {"heir"}


async def test_a_killed_host_that_is_restarted_under_its_name_goes_on_at_once(
    database: Database, app: AppWriter
) -> None:
    folder = app(PRINTING.replace("=1500", "=600000"))  # nothing expires during this test
    await database.write(*IDS)
    async with host_process(folder, "phoenix", env=HANG) as host:
        await host.until(lambda: bool(host.printed("began")))
    async with host_process(folder, "phoenix") as host:
        await drained(folder)
        assert {one for ids in host.printed("ended") for one in ids} == set(IDS)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_drains_releases_and_exits_with_0(
    database: Database, app: AppWriter, number: signal.Signals
) -> None:
    folder = app(PRINTING)
    await database.write(*IDS)
    async with host_process(folder, "one") as host:
        await drained(folder)
        assert await host.terminate(number) == 0
        events = [line["event"] for line in host.log()]
    assert events[-1] == "host_stopped"
    assert events.count("lease_released") == events.count("lease_acquired") > 1
    assert set(await database.owners()) == {None}


async def test_a_second_signal_ends_the_drain(database: Database, app: AppWriter) -> None:
    folder = app(PRINTING)
    await database.write("d0")
    async with host_process(folder, "one", env=HANG) as host:
        await host.until(lambda: bool(host.printed("began")))
        host.ask_to_stop()
        await until(lambda: _logged(host, "host_stopping"))
        assert await host.terminate() == 0
    assert host.printed("ended") == []
    assert set(await database.owners()) == {None}


async def _logged(host: object, event: str) -> bool:
    return any(line["event"] == event for line in host.log())  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("HostTestDb", "", ["HostTestDb", "must be set"]),
        ("HostTestDb", "nonsense", ["HostTestDb", "not a connection string"]),
        ("HostTestDb", "AccountEndpoint=http://127.0.0.1:9/;AccountKey=eA==;", ["HostTestDb", "reached"]),
        ("HOST_TEST_DATABASE", "absent", ["'absent'", "HOST_TEST_DATABASE", "does not exist"]),
        ("HOST_TEST_DATABASE", "", ["HOST_TEST_DATABASE is not set"]),
    ],
    ids=["none", "malformed", "unreachable", "no database", "unset"],
)
async def test_wrong_settings_end_the_start_with_one_sentence(
    database: Database,
    app: AppWriter,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    value: str,
    words: list[str],
) -> None:
    monkeypatch.setenv(name, value)
    await _start_fails(app(PRINTING), words)


async def test_a_host_that_cannot_start_exits_with_one_sentence_on_standard_error(
    database: Database, app: AppWriter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOST_TEST_DATABASE", "absent")
    host = await spawn(app(PRINTING), "one")
    try:
        assert await host.terminate_itself() == 2
    finally:
        await host.kill()
    [line] = host.errors()
    assert "The database 'absent'" in line


async def test_a_wrong_key_ends_the_start(
    database: Database, app: AppWriter, account: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    endpoint = account.partition("AccountKey=")[0]
    monkeypatch.setenv("HostTestDb", f"{endpoint}AccountKey=d3Jvbmc=;")
    await _start_fails(app(PRINTING), ["refuses the key", "HostTestDb"])


async def test_a_missing_container_ends_the_start(database: Database, app: AppWriter) -> None:
    await _start_fails(app(PRINTING.replace('"items"', '"gone"')), ["container 'gone'", "does not exist"])
    await _start_fails(app(PRINTING.replace('"leases"', '"gone"')), ["container 'gone'", "function work"])


async def test_two_functions_on_the_same_leases_end_the_start(database: Database, app: AppWriter) -> None:
    twice = PRINTING + PRINTING.replace("def work", "def again")
    await _start_fails(app(twice), ["work and again share", "lease_container_prefix"])


async def _start_fails(folder: Path, words: list[str]) -> None:
    with pytest.raises(HostStartError) as caught:
        await Host(HostConfig(folder, "one")).start()
    for word in words:
        assert word in str(caught.value)
    assert str(caught.value).count("\n") == 0
