"""``python -m local run``: the stack with a trickle of live traffic, until it is interrupted."""

from __future__ import annotations

import asyncio
from itertools import chain
from random import Random, SystemRandom
from time import time
from typing import NoReturn

from rich.console import Console

from local.connection import stack_file
from local.console import output
from local.seed.live_database import LiveDatabase
from local.seed.writer import SeedSummary, apply_write
from local.stack import Stack, StackConfig, running_stack

PURPOSE = "live"
NOTICE_EVERY = 60.0
"""Seconds between two lines that say how much was written."""


async def run_live(config: StackConfig, *, users: int, per_minute: float) -> NoReturn:
    """Start the stack, say where to look and write live traffic until cancelled."""
    console = output()
    async with running_stack(config) as stack:
        console.print(where_to_look(stack), markup=False, highlight=False, soft_wrap=True)
        try:
            await stack.alongside(_trickle(stack, users, per_minute, console))
        finally:
            console.print("Stopping: hosts first, so that they can finish what they are doing …")


def where_to_look(stack: Stack) -> str:
    """Return what a person who started the stack wants to know next."""
    data = stack.config.data
    lines = [
        "The fleet is running. Ctrl-C stops it.",
        "",
        f"  Database      {stack.cosmos['endpoint']}",
        f"  Connection    settings.CosmosDb in {stack_file(data)}",
        f"  Blob Storage  http://127.0.0.1:{stack.blob_port}/devstoreaccount1",
        *(f"  {host['instance']:<12}  http://127.0.0.1:{host['http_port']}" for host in stack.hosts),
        f"  Logs          {stack.logs}/*.log",
        "",
        f'  eval "$(.venv/bin/python -m local env --data {data})"      settings for .venv/bin/fleet',
        f"  .venv/bin/python -m local settle --data {data}             is everything published?",
        f"  .venv/bin/python -m local seed --data {data}               write four weeks of sample traffic",
        f"  .venv/bin/python -m local host --data {data} --instance x  add one more host",
    ]
    return "\n".join(lines)


async def _trickle(stack: Stack, users: int, per_minute: float, console: Console) -> NoReturn:
    """Write questions at random intervals, ``per_minute`` in the mean, and the ratings that follow."""
    random = Random()  # intervals of sample traffic
    traffic = LiveDatabase(users, SystemRandom().getrandbits(32))
    written = SeedSummary()
    noticed = time()
    connection = stack.connection
    async with connection.client(PURPOSE) as client:
        database = client.get_database_client(connection.database)
        for write in traffic.begin(round(time() * 1000)):
            await apply_write(database, write, written)
        while True:
            await asyncio.sleep(random.expovariate(per_minute / 60))
            now = round(time() * 1000)
            for write in chain(traffic.due(now), traffic.ask(now)):
                await apply_write(database, write, written)
            if time() - noticed >= NOTICE_EVERY:
                noticed = time()
                console.print(f"{written.created:,} interactions written, {written.replaced:,} rated so far")
