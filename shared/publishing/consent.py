"""Consent, as publishing heeds it: whether a person refuses, and what is deleted then."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import structlog
from azure.core import MatchConditions
from azure.cosmos.aio import DatabaseProxy
from azure.cosmos.exceptions import CosmosAccessConditionFailedError, CosmosResourceNotFoundError

from shared.aggregates import person
from shared.aggregates.base import PartialKey
from shared.aggregates.person_record import PersonRecord
from shared.clock import SYSTEM_CLOCK, Clock
from shared.containers import CATALOGUE, FLEET, VIEW_STATE
from shared.cosmos.charges import record_charge
from shared.cosmos.items import find_item
from shared.cosmos.queries import Query, run_query
from shared.ledger.partials import Partial, partial_id
from shared.ledger.reader import StateReader
from shared.ledger.retention import DEFAULT_RETENTION, Retention
from shared.ledger.shards import ShardId, shard_of
from shared.settings import Settings
from shared.units import to_millis

USER_LEVEL_CONTAINERS = tuple(
    each.name for each in CATALOGUE if each.written_by == FLEET and each.partition_key == "/user_id"
)
"""Containers of views whose documents are about one person each."""

DOCUMENTS_OF_PERSON = Query("documents_of_person", "SELECT c.id, c._etag FROM c")

_log = structlog.get_logger(__name__)


class ConsentKeeper:
    """Reads people's records, and deletes what is published about people who refuse."""

    def __init__(
        self,
        database: DatabaseProxy,
        settings: Settings,
        retention: Retention = DEFAULT_RETENTION,
        *,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        self._retention = retention
        self._clock = clock
        self._database = database
        self._state = database.get_container_client(VIEW_STATE)
        self._reader = StateReader(self._state)
        self._settings = settings

    async def read(self, user_id: str) -> tuple[PersonRecord, int, str | None]:
        """Return the stored record of a person, with revision and etag of its document: 0 and None without.

        Raises
        ------
        CosmosHttpResponseError, ServiceRequestError, ServiceResponseError
            The service did not answer.
        """
        item = await self._find(user_id)
        if item is None:
            return PersonRecord(), 0, None
        return PersonRecord.decode(item.get("record", {})), item["revision"], item["_etag"]

    async def refusing(self, people: Iterable[str]) -> list[str]:
        """Return those of some people who refuse user-level analytics. One query answers for many.

        Raises
        ------
        CosmosHttpResponseError, ServiceRequestError, ServiceResponseError
            The service did not answer.
        """
        return await self._reader.refusing_among(self._settings.generation, people)

    async def purge(self, user_id: str) -> int:
        """Delete every published document about a person; return how many there were.

        A document that is written at the same time stays: its writer reads the record afterwards.

        Raises
        ------
        CosmosHttpResponseError, ServiceRequestError, ServiceResponseError
            The service did not answer.
        """
        deleted = 0
        for name in USER_LEVEL_CONTAINERS:
            container = self._database.get_container_client(name)
            rows = run_query(container, DOCUMENTS_OF_PERSON, {}, partition_key=user_id)
            for item in [row async for row in rows]:
                try:
                    await container.delete_item(
                        item["id"],
                        user_id,
                        etag=item["_etag"],
                        match_condition=MatchConditions.IfNotModified,
                        response_hook=record_charge,
                    )
                except (CosmosAccessConditionFailedError, CosmosResourceNotFoundError):
                    continue
                deleted += 1
        if deleted:
            _log.info("person_purged", documents=deleted)
        return deleted

    async def settle(self, user_id: str, etag: str) -> bool:
        """Record that what is published follows the person's record; return whether it did not change again.

        Raises
        ------
        CosmosHttpResponseError, ServiceRequestError, ServiceResponseError
            The service did not answer.
        """
        item = await self._find(user_id)
        if item is None or item["_etag"] != etag:
            return False
        partial = Partial.decode(item)
        if partial.record is None:
            return True
        partial.record.pending = False
        partial.revision += 1
        self._retention.set_ttl(partial, to_millis(self._clock.now()))
        try:
            await self._state.replace_item(
                partial.id,
                partial.encode(),
                etag=etag,
                match_condition=MatchConditions.IfNotModified,
                no_response=True,
                response_hook=record_charge,
            )
        except (CosmosAccessConditionFailedError, CosmosResourceNotFoundError):
            return False
        return True

    async def _find(self, user_id: str) -> dict[str, Any] | None:
        return await find_item(
            self._state, partial_id(PartialKey(person.NAME, user_id)), self._shard(user_id)
        )

    def _shard(self, user_id: str) -> ShardId:
        return shard_of(user_id, shards=self._settings.shards, generation=self._settings.generation)
