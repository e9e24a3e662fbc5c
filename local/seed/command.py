"""``python -m local seed``: writes a traffic plan to a database and tells what it wrote."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from local.connection import Connection
from local.console import notes, output
from local.seed.traffic import TrafficPlan, count_writes, writes
from local.seed.writer import CONTAINER, SeedSummary, write_traffic

PURPOSE = "seed"
"""What the request charges of the sample traffic are booked under."""


async def seed_database(connection: Connection, plan: TrafficPlan, *, concurrency: int = 16) -> SeedSummary:
    """Write all traffic of ``plan``, with a progress bar on standard error if that is a terminal."""
    async with connection.client(PURPOSE) as client:
        container = client.get_database_client(connection.database).get_container_client(CONTAINER)
        with _progress(plan) as advance:
            return await write_traffic(container, writes(plan), concurrency=concurrency, on_progress=advance)


@contextmanager
def _progress(plan: TrafficPlan) -> Iterator[Callable[[int], None]]:
    console = notes()
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        total = count_writes(plan) if console.is_terminal else None
        task = progress.add_task("Writing sample traffic", total=total)
        yield lambda amount: progress.advance(task, amount)


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
    table.add_row(f"{len(summary.users):,}", "people")
    table.add_row(f"{summary.malformed.total():,}", "of them malformed:")
    for kind, count in sorted(summary.malformed.items()):
        table.add_row("", f"{count} × {kind.replace('_', ' ')}")
    table.add_row(f"{summary.seconds:.1f}", "seconds")
    return table
