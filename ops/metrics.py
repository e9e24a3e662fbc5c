"""``fleet metrics``: published figures."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Any

import typer

from ops.console import run
from shared.clock import SYSTEM_CLOCK
from shared.fleet.wiring import Fleet
from shared.queries import Document, OptimizedQueries
from terminal.arguments import day
from terminal.figures import figures_table
from terminal.output import AsJson, Exit, commands, fail, print_json, print_table, say
from terminal.tables import Table, number, whole

metrics_cli = commands("Published figures.")

ABOUT = ("id", "date", "partition_key", "document_type", "ai_performance", "state", "alerts", "calculated_at")
"""Fields of a day that are no figures, or have a table of their own."""


@metrics_cli.callback()
def metrics() -> None:
    """Published figures."""


@metrics_cli.command("day")
def print_day(
    of: Annotated[
        date | None, typer.Argument(parser=day, metavar="DATE", help="Day in UTC; today if left out.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Print what the interactions of a day cost, and the day's other figures."""
    wanted = (of or SYSTEM_CLOCK.now().date()).isoformat()

    async def work(fleet: Fleet) -> Document | None:
        return await OptimizedQueries(fleet.database).get_daily_metrics(wanted)

    document = run(work)
    if document is None:
        fail(f"Nothing is published for {wanted}: no interaction was counted on this day.", Exit.REFUSED)
    if as_json:
        print_json(document)
        return
    print_table(_cost_table(wanted, document["ai_performance"]))
    say()
    blocks = [name for name, value in document.items() if isinstance(value, dict) and name not in ABOUT]
    print_table(figures_table(f"Figures of {wanted}", document, blocks))
    say(f"Calculated at {document['calculated_at']}. Figures that nothing measures are left out.")


def _cost_table(day: str, performance: dict[str, Any]) -> Table:
    table = Table(
        whole("model"),
        number("interactions"),
        number("no price"),
        number("not exact"),
        number("cost in USD"),
        title=f"Cost of {day}",
    )
    for model, figures in performance["model_performance"].items():
        table.add(
            model,
            figures["requests"],
            figures.get("unpriced_requests"),
            figures.get("inexact_requests"),  # days that an earlier release published have none
            _usd(figures["cost_usd"]),
        )
    table.add("all", None, None, None, _usd(performance["total_cost_usd"]))
    return table


def _usd(cost: float | None) -> str:
    return "not priced" if cost is None else f"{cost:,.6f}"
