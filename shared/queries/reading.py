"""Send queries: with parameters, to one logical partition if the caller gives one, and bounded."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from azure.cosmos.aio import ContainerProxy, DatabaseProxy
from azure.cosmos.exceptions import CosmosHttpResponseError

from shared.cosmos.charges import record_charge
from shared.errors import QueryError, TooManyRowsError
from shared.queries.arguments import as_parameters

CONTINUATION = "x-ms-continuation"
BAD_REQUEST = 400

Document = dict[str, Any]
"""Stored JSON. Queries check their arguments, not the stored content."""


class Rows(list[Document]):
    """Some rows of a query, and how to go on after them."""

    continuation: str | None = None
    """The same method with it, and with the same other arguments, returns the rows after these. None if there
    are no more."""


async def read_rows(
    database: DatabaseProxy,
    container_name: str,
    query: str,
    values: Mapping[str, Any],
    *,
    partition_key: str,
    limit: int,
    continuation: str | None,
) -> Rows:
    """Return the first rows of a query within one logical partition, or those after a continuation.

    Raises
    ------
    QueryError
        The service refuses the continuation.
    """
    container: ContainerProxy = database.get_container_client(container_name)
    rows, following = Rows(), continuation

    def answered(headers: Mapping[str, Any], result: object = None) -> None:
        # The SDK's own continuation is read from the client's last response, and falls back to an etag.
        nonlocal following
        following = headers.get(CONTINUATION)
        record_charge(headers, result)

    while len(rows) < limit:
        pages = container.query_items(
            query,
            parameters=as_parameters(values),
            partition_key=partition_key,
            max_item_count=limit - len(rows),
            response_hook=answered,
        ).by_page(following)
        try:
            async for row in await anext(pages):
                rows.append(row)
        except StopAsyncIteration:
            break
        except CosmosHttpResponseError as error:
            if error.status_code != BAD_REQUEST or continuation is None:
                raise
            raise QueryError("continuation", "is not one of this query's: begin again without it") from None
        if following is None:
            break
    rows.continuation = following
    return rows


async def read_partition(
    database: DatabaseProxy, container_name: str, query: str, values: Mapping[str, Any], *, partition_key: str
) -> list[Document]:
    """Return the rows of a query within one logical partition.

    Each page is one request to one physical partition.

    Parameters
    ----------
    query
        Must limit its own rows, with ``TOP`` or ``LIMIT``.
    values
        The parameters, without their ``@``.
    """
    container: ContainerProxy = database.get_container_client(container_name)
    rows = container.query_items(
        query,
        parameters=as_parameters(values),
        partition_key=partition_key,
        response_hook=record_charge,
    )
    return [row async for row in rows]


async def read_bounded(
    database: DatabaseProxy,
    container_name: str,
    query: str,
    parameters: list[dict[str, object]],
    *,
    partition_key: str | None,
    limit: int,
) -> list[Document]:
    """Return all rows of any query, over all physical partitions if it has no partition key.

    Raises
    ------
    TooManyRowsError
        There are more than ``limit`` rows. At most one page beyond the limit is read.
    """
    container: ContainerProxy = database.get_container_client(container_name)
    options: dict[str, Any] = {} if partition_key is None else {"partition_key": partition_key}
    found: list[Document] = []
    async for row in container.query_items(
        query,
        parameters=parameters,
        max_item_count=limit + 1,
        response_hook=record_charge,
        **options,
    ):
        if len(found) == limit:
            raise TooManyRowsError(container_name, limit)
        found.append(row)
    return found
