"""Pages of single feed ranges, read by the real SDK from the real database server."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from azure.cosmos import PartitionKey
from azure.cosmos.aio import ContainerProxy
from azure.cosmos.exceptions import CosmosHttpResponseError
from hypothesis import given
from hypothesis import strategies as st

from shared.cosmos.change_feed import (
    WHOLE_FEED,
    FeedPage,
    FeedRange,
    RangeSplitError,
    physical_ranges,
    read_page,
)
from shared.cosmos.sdk_feed import encode_continuation
from tests.cosmos_in_process import InProcessCosmos, key_of

FEED = "user_interactions"
USERS = sorted((f"user {n}" for n in range(8)), key=key_of)


@pytest.fixture
def cosmos() -> InProcessCosmos:
    return InProcessCosmos(lambda: 1_000)


@pytest.fixture
async def container(cosmos: InProcessCosmos) -> AsyncIterator[ContainerProxy]:
    with cosmos.at_its_time():
        async with cosmos.client() as database:
            container = await database.create_container(FEED, PartitionKey("/user_id"))
            for user in USERS:
                await container.upsert_item({"id": user, "user_id": user})
            yield container
    cosmos.close()


async def read(
    container: ContainerProxy, feed_range: FeedRange, position: str | None, limit: int = 100
) -> FeedPage:
    rid = (await container.read())["_rid"]
    return await read_page(container, rid, feed_range, position, limit=limit)


def ids(page: FeedPage) -> list[str]:
    return [document["id"] for document in page.documents]


async def test_pages_follow_each_other_up_to_an_empty_one_with_a_position(container: ContainerProxy) -> None:
    first = await read(container, WHOLE_FEED, None, limit=5)
    second = await read(container, WHOLE_FEED, first.position, limit=5)
    assert ids(first) + ids(second) == USERS
    end = await read(container, WHOLE_FEED, second.position)
    assert (list(end.documents), end.position) == ([], second.position)
    await container.upsert_item({"id": "new", "user_id": USERS[0]})
    assert ids(await read(container, WHOLE_FEED, end.position)) == ["new"]


async def test_the_end_of_a_feed_without_documents_has_a_position(
    cosmos: InProcessCosmos, container: ContainerProxy
) -> None:
    await container.upsert_item({"id": "x", "user_id": USERS[0]})
    for number in (0, 1, 0, 0):
        cosmos.split(FEED, number)
    empty = [each for each in await physical_ranges(container) if not (await read(container, each, None))[0]]
    assert empty
    for feed_range in empty:
        assert (await read(container, feed_range, None)).position


@pytest.mark.parametrize("was_read", [False, True])
async def test_a_range_that_was_split_is_not_read_in_part(
    cosmos: InProcessCosmos, container: ContainerProxy, was_read: bool
) -> None:
    position = (await read(container, WHOLE_FEED, None, limit=3)).position if was_read else None
    cosmos.split(FEED, 0)
    with pytest.raises(RangeSplitError):
        await read(container, WHOLE_FEED, position)
    halves = await physical_ranges(container)
    assert len(halves) == 2
    found = [name for half in halves for name in ids(await read(container, half, position))]
    assert found == USERS[3 if was_read else 0 :]


async def test_a_range_of_a_merged_partition_is_read_alone_and_from_its_position(
    cosmos: InProcessCosmos, container: ContainerProxy
) -> None:
    cosmos.split(FEED, 0)
    first, second = await physical_ranges(container)
    page = await read(container, first, None, limit=2)
    cosmos.merge(FEED, 0)
    rest = await read(container, first, page.position)
    assert ids(page) + ids(rest) + ids(await read(container, second, None)) == USERS
    assert await physical_ranges(container) == [WHOLE_FEED]


async def test_a_position_that_the_service_refuses_is_its_error(container: ContainerProxy) -> None:
    with pytest.raises(CosmosHttpResponseError) as refused:
        await read(container, WHOLE_FEED, "no number")
    assert refused.value.status_code == 400


async def test_the_continuation_is_the_one_that_the_sdk_writes(container: ContainerProxy) -> None:
    headers: list[Any] = []
    pages = container.query_items_change_feed(
        feed_range=WHOLE_FEED.encode(),
        start_time="Beginning",
        response_hook=lambda answer, _: headers.append(answer),
    ).by_page()
    async for page in pages:
        assert [item async for item in page]
        break
    rid = (await container.read())["_rid"]
    assert headers[-1]["etag"] == encode_continuation(rid, WHOLE_FEED.encode(), f'"{len(USERS)}"')


bounds = st.lists(st.integers(0, 8), min_size=2, max_size=2, unique=True).map(sorted)


@given(whole=bounds, parts=st.lists(bounds, max_size=5))
def test_a_range_is_covered_if_each_of_its_keys_is(whole: list[int], parts: list[list[int]]) -> None:
    keys = {key for low, high in parts for key in range(low, high)}
    ranges = [FeedRange(f"{low:X}", f"{high:X}") for low, high in parts]
    covered = FeedRange(f"{whole[0]:X}", f"{whole[1]:X}").is_covered_by(ranges)
    assert covered == (set(range(*whole)) <= keys)
