"""``python -m local seed``: writes a traffic plan to a database and tells what it wrote."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from local.connection import Connection
from local.console import notes, output
from local.seed.database import count_database_writes, database_writes
from local.seed.passages import VECTORS
from local.seed.traffic import TrafficPlan, Write
from local.seed.writer import SeedSummary, Written, write_traffic

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
    console = notes()
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        total = count_database_writes(plan) if console.is_terminal else 0
        task = progress.add_task("Writing sample traffic", total=total)

        def advance(write: Write) -> None:
            nonlocal total
            if write.container == VECTORS:  # nobody knows how many there will be: the end moves with them
                total += 1
            progress.update(task, advance=1, total=total)

        yield advance


def print_summary(summary: SeedSummary, *, as_json: bool) -> None:
    """Print what was written to standard output."""
    if as_json:
        print(json.dumps(summary.as_json()))
        return
    output().print(summary_table(summary))


def summary_table(summary: SeedSummary) -> Table:
    """Return what was written as a table."""
    table = Table(title="Written", title_justify="left", show_header=False, box=None)
    table.add_column(justify="right")
    table.add_column()
    table.add_row(f"{summary.created:,}", "interactions created")
    if summary.already_there:
        table.add_row(f"{summary.already_there:,}", "interactions that were there already")
    table.add_row(f"{summary.replaced:,}", "replaced when their rating came")
    table.add_row(f"{len(summary.per_person):,}", "people")
    if summary.refusing:
        table.add_row(f"{len(summary.refusing):,}", "people who refuse user-level analytics")
    _add_malformed(table, summary, "interactions malformed:")
    for container, written in summary.beside.items():
        table.add_row(f"{written.created:,}", f"documents created in {container}")
        if written.already_there:
            table.add_row(f"{written.already_there:,}", f"documents that were there already in {container}")
        if written.replaced:
            table.add_row(f"{written.replaced:,}", f"replaced in {container}")
        if written.malformed:
            _add_malformed(table, written, "of them malformed:")
    table.add_row(f"{summary.seconds:.1f}", "seconds")
    return table


def _add_malformed(table: Table, written: Written, heading: str) -> None:
    table.add_row(f"{written.malformed.total():,}", heading)
    for kind, count in sorted(written.malformed.items()):
        table.add_row("", f"{count} × {kind.replace('_', ' ')}")
