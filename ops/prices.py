"""``fleet prices``: what tokens cost, and which names mean one model."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated

import typer

from ops.arguments import moment
from ops.console import report_json, run
from ops.price_entries import price_of_options, prices_of_file
from shared.errors import PriceError
from shared.fleet.wiring import Fleet
from shared.maintenance.reprice import RepriceReport
from shared.pricing.price_book import Overrides
from shared.pricing.table import ModelPrice, PriceTable, list_names, list_prices
from shared.privacy.forms import model_spelling
from shared.queries.recent_models import RECENT_DAYS, recent_models
from shared.units import to_millis
from shared.views.daily_metrics import field_key
from terminal.output import AsJson, Exit, commands, fail, note, print_json, print_table, say
from terminal.tables import Table, number, whole

prices_cli = commands("What tokens cost.")

_FROM = typer.Option("--from", parser=moment, metavar="TIME", help="From when on; UTC if it has no offset.")

Since = Annotated[datetime, _FROM]


@prices_cli.command("list")
def show_prices(as_json: AsJson = False) -> None:
    """List the prices in force: list prices, and this account's overrides. Then the aliases of models."""

    async def work(fleet: Fleet) -> Overrides:
        return await fleet.prices.overrides()

    overrides: Overrides = run(work)
    prices = {"list": list_prices(), "override": overrides.prices}
    aliases = {
        name: (origin, model)
        for origin, known in (("list", list_names().aliases), ("override", overrides.aliases))
        for name, model in known.items()
    }
    if as_json:
        print_json(
            {
                "prices": [
                    {"origin": origin, **price.dump()}
                    for origin, entries in prices.items()
                    for price in entries
                ],
                "aliases": [
                    {"origin": origin, "alias": name, "model": model}
                    for name, (origin, model) in aliases.items()
                ],
            }
        )
        return
    print_table(_price_table("List prices", prices["list"]))
    if prices["override"]:
        say()
        print_table(_price_table("Overrides of this account", prices["override"]))
    if aliases:
        table = Table(whole("alias"), whole("means"), whole("origin"))
        for name, (origin, model) in aliases.items():
            table.add(name, model, origin)
        say()
        print_table(table)
    say()
    say("Prices are in nano-USD per token, for prompts up to a number of tokens. 1,000 is 1 USD per million.")


def _price_table(title: str, prices: Iterable[ModelPrice]) -> Table:
    table = Table(
        whole("model"),
        whole("from"),
        number("up to"),
        number("in"),
        number("cached"),
        number("out"),
        title=title,
    )
    for price in prices:
        for tier in price.tiers:
            table.add(
                price.model,
                _since(price),
                tier.up_to_input_tokens or "any",
                tier.input_nano_usd_per_token,
                tier.cached_nano_usd_per_token,
                tier.output_nano_usd_per_token,
            )
    return table


def _since(price: ModelPrice) -> str:
    """Return from when a price is in force, as precisely as ``remove`` needs it."""
    millis = price.since % 1000
    text = f"{price.effective_from:%Y-%m-%dT%H:%M:%S}"
    return f"{text}.{millis:03d}" if millis else text.removesuffix("T00:00:00")


