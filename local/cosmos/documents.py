"""The items of a container over HTTP: point operations, batches, queries and the change feed."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import orjson

from local.cosmos import batch, charges
from local.cosmos.changefeed import DEFAULT_PAGE, read_page
from local.cosmos.deadline import bounded
from local.cosmos.errors import (
    COLLECTION_RID_MISMATCH,
    PARTITION_KEY_MISMATCH,
    PARTITION_KEY_RANGE_GONE,
    ServiceError,
    bad_request,
    not_found,
    precondition_failed,
    too_large,
    unsupported,
)
from local.cosmos.items import MAX_ITEM_BYTES, Conditions, Items, Written
from local.cosmos.model import Container, Item
from local.cosmos.partitioning import WHOLE, PhysicalPartition, Range, effective_key, parse_header, point
from local.cosmos.patch import patch_item, patch_of
from local.cosmos.queries import DEFAULT_PAGE as QUERY_PAGE
from local.cosmos.queries import Queries, compiled, parse_request, plan
from local.cosmos.query import AnyOf
from local.cosmos.sessions import check_session, session_token
from local.cosmos.storage import Storage
from local.cosmos.wire import Reply, Request, feed_body

KEY_MISMATCH = (
    "Partition key provided either doesn't correspond to definition in the collection or doesn't match "
    "partition key field values specified in the document."
)


class Documents:
    """Serves ``/dbs/{db}/colls/{coll}/docs``."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage
        self._items = Items(storage)
        self._queries = Queries(storage)

    def serve(self, container: Container, rest: tuple[str, ...], request: Request) -> Reply:
        """Answer a request to the items of a container; ``rest`` is the id where one is named."""
        _check_supported(request)
        intended = request.header("x-ms-cosmos-intended-collection-rid")
        if intended and intended != container.rid:
            raise ServiceError(
                400, "The container was deleted and created again.", sub_status=COLLECTION_RID_MISMATCH
            )
        partition = self._served_by(container, request)
        if request.method == "GET" or request.is_query:
            check_session(partition, request.header("x-ms-session-token"))
        reply = self._item(container, rest[0], request) if rest else self._feed(container, request)
        reply.headers |= {
            "x-ms-session-token": session_token(partition),
            "x-ms-documentdb-partitionkeyrangeid": partition.id,
            "x-ms-alt-content-path": f"dbs/{quote(container.database)}/colls/{quote(container.id)}",
            "lsn": str(partition.lsn.value),
        }
        return reply

    def delete_partition(self, container: Container, request: Request) -> Reply:
        """Remove all items of a logical partition; the service does it in the background."""
        if request.method != "POST":
            raise ServiceError(405, f"{request.method} is not possible here.")
        epk = _epk(container, self._key(container, request))
        with self._storage.transaction():
            self._storage.stamp(container, epk)
            for item in list(self._storage.read.scan(container, point(epk))):
                self._storage.write.delete(container, item)
        return Reply(200, b"", charges.METADATA)

    def item_id(self, container: Container, rid: str, request: Request) -> str:
        """Return the id of an item by its resource id, within the logical partition that a request names.

        Raises
        ------
        ServiceError
            404.
        """
        for item in self._storage.read.scan(container, self._keys(container, request)):
            if item.rid == rid:
                return item.id
        raise not_found("Entity with the specified id does not exist in the system.")

    def _served_by(self, container: Container, request: Request) -> PhysicalPartition:
        """Return the physical partition that a request names, by its id or a key, else the first."""
        named = request.header("x-ms-documentdb-partitionkeyrangeid")
        if named:
            return self._partition(container, named.rpartition(",")[2])
        key = request.header("x-ms-documentdb-partitionkey")
        return container.partition_of(_epk(container, parse_header(key))) if key else container.partitions[0]

    def _item(self, container: Container, item_id: str, request: Request) -> Reply:
        key = self._key(container, request)
        when = Conditions(request.headers.get("if-match"), request.headers.get("if-none-match"))
        match request.method:
            case "GET":
                return self._read(container, item_id, key, when)
            case "PUT":
                with self._storage.transaction():
                    written = self._items.replace(container, item_id, request.json(), key, when)
            case "PATCH":
                with self._storage.transaction():
                    written = patch_item(self._items, container, item_id, _patch(request), key, when)
            case "DELETE":
                with self._storage.transaction():
                    written = self._items.delete(container, item_id, key, when)
            case method:
                raise ServiceError(405, f"{method} is not possible on an item.")
        return _written(written, request)

    def _feed(self, container: Container, request: Request) -> Reply:
        if request.method == "GET":
            if request.header("a-im"):
                return self._change_feed(container, request)
            return self._read_feed(container, request)
        if request.method != "POST":
            raise ServiceError(405, f"{request.method} is not possible on the items of a container.")
        if request.is_query_plan:
            text, parameters = parse_request(request.body)
            planned = plan(text, parameters, request.header("x-ms-cosmos-supported-query-features"))
            return Reply(200, orjson.dumps(planned), charges.METADATA)
        if request.is_batch:
            return self._batch(container, request)
        if request.is_query:
            text, parameters = parse_request(request.body)
            if not _names_key(container, text, parameters):
                check_crosses(request)
            return self._query(container, request, text, parameters)
        if len(request.body) > MAX_ITEM_BYTES:
            raise too_large(
                f"Request size is too large: {len(request.body)} bytes, of at most {MAX_ITEM_BYTES}."
            )
        header = request.header("x-ms-documentdb-partitionkey")
        given = parse_header(header) if header else None
        when = Conditions(request.headers.get("if-match"), request.headers.get("if-none-match"))
        write = self._items.upsert if request.is_upsert else self._items.create
        with self._storage.transaction():
            written = write(container, request.json(), given, when)
        return _written(written, request)

    def _batch(self, container: Container, request: Request) -> Reply:
        if request.header("x-ms-cosmos-batch-atomic").lower() == "false":
            status, results, charge = batch.execute_bulk(
                self._storage,
                self._items,
                container,
                request.body,
                self._served_by(container, request).id,
                go_on=request.header("x-ms-cosmos-batch-continue-on-error").lower() != "false",
            )
        else:
            key = self._key(container, request)
            status, results, charge = batch.execute(self._storage, self._items, container, request.body, key)
        return Reply(status, orjson.dumps(results), charge)

    def _read(self, container: Container, item_id: str, key: tuple[object, ...], when: Conditions) -> Reply:
        item = self._storage.read.get(container, _epk(container, key), item_id)
        if item is None:
            raise not_found("Entity with the specified id does not exist in the system.")
        if when.if_match not in (None, "*", item.etag):
            raise precondition_failed()
        if when.if_none_match in ("*", item.etag):
            return Reply(304, b"", charges.METADATA, {"etag": item.etag})
        return Reply(200, item.body, charges.read(len(item.body)), {"etag": item.etag})

    def _query(
        self, container: Container, request: Request, text: str, parameters: dict[str, object]
    ) -> Reply:
        page = self._queries.execute(
            container,
            self._keys(container, request),
            text,
            parameters,
            limit=request.page_size(QUERY_PAGE),
            continuation=request.headers.get("x-ms-continuation"),
        )
        reply = Reply(200, feed_body(container.rid, page.results), page.charge)
        reply.headers["x-ms-item-count"] = str(len(page.results))
        if page.continuation:
            reply.headers["x-ms-continuation"] = page.continuation
        if request.flag("x-ms-documentdb-populatequerymetrics"):
            reply.headers["x-ms-documentdb-query-metrics"] = page.measured.metrics()
        if request.flag("x-ms-cosmos-populateindexmetrics"):
            reply.headers["x-ms-cosmos-index-utilization"] = page.measured.indexes()
        return reply

    def _read_feed(self, container: Container, request: Request) -> Reply:
        return self._query(container, request, "SELECT * FROM c", {})

    def _change_feed(self, container: Container, request: Request) -> Reply:
        if request.header("a-im").lower() != "incremental feed":
            raise bad_request(
                "Only the latest-version mode of the change feed: not supported by the local server."
            )
        page = read_page(
            self._storage,
            container,
            self._keys(container, request),
            continuation=request.headers.get("if-none-match"),
            modified_since=request.headers.get("if-modified-since"),
            limit=request.page_size(DEFAULT_PAGE),
        )
        headers = {"etag": page.etag, "x-ms-item-count": str(len(page.items))}
        if not page.items:
            return Reply(304, b"", charges.feed(0, 0), headers)
        bodies = page.bodies()
        return Reply(
            200, feed_body(container.rid, bodies), charges.feed(sum(map(len, bodies)), len(bodies)), headers
        )

    def _key(self, container: Container, request: Request) -> tuple[object, ...]:
        header = request.header("x-ms-documentdb-partitionkey")
        if not header:
            raise bad_request("PartitionKey value must be supplied for this operation.")
        key = parse_header(header)
        if len(key) != len(container.key_paths):
            raise bad_request(KEY_MISMATCH, PARTITION_KEY_MISMATCH)
        return key

    def _keys(self, container: Container, request: Request) -> Range:
        """Return the range of keys that a feed or query is about."""
        header = request.header("x-ms-documentdb-partitionkey")
        if header:
            key = parse_header(header)
            if len(key) > len(container.key_paths):
                raise bad_request(KEY_MISMATCH, PARTITION_KEY_MISMATCH)
            epk = _epk(container, key)
            return point(epk) if len(key) == len(container.key_paths) else Range(epk, f"{epk}FF")
        keys = WHOLE
        named = request.header("x-ms-documentdb-partitionkeyrangeid")
        if named:
            keys = self._partition(container, named.rpartition(",")[2]).range
        if request.header("x-ms-start-epk") or request.header("x-ms-end-epk"):
            part = keys.overlap(
                Range(request.header("x-ms-start-epk"), request.header("x-ms-end-epk") or "FF")
            )
            return part or Range("", "")
        return keys

    def _partition(self, container: Container, name: str) -> PhysicalPartition:
        for partition in container.partitions:
            if partition.id == name:
                return partition
        raise ServiceError(
            410, f"The partition key range {name!r} is gone.", sub_status=PARTITION_KEY_RANGE_GONE
        )


