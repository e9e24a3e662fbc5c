"""Execute queries: narrow the candidates by an index, evaluate, page, and estimate the charge."""

from __future__ import annotations

import base64
import secrets
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from hashlib import blake2b
from typing import Any

import orjson

from local.cosmos import charges
from local.cosmos.candidates import narrowed, served_by_service
from local.cosmos.errors import CROSS_PARTITION_QUERY_NOT_SERVABLE, ServiceError, bad_request
from local.cosmos.model import Container, Item
from local.cosmos.partitioning import Range
from local.cosmos.query import Query, QueryError, Seek, compile_query
from local.cosmos.storage import Storage

DEFAULT_PAGE = 1_000
MAX_PAGE_BYTES = 4 * 1024 * 1024

MAX_LOADED = 5_000
MAX_LOADED_BYTES = 32 * 1024 * 1024
"""Items and bytes that one page looks at. A page may then be short or empty and have a continuation, as in
the service; and other requests are answered between two pages."""

MAX_SORTED_BYTES = 256 * 1024 * 1024
"""Bytes of items that a query may hold to sort them."""


@dataclass(frozen=True, slots=True)
class Page:
    """One page of results."""

    results: list[bytes]
    continuation: str | None
    charge: float


def parse_request(body: bytes) -> tuple[str, dict[str, Any]]:
    """Return the query text and its parameters by name.

    Raises
    ------
    ServiceError
        400: the body is not a query.
    """
    try:
        spec = orjson.loads(body)
        parameters = {entry["name"]: entry.get("value") for entry in spec.get("parameters") or []}
        text = spec["query"]
    except (orjson.JSONDecodeError, KeyError, TypeError, AttributeError):
        raise bad_request('The query request is not of the form {"query": …, "parameters": […]}.') from None
    if not isinstance(text, str):
        raise bad_request(f"The query is not text but {type(text).__name__}.")
    return text, parameters


def compiled(text: str) -> Query:
    """Return a query ready to run.

    Raises
    ------
    ServiceError
        400: a syntax error, or a construct that is not supported.
    """
    try:
        return compile_query(text)
    except QueryError as error:
        raise bad_request(f"Syntax error or unsupported construct, {error}") from None


def plan(text: str, parameters: Mapping[str, Any], client_features: str) -> dict[str, Any]:
    """Return the plan by which a client runs a query over several physical partitions.

    Parameters
    ----------
    client_features
        What the client says it can do with a plan (``x-ms-cosmos-supported-query-features``).

    Raises
    ------
    ServiceError
        400: the query cannot be planned, or the client could not carry the plan out.
    """
    query = compiled(text)
    missing = query.features - {name.strip() for name in client_features.split(",")}
    if missing:
        raise bad_request(
            f"Over several physical partitions the query needs {', '.join(sorted(missing))} of the client, "
            "which it does not support: give a partition key."
        )
    try:
        return query.plan(parameters)
    except QueryError as error:
        raise bad_request(str(error)) from None


@dataclass(slots=True)
class _Execution:
    """One page of a query over a range; it counts what it looks at."""

    storage: Storage
    container: Container
    keys: Range
    query: Query
    parameters: Mapping[str, Any]
    loaded: int = 0
    loaded_bytes: int = 0
    charged: int = 0
    charged_bytes: int = 0
    matches_only: bool = field(init=False)
    _seeks: tuple[Seek, ...] = field(init=False)

    def __post_init__(self) -> None:
        self._seeks = self.query.seek(self.parameters)
        # Where the service's index serves the filter, what this server had to look at besides is not
        # charged: the charge does not depend on how this server finds its results.
        self.matches_only = served_by_service(self.container, self._seeks)

    @property
    def is_full(self) -> bool:
        """Whether one page has looked at enough."""
        return self.loaded >= MAX_LOADED or self.loaded_bytes >= MAX_LOADED_BYTES

    def candidates(self, after: tuple[str, str] = ("", "")) -> Iterator[Item]:
        """Yield the items that may match, in the order of key and id."""
        numbers = narrowed(self.storage.read, self.container, self.keys, self._seeks)
        if numbers is None:
            return self.storage.read.scan(self.container, self.keys, after=after)
        return self.storage.read.load(self.container, self.keys, numbers, after=after)

    def count(self, item: Item, *, matches: bool) -> None:
        """Count an item that was looked at."""
        self.loaded += 1
        self.loaded_bytes += len(item.body)
        if matches or not self.matches_only:
            self.charged += 1
            self.charged_bytes += len(item.body)

    def documents(self) -> Iterator[dict[str, Any]]:
        """Yield what a query that needs all its matches at once is to work on."""
        holds_all = "OrderBy" in self.query.features
        held = 0
        for item in self.candidates():
            document = item.document()
            # Who neither charges nor holds matches alone need not know them before the query does.
            matches = not (self.matches_only or holds_all) or self.query.keeps(document, self.parameters)
            self.count(item, matches=matches)
            if not matches:
                continue
            held += len(item.body)
            if holds_all and held > MAX_SORTED_BYTES:
                raise bad_request(
                    f"The query sorts more than {MAX_SORTED_BYTES // 2**20} MB of items, which is not "
                    "supported by the local server: filter them, or sort in the client."
                )
            yield document


