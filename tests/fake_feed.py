"""An in-memory container whose change feed can be pulled, as the auditor does."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Any

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
        """Range and offset that each reading began with."""

    async def read(self, **_: Any) -> Document:
        return {"_rid": self.rid}

    async def read_feed_ranges(self) -> AsyncIterator[Document]:
        for number in range(len(self.ranges) or 1):
            yield {"number": number}

    def query_items_change_feed(
        self,
        *,
        feed_range: Document | None = None,
        continuation: str | None = None,
        max_item_count: int,
        **_: Any,
    ) -> _Reading:
        assert max_item_count >= self.page_size
        if continuation is not None:
            number, offset = map(int, continuation.split(":"))
        else:
            assert feed_range is not None
            number, offset = feed_range["number"], 0
        self.read_from.append((number, offset))
        return _Reading(self, number, offset)

    def changes(self, number: int) -> list[Document]:
        if self.ranges:
            return self.ranges[number]
        return sorted(self.items.values(), key=lambda item: item["_ts"])


class _Reading:
    def __init__(self, feed: FakeFeed, number: int, offset: int) -> None:
        self._feed, self._number, self._offset = feed, number, offset

    @property
    def continuation_token(self) -> str:
        return f"{self._number}:{self._offset}"

    def by_page(self) -> _Reading:
        return self

    def __aiter__(self) -> _Reading:
        return self

    async def __anext__(self) -> AsyncIterator[Document]:
        page = self._feed.changes(self._number)[self._offset : self._offset + self._feed.page_size]
        if not page:
            raise StopAsyncIteration
        self._offset += len(page)
        return _items(page)


async def _items(page: list[Document]) -> AsyncIterator[Document]:
    for document in page:
        yield document
