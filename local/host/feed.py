"""Read the change feed of one feed range: a page of documents and the position after it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, TypeVar

from azure.cosmos.aio import ContainerProxy
from azure.cosmos.exceptions import CosmosResourceNotFoundError
from azure.cosmos.http_constants import HttpHeaders, SubStatusCodes

from local.host.leases import FeedRange
from shared.cosmos.sdk_feed import encode_continuation, positions_in

Result = TypeVar("Result")

Start = datetime | Literal["Beginning", "Now"]
"""Where a lease without a position begins."""


async def gather_all(calls: Iterable[Awaitable[Result]]) -> list[Result]:
    """Await calls side by side, each to its end, before the first error of any is raised.

    What goes on after its caller has given up would use connections that are closed by then.
    """
    results = await asyncio.gather(*calls, return_exceptions=True)
    for result in results:
        if isinstance(result, BaseException):
            raise result
    return [result for result in results if not isinstance(result, BaseException)]


def forget_session(container: ContainerProxy, error: CosmosResourceNotFoundError) -> None:
    """Have the next request ask for no state that was seen, if the container does not have that.

    A container that was created again has less than the SDK saw of the former one. The SDK would forget that
    itself, but it forgets what it saw of the container that answered last, which may be another one.
    """
    session = container.client_connection.session
    if error.sub_status == SubStatusCodes.READ_SESSION_NOTAVAILABLE and session is not None:
        path = {HttpHeaders.AlternateContentPath: container.container_link}
        session.clear_session_token(path)  # type: ignore[no-untyped-call]  # the SDK has no annotation


class RangeSplitError(Exception):
    """The physical partition behind a feed range was split; the range has to be divided as well."""


class ContainerReplacedError(Exception):
    """The container was deleted and created again: positions and leases belong to the former one."""

    def __init__(self, container: str) -> None:
        super().__init__(f"the container {container} was deleted and created again")


@dataclass(frozen=True, slots=True)
class FeedPage:
    """One answer of the change feed."""

    documents: list[dict[str, Any]]
    continuation: str
    """The position after these documents: an etag, as leases store it."""
    pending_after: int
    """Transactions between the last document and the end of the partition's log; 0 after the last one."""

    @property
    def first_lsn(self) -> int | None:
        """The log sequence number of the first document, if there is one and it has one."""
        number = self.documents[0].get("_lsn") if self.documents else None
        return number if isinstance(number, int) else None


class ChangeFeed:
    """The change feed (latest version) of one container."""

    def __init__(self, container: ContainerProxy, rid: str) -> None:
        self._container = container
        self._rid = rid

    async def ranges(self) -> list[FeedRange]:
        """Return the feed ranges of the physical partitions as they are now."""
        found = self._container.read_feed_ranges(force_refresh=True)
        return [FeedRange.from_json(item) async for item in found]

    async def range_by_id(self, range_id: str) -> FeedRange | None:
        """Return the range of a partition key range id; of one that was split, what its parts make up.

        The SDK has no public call that tells ids; this one is what it fills its own cache with.
        """
        connection = self._container.client_connection
        found = connection._ReadPartitionKeyRanges(self._container.container_link)
        parts = [
            FeedRange(str(item["minInclusive"]), str(item["maxExclusive"]))
            async for item in found
            if range_id == item["id"] or range_id in (item.get("parents") or ())
        ]
        if not parts:
            return None
        return FeedRange(min(part.min for part in parts), max(part.max for part in parts))

    async def end(self, feed_range: FeedRange) -> int:
        """Return the log sequence number that the feed of a range has reached.

        Raises
        ------
        RangeSplitError
            The range lies on several physical partitions, which count on their own.
        ContainerReplacedError
            The container is another one by now.
        """
        page = await self.read(feed_range, None, "Now", 1)
        return position_lsn(page.continuation)

    async def read(
        self, feed_range: FeedRange, continuation: str | None, start: Start, max_items: int
    ) -> FeedPage:
        """Read at most ``max_items`` changes after a position, or from ``start`` where there is none.

        Raises
        ------
        RangeSplitError
            The range now lies on several physical partitions. Nothing was consumed.
        ContainerReplacedError
            The container is another one by now. Nothing was consumed.
        """
        headers: list[Mapping[str, str]] = []
        options: dict[str, Any] = {
            "max_item_count": max_items,
            "response_hook": lambda answer, _: headers.append(answer),
        }
        if continuation is None:
            options.update(feed_range=feed_range.to_sdk(), start_time=start)
        else:
            options["continuation"] = encode_continuation(self._rid, feed_range.to_sdk(), continuation)
        pages = self._container.query_items_change_feed(**options).by_page()
        documents: list[dict[str, Any]] = []
        try:
            async for page in pages:
                documents = [item async for item in page]
                break
        except ValueError:
            await self._check_known()  # the SDK refuses positions of a former container, if it knows of it
            raise
        except CosmosResourceNotFoundError as error:
            forget_session(self._container, error)
            raise
        await self._check_known()
        # The paging object takes its position from the client's last answer, which with several feeds in
        # flight may be another feed's; the answer that the hook saw is this one's for certain.
        answer = headers[-1]
        return FeedPage(
            documents=documents,
            continuation=_position(answer["etag"]),
            pending_after=_pending(answer, documents),
        )

    async def check(self) -> None:
        """Ask the account whether this is still the container that was opened.

        Raises
        ------
        ContainerReplacedError
            It is another one by now.
        """
        self._compare(await self._container.read())

    async def _check_known(self) -> None:
        """Compare with the container that the SDK read from.

        When the service says that a container was created again, the SDK reads its new properties and repeats
        the request silently, with the position of the former container.
        """
        self._compare(await self._container._get_properties())

    def _compare(self, properties: Mapping[str, Any]) -> None:
        if properties["_rid"] != self._rid:
            raise ContainerReplacedError(self._container.id)


def _position(state: str) -> str:
    """Return the etag inside the SDK's continuation, or say that the range was split."""
    positions = positions_in(state)
    if len(positions) != 1:
        raise RangeSplitError(f"the range lies on {len(positions)} partitions")
    return positions[0]


def position_lsn(continuation: str) -> int:
    """Return the log sequence number of a position; it means something within one physical partition only."""
    return int(continuation.strip('"'))


def latest_lsn(session_token: str | None) -> int | None:
    """Return the log sequence number in a session token (``0:-1#42#...`` or ``0:42``), or None."""
    if not session_token:
        return None
    text = session_token.split(",")[0].rpartition(":")[2]
    parts = text.split("#")
    number = parts[1] if len(parts) > 1 else parts[0]
    return int(number) if number.isdigit() else None


def _pending(answer: Mapping[str, str], documents: list[dict[str, Any]]) -> int:
    """Estimate what follows a page as the .NET estimator does: from the partition's log sequence numbers.

    All items of a transactional batch share one number, so it counts transactions rather than items.
    """
    if not documents:
        return 0
    latest = latest_lsn(answer.get("x-ms-session-token"))
    last = documents[-1].get("_lsn")
    if latest is None or not isinstance(last, int):
        return 0
    return max(0, latest - last)
