"""Read single documents."""

from __future__ import annotations

from typing import Any

from azure.cosmos.aio import ContainerProxy
from azure.cosmos.exceptions import CosmosResourceNotFoundError
from azure.cosmos.partition_key import NonePartitionKeyValue, NullPartitionKeyValue

from shared.address import Partition, SourceAddress
from shared.cosmos.charges import record_charge
from shared.cosmos.queries import Query, run_query

ITEM = Query("item", "SELECT * FROM c WHERE c.id = @id")

ITEM_BY_RID = Query("item_by_rid", "SELECT * FROM c WHERE c._rid = @rid")

NOT_IN_A_URL = frozenset("/\\?#")
"""The service stores ids with these characters. The SDK writes none, other SDKs do. No URL can address such a
document, so a query finds it."""

NO_URLS = frozenset({".", ".."})
"""Ids that are steps of a path: clients take them out of a URL."""


async def find_item(container: ContainerProxy, item_id: str, partition_key: Any) -> dict[str, Any] | None:
    """Return a document, None if there is none. Adds the charge to the work in progress.

    Id and partition may be any that the service stores. None is the partition of documents whose key is
    ``null``, :attr:`Partition.ABSENT` of those without one.

    Raises
    ------
    CosmosHttpResponseError, ServiceRequestError, ServiceResponseError
        The service did not answer, or it answered 404 for another reason: see :func:`is_absent`.
    """
    if partition_key is None:
        partition_key = NullPartitionKeyValue  # with None a query asks every partition
    elif partition_key is Partition.ABSENT:
        partition_key = NonePartitionKeyValue
    if item_id in NO_URLS or not NOT_IN_A_URL.isdisjoint(item_id):
        found = run_query(container, ITEM, {"id": item_id}, partition_key=partition_key)
        return next(iter([dict(item) async for item in found]), None)
    try:
        return dict(await container.read_item(item_id, partition_key, response_hook=record_charge))
    except CosmosResourceNotFoundError as error:
        if not is_absent(error):
            raise
        record_charge(error.headers or {})
        return None


async def find_document(container: ContainerProxy, address: SourceAddress) -> dict[str, Any] | None:
    """Return a document where it was delivered from, None if there is none.

    The change feed trigger may have rewritten its id or its partition: then the service's own id finds it, in
    all partitions. :func:`find_item` says what is raised.
    """
    found = await find_item(container, address.id, address.partition)
    if found is None and address.rid is not None:
        rows = run_query(container, ITEM_BY_RID, {"rid": address.rid})
        found = next(iter([dict(item) async for item in rows]), None)
    return found


def is_absent(error: CosmosResourceNotFoundError) -> bool:
    """Return whether a 404 means that there is no such document.

    A 404 with a sub-status means something else: a replica lags behind this client's session (1002), or the
    container or database does not exist (1003).
    """
    return not error.sub_status
