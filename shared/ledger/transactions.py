"""Transactional batches in one logical partition of ``view_state``: each write guarded by an etag."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from azure.cosmos.aio import ContainerProxy
from azure.cosmos.exceptions import CosmosBatchOperationError

from shared.cosmos.charges import record_charge
from shared.errors import ConflictError

CONFLICT_STATUSES = frozenset({404, 409, 412})
"""A document was deleted, created or changed since its guard was read."""


async def execute_guarded(
    container: ContainerProxy, shard: str, writes: Iterable[tuple[Mapping[str, Any], str | None]]
) -> list[str]:
    """Write documents in one transaction; return their new etags, in order.

    Parameters
    ----------
    writes
        Each document with its guard: the etag of the document that it replaces, None to create it.

    Raises
    ------
    ConflictError
        A guard failed. Nothing was written.
    CosmosHttpResponseError, ServiceRequestError, ServiceResponseError
        The service refused the batch or did not answer.
    """
    operations: list[tuple[Any, ...]] = [
        ("create", (body,)) if etag is None else ("replace", (body["id"], body), {"if_match_etag": etag})
        for body, etag in writes
    ]
    try:
        results = await container.execute_item_batch(
            operations, partition_key=shard, response_hook=record_charge
        )
    except CosmosBatchOperationError as error:
        if error.status_code in CONFLICT_STATUSES:
            raise ConflictError(f"shard {shard}: status {error.status_code}") from error
        raise
    return [result["eTag"] for result in results]
