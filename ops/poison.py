"""``fleet poison``: documents that could not be processed."""

from __future__ import annotations

import getpass
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import replace
from datetime import datetime
from typing import Annotated, Any

import typer

from ops.arguments import moment
from ops.console import run
from shared.fleet.wiring import Fleet
from shared.maintenance.decide import Action, DecisionReport
from shared.poison.rows import Status
from shared.poison.selection import PoisonGroup, Selection, grouped
from terminal.output import AsJson, Exit, commands, note, print_json, print_table, progress, say
from terminal.tables import Table, detail, number, whole

poison_cli = commands("Documents that could not be processed.")

By = Annotated[
    str, typer.Option("--by", help="Who decides; written into the row. The login's name if empty.")
]
RowId = Annotated[str, typer.Argument(help="Id of a row, or the beginning of one that no other row has.")]
RowIds = Annotated[list[str] | None, typer.Argument(help="Ids of rows, or their unique beginnings.")]
Source = Annotated[str | None, typer.Option(help="Only rows of documents from this container.")]
Handler = Annotated[str | None, typer.Option(help="Only rows of this handler.")]
Error = Annotated[str | None, typer.Option(help="Only rows with this type of error.")]
Field = Annotated[str | None, typer.Option(help="Only rows whose error is in this field.")]
Since = Annotated[
    datetime | None,
    typer.Option(
        parser=moment,
        metavar="TIME",
        help="Only rows that failed since: 2026-11-28, 2026-11-28T20:15Z, 6h, 3d.",
    ),
]
OfStatus = Annotated[Status | None, typer.Option(help="Only rows in this state.")]
All = Annotated[bool, typer.Option("--all", help="All pending rows, or all that the other options select.")]
StoredCopy = Annotated[
    bool,
    typer.Option(
        "--stored-copy",
        help="Only for replay: fold a row's copy if its document is gone. It may have been erased.",
    ),
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Say which rows it would be, and change nothing.")]


@poison_cli.command("list")
def list_poison(
    status: OfStatus = None,
    source: Source = None,
    handler: Handler = None,
    error: Error = None,
    field: Field = None,
    since: Since = None,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="How many, the latest first.")] = 100,
    as_json: AsJson = False,
) -> None:
    """List rows, the latest failure first."""
    selection = Selection(status, source, handler, error, field, since)

    async def work(fleet: Fleet) -> tuple[list[dict[str, Any]], int]:
        rows = [row async for row in fleet.poison.list(selection, limit=limit)]
        return rows, len(rows) if len(rows) < limit else await fleet.poison.count(selection)

    rows, count = run(work)
    if as_json:
        print_json(rows)
    elif rows:
        print_table(_rows_table(rows))
        say(f"{len(rows):,} of {count:,} rows, the latest failures." if count > len(rows) else _rows(count))
    else:
        say("No poison documents.")


def _rows_table(rows: list[dict[str, Any]]) -> Table:
    table = Table(
        whole("id"),
        whole("last failed"),
        number("times"),
        whole("status"),
        whole("source", detail=True),
        detail("document"),
        detail("error"),
    )
    for row in rows:
        table.add(
            row["id"],
            _minute(row["last_failed_at"]),
            row["attempts"],
            row["status"],
            row["source_container"],
            row["document_id"],
            row["error_message"],
        )
    return table


@poison_cli.command("groups")
def group_poison(
    status: Annotated[Status, typer.Option(help="Rows in this state.")] = Status.PENDING,
    source: Source = None,
    handler: Handler = None,
    error: Error = None,
    field: Field = None,
    since: Since = None,
    as_json: AsJson = False,
) -> None:
    """Count rows by their cause: source, handler, type of error and field; the largest group first."""
    selection = Selection(status, source, handler, error, field, since)
    groups: list[PoisonGroup] = run(lambda fleet: fleet.poison.groups(selection))
    if as_json:
        print_json([_group_json(group) for group in groups])
    elif groups:
        print_table(_groups_table(groups))
        say(f"{_rows(sum(group.count for group in groups))} {status.value}.")
    else:
        say(f"No poison documents are {status.value}.")


def _groups_table(groups: list[PoisonGroup]) -> Table:
    table = Table(
        number("rows"),
        "field",
        whole("source"),
        whole("handler"),
        whole("error"),
        whole("first failed", detail=True),
        whole("last failed", detail=True),
        whole("for example", detail=True),
    )
    for group in groups:
        cause = group.cause
        table.add(
            group.count,
            cause.field,
            cause.source,
            cause.handler,
            cause.error_type,
            _minute(group.first_failed_at),
            _minute(group.last_failed_at),
            group.example,
        )
    return table


def _group_json(group: PoisonGroup) -> dict[str, Any]:
    return {
        **group.cause._asdict(),
        "count": group.count,
        "first_failed_at": group.first_failed_at,
        "last_failed_at": group.last_failed_at,
        "example": group.example,
    }


def _minute(time: str) -> str:
    """Return a time as stored without its seconds, ``2026-11-28T20:15Z``."""
    return f"{time[:16]}Z"


def _rows(count: int) -> str:
    return "1 row" if count == 1 else f"{count:,} rows"


