"""Read single documents."""

from __future__ import annotations

from typing import Any

from azure.cosmos.aio import ContainerProxy
from azure.cosmos.exceptions import (
    CosmosResourceNotFoundError,
)

from shared.cosmos.charges import record_charge


async def find_item(container: ContainerProxy, item_id: str, partition_key: Any) -> dict[str, Any] | None:
    """Return a document, None if there is none. Adds the charge to the work in progress.

    Raises
    ------
    CosmosHttpResponseError, ServiceRequestError, ServiceResponseError
        The service did not answer, or it answered 404 for another reason: see :func:`is_absent`.
    """
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
