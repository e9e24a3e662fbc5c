"""``python -m tests.scale``: seed much, fold and publish it with real hosts, and check limits and figures."""

from __future__ import annotations

import asyncio
import json
import logging
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic
from typing import Annotated

import typer
from azure.core.exceptions import AzureError

from local.console import notes, output
from local.host.errors import HostStartError
from local.interrupt import INTERRUPTED
from local.processes import StackError
from tests.scale.plan import ScalePlan
from tests.scale.report import print_report
from tests.scale.run import scale

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)


@app.command()
def main(
    people: Annotated[int, typer.Option(min=1, max=1_000_000, help="How many people ask.")] = 10_000,
    interactions: Annotated[int, typer.Option(min=1, help="Interactions on each day.")] = 10_000,
    days: Annotated[int, typer.Option(min=1, max=60, help="Days up to yesterday.")] = 3,
    instances: Annotated[int, typer.Option(min=1, max=32, help="Functions hosts.")] = 2,
    shards: Annotated[int, typer.Option(min=1, max=4096, help="FLEET_SHARDS.")] = 64,
    seed: Annotated[int, typer.Option(help="On one day, the same seed gives the same documents.")] = 1,
    sample: Annotated[int, typer.Option(min=1, help="People whose documents are compared.")] = 10_000,
    timeout: Annotated[float, typer.Option(min=1, help="Seconds until everything is published.")] = 900.0,
    data: Annotated[
        Path | None, typer.Option("--data", help="Directory to keep; a temporary one is used without it.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object instead of text.")] = False,
) -> None:
    """Push much traffic through a fleet; exit code 0 only if all limits are kept and all figures right."""
    logging.getLogger().addHandler(logging.NullHandler())
    console, started = notes(), monotonic()

    def tell(what: str) -> None:
        console.print(f"{monotonic() - started:6.0f} s  {what}", markup=False, soft_wrap=True)

    plan = ScalePlan(people, interactions, days, instances, shards, seed, sample, timeout)
    try:
        with _directory(data) as directory:
            report = scale(plan, directory, tell)
    except (asyncio.CancelledError, KeyboardInterrupt):
        tell("interrupted; everything is stopped")
        raise typer.Exit(INTERRUPTED) from None
    except (StackError, HostStartError, AzureError) as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(1) from None
    if as_json:
        print(json.dumps(report.as_json()))
    else:
        print_report(report, output())
    raise typer.Exit(0 if report.holds else 1)


@contextmanager
def _directory(data: Path | None) -> Iterator[Path]:
    if data is None:
        with tempfile.TemporaryDirectory(prefix="fleet-scale-") as temporary:
            yield Path(temporary)
        return
    if (data / "cosmos").exists():
        raise typer.BadParameter(
            f"{data} holds a database already: name another directory", param_hint="--data"
        )
    yield data


if __name__ == "__main__":
    app()
