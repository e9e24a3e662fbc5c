"""``fleet audit``: compare the feeds with the ledger, and count what was lost."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

import typer

from ops.console import run
from shared.maintenance.audit_run import AuditReport
from shared.units import iso
from terminal.output import AsJson, commands, print_json, print_table
from terminal.tables import Table, number, whole

audit_cli = commands("Compare the feeds with the ledger, and count lost documents.")


@audit_cli.command("run")
def run_audit(
    delay: Annotated[
        int | None, typer.Option(min=0, help="Skip writes younger than this, in seconds.")
    ] = None,
    from_beginning: Annotated[
        bool, typer.Option("--from-beginning", help="Read the feeds from the beginning, without cursors.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Compare the feeds with the ledger, and count lost documents. Exit code 0 in both cases."""
    reports = run(lambda fleet: fleet.auditor.audit_all(delay_seconds=delay, from_beginning=from_beginning))
    if as_json:
        print_json(
            [
                {
                    "feed": report.feed,
                    "documents": report.documents,
                    "repaired": report.repaired,
                    "still_in_poison": report.still_in_poison,
                    "caught_up": report.caught_up,
                    "nothing_to_do_until": None if report.due_at is None else iso(_time(report.due_at)),
                    "request_units": round(report.cost.request_units, 2),
                }
                for report in reports
            ]
        )
        return
    table = Table(
        whole("feed"),
        number("documents"),
        number("repaired"),
        number("still in poison"),
        "caught up",
        number("RU"),
    )
    for report in reports:
        table.add(
            report.feed,
            report.documents,
            report.repaired,
            report.still_in_poison,
            _progress(report),
            round(report.cost.request_units),
        )
    print_table(table)


def _progress(report: AuditReport) -> str:
    """Return whether the feed is caught up, and when there is something to do."""
    if report.due_at is None:
        return "yes" if report.caught_up else "no, run again"
    until = f"nothing to do until {_time(report.due_at):%H:%M:%S} UTC"
    return f"yes, {until}" if report.caught_up else f"no, {until} (or with --delay 0)"


def _time(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
