"""``fleet views``: list, publish, refresh and rebuild the views."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from ops.console import report_json, run
from shared.containers import VIEW_CONTAINERS
from shared.fleet.wiring import Fleet
from shared.maintenance.needed_facts import day_ranges
from shared.maintenance.rebuild import RebuildReport
from shared.publishing.plan import document_named
from shared.publishing.report import PublishReport
from shared.publishing.scheduled import ScheduledReport
from shared.publishing.system_health import HealthReport
from shared.queries import DatabaseService, Document
from shared.views import VIEWS
from terminal.figures import figures_table
from terminal.output import AsJson, Exit, commands, fail, print_json, print_table, progress, say
from terminal.tables import Table, whole

views_cli = commands("Documents that show what was counted.")


@views_cli.command("list")
def list_views(as_json: AsJson = False) -> None:
    """List the views: their container, their pace, and whether they are complete or held back, and why."""

    async def work(fleet: Fleet) -> tuple[frozenset[str], frozenset[str], str | None]:
        ready, unpublished = await fleet.readiness.ready(), await fleet.readiness.unpublished()
        generation = fleet.settings.generation
        counting = None if await fleet.generations.is_complete() else f"generation {generation} still counts"
        return ready, unpublished, counting

    ready, unpublished, counting = run(work)
    rows: list[dict[str, Any]] = [
        {
            "view": name,
            "container": view.container,
            "published": view.schedule.value,
            "complete": counting is None and name in ready - unpublished,
            "held_back": counting or _held_back(name, ready, unpublished),
        }
        for name, view in VIEWS.items()
    ]
    if as_json:
        print_json(rows)
        return
    table = Table(whole("view"), whole("container"), whole("published"), "complete")
    for row in rows:
        complete = "yes" if row["complete"] else f"no: {row['held_back']}"
        table.add(row["view"], row["container"], row["published"], complete)
    print_table(table)


def _held_back(view: str, ready: frozenset[str], unpublished: frozenset[str]) -> str | None:
    """Return why a view of a complete generation does not show everything, None if it does."""
    if view not in ready:
        return "not counted yet, rebuild it"
    return "not all published, rebuild it" if view in unpublished else None


@views_cli.command("show")
def show_view(
    container: Annotated[str, typer.Argument(help="Container of the view, as the list shows.")],
    document_id: Annotated[str, typer.Argument(help="Id of the document: daily_metrics_20250805.")],
    as_json: AsJson = False,
) -> None:
    """Print the figures of a published document. Documents about users are personal data."""

    async def work(fleet: Fleet) -> list[Document]:
        return await DatabaseService(fleet.database).query_documents(
            container, "SELECT * FROM c WHERE c.id = @id", [{"name": "@id", "value": document_id}]
        )

    if container not in VIEW_CONTAINERS:
        fail(f"{container!r} holds no view; these do: {', '.join(VIEW_CONTAINERS)}.", Exit.REFUSED)
    documents = run(work)
    if not documents:
        fail(f"{container} has no document {document_id!r}.", Exit.REFUSED)
    document = documents[0]
    if as_json:
        print_json(document)
        return
    # Names with an underscore are the service's own.
    print_table(figures_table(document_id, document, [name for name in document if not name.startswith("_")]))
    say("Figures that are null are left out; --json prints the whole document.")


@views_cli.command("publish")
def publish(
    view: Annotated[str, typer.Argument(help="Name of the view, as the list shows.")],
    keys: Annotated[list[str], typer.Argument(help="Keys of documents: 2025-08-05, or 202508|USER_ID.")],
    as_json: AsJson = False,
) -> None:
    """Publish documents again from the current counts, even if they are up to date."""

    async def work(fleet: Fleet) -> PublishReport:
        documents = [document_named(view, key) for key in keys]
        return await fleet.publisher.publish_again(documents)

    report: PublishReport = run(work)
    if as_json:
        print_json(report_json(report))
    else:
        say(f"{report.published} published, {report.current} current, {report.absent} with nothing counted")
    if report.poisoned:
        fail(f"Could not be published, see: {', '.join(report.poisoned)}", Exit.REFUSED)


@views_cli.command("refresh")
def refresh(as_json: AsJson = False) -> None:
    """Build contents, publish the views that a timer publishes, and the health of the last minutes, now."""

    async def work(fleet: Fleet) -> tuple[ScheduledReport, HealthReport]:
        with progress("pieces") as advance:

            def on_progress(report: ScheduledReport) -> None:
                done = f"{report.published:,} documents published, {report.built:,} contents built, pieces"
                advance(report.pieces, None, done)

            views = await fleet.scheduled.publish_everything(on_progress)
        return views, await fleet.health.publish_windows()

    views, health = run(work)
    if as_json:
        print_json({"views": report_json(views), "health": report_json(health)})
        return
    say(f"{views.published} documents published, {views.current} current; {health.published} of health")
    say(
        f"{views.built} contents built, {views.waiting} left for later; usage of passages written into "
        f"{views.usage} vectors, {views.absent} cited passages absent: they have no vector"
    )


@views_cli.command("rebuild")
def rebuild(
    views: Annotated[list[str] | None, typer.Argument(help="Names of views; all if none is given.")] = None,
    resume: Annotated[
        bool, typer.Option(help="Continue the rebuild that was broken off, or share one that is at work.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Count views again from the ledger, and publish them. The feeds continue in the meantime.

    Readers see the earlier figures until the new ones are complete. The command can be interrupted, and run
    again or resumed. Exit code 1 if the feeds changed some shards too quickly, if a document could not be
    published, or if facts on the ledger lack a field that the views need.
    """

    async def work(fleet: Fleet) -> RebuildReport:
        with progress("shards") as advance:

            def on_progress(report: RebuildReport, shards: int) -> None:
                advance(report.shards + len(report.unfinished), shards)

            return await fleet.rebuilder.rebuild(views or [], on_progress, resume=resume)

    report: RebuildReport = run(work)
    if as_json:
        print_json(report_json(report))
    else:
        say(
            f"{report.shards} shards, {report.pages:,} pages, {report.partials:,} partials, "
            f"{report.corrected:,} corrected; {report.published:,} documents published "
            f"in {report.cost.seconds:.0f} s for {report.cost.request_units:,.0f} request units"
        )
    if report.unfinished:
        fail(f"Changed too quickly, run it again: shards {', '.join(report.unfinished)}", Exit.REFUSED)
    if report.poisoned:
        fail(f"{report.poisoned} documents could not be published: see poison list", Exit.REFUSED)
    if report.outdated:
        fail(
            f"Facts of these days lack a field that the views need: {day_ranges(report.outdated)}. Its "
            "figures are null or cover a part of the day until a new generation: docs/how-to/add-a-view.md",
            Exit.REFUSED,
        )
