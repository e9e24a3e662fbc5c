"""Read due documents of a feed range, whole seconds at a time. All SQL on containers that are archived.

Age is not a change, so no feed drives the archive. One query finds the second up to which about a page of
documents was written, a second one reads them. The second one needs no order: a range that is split between
the two is still read as a whole.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from azure.cosmos.aio import ContainerProxy

from shared.cosmos.change_feed import FeedRange
from shared.cosmos.charges import record_charge
from shared.cosmos.queries import Query

PAGE_SIZE = 500
"""Documents of one page, as a rule. A page ends with a second, so it may have more. They are read in pieces
of this size, of at most 4 MB."""

WRITTEN = Query(
    "archive_written",
    "SELECT VALUE c._ts FROM c WHERE c._ts > @after AND c._ts <= @until ORDER BY c._ts",
)

DOCUMENTS = Query("archive_documents", "SELECT * FROM c WHERE c._ts > @after AND c._ts <= @until")

COUNT = Query("archive_count", "SELECT VALUE COUNT(1) FROM c WHERE c._ts > @after AND c._ts <= @until")


async def written(container: ContainerProxy, feed_range: FeedRange, after: int, until: int) -> list[int]:
    """Return the seconds in which about a page of documents was written, in order; none if there are none.

    Raises
    ------
    CosmosHttpResponseError, ServiceRequestError, ServiceResponseError
        The service did not answer.
    """
    async for page in _query(container, WRITTEN, feed_range, after, until).by_page():
        if seconds := [int(row) async for row in page]:
            return seconds
    return []


async def documents(
    container: ContainerProxy, feed_range: FeedRange, after: int, until: int
) -> AsyncIterator[list[dict[str, Any]]]:
    """Yield the documents that were written after a second, until another, in pieces.

    Raises
    ------
    CosmosHttpResponseError, ServiceRequestError, ServiceResponseError
        The service did not answer.
    """
    async for page in _query(container, DOCUMENTS, feed_range, after, until).by_page():
        piece = [dict(row) async for row in page]
        if piece:
            yield piece


async def count(container: ContainerProxy, feed_range: FeedRange, after: int, until: int) -> int:
    """Return how many documents were written after a second, until another.

    Raises
    ------
    CosmosHttpResponseError, ServiceRequestError, ServiceResponseError
        The service did not answer.
    """
    return sum([int(row) async for row in _query(container, COUNT, feed_range, after, until)])


def _query(container: ContainerProxy, query: Query, feed_range: FeedRange, after: int, until: int) -> Any:
    return container.query_items(
        query,
        parameters=[{"name": "@after", "value": after}, {"name": "@until", "value": until}],
        feed_range=feed_range.encode(),
        max_item_count=PAGE_SIZE,
        response_hook=record_charge,
    )
