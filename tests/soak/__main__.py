"""``python -m tests.soak``: four hosts, traffic, faults, kills and splits; then everything must add up."""

from __future__ import annotations

import asyncio
import json
import logging
import shutil
import tempfile
from pathlib import Path
from random import SystemRandom
from time import monotonic
from typing import Annotated

import typer
from azure.core.exceptions import AzureError

from local.console import notes, output
from local.interrupt import INTERRUPTED, run_until_signal
from local.processes import StackError
from tests.soak.report import print_report
from tests.soak.run import SoakConfig, run_soak

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)


@app.command()
def main(
    minutes: Annotated[float, typer.Option(min=0.2, max=600, help="How long to disturb.")] = 10.0,
    seed: Annotated[int | None, typer.Option(help="Of a soak that is to be repeated.")] = None,
    hosts: Annotated[int, typer.Option(min=3, max=8, help="Functions hosts.")] = 4,
    users: Annotated[int, typer.Option(min=1, max=10_000, help="People who ask.")] = 40,
    rate: Annotated[float, typer.Option(min=0.1, max=500, help="Writes per second.")] = 15.0,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object instead of text.")] = False,
) -> None:
    """Disturb a fleet for some minutes; exit code 0 only if nothing was lost, double or growing."""
    logging.getLogger().addHandler(logging.NullHandler())  # the SDK's and the auditor's own words
    data = Path(tempfile.mkdtemp(prefix="fleet-soak-"))
    drawn = SystemRandom().randrange(1_000_000) if seed is None else seed
    config = SoakConfig(data, round(minutes * 60), drawn, hosts, users, rate)
    console, started = notes(), monotonic()

    def tell(what: str) -> None:
        console.print(f"{monotonic() - started:6.1f} s  {what}", markup=False, soft_wrap=True)

    tell(f"seed {drawn}, data in {data}")
    try:
        report = run_until_signal(run_soak(config, tell))
    except asyncio.CancelledError:
        shutil.rmtree(data)
        tell("interrupted; everything is stopped and removed")
        raise typer.Exit(INTERRUPTED) from None
    except (StackError, AzureError) as error:
        typer.echo(f"error: {error}\nThe data is kept in {data}.", err=True)
        raise typer.Exit(1) from None
    if as_json:
        print(json.dumps(report.as_json()))
    else:
        print_report(report, output())
    if report.holds:
        shutil.rmtree(data)
        return
    tell(f"the data and the logs are kept in {data}")
    raise typer.Exit(1)


if __name__ == "__main__":
    app()
