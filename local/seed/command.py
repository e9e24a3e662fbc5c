"""``python -m local seed``: writes a traffic plan to a database and tells what it wrote."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from local.connection import Connection
from local.seed.database import count_database_writes, database_writes
from local.seed.passages import VECTORS
from local.seed.traffic import TrafficPlan, Write
from local.seed.writer import SeedSummary, Written, write_traffic
from terminal.output import print_json, print_table, progress
from terminal.tables import Table, number

PURPOSE = "seed"
"""What the request charges of the sample traffic are booked under."""


async def seed_database(connection: Connection, plan: TrafficPlan, *, concurrency: int = 16) -> SeedSummary:
    """Write all traffic of ``plan``, with a progress bar on standard error if that is a terminal."""
    async with connection.client(PURPOSE) as client:
        database = client.get_database_client(connection.database)
        traffic = database_writes(plan)
        with _progress(plan) as advance:
            return await write_traffic(database, traffic, concurrency=concurrency, on_progress=advance)


@contextmanager
def _progress(plan: TrafficPlan) -> Iterator[Callable[[Write], None]]:
    """Report writes against a fixed total. It leaves out passages: how many are cited shows only later."""
    total = count_database_writes(plan) if sys.stderr.isatty() else None
    done = 0
    with progress("Writing sample traffic") as report:

        def advance(write: Write) -> None:
            nonlocal done
            if write.container != VECTORS:
                done += 1
                report(done, total)

        yield advance


def print_summary(summary: SeedSummary, *, as_json: bool) -> None:
    """Print what was written to standard output."""
    if as_json:
        print_json(summary.as_json(), indent=None)
    else:
        print_table(summary_table(summary))


def summary_table(summary: SeedSummary) -> Table:
    """Return what was written as a table."""
    table = Table(number(""), "", title="Written")
    table.add(f"{summary.created:,}", "interactions created")
    if summary.already_there:
        table.add(f"{summary.already_there:,}", "interactions that were there already")
    table.add(f"{summary.replaced:,}", "replaced when their rating came")
    table.add(f"{len(summary.per_person):,}", "people")
    if summary.refusing:
        table.add(f"{len(summary.refusing):,}", "people who refuse user-level analytics")
    _add_malformed(table, summary, "interactions malformed:")
    for container, written in summary.beside.items():
        table.add(f"{written.created:,}", f"documents created in {container}")
        if written.already_there:
            table.add(f"{written.already_there:,}", f"documents that were there already in {container}")
        if written.replaced:
            table.add(f"{written.replaced:,}", f"replaced in {container}")
        if written.malformed:
            _add_malformed(table, written, "of them malformed:")
    table.add(f"{summary.seconds:.1f}", "seconds")
    return table


def _add_malformed(table: Table, written: Written, heading: str) -> None:
    table.add(f"{written.malformed.total():,}", heading)
    for kind, count in sorted(written.malformed.items()):
        table.add("", f"{count} × {kind.replace('_', ' ')}")
