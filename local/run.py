"""``python -m local run``: the stack with a trickle of live traffic, until it is interrupted."""

from __future__ import annotations

import asyncio
import shlex
from itertools import chain
from random import Random, SystemRandom
from time import time
from typing import NoReturn

from azure.cosmos.aio import DatabaseProxy
from azure.cosmos.exceptions import CosmosResourceNotFoundError

from local.connection import DEFAULT_DATA, stack_file
from local.ready import watch_ready
from local.seed.live_database import LiveDatabase
from local.seed.traffic import Write
from local.seed.writer import SeedSummary, apply_write
from local.stack import Stack, StackConfig, running_stack
from terminal.output import note, print_table, say
from terminal.tables import Table, detail, whole

PURPOSE = "live"
NOTICE_EVERY = 60.0
"""Seconds between two lines that say how much was written."""


async def run_live(config: StackConfig, *, users: int, per_minute: float) -> NoReturn:
    """Start the stack, say where to look and write live traffic until cancelled."""
    async with running_stack(config) as stack:
        print_where_to_look(stack)
        try:
            await stack.alongside(_live(stack, users, per_minute))
        finally:
            say("Stopping: hosts first, so that they can finish what they are doing …")


async def _live(stack: Stack, users: int, per_minute: float) -> NoReturn:
    """Write traffic, and tell when a host cannot work."""
    work = (watch_ready(stack.hosts, _warn), _trickle(stack, users, per_minute))
    tasks = [asyncio.create_task(each) for each in work]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
    raise AssertionError("both run until they are cancelled")


def _warn(sentence: str) -> None:
    note(f"warning: {sentence}")


def print_where_to_look(stack: Stack) -> None:
    """Print what a person who started the stack wants to know next."""
    say("The fleet is running. Ctrl-C stops it.")
    data = stack.config.data
    places = Table("", whole(""))
    places.add("Database", stack.cosmos["endpoint"])
    places.add("Blob Storage", f"http://127.0.0.1:{stack.blob_port}/devstoreaccount1")
    for host in stack.hosts:
        places.add(host["instance"], f"http://127.0.0.1:{host['http_port']}/api/health")
    places.add("Settings", stack_file(data))
    places.add("Logs", f"{stack.logs}/*.log")
    say()
    print_table(places)
    option = "" if data == DEFAULT_DATA else f" --data {shlex.quote(str(data))}"
    local = ".venv/bin/python -m local"
    hints = Table(whole(""), detail(""))
    hints.add(f'eval "$({local} env{option})"', "settings for .venv/bin/fleet")
    hints.add(".venv/bin/fleet poison groups", "what went to poison, and why")
    hints.add(f"{local} settle{option}", "is everything published?")
    hints.add(f"{local} seed{option}", "write four weeks of traffic")
    hints.add(f"{local} host{option} --instance x", "add one more host")
    say()
    print_table(hints)


async def _trickle(stack: Stack, users: int, per_minute: float) -> NoReturn:
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
                await write_live(database, write, traffic, written)
            if time() - noticed >= NOTICE_EVERY:
                noticed = time()
                say(f"{written.created:,} interactions written, {written.replaced:,} rated so far")


async def write_live(
    database: DatabaseProxy, write: Write, traffic: LiveDatabase, written: SeedSummary
) -> None:
    """Do one write. A person whose document is gone was erased while they asked: they leave."""
    try:
        await apply_write(database, write, written)
    except CosmosResourceNotFoundError:
        if write.kind == "create":  # the container is missing
            raise
        traffic.leave(write.lane)
