"""The page of estimated costs, docs/cost.md, from measured figures and list prices."""

from __future__ import annotations

from collections.abc import Iterator

from ops import cost_model as model
from ops.cost import measured, prices
from ops.cost_model import Estimate, Throughput, Traffic, estimate
from shared.containers import CATALOGUE

SPECIFIED_USD = 200
"""The specification's "Current Cost Estimation"."""

CASES = ((1_000, 1_000), (10_000, 10_000), (100_000, 100_000))
"""Users and interactions a day."""

WAYS = (
    ("per container, two regions", 2, Throughput.PER_CONTAINER),
    ("per container, one region", 1, Throughput.PER_CONTAINER),
    ("shared, two regions", 2, Throughput.SHARED),
    ("shared, one region", 1, Throughput.SHARED),
    ("serverless, one region", 1, Throughput.SERVERLESS),
)


def cost_page() -> str:
    """Return the page."""
    return "\n".join([*_head(), *_sums(), *_bill(), *_floor(), *_method(), *_inputs()]) + "\n"


def _head() -> Iterator[str]:
    yield "# Cost"
    yield ""
    yield (
        "Written by `.venv/bin/fleet docs cost`; a test compares it with the measured figures "
        "(`ops/measured.json`) and the list prices (`ops/azure_prices.json`). For other traffic:"
    )
    yield ""
    yield "```"
    yield ".venv/bin/fleet cost estimate --users 10000 --interactions-per-day 10000 --regions 2"
    yield "```"
    yield ""
    yield "An estimate is arithmetic on a laptop's figures. Nothing here was billed by Azure."
    yield ""


def _sums() -> Iterator[str]:
    yield "## A month"
    yield ""
    yield "USD a month, by users and interactions a day. How request units are bought decides:"
    yield ""
    yield "| throughput | " + " | ".join(f"{u:,} users, {i:,} a day" for u, i in CASES) + " |"
    yield "|---|" + "---|" * len(CASES)
    for name, regions, throughput in WAYS:
        sums = [_of(users, daily, regions, throughput).usd for users, daily in CASES]
        yield f"| {name} | " + " | ".join(f"{usd:,.0f}" for usd in sums) + " |"
    yield ""


def _bill() -> Iterator[str]:
    users, daily = CASES[1]
    found = _of(users, daily, 2, Throughput.PER_CONTAINER)
    yield f"Line by line, {users:,} users and {daily:,} interactions a day, per container, two regions:"
    yield ""
    yield "| item | a month | unit | USD |"
    yield "|---|---|---|---|"
    for item in found.items:
        yield f"| {item.name} | {item.quantity:,.1f} | {item.unit} | {item.usd:,.2f} |"
    yield f"| all | | | {found.usd:,.2f} |"
    yield ""


def _floor() -> Iterator[str]:
    maxima = sum(each.autoscale_max for each in CATALOGUE)
    floor = _of(*CASES[0], 2, Throughput.PER_CONTAINER).items[0]
    shared = _of(*CASES[1], 2, Throughput.SHARED)
    yield "## Against the specification"
    yield ""
    yield (
        f"The specification estimates {SPECIFIED_USD} USD a month, 120 of them for throughput. The "
        "difference is the least that autoscale bills: a tenth of each container's maximum in any hour, in "
        f"each region. The catalogue has {len(CATALOGUE)} containers with {maxima:,} RU/s in all, the "
        f"specification's own maxima among them, so {maxima // 10:,} RU/s are billed without any traffic: "
        f"{floor.usd:,.0f} USD a month in two regions."
    )
    yield ""
    yield (
        f"With one throughput for the whole database, {CASES[1][0]:,} users cost {shared.usd:,.0f} USD in "
        "two regions. Then containers compete: a burst of the web application slows the fleet, and the other "
        "way round. Serverless bills what is used, in one region, and without a guaranteed latency."
    )
    yield ""


def _method() -> Iterator[str]:
    yield "## What is counted"
    yield ""
    for line in (
        "Request units: those of a change at the size of batch that the traffic makes, interpolated between "
        "the bench's batches; what timers publish; an idle hour's; and the writes of the web application, as "
        "the sample traffic makes them. What the web application reads is not in it.",
        "The share of each container in the fleet's request units is that of the run at scale.",
        f"Autoscale bills the busiest second of each hour: assumed is {model.PEAK_IN_HOUR:g} times the mean. "
        f"The maximum must carry the busiest hour: assumed is {model.BUSIEST_HOUR:g} times the day's mean.",
        "Storage: what the traffic of a day adds, for as long as the container keeps it, in each region, "
        "with a continuous backup of 30 days. The free backup of 7 days is not used.",
        f"Functions: on demand, {model.INSTANCE_GB:g} GB instances, at least {model.SHORTEST_EXECUTION:g} s "
        "for an execution. A read of a feed that finds nothing is no execution.",
        "Archive: each interaction once, in the Cold tier, after a year of archiving. Later years add to it.",
        f"Logs: assumed are {model.LOG_BYTES:,} bytes for an execution.",
        "Not counted: private endpoints, Key Vault, alerts, reads from the archive, support, taxes.",
    ):
        yield f"- {line}"
    yield ""


def _inputs() -> Iterator[str]:
    figures, listed = measured(), prices()
    yield "## Inputs"
    yield ""
    yield f"Measured at {figures.at}: {figures.machine}."
    yield ""
    yield "| figure | value |"
    yield "|---|---|"
    for batch, units in figures.units_by_batch:
        yield f"| request units per change, batches of {batch:,} | {units:,.1f} |"
    yield f"| request units per change, published by timers | {figures.scheduled_units:,.1f} |"
    yield f"| request units of an idle hour | {figures.idle_units:,.0f} |"
    yield f"| changes per interaction | {figures.changes_per_interaction:,.2f} |"
    yield f"| request units per interaction, written by the web application | {figures.writer_units:,.1f} |"
    yield f"| bytes per interaction in all containers | {sum(figures.bytes_per_interaction.values()):,.0f} |"
    yield f"| runs of timers a day | {figures.timer_runs:,.0f} |"
    yield ""
    yield f"List prices of {listed.region}, {listed.at}, in USD:"
    yield ""
    yield "| price | USD |"
    yield "|---|---|"
    for name, usd in listed.usd.items():
        yield f"| `{name}` | {usd:g} |"


def _of(users: int, daily: int, regions: int, throughput: Throughput) -> Estimate:
    return estimate(Traffic(users, daily, regions, throughput), measured(), prices())
