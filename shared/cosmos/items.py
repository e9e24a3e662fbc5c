"""Read single documents."""

from __future__ import annotations

from typing import Any

from azure.cosmos.aio import ContainerProxy
from azure.cosmos.exceptions import (
    CosmosResourceNotFoundError,
)

from shared.cosmos.charges import record_charge


async def find_item(container: ContainerProxy, item_id: str, partition_key: Any) -> dict[str, Any] | None:
    """Return a document, None if there is none; the charge is added to the work in progress.

    Raises
    ------
    CosmosHttpResponseError, ServiceRequestError, ServiceResponseError
        The service did not answer, also where it answers 404 for another reason: see :func:`is_absent`.
    """
    try:
        return dict(await container.read_item(item_id, partition_key, response_hook=record_charge))
    except CosmosResourceNotFoundError as error:
        if not is_absent(error):
            raise
        record_charge(error.headers or {})
        return None


def is_absent(error: CosmosResourceNotFoundError) -> bool:
    """Say whether a 404 means that there is no such document.

    With a sub-status it does not: a replica lags behind what this client has seen (1002), or what the
    document belongs to is not there (1003).
    """
    return not error.sub_status
