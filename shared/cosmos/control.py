"""Control documents: the fleet's own state, in the container ``fleet_state``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Any

from azure.core import MatchConditions
from azure.cosmos.aio import ContainerProxy
from azure.cosmos.exceptions import (
    CosmosAccessConditionFailedError,
    CosmosResourceExistsError,
    CosmosResourceNotFoundError,
)

from shared.cosmos.charges import record_charge
from shared.cosmos.items import find_item, is_absent
from shared.cosmos.retries import retrying

Body = dict[str, Any]


class Scope(StrEnum):
    """Logical partitions of ``fleet_state``."""

    GENERATIONS = "generations"
    """One document: the number of shards of each generation, and the complete generations."""
    BUILDS = "builds"
    """One document per generation: which views may be published."""
    REFRESH = "refresh"
    """One document per generation: the time up to which the scheduled views are published."""
    AUDIT = "audit"
    """One document per generation and feed: the cursors of the audit."""
    ARCHIVE = "archive"
    """One document per archived container: how far its feed ranges are archived, and its last run."""
    PRICING = "pricing"
    """One document per generation: the prices of all counted interactions, and a walk in progress."""
    STATE = "state"
    """One document per generation: a copy of the mark in ``view_state``."""
    PRICES = "prices"
    """One document per model and date: operator overrides of prices."""
    PEOPLE = "people"
    """One document per request to export or erase a person."""
    PRICE_CHANGES = "price_changes"
    """One document: how often operators changed the overrides."""
    MIGRATIONS = "migrations"
    """One document per container: how far the last migration of its documents has come."""


class ControlDocument:
    """One document of ``fleet_state``. :meth:`update` loses no change under concurrent updates.

    Parameters
    ----------
    scope
        Its logical partition.
    partition_field
        The field with the partition, in another container than ``fleet_state``.
    """

    def __init__(
        self, container: ContainerProxy, scope: str, document_id: str, *, partition_field: str = "scope"
    ) -> None:
        self._container = container
        self._scope = scope
        self._id = document_id
        self._partition_field = partition_field

    async def read(self) -> Body | None:
        """Return the document, None if there is none.

        Raises
        ------
        CosmosHttpResponseError, ServiceRequestError, ServiceResponseError
            The service did not answer.
        """
        return await find_item(self._container, self._id, self._scope)

    async def save(self, content: Mapping[str, Any]) -> None:
        """Store the document unconditionally. The last writer wins.

        Raises
        ------
        CosmosHttpResponseError, ServiceRequestError, ServiceResponseError
            The service did not answer, through all retries.
        """
        await self._container.upsert_item(self._body(content), response_hook=record_charge)

    async def update(self, change: Callable[[Body | None], Mapping[str, Any] | None]) -> Body:
        """Change the stored document, guarded by its etag; return the document that is stored afterwards.

        Parameters
        ----------
        change
            Called with the stored document, or None if there is none. Returns the new content, or None for no
            change. Called again if another instance changed the document in between, so it must be pure. It
            may raise; the document is then unchanged. It may not return None if there is no document.

        Raises
        ------
        CosmosHttpResponseError, ServiceRequestError, ServiceResponseError
            The service did not answer, or other instances changed the document, in all attempts.
        """
        conflicts = (CosmosAccessConditionFailedError, CosmosResourceExistsError)
        return await retrying(*conflicts)(self._update, change)

    async def _update(self, change: Callable[[Body | None], Mapping[str, Any] | None]) -> Body:
        stored = await self.read()
        content = change(stored)
        if content is None:
            if stored is None:
                raise ValueError(f"{self._scope}/{self._id}: there is no document to leave as it is")
            return stored
        body = self._body(content)
        try:
            if stored is None:
                return dict(await self._container.create_item(body, response_hook=record_charge))
            return dict(
                await self._container.replace_item(
                    self._id,
                    body,
                    etag=stored["_etag"],
                    match_condition=MatchConditions.IfNotModified,
                    response_hook=record_charge,
                )
            )
        except CosmosResourceNotFoundError as error:
            if not is_absent(error):
                raise
            raise CosmosAccessConditionFailedError(  # type: ignore[no-untyped-call]
                status_code=412, message="deleted after it was read"
            ) from error

    def _body(self, content: Mapping[str, Any]) -> Body:
        return {**content, "id": self._id, self._partition_field: str(self._scope)}
