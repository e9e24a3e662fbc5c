"""Publish ``system_health``: figures of five minutes, from the facts on the ledger pages of the hour.

There is no state of windows: a partial for each would be written with every fold and be worth nothing a day
later, while the pages of the last two hours are few, and read once in five minutes.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import sha256

import structlog
from azure.cosmos.aio import ContainerProxy
from azure.cosmos.exceptions import (
    CosmosAccessConditionFailedError,
    CosmosResourceExistsError,
    CosmosResourceNotFoundError,
)

from shared.clock import SYSTEM_CLOCK, Clock
from shared.cosmos.charges import Cost, measured_cost
from shared.cosmos.retries import retrying
from shared.facts import ABUSE_INCIDENTS, USER_INTERACTIONS
from shared.ledger.generations import Generations
from shared.ledger.pages import Page
from shared.ledger.reader import StateReader
from shared.publishing.writer import StaleReadError, Writer
from shared.settings import Settings
from shared.units import Millis, event_hour
from shared.views.base import Stamp
from shared.views.system_health import HISTORY, NAME, Window, render_health

LATE_WINDOWS = 3
"""Windows that a run publishes: the current one, and two before it for interactions that were folded late."""

_log = structlog.get_logger(__name__)


@dataclass(slots=True)
class HealthReport:
    """What one run did."""

    windows: int = 0
    published: int = 0
    cost: Cost = field(default_factory=Cost)


class HealthMonitor:
    """Publishes the health of the last windows."""

    def __init__(
        self,
        *,
        state: ContainerProxy,
        writer: Writer,
        generations: Generations,
        settings: Settings,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        self._reader = StateReader(state)
        self._writer = writer
        self._generations = generations
        self._generation = settings.generation
        self._clock = clock
        self._refreshed: float | None = None

    async def refresh(self, *, at_most_every: float = 0) -> HealthReport:
        """Publish the current window and those just over. Any number of runs at once do no harm.

        A generation that is not complete publishes nothing.

        Parameters
        ----------
        at_most_every
            Do nothing if this process did so less than so many seconds ago.

        Raises
        ------
        CosmosHttpResponseError, ServiceRequestError, ServiceResponseError, StaleReadError
            The service did not answer, or others kept writing, through all retries.
        """
        report = HealthReport()
        if self._refreshed is not None and self._clock.monotonic() - self._refreshed < at_most_every:
            return report
        self._refreshed = self._clock.monotonic()
        if not await self._generations.is_complete():
            _log.info("health_held_back", generation=self._generation)
            return report
        current = Window.at(self._clock.now())
        tries = retrying(
            StaleReadError,
            CosmosAccessConditionFailedError,
            CosmosResourceExistsError,
            CosmosResourceNotFoundError,
        )
        with measured_cost() as report.cost:
            async for attempt in tries:
                with attempt:
                    report.published = await self._publish(current)
        report.windows = LATE_WINDOWS
        _log.info(
            "health_refreshed",
            published=report.published,
            **report.cost.log_fields(),
        )
        return report

    async def _publish(self, current: Window) -> int:
        windows = [current.before(back) for back in range(LATE_WINDOWS)]
        start = windows[-1].before(HISTORY - 1).start
        pages = await self._pages(start, current.end)
        if not pages:
            return 0
        facts = [fact for page, _ in pages for fact in page.between(_millis(start), _millis(current.end))]
        published = 0
        for window in windows:
            # The same pages, whichever windows are published beside it: the stamp must not depend on that.
            behind = [(page, written) for page, written in pages if page.hour in _hours(window)]
            if not behind:
                continue
            stamp = Stamp(
                generation=self._generation,
                revision=sum(page.revision for page, _ in behind),
                as_of=datetime.fromtimestamp(max(written for _, written in behind), UTC),
            )
            vector = sorted((page.shard, page.id, page.revision) for page, _ in behind)
            digest = sha256(repr(vector).encode()).hexdigest()[:16]
            for rendered in render_health(window, facts, stamp):
                published += (await self._writer.write(NAME, rendered, stamp, digest)).done
        return published

    async def _pages(self, start: datetime, end: datetime) -> list[tuple[Page, int]]:
        first, last = event_hour(_millis(start)), event_hour(Millis(_millis(end) - 1))
        items = self._reader.pages_in_hours(
            self._generation, first, last, (USER_INTERACTIONS, ABUSE_INCIDENTS)
        )
        return [(Page.decode(item), item["_ts"]) async for item in items]


def _hours(window: Window) -> tuple[str, str]:
    """Return the hours of a window and of the hour that it looks back on."""
    return event_hour(_millis(window.before(HISTORY - 1).start)), event_hour(_millis(window.start))


def _millis(moment: datetime) -> Millis:
    return Millis(round(moment.timestamp() * 1000))
