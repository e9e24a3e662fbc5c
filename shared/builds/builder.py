"""Build the contents of days and months that are stale.

A build reads its own manifest first, then its inputs, and writes under the manifest's etag. It does not write
if an input is missing or older than the stored manifest says: then a replica lags. Any instance may build at
any time. Of two builds at once, one writes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from enum import Enum, auto

import structlog
from azure.cosmos.aio import ContainerProxy
from azure.cosmos.exceptions import CosmosResourceNotFoundError

from shared.builds.content import Content
from shared.builds.counting import ContentCounter
from shared.builds.graph import is_day, slices_of
from shared.builds.reader import BuildReader, Listing
from shared.builds.rows import Kind
from shared.builds.store import ContentWriter, DerivedStore, Manifest
from shared.clock import SYSTEM_CLOCK, Clock
from shared.concurrency import for_each
from shared.cosmos.items import is_absent
from shared.facts import USER_INTERACTIONS, USER_SESSIONS, InteractionFact, SessionFact
from shared.ledger.pages import Page
from shared.ledger.retention import DEFAULT_RETENTION, Retention
from shared.ledger.shards import ShardId
from shared.periods import day_text
from shared.settings import Settings
from shared.units import Day, Month, days_of_month, month_after, month_of, to_millis

MAX_ROWS = 500_000
"""Rows that one build holds in memory, of about 250 bytes each. A day with more is counted in several passes
over its pages, each with a part of the rows."""

MAX_CONCURRENT_SHARDS = 4
"""Shards whose pages of a day one build reads concurrently. It holds their pages in memory."""

READS = 4
"""How often the pages of a shard, or all pages of a day, are read until they match their listing."""

_log = structlog.get_logger(__name__)


class Outcome(Enum):
    """What a build did."""

    BUILT = auto()
    CURRENT = auto()
    """The document was not stale."""
    ABSENT = auto()
    """Nothing was ever counted for the period."""
    LATER = auto()
    """A replica lagged, or the inputs changed faster than they could be read. Nothing was written."""
    CLOSED = auto()
    """The state of the period is about to end. Nothing of it is built any more."""


class _Unsettled(Exception):  # noqa: N818  it ends a pass, and is no error
    """The inputs lag behind what is known of them, or changed while they were read."""


class ContentBuilder:
    """Builds the contents of one generation."""

    def __init__(
        self,
        *,
        state: ContainerProxy,
        settings: Settings,
        retention: Retention = DEFAULT_RETENTION,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        self.store = DerivedStore(state, settings.generation, clock, retention)
        self._retention = retention
        self._clock = clock
        self._reader = BuildReader(state, settings.generation)
        self._shards = settings.shards
        self._generation = settings.generation

    async def build_day(self, day: Day) -> Outcome:
        """Build the content of a day if it is stale.

        Raises
        ------
        CosmosHttpResponseError, ServiceRequestError, ServiceResponseError
            The service did not answer. A repetition is harmless.
        """
        if self.is_closed(month_of(day)):
            return Outcome.CLOSED
        slices = self._slices(day)
        for label, shards in slices.items():
            outcome = await self._build_from_pages(label, day, shards)
            if label == day or outcome is Outcome.LATER:
                return outcome
        return await self._build_from_contents(day, list(slices))

    async def build_month(self, month: Month) -> Outcome:
        """Build the content of a month from those of its days, if it is stale.

        Raises
        ------
        CosmosHttpResponseError, ServiceRequestError, ServiceResponseError
            The service did not answer. A repetition is harmless.
        """
        if self.is_closed(month):
            return Outcome.CLOSED
        return await self._build_from_contents(month, days_of_month(month))

    def open_months(self) -> list[Month]:
        """Return the months that are built, the newest first: from the next one, as clocks run ahead."""
        month = month_after(month_of(day_text(self._clock.now())), 1)
        months = []
        while not self.is_closed(month):
            months.append(month)
            month = month_after(month, -1)
        return months

    def is_closed(self, month: Month) -> bool:
        """Return whether the state of a month is about to end, or has ended. Nothing of it is built then."""
        return self._retention.is_closed(USER_INTERACTIONS, month, to_millis(self._clock.now()))

    async def stale_days(self, first: Month, last: Month) -> list[Day]:
        """Return the days of consecutive months whose contents are stale, or were never built.

        Days of closed months are left out.

        Raises
        ------
        CosmosHttpResponseError, ServiceRequestError, ServiceResponseError
            The service did not answer.
        """
        months = await self._reader.revisions(first, last)
        listed = {day: each for day, each in months.items() if not self.is_closed(month_of(day))}
        slices = {day: self._slices(day) for day in listed}
        labels = {*listed, *(label for of_day in slices.values() for label in of_day)}
        built = await self.store.manifests(labels)

        def is_stale(label: str, inputs: Mapping[str, int]) -> bool:
            return bool(inputs) and (label not in built or built[label].is_stale(inputs))

        def is_day_stale(day: Day, revisions: Mapping[ShardId, int]) -> bool:
            labels = slices[day]
            if day not in labels and is_stale(day, {x: built[x].revision for x in labels if x in built}):
                return True  # its slices were built again without it
            return day not in built or any(
                is_stale(label, {shard: revisions[shard] for shard in shards if shard in revisions})
                for label, shards in labels.items()
            )

        return sorted(day for day, revisions in listed.items() if is_day_stale(day, revisions))

    def _sources(self, day: Day) -> list[str]:
        """Return the sources whose pages of a day are counted. Pages of sessions end before the others.

        Limit: a day that is built again after that has no figures of sessions.
        """
        now = to_millis(self._clock.now())
        return [
            source
            for source in (USER_INTERACTIONS, USER_SESSIONS)
            if not self._retention.is_closed(source, month_of(day), now)
        ]

    def _slices(self, day: Day) -> dict[str, list[ShardId]]:
        return slices_of(day, shards=self._shards, generation=self._generation)

    async def _build_from_pages(self, label: str, day: Day, shards: Sequence[ShardId]) -> Outcome:
        for _ in range(READS):
            stored = await self.store.find(label)
            listed = await self._reader.listings(day, self._sources(day))
            listings = {shard: each for shard, each in listed.items() if shard in shards}
            inputs: dict[str, int] = {shard: listing.revision for shard, listing in listings.items()}
            outcome = _outcome_without_build(stored, inputs)
            if outcome is not None:
                return outcome
            writer = self.store.begin(label, stored)
            try:
                inputs = await self._write_rows(writer, day, listings)
            except _Unsettled:
                continue
            if await writer.commit(inputs):
                return Outcome.BUILT
            # Another instance built it in the meantime, perhaps from older inputs.
        _log.info("content_not_built", period=label)
        return Outcome.LATER

    async def _write_rows(
        self, writer: ContentWriter, day: Day, listings: Mapping[ShardId, Listing]
    ) -> dict[str, int]:
        """Count the pages of a day and write the rows, in as many passes as memory requires.

        Returns the revisions of the inputs that were counted.

        Raises
        ------
        _Unsettled
            A replica lags, or a page changed between two passes.
        """
        groups = 1
        while (counted := await self._count(day, listings, 0, groups)) is None:
            groups *= 2
        content, used = counted
        await writer.add(0, groups, content)
        for group in range(1, groups):
            counted = await self._count(day, used, group, groups)
            if counted is None or counted[1] != used:
                raise _Unsettled
            await writer.add(group, groups, counted[0])
        return {shard: listing.revision for shard, listing in used.items()}

    async def _count(
        self, day: Day, listings: Mapping[ShardId, Listing], group: int, groups: int
    ) -> tuple[Content, dict[ShardId, Listing]] | None:
        """Return the rows of one group and the listings that they correspond to.

        None if the first group has too many rows. The others are about as large.
        """
        counter, used = ContentCounter(group, groups), dict(listings)

        def is_too_large() -> bool:
            return group == 0 and len(counter.content) > MAX_ROWS

        async def one(shard: ShardId) -> None:
            if is_too_large():
                return
            used[shard], pages = await self._settled_pages(shard, day, listings[shard])
            for page in pages:
                for _, _, entry in page:
                    if isinstance(entry.fact, InteractionFact):
                        counter.count(entry.fact)
                    elif isinstance(entry.fact, SessionFact):
                        counter.count_session(entry.fact)
                await asyncio.sleep(0)

        await for_each(listings, one, max_concurrency=MAX_CONCURRENT_SHARDS)
        return None if is_too_large() else (counter.content, used)

    async def _settled_pages(
        self, shard: ShardId, day: Day, listing: Listing
    ) -> tuple[Listing, Iterable[Page]]:
        """Return a shard's pages of a day, and the listing that they correspond to.

        A fold may write pages after the listing was read, and a replica may lack some of them. Then both are
        read again.

        Raises
        ------
        _Unsettled
            They never corresponded.
        """
        for _ in range(READS):
            pages = await self._reader.pages(shard, day, listing.sources)
            if {page_id: page.revision for page_id, page in pages.items()} == listing.pages:
                return listing, pages.values()
            newer = (await self._reader.listings(day, self._sources(day), shard)).get(shard)
            if newer is not None and newer.revision >= listing.revision:
                listing = newer
        raise _Unsettled

    async def _build_from_contents(self, label: str, sources: Sequence[str]) -> Outcome:
        for _ in range(READS):
            stored = await self.store.find(label)
            contents = await self.store.manifests(sources)
            inputs = {source: manifest.revision for source, manifest in contents.items()}
            outcome = _outcome_without_build(stored, inputs)
            if outcome is not None:
                return outcome
            writer = self.store.begin(label, stored)
            try:
                async for number, parts, (content,) in self.store.read([list(contents.values())]):
                    if not is_day(label):
                        content.count_readers()
                        content.drop(Kind.WINDOWS)
                    await writer.add(number, parts, content)
            except CosmosResourceNotFoundError as error:
                if not is_absent(error):
                    raise
                continue  # one of the contents was built again
            if await writer.commit(inputs):
                return Outcome.BUILT
        _log.info("content_not_built", period=label)
        return Outcome.LATER


def _outcome_without_build(stored: Manifest | None, inputs: Mapping[str, int]) -> Outcome | None:
    """Return the outcome if nothing is to be built, None if the document is stale."""
    if stored is None:
        return None if inputs else Outcome.ABSENT
    if stored.is_ahead_of(inputs):
        return Outcome.LATER
    return None if stored.is_stale(inputs) else Outcome.CURRENT
