"""``python -m local``: the laptop stack, its parts one by one, and sample traffic for it."""

from __future__ import annotations

import asyncio
import logging
import os
import sys
from collections import Counter
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from datetime import date, timedelta
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
from azure.core.exceptions import AzureError

from local.connection import DEFAULT_DATA, export_lines, find_connection, read_stack
from local.host.errors import HostStartError
from local.interrupt import INTERRUPTED, run_until_signal
from local.processes import ROOT, Reporter, StackError
from local.seed.traffic import DEFAULT_UNTIL, TrafficPlan
from shared.clock import SYSTEM_CLOCK
from terminal.arguments import day
from terminal.output import Exit, fail, note, note_lines, print_json

app = typer.Typer(
    name="python -m local",
    help="The fleet on a laptop: database server, Functions host, Blob Storage, sample traffic.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,  # a traceback with local variables would print connection strings
)

Data = Annotated[Path, typer.Option("--data", help="Directory of the stack's data, logs and stack.json.")]
Instances = Annotated[int, typer.Option(min=0, max=32, help="How many Functions hosts to start.")]
CosmosPort = Annotated[int, typer.Option(min=0, max=65_535, help="Port of the database server; 0: any free.")]
BlobPort = Annotated[int, typer.Option(min=0, max=65_535, help="Port of Blob Storage; 0: any free.")]
HttpPort = Annotated[int, typer.Option(min=0, max=65_535, help="HTTP port of the first host; 0: any free.")]
Users = Annotated[int, typer.Option(min=1, max=1_000_000, help="How many people ask.")]
Interactions = Annotated[int, typer.Option(min=1, max=10_000_000, help="How many interactions to create.")]
Days = Annotated[int, typer.Option(min=1, max=3_650, help="Over how many days they spread.")]
Seed = Annotated[int, typer.Option(help="The same seed gives the same documents.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object instead of text.")]
ReadyFd = Annotated[int | None, typer.Option(hidden=True)]


@contextmanager
def _failures_as_sentences(reporter: Reporter | None = None) -> Iterator[None]:
    """Turn the failures a user can act on into one sentence on standard error and an exit code."""
    try:
        yield
    except (StackError, HostStartError, AzureError, OSError, ValueError) as failure:
        sentence = _sentence(failure)
        if reporter is not None:
            reporter.failed(sentence)
        if isinstance(failure, StackError) and failure.details:
            note_lines(failure.details)
        fail(f"error: {sentence}", _code_of(failure))


def _code_of(failure: Exception) -> Exit:
    """A host that does not start has wrong settings, or an app that it cannot run."""
    if isinstance(failure, AzureError):
        return Exit.UNREACHABLE
    return Exit.USAGE if isinstance(failure, HostStartError) else Exit.REFUSED


def _sentence(failure: Exception) -> str:
    if isinstance(failure, AzureError):
        first = str(failure.message).strip().splitlines()[:1]
        return f"The database did not do as asked: {first[0] if first else type(failure).__name__}"
    return failure.headline if isinstance(failure, StackError) else str(failure)


def _run(main: Coroutine[Any, Any, int]) -> int:
    """Return what ``main`` returned, or :data:`INTERRUPTED` if a signal ended it."""
    try:
        return run_until_signal(main)
    except asyncio.CancelledError:
        return INTERRUPTED


@app.callback()
def quiet() -> None:
    """Keep the SDK's own warnings out of the output: what failed in the end is said in one sentence.

    What this process and its children write is readable for their owner only: a database has documents.
    """
    logging.getLogger("azure").setLevel(logging.ERROR)
    os.umask(0o077)


@app.command()
def up(
    data: Data = DEFAULT_DATA,
    instances: Instances = 1,
    cosmos_port: CosmosPort = 8081,
    blob_port: BlobPort = 10_000,
    http_port: HttpPort = 7071,
) -> None:
    """Start the stack without sample traffic; print one JSON line when it serves; Ctrl-C stops it."""
    from local.stack import StackConfig, running_stack

    async def serve() -> NoReturn:
        async with running_stack(StackConfig(data, instances, cosmos_port, blob_port, http_port)) as stack:
            for drift in stack.catalogue.drifted:
                note(f"warning: {drift}")
            print_json({"ready": True, **stack.description()}, indent=None)
            sys.stdout.flush()
            await stack.watch()

    with _failures_as_sentences():
        code = _run(serve())
    raise typer.Exit(0 if code == INTERRUPTED else code)


@app.command()
def cosmos(
    data: Annotated[Path, typer.Option("--data", help="Directory of the database.")] = DEFAULT_DATA
    / "cosmos",
    port: CosmosPort = 8081,
    tls: Annotated[bool, typer.Option("--tls", help="Serve HTTPS with a generated certificate.")] = False,
    partitions: Annotated[int, typer.Option(min=1, help="Physical partitions of a new container.")] = 2,
    ready_fd: ReadyFd = None,
) -> None:
    """Start the database server alone; print one JSON line when it serves."""
    from local.cosmos.server import ConfigurationError, ServerConfig, ServerInfo, run

    reporter = Reporter(ready_fd)

    def ready(info: ServerInfo) -> None:
        report = {
            "endpoint": info.endpoint,
            "port": info.port,
            "connection_string": info.connection_string,
        }
        if info.certificate is not None:
            report["certificate"] = str(info.certificate)
        reporter.ready(report)

    with _failures_as_sentences(reporter):
        config = ServerConfig(port=port, data_dir=data, tls=tls, partitions=partitions)
        try:
            run(config, on_ready=ready)
        except ConfigurationError as error:
            raise StackError(str(error)) from None


