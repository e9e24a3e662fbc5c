"""Where a query goes on: the continuation in the client's hands, and results kept between two pages."""

from __future__ import annotations

import base64
import secrets
from collections import OrderedDict
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

import orjson

from local.cosmos.errors import bad_request
from local.cosmos.model import Container
from local.cosmos.partitioning import Range
from local.cosmos.query import Place

LONGEST_PLACE = 2_048
"""Bytes of a place in a continuation, which travels as a header; longer ones are counted from the start."""


@dataclass(frozen=True, slots=True)
class Position:
    """Where a query goes on; in the hands of the client between two pages.

    Attributes
    ----------
    of
        Fingerprint of the query it belongs to.
    low, high
        The range it belongs to. It is good for a part of it too, as after a split, but for no other range:
        there it would leave out items.
    after
        Key and id of the last item that was dealt with.
    within
        Key and id of the item behind it, if some of its results have been returned.
    skip
        Results that were returned: of the item *within*, or of a query that needs all its items at once.
    place
        Where the last result of a sorted query stands.
    cached
        Name under which the server may still have the results.
    """

    of: str
    low: str
    high: str
    after: tuple[str, str] = ("", "")
    within: tuple[str, str] = ("", "")
    skip: int = 0
    place: Place | None = None
    cached: str = ""

    def text(self) -> str:
        """Return the continuation."""
        place = None if self.place is None else [self.place.keys, *self.place.item, self.place.row]
        fields = [self.of, self.low, self.high, *self.after, *self.within, self.skip, place, self.cached]
        return base64.urlsafe_b64encode(orjson.dumps(fields)).decode()

    @classmethod
    def read(cls, continuation: str | None, of: str, keys: Range, *, divisible: bool) -> Position:
        """Read a continuation.

        Parameters
        ----------
        divisible
            The query can go on in a part of its range.

        Raises
        ------
        ServiceError
            400: it is not one of this query and range.
        """
        if not continuation:
            return cls(of, keys.low, keys.high)
        try:
            fields = orjson.loads(base64.urlsafe_b64decode(continuation))
            given, low, high, *texts, skip, place, cached = fields
            epk, item_id, within_epk, within_id = texts
            valid = all(isinstance(text, str) for text in (low, high, *texts, cached))
            resumed = None if place is None else _place(*place)
        except (ValueError, TypeError):
            valid = False
        if not valid or given != of or type(skip) is not int or skip < 0:
            raise bad_request("The continuation token is malformed, or belongs to another query.")
        part = low <= keys.low and keys.high <= high
        if not part or ((low, high) != (keys.low, keys.high) and not divisible):
            raise bad_request("The continuation token belongs to another range of this query.")
        return cls(of, keys.low, keys.high, (epk, item_id), (within_epk, within_id), skip, resumed, cached)


def _place(keys: list[Any], epk: str, item_id: str, row: int) -> Place:
    return Place(tuple((rank, value) for rank, value in keys), (epk, item_id), row)


def brief(place: Place | None) -> Place | None:
    """Return the place if it fits into a continuation."""
    return place if place is not None and len(orjson.dumps(place.keys)) <= LONGEST_PLACE else None


def fingerprint(container: Container, text: str, parameters: Mapping[str, Any]) -> str:
    """Return what a continuation knows its query by."""
    named = orjson.dumps([container.number, text, sorted(parameters.items())])
    return blake2b(named, digest_size=9).hexdigest()


Result = tuple[bytes, Place | None]
"""A result, and where it stands in a sorted query."""


@dataclass(frozen=True, slots=True)
class Kept:
    """Results of a query that is being paged.

    Attributes
    ----------
    results
        They begin with number ``first`` of all.
    first
        How many results were returned before.
    state
        What they were computed from.
    """

    results: Sequence[Result]
    first: int
    state: Hashable


class ResultCache:
    """Results of queries that are being paged, so that a page does not sort everything again.

    A result that is gone is computed again: the cache saves time and decides nothing.
    """

    MOST = 32
    MOST_BYTES = 64 * 1024 * 1024

    def __init__(self) -> None:
        self._kept: OrderedDict[str, tuple[Kept, int]] = OrderedDict()
        self._size = 0

    def get(self, name: str, state: Hashable) -> Kept | None:
        """Return the results kept under a name, if they were computed from this state."""
        found = self._kept.get(name)
        if found is None or found[0].state != state:
            return None
        self._kept.move_to_end(name)
        return found[0]

    def keep(self, kept: Kept) -> str:
        """Keep results, at the cost of the oldest; return their name, empty if they are too many."""
        size = sum(len(result) for result, _ in kept.results)
        if size > self.MOST_BYTES:
            return ""
        name = secrets.token_urlsafe(9)
        self._kept[name] = kept, size
        self._size += size
        while len(self._kept) > self.MOST or self._size > self.MOST_BYTES:
            _, (_, oldest) = self._kept.popitem(last=False)
            self._size -= oldest
        return name
