"""An in-memory container whose change feed can be pulled, as the auditor does."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator, Callable, Sequence
from itertools import pairwise
from typing import Any

from shared.cosmos.change_feed import WHOLE_FEED, FeedRange
from shared.cosmos.sdk_feed import encode_continuation
from tests.fakes import FakeContainer

Document = dict[str, Any]


class FakeFeed(FakeContainer):
    """Feed ranges with their changes in order; ``changes`` may be given instead of what is stored."""

    def __init__(self, *ranges: list[Document], key: str = "shard", page_size: int = 2) -> None:
        super().__init__(key)
        self.ranges: Sequence[list[Document]] = ranges
        self.page_size = page_size
        self.rid = "rid-1"
        self.read_from: list[tuple[int, int]] = []
        """Range and offset of each page that had changes."""
        self.limits: list[int] = []
        """How many changes each request asked for."""

    async def read(self, **_: Any) -> Document:
        return {"_rid": self.rid}

    def feed_ranges(self) -> list[FeedRange]:
        bounds = [f"{number:02X}" for number in range(1, len(self.ranges))]
        ends = [WHOLE_FEED.low, *bounds, WHOLE_FEED.high]
        return [FeedRange(low, high) for low, high in pairwise(ends)]

    async def read_feed_ranges(self, *, force_refresh: bool) -> AsyncIterator[Document]:
        assert force_refresh
        for feed_range in self.feed_ranges():
            yield feed_range.encode()

    def query_items_change_feed(
        self,
        *,
        feed_range: Document | None = None,
        continuation: str | None = None,
        max_item_count: int,
        response_hook: Callable[[Document, Any], None],
        **_: Any,
    ) -> _Reading:
        assert max_item_count >= self.page_size
        self.limits.append(max_item_count)
        if continuation is not None:
            state = json.loads(base64.b64decode(continuation))
            (part,) = state["continuation"]["continuation"]
            found, offset = FeedRange.decode({"Range": part["range"]}), int(part["token"].strip('"'))
        else:
            assert feed_range is not None
            found, offset = FeedRange.decode(feed_range), 0
        return _Reading(self, self.feed_ranges().index(found), offset, response_hook)

    def changes(self, number: int) -> list[Document]:
        if self.ranges:
            return self.ranges[number]
        return sorted(self.items.values(), key=lambda item: item["_ts"])


class _Reading:
    def __init__(
        self, feed: FakeFeed, number: int, offset: int, response_hook: Callable[[Document, Any], None]
    ) -> None:
        self._feed, self._number, self._offset = feed, number, offset
        self._response_hook = response_hook

    def by_page(self) -> _Reading:
        return self

    def __aiter__(self) -> _Reading:
        return self

    async def __anext__(self) -> AsyncIterator[Document]:
        feed = self._feed
        page = feed.changes(self._number)[self._offset : self._offset + feed.page_size]
        if page:
            feed.read_from.append((self._number, self._offset))
        self._offset += len(page)
        position = f'"{self._offset}"'
        etag = encode_continuation(feed.rid, feed.feed_ranges()[self._number].encode(), position)
        self._response_hook({"etag": etag}, None)
        if not page:
            raise StopAsyncIteration
        return _items(page)


async def _items(page: list[Document]) -> AsyncIterator[Document]:
    for document in page:
        yield document