class Queries:
    """Runs queries, page by page."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage
        self._results = _ResultCache()

    def execute(
        self,
        container: Container,
        keys: Range,
        text: str,
        parameters: Mapping[str, Any],
        *,
        limit: int,
        continuation: str | None,
    ) -> Page:
        """Run a query over a range and return one page.

        Raises
        ------
        ServiceError
            400: it cannot be parsed; or it sorts, groups or counts over several physical partitions, which
            is the client's part (sub-status 1004).
        """
        query = compiled(text)
        ranges = [part for p in container.partitions if (part := p.range.overlap(keys))]
        if not query.streaming and len(ranges) > 1:
            raise ServiceError(
                400,
                "Cross partition query only supports filters and projections here; ask for a query plan.",
                sub_status=CROSS_PARTITION_QUERY_NOT_SERVABLE,
            )
        execution = _Execution(self._storage, container, keys, query, parameters)
        of = _fingerprint(container, text, parameters)
        position = _Position.read(continuation, of, keys, divisible=query.streaming)
        run = _stream if query.streaming else self._whole
        try:
            results, following = run(execution, position, limit)
        except QueryError as error:
            raise bad_request(str(error)) from None
        charge = charges.query(
            len(ranges), execution.charged_bytes, sum(map(len, results)), execution.charged
        )
        return Page(results, following.text() if following else None, charge)

    def _whole(
        self, execution: _Execution, position: _Position, limit: int
    ) -> tuple[list[bytes], _Position | None]:
        """Sort, group or count over everything; go on behind as many results as were returned before."""
        everything = self._results.get(position.cached)
        name = position.cached
        if everything is None:
            found = execution.query.run(execution.documents(), execution.parameters)
            everything = [orjson.dumps(result) for result in found]
            name = self._results.keep(everything) if len(everything) > limit else ""
        page = _bounded(everything[position.skip : position.skip + limit])
        behind = position.skip + len(page)
        if behind >= len(everything):
            return page, None
        return page, replace(position, skip=behind, cached=name)


def _stream(execution: _Execution, position: _Position, limit: int) -> tuple[list[bytes], _Position | None]:
    """Filter and project item by item; go on behind the last item of the page before.

    ``skip`` counts the results of the next item that have been returned: with JOIN one has many.
    """
    results: list[bytes] = []
    size, skip = 0, position.skip
    after = position.after
    for item in execution.candidates(after):
        found = execution.query.results(item.document(), execution.parameters)
        execution.count(item, matches=bool(found))
        for index, result in enumerate(found[skip:], skip):
            if len(results) >= limit or size >= MAX_PAGE_BYTES:
                return results, replace(position, after=after, skip=index)
            results.append(orjson.dumps(result))
            size += len(results[-1])
        after, skip = (item.epk, item.id), 0
        if len(results) >= limit or size >= MAX_PAGE_BYTES or execution.is_full:
            return results, replace(position, after=after, skip=0)
    return results, None


def _bounded(results: list[bytes]) -> list[bytes]:
    """Return as many as a page may have bytes, and at least one."""
    size = 0
    for count, result in enumerate(results):
        size += len(result)
        if size > MAX_PAGE_BYTES and count:
            return results[:count]
    return results


@dataclass(frozen=True, slots=True)
class _Position:
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
    skip
        Results that were returned behind it.
    cached
        Name under which the server may still have all results.
    """

    of: str
    low: str
    high: str
    after: tuple[str, str] = ("", "")
    skip: int = 0
    cached: str = ""

    def text(self) -> str:
        """Return the continuation."""
        fields = [self.of, self.low, self.high, *self.after, self.skip, self.cached]
        return base64.urlsafe_b64encode(orjson.dumps(fields)).decode()

    @classmethod
    def read(cls, continuation: str | None, of: str, keys: Range, *, divisible: bool) -> _Position:
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
            given, low, high, epk, item_id, skip, cached = orjson.loads(
                base64.urlsafe_b64decode(continuation)
            )
        except (ValueError, TypeError):
            given, low, high, epk, item_id, skip, cached = "", "", "", "", "", 0, ""
        texts = (low, high, epk, item_id, cached)
        if given != of or not isinstance(skip, int) or skip < 0 or not all(isinstance(t, str) for t in texts):
            raise bad_request("The continuation token is malformed, or belongs to another query.")
        part = low <= keys.low and keys.high <= high
        if not part or ((low, high) != (keys.low, keys.high) and not divisible):
            raise bad_request("The continuation token belongs to another range of this query.")
        return cls(of, keys.low, keys.high, (epk, item_id), skip, cached)


def _fingerprint(container: Container, text: str, parameters: Mapping[str, Any]) -> str:
    named = orjson.dumps([container.number, text, sorted(parameters.items())])
    return blake2b(named, digest_size=9).hexdigest()


class _ResultCache:
    """Results of queries that are being paged, so that a page does not sort everything again.

    A result that is gone is computed again: the cache saves time and decides nothing.
    """

    MOST = 32
    MOST_BYTES = 64 * 1024 * 1024

    def __init__(self) -> None:
        self._kept: OrderedDict[str, list[bytes]] = OrderedDict()
        self._size = 0

    def get(self, name: str) -> list[bytes] | None:
        """Return the results kept under a name."""
        found = self._kept.get(name)
        if found is not None:
            self._kept.move_to_end(name)
        return found

    def keep(self, results: list[bytes]) -> str:
        """Keep results, at the cost of the oldest; return their name, empty if they are too many."""
        size = sum(map(len, results))
        if size > self.MOST_BYTES:
            return ""
        name = secrets.token_urlsafe(9)
        self._kept[name] = results
        self._size += size
        while len(self._kept) > self.MOST or self._size > self.MOST_BYTES:
            _, oldest = self._kept.popitem(last=False)
            self._size -= sum(map(len, oldest))
        return name
