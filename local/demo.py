"""``python -m local demo``: traffic in, views out, and a readable summary of both."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic

from local.drain import print_lag
from local.processes import StackError
from local.report import print_report
from local.seed.command import seed_database
from local.seed.traffic import TrafficPlan
from local.settle import settle
from local.stack import Stack, StackConfig, running_stack
from local.summary import Outcome, checks, read_charges, read_summary
from terminal.output import note, print_json


async def run_demo(
    plan: TrafficPlan, *, data: Path | None, instances: int, timeout: float, as_json: bool
) -> int:
    """Run the demonstration and print its summary.

    Parameters
    ----------
    data
        Directory of the stack, which must not hold one yet; without it, a temporary one is used and removed.
    timeout
        Seconds in which every feed is drained and every view published after the last write.

    Returns
    -------
    int
        Exit code: 0, or 1 if that was not done in time or the figures do not add up.

    Raises
    ------
    StackError
        The stack cannot start, or a part of it ended by itself.
    """
    with _directory(data) as directory:
        async with running_stack(StackConfig(directory, instances)) as stack:
            outcome = await stack.alongside(_process(stack, plan, timeout, as_json))
    if outcome is None:
        return 1
    if as_json:
        print_json(outcome.as_json(), indent=None)
    else:
        print_report(outcome, kept_in="" if data is None else str(data))
    return 0 if outcome.adds_up else 1


async def _process(stack: Stack, plan: TrafficPlan, timeout: float, as_json: bool) -> Outcome | None:
    """Write, wait and read; None if that was not done in time, which is then printed."""
    connection = stack.connection
    note(f"The stack serves: {len(stack.hosts)} hosts, database {stack.cosmos['endpoint']}")
    started = monotonic()
    written = await seed_database(connection, plan)
    note(f"{written.documents:,} interactions written; draining every feed and publishing every view …")
    result = await settle(connection, timeout=timeout)
    drained_after = monotonic() - started
    if not result.drained:
        print_lag(result, as_json=as_json)
        return None
    # Charges first: reading the summary is not what the fleet costs.
    charges = await read_charges(stack.cosmos["endpoint"], connection)
    summary = await read_summary(connection)
    return Outcome(written, summary, checks(summary, written), charges, drained_after)


@contextmanager
def _directory(data: Path | None) -> Iterator[Path]:
    if data is None:
        with tempfile.TemporaryDirectory(prefix="fleet-demo-") as temporary:
            yield Path(temporary)
        return
    if (data / "cosmos").exists():
        raise StackError(
            f"{data} holds a database already, whose documents the demo's figures would not account for:"
            " name another directory with --data, or none for a temporary one."
        )
    yield data
