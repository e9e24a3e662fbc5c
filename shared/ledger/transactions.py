"""Transactional batches in one logical partition of ``view_state``: each write guarded by an etag."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from azure.cosmos.aio import ContainerProxy
from azure.cosmos.exceptions import CosmosBatchOperationError

from shared.cosmos.charges import record_charge
from shared.errors import ConflictError

CONFLICT_STATUSES = frozenset({404, 409, 412})
"""A document was deleted, created or changed since its guard was read."""


Guarded = tuple[Mapping[str, Any], str | None]
"""A document with its guard: the etag of the document that it replaces, None to create it."""


def guarded_operations(writes: Iterable[Guarded]) -> list[tuple[Any, ...]]:
    """Return writes as operations of the SDK."""
    return [
        ("create", (body,)) if etag is None else ("replace", (body["id"], body), {"if_match_etag": etag})
        for body, etag in writes
    ]


@contextmanager
def failed_guards_as_conflicts(shard: str) -> Iterator[None]:
    """Raise ``ConflictError`` in place of the SDK's error where a guard of a batch failed."""
    try:
        yield
    except CosmosBatchOperationError as error:
        if error.status_code in CONFLICT_STATUSES:
            raise ConflictError(f"shard {shard}: status {error.status_code}") from error
        raise


async def execute_guarded(container: ContainerProxy, shard: str, writes: Iterable[Guarded]) -> None:
    """Write documents in one transaction.

    Raises
    ------
    ConflictError
        A guard failed. Nothing was written.
    CosmosHttpResponseError, ServiceRequestError, ServiceResponseError
        The service refused the batch or did not answer.
    """
    with failed_guards_as_conflicts(shard):
        await container.execute_item_batch(
            guarded_operations(writes), partition_key=shard, response_hook=record_charge
        )