def _patch(request: Request) -> dict[str, Any]:
    body = patch_of(request.any_json())
    if not isinstance(body, dict):
        raise bad_request("The body of a patch is neither an object nor a list of operations.")
    return body


def _check_supported(request: Request) -> None:
    """Refuse what would change the outcome of a request in the service, and would be ignored here."""
    for when in ("pre", "post"):
        if request.header(f"x-ms-documentdb-{when}-trigger-include"):
            raise unsupported("Triggers")
    if request.header("x-ms-indexing-directive").lower() in ("exclude", "1"):  # the SDK sends its number
        raise unsupported("An item that is left out of the index")
    level = request.header("x-ms-consistency-level")
    if level.lower() in ("strong", "boundedstaleness"):
        raise bad_request(
            f"ConsistencyLevel {level} specified in the request is invalid when service is configured with "
            "consistency level Session. Ensure the request consistency level is not stronger than the "
            "service consistency level."
        )


def _names_key(container: Container, text: str, parameters: dict[str, object]) -> bool:
    """Say whether a query's filter is about one logical partition, so that it need not name it besides."""
    named = {
        seek.terms[0].path
        for seek in bounded(lambda: compiled(text).seek(parameters))
        if isinstance(seek, AnyOf) and len(seek.terms) == 1
    }
    return named >= {f"{path}/?" for path in container.key_paths}


def check_crosses(request: Request) -> None:
    """Refuse a query over all partitions whose author has not said that it is meant."""
    scopes = ("partitionkey", "partitionkeyrangeid")
    if request.flag("x-ms-documentdb-query-enablecrosspartition") or request.header("x-ms-start-epk"):
        return
    if not any(request.header(f"x-ms-documentdb-{scope}") for scope in scopes):
        raise bad_request(
            "Cross partition query is required but disabled. Please set "
            "x-ms-documentdb-query-enablecrosspartition to true, specify x-ms-documentdb-partitionkey, "
            "or revise your query to avoid this exception."
        )


def _epk(container: Container, key: tuple[object, ...]) -> str:
    return effective_key(key, hierarchical=container.hierarchical)


def _written(written: Written, request: Request) -> Reply:
    item: Item | None = written.item
    if item is None:
        return Reply(written.status, b"", written.charge)
    minimal = request.header("prefer").lower() == "return=minimal"
    return Reply(written.status, b"" if minimal else item.body, written.charge, {"etag": item.etag})
