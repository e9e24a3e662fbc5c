"""Read a change feed as a trigger does: page by page from a position, each page charged to the work."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from azure.cosmos.aio import ContainerProxy

from shared.cosmos.charges import record_charge


@dataclass(slots=True)
class _Position:
    feed_range: dict[str, Any]
    continuation: str | None = None


class FeedReader:
    """Positions in the feed of a whole container, one per feed range, from the beginning on.

    The contenders' server has one physical partition per container, as an account of this size has: a batch
    then is exactly as large as the page that is asked for, and costs one request.
    """

    def __init__(self, container: ContainerProxy) -> None:
        self._container = container
        self._positions: deque[_Position] = deque()

    async def read(self, limit: int) -> list[dict[str, Any]]:
        """Return at most ``limit`` changes and move behind them; none at the end of every range."""
        if not self._positions:
            self._positions.extend([_Position(found) async for found in self._container.read_feed_ranges()])
        for _ in range(len(self._positions)):
            documents = await self._page(self._positions[0], limit)
            if documents:
                return documents
            self._positions.rotate(-1)
        return []

    async def _page(self, position: _Position, limit: int) -> list[dict[str, Any]]:
        answers: list[Mapping[str, str]] = []

        def hook(headers: Mapping[str, str], result: object) -> None:
            answers.append(headers)
            record_charge(headers, result)

        options: dict[str, Any] = {"max_item_count": limit, "response_hook": hook}
        if position.continuation is None:
            options.update(feed_range=position.feed_range, start_time="Beginning")
        else:
            options["continuation"] = position.continuation
        documents: list[dict[str, Any]] = []
        async for page in self._container.query_items_change_feed(**options).by_page():
            documents = [document async for document in page]
            break
        # The client's last response headers may be another feed's by now; the hook saw this one's.
        position.continuation = answers[-1]["etag"]
        return documents
