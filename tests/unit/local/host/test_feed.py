"""Positions in the feed: what the SDK accepts and returns, sequence numbers, and ranges that were split."""

from __future__ import annotations

import asyncio
import base64
import json
from typing import Any

import pytest
from azure.cosmos._change_feed.change_feed_state import ChangeFeedState, ChangeFeedStateV2

from local.host.feed import (
    ChangeFeed,
    ContainerReplacedError,
    RangeSplitError,
    gather_all,
    latest_lsn,
)
from local.host.leases import FeedRange
from shared.cosmos.sdk_feed import encode_continuation

RANGE = FeedRange("10", "20")


def test_the_sdk_reads_the_position_that_leases_hold() -> None:
    token = encode_continuation("rid=", RANGE.to_sdk(), '"42"')
    state = ChangeFeedState.from_json("dbs/d/colls/c", "rid=", {"continuationFeedRange": token})
    assert isinstance(state, ChangeFeedStateV2)
    headers: dict[str, Any] = {}
    state.set_start_from_request_headers(headers)
    assert headers == {"If-None-Match": '"42"'}
    # And what it would return is what went in: nothing of its state is lost by keeping the etag only.
    assert state.to_dict() == json.loads(base64.b64decode(token))


@pytest.mark.parametrize(
    ("token", "lsn"),
    [
        ("0:-1#42", 42),
        ("0:1#42#4=-1", 42),
        ("0:42", 42),
        ("0:-1#42,1:-1#7", 42),
        ("", None),
        (None, None),
        ("0:odd#text", None),
    ],
)
def test_log_sequence_numbers_of_session_tokens(token: str | None, lsn: int | None) -> None:
    assert latest_lsn(token) == lsn


class Paged:
    """One answer of the SDK: a page of documents, and the headers that its hook receives."""

    id = "items"

    def __init__(
        self, documents: list[dict[str, Any]], parts: int, session: str, container: str = "rid="
    ) -> None:
        self._documents = documents
        self._container = container
        bounds = RANGE.to_sdk()["Range"]
        inner = [{"token": f'"{7 + part}"', "range": bounds} for part in range(parts)]
        state = {"v": "v2", "continuation": {"continuation": inner}}
        self._headers = {
            "etag": base64.b64encode(json.dumps(state).encode()).decode(),
            "x-ms-session-token": session,
        }
        self.options: dict[str, Any] = {}

    def query_items_change_feed(self, **options: Any) -> Paged:
        self.options = options
        return self

    async def by_page(self) -> Any:
        self.options["response_hook"](self._headers, None)
        if self._documents:
            yield self._page()

    async def _get_properties(self) -> dict[str, str]:
        return {"_rid": self._container}

    async def _page(self) -> Any:
        for document in self._documents:
            yield document


async def test_a_page() -> None:
    paged = Paged([{"id": "a", "_lsn": 40}, {"id": "b", "_lsn": 42}], 1, "0:-1#50")
    page = await ChangeFeed(paged, "rid=").read(RANGE, None, "Beginning", 10)  # type: ignore[arg-type]
    assert [document["id"] for document in page.documents] == ["a", "b"]
    assert (page.continuation, page.pending_after) == ('"7"', 8)
    assert paged.options["feed_range"] == RANGE.to_sdk()
    assert (paged.options["start_time"], paged.options["max_item_count"]) == ("Beginning", 10)


async def test_an_empty_answer_has_a_position_too() -> None:
    page = await ChangeFeed(Paged([], 1, "0:-1#50"), "rid=").read(RANGE, '"3"', "Beginning", 1)  # type: ignore[arg-type]
    assert (page.documents, page.continuation, page.pending_after) == ([], '"7"', 0)


async def test_a_split_range_is_reported_and_nothing_of_it_is_used() -> None:
    paged = Paged([{"id": "a", "_lsn": 1}], 2, "0:-1#5")
    with pytest.raises(RangeSplitError, match="2 partitions"):
        await ChangeFeed(paged, "rid=").read(RANGE, '"3"', "Beginning", 1)  # type: ignore[arg-type]


@pytest.mark.parametrize("documents", [[], [{"id": "a", "_lsn": 1}]])
async def test_a_page_of_a_container_created_again_is_not_used(documents: list[dict[str, Any]]) -> None:
    paged = Paged(documents, 1, "0:-1#5", container="new=")
    with pytest.raises(ContainerReplacedError, match="items was deleted and created again"):
        await ChangeFeed(paged, "rid=").read(RANGE, '"3"', "Beginning", 1)  # type: ignore[arg-type]


async def test_an_error_of_one_call_is_raised_once_all_have_ended() -> None:
    ended = []

    async def call(name: str) -> str:
        await asyncio.sleep(0)
        if name == "fails":
            raise ValueError(name)
        await asyncio.sleep(0)
        ended.append(name)
        return name

    with pytest.raises(ValueError, match="fails"):
        await gather_all(call(name) for name in ("a", "fails", "b"))
    assert ended == ["a", "b"]
    assert await gather_all(call(name) for name in ("c", "d")) == ["c", "d"]
