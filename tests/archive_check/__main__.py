"""``python -m tests.archive_check``: archive 50,000 documents, kill hosts on the way, read all of it back."""

from __future__ import annotations

import asyncio
import json
import shutil
import tempfile
from pathlib import Path
from time import monotonic
from typing import Annotated

import typer

from tests.archive_check.read_back import is_right
from tests.archive_check.run import CheckReport, run_check

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)

FLAT_MEGABYTES = 60
"""Megabytes that a host may grow after its first tenth: the allocator's, and one page of each range."""


@app.command()
def main(
    documents: Annotated[int, typer.Option(min=10, help="Aged documents.")] = 50_000,
    kills: Annotated[int, typer.Option(min=0, help="Hosts killed with -9 on the way.")] = 3,
    hosts: Annotated[int, typer.Option(min=1, max=8, help="Functions hosts.")] = 2,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Exit code 0 only if every aged document is in the storage once, right, and no young one."""
    data, started = Path(tempfile.mkdtemp(prefix="fleet-archive-")), monotonic()

    def tell(what: str) -> None:
        typer.echo(f"{monotonic() - started:6.1f} s  {what}", err=True)

    report = asyncio.run(run_check(data, documents, kills=kills, hosts=hosts, tell=tell))
    holds = (
        is_right(report.read_back, documents)
        and report.status == "Completed"
        and report.kills == kills
        and is_flat(report)
    )
    if as_json:
        typer.echo(json.dumps(report.as_json() | {"holds": holds}))
    else:
        typer.echo(summary(report))
        typer.echo("everything holds" if holds else f"SOMETHING DOES NOT HOLD; the data is kept in {data}")
    if not holds:
        raise typer.Exit(1)
    shutil.rmtree(data)


def is_flat(report: CheckReport) -> bool:
    """Return whether no host grew much after it had warmed up."""
    return all(
        max(sizes) - sizes[len(sizes) // 10 + 4] <= FLAT_MEGABYTES
        for sizes in report.memory.values()
        if len(sizes) > 10
    )


def summary(report: CheckReport) -> str:
    """Return the report as text."""
    memory = "; ".join(
        f"{name} {sizes[0]} to {max(sizes)} MB, {sizes[-1]} at the end"
        for name, sizes in report.memory.items()
        if sizes
    )
    return "\n".join(
        (
            f"{report.documents:,} documents in {report.seconds} s: "
            f"{report.documents / max(report.seconds, 0.1):.0f} per second, {report.kills} hosts killed",
            f"stored {report.archived:,}, found stored {report.known:,} (of what hosts could report)",
            f"{report.requests / report.documents:.3f} requests and "
            f"{report.request_units / report.documents:.2f} RU per document",
            f"read back: {report.read_back}",
            f"a run with nothing to do: {report.idle}",
            f"memory: {memory}",
        )
    )


if __name__ == "__main__":
    app()
