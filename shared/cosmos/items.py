"""Read single documents."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from azure.cosmos.aio import ContainerProxy
from azure.cosmos.exceptions import CosmosBatchOperationError, CosmosResourceNotFoundError
from azure.cosmos.partition_key import NonePartitionKeyValue, NullPartitionKeyValue

from shared.address import Partition, SourceAddress
from shared.cosmos.charges import record_charge
from shared.cosmos.queries import Query, run_query

ITEM = Query("item", "SELECT * FROM c WHERE c.id = @id")

ITEM_BY_RID = Query("item_by_rid", "SELECT * FROM c WHERE c._rid = @rid")

NOT_IN_A_URL = frozenset("/\\?#")
"""The service stores ids with these characters. The SDK writes none, other SDKs do. No URL can address such a
document, so a query finds it."""

NOT_FOUND = 404

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
    partition_key = sdk_partition(partition_key)
    if not is_in_urls(item_id):
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


def partition_of(document: Mapping[str, Any], field: str) -> Any:
    """Return the partition of a document by the field of the key, as :func:`find_item` accepts it.

    The service keeps a document with an object or a list there as one without.
    """
    value = document.get(field, Partition.ABSENT)
    return Partition.ABSENT if isinstance(value, Mapping | list) else value


def sdk_partition(partition: Any) -> Any:
    """Return a partition as the SDK names it. With None a query would ask every partition."""
    if partition is Partition.ABSENT:
        return NonePartitionKeyValue
    return NullPartitionKeyValue if partition is None else partition


def is_in_urls(item_id: str) -> bool:
    """Return whether a URL can address a document with this id."""
    return item_id not in NO_URLS and NOT_IN_A_URL.isdisjoint(item_id)


async def replace_under_etag(
    container: ContainerProxy, body: Mapping[str, Any], partition: Any, etag: str
) -> bool:
    """Replace a document in its partition; return False if it was changed or deleted after it was read.

    Raises
    ------
    CosmosHttpResponseError, CosmosBatchOperationError, ServiceRequestError, ServiceResponseError
        The service refused the document, or did not answer, through all retries.
    """
    return await _under_etag(container, "replace", (body["id"], dict(body)), partition, etag)


async def delete_under_etag(container: ContainerProxy, item_id: str, partition: Any, etag: str) -> bool:
    """Delete a document; return False if it was changed or deleted after it was read.

    Raises
    ------
    CosmosHttpResponseError, CosmosBatchOperationError, ServiceRequestError, ServiceResponseError
        The service did not answer, through all retries.
    """
    return await _under_etag(container, "delete", (item_id,), partition, etag)


async def create_in_partition(container: ContainerProxy, body: Mapping[str, Any], partition: Any) -> bool:
    """Create a document; return False if there is one with its id.

    Raises
    ------
    CosmosHttpResponseError, CosmosBatchOperationError, ServiceRequestError, ServiceResponseError
        The service refused the document, or did not answer, through all retries.
    """
    return await _as_batch(container, ("create", (dict(body),)), partition, refusals=(409,))


async def _under_etag(
    container: ContainerProxy, operation: str, arguments: tuple[Any, ...], partition: Any, etag: str
) -> bool:
    guarded = (operation, arguments, {"if_match_etag": etag})
    return await _as_batch(container, guarded, partition, refusals=(404, 412))


async def _as_batch(
    container: ContainerProxy, operation: tuple[Any, ...], partition: Any, refusals: tuple[int, ...]
) -> bool:
    """Do one operation as a transactional batch; return False if it was refused with one of these statuses.

    A batch names ids in its body, so it reaches those that no URL can address, and that the SDK refuses.
    """
    try:
        await container.execute_item_batch(
            [operation], partition_key=sdk_partition(partition), response_hook=record_charge
        )
    except CosmosBatchOperationError as error:
        if error.status_code in refusals:
            return False
        raise
    return True


async def delete_items(container: ContainerProxy, ids: Sequence[str], partition_key: Any) -> int:
    """Delete documents of one partition in one transaction; return how many were there.

    Id and partition may be any that the service stores, as for :func:`find_item`. An id that no URL can
    address is no hindrance: the ids of a transaction are in its body.

    Raises
    ------
    CosmosBatchOperationError, CosmosHttpResponseError, ServiceRequestError, ServiceResponseError
        The service refused, or did not answer.
    """
    key: Any = partition_key
    if partition_key is None:
        key = NullPartitionKeyValue
    elif partition_key is Partition.ABSENT:
        key = NonePartitionKeyValue
    left = list(ids)
    while left:
        try:
            await container.execute_item_batch(
                [("delete", (item_id,)) for item_id in left], partition_key=key, response_hook=record_charge
            )
        except CosmosBatchOperationError as error:
            if error.status_code != NOT_FOUND or error.error_index is None:
                raise
            del left[error.error_index]  # another process, or expiry, deleted it
        else:
            return len(left)
    return 0


def is_absent(error: CosmosResourceNotFoundError) -> bool:
    """Return whether a 404 means that there is no such document.

    A 404 with a sub-status means something else: a replica lags behind this client's session (1002), or the
    container or database does not exist (1003).
    """
    return not error.sub_status
