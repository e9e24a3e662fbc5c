"""Publish ``system_health``: figures of five minutes, computed from ledger pages.

``view_state`` has no partials of windows. A partial for each window would be written with every fold, and
would be useless a day later. The pages of the last two hours are few, and are read once in five minutes. The
documents go through the same steps as those of the other views: plan, read inputs, render, decide, write.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import NamedTuple

import structlog
from azure.cosmos.aio import ContainerProxy

from shared.clock import SYSTEM_CLOCK, Clock
from shared.cosmos.charges import Cost, measured_cost
from shared.cosmos.retries import retrying
from shared.facts import ABUSE_INCIDENTS, USER_INTERACTIONS, Fact
from shared.ledger.generations import Generations
from shared.ledger.pages import Page
from shared.ledger.reader import StateReader
from shared.publishing.decide import Candidate, Stale, decide, digest_of, stale_error
from shared.publishing.existing import Address, ExistingDocuments
from shared.publishing.writer import WRITE_CONFLICTS, ViewWriter
from shared.settings import Settings
from shared.units import Millis, event_hour, to_millis
from shared.views.base import Stamp
from shared.views.system_health import HISTORY, NAME, Window, render_health

PUBLISHED_WINDOWS = 3
"""Windows that a run publishes: the current one, and two before it for interactions that were folded late."""

_log = structlog.get_logger(__name__)


@dataclass(slots=True)
class HealthReport:
    """The outcome of one run."""

    windows: int = 0
    published: int = 0
    """Documents that were written."""
    cost: Cost = field(default_factory=Cost)


class _StoredPage(NamedTuple):
    page: Page
    written: int
    """Time of the last write, in seconds since the epoch."""


class HealthPublisher:
    """Publishes the health of the last windows."""

    def __init__(
        self,
        *,
        state: ContainerProxy,
        existing: ExistingDocuments,
        writer: ViewWriter,
        generations: Generations,
        settings: Settings,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        self._reader = StateReader(state)
        self._existing = existing
        self._writer = writer
        self._generations = generations
        self._generation = settings.generation
        self._clock = clock
        self._published_at: float | None = None

    async def publish_windows(self, *, at_most_every: float = 0) -> HealthReport:
        """Publish the current window and the two before it. Concurrent runs are harmless.

        An incomplete generation publishes nothing.

        Parameters
        ----------
        at_most_every
            Publish nothing if this process began to publish less than this many seconds ago.

        Raises
        ------
        StaleReadError
            The pages that were read were older than the published documents, through all retries. After its
            subclass ``TransientStaleReadError``, a later run may succeed.
        CosmosHttpResponseError, ServiceRequestError, ServiceResponseError
            The service did not answer, or other instances kept writing, through all retries.
        """
        report = HealthReport()
        if self._published_at is not None and self._clock.monotonic() - self._published_at < at_most_every:
            return report
        self._published_at = self._clock.monotonic()
        if not await self._generations.is_complete():
            _log.info("health_held_back", generation=self._generation)
            return report
        current, stale = Window.at(self._clock.now()), list[Stale]()
        with measured_cost() as report.cost:
            attempt = retrying(*WRITE_CONFLICTS, results=(Stale,))
            outcome: int | Stale = await attempt(self._update_windows, current, stale)
        if isinstance(outcome, Stale):
            raise stale_error(NAME, stale, self._clock.now())
        report.published, report.windows = outcome, PUBLISHED_WINDOWS
        _log.info("health_refreshed", published=report.published, **report.cost.log_fields())
        return report

    async def _update_windows(self, current: Window, stale: list[Stale]) -> int | Stale:
        """Bring the documents of the last windows up to date, in five steps; return how many were written.

        1. Plan: the windows, and the hours of ledger pages that they are computed from.
        2. Read the pages.
        3. Render the documents of each window.
        4. Decide what to do with each document, given what is published.
        5. Write it.

        ``Stale`` ends a pass and is added to ``stale``. The next pass decides on all documents again. Those
        that carry its state already are not written.
        """
        windows = [current.before(back) for back in range(PUBLISHED_WINDOWS)]  # 1
        start, end = to_millis(windows[-1].before(HISTORY - 1).start), to_millis(current.end)
        pages = await self._read_pages(start, end)  # 2
        facts = [fact for stored in pages for fact in stored.page.between(start, end)]
        written = 0
        for candidate in self._candidates(windows, pages, facts):  # 3
            address = Address(NAME, candidate.rendered.id, candidate.rendered.partition)
            decision = decide(await self._existing.read(address), candidate)  # 4
            written += (await self._writer.write(address, decision)).written  # 5
            if isinstance(decision, Stale):
                stale.append(decision)
                return decision
        return written

    def _candidates(
        self, windows: Sequence[Window], pages: Sequence[_StoredPage], facts: Sequence[Fact]
    ) -> list[Candidate]:
        """Return the documents of the windows. A window without pages has none.

        A window's stamp covers only the pages of its own hours. The stamp therefore does not depend on the
        other windows of the run.
        """
        candidates = []
        for window in windows:
            own = [stored for stored in pages if stored.page.hour in _hours(window)]
            if own:
                stamp = Stamp(
                    generation=self._generation,
                    revision=sum(stored.page.revision for stored in own),
                    as_of=datetime.fromtimestamp(max(stored.written for stored in own), UTC),
                )
                digest = digest_of((page.shard, page.id, page.revision) for page, _ in own)
                rendered = render_health(window, facts, stamp)
                candidates += [Candidate(each, stamp, digest) for each in rendered]
        return candidates

    async def _read_pages(self, start: Millis, end: Millis) -> list[_StoredPage]:
        first, last = event_hour(start), event_hour(Millis(end - 1))
        items = self._reader.pages_in_hours(
            self._generation, first, last, (USER_INTERACTIONS, ABUSE_INCIDENTS)
        )
        return [_StoredPage(Page.decode(item), item["_ts"]) async for item in items]


def _hours(window: Window) -> tuple[str, str]:
    """Return the hour of a window and the hour in which its history begins."""
    return event_hour(to_millis(window.before(HISTORY - 1).start)), event_hour(to_millis(window.start))
