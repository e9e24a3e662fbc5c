"""``fleet prices``: what tokens cost."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import typer

from ops.console import report_json, run
from shared.fleet import Fleet
from shared.maintenance.reprice import RepriceReport
from shared.pricing.table import ModelPrice, list_prices, parse_price
from terminal.output import AsJson, Exit, commands, print_json, print_table, say
from terminal.tables import Table, number, whole

prices_cli = commands("What tokens cost.")


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
    table = Table(
        whole("model"),
        whole("from"),
        number("up to tokens"),
        number("in"),
        number("out"),
        whole("origin"),
        title="Prices in nano-USD per token; 1,000 is 1 USD per million tokens",
    )
    for row in rows:
        for tier in row["tiers"]:
            table.add(
                row["model"],
                row["effective_from"].removesuffix("T00:00:00Z"),
                tier["up_to_input_tokens"] or "any",
                tier["input_nano_usd_per_token"],
                tier["output_nano_usd_per_token"],
                row["origin"],
            )
    print_table(table)


@prices_cli.command("put")
def put_price(
    model: Annotated[str, typer.Argument(help="Name of the model as interactions give it.")],
    tokens_in: Annotated[int, typer.Option("--in", min=0, help="Nano-USD per input token.")],
    tokens_out: Annotated[int, typer.Option("--out", min=0, help="Nano-USD per output token.")],
    since: Annotated[datetime, typer.Option("--from", help="From when on, UTC.")],
    as_json: AsJson = False,
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
        await fleet.prices.put(price)
        return await fleet.repricer.apply()

    _print_repriced(run(work), as_json)


@prices_cli.command("apply")
def apply_prices(as_json: AsJson = False) -> None:
    """Reprice counted interactions, as the timer does. Exit code 1 while there is more to do."""
    report: RepriceReport = run(lambda fleet: fleet.repricer.apply())
    _print_repriced(report, as_json)
    if not report.finished:
        raise typer.Exit(Exit.REFUSED)


def _print_repriced(report: RepriceReport, as_json: bool) -> None:
    if as_json:
        print_json(report_json(report))
        return
    say(f"{report.repriced:,} interactions priced again, on {report.pages:,} pages.")
    if report.refused:
        say(f"{report.refused:,} keep their old cost, because a state has no room.")
    if not report.finished:
        say("There are more. The timer continues; to continue now, run: fleet prices apply")
    elif report.settles_in:
        say(
            "Hosts may use the old price for up to a minute. Interactions counted at old prices in the "
            f"meantime are repriced in {_minutes(report.settles_in)}."
        )


def _minutes(seconds: float) -> str:
    minutes = max(round(seconds / 60), 1)
    return "a minute" if minutes == 1 else f"{minutes} minutes"
