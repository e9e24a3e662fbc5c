"""The operator's command line: ``python -m ops``. The same calls as the HTTP API."""

from __future__ import annotations

import getpass
import sys
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from ops.console import (
    ERR,
    EXIT_REFUSED,
    OUT,
    USER_AGENT,
    AsJson,
    fail,
    print_json,
    report_json,
    reported,
    run,
)
from ops.fields import fields_page
from ops.generations import generations_cli
from ops.scores import scores_page
from ops.views import views_cli
from shared.cosmos.client import connect
from shared.cosmos.provisioning import ProvisioningReport, apply_catalogue
from shared.fleet import Fleet
from shared.maintenance.reprice import RepriceReport
from shared.poison.rows import Status
from shared.pricing.price_book import PriceBook
from shared.pricing.table import ModelPrice, list_prices, parse_price
from shared.settings import load_settings

cli = typer.Typer(help="Inspect and repair the fleet.", no_args_is_help=True, add_completion=False)
poison_cli = typer.Typer(help="Documents that could not be processed.", no_args_is_help=True)
prices_cli = typer.Typer(help="What tokens cost.", no_args_is_help=True)
containers_cli = typer.Typer(help="The containers that the fleet needs.", no_args_is_help=True)
cli.add_typer(poison_cli, name="poison")
cli.add_typer(prices_cli, name="prices")
cli.add_typer(containers_cli, name="containers")
cli.add_typer(views_cli, name="views")
cli.add_typer(generations_cli, name="generations")

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
    table = Table("id", "source", "document", "error", "attempts", "last failed", "status")
    for row in rows:
        table.add_row(
            row["id"],
            row["source_container"],
            str(row["document_id"]),
            row["error_message"],
            str(row["attempts"]),
            row["last_failed_at"],
            row["status"],
        )
    OUT.print(table if rows else "No poison documents.")


@poison_cli.command("show")
def show_poison(row_id: RowId) -> None:
    """Print one row with its document. It may contain personal data."""
    print_json(run(lambda fleet: fleet.poison.get(row_id)))


@poison_cli.command("replay")
def replay_poison(row_id: RowId, by: By = "") -> None:
    """Fold the live document, or its stored copy if it no longer exists; publish a view again."""
    row = run(lambda fleet: fleet.replayer.replay(row_id, by=by or getpass.getuser()))
    OUT.print(f"{row['id']} {row['status']}")


@poison_cli.command("resolve")
def resolve_poison(row_id: RowId, by: By = "") -> None:
    """Mark a row as resolved by other means."""
    _set_status(row_id, Status.RESOLVED, by)


@poison_cli.command("discard")
def discard_poison(row_id: RowId, by: By = "") -> None:
    """Mark a row as not worth repairing."""
    _set_status(row_id, Status.DISCARDED, by)


def _set_status(row_id: str, status: Status, by: str) -> None:
    row = run(lambda fleet: fleet.poison.set_status(row_id, status, by=by or getpass.getuser()))
    OUT.print(f"{row['id']} {row['status']}")


@cli.command("audit")
def audit(
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
                    "caught_up": report.caught_up,
                    "request_units": round(report.cost.request_units, 2),
                }
                for report in reports
            ]
        )
        return
    table = Table("feed", "documents", "repaired", "caught up", "request units")
    for report in reports:
        table.add_row(
            report.feed,
            f"{report.documents:,}",
            f"{report.repaired:,}",
            "yes" if report.caught_up else "no, run again",
            f"{report.cost.request_units:,.0f}",
        )
    OUT.print(table)


@containers_cli.command("apply")
def apply_containers(as_json: AsJson = False) -> None:
    """Create the database and missing containers. Existing containers are not changed.

    Differences from the catalogue are printed, not repaired. Exit code 0 in both cases.
    """

    async def work() -> ProvisioningReport:
        settings = load_settings()
        async with connect(settings, user_agent=USER_AGENT) as client:
            return await apply_catalogue(client, settings.cosmos_database)

    report: ProvisioningReport = reported(work)
    if as_json:
        print_json(report_json(report))
        return
    for name in report.created:
        OUT.print(f"created {name}")
    for drift in report.drifted:
        ERR.print(f"differs: {drift}", markup=False)
    OUT.print(f"{len(report.created)} created, {len(report.unchanged)} as the catalogue says.")


