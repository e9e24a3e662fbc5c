"""The change feed in latest-version mode: pages of a range in the order of writes, with a continuation."""

from __future__ import annotations

from dataclasses import dataclass
from email.utils import parsedate_to_datetime

from local.cosmos.errors import bad_request
from local.cosmos.model import Container, Item
from local.cosmos.partitioning import Range
from local.cosmos.storage import Storage

DEFAULT_PAGE = 100
MAX_PAGE_BYTES = 4 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class FeedPage:
    """A page: the items and the sequence number to go on from."""

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
    """Read one page.

    Parameters
    ----------
    continuation
        ``If-None-Match``: the etag of the page before, ``*`` for changes from now on, None for the beginning.
    modified_since
        ``If-Modified-Since``: only changes at or after this time.
    """
    if continuation == "*" and modified_since is None:
        return FeedPage([], container.lsn)
    after = _lsn(continuation)
    if modified_since is not None:
        after = max(after, storage.read.first_lsn_at(container, _seconds(modified_since)) - 1)
    found = storage.read.feed(container, keys, after=after, limit=limit)
    page: list[Item] = []
    size = 0
    for item in found:
        size += len(item.body)
        if page and size > MAX_PAGE_BYTES:
            break
        page.append(item)
    if not page:
        # Nothing new up to here: the next page may begin behind all that has been written.
        return FeedPage([], max(after, container.lsn))
    return FeedPage(page, page[-1].lsn)


def _lsn(continuation: str | None) -> int:
    if continuation in (None, "", "*"):
        return 0
    text = str(continuation).strip('"')
    if not (text.isascii() and text.isdigit()):
        raise bad_request(f"The continuation {continuation!r} is not one of this feed.")
    return int(text)


def _seconds(modified_since: str) -> int:
    try:
        return int(parsedate_to_datetime(modified_since).timestamp())
    except ValueError:
        raise bad_request(f"The time {modified_since!r} is not valid.") from None
