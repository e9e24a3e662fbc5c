"""A running fleet for tests: write traffic, wait until it is drained, compare every view."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from azure.cosmos.aio import ContainerProxy, DatabaseProxy
from tenacity import AsyncRetrying, retry_if_result, stop_after_delay, wait_fixed

from local.drain import DrainResult, drain_feeds
from local.seed.traffic import TrafficPlan, writes
from local.stack import Stack, StackConfig, running_stack
from shared.fleet.wiring import connected_fleet
from shared.settings import Settings
from tests.acceptance.commands import PATIENCE, ROOT, environment
from tests.corrections import answered_by_another, at_another_time
from tests.cosmos_server import ServerProcess
from tests.independent import Document, assert_views_equal, is_malformed

FLEET, HOST = "vimarsh-fleet", "vimarsh-host"
"""How the clients of the fleet and of the hosts name themselves: faults strike them, not the test's own."""


class RunningFleet:
    """A stack with a client of the test's own."""

    def __init__(self, stack: Stack, database: DatabaseProxy) -> None:
        self.stack = stack
        self.database = database

    @property
    def interactions(self) -> ContainerProxy:
        return self.database.get_container_client("user_interactions")

    def server(self, method: str, name: str, body: Document | None = None) -> Any:
        """Call the database server's admin surface."""
        cosmos = self.stack.cosmos
        process = ServerProcess(None, cosmos["endpoint"], cosmos["port"], cosmos["connection_string"])  # type: ignore[arg-type]
        return process.local(method, name, body)

    def commits(self) -> int:
        """Return how many transactional batches the hosts have sent: tells how far they are."""
        accounts = self.server("GET", "charges")["accounts"]
        return sum(a["requests"] for a in accounts if (a["client"], a["operation"]) == (FLEET, "batch"))

    async def all_of(self, container: str) -> list[Document]:
        """Return every document of a container."""
        client = self.database.get_container_client(container)
        return [item async for item in client.query_items("SELECT * FROM c")]

    async def write(self, documents: Iterable[Document]) -> None:
        """Upsert documents, one after the other."""
        for document in documents:
            await self.interactions.upsert_item(document)

    async def drain(self, timeout: float = PATIENCE) -> DrainResult:
        """Wait until every feed is drained and published."""
        drained = await drain_feeds(self.stack.connection, timeout=timeout)
        assert drained.drained, drained.as_json()
        return drained

    async def publish_scheduled(self) -> None:
        """Do what timers do: build contents, count people. The feed publishes the days that this changes."""
        async with connected_fleet(Settings(**self.stack.settings)) as fleet:
            await fleet.scheduled.publish_due(everything=True)
        await self.drain()

    async def assert_views_are_right(self) -> list[Document]:
        """Compare the views with the documents as they stand; return the documents.

        A timer may have built the content of a day, or counted people, before the last corrections: both are
        done again first.
        """
        await self.publish_scheduled()
        documents = await self.all_of("user_interactions")
        daily, users = await self.all_of("daily_metrics"), await self.all_of("user_analytics")
        assert_views_equal(daily, users, documents)
        return documents

    async def assert_poison_holds_the_malformed(self, documents: list[Document]) -> None:
        """Check that there is one row for each malformed document, and no other."""
        rows = await self.all_of("poison_messages")
        malformed = [d for d in documents if is_malformed(d)]
        key = [(row["source_partition_key"], row["document_id"]) for row in rows]
        assert sorted(key, key=repr) == sorted(((d.get("user_id"), d["id"]) for d in malformed), key=repr)
        assert all(row["error_field"] and row["error_message"] for row in rows)


async def until(condition: Callable[[], bool]) -> None:
    """Wait for a condition that only the server can tell."""

    async def check() -> bool:
        return condition()

    patiently = AsyncRetrying(
        retry=retry_if_result(lambda met: not met), wait=wait_fixed(0.02), stop=stop_after_delay(PATIENCE)
    )
    await patiently(check)


@asynccontextmanager
async def running_fleet(data: Path, *, instances: int) -> AsyncIterator[RunningFleet]:
    """Start database, blob storage and hosts; stop them at the end."""
    async with (
        running_stack(StackConfig(data, instances)) as stack,
        stack.connection.client("tests") as client,
    ):
        yield RunningFleet(stack, client.get_database_client(stack.settings["COSMOS_DATABASE"]))


class Victim:
    """A host that a test kills. Its log tells what it was doing."""

    def __init__(self, process: asyncio.subprocess.Process, log: Path) -> None:
        self._process = process
        self._log = log.open(encoding="utf-8", errors="replace")
        self._unfinished = ""
        self._under_way: dict[str, str] = {}
        """Functions by the ids of their invocations."""

    def is_working_on(self, function: str) -> bool:
        """Say whether an invocation of a function has begun and not ended."""
        *lines, self._unfinished = (self._unfinished + self._log.read()).split("\n")
        for line in lines:
            if not line.startswith("{"):  # not of the host
                continue
            entry = json.loads(line)
            match entry.get("event"):
                case "invocation_started":
                    self._under_way[entry["invocation_id"]] = entry["function"]
                case "invocation_succeeded" | "invocation_failed":
                    self._under_way.pop(entry["invocation_id"], None)
        return function in self._under_way.values()

    async def kill(self) -> None:
        """Kill it with -9."""
        os.kill(self._process.pid, signal.SIGKILL)
        await self._process.wait()

    def close(self) -> None:
        """Read its log no more."""
        self._log.close()


@asynccontextmanager
async def extra_host(data: Path, name: str, log: Path) -> AsyncIterator[Victim]:
    """Start one more host on a running stack; kill it at the end unless it is dead by then."""
    with log.open("wb") as errors:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "local", "host", "--instance", name, "--data", str(data),
            cwd=ROOT, env=environment(), stdout=asyncio.subprocess.PIPE, stderr=errors,
        )  # fmt: skip
    victim = Victim(process, log)
    try:
        assert process.stdout is not None
        line = await asyncio.wait_for(process.stdout.readline(), PATIENCE)
        assert line, f"{name} did not start; {log} says why"
        yield victim
    finally:
        if process.returncode is None:
            await victim.kill()
        victim.close()


def unreliable_history(plan: TrafficPlan) -> Iterator[Document]:
    """Yield writes in order: sample traffic, and every so often a repetition or a correction of the past."""
    seen: list[Document] = []
    for number, write in enumerate(writes(plan)):
        yield write.document
        if write.defect:
            continue
        seen.append(write.document)
        old = seen[number * 7919 % len(seen)]
        match number % 9:
            case 2:
                yield old  # an upsert that changes nothing but the etag
            case 4:
                yield at_another_time(old, number)
            case 6 if old.get("cost_data"):
                yield answered_by_another(old, number)
