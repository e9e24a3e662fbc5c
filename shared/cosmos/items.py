"""Read single documents."""

from __future__ import annotations

from typing import Any

from azure.cosmos.aio import ContainerProxy
from azure.cosmos.exceptions import CosmosResourceNotFoundError
from azure.cosmos.partition_key import NonePartitionKeyValue

from shared.cosmos.charges import record_charge
from shared.cosmos.queries import Query, run_query

ITEM = Query("item", "SELECT * FROM c WHERE c.id = @id")

NOT_IN_A_URL = frozenset("/\\?#")
"""The service stores ids with these characters. The SDK writes none, other SDKs do. No URL can address such a
document, so a query finds it."""

NO_KEY = NonePartitionKeyValue
"""The partition key of documents without the field of the partition key."""

NO_URLS = frozenset({".", ".."})
"""Ids that are steps of a path: clients take them out of a URL."""


async def find_item(container: ContainerProxy, item_id: str, partition_key: Any) -> dict[str, Any] | None:
    """Return a document, None if there is none. Adds the charge to the work in progress.

    The id may be any that the service stores.

    Raises
    ------
    CosmosHttpResponseError, ServiceRequestError, ServiceResponseError
        The service did not answer, or it answered 404 for another reason: see :func:`is_absent`.
    """
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


def is_absent(error: CosmosResourceNotFoundError) -> bool:
    """Return whether a 404 means that there is no such document.

    A 404 with a sub-status means something else: a replica lags behind this client's session (1002), or the
    container or database does not exist (1003).
    """
    return not error.sub_status
