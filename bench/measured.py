"""``python -m bench.measured BENCH SCALE > ops/measured.json``: the figures of ``fleet cost estimate``."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from shared.containers import CATALOGUE, CONTENT_TEAM, FLEET_STATE

FIXED = (FLEET_STATE, "change_feed_leases", "poison_messages", "system_health")
"""Containers that do not grow with traffic, next to those of the content pipeline."""


def measured(bench: Mapping[str, Any], scale: Mapping[str, Any]) -> dict[str, Any]:
    """Return the figures of a run of the bench and of one at scale.

    Raises
    ------
    KeyError, TypeError, ZeroDivisionError
        These are other reports, or a section was not measured.
    """
    level = bench["history"][0]
    cells = {str(each["batch"]): each["fleet"] for each in level["batches"]}
    plan, units = scale["plan"], scale["request_units"]
    interactions = plan["interactions"] * plan["days"]
    sizes = {name: container["bytes"] for name, container in scale["containers"].items()}
    fixed = {each.name for each in CATALOGUE if each.written_by == CONTENT_TEAM} | set(FIXED)
    growing = set(sizes) - fixed - {"users"}
    return {
        "at": bench["at"],
        "machine": bench["machine"],
        "units_by_batch": {b: cell["request_units_per_change"]["median"] for b, cell in cells.items()},
        "scheduled_units": round(
            level["hourly"]["request_units_per_change"] + level["half_day"]["request_units_per_change"], 3
        ),
        "idle_units": bench["idle"]["request_units_per_hour"],
        "changes_per_interaction": round(scale["changes"] / interactions, 4),
        "writer_units": round(units["of_the_writer"] / interactions, 3),
        "unit_shares": {
            name: round(value / units["total"], 5) for name, value in units["by_container"].items()
        },
        "bytes_per_interaction": {name: round(sizes[name] / interactions, 1) for name in sorted(growing)},
        "bytes_per_person": round(sizes["users"] / plan["people"], 1),
        "fixed_bytes": sum(sizes[name] for name in fixed if name in sizes),
        "seconds_by_batch": {
            b: round(1 / cell["changes_per_second"]["median"], 6) for b, cell in cells.items()
        },
        "timer_runs": round(sum(timer["runs_per_day"] for timer in bench["idle"]["timers"].values()), 1),
    }


def main(
    bench: Annotated[Path, typer.Argument(help="What make bench ARGS=--json printed.")],
    scale: Annotated[Path, typer.Argument(help="What make scale ARGS=--json printed.")],
) -> None:
    """Print the figures that the estimate of costs needs, as JSON."""
    try:
        figures = measured(json.loads(bench.read_text()), json.loads(scale.read_text()))
    except (OSError, ValueError, KeyError, TypeError, ZeroDivisionError) as error:
        print(
            f"error: these are not the reports of a whole bench and a run at scale: {error!r}",
            file=sys.stderr,
        )
        raise typer.Exit(2) from None
    print(json.dumps(figures, indent=2))


if __name__ == "__main__":
    typer.run(main)
