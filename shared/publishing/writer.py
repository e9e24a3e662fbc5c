"""Execute the decision about one document, under the etag of the document that it is about."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from azure.core import MatchConditions
from azure.cosmos.aio import DatabaseProxy
from azure.cosmos.exceptions import (
    CosmosAccessConditionFailedError,
    CosmosResourceExistsError,
    CosmosResourceNotFoundError,
)

from shared.cosmos.charges import record_charge
from shared.publishing.decide import (
    Create,
    Decision,
    Delete,
    ExistingDocument,
    NeedsRead,
    Replace,
    Stale,
    Unchanged,
)
from shared.publishing.existing import Address, ExistingDocuments

WRITE_CONFLICTS = (
    CosmosAccessConditionFailedError,
    CosmosResourceExistsError,
    CosmosResourceNotFoundError,
)
"""Another instance wrote or deleted the document since it was read. Read the state again and decide again."""


class WriteResult(NamedTuple):
    """What was done to a document, and the document that was there before."""

    written: bool
    """Created, replaced or deleted."""
    replaced: ExistingDocument | None = None
    deleted: bool = False


class ViewWriter:
    """Writes the containers of all views, and records the written documents in :class:`ExistingDocuments`."""

    def __init__(self, database: DatabaseProxy, existing: ExistingDocuments) -> None:
        self._database = database
        self._existing = existing

    async def write(self, address: Address, decision: Decision, *, remember: bool = True) -> WriteResult:
        """Create, replace or delete the document at an address. Other decisions write nothing.

        Parameters
        ----------
        remember
            Record the published document afterwards. False for documents that are always read: see
            :meth:`ExistingDocuments.read`.

        Raises
        ------
        CosmosAccessConditionFailedError, CosmosResourceExistsError, CosmosResourceNotFoundError
            Another instance changed the document: see :data:`WRITE_CONFLICTS`.
        CosmosHttpResponseError, ServiceRequestError, ServiceResponseError
            The service did not answer. The document may be written or not.
        """
        published: ExistingDocument | None
        container = self._database.get_container_client(address.container)
        self._existing.forget(address)  # after a write whose outcome is unknown, no etag is remembered
        match decision:
            case Create(body):
                written = await container.create_item(
                    dict(body), no_response=True, response_hook=record_charge
                )
                published, result = _published(address, body, written), WriteResult(written=True)
            case Replace(body, existing):
                written = await container.replace_item(
                    address.id,
                    dict(body),
                    etag=existing.etag,
                    match_condition=MatchConditions.IfNotModified,
                    no_response=True,
                    response_hook=record_charge,
                )
                published, result = _published(address, body, written), WriteResult(True, existing)
            case Delete(existing):
                await container.delete_item(
                    address.id,
                    address.partition,
                    etag=existing.etag,
                    match_condition=MatchConditions.IfNotModified,
                    response_hook=record_charge,
                )
                published, result = None, WriteResult(True, existing, deleted=True)
            case Unchanged(_, existing):
                published, result = existing, WriteResult(written=False)
            case Stale() | NeedsRead():
                published, result = None, WriteResult(written=False)
        if published is not None and remember:
            self._existing.remember(address, published)
        return result


def _published(address: Address, body: Mapping[str, Any], written: Any) -> ExistingDocument:
    etag = written.get_response_headers()["etag"]
    return ExistingDocument.decode(body, partition=address.partition, etag=etag)
