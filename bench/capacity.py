"""``python -m bench.capacity FILE``: what more traffic needs, by arithmetic on the report of a run at scale.

Everything is in proportion to what ``make scale ARGS=--json`` measured: request units per change, changes per
second of a host, bytes per interaction. It says nothing of what is not in proportion, such as the size of a
document; a run at scale does.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from local.console import output
from shared.containers import VIEW_STATE
from shared.facts import USER_INTERACTIONS

SECONDS_PER_DAY = 86_400

PEAK = 3.0
"""The busiest hour over the mean of the day: an assumption."""

PARTITION_UNITS = 10_000
"""Request units a second of a physical partition, and of a logical one. The service's limit."""

PARTITION_BYTES = 50_000_000_000
"""Bytes of a physical partition. The service's limit."""

SHARD_LOAD = 0.5
"""Share of a shard's throughput to use: people are not spread evenly."""

FEWEST_SHARDS = 64
"""The default of ``FLEET_SHARDS``."""

KEPT_DAYS = 365
"""Days for which interactions are kept, and their state with them."""

DAILY = (1_000, 100_000, 100_000_000)
"""Interactions of a day."""


@dataclass(frozen=True, slots=True)
class Measured:
    """What a run at scale measured, in proportion."""

    changes_per_interaction: float
    units_per_change: float
    """Request units of the fleet in all containers, scheduled work included."""
    state_units_per_change: float
    """Those in ``view_state``."""
    changes_per_second: float
    """Of one host."""
    source_bytes: float
    """Of one interaction in its source."""
    state_bytes: float
    """Of ``view_state``, per interaction: at most, since people are counted once."""

    @classmethod
    def of(cls, report: Mapping[str, Any]) -> Measured:
        """Read the report of a run at scale.

        Raises
        ------
        KeyError
            It is another report.
        ValueError
            The run counted nothing.
        """
        plan, units, changes = report["plan"], report["request_units"], report["changes"]
        interactions = plan["interactions"] * plan["days"]
        if not changes or not report["changes_per_second"]:
            raise ValueError("the run counted nothing")
        return cls(
            changes_per_interaction=changes / interactions,
            units_per_change=units["total"] / changes,
            state_units_per_change=units["by_container"][VIEW_STATE] / changes,
            changes_per_second=report["changes_per_second"] / plan["instances"],
            source_bytes=report["containers"][USER_INTERACTIONS]["bytes"] / interactions,
            state_bytes=report["containers"][VIEW_STATE]["bytes"] / interactions,
        )


@dataclass(frozen=True, slots=True)
class Need:
    """What a number of interactions a day needs."""

    interactions: int
    peak_changes: float
    """Changes a second in the busiest hour."""
    peak_units: float
    """Request units a second in that hour, in all containers."""
    shards: int
    state_partitions: int
    """Physical partitions of ``view_state``."""
    source_partitions: int
    """Physical partitions of ``user_interactions``: as many hosts can fold at the same time."""
    hosts: int


def need_of(interactions: int, measured: Measured) -> Need:
    """Return what a number of interactions a day needs, in proportion to what was measured."""
    peak = interactions * measured.changes_per_interaction / SECONDS_PER_DAY * PEAK
    state_units = peak * measured.state_units_per_change
    shards = FEWEST_SHARDS
    while shards * PARTITION_UNITS * SHARD_LOAD < state_units:
        shards *= 2
    return Need(
        interactions,
        peak,
        peak * measured.units_per_change,
        shards,
        partitions(state_units, interactions * measured.state_bytes * KEPT_DAYS),
        partitions(0.0, interactions * measured.source_bytes * KEPT_DAYS),
        max(1, ceil(peak / measured.changes_per_second)),
    )


def partitions(units: float, size: float) -> int:
    """Return the physical partitions that a throughput in request units a second and a size in bytes need."""
    return max(1, ceil(units / PARTITION_UNITS), ceil(size / PARTITION_BYTES))


def need_table(measured: Measured) -> Table:
    """Return a column for each number of interactions a day."""
    needs = [need_of(interactions, measured) for interactions in DAILY]
    table = Table(title="In proportion to a run at scale", title_justify="left")
    table.add_column("interactions a day")
    rows = {
        "changes per second, busiest hour": [f"{need.peak_changes:,.1f}" for need in needs],
        "request units per second, busiest hour": [f"{need.peak_units:,.0f}" for need in needs],
        "shards": [f"{need.shards:,}" for need in needs],
        "physical partitions of view_state": [f"{need.state_partitions:,}" for need in needs],
        "physical partitions of user_interactions": [f"{need.source_partitions:,}" for need in needs],
        "hosts": [f"{need.hosts:,}" for need in needs],
    }
    for need in needs:
        table.add_column(f"{need.interactions:,}", justify="right")
    for name, cells in rows.items():
        table.add_row(name, *cells)
    return table


def main(report: Annotated[Path, typer.Argument(help="What make scale ARGS=--json printed.")]) -> None:
    """Say what more traffic needs, by arithmetic on the report of a run at scale."""
    try:
        measured = Measured.of(json.loads(report.read_text()))
    except (OSError, ValueError, KeyError, TypeError) as error:
        print(f"error: {report} is not the report of a run at scale: {error!r}", file=sys.stderr)
        raise typer.Exit(2) from None
    output().print(need_table(measured))


if __name__ == "__main__":
    typer.run(main)
