"""The local database server under load, through the SDK, and the npm package in its place in the same run."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import secrets
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import aiohttp
from azure.core.exceptions import AzureError
from azure.cosmos import PartitionKey
from azure.cosmos.aio import ContainerProxy

from bench.load import CONTAINER, DATABASE, KEYS, Task, client_of, item, partition_key
from bench.load_client import ClientProcess
from bench.load_figures import OPERATIONS, LoadFigures, Rate, ServerFigures
from local.ports import HOST, free_port
from local.processes import ROOT, Child, StackError, start_child, start_command

OURS, OTHER = "local server", "@vercel/cosmosdb-server"
START_SECONDS, GRACE_SECONDS = 30.0, 10.0
SEED_SECONDS = 90.0
"""A server that has not stored the items by then is measured with a tenth of them, which favours it."""
PATIENCE_SECONDS = 60.0
"""Seconds by which a client process may exceed the duration of its task."""

CLIENTS = 2
CONCURRENCY = 64
"""Requests in flight of each client process: enough that no processor waits for work."""

BATCH = 100

# Plain HTTP and persistent connections favour it: its command offers HTTPS, and closes each connection.
SERVE = (
    'require("@vercel/cosmosdb-server").createHttpServer({keepAlive: true})'
    '.listen(Number(process.argv[1]), "127.0.0.1")'
)


@dataclass(frozen=True, slots=True)
class LoadPlan:
    """How much load."""

    items: int
    seconds: float
    """Of each operation on each server."""


@dataclass(frozen=True, slots=True)
class _Target:
    name: str
    endpoint: str
    key: str
    pid: int


async def measure_local_server(plan: LoadPlan, progress: Callable[[str], None]) -> LoadFigures:
    """Measure both servers, one after the other; what one of them cannot do is missing, with the reason."""
    found = []
    for name, serving in ((OURS, _our_server), (OTHER, _npm_server)):
        progress(f"{name}: {plan.items:,} items, reads and upserts")
        with tempfile.TemporaryDirectory(prefix="fleet-bench-") as directory:
            try:
                found.append(await _measure_one(serving, Path(directory), plan, progress))
            except (StackError, AzureError) as error:
                found.append(ServerFigures(name, unavailable=str(error).splitlines()[0]))
    return LoadFigures(plan.items, CLIENTS, *found)


async def _measure_one(
    serving: Callable[[Path], AbstractAsyncContextManager[_Target]],
    directory: Path,
    plan: LoadPlan,
    progress: Callable[[str], None],
) -> ServerFigures:
    try:
        async with serving(directory) as target:
            return await _measure(target, plan)
    except TimeoutError:
        reason = f"it did not store {plan.items:,} items within {SEED_SECONDS:g} s"
    fewer = replace(plan, items=plan.items // 10)
    if not fewer.items:
        raise StackError(reason)
    progress(f"{reason}: {fewer.items:,}")
    with tempfile.TemporaryDirectory(prefix="fleet-bench-") as another:
        figures = await _measure_one(serving, Path(another), fewer, progress)
    return replace(figures, unavailable=reason if figures.unavailable is None else figures.unavailable)


async def _measure(target: _Target, plan: LoadPlan) -> ServerFigures:
    """Store the items, then put on the load.

    Raises
    ------
    TimeoutError
        It stores too slowly.
    """
    async with asyncio.timeout(SEED_SECONDS):
        await _seed(target, plan.items)
    seeded = _resident_bytes(target.pid)
    rates: dict[str, Rate] = {}
    missing: list[str] = []
    for operation in OPERATIONS:
        try:
            rates[operation] = await _load(target, plan, operation)
        except StackError as error:
            missing.append(f"{operation}: {error}")
    return ServerFigures(
        target.name,
        rates,
        seeded,
        _resident_bytes(target.pid),
        "; ".join(missing) if missing else None,
        plan.items,
    )


async def _seed(target: _Target, items: int) -> None:
    """Store the items, a transactional batch of a logical partition at a time."""
    async with client_of(target.endpoint, target.key) as client:
        database = await client.create_database(DATABASE)
        container = await database.create_container(CONTAINER, PartitionKey("/pk"))
        pending = iter(range(min(KEYS, items)))

        async def store() -> None:
            for number in pending:
                numbers = range(number, items, KEYS)
                for start in range(0, len(numbers), BATCH):
                    await _store_batch(target, container, numbers[start : start + BATCH])

        await asyncio.gather(*(store() for _ in range(4)))
        counts: list[Any] = [count async for count in container.query_items("SELECT VALUE COUNT(1) FROM c")]
        if counts != [items]:
            raise StackError(f"it says that it holds {counts} items, and {items} were stored")


async def _store_batch(target: _Target, container: ContainerProxy, numbers: range) -> None:
    key = partition_key(numbers[0])
    if target.name == OURS:
        operations = [("upsert", (item(number, 0),)) for number in numbers]
        await container.execute_item_batch(operations, partition_key=key)
        return
    # Its batches want a partition key in each operation, which no SDK sends.
    headers = {"x-ms-cosmos-is-batch-request": "True", "x-ms-cosmos-batch-atomic": "True"}
    content = [
        {"operationType": "Upsert", "partitionKey": json.dumps([key]), "resourceBody": item(number, 0)}
        for number in numbers
    ]
    url = f"{target.endpoint}dbs/{DATABASE}/colls/{CONTAINER}/docs"
    async with (
        aiohttp.ClientSession() as session,
        session.post(url, headers=headers, data=json.dumps(content)) as response,
    ):
        text = await response.text()
        if response.status >= 300:
            raise StackError(f"it answered {response.status} to a batch: {text[:100]}")


async def _load(target: _Target, plan: LoadPlan, operation: str) -> Rate:
    """Let the client processes work at the same time; return what they did together.

    Raises
    ------
    StackError
        One of them failed.
    """
    tasks = [
        Task(target.endpoint, target.key, operation, plan.items, plan.seconds, CONCURRENCY, seed)
        for seed in range(CLIENTS)
    ]
    clients = [await ClientProcess.start(task) for task in tasks]
    try:
        async with asyncio.timeout(plan.seconds + PATIENCE_SECONDS):
            for client in clients:
                await client.answer()
            before = _cpu_seconds(target.pid)
            for client in clients:
                client.go()
            reports = [await client.answer() for client in clients]
            after = _cpu_seconds(target.pid)
    except TimeoutError:
        raise StackError("a client process did not finish") from None
    finally:
        for client in clients:
            await client.end()
    done = sum(report["done"] for report in reports)
    spent = None if before is None or after is None else (after - before) * 1_000 / done
    clients_spent = sum(report["cpu_seconds"] for report in reports) * 1_000 / done
    return Rate(sum(report["done"] / report["seconds"] for report in reports), spent, clients_spent)


@asynccontextmanager
async def _our_server(data: Path) -> AsyncIterator[_Target]:
    child, report = await start_command(
        "cosmos",
        ["cosmos", "--port", "0", "--data", str(data / "cosmos"), "--partitions", "1"],
        log=data / "cosmos.log",
        environment=os.environ,
        timeout=START_SECONDS,
    )
    key = report["connection_string"].partition("AccountKey=")[2].rstrip(";")
    try:
        yield _Target(OURS, report["endpoint"], key, child.pid)
    finally:
        await child.stop(GRACE_SECONDS)


@asynccontextmanager
async def _npm_server(data: Path) -> AsyncIterator[_Target]:
    if not (ROOT / "node_modules" / "@vercel" / "cosmosdb-server").exists():
        raise StackError("it is not installed: run `make setup`")
    port = free_port()
    child = await start_child(
        OTHER, ["node", "-e", SERVE, str(port)], log=data / "npm.log", environment=os.environ
    )
    try:
        try:
            async with asyncio.timeout(START_SECONDS):
                await _listens(child, port)
        except TimeoutError:
            raise StackError(f"it did not listen within {START_SECONDS:g} s") from None
        # It accepts any key.
        key = base64.b64encode(secrets.token_bytes(64)).decode()
        yield _Target(OTHER, f"http://{HOST}:{port}/", key, child.pid)
    finally:
        await child.stop(GRACE_SECONDS)


async def _listens(child: Child, port: int) -> None:
    while True:
        if child.process.returncode is not None:
            raise child.failure()
        try:
            _, writer = await asyncio.open_connection(HOST, port)
        except OSError:
            await asyncio.sleep(0.05)
            continue
        writer.close()
        await writer.wait_closed()
        return


def _resident_bytes(pid: int) -> int | None:
    status = Path(f"/proc/{pid}/status")
    if not status.exists():
        return None
    (kilobytes,) = (line.split()[1] for line in status.read_text().splitlines() if line.startswith("VmRSS"))
    return int(kilobytes) * 1024


def _cpu_seconds(pid: int) -> float | None:
    """Return the processor time that a process has spent, in user and kernel mode."""
    stat = Path(f"/proc/{pid}/stat")
    if not stat.exists():
        return None
    fields = stat.read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
