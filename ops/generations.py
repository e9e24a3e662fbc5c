"""``fleet generations``: list the generations of the state, and remove earlier ones."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from ops.console import report_json, run
from shared.fleet.wiring import Fleet
from shared.ledger.generations import Generation
from shared.maintenance.remove_generation import RemovalReport
from shared.units import iso
from terminal.output import AsJson, commands, print_json, print_table, progress, say
from terminal.tables import Table, number, whole

generations_cli = commands("What the sources were counted into, and when.")


@generations_cli.command("list")
def list_generations(as_json: AsJson = False) -> None:
    """List the generations that view_state has state of: shards, layout, and whether they are complete."""

    async def work(fleet: Fleet) -> tuple[int, dict[int, Generation]]:
        return fleet.settings.generation, await fleet.generations.recorded()

    current, known = run(work)
    rows = [_row(number, generation, current) for number, generation in sorted(known.items())]
    if as_json:
        print_json(rows)
        return
    if not rows:
        say("No generation has begun.")
        return
    table = Table(
        number("generation"), number("shards"), number("layout"), whole("began"), "complete", "current"
    )
    for row in rows:
        table.add(*(row[name] for name in ("generation", "shards", "layout", "began", "complete", "current")))
    print_table(table)


def _row(number: int, generation: Generation, current: int) -> dict[str, Any]:
    return {
        "generation": number,
        "shards": generation.shards,
        "layout": generation.layout,
        "began": _time(generation.began),
        "complete": generation.complete,
        "completed": None if generation.completed is None else _time(generation.completed),
        "current": number == current,
    }


def _time(seconds: int) -> str:
    return iso(datetime.fromtimestamp(seconds, UTC))


@generations_cli.command("remove")
def remove_generation(
    generation: Annotated[int, typer.Argument(min=1, help="Number of an earlier generation.")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Count, and delete nothing.")] = False,
    as_json: AsJson = False,
) -> None:
    """Delete the state of an earlier generation. Published views stay.

    The command can be interrupted and run again. It refuses the current generation, and every earlier one
    until the current one is complete.
    """

    async def work(fleet: Fleet) -> RemovalReport:
        with progress("partitions") as advance:

            def on_progress(report: RemovalReport, partitions: int) -> None:
                advance(report.partitions, partitions)

            return await fleet.remover.remove(generation, dry_run=dry_run, on_progress=on_progress)

    report: RemovalReport = run(work)
    if as_json:
        print_json(report_json(report) | {"dry_run": dry_run})
        return
    done = "would be deleted" if dry_run else "deleted"
    say(f"{report.documents:,} documents of view_state and {report.records} of fleet_state {done}")