@prices_cli.command("list")
def show_prices(as_json: AsJson = False) -> None:
    """List the prices in force: list prices, and this account's overrides."""

    async def work(fleet: Fleet) -> list[ModelPrice]:
        return await fleet.prices.overrides()

    overrides = run(work)
    rows = [
        {"origin": origin, **price.model_dump(mode="json")}
        for origin, prices in (("list", list_prices()), ("override", overrides))
        for price in prices
    ]
    if as_json:
        print_json(rows)
        return
    table = Table("model", "from", "prompt up to", "in, nano-USD/token", "out, nano-USD/token", "origin")
    for row in rows:
        for tier in row["tiers"]:
            limit = tier["up_to_input_tokens"]
            table.add_row(
                row["model"],
                row["effective_from"],
                f"{limit:,}" if limit else "any",
                f"{tier['input_nano_usd_per_token']:,}",
                f"{tier['output_nano_usd_per_token']:,}",
                row["origin"],
            )
    OUT.print(table)


@prices_cli.command("put")
def put_price(
    model: Annotated[str, typer.Argument(help="Name of the model as interactions give it.")],
    tokens_in: Annotated[int, typer.Option("--in", min=0, help="Nano-USD per input token.")],
    tokens_out: Annotated[int, typer.Option("--out", min=0, help="Nano-USD per output token.")],
    since: Annotated[datetime, typer.Option("--from", help="From when on, UTC.")],
) -> None:
    """Add or override a price, and reprice the interactions it affects. 1 USD per million tokens is 1,000."""

    async def work(fleet: Fleet) -> RepriceReport:
        price = parse_price(
            {
                "model": model,
                "effective_from": since.isoformat(),
                "tiers": [{"input_nano_usd_per_token": tokens_in, "output_nano_usd_per_token": tokens_out}],
            }
        )
        book: PriceBook = fleet.prices
        await book.put(price)
        return await fleet.repricer.apply()

    _print_repriced(run(work))


@prices_cli.command("apply")
def apply_prices(as_json: AsJson = False) -> None:
    """Reprice counted interactions, as the timer does. Exit code 1 while there is more to do."""
    report: RepriceReport = run(lambda fleet: fleet.repricer.apply())
    if as_json:
        print_json(report_json(report))
    else:
        _print_repriced(report)
    if not report.finished:
        raise typer.Exit(EXIT_REFUSED)


def _print_repriced(report: RepriceReport) -> None:
    OUT.print(f"{report.repriced:,} interactions priced again, on {report.pages:,} pages.")
    if report.refused:
        OUT.print(f"{report.refused:,} keep their old cost, because a state has no room.")
    if not report.finished:
        OUT.print("There are more. The timer continues; to continue now, run: prices apply")
    elif report.settles_in:
        OUT.print(
            "Hosts may use the old price for up to a minute. Interactions counted at old prices "
            f"in the meantime are repriced in {report.settles_in} s."
        )


@cli.command("fields")
def fields(
    check: Annotated[Path | None, typer.Option(help="Fail if this file is not up to date.")] = None,
) -> None:
    """Print the reference of all fields of all views, docs/fields.md."""
    _reference(fields_page(), "fields", check)


@cli.command("scores")
def scores(
    check: Annotated[Path | None, typer.Option(help="Fail if this file is not up to date.")] = None,
) -> None:
    """Print the reference of all scores, docs/scores.md."""
    _reference(scores_page(), "scores", check)


def _reference(page: str, command: str, check: Path | None) -> None:
    if check is None:
        sys.stdout.write(page)
    elif check.read_text(encoding="utf-8") != page:
        fail(f"{check} is out of date: run .venv/bin/python -m ops {command} > {check}", EXIT_REFUSED)


if __name__ == "__main__":
    cli(prog_name="python -m ops")
