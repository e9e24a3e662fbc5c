"""``fleet schema``: bring the documents of a container to a newer schema version."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any

import typer

from ops.console import run
from shared.fleet.wiring import Fleet
from shared.maintenance.migrate import MAX_EXAMPLES, MigrationReport
from shared.maintenance.migrate_document import DOCUMENT_TYPES
from terminal.output import AsJson, Exit, commands, fail, print_json, print_table, progress, say
from terminal.tables import Table, detail, number, whole

schema_cli = commands("Schema versions of stored documents.")


@schema_cli.callback()
def schema() -> None:
    """Keep ``migrate`` a command of its group, although it is the only one."""


@schema_cli.command("migrate")
def migrate(
    container: Annotated[str, typer.Argument(help=f"The container: {', '.join(DOCUMENT_TYPES)}.")],
    to: Annotated[str, typer.Option("--to", help="The version that older documents are brought to: 1.1.")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Count by version, and write nothing.")] = False,
    ru_per_second: Annotated[
        float | None,
        typer.Option(min=1, help="Request units to spend per second; a tenth of the maximum if not given."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Rewrite the older documents of a container in a newer version. No figure changes.

    The command can be interrupted and run again. Documents keep their time of expiry. Exit code 1 if some
    stay as they are, because they cannot be read or would count differently.
    """

    async def work(fleet: Fleet) -> MigrationReport:
        with progress("documents") as advance:

            def on_progress(report: MigrationReport) -> None:
                tally = report.tally
                words = (
                    f"{tally.migrated:,} migrated, {report.ranges_left} of {report.ranges} ranges left, read"
                )
                advance(tally.versions.total(), None, words)

            return await fleet.migrator.migrate(
                container, to, dry_run=dry_run, ru_per_second=ru_per_second, on_progress=on_progress
            )

    report: MigrationReport = run(work)
    if as_json:
        print_json(_json(report))
    else:
        _print(report)
    left = report.tally.left
    if left:
        fail(
            f"{left.total():,} documents stay as they are, because of: {', '.join(sorted(left))}",
            Exit.REFUSED,
        )


def _json(report: MigrationReport) -> dict[str, Any]:
    tally = report.tally
    return {
        "container": report.container,
        "to": report.to,
        "dry_run": report.dry_run,
        "finished": report.finished,
        "versions": dict(sorted(tally.versions.items())),
        "migrated": tally.migrated,
        "moved": tally.moved,
        "ending": tally.ending,
        "ageing": tally.ageing,
        "left": dict(sorted(tally.left.items())),
        "examples": [{"field": field, "id": document_id} for field, document_id in report.examples],
        **asdict(report.cost),
    }


def _print(report: MigrationReport) -> None:
    tally = report.tally
    table = Table(whole("found in version"), number("documents"))
    for version, documents in sorted(tally.versions.items()):
        table.add(version, documents)
    print_table(table)
    done = "would be brought" if report.dry_run else "brought"
    moved = f", {tally.moved:,} of them into another partition or container" if tally.moved else ""
    ending = f"; {tally.ending:,} are about to expire" if tally.ending else ""
    ageing = f"; {tally.ageing:,} stay as they are for the archive" if tally.ageing else ""
    say(f"{tally.migrated:,} documents {done} to {report.to}{moved}{ending}{ageing}")
    say(f"{report.cost.request_units:,.0f} request units in {report.cost.seconds:.0f} s")
    if report.examples:
        table = Table(whole("left because of"), detail("id"))
        for field, document_id in report.examples:
            table.add(field, document_id)
        print_table(table)
        if tally.left.total() > MAX_EXAMPLES:
            say(f"No more than {MAX_EXAMPLES} of {tally.left.total():,} are named.")
