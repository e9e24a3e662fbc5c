"""``fleet archive``: archive aged documents, look at the archive, verify it, and restore documents."""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import UTC, date, datetime
from typing import Annotated, Any

import typer

from ops.console import report_json, run_with
from shared.archive.archiver import ContainerReport, Status
from shared.archive.counting import CountReport
from shared.archive.names import PREFIX, day_prefix
from shared.archive.restore import NothingArchivedError, RestoreReport
from shared.archive.store import Archived
from shared.archive.verify import VerifyReport
from shared.containers import ARCHIVE_ALERT_DAYS
from shared.fleet.archive import FleetArchive, connected_archive
from shared.units import iso
from terminal.arguments import day as a_day
from terminal.output import AsJson, Exit, commands, fail, note, print_json, print_table, progress, say
from terminal.tables import Table, detail, number, whole

archive_cli = commands("Copies of aged documents in Blob Storage, and back.")

ContainerName = Annotated[
    str | None, typer.Option("--container", help="Only this container.", metavar="NAME")
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Count, and write nothing.")]
Person = Annotated[str | None, typer.Option("--user", help="Id of the person.", metavar="ID")]
OfDay = Annotated[
    date | None,
    typer.Option("--day", parser=a_day, help="Day of the documents' own time.", metavar="YYYY-MM-DD"),
]


@archive_cli.command("run")
def run_archive(
    container: ContainerName = None,
    older_than: Annotated[
        int | None,
        typer.Option(min=1, help="Days since the last write, in place of each container's own."),
    ] = None,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Archive what is due. The command can be interrupted and run again.

    A timer does the same once a day. The documents stay where they are until they expire.
    """

    async def work(archive: FleetArchive) -> list[ContainerReport]:
        with progress("documents") as advance:
            return await archive.archiver.run(
                container, older_than_days=older_than, dry_run=dry_run, on_progress=advance
            )

    reports = run_with(connected_archive, work)
    if as_json:
        print_json([{**report_json(each), **asdict(each.outcome)} for each in reports])
        return
    if dry_run:
        table = Table(whole("container"), number("documents due"), number("RU"))
        for each in reports:
            table.add(each.container, each.due, round(each.cost.request_units))
        print_table(table)
        return
    table = Table(
        whole("container"),
        number("archived"),
        number("already there"),
        number("new versions"),
        number("without a time"),
        number("requests"),
        number("RU"),
    )
    for each in reports:
        done = each.outcome
        table.add(
            each.container,
            done.archived,
            done.known,
            done.versions,
            done.undated,
            each.cost.requests,
            round(each.cost.request_units),
        )
    print_table(table)
    _note_exceptions(reports)


def _note_exceptions(reports: list[ContainerReport]) -> None:
    left_out = sum(each.outcome.left_out for each in reports)
    erased = sum(each.outcome.erased for each in reports)
    expiring = sum(each.expiring for each in reports)
    if left_out:
        note(f"{left_out:,} documents have fields that the table of fields lacks: these are not archived.")
    if erased:
        note(f"{erased:,} documents of erased people were not archived.")
    if expiring:
        note(f"{expiring:,} documents would have expired within {ARCHIVE_ALERT_DAYS} days.", color="yellow")


@archive_cli.command("status")
def show_status(container: ContainerName = None, as_json: AsJson = False) -> None:
    """Show how far each container is archived. Exit code 1 if documents expire soon and are not archived."""
    statuses: list[Status] = run_with(connected_archive, lambda archive: archive.archiver.status(container))
    if as_json:
        print_json([_status_json(each) for each in statuses])
    else:
        table = Table(
            whole("container"),
            number("after days"),
            whole("archived until"),
            number("due"),
            number(f"expire in {ARCHIVE_ALERT_DAYS} days"),
            detail("last run"),
        )
        for each in statuses:
            table.add(
                each.container,
                each.archive_after_days,
                _time(each.archived_until),
                each.due,
                each.expiring,
                f"last run {each.last_run['ended']}" if each.last_run else "no run has ended",
            )
        print_table(table)
    if any(each.expiring for each in statuses):
        note("Documents expire soon that are not archived: run `fleet archive run`.", color="red")
        raise typer.Exit(Exit.REFUSED)


def _status_json(status: Status) -> dict[str, Any]:
    return {**asdict(status), "archived_until": _time(status.archived_until)}


def _time(seconds: int | None) -> str | None:
    return None if seconds is None else iso(datetime.fromtimestamp(seconds, UTC))


@archive_cli.command("list")
def list_archived(
    day: OfDay = None,
    user: Person = None,
    limit: Annotated[int, typer.Option(min=1, help="Documents to list at most.")] = 50,
    as_json: AsJson = False,
) -> None:
    """List archived documents: of everybody, of a day, of a person, or of a person's day."""

    async def work(archive: FleetArchive) -> list[Archived]:
        found: list[Archived] = []
        owners = None if user is None else archive.archive.owners(user)
        if user is not None and day is None:
            blobs = archive.archive.find_person(user)
        else:
            blobs = archive.archive.find(PREFIX if day is None else day_prefix(day))
        async for each in blobs:
            if owners is None or each.name.owner in owners:
                found.append(each)
            if len(found) > limit:
                break
        return found

    found = run_with(connected_archive, work)
    more = len(found) > limit
    if as_json:
        print_json([_archived_json(each) for each in found[:limit]])
    elif not found:
        say("Nothing is archived there.")
    else:
        table = Table(whole("container"), number("bytes"), whole("written"), whole("blob", detail=True))
        for each in found[:limit]:
            table.add(each.container, each.stored.size, _time(each.ts), each.stored.name)
        print_table(table)
    if more:
        note(f"There are more than {limit}: name a day or a person, or raise --limit.")


def _archived_json(each: Archived) -> dict[str, Any]:
    return {
        "blob": each.stored.name,
        "container": each.container,
        "user_id": each.user,
        "document_id": each.document,
        "version": each.name.version,
        "bytes": each.stored.size,
        "sha256": each.sha256,
        "written": _time(each.ts),
        "dated_by": "its own time" if each.is_dated else "its last write",
        "generation": each.generation,
        "part": each.part,
    }


@archive_cli.command("show")
def show_archived(
    blob: Annotated[str, typer.Argument(help="Name of the blob, as the list has it.")],
    as_json: AsJson = False,
) -> None:
    """Print an archived document, and what the archive knows of it. It contains personal data."""

    async def work(archive: FleetArchive) -> tuple[bytes, Archived]:
        found = await archive.archive.read(blob)
        if found is None:
            raise NothingArchivedError("There is no archived document of this name.")
        return found

    content, archived = run_with(connected_archive, work)
    document = json.loads(content)
    if as_json:
        print_json({**_archived_json(archived), "document": document})
        return
    for name, value in _archived_json(archived).items():
        say(f"{name.replace('_', ' ')}: {value}")
    say()
    print_json(document)


@archive_cli.command("verify")
def verify_archive(
    every: Annotated[bool, typer.Option("--all", help="Compare every document, not a sample.")] = False,
    sample: Annotated[int, typer.Option(min=1, help="Documents of the sample.")] = 100,
    as_json: AsJson = False,
) -> None:
    """Compare archived documents with the manifests. Exit code 1 if any is lost or changed."""

    async def work(archive: FleetArchive) -> VerifyReport:
        with progress("documents compared") as advance:
            return await archive.verifier.verify(
                sample=None if every else sample, on_progress=lambda done: advance(done, None)
            )

    report = run_with(connected_archive, work)
    if as_json:
        print_json(report_json(report))
    else:
        say(
            f"{report.documents:,} documents of {report.parts:,} parts compared, "
            f"{report.erased:,} erased, {len(report.problems):,} problems"
        )
        if report.unfinished:
            say(f"{report.unfinished:,} parts are unfinished; the next run completes them")
        if report.problems:
            table = Table(whole("problem"), whole("blob", detail=True))
            for problem in report.problems:
                table.add(problem.kind.value, problem.name)
            print_table(table)
    if report.problems:
        raise typer.Exit(Exit.REFUSED)


@archive_cli.command("restore")
def restore_archived(
    user: Person = None,
    day: OfDay = None,
    document_id: Annotated[str | None, typer.Option("--id", help="Id of the document.")] = None,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Restore documents of a person, of a day, or with an id; with several, those that all fit.

    A document that exists stays as it is. Nobody who is erased is restored.
    """
    if user is None and day is None and document_id is None:
        raise typer.BadParameter("name a person with --user, a day with --day, or a document with --id")

    async def work(archive: FleetArchive) -> RestoreReport:
        with progress("documents") as advance:
            return await archive.restorer.restore(
                user_id=user,
                day=day,
                document_id=document_id,
                dry_run=dry_run,
                on_progress=lambda done: advance(done, None),
            )

    report = run_with(connected_archive, work)
    if as_json:
        print_json(report_json(report) | {"dry_run": dry_run})
    else:
        for result, count in report.results.items():
            if count:
                say(f"{count:,} {_RESULTS[result]}" if not dry_run else f"{count:,} {_PLANNED[result]}")
        for name, result in report.blobs:
            say(f"  {result}: {name}")
    if report.blobs:
        fail("Not everything can be restored: see above.", Exit.REFUSED)


@archive_cli.command("count")
def count_archived(as_json: AsJson = False) -> None:
    """Count what the archive has of months that are still open, for a new generation.

    A new generation counts the sources by itself; they hold no more what has expired. The command counts
    nothing twice, and may be interrupted and run again.
    """

    async def work(archive: FleetArchive) -> CountReport:
        with progress("documents") as advance:
            return await archive.counter.count(lambda done: advance(done, None))

    report = run_with(connected_archive, work)
    if as_json:
        print_json(report_json(report))
    else:
        say(f"{report.documents:,} documents of {report.days:,} days looked at, {report.counted:,} counted")
        if report.poisoned:
            say(f"{report.poisoned:,} cannot be counted and went to poison")
        if report.erased:
            say(f"{report.erased:,} belong to erased people and are not counted")
    if report.damaged:
        fail(f"{report.damaged:,} are damaged: see `fleet archive verify`.", Exit.REFUSED)


_RESULTS = {
    "restored": "restored",
    "live": "exist and stay as they are",
    "erased": "belong to an erased person",
    "anonymous": "have no user id any more, and belong nowhere",
    "damaged": "are damaged: see `fleet archive verify`",
    "refused": "are not accepted by the database",
}

_PLANNED = _RESULTS | {"restored": "would be restored"}
