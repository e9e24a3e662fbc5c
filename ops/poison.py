"""``fleet poison``: documents that could not be processed."""

from __future__ import annotations

import getpass
from typing import Annotated, Any

import typer

from ops.console import run
from shared.fleet import Fleet
from shared.poison.rows import Status
from terminal.output import AsJson, commands, print_json, print_table, say
from terminal.tables import Table, detail, number, whole

poison_cli = commands("Documents that could not be processed.")

By = Annotated[str, typer.Option("--by", help="Who decides; written into the row.")]
RowId = Annotated[str, typer.Argument(help="Id of the row, poison_…")]


@poison_cli.command("list")
def list_poison(
    status: Annotated[Status | None, typer.Option(help="Only rows in this state.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="How many, the latest first.")] = 100,
    as_json: AsJson = False,
) -> None:
    """List poison documents, the latest failure first."""

    async def work(fleet: Fleet) -> list[dict[str, Any]]:
        return [row async for row in fleet.poison.list(status=status, limit=limit)]

    rows = run(work)
    if as_json:
        print_json(rows)
        return
    if not rows:
        say("No poison documents.")
        return
    table = Table(
        whole("id"),
        whole("last failed"),
        number("times"),
        whole("status"),
        detail("source"),
        detail("document"),
        detail("error"),
    )
    for row in rows:
        table.add(
            row["id"],
            row["last_failed_at"],
            row["attempts"],
            row["status"],
            row["source_container"],
            row["document_id"],
            row["error_message"],
        )
    print_table(table)


@poison_cli.command("show")
def show_poison(row_id: RowId) -> None:
    """Print one row with its document. It may contain personal data."""
    print_json(run(lambda fleet: fleet.poison.get(row_id)))


@poison_cli.command("replay")
def replay_poison(row_id: RowId, by: By = "", as_json: AsJson = False) -> None:
    """Fold the live document, or its stored copy if it no longer exists; publish a view again."""
    _print_outcome(run(lambda fleet: fleet.replayer.replay(row_id, by=by or getpass.getuser())), as_json)


@poison_cli.command("resolve")
def resolve_poison(row_id: RowId, by: By = "", as_json: AsJson = False) -> None:
    """Mark a row as resolved by other means."""
    _set_status(row_id, Status.RESOLVED, by, as_json)


@poison_cli.command("discard")
def discard_poison(row_id: RowId, by: By = "", as_json: AsJson = False) -> None:
    """Mark a row as not worth repairing."""
    _set_status(row_id, Status.DISCARDED, by, as_json)


def _set_status(row_id: str, status: Status, by: str, as_json: bool) -> None:
    row = run(lambda fleet: fleet.poison.set_status(row_id, status, by=by or getpass.getuser()))
    _print_outcome(row, as_json)


def _print_outcome(row: dict[str, Any], as_json: bool) -> None:
    if as_json:
        print_json({name: row[name] for name in ("id", "status", "status_changed_at", "status_changed_by")})
    else:
        say(f"{row['id']} {row['status']}")
