"""What the fleet and its database cost in a month, by arithmetic on measured figures and list prices. Pure.

The measured figures are those of ``make bench`` and ``make scale``, in ``ops/measured.json``. The prices are
in ``ops/azure_prices.json``. What nothing measures is an assumption: the constants below.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise
from math import ceil, exp, log
from typing import Any

from shared.containers import CATALOGUE, DAY, WEB_APP, Container
from shared.errors import RefusedError

HOURS_PER_MONTH = 730
DAYS_PER_MONTH = HOURS_PER_MONTH / 24
SECONDS_PER_DAY = 86_400
GIGABYTE = 1e9

PEAK_IN_HOUR = 2.0
"""Assumption: the busiest second of an hour over its mean. Autoscale bills it for the whole hour."""

BUSIEST_HOUR = 3.0
"""Assumption: the busiest hour of a day over its mean, as in docs/scaling.md."""

INSTANCE_GB = 2.0
"""Memory of an instance, as infra/ deploys it."""

SHORTEST_EXECUTION = 1.0
"""Seconds that Flex Consumption bills for an execution at least."""

POLL_SECONDS = 1.0
"""Pause of a trigger on a source between two reads."""

PUBLISH_SECONDS = 2.0
"""Pause of the publishing trigger."""

FOLDED_FEEDS = 4

LOG_BYTES = 2_000
"""Assumption: bytes of log and telemetry of an execution."""

AUTOSCALE_STEP = 1_000
"""Autoscale maxima are multiples of it, in request units a second."""

FLOOR = 0.1
"""Share of an autoscale maximum that is billed in any hour."""

KEPT_STATE_DAYS = 365 + 35
"""Days for which the state of an interaction is kept: what its source keeps, and the usual margin."""


class Throughput(StrEnum):
    """How request units are bought."""

    PER_CONTAINER = "per-container"
    SHARED = "shared"
    SERVERLESS = "serverless"


@dataclass(frozen=True, slots=True)
class Measured:
    """Figures of runs of the bench and at scale. ``bench/measured.py`` writes them."""

    at: str
    machine: str
    units_by_batch: tuple[tuple[int, float], ...]
    """Request units per change by changes in a batch, smallest batch first."""
    scheduled_units: float
    """Request units per change of what timers publish."""
    idle_units: float
    """Request units of an idle hour."""
    changes_per_interaction: float
    writer_units: float
    """Request units per interaction of the writer that stands for the web application."""
    unit_shares: Mapping[str, float]
    """Share of each container in the fleet's request units."""
    bytes_per_interaction: Mapping[str, float]
    """By container, of the traffic of some days."""
    bytes_per_person: float
    """Of ``users``."""
    fixed_bytes: float
    """Of containers that do not grow with traffic."""
    seconds_by_batch: tuple[tuple[int, float], ...]
    """Seconds per change by changes in a batch."""
    timer_runs: float
    """Runs of timers a day."""

    @classmethod
    def decode(cls, stored: Mapping[str, Any]) -> Measured:
        """Read the stored figures."""
        by_batch = {
            name: tuple((int(batch), float(value)) for batch, value in stored[name].items())
            for name in ("units_by_batch", "seconds_by_batch")
        }
        return cls(**{**stored, **by_batch})


@dataclass(frozen=True, slots=True)
class Prices:
    """List prices in USD by name, and what is free in a month."""

    at: str
    region: str
    usd: Mapping[str, float]
    free: Mapping[str, float]

    @classmethod
    def decode(cls, stored: Mapping[str, Any]) -> Prices:
        """Read the stored prices."""
        usd = {name: price["usd"] for name, price in stored["prices"].items()}
        return cls(stored["at"], stored["region"], usd, stored["free"])


@dataclass(frozen=True, slots=True)
class Traffic:
    """What is to be paid for."""

    users: int
    interactions: int
    """A day."""
    regions: int
    throughput: Throughput


