"""Pull the change feed of one feed range, page by page, from a position of the caller's own.

The SDK's continuation is a queue of positions. If a physical partition is split or merged under it, the SDK
divides or keeps the ranges in that queue by itself. Three properties of it hide changes from a caller that
stops between two pages:

1. After a split, pages of the parts come in turn. A page says nothing about the other parts.
2. A part that was not read yet has no token. The SDK writes such a continuation, and refuses to read it.
3. An empty answer ends the iteration without a continuation.

A caller therefore has one position per range, and no part of a range is read without the others: if a range
lies on several physical partitions, :func:`read_page` raises, and the caller divides the range.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from azure.cosmos.aio import ContainerProxy

from shared.cosmos.charges import record_charge
from shared.cosmos.sdk_feed import encode_continuation, positions_in, together_contain


class FeedRange(NamedTuple):
    """A range of effective partition keys. ``high`` is not part of it."""

    low: str
    high: str

    @classmethod
    def decode(cls, item: Mapping[str, Any]) -> FeedRange:
        """Return a range in the SDK's form.

        Raises
        ------
        KeyError
            It has another form.
        """
        return cls(item["Range"]["min"], item["Range"]["max"])

    def encode(self) -> dict[str, Any]:
        """Return the form that the SDK reads and writes."""
        bounds = {"min": self.low, "max": self.high, "isMinInclusive": True, "isMaxInclusive": False}
        return {"Range": bounds}

    def overlaps(self, other: FeedRange) -> bool:
        """Return whether both ranges have keys in common."""
        return self.low < other.high and other.low < self.high

    def is_covered_by(self, ranges: Iterable[FeedRange]) -> bool:
        """Return whether the ranges together have all of this range's keys."""
        return together_contain(ranges, *self)


WHOLE_FEED = FeedRange("", "FF")
"""All effective partition keys."""


class FeedPage(NamedTuple):
    """One answer of the change feed."""

    documents: Sequence[dict[str, Any]]
    """Empty at the end of the feed."""
    position: str
    """The position after these documents."""


class RangeSplitError(Exception):
    """A feed range lies on several physical partitions. Nothing was read."""


async def physical_ranges(container: ContainerProxy) -> list[FeedRange]:
    """Return the feed ranges of the physical partitions as they are now, in order.

    Raises
    ------
    CosmosHttpResponseError, ServiceRequestError, ServiceResponseError
        The service did not answer.
    """
    found = container.read_feed_ranges(force_refresh=True)
    return sorted([FeedRange.decode(item) async for item in found])


async def read_page(
    container: ContainerProxy, rid: str, feed_range: FeedRange, position: str | None, *, limit: int
) -> FeedPage:
    """Read at most ``limit`` changes of a range after a position, None for its beginning.

    Parameters
    ----------
    rid
        Resource id of the container.

    Raises
    ------
    RangeSplitError
        The range lies on several physical partitions: it was split.
    CosmosHttpResponseError, ServiceRequestError, ServiceResponseError
        The service did not answer, or refused the position (400).
    """
    answers: list[Mapping[str, str]] = []

    def remember(headers: Mapping[str, str], _: object) -> None:
        record_charge(headers)
        answers.append(headers)

    options: dict[str, Any] = {"max_item_count": limit, "response_hook": remember}
    if position is None:
        options |= {"feed_range": feed_range.encode(), "start_time": "Beginning"}
    else:
        options["continuation"] = encode_continuation(rid, feed_range.encode(), position)
    documents: list[dict[str, Any]] = []
    async for page in container.query_items_change_feed(**options).by_page():
        documents = [item async for item in page]
        break
    # The SDK replaces the service's position in the headers of its last answer by its own continuation.
    return FeedPage(documents, _position(answers[-1]["etag"], feed_range))


def _position(continuation: str, feed_range: FeedRange) -> str:
    """Return the only position in the SDK's continuation."""
    positions = positions_in(continuation)
    if len(positions) != 1:
        raise RangeSplitError(f"the feed range {feed_range} lies on {len(positions)} physical partitions")
    return positions[0]
