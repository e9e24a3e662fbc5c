"""``fleet people``: export and erase everything that is stored about one person."""

from __future__ import annotations

import getpass
import os
from pathlib import Path
from typing import Annotated, Any

import typer

from ops.console import run_with
from shared.fleet.people import connected_people
from shared.people.erasure import ROUNDS, Step
from shared.people.exports import LINK_LIFETIME
from shared.people.people import People, ReapplyReport
from shared.people.requests import Reason, Request, Status
from terminal.output import AsJson, Exit, commands, fail, note, print_json, print_table, progress, say
from terminal.tables import Table, number, whole

people_cli = commands("Everything that is stored about one person: to export it, and to erase it.")

BLOB = "blob"
"""Where to: the storage account of the settings."""

Person = Annotated[str, typer.Argument(help="User id of the person.", metavar="ID")]
By = Annotated[
    str, typer.Option("--by", help="Who asks for it; kept in the audit. The login's name if empty.")
]
ErasureReason = Annotated[
    Reason,
    typer.Option(
        "--reason",
        metavar="TEXT",
        help=f"Class of the reason, kept in the audit: {', '.join(Reason)}. A free text could name people.",
    ),
]


@people_cli.command("export")
def export_person(
    person: Person,
    to: Annotated[
        str,
        typer.Option(
            "--to", metavar="FILE|blob", help="A new file, or blob: the storage account of the settings."
        ),
    ],
    by: By = "",
    as_json: AsJson = False,
) -> None:
    """Export a person's data as a zip archive of JSON files.

    In the storage account the export exists for 7 days, and the link that is printed works for 24 hours.
    Anybody who has the link can read the export. Session tokens and notes of reviewers are left out.
    """
    by = by or getpass.getuser()
    if to == BLOB:
        request, link = run_with(connected_people, lambda people: _to_blob(people, person, by))
        _print_export(request, {"link": link}, as_json)
        if not as_json:
            hours = LINK_LIFETIME.total_seconds() / 3_600
            note(f"The link works for {hours:.0f} hours. Anybody with it can read everything.")
        return
    target = Path(to)
    if target.exists():
        fail(f"{target} exists already: choose another name.", Exit.USAGE)
    if not target.parent.is_dir():
        fail(f"There is no folder {target.parent}.", Exit.USAGE)
    request = run_with(connected_people, lambda people: _to_file(people, person, by, target))
    _print_export(request, {"file": str(target)}, as_json)


async def _to_blob(people: People, person: str, by: str) -> tuple[Request, str]:
    request = await people.export(person, by=by)
    request, _ = await people.advance(request.id)
    return request, await people.exports.link(request)


async def _to_file(people: People, person: str, by: str, target: Path) -> Request:
    """Write a file that only its owner can read. It appears whole or not at all."""
    draft = target.with_name(f"{target.name}.part")
    draft.unlink(missing_ok=True)
    try:
        with os.fdopen(os.open(draft, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600), "w+b") as file:
            report = await people.exporter.write(person, file)
        draft.replace(target)
    finally:
        draft.unlink(missing_ok=True)
    return await people.record_export(person, by=by, documents=report.documents)


def _print_export(request: Request, where: dict[str, str], as_json: bool) -> None:
    if as_json:
        print_json(request.public() | where)
        return
    _print_counts(request, "file")
    if not request.counts:
        say("Nothing is stored about this person.")
    say(f"request: {request.id}")
    for name, value in where.items():
        say(f"{name}: {value}")


@people_cli.command("erase")
def erase_person(
    person: Person,
    reason: ErasureReason,
    by: By = "",
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Count what would be erased, and change nothing.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Erase a person everywhere: documents, figures, views, poison rows, archive and exports. For ever.

    It takes some minutes, and can be interrupted: a timer of the function app continues it, and so does the
    same command. Close the person's account first, so that it writes nothing new.
    """
    if dry_run:
        found = run_with(connected_people, lambda people: people.eraser.find(person))
        if as_json:
            print_json({"found": found, "dry_run": True})
        else:
            _print_found(found)
        return

    async def work(people: People) -> Request:
        with progress("steps") as advance:

            async def on_step(request: Request) -> None:
                name = Step(request.step).name.lower()
                advance(request.step - 1, len(Step), f"of request {request.id} done, next: {name},")

            request = await people.erase(person, reason=reason, by=by or getpass.getuser())
            note(f"Request {request.id}: it takes some minutes. Interrupted, it is continued by a timer.")
            return await people.run(request.id, on_step)

    _print_request(run_with(connected_people, work), as_json)


@people_cli.command("status")
def status_of_request(
    request_id: Annotated[str, typer.Argument(help="Id of the request.", metavar="REQUEST")],
    as_json: AsJson = False,
) -> None:
    """Show how far a request is, or its audit. Exit code 1 if it cannot go on without help."""
    _print_request(run_with(connected_people, lambda people: people.requests.get(request_id)), as_json)


@people_cli.command("reapply")
def reapply_tombstones(by: By = "", as_json: AsJson = False) -> None:
    """After a restore of the database: erase again who was erased before, by the copies of the tombstones."""

    async def work(people: People) -> ReapplyReport:
        report = await people.reapply_tombstones(by or getpass.getuser())
        with progress("people") as advance:

            async def nothing(_: Request) -> None:
                return None

            for done, request_id in enumerate(report.requests):
                advance(done, len(report.requests))
                await people.run(request_id, nothing)
        return report

    report = run_with(connected_people, work)
    if as_json:
        print_json({"tombstones": report.tombstones, "requests": list(report.requests)})
        return
    say(f"{report.tombstones:,} tombstones are known; {len(report.requests):,} people had come back")
    for request_id in report.requests:
        say(f"request {request_id}")


def _print_request(request: Request, as_json: bool) -> None:
    if as_json:
        print_json(request.public())
    else:
        say(f"request {request.id}: {request.kind.value}, {request.status.value}")
        say(f"asked for by {request.by} at {request.asked_at}, reason: {request.reason}")
        if request.ended_at is not None:
            say(f"ended at {request.ended_at}")
        else:
            say(f"next step: {request.step} of {len(Step)}")
        _print_counts(request, "place")
    if request.status is Status.REFUSED:
        fail(request.problem or "The request was refused.", Exit.REFUSED)


def _print_counts(request: Request, what: str) -> None:
    counts = dict(request.counts)
    rounds = counts.pop(ROUNDS, 0)
    if counts:
        table = Table(whole(what), number("documents"))
        for name, count in sorted(counts.items()):
            table.add(name, count)
        print_table(table)
    if rounds:
        say(f"Rounds begun again because something was left: {rounds}")


def _print_found(found: dict[str, Any]) -> None:
    if not found:
        say("Nothing is stored about this person. An erasure would leave a tombstone.")
        return
    table = Table(whole("place"), number("would be erased"))
    for name, count in sorted(found.items()):
        table.add(name, count)
    print_table(table)
