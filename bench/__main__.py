"""``python -m bench``: the figures of the fleet, most of them against the specification's own processor."""

from __future__ import annotations

import asyncio
import json
import os
import platform
import time
from collections.abc import Callable, Collection
from dataclasses import replace
from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated

import typer
from azure.core.exceptions import AzureError

from bench.aims import verdicts
from bench.archive import measure_archive
from bench.comparison import Plan, measure_level, measure_people
from bench.contenders import BenchError
from bench.figures import Figures
from bench.folding import measure_fold
from bench.freshness import bench_stack, measure_freshness, write_backlog
from bench.idle import measure_idle
from bench.local_server import LoadPlan, measure_local_server
from bench.profiling import NAMES, profile
from bench.report import print_report
from bench.server import running_server
from bench.stack_figures import IdleFigures, StackFigures
from bench.traffic import LiveSegments, Scale
from local.console import notes, output
from local.host.errors import HostStartError
from local.interrupt import INTERRUPTED, run_until_signal
from local.processes import StackError
from shared.logs import configure_logging

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)


class Section(StrEnum):
    """A part of the report that can be measured alone."""

    COMPARISON = "comparison"
    FOLD = "fold"
    FRESHNESS = "freshness"
    IDLE = "idle"
    SERVER = "server"
    ARCHIVE = "archive"


@app.command()
def main(
    quick: Annotated[bool, typer.Option("--quick", help="Fewer repetitions, a shorter history.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object instead of tables.")] = False,
    people: Annotated[int, typer.Option(min=1, help="How many people ask.")] = 300,
    seed: Annotated[int, typer.Option(help="The same seed gives the same traffic.")] = 1,
    only: Annotated[
        list[Section] | None, typer.Option("--only", help="Measure this alone; may be given several times.")
    ] = None,
    silence: Annotated[
        float, typer.Option(min=0, help="Seconds without traffic before idle timers are measured.")
    ] = 0.0,
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
        figures = run_until_signal(measure(plan, frozenset(only or Section), silence, quick=quick))
    except asyncio.CancelledError:
        typer.echo("interrupted: nothing to report", err=True)
        raise typer.Exit(INTERRUPTED) from None
    except (BenchError, StackError, HostStartError, AzureError) as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(1) from None
    if as_json:
        aims = [{"met": verdict.met, "text": verdict.text} for verdict in verdicts(figures)]
        print(json.dumps(figures.as_json() | {"aims": aims}))
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


async def measure(plan: Plan, sections: Collection[Section], silence: float, *, quick: bool) -> Figures:
    """Measure some sections; progress goes to standard error.

    Raises
    ------
    BenchError
        A measurement would not mean what it says.
    StackError
        The database server does not start.
    """
    started, progress = time.monotonic(), _progress()
    figures = Figures(machine(), datetime.now(UTC).isoformat(timespec="seconds"), 0.0, quick)
    if Section.COMPARISON in sections:
        async with running_server() as server:
            levels = tuple([await measure_level(server, plan, factor, progress) for factor in plan.factors])
            many = await measure_people(server, plan, progress)
        figures = replace(figures, levels=levels, people=many)
    if Section.FOLD in sections:
        progress("fold without I/O")
        figures = replace(
            figures, fold=measure_fold(plan.scale, 1_000 if quick else 5_000, 1 if quick else 3)
        )
    if not {Section.FRESHNESS, Section.IDLE}.isdisjoint(sections):
        stack, idle = await measure_stack(plan.scale, sections, progress, silence, quick=quick)
        figures = replace(figures, stack=stack, idle=idle)
    if Section.ARCHIVE in sections:
        documents, alone = (500, 100) if quick else (5_000, 500)
        figures = replace(figures, archive=await measure_archive(documents, alone, progress))
    if Section.SERVER in sections:
        figures = replace(figures, load=await measure_local_server(_load_plan(quick=quick), progress))
    return replace(figures, seconds=time.monotonic() - started)


async def measure_stack(
    scale: Scale,
    sections: Collection[Section],
    progress: Callable[[str], None],
    silence: float,
    *,
    quick: bool,
) -> tuple[StackFigures | None, IdleFigures | None]:
    """Measure what only the whole stack shows. A stack that does not start is in the figures."""
    fresh, idle = Section.FRESHNESS in sections, Section.IDLE in sections
    stack_figures: StackFigures | None = None
    idle_figures: IdleFigures | None = None
    try:
        async with bench_stack() as stack:
            progress("a backlog, on the whole stack")
            live = LiveSegments(scale, ratings=False)
            backlog = await stack.alongside(write_backlog(stack, live, 200 if quick else 5_000))
            if fresh:
                progress("freshness and memory")
                writes = 24 if quick else 200
                stack_figures = await stack.alongside(
                    measure_freshness(stack, live, backlog, writes=writes, per_second=8.0)
                )
            if idle:
                progress("timers and an idle fleet; no timer may come due meanwhile, so this may wait")
                window = 15.0 if quick else 60.0
                idle_figures = await stack.alongside(measure_idle(stack, live.taken, window, silence))
    except StackError as error:
        reason = str(error).splitlines()[0]
        if fresh and stack_figures is None:
            stack_figures = StackFigures(unavailable=reason)
        if idle:
            idle_figures = IdleFigures(0, unavailable=reason)
    return stack_figures, idle_figures


def machine() -> str:
    """Return what the figures were measured on."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return f"{cores} cores, Python {platform.python_version()}, {platform.system()} {platform.machine()}"


if __name__ == "__main__":
    app()
