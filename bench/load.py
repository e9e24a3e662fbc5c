"""``python -m bench.load``: one client process that puts load on a database server through the SDK.

The SDK's client uses a whole core, so several processes are needed to measure a server.
Each reads one line of JSON with its task, says when it is connected, begins at a sign, works for a fixed
time, and prints what it did.
"""

from __future__ import annotations

import asyncio
import json
import random
import sys
import time
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass
from typing import Any

import uvloop
from azure.core.exceptions import AzureError
from azure.cosmos.aio import ContainerProxy, CosmosClient

from shared.cosmos.client import transport

DATABASE, CONTAINER = "bench", "items"
KEYS = 1_000
"""Logical partitions; the items are spread over them evenly."""

ITEM_BYTES = 1_024


@dataclass(frozen=True, slots=True)
class Task:
    """What one client process is to do."""

    endpoint: str
    key: str
    operation: str
    """``read`` or ``upsert``."""
    items: int
    """How many items there are."""
    seconds: float
    concurrency: int
    seed: int


def item(number: int, version: int) -> dict[str, Any]:
    """Return an item that is stored in about 1 KB, with the system properties."""
    document = {
        "id": f"item-{number:08d}",
        "pk": partition_key(number),
        "number": number,
        "version": version,
        "kind": "bench",
    }
    return {**document, "text": "x" * (ITEM_BYTES - 296)}


def partition_key(number: int) -> str:
    """Return the partition key of an item."""
    return f"key-{number % KEYS:04d}"


def client_of(endpoint: str, key: str) -> CosmosClient:
    """Return a client that stays with its endpoint: the npm server names another.

    It asks for eventual consistency: with session tokens, which the npm server does not give, the SDK hashes
    the partition key of each read once more, in Python.
    """
    return CosmosClient(
        endpoint,
        key,
        transport=transport(endpoint),
        enable_endpoint_discovery=False,
        user_agent_suffix="bench",
        consistency_level="Eventual",
    )


def one(container: ContainerProxy, task: Task) -> Callable[[], Awaitable[Any]]:
    """Return a call that does the operation once, on a random item."""
    dice = random.Random(task.seed)

    async def read() -> Any:
        number = dice.randrange(task.items)
        return await container.read_item(f"item-{number:08d}", partition_key(number))

    async def upsert() -> Any:
        number = dice.randrange(task.items)
        return await container.upsert_item(item(number, dice.randrange(1_000_000)), no_response=True)

    return read if task.operation == "read" else upsert


async def work(task: Task) -> dict[str, float]:
    """Do the operation concurrently for the given time; return the number of operations, and the duration."""
    client = client_of(task.endpoint, task.key)
    try:
        await client.__aenter__()
        container = client.get_database_client(DATABASE).get_container_client(CONTAINER)
        call = one(container, task)
        await call()
        _say({"connected": True})
        await asyncio.to_thread(sys.stdin.readline)
        begun, spent = time.monotonic(), time.process_time()
        end = begun + task.seconds
        done = 0

        async def repeat() -> None:
            nonlocal done
            while time.monotonic() < end:
                await call()
                done += 1

        await asyncio.gather(*(repeat() for _ in range(task.concurrency)))
        return {
            "done": done,
            "seconds": time.monotonic() - begun,
            "cpu_seconds": time.process_time() - spent,
        }
    finally:
        await client.close()


def _say(report: dict[str, Any]) -> None:
    print(json.dumps(report), flush=True)


def main() -> None:
    """Do the task on standard input."""
    task = Task(**json.loads(sys.stdin.readline()))
    try:
        report: dict[str, Any] = dict(uvloop.run(work(task)))
    except AzureError as error:
        report = {"error": str(error.message).splitlines()[0]}
    _say(report)


def encode(task: Task) -> bytes:
    """Return the line with the task of a client process."""
    return json.dumps(asdict(task)).encode() + b"\n"


if __name__ == "__main__":
    main()
