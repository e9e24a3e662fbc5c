"""``fleet cost``: what the fleet and its database cost in a month."""

from __future__ import annotations

import json
from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import Annotated

import typer

from ops.console import refusals
from ops.cost_model import Estimate, Measured, Prices, Throughput, Traffic, estimate
from terminal.output import AsJson, commands, print_json, print_table, say
from terminal.tables import Table, number, whole

cost_cli = commands("What the fleet and its database cost.")

FOLDER = Path(__file__).parent
PRICES = FOLDER / "azure_prices.json"
MEASURED = FOLDER / "measured.json"

MOST_USERS, MOST_INTERACTIONS, MOST_REGIONS = 1_000_000_000, 10_000_000_000, 60


@cache
def prices() -> Prices:
    """Return the list prices of this release."""
    return Prices.decode(json.loads(PRICES.read_text(encoding="utf-8")))


@cache
def measured() -> Measured:
    """Return the measured figures of this release."""
    return Measured.decode(json.loads(MEASURED.read_text(encoding="utf-8")))


@cost_cli.callback()
def cost() -> None:
    """What the fleet and its database cost."""


@cost_cli.command("estimate")
def print_estimate(
    users: Annotated[int, typer.Option(min=1, max=MOST_USERS, help="People with an account.")],
    interactions: Annotated[
        int, typer.Option("--interactions-per-day", min=0, max=MOST_INTERACTIONS, help="Interactions a day.")
    ],
    regions: Annotated[int, typer.Option(min=1, max=MOST_REGIONS, help="Regions of the account.")] = 2,
    throughput: Annotated[
        Throughput, typer.Option(help="How request units are bought.")
    ] = Throughput.PER_CONTAINER,
    as_json: AsJson = False,
) -> None:
    """Estimate the bill of a month from traffic, measured figures and list prices. Needs no connection."""
    with refusals():
        found = estimate(Traffic(users, interactions, regions, throughput), measured(), prices())
    if as_json:
        print_json(asdict(found) | {"usd": found.usd, "prices_at": prices().at, "measured_at": measured().at})
        return
    print_table(estimate_table(found))
    for name, maximum in found.needed.items():
        say(f"{name} needs an autoscale maximum of {maximum:,} RU/s.")
    say(
        f"List prices of {prices().region} of {prices().at}, figures measured at {measured().at}. "
        "What is counted, and what is assumed: docs/cost.md."
    )


def estimate_table(found: Estimate) -> Table:
    """Return the bill as a table."""
    table = Table("item", number("a month"), whole("unit"), number("USD a month"), title="Estimated cost")
    for item in found.items:
        table.add(item.name, f"{item.quantity:,.1f}", item.unit, f"{item.usd:,.2f}")
    table.add("all", None, None, f"{found.usd:,.2f}")
    return table
