"""``python -m bench``: the figures of the fleet, most of them against the specification's own processor."""

from __future__ import annotations

import asyncio
import json
import os
import platform
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Annotated

import typer
from azure.core.exceptions import AzureError

from bench.comparison import Plan, measure_level
from bench.contenders import BenchError
from bench.figures import Figures
from bench.folding import measure_fold
from bench.freshness import measure_stack
from bench.local_server import LoadPlan, measure_local_server
from bench.profiling import NAMES, profile
from bench.report import print_load, print_report
from bench.server import running_server
from bench.traffic import Scale
from local.console import notes, output
from local.interrupt import INTERRUPTED, run_until_signal
from local.processes import StackError
from shared.logs import configure_logging

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)


@app.command()
def main(
    quick: Annotated[bool, typer.Option("--quick", help="Fewer repetitions, a shorter history.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object instead of tables.")] = False,
    people: Annotated[int, typer.Option(min=1, help="How many people ask.")] = 300,
    seed: Annotated[int, typer.Option(help="The same seed gives the same traffic.")] = 1,
    local_server: Annotated[
        bool, typer.Option("--local-server", help="Put load on the local database server, and nothing else.")
    ] = False,
    profiled: Annotated[
        str | None, typer.Option("--profile", help=f"Profile one measurement: {', '.join(NAMES)}.")
    ] = None,
    history: Annotated[int, typer.Option(min=1, help="With --profile: length of the history, 1 or 10.")] = 1,
) -> None:
    """Measure the fleet against the specification's per-document processor, on one server, in one run."""
    configure_logging("ERROR")
    scale = Scale(people, max(1, people // 3) if quick else people, 1 if quick else 3, seed)
    plan = _quick_plan(scale) if quick else _full_plan(scale)
    try:
        if profiled is not None:
            if profiled not in NAMES:
                raise typer.BadParameter(f"{profiled!r} is not one of {', '.join(NAMES)}")
            profile(profiled, plan, history, output())
            return
        if local_server:
            load = run_until_signal(measure_local_server(_load_plan(quick=quick), _progress()))
            if as_json:
                print(json.dumps(load.as_json()))
            else:
                print_load(load, output())
            return
        figures = run_until_signal(measure_all(plan, quick=quick))
    except asyncio.CancelledError:
        typer.echo("interrupted: nothing to report", err=True)
        raise typer.Exit(INTERRUPTED) from None
    except (BenchError, StackError, AzureError) as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(1) from None
    if as_json:
        print(json.dumps(figures.as_json()))
    else:
        print_report(figures, output())


def _full_plan(scale: Scale) -> Plan:
    return Plan(scale, {1: 30, 100: 300, 1000: 1000}, baseline_changes=60, repetitions=3)


def _quick_plan(scale: Scale) -> Plan:
    return Plan(scale, {1: 5, 100: 100, 1000: 1000}, baseline_changes=15, repetitions=1)


def _load_plan(*, quick: bool) -> LoadPlan:
    return LoadPlan(10_000, 3.0) if quick else LoadPlan(100_000, 15.0)


def _progress() -> Callable[[str], None]:
    """Return a function that prints the progress of the run on standard error."""
    console = notes()
    started = time.monotonic()
    return lambda what: console.print(f"{time.monotonic() - started:5.0f} s  {what}")


async def measure_all(plan: Plan, *, quick: bool) -> Figures:
    """Measure everything; progress goes to standard error.

    Raises
    ------
    BenchError
        A measurement would not mean what it says.
    StackError
        The database server does not start.
    """
    started = time.monotonic()
    progress = _progress()
    async with running_server() as server:
        levels = tuple([await measure_level(server, plan, factor, progress) for factor in plan.factors])
    progress("fold without I/O")
    fold = measure_fold(plan.scale, 1_000 if quick else 5_000, 1 if quick else 3)
    progress("freshness and memory, on the whole stack")
    stack = await measure_stack(
        plan.scale,
        backlog=200 if quick else 5_000,
        writes=24 if quick else 200,
        per_second=8.0,
    )
    load = await measure_local_server(_load_plan(quick=quick), progress)
    return Figures(
        levels=levels,
        fold=fold,
        stack=stack,
        machine=machine(),
        at=datetime.now(UTC).isoformat(timespec="seconds"),
        seconds=time.monotonic() - started,
        quick=quick,
        load=load,
    )


def machine() -> str:
    """Return what the figures were measured on."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return f"{cores} cores, Python {platform.python_version()}, {platform.system()} {platform.machine()}"


if __name__ == "__main__":
    app()
