"""Execute queries: narrow the candidates by an index, evaluate, page, and estimate the charge."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from time import perf_counter, thread_time
from typing import Any

import orjson

from local.cosmos import charges
from local.cosmos.candidates import check_sort, indexes_of, narrowed, served_by_service
from local.cosmos.continuations import Kept, Position, Result, ResultCache, brief, fingerprint
from local.cosmos.deadline import bounded
from local.cosmos.errors import CROSS_PARTITION_QUERY_NOT_SERVABLE, ServiceError, bad_request
from local.cosmos.model import Container, Item
from local.cosmos.partitioning import Range
from local.cosmos.query import Query, QueryError, Seek, compile_query
from local.cosmos.query_metrics import Measured
from local.cosmos.storage import Storage

DEFAULT_PAGE = 1_000
MAX_PAGE_BYTES = 4 * 1024 * 1024

MAX_LOADED = 5_000
MAX_LOADED_BYTES = 32 * 1024 * 1024
"""Items and bytes that one page looks at. A page may then be short or empty and have a continuation, as in
the service; and other requests are answered between two pages."""

PAGE_SECONDS = 1.0
"""Processor time that one page computes, in seconds: an expensive filter gets short pages, and other requests
are answered between them. An item is always finished."""

MAX_SORTED_BYTES = 256 * 1024 * 1024
"""Bytes of items that a query may hold to sort them."""


@dataclass(frozen=True, slots=True)
class Page:
    """One page of results."""

    results: list[bytes]
    continuation: str | None
    charge: float
    measured: Measured


class QueryRefusedError(ServiceError):
    """A query that is wrong, in the form that the service gives its errors of the language."""

    def __init__(self, error: QueryError) -> None:
        super().__init__(400, str(error))
        self._error = error

    def body(self, activity_id: str) -> bytes:
        """Return the response body."""
        described: dict[str, Any] = {"severity": "Error"}
        if self._error.location is not None:
            start, end = self._error.location
            described["location"] = {"start": start, "end": end}
        if self._error.code:
            described["code"] = self._error.code
        described["message"] = self._error.message
        errors = orjson.dumps({"errors": [described]}).decode()
        message = f"Message: {errors}\r\nActivityId: {activity_id}"
        return orjson.dumps({"code": "BadRequest", "message": message})


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
        return bounded(lambda: compile_query(text))
    except QueryError as error:
        raise QueryRefusedError(error) from None


def _checked(query: Query, parameters: Mapping[str, Any]) -> None:
    try:
        query.check(parameters)
    except QueryError as error:
        raise QueryRefusedError(error) from None


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
    _checked(query, parameters)
    missing = query.features - {name.strip() for name in client_features.split(",")}
    if missing:
        raise bad_request(
            f"Over several physical partitions the query needs {', '.join(sorted(missing))} of the client, "
            "which it does not support: give a partition key."
        )
    try:
        return query.plan(parameters)
    except QueryError as error:
        raise QueryRefusedError(error) from None


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
    seeks: tuple[Seek, ...] = field(init=False)

    def __post_init__(self) -> None:
        self.seeks = self.query.seek(self.parameters)
        # Where the service's index serves the filter, what this server had to look at besides is not
        # charged: the charge does not depend on how this server finds its results.
        self.matches_only = served_by_service(self.container, self.seeks)

    @property
    def is_full(self) -> bool:
        """Whether one page has looked at enough."""
        return self.loaded >= MAX_LOADED or self.loaded_bytes >= MAX_LOADED_BYTES

    def candidates(self, after: tuple[str, str] = ("", "")) -> Iterator[Item]:
        """Yield the items that may match, in the order of key and id."""
        numbers = narrowed(self.storage.read, self.container, self.keys, self.seeks)
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

    def kept(self) -> Iterator[tuple[Item, dict[str, Any]]]:
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
            yield item, document

    def all_results(self, position: Position) -> list[Result]:
        """Sort, group or count over everything; a sorted query goes on behind its place."""
        if not self.query.resumable:
            found = self.query.run((document for _, document in self.kept()), self.parameters)
            return [(orjson.dumps(result), None) for result in found]
        named = (((item.epk, item.id), document) for item, document in self.kept())
        sorted_ = self.query.resume(named, self.parameters, after=position.place, returned=position.skip)
        return [(orjson.dumps(result), place) for place, result in sorted_]


class Queries:
    """Runs queries, page by page."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage
        self._results = ResultCache()

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
            400: it cannot be parsed; there is no index to sort by; or it sorts, groups or counts over
            several physical partitions, which is the client's part (sub-status 1004).
        """
        started = perf_counter()
        query = compiled(text)
        check_sort(container, query.sort_paths)
        parts = container.overlapping(keys)
        if not query.streaming and len(parts) > 1:
            raise ServiceError(
                400,
                "Cross partition query only supports filters and projections here; ask for a query plan.",
                sub_status=CROSS_PARTITION_QUERY_NOT_SERVABLE,
            )
        _checked(query, parameters)
        of = fingerprint(container, text, parameters)
        position = Position.read(continuation, of, keys, divisible=query.streaming or query.resumable)
        try:
            execution = bounded(lambda: _Execution(self._storage, container, keys, query, parameters))
            if query.streaming:
                results, following = bounded(lambda: _stream(execution, position, limit))
            else:
                results, following = self._whole(execution, position, limit)
        except QueryError as error:
            raise QueryRefusedError(error) from None
        returned = sum(map(len, results))
        charge = charges.query(1, execution.charged_bytes, returned, execution.charged)
        utilized, potential, composites = indexes_of(container, keys, execution.seeks, query.sort_paths)
        by_index = query.counts_only and (not query.filters or execution.matches_only)
        measured = Measured(
            milliseconds=(perf_counter() - started) * 1_000,
            loaded=0 if by_index else execution.charged,
            loaded_bytes=0 if by_index else execution.charged_bytes,
            returned=len(results),
            returned_bytes=returned,
            utilized=utilized,
            potential=potential,
            composites=composites,
        )
        return Page(results, following.text() if following else None, charge, measured)

    def _whole(
        self, execution: _Execution, position: Position, limit: int
    ) -> tuple[list[bytes], Position | None]:
        """Sort, group or count over everything; go on behind as many results as were returned before."""
        # Sorted results are good as long as nothing was written: a later page shows what there is then.
        state: Hashable = (execution.keys.low, execution.keys.high)
        if execution.query.resumable:
            parts = execution.container.overlapping(execution.keys)
            state = (state, *((part.id, part.lsn.value) for part in parts))
        kept = self._results.get(position.cached, state)
        name = position.cached
        if kept is None:
            results = bounded(lambda: execution.all_results(position))
            kept = Kept(results, position.skip if position.place else 0, state)
            name = self._results.keep(kept) if len(results) > limit else ""
        first = position.skip - kept.first
        page = _bounded(kept.results[first : first + limit])
        behind = first + len(page)
        bodies = [body for body, _ in page]
        if behind >= len(kept.results):
            return bodies, None
        place = brief(page[-1][1]) if page else position.place
        return bodies, replace(position, skip=kept.first + behind, place=place, cached=name)


def _stream(execution: _Execution, position: Position, limit: int) -> tuple[list[bytes], Position | None]:
    """Filter and project item by item; go on behind the last item of the page before.

    A page is about one physical partition and ends with it, as in the service: it may be empty, and have a
    continuation.
    """
    parts = [part.range for part in execution.container.overlapping(execution.keys)]
    part, *further = [part for part in parts if position.after[0] < part.high] or parts[-1:]
    execution.keys = part.overlap(execution.keys) or part
    following = replace(position, after=(part.high, ""), within=("", ""), skip=0) if further else None
    results: list[bytes] = []
    size = 0
    after = position.after
    enough = thread_time() + PAGE_SECONDS
    for item in execution.candidates(after):
        found = execution.query.results(item.document(), execution.parameters)
        execution.count(item, matches=bool(found))
        name = (item.epk, item.id)
        # With JOIN an item has many results. Another one may be in the place of the one that was begun.
        returned = position.skip if name == position.within else 0
        for index, result in enumerate(found[returned:], returned):
            if len(results) >= limit or size >= MAX_PAGE_BYTES:
                return results, replace(position, after=after, within=name, skip=index)
            results.append(orjson.dumps(result))
            size += len(results[-1])
        after = name
        if len(results) >= limit or size >= MAX_PAGE_BYTES or execution.is_full or thread_time() >= enough:
            return results, replace(position, after=after, within=("", ""), skip=0)
    return results, following


def _bounded(results: Sequence[Result]) -> Sequence[Result]:
    """Return as many as a page may have bytes, and at least one."""
    size = 0
    for count, (body, _) in enumerate(results):
        size += len(body)
        if size > MAX_PAGE_BYTES and count:
            return results[:count]
    return results
