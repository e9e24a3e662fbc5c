"""Execute queries: narrow the candidates by an index, evaluate, page, and estimate the charge."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from local.cosmos import charges
from local.cosmos.errors import CROSS_PARTITION_QUERY_NOT_SERVABLE, ServiceError, bad_request
from local.cosmos.model import Container, Item
from local.cosmos.partitioning import Range
from local.cosmos.query import AnyOf, Bounds, Query, QueryError, Seek, compile_query
from local.cosmos.reading import Reader
from local.cosmos.storage import Storage

DEFAULT_PAGE = 1_000
MAX_PAGE_BYTES = 4 * 1024 * 1024

_IDS = "/id/?"
_TIME = "/_ts/?"

FEW = 1_000
"""Rows that are collected to compare two indexes; if the better one leaves more, it is read to its end."""

NO_LIMIT = 2**62


@dataclass(frozen=True, slots=True)
class Page:
    """One page of results."""

    results: list[bytes]
    continuation: str | None
    charge: float


@dataclass(slots=True)
class _Load:
    """What was loaded to evaluate a query."""

    items: int = 0
    size: int = 0

    def counted(self, items: Iterable[Item]) -> Iterator[Item]:
        for item in items:
            self.items += 1
            self.size += len(item.body)
            yield item


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


def execute(
    storage: Storage,
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
    load = _Load()
    try:
        if query.streaming:
            results, token = _stream(storage, container, keys, query, parameters, load, limit, continuation)
        else:
            results, token = _whole(storage, container, keys, query, parameters, load, limit, continuation)
    except QueryError as error:
        raise bad_request(str(error)) from None
    returned = sum(map(len, results))
    return Page(results, token, charges.query(len(ranges), load.size, returned, load.items))


def _stream(
    storage: Storage,
    container: Container,
    keys: Range,
    query: Query,
    parameters: Mapping[str, Any],
    load: _Load,
    limit: int,
    continuation: str | None,
) -> tuple[list[bytes], str | None]:
    """Filter and project item by item; go on behind the last item of the page before."""
    after = tuple(_decode(continuation)["after"]) if continuation else ("", "")
    results: list[bytes] = []
    size = 0
    for item in load.counted(_candidates(storage, container, keys, query, parameters, after)):
        found = query.results(item.document(), parameters)
        results += map(orjson.dumps, found)
        size += sum(map(len, results[len(results) - len(found) :]))
        if len(results) >= limit or size >= MAX_PAGE_BYTES:
            return results, _encode({"after": [item.epk, item.id]})
    return results, None


def _whole(
    storage: Storage,
    container: Container,
    keys: Range,
    query: Query,
    parameters: Mapping[str, Any],
    load: _Load,
    limit: int,
    continuation: str | None,
) -> tuple[list[bytes], str | None]:
    """Sort, group or count over everything; go on behind as many results as were returned before."""
    skip = int(_decode(continuation)["skip"]) if continuation else 0
    items = load.counted(_candidates(storage, container, keys, query, parameters, ("", "")))
    everything = query.run((item.document() for item in items), parameters)
    results = [orjson.dumps(result) for result in everything[skip : skip + limit]]
    behind = skip + len(results)
    return results, _encode({"skip": behind}) if behind < len(everything) else None


def _candidates(
    storage: Storage,
    container: Container,
    keys: Range,
    query: Query,
    parameters: Mapping[str, Any],
    after: tuple[str, ...],
) -> Iterable[Item]:
    """Return the items that may match, in the order of key and id."""
    numbers = _narrowed(storage, container, keys, query.seek(parameters))
    position = (after[0], after[1])
    if numbers is None:
        return storage.read.scan(container, keys, after=position)
    return storage.read.load(container, keys, numbers, after=position)


def _narrowed(
    storage: Storage, container: Container, keys: Range, seeks: Sequence[Seek]
) -> Iterable[int] | None:
    """Return the rows that the most selective index leaves, None if a scan is better."""
    best: set[int] | None = None
    best_seek: Seek | None = None
    most = FEW
    for seek in seeks:
        found = _sought(storage.read, container, seek, most)
        if found is not None and (best is None or len(found) < len(best)):
            best, best_seek, most = found, seek, min(most, len(found))
    if best is None or best_seek is None or len(best) <= FEW:
        return best
    # None of them leaves few. The logical partition itself may be smaller.
    if keys.is_point and storage.read.in_logical_partition(container, keys.low, FEW + 1) <= FEW:
        return None
    return _sought(storage.read, container, best_seek, NO_LIMIT)


def _sought(reader: Reader, container: Container, seek: Seek, most: int) -> set[int] | None:
    """Return the rows that may match, ``most`` and one at most; None if there is no index for it."""
    match seek:
        case AnyOf(terms) if all(term.path == _IDS for term in terms):
            return reader.with_ids(container, [v.value for v in terms if isinstance(v.value, str)], most)
        case AnyOf(terms) if all(term.path in container.index.paths for term in terms):
            return reader.with_terms(container, [(term.path, term.value) for term in terms], most)
        case Bounds(path, low, high) if path == _TIME:
            if isinstance(low, str) or isinstance(high, str):
                return set()  # the time is a number, and a number is never between two strings
            return reader.written_between(container, low, high, most)
        case Bounds(path, low, high) if path in container.index.paths:
            return reader.with_value_between(container, path, low, high, most)
    return None


def _encode(state: dict[str, Any]) -> str:
    return base64.urlsafe_b64encode(orjson.dumps(state)).decode()


def _decode(continuation: str) -> dict[str, Any]:
    try:
        state: dict[str, Any] = orjson.loads(base64.urlsafe_b64decode(continuation))
    except ValueError:
        raise bad_request("The continuation token is not one of this query.") from None
    return state
