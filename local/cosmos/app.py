"""The HTTP surface: what is done for a request, what befalls it, and how the answer looks on the wire."""

from __future__ import annotations

import asyncio
import random
import socket
import struct
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import replace
from typing import Any
from urllib.parse import unquote

from local.cosmos import charges
from local.cosmos.auth import Authenticator
from local.cosmos.charges import ChargeBook
from local.cosmos.deadline import bounded
from local.cosmos.documents import Documents, check_crosses
from local.cosmos.errors import OWNER_NOT_FOUND, ServiceError, bad_request, not_found, too_large
from local.cosmos.faults import DropConnection, Faults, Strike, crash, parse_rules
from local.cosmos.logs import log
from local.cosmos.model import Container
from local.cosmos.queries import compiled, parse_request
from local.cosmos.query import QueryError
from local.cosmos.resources import Resources, partition_key_ranges, public, usage_headers
from local.cosmos.rights import Rights, token_of
from local.cosmos.routing import Target, client_name, operation_name, parse_target
from local.cosmos.splitting import split
from local.cosmos.storage import Storage
from local.cosmos.wire import Reply, Request

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

MAX_REQUEST_BYTES = 4 * 1024 * 1024
_NO_LINGER = struct.pack("ii", 1, 0)


class App:
    """The ASGI application."""

    def __init__(self, storage: Storage, *, key: str, partitions: int, endpoint: Callable[[], str]) -> None:
        self._storage = storage
        self._auth = Authenticator(key)
        self._rights = Rights()
        self._resources = Resources(storage, partitions=partitions)
        self._documents = Documents(storage)
        self._faults = Faults()
        self._book = ChargeBook()
        self._endpoint = endpoint

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one HTTP request."""
        if scope["type"] != "http":
            return
        activity = _activity_id()
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        path = unquote(scope["raw_path"].decode("latin-1").partition("?")[0])
        try:
            request = Request(scope["method"], headers, await _read_body(receive))
            if path.startswith("/_local/"):
                reply = self._local(path.removeprefix("/_local/"), request)
            else:
                reply = await self._serve(path, request)
        except ServiceError as error:
            reply = Reply(error.status, error.body(activity), error.charge, dict(error.headers))
            if error.sub_status:
                reply.headers["x-ms-substatus"] = str(error.sub_status)
        except QueryError as error:
            reply = Reply(400, bad_request(str(error)).body(activity), charges.METADATA)
        except DropConnection:
            await _drop(scope, receive, send)
            return
        except _ClientGoneError:
            return
        except Exception:  # noqa: BLE001  one request that fails must not end the server
            log.exception("request_failed", method=scope["method"], path=path)
            failure = ServiceError(500, "The local server failed; its log says why.")
            reply = Reply(500, failure.body(activity), 0.0)
        await _answer(send, reply, activity)

    async def _serve(self, path: str, request: Request) -> Reply:
        target = parse_target(path)
        kind = target.resource_type
        token = token_of(request)
        if token is None:
            self._auth.check(request.method, target.signed_type, target.link, request.headers)
        if target.by_rid:
            target = self._named(target, request)
        operation = operation_name(target, request)
        if token is not None:
            self._rights.check(token, target, operation, request)
        client = client_name(request.header("user-agent"))
        strike = self._faults.strike(operation, target.container, client)
        if strike is not None:
            await _before(strike)
        try:
            reply = self._execute(kind, target, request, strike)
        except ServiceError as error:
            self._book.add(
                client, target.container, operation, units=error.charge, received=len(request.body), sent=0
            )
            _after(strike)
            raise
        self._book.add(
            client,
            target.container,
            operation,
            units=reply.charge,
            received=len(request.body),
            sent=len(reply.body),
        )
        _after(strike)
        return reply

    def _named(self, target: Target, request: Request) -> Target:
        """Return a target with names in the place of resource ids."""
        database, *rest = target.segments[1::2]
        names = [self._resources.database_name(database)]
        if rest:
            names.append(self._resources.container_name(names[0], rest[0]))
        if rest[1:]:
            container = self._resources.container(*names)
            names.append(self._documents.item_id(container, rest[1], request))
        segments = list(target.segments)
        segments[1::2] = names
        return replace(target, segments=tuple(segments))

    def _execute(self, kind: str, target: Target, request: Request, strike: Strike | None) -> Reply:
        if strike is None or strike.crash != "inside":
            return self._dispatch(kind, target, request)
        self._storage.before_commit = crash
        try:
            return self._dispatch(kind, target, request)
        finally:
            self._storage.before_commit = None

    def _dispatch(self, kind: str, target: Target, request: Request) -> Reply:
        match kind:
            case "":
                return Reply.json(200, self._account())
            case "dbs":
                return self._databases(target, request)
            case "colls":
                return self._containers(target, request)
            case "offers":
                return self._offers(target, request)
            case "partitionkey":
                return self._documents.delete_partition(self._container(target), request)
            case "conflicts":
                return self._conflicts(self._container(target), target, request)
            case "pkranges":
                return self._ranges(self._container(target), request)
            case _:
                return self._documents.serve(self._container(target), target.segments[5:], request)

    def _container(self, target: Target) -> Container:
        _, database, _, name, *_ = target.segments
        try:
            return self._resources.container(database, name)
        except ServiceError as error:
            error.sub_status = OWNER_NOT_FOUND
            raise

    def _account(self) -> dict[str, Any]:
        region = [{"name": "Local", "databaseAccountEndpoint": self._endpoint()}]
        return {
            "id": "local",
            "_self": "",
            "_rid": "local",
            "_dbs": "//dbs/",
            "media": "//media/",
            "addresses": "//addresses/",
            "writableLocations": region,
            "readableLocations": region,
            "enableMultipleWriteLocations": False,
            "userConsistencyPolicy": {"defaultConsistencyLevel": "Session"},
            "userReplicationPolicy": {
                "asyncReplication": False,
                "minReplicaSetSize": 1,
                "maxReplicasetSize": 4,
            },
            "systemReplicationPolicy": {"minReplicaSetSize": 1, "maxReplicasetSize": 4},
            "readPolicy": {"primaryReadCoefficient": 1, "secondaryReadCoefficient": 1},
            "queryEngineConfiguration": "{}",
        }

    def _databases(self, target: Target, request: Request) -> Reply:
        match request.method, len(target.segments):
            case "GET", 1:
                return Reply.listing("Databases", self._resources.list_databases())
            case "POST", 1 if request.is_query:
                return Reply.listing("Databases", _matching(self._resources.list_databases(), request))
            case "POST", 1:
                return Reply.json(201, self._resources.create_database(request.json(), request.headers))
            case "GET", 2:
                return Reply.json(200, self._resources.database(target.segments[1]).body)
            case "DELETE", 2:
                self._resources.delete_database(target.segments[1])
                return Reply(204, b"", charges.METADATA)
        raise ServiceError(405, f"{request.method} is not possible here.")

    def _containers(self, target: Target, request: Request) -> Reply:
        database = target.segments[1]
        name = target.segments[3] if len(target.segments) == 4 else ""
        match request.method, bool(name):
            case "GET", False:
                return Reply.listing("DocumentCollections", self._resources.list_containers(database))
            case "POST", False if request.is_query:
                found = _matching(self._resources.list_containers(database), request)
                return Reply.listing("DocumentCollections", found)
            case "POST", False:
                created = self._resources.create_container(database, request.json(), request.headers)
                return Reply.json(201, public(created))
            case "GET", True:
                return self._read_container(self._resources.container(database, name), request)
            case "PUT", True:
                condition = request.headers.get("if-match")
                replaced = self._resources.replace_container(database, name, request.json(), condition)
                return Reply.json(200, public(replaced))
            case "DELETE", True:
                self._resources.delete_container(database, name)
                return Reply(204, b"", charges.METADATA)
        raise ServiceError(405, f"{request.method} is not possible here.")

    def _read_container(self, container: Container, request: Request) -> Reply:
        body = public(container)
        wanted = ("x-ms-documentdb-populatepartitionstatistics", "x-ms-documentdb-populatequotainfo")
        if not any(map(request.flag, wanted)):
            return Reply.json(200, body)
        counts = self._storage.read.count_by_partition(container)
        if request.flag(wanted[0]):
            body["statistics"] = [
                {"id": partition.id, "documentCount": counts.get(partition.id, 0)}
                for partition in container.partitions
            ]
        reply = Reply.json(200, body)
        if request.flag(wanted[1]):
            reply.headers |= usage_headers(sum(counts.values()))
        return reply

    def _offers(self, target: Target, request: Request) -> Reply:
        match request.method, len(target.segments):
            case "GET", 1:
                return Reply.listing("Offers", self._resources.offers())
            case "POST", 1:
                return Reply.listing("Offers", _matching(self._resources.offers(), request))
            case "PUT", 2:
                return Reply.json(200, self._resources.replace_offer(target.segments[1], request.json()))
        raise ServiceError(405, f"{request.method} is not possible here.")

    def _conflicts(self, container: Container, target: Target, request: Request) -> Reply:
        """Answer that there are none: a single region has no conflicts."""
        if len(target.segments) == 6:
            raise not_found("Entity with the specified id does not exist in the system.")
        if request.method not in ("GET", "POST"):
            raise ServiceError(405, f"{request.method} is not possible here.")
        if request.is_query:
            check_crosses(request)
        return Reply.listing("Conflicts", [], rid=container.rid)

    def _ranges(self, container: Container, request: Request) -> Reply:
        etag = f'"{container.number}-{container.next_partition_id}"'
        if request.header("if-none-match") == etag:
            return Reply(304, b"", charges.METADATA, {"etag": etag})
        reply = Reply.listing("PartitionKeyRanges", partition_key_ranges(container), rid=container.rid)
        reply.headers["etag"] = etag
        return reply

    def _local(self, name: str, request: Request) -> Reply:
        if (request.method, name) == ("GET", "health"):
            return Reply.json(200, {"status": "serving"})
        self._auth.check_local(request.headers)
        match request.method, name:
            case "GET", "charges":
                return Reply.json(200, {"accounts": self._book.rows()})
            case "POST", "split":
                return Reply.json(200, split(self._storage, self._resources, request.json()))
            case "PUT", "faults":
                rules, seed = parse_rules(request.json())
                self._faults.set(rules, seed)
                return Reply.json(200, {"rules": len(rules)})
            case "GET", "faults":
                return Reply.json(200, {"struck": self._faults.struck, "rules": self._faults.rows()})
            case "DELETE", "faults":
                self._faults.set([], None)
                return Reply(204, b"", 0.0)
            case "PUT", "rights":
                return Reply.json(200, {"tokens": self._rights.set(request.json())})
            case "GET", "rights":
                return Reply.json(200, dict(self._rights.rows()))
        raise not_found(f"There is no {request.method} /_local/{name}.")


def _matching(resources: list[dict[str, Any]], request: Request) -> list[dict[str, Any]]:
    text, parameters = parse_request(request.body)
    return bounded(lambda: compiled(text).run(resources, parameters))


async def _before(strike: Strike) -> None:
    if strike.latency_seconds:
        await asyncio.sleep(strike.latency_seconds)
    if strike.crash == "before":
        crash()
    if strike.drop == "before":
        raise DropConnection
    if strike.error is not None:
        raise strike.error


def _activity_id() -> str:
    """Return an id in the form of a GUID; it names a request in messages and need not be unguessable."""
    digits = f"{random.getrandbits(128):032x}"
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


def _after(strike: Strike | None) -> None:
    """Lose the answer, whatever it is: the request was executed."""
    if strike is None:
        return
    if strike.crash == "after":
        crash()
    if strike.drop == "after":
        raise DropConnection


class _ClientGoneError(Exception):
    """The client broke the connection before its request was complete: there is nobody to answer."""


async def _read_body(receive: Receive) -> bytes:
    chunks: list[bytes] = []
    size, more = 0, True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise _ClientGoneError
        chunks.append(message.get("body", b""))
        size += len(chunks[-1])
        if size > MAX_REQUEST_BYTES:
            raise too_large(f"Request size is too large: more than {MAX_REQUEST_BYTES} bytes.")
        more = message.get("more_body", False)
    return chunks[0] if len(chunks) == 1 else b"".join(chunks)


async def _answer(send: Send, reply: Reply, activity: str) -> None:
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(reply.body)).encode()),
        (b"x-ms-request-charge", str(reply.charge).encode()),
        (b"x-ms-activity-id", activity.encode()),
        (b"x-ms-version", b"2020-07-15"),
        (b"x-ms-gatewayversion", b"2.0.0"),
        (b"x-ms-serviceversion", b"local"),
        *((name.encode(), value.encode("latin-1")) for name, value in reply.headers.items()),
    ]
    await send({"type": "http.response.start", "status": reply.status, "headers": headers})
    await send({"type": "http.response.body", "body": reply.body})


async def _drop(scope: Scope, receive: Receive, send: Send) -> None:
    """Reset the connection under the request, as a network does."""
    transport = getattr(getattr(send, "__self__", None), "transport", None)
    if transport is None:
        raise RuntimeError(f"no transport to drop for {scope['path']}")
    # Closed without lingering, a connection ends with a reset instead of the polite end of a stream.
    transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
    transport.abort()
    # The HTTP server takes an application that ends without an answer for a broken one, unless it knows by
    # then that the connection has gone.
    while (await receive())["type"] != "http.disconnect":
        pass