@dataclass(frozen=True, slots=True)
class Item:
    """One line of a bill."""

    name: str
    quantity: float
    unit: str
    usd: float
    """A month."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """The bill of a month."""

    traffic: Traffic
    items: tuple[Item, ...]
    needed: Mapping[str, int]
    """Autoscale maximum in RU/s that each container needs, where that is more than the catalogue gives it."""

    @property
    def usd(self) -> float:
        """The sum."""
        return sum(item.usd for item in self.items)


def estimate(traffic: Traffic, measured: Measured, prices: Prices) -> Estimate:
    """Return the bill of a month.

    Raises
    ------
    RefusedError
        A serverless account has one region only.
    """
    if traffic.throughput is Throughput.SERVERLESS and traffic.regions > 1:
        raise RefusedError("A serverless account has one region only: use --regions 1, or other throughput.")
    load = _Load.of(traffic, measured)
    throughput, needed = _throughput(traffic, load, prices)
    stored = sum(load.bytes.values()) / GIGABYTE
    usd = prices.usd
    aged = load.archived_bytes * 365 / GIGABYTE
    writes = load.archived_documents * DAYS_PER_MONTH
    gb_seconds = load.execution_seconds * DAYS_PER_MONTH * INSTANCE_GB
    executions = load.executions * DAYS_PER_MONTH
    replicated = load.written_bytes * DAYS_PER_MONTH / GIGABYTE * (traffic.regions - 1)
    logs = executions * LOG_BYTES / GIGABYTE
    items = (
        *throughput,
        Item("database storage", stored, "GB", stored * usd["database_gb_month"] * traffic.regions),
        Item("continuous backup", stored, "GB", stored * usd["backup_gb_month"] * traffic.regions),
        Item("transfer between regions", replicated, "GB", replicated * usd["transfer_gb"]),
        Item(
            "function executions",
            gb_seconds,
            "GB-seconds",
            _beyond(gb_seconds, prices.free["execution_gb_seconds"]) * usd["execution_gb_second"]
            + _beyond(executions, prices.free["executions"]) / 1e6 * usd["execution_million"],
        ),
        Item("archive after a year", aged, "GB", aged * usd["cold_gb_month"]),
        Item("writes to the archive", writes, "documents", writes / 1e4 * usd["cold_10000_writes"]),
        Item("logs", logs, "GB", _beyond(logs, prices.free["log_gb"]) * usd["log_gb"]),
    )
    return Estimate(traffic, items, needed)


@dataclass(frozen=True, slots=True)
class _Load:
    """What the traffic of a day asks for."""

    units: Mapping[str, float]
    """Request units a day, by container."""
    bytes: Mapping[str, float]
    """Stored, by container, once everything is as old as it gets."""
    executions: float
    execution_seconds: float
    written_bytes: float
    archived_documents: float
    archived_bytes: float

    @classmethod
    def of(cls, traffic: Traffic, measured: Measured) -> _Load:
        changes = traffic.interactions * measured.changes_per_interaction
        batches = FOLDED_FEEDS * _busy_polls(changes / FOLDED_FEEDS, POLL_SECONDS)
        batch = changes / batches if batches else 1.0
        fleet = changes * (interpolated(measured.units_by_batch, batch) + measured.scheduled_units)
        fleet += measured.idle_units * 24
        units = {name: fleet * share for name, share in measured.unit_shares.items()}
        sources = [each.name for each in CATALOGUE if each.written_by == WEB_APP]
        for name in sources:
            written = traffic.interactions * measured.writer_units / len(sources)
            units[name] = units.get(name, 0.0) + written
        stored = {
            each.name: traffic.interactions * measured.bytes_per_interaction.get(each.name, 0.0) * _days(each)
            for each in CATALOGUE
        }
        stored["users"] = traffic.users * measured.bytes_per_person
        stored["(fixed)"] = measured.fixed_bytes
        publishes = _busy_polls(batches, PUBLISH_SECONDS)
        working = changes * interpolated(measured.seconds_by_batch, batch)
        executions = batches + publishes + measured.timer_runs
        archived = traffic.interactions * measured.bytes_per_interaction.get("user_interactions", 0.0)
        return cls(
            units=units,
            bytes=stored,
            executions=executions,
            execution_seconds=max(executions * SHORTEST_EXECUTION, working),
            written_bytes=traffic.interactions * sum(measured.bytes_per_interaction.values()),
            archived_documents=traffic.interactions,
            archived_bytes=archived,
        )


def _days(container: Container) -> float:
    """Return for how many days a container keeps what the traffic of a day adds to it."""
    if container.default_ttl is None or container.default_ttl < 0:
        return KEPT_STATE_DAYS
    return container.default_ttl / DAY


def _busy_polls(changes: float, pause: float) -> float:
    """Return how many reads of a day find something, if changes come at any moment alike."""
    polls = SECONDS_PER_DAY / pause
    return polls * (1 - exp(-changes / polls))


def interpolated(points: Iterable[tuple[int, float]], batch: float) -> float:
    """Return a figure at a batch size, on a line through the measured ones over the size's logarithm."""
    known = list(points)
    if batch <= known[0][0]:
        return known[0][1]
    for (low, first), (high, second) in pairwise(known):
        if batch <= high:
            return first + (second - first) * log(batch / low) / log(high / low)
    return known[-1][1]


def _throughput(traffic: Traffic, load: _Load, prices: Prices) -> tuple[tuple[Item, ...], Mapping[str, int]]:
    """Return what request units cost, and the containers whose maximum is too low."""
    if traffic.throughput is Throughput.SERVERLESS:
        million = sum(load.units.values()) * DAYS_PER_MONTH / 1e6
        cost = million * prices.usd["serverless_million_units"]
        return (Item("request units", million, "million", cost),), {}
    peaks = {name: units / SECONDS_PER_DAY * PEAK_IN_HOUR for name, units in load.units.items()}
    if traffic.throughput is Throughput.SHARED:
        peak = sum(peaks.values())
        maxima = {"database": _maximum(peak)}
        peaks, needed = {"database": peak}, dict(maxima)
    else:
        maxima = {
            each.name: max(each.autoscale_max, _maximum(peaks.get(each.name, 0.0))) for each in CATALOGUE
        }
        needed = {
            each.name: maxima[each.name] for each in CATALOGUE if maxima[each.name] > each.autoscale_max
        }
    floor = sum(FLOOR * maximum for maximum in maxima.values())
    billed = sum(max(FLOOR * maximum, peaks.get(name, 0.0)) for name, maximum in maxima.items())
    price = prices.usd["autoscale_100_units_hour"] / 100 * HOURS_PER_MONTH * traffic.regions
    return (
        Item("least throughput that is billed", floor, "RU/s", floor * price),
        Item("throughput above it", billed - floor, "RU/s", (billed - floor) * price),
    ), needed


def _maximum(peak: float) -> int:
    """Return the autoscale maximum for a mean hour's peak: the busiest hour has three times as much."""
    return max(1, ceil(peak * BUSIEST_HOUR / AUTOSCALE_STEP)) * AUTOSCALE_STEP


def _beyond(quantity: float, free: float) -> float:
    return max(0.0, quantity - free)
