"""The change feed in latest-version mode: pages of a range in the order of writes, with a continuation."""

from __future__ import annotations

from dataclasses import dataclass
from email.utils import parsedate_to_datetime

from local.cosmos.errors import PARTITION_KEY_RANGE_GONE, ServiceError, bad_request
from local.cosmos.model import Container, Item
from local.cosmos.partitioning import PhysicalPartition, Range
from local.cosmos.storage import Storage

DEFAULT_PAGE = 100
MAX_PAGE_BYTES = 4 * 1024 * 1024
LONGEST_LSN = 18
"""Digits; more than any log will have, and what the database file can compare with."""


@dataclass(frozen=True, slots=True)
class FeedPage:
    """A page of the feed: the items, and the sequence number to go on from."""

    items: list[Item]
    lsn: int

    @property
    def etag(self) -> str:
        """The continuation, as the service sends it."""
        return f'"{self.lsn}"'

    def bodies(self) -> list[bytes]:
        """Return each item as JSON, with the sequence number of its last write."""
        return [b'%s,"_lsn":%d}' % (item.body[:-1], item.lsn) for item in self.items]


def read_page(
    storage: Storage,
    container: Container,
    keys: Range,
    *,
    continuation: str | None,
    modified_since: str | None,
    limit: int,
) -> FeedPage:
    """Read one page; it never ends between the items of one transaction, and may exceed ``limit`` for that.

    Parameters
    ----------
    keys
        A range within one physical partition.
    continuation
        ``If-None-Match``: the etag of the page before, ``*`` for changes from now on, None for the beginning.
    modified_since
        ``If-Modified-Since``: only changes at or after this time.

    Raises
    ------
    ServiceError
        410: the range lies in several physical partitions; 400: a parameter cannot be read.
    """
    partition = _only_partition(container, keys)
    if continuation == "*" and modified_since is None:
        return FeedPage([], partition.lsn.value)
    after = _lsn(continuation)
    if modified_since is not None:
        first = storage.read.first_lsn_at(container, partition, _seconds(modified_since))
        after = max(after, first - 1)
    page: list[Item] = []
    size = 0
    for item in storage.read.feed(container, partition, keys, after=after):
        size += len(item.body)
        if page and item.lsn != page[-1].lsn and (len(page) >= limit or size > MAX_PAGE_BYTES):
            break
        page.append(item)
    if not page:
        # Nothing new up to here: the next page may begin behind all that has been written.
        return FeedPage([], max(after, partition.lsn.value))
    return FeedPage(page, page[-1].lsn)


def _only_partition(container: Container, keys: Range) -> PhysicalPartition:
    """Return the physical partition of a range; positions in the feed mean nothing across several."""
    partitions = container.overlapping(keys)
    if len(partitions) != 1:
        raise ServiceError(
            410,
            f"The range of the change feed lies in {len(partitions)} physical partitions: read each of them.",
            sub_status=PARTITION_KEY_RANGE_GONE,
        )
    return partitions[0]


def _lsn(continuation: str | None) -> int:
    if continuation in (None, "", "*"):
        return 0
    text = str(continuation).strip('"')
    if not (text.isascii() and text.isdigit() and len(text) <= LONGEST_LSN):
        raise bad_request(f"The continuation {str(continuation)[:80]!r} is not one of this feed.")
    return int(text)


def _seconds(modified_since: str) -> int:
    try:
        return int(parsedate_to_datetime(modified_since).timestamp())
    except ValueError:
        raise bad_request(f"The time {modified_since!r} is not valid.") from None
