"""What a database holds after traffic has been processed, and whether it adds up."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import aiohttp
from azure.cosmos.aio import ContainerProxy, DatabaseProxy

from local.connection import Connection
from local.processes import StackError
from local.seed.database import CONTAINERS
from local.seed.traffic import INTERACTIONS
from local.seed.writer import SeedSummary
from shared.containers import POISON_MESSAGES, VIEW_CONTAINERS

PURPOSE = "summary"
CHARGES_TIMEOUT = aiohttp.ClientTimeout(total=30)
POISON_FIELDS = "c.id, c.source_container, c.error_field, c.error_type, c.error_message"

Document = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Summary:
    """The state of the database: sources, views and poison."""

    sources: int
    """Documents in ``user_interactions``."""
    daily: list[Document]
    """Every ``daily_metrics`` document, by day."""
    people: list[Document]
    """Every monthly ``user_analytics`` document, the busiest first."""
    poison: list[Document]
    """Every pending document of ``poison_messages`` that came from ``user_interactions``."""
    other_poison: list[Document] = field(default_factory=list)
    """Every other pending document of ``poison_messages``."""
    beside: dict[str, int] = field(default_factory=dict)
    """Documents in the other containers that are seeded."""
    poison_beside: Counter[str] = field(default_factory=Counter)
    """Pending documents of ``poison_messages`` that came from them, by container."""
    published: dict[str, int] = field(default_factory=dict)
    """Documents of the views, by container."""

    @property
    def counted(self) -> int:
        """Interactions that the daily metrics count."""
        return sum(day["usage_statistics"]["total_interactions"] for day in self.daily)


@dataclass(frozen=True, slots=True)
class Check:
    """One comparison that must hold."""

    what: str
    expected: int
    found: int

    @property
    def holds(self) -> bool:
        """Whether it does."""
        return self.expected == self.found


async def read_summary(connection: Connection) -> Summary:
    """Read sources, views and poison from the database."""
    async with connection.client(PURPOSE) as client:
        database = client.get_database_client(connection.database)
        daily = await _all(database, "daily_metrics", "SELECT * FROM c")
        people = await _all(database, "user_analytics", "SELECT * FROM c WHERE c.analysis_period = 'monthly'")
        poison = await _all(
            database,
            POISON_MESSAGES,
            f"SELECT {POISON_FIELDS} FROM c WHERE c.status = 'pending'",  # noqa: S608  # constants only
        )
        stored = {name: await _count(database.get_container_client(name)) for name in CONTAINERS}
        published = {name: await _count(database.get_container_client(name)) for name in VIEW_CONTAINERS}
    came_from = Counter(str(row.get("source_container")) for row in poison)
    return Summary(
        sources=stored.pop(INTERACTIONS),
        daily=sorted(daily, key=lambda day: str(day["date"])),
        people=sorted(people, key=_interactions, reverse=True),
        poison=[row for row in poison if row.get("source_container") == INTERACTIONS],
        other_poison=[row for row in poison if row.get("source_container") != INTERACTIONS],
        beside=stored,
        poison_beside=Counter({name: came_from[name] for name in stored if came_from[name]}),
        published=published,
    )


def _interactions(person: Document) -> int:
    count: int = person["interaction_metrics"]["total_interactions"]
    return count


async def _all(database: DatabaseProxy, container: str, query: str) -> list[Document]:
    return [item async for item in database.get_container_client(container).query_items(query)]


async def _count(container: ContainerProxy) -> int:
    counts: list[Any] = [count async for count in container.query_items("SELECT VALUE COUNT(1) FROM c")]
    return sum(counts)


def checks(summary: Summary, written: SeedSummary) -> list[Check]:
    """Compare the views with what was written, computed from the writes and not from the fleet's state."""
    found = [
        Check("interactions stored", written.documents, summary.sources),
        Check("counted per day + poison = stored", summary.sources, summary.counted + len(summary.poison)),
        Check("malformed interactions in poison", written.malformed.total(), len(summary.poison)),
        Check(
            "counted per person = valid of those who agree",
            written.analysed,
            sum(map(_interactions, summary.people)),
        ),
        Check(
            "citations",
            written.citations,
            sum(day["content_performance"]["total_citations"] for day in summary.daily),
        ),
    ]
    per_day = {day["date"]: day["usage_statistics"]["total_interactions"] for day in summary.daily}
    for name, beside in sorted(written.beside.items()):
        found.append(Check(f"{name} stored", beside.documents, summary.beside.get(name, 0)))
        malformed = beside.malformed.total()
        found.append(Check(f"malformed {name} in poison", malformed, summary.poison_beside[name]))
    found.extend(
        Check(f"interactions on {day}", written.per_day.get(day, 0), per_day.get(day, 0))
        for day in sorted({*written.per_day, *per_day})
    )
    return found


def models(days: Iterable[Document]) -> dict[str, tuple[int, float | None]]:
    """Return requests and cost in USD over all days, by model."""
    requests: Counter[str] = Counter()
    cost: dict[str, float] = {}
    for day in days:
        for model, figures in day["ai_performance"]["model_performance"].items():
            requests[model] += figures["requests"]
            if figures["cost_usd"] is not None:
                cost[model] = cost.get(model, 0.0) + figures["cost_usd"]
    return {model: (count, cost.get(model)) for model, count in requests.most_common()}


async def read_charges(endpoint: str, connection: Connection) -> list[Document]:
    """Return the request units that the local server counted, by client, container and operation.

    Raises
    ------
    StackError
        The server refuses to tell.
    """
    key = dict(part.split("=", 1) for part in connection.settings["CosmosDb"].split(";") if "=" in part)[
        "AccountKey"
    ]
    url = f"{endpoint.rstrip('/')}/_local/charges"
    async with (
        aiohttp.ClientSession(timeout=CHARGES_TIMEOUT) as session,
        session.get(url, headers={"x-local-key": key}) as response,
    ):
        if response.status != 200:
            raise StackError(f"{url} answered {response.status}: {(await response.text())[:200]}")
        body = await response.json()
    rows: list[Document] = body["accounts"]
    return rows


@dataclass(frozen=True, slots=True)
class Outcome:
    """What was written, what came out of it and what that took."""

    written: SeedSummary
    summary: Summary
    checks: list[Check]
    charges: list[dict[str, Any]]
    """Request units by client, container and operation, as the local server counted them."""
    drained_after: float
    """Seconds from the first write until everything was processed and published."""

    @property
    def adds_up(self) -> bool:
        """Whether every comparison holds."""
        return all(check.holds for check in self.checks)

    def as_json(self) -> dict[str, Any]:
        """Return the result for ``--json``."""
        return {
            "adds_up": self.adds_up,
            "checks": [
                {"what": check.what, "expected": check.expected, "found": check.found}
                for check in self.checks
            ],
            "written": self.written.as_json(),
            "counted": self.summary.counted,
            "days": len(self.summary.daily),
            "people": len(self.summary.people),
            "published": self.summary.published,
            "poison": len(self.summary.poison),
            "drained_after_seconds": round(self.drained_after, 3),
            "request_units": round(sum(row["request_units"] for row in self.charges), 2),
        }
