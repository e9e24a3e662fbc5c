"""Read what the content pipeline's documents say, and keep it for a while: see :mod:`shared.views.reference`.

The documents change rarely. A document of a view shows what they said when it was calculated.
"""

from __future__ import annotations

import asyncio

import structlog
from azure.cosmos.aio import ContainerProxy

from shared.clock import Clock
from shared.cosmos.queries import Query, run_query
from shared.cosmos.retries import is_service_fault
from shared.views.reference import NOTHING_KNOWN, Reference, ReferenceCounter

MAX_PASSAGES = 100_000
"""Documents of ``personality_vectors`` up to which they are joined: 30 MB in memory. With more, nothing is
known of any, and the figures are null."""

LIFETIME_SECONDS = 900.0
LIFETIME_PER_PASSAGE = 0.25
"""After the larger of both the documents are read again: a quarter of an hour, or with 100,000 passages seven
hours. Reading them costs about one RU for each."""

EMPTY_LIFETIME_SECONDS = 15.0
"""Where there are no documents yet, they may come at any time, and reading none costs 3 RU. A service that
did not answer may answer at any time too."""

KNOWN_PASSAGES = Query(
    "known_passages",
    "SELECT c.id, c.partition_key, c.personality_id, c.source, c.source_metadata, c.chapter, c.verse,"
    " c.content_type, c.content_category, c.topic_tags, c.validation, c.schema_version, c.profile_version,"
    " LENGTH(c.english_translation) AS translated, LENGTH(c.detailed_explanation) AS explained FROM c",
)
KNOWN_PERSONAS = Query(
    "known_personas",
    "SELECT c.id, c.personality_id, c.is_active, c.performance_baseline, c.schema_version, c.profile_version"
    " FROM c",
)

_log = structlog.get_logger(__name__)


class ReferenceReader:
    """Reads ``personality_vectors`` and ``personalities`` as views need them. One per process."""

    def __init__(self, vectors: ContainerProxy, personalities: ContainerProxy, *, clock: Clock) -> None:
        self._vectors = vectors
        self._personalities = personalities
        self._clock = clock
        self._lock = asyncio.Lock()
        self._known = NOTHING_KNOWN
        self._has_read = False
        self._until = 0.0

    async def read(self) -> Reference:
        """Return what is known. It is read again after its lifetime.

        If the service does not answer then, what was read before remains in use.

        Raises
        ------
        CosmosHttpResponseError, ServiceRequestError, ServiceResponseError
            The service did not answer, and nothing was read before.
        """
        if self._clock.monotonic() < self._until:
            return self._known
        async with self._lock:  # so that concurrent publications read it once
            if self._clock.monotonic() >= self._until:
                await self._refresh()
        return self._known

    async def _refresh(self) -> None:
        try:
            documents, self._known = await self._read()
        except Exception as error:
            if not self._has_read or not is_service_fault(error):
                raise
            _log.warning("reference_not_refreshed", error_type=type(error).__name__)
            self._until = self._clock.monotonic() + EMPTY_LIFETIME_SECONDS
            return
        self._has_read = True
        lifetime = max(LIFETIME_SECONDS, documents * LIFETIME_PER_PASSAGE)
        self._until = self._clock.monotonic() + (lifetime if documents else EMPTY_LIFETIME_SECONDS)

    def forget(self) -> None:
        """Read the documents again when they are needed next."""
        self._until = 0.0

    async def _read(self) -> tuple[int, Reference]:
        counter, documents = ReferenceCounter(), 0
        async for item in run_query(self._personalities, KNOWN_PERSONAS, {}):
            counter.add_personality(item)
        async for item in run_query(self._vectors, KNOWN_PASSAGES, {}):
            documents += 1
            if documents > MAX_PASSAGES:
                _log.warning("reference_too_large", most=MAX_PASSAGES)
                return documents, NOTHING_KNOWN
            counter.add_vector(item)
        return documents, counter.reference()