@poison_cli.command("show")
def show_poison(row_id: RowId) -> None:
    """Print one row with the copy of its document, as JSON."""

    async def work(fleet: Fleet) -> dict[str, Any]:
        return await fleet.poison.get(await fleet.poison.find(row_id))

    print_json(run(work))


@poison_cli.command("redact")
def redact_poison(as_json: AsJson = False) -> None:
    """Rewrite rows of earlier releases, without secrets, personal data, and messages that may quote any."""
    rewritten = run(lambda fleet: fleet.poison.redact())
    if as_json:
        print_json({"rewritten": rewritten})
    else:
        say(f"{_rows(rewritten)} rewritten.")


def _add_command(action: Action, help_text: str) -> None:
    """Add the command of an action. All take the same arguments."""

    @poison_cli.command(
        action.value,
        help=f"{help_text}\n\nWithout ids, the options select among the pending rows. "
        "Exit code 1 if a row is refused; the others are decided.",
    )
    def decide(
        row_ids: RowIds = None,
        source: Source = None,
        handler: Handler = None,
        error: Error = None,
        field: Field = None,
        since: Since = None,
        every: All = False,
        stored_copy: StoredCopy = False,
        dry_run: DryRun = False,
        by: By = "",
        as_json: AsJson = False,
    ) -> None:
        selection = _selection(row_ids, Selection(None, source, handler, error, field, since), every)
        if stored_copy and action is not Action.REPLAY:
            raise typer.BadParameter("only replay folds documents", param_hint="--stored-copy")
        work = _decision(action, row_ids, selection, dry_run, by or getpass.getuser(), stored_copy)
        rows, report = run(work)
        if as_json:
            print_json(_decision_json(rows, report, dry_run))
        elif dry_run:
            print_table(_groups_table(grouped(_as_groups(rows))))
            say(f"{_rows(len(rows))} would be {action.outcome.value}.")
        else:
            _print_decision(report)
        if report.refused:
            raise typer.Exit(Exit.REFUSED)


_add_command(
    Action.REPLAY,
    "Fold the live documents; publish views again. A document that no longer exists is not folded.",
)
_add_command(Action.RESOLVE, "Mark rows as resolved by other means.")
_add_command(Action.DISCARD, "Mark rows as not worth repairing.")


def _selection(row_ids: list[str] | None, selection: Selection, every: bool) -> Selection:
    """Return the pending rows of a selection. Refuse ids together with a selection, and neither of both."""
    selected = every or selection != Selection()
    if bool(row_ids) == selected:
        raise typer.BadParameter(
            "name rows by their ids, or select pending rows with --source, --handler, --error, --field, "
            "--since or --all; not both",
            param_hint="ROW_IDS",
        )
    return replace(selection, status=Status.PENDING)


def _decision(
    action: Action,
    row_ids: list[str] | None,
    selection: Selection,
    dry_run: bool,
    by: str,
    stored_copy: bool,
) -> Callable[[Fleet], Awaitable[tuple[list[dict[str, Any]], DecisionReport]]]:
    """Return the work of a command: select rows, decide them, and return both rows and report."""

    async def selected(fleet: Fleet) -> list[dict[str, Any]]:
        if row_ids:
            ids = dict.fromkeys([await fleet.poison.find(row_id) for row_id in row_ids])
            return [await fleet.poison.get(row_id) for row_id in ids]
        return [row async for row in fleet.poison.list(selection, limit=None)]

    async def work(fleet: Fleet) -> tuple[list[dict[str, Any]], DecisionReport]:
        rows, report = await selected(fleet), DecisionReport(action)
        if dry_run:
            return rows, report
        with progress(f"rows {action.outcome.value}") as advance:

            def on_progress(reached: DecisionReport) -> None:
                nonlocal report
                report = reached
                advance(len(reached.decided) + reached.refused, len(rows))

            try:
                report = await fleet.decider.decide(
                    action, rows, by=by, stored_copy=stored_copy, on_progress=on_progress
                )
            except Exception:
                note(
                    f"{_rows(len(report.decided))} of {len(rows):,} {action.outcome.value} before this error:"
                )
                raise
        return rows, report

    return work


def _as_groups(rows: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    for row in rows:
        yield {**row, "count": 1, "example": row["id"]}


def _decision_json(rows: list[dict[str, Any]], report: DecisionReport, dry_run: bool) -> dict[str, Any]:
    return {
        "action": report.action.value,
        "dry_run": dry_run,
        "selected": [row["id"] for row in rows],
        "decided": report.decided,
        "refused": [{"why": refusal.why, "ids": refusal.ids} for refusal in report.refusals.values()],
    }


def _print_decision(report: DecisionReport) -> None:
    status = report.action.outcome.value
    if len(report.decided) == 1:
        say(f"{report.decided[0]} {status}")
    elif report.decided or not report.refusals:
        say(f"{_rows(len(report.decided))} {status}.")
    if report.refusals:
        table = Table(number("refused"), whole("for example"), detail("why"))
        for refusal in report.refusals.values():
            table.add(len(refusal.ids), refusal.ids[0], refusal.why)
        print_table(table)