@prices_cli.command("put")
def put_price(
    model: Annotated[str | None, typer.Argument(help="The model, in any spelling of interactions.")] = None,
    tokens_in: Annotated[int | None, typer.Option("--in", min=0, help="Nano-USD per input token.")] = None,
    tokens_out: Annotated[int | None, typer.Option("--out", min=0, help="Nano-USD per output token.")] = None,
    cached: Annotated[
        int | None, typer.Option("--cached", min=0, help="Nano-USD per input token that came from a cache.")
    ] = None,
    tier: Annotated[
        list[str] | None,
        typer.Option(help="LIMIT:IN:OUT[:CACHED] for prompts up to LIMIT tokens; any:… for all longer ones."),
    ] = None,
    file: Annotated[Path | None, typer.Option(help="JSON with entries like those of prices.json.")] = None,
    since: Annotated[datetime | None, _FROM] = None,
    as_json: AsJson = False,
) -> None:
    """Add or override a price, and reprice the interactions it affects. 1 USD per million tokens is 1,000.

    A price replaces the whole price of the model: one that leaves out a length of the prompt, or cached
    input, is refused if the model has prices for these.
    """

    async def work(fleet: Fleet) -> RepriceReport:
        before = (await fleet.prices.overrides()).table()
        await fleet.prices.put(*prices)
        recent = await recent_models(fleet.database)
        for price in prices:
            _warn_if_unused(price.model, before, recent)
            _note_if_separate(price, before)
        return await fleet.repricer.apply()

    flat = (tokens_in, tokens_out, cached)
    if file and (model or tier or since or any(price is not None for price in flat)):
        fail("Give either --file, or a model with its prices.", Exit.USAGE)
    try:
        prices = prices_of_file(file) if file else [price_of_options(model, since, flat, tier or [])]
    except PriceError as error:
        fail(f"This is not a price: {error}.", Exit.USAGE)
    _print_repriced(run(work), as_json)


@prices_cli.command("remove")
def remove_price(
    model: Annotated[str, typer.Argument(help="The model, in any spelling.")],
    since: Since,
    as_json: AsJson = False,
) -> None:
    """Remove an override, and reprice the interactions it affects. List prices cannot be removed."""

    async def work(fleet: Fleet) -> RepriceReport:
        if not await fleet.prices.remove(model, to_millis(since)):
            raise PriceError(f"there is no override of {model} from {since:%Y-%m-%dT%H:%M:%S} on")
        return await fleet.repricer.apply()

    _print_repriced(run(work), as_json)


@prices_cli.command("alias")
def set_alias(
    name: Annotated[str, typer.Argument(help="A name that interactions give.")],
    model: Annotated[str | None, typer.Argument(help="The model that it means.")] = None,
    remove: Annotated[bool, typer.Option("--remove", help="Remove the alias.")] = False,
    as_json: AsJson = False,
) -> None:
    """Let a name mean another model, or no longer, and count and price its interactions as that model."""

    async def work(fleet: Fleet) -> RepriceReport:
        if model is not None:
            before = (await fleet.prices.overrides()).table()
            await fleet.prices.put_alias(name, model)
            _warn_if_unused(name, before, await recent_models(fleet.database))
        elif not await fleet.prices.remove_alias(name):
            raise PriceError(f"no operator made {name} an alias")
        return await fleet.repricer.apply()

    if (model is None) != remove:
        fail("Give either a model, or --remove.", Exit.USAGE)
    _print_repriced(run(work), as_json)


@prices_cli.command("apply")
def apply_prices(as_json: AsJson = False) -> None:
    """Reprice counted interactions, as the timer does. Exit code 1 while there is more to do."""
    report: RepriceReport = run(lambda fleet: fleet.repricer.apply())
    _print_repriced(report, as_json)
    if not report.finished:
        raise typer.Exit(Exit.REFUSED)


def _warn_if_unused(name: str, table: PriceTable, recent: set[str]) -> None:
    """Say so if no recent interaction gives a name, with names that look like it."""
    shown = field_key(table.model(model_spelling(name)))
    if shown in recent:
        return
    text = f"No interaction of the last {RECENT_DAYS} days names the model {name}."
    alike = get_close_matches(shown, sorted(recent), n=3)
    if alike:
        text += f" Did you mean {' or '.join(alike)}?"
    note(text)


def _note_if_separate(price: ModelPrice, before: PriceTable) -> None:
    """Say so if a name meant another model before it had a price: the two are counted apart from now on."""
    meant = before.model(price.key)
    if meant != price.key and meant in before.models():
        note(f"{price.model} meant {meant} before. With a price it is a model of its own.")


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
