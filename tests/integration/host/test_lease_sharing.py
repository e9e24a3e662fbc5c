"""One to five instances share the leases of two triggers; the dead and the paused lose theirs."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator
from contextlib import AsyncExitStack
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from local.host.leases import Lease
from local.host.runner import Host
from tests.cosmos_server import ServerProcess, running_server
from tests.integration.host.conftest import (
    EXPIRATION,
    AppWriter,
    Database,
    drained,
    hosting,
    trigger,
    until,
)
from tests.integration.host.processes import HostProcess, host_process
from tests.integration.host.recorder import Recorder

PARTITIONS = 7
"""More than the instances, and no multiple of two or more of them."""
INSTANCES = 5
IDS = [f"d{n}" for n in range(100)]
PATIENT = 15.0
"""Seconds after which leases expire where nobody dies: more than a busy machine keeps an instance waiting."""

# Says what happens by printing; goes on once the file exists that the process was told to wait for.
GATED = """
import asyncio, json, os, pathlib

@app.cosmos_db_trigger(
    arg_name="documents", connection="HostTestDb", database_name="%HOST_TEST_DATABASE%",
    container_name="items", lease_container_name="leases", start_from_beginning=True,
    feed_poll_delay=20, lease_acquire_interval=100, lease_expiration_interval=1500,
    lease_renew_interval=300, max_items_per_invocation=10
)
async def work(documents: func.DocumentList) -> None:
    ids = [document["id"] for document in documents]
    print(json.dumps({"began": ids}), flush=True)
    gate = pathlib.Path(os.environ.get("HOST_TEST_GATE", "/"))
    while not gate.exists():
        await asyncio.sleep(0.02)
    print(json.dumps({"ended": ids}), flush=True)
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A server of its own, with many physical partitions per container."""
    with running_server(tmp_path_factory.mktemp("cosmos"), partitions=PARTITIONS) as running:
        yield running


def working(host: Host, function: str) -> int:
    """Return how many leases of a function a host works on."""
    [found] = [row for row in host.status()["triggers"] if row["function"] == function]
    return int(found["leases"])


async def shared_evenly(database: Database, *hosts: Host) -> None:
    """Wait until all leases of both triggers are held, and no host holds two more of one than another."""

    async def is_so() -> bool:
        documents = await database.lease_documents()
        for function in ("work", "other"):
            held = Counter(
                item["Owner"]
                for item in documents
                if item["id"].startswith("other-") == (function == "other")
            )
            counts = {str(host.status()["id"]): working(host, function) for host in hosts}
            if {name: count for name, count in counts.items() if count} != dict(held):
                return False
            if sum(counts.values()) != PARTITIONS or max(counts.values()) - min(counts.values()) > 1:
                return False
        return True

    await until(is_so, seconds=60)


async def test_instances_that_join_and_leave_share_both_triggers_evenly(
    database: Database, recorder: Recorder, app: AppWriter
) -> None:
    other = trigger("other", options='lease_container_prefix="other-"', expiration=PATIENT)
    folder = app(trigger(expiration=PATIENT), other)
    async with AsyncExitStack() as running:
        hosts: list[Host] = []
        for number in range(INSTANCES):
            hosts.append(await running.enter_async_context(hosting(folder, f"host-{number}")))
            await shared_evenly(database, *hosts)
        await database.write(*IDS)
        await drained(folder)
        while len(hosts) > 1:
            await hosts.pop(len(hosts) // 2).stop()
            await shared_evenly(database, *hosts)
        await database.write("last")
        await drained(folder)
    # Each at least once. On a machine that is busy with other things a lease may expire while its instance
    # works, and then the platform, too, delivers again.
    for function in ("work", "other"):
        assert set(recorder.ids(function)) == {*IDS, "last"}


async def test_instances_that_start_and_end_at_once_share_evenly(
    database: Database, recorder: Recorder, app: AppWriter
) -> None:
    other = trigger("other", options='lease_container_prefix="other-"', expiration=PATIENT)
    folder = app(trigger(expiration=PATIENT), other)
    async with AsyncExitStack() as running:
        hosts = await asyncio.gather(
            *(running.enter_async_context(hosting(folder, f"host-{number}")) for number in range(4))
        )
        await shared_evenly(database, *hosts)
        await asyncio.gather(*(host.stop() for host in hosts[:2]))
        await shared_evenly(database, *hosts[2:])
        await database.write(*IDS)
        await drained(folder)
    for function in ("work", "other"):
        assert Counter(recorder.ids(function)) == Counter(IDS)


async def leases(database: Database) -> dict[str, Lease]:
    found = [Lease.from_document(document) for document in await database.lease_documents()]
    return {lease.token: lease for lease in found}


async def test_the_leases_of_a_dead_instance_are_taken_once_they_expired_and_not_before(
    database: Database, app: AppWriter
) -> None:
    folder = app(GATED)
    async with host_process(folder, "victim") as victim:
        await until(lambda: _all_owned_by(database, "victim"))
        await victim.kill()
        left = await leases(database)
        async with host_process(folder, "heir") as heir:
            await until(lambda: _logged(heir, "lease_acquired", PARTITIONS))
            taken = [line for line in heir.log() if line["event"] == "lease_acquired"]
            assert sorted(line["lease"] for line in taken) == sorted(left)
            assert {line["previous_owner"] for line in taken} == {"victim"}
            waited = [
                datetime.fromisoformat(line["timestamp"]) - left[line["lease"]].timestamp for line in taken
            ]
            early = [age for age in waited if age <= timedelta(seconds=EXPIRATION)]
            # Its share it may steal from an instance that looks alive; the rest only from a dead one.
            assert len(early) <= PARTITIONS // 2
            await database.write(*IDS)
            await drained(folder)
            assert {one for ids in heir.printed("ended") for one in ids} == set(IDS)


async def _all_owned_by(database: Database, name: str) -> bool:
    owners = await database.owners()
    return len(owners) == PARTITIONS and set(owners) == {name}


async def test_a_paused_instance_cannot_advance_what_it_lost(
    database: Database, app: AppWriter, tmp_path: Path
) -> None:
    folder, gate = app(GATED), tmp_path / "gate"
    await database.write(*IDS)
    async with host_process(folder, "ghost", env={"HOST_TEST_GATE": str(gate)}) as ghost:
        await ghost.until(lambda: len(ghost.printed("began")) == PARTITIONS)
        ghost.pause()
        async with host_process(folder, "heir") as heir:
            await drained(folder)
            assert {one for ids in heir.printed("ended") for one in ids} == set(IDS)
            assert ghost.printed("ended") == []
            before = {token: _number(lease) for token, lease in (await leases(database)).items()}
            gate.touch()
            ghost.resume()
            # It ends what it had begun, but may not save it: each of its leases is the heir's.
            await ghost.until(lambda: len(ghost.printed("ended")) >= PARTITIONS)
            await until(lambda: _logged(ghost, "lease_lost", PARTITIONS))
            after = {token: _number(lease) for token, lease in (await leases(database)).items()}
            assert all(after[token] >= before[token] for token in before)
            again = {one for ids in ghost.printed("began") for one in ids}
            assert again == {one for ids in ghost.printed("began")[:PARTITIONS] for one in ids}
            await database.write("afterwards")
            await drained(folder)
            ended = [one for host in (ghost, heir) for ids in host.printed("ended") for one in ids]
            assert "afterwards" in ended


async def _logged(host: HostProcess, event: str, leases: int) -> bool:
    """Say whether a host has logged an event for so many leases."""
    return len({line["lease"] for line in host.log() if line["event"] == event}) == leases


def _number(lease: Lease) -> int:
    return int(str(lease.continuation).strip('"'))