@app.command()
def host(
    instance: Annotated[str, typer.Option(help="Name of the host, different from every other's.")],
    data: Data = DEFAULT_DATA,
    http_port: Annotated[int, typer.Option(min=0, max=65_535, help="Its HTTP port; 0: any free.")] = 0,
    lose: Annotated[
        list[str] | None,
        typer.Option(help="Function that loses its first batch, for tests; named again: one more."),
    ] = None,
    ready_fd: ReadyFd = None,
) -> None:
    """Start one more Functions host on a running stack; print one JSON line when it serves."""
    from local.host.runner import HostConfig, HostReady, run_host

    reporter = Reporter(ready_fd)

    def ready(host: HostReady) -> None:
        reporter.ready(
            {"instance": host.instance, "http_port": host.http_port, "functions": list(host.functions)}
        )

    with _failures_as_sentences(reporter):
        os.environ.update(find_connection(data).settings)  # where the host and the app look for settings
        config = HostConfig(
            app_dir=ROOT,
            instance=instance,
            http_port=http_port,
            data_dir=data.resolve() / "host",
            lose_batches=Counter(lose),
        )
        asyncio.run(run_host(config, on_ready=ready))


@app.command()
def seed(
    users: Users = 40,
    interactions: Interactions = 3_000,
    days: Days = 28,
    seed: Seed = 1,
    until: Annotated[
        date, typer.Option(parser=day, metavar="DATE", help="Last day of the period.")
    ] = DEFAULT_UNTIL,
    malformed: Annotated[float, typer.Option(min=0, max=1, help="Share of malformed documents.")] = 0.005,
    concurrency: Annotated[int, typer.Option(min=1, max=256, help="Requests at a time.")] = 16,
    data: Data = DEFAULT_DATA,
    as_json: AsJson = False,
) -> None:
    """Write a sample database: accounts, sessions, interactions and their ratings, incidents, personas.

    Passages that are cited get their vectors. A share of interactions, sessions and incidents is malformed.
    """
    from local.seed.command import print_summary, seed_database

    with _failures_as_sentences():
        plan = TrafficPlan(users, interactions, days, seed, until, malformed)
        connection = find_connection(data)

        async def write() -> int:
            summary = await seed_database(connection, plan, concurrency=concurrency)
            print_summary(summary, as_json=as_json)
            return 0

        code = _run(write())
    raise typer.Exit(code)


@app.command()
def settle(
    timeout: Annotated[float, typer.Option(min=0, help="Seconds to wait at most.")] = 60.0,
    data: Data = DEFAULT_DATA,
    as_json: AsJson = False,
) -> None:
    """Drain every feed and publish every view; exit code 1 and the lag per feed if the time is over before.

    Views that wait for a timer are published at once, as `fleet views refresh` publishes them.
    """
    from local.drain import print_lag
    from local.settle import settle as drain_and_publish

    with _failures_as_sentences():
        connection = find_connection(data)

        async def wait() -> int:
            settled = await drain_and_publish(connection, timeout=timeout)
            print_lag(settled, as_json=as_json)
            return 0 if settled.drained else 1

        code = _run(wait())
    raise typer.Exit(code)


@app.command()
def env(data: Data = DEFAULT_DATA) -> None:
    """Print the settings of the running stack for a shell: eval "$(.venv/bin/python -m local env)"."""
    with _failures_as_sentences():
        for line in export_lines(read_stack(data)["settings"]):
            typer.echo(line)


@app.command()
def demo(
    users: Users = 40,
    interactions: Interactions = 3_000,
    days: Days = 28,
    seed: Seed = 1,
    instances: Instances = 2,
    timeout: Annotated[float, typer.Option(min=1, help="Seconds the feeds have to drain.")] = 300.0,
    data: Annotated[
        Path | None, typer.Option("--data", help="Directory to keep; a temporary one is used without it.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Seed traffic, drain and publish it, show what came out; exit code 1 if it does not add up."""
    from local.demo import run_demo

    with _failures_as_sentences():
        # Traffic of a fixed day would one day be older than what the fleet keeps.
        yesterday = SYSTEM_CLOCK.now().date() - timedelta(days=1)
        plan = TrafficPlan(users, interactions, days, seed, yesterday)
        code = _run(run_demo(plan, data=data, instances=instances, timeout=timeout, as_json=as_json))
    raise typer.Exit(code)


@app.command()
def run(
    data: Data = DEFAULT_DATA,
    instances: Instances = 2,
    cosmos_port: CosmosPort = 8081,
    blob_port: BlobPort = 10_000,
    http_port: HttpPort = 7071,
    users: Users = 40,
    per_minute: Annotated[float, typer.Option(min=0.1, max=6_000, help="Questions per minute.")] = 30.0,
) -> None:
    """Start the stack and a trickle of live traffic; Ctrl-C stops it."""
    from local.run import run_live
    from local.stack import StackConfig

    config = StackConfig(data, instances, cosmos_port, blob_port, http_port)
    with _failures_as_sentences():
        code = _run(run_live(config, users=users, per_minute=per_minute))
    raise typer.Exit(0 if code == INTERRUPTED else code)


if __name__ == "__main__":
    app()
