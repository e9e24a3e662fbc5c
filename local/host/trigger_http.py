"""The HTTP trigger: an ASGI application that checks keys, limits and routes, and calls the function."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterable, Mapping, MutableMapping
from typing import Any
from urllib.parse import parse_qsl, unquote

import azure.functions as func
import orjson
from azure.functions.http import HttpRequestConverter
from azure.functions.meta import Datum

from local.host.bindings import FunctionSpec
from local.host.cors import CorsPolicy, is_preflight
from local.host.durable.hub import TaskHub
from local.host.durable.payloads import Request
from local.host.invoke import Invoker
from local.host.keys import HostKeys
from local.host.logs import log
from local.host.routes import Router

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Headers = Iterable[tuple[str, str]]

ADMIN_FUNCTIONS = "/admin/functions/"

DEFAULT_BODY_LIMIT = 100 * 1024 * 1024
"""Bytes; what the platform accepts unless ``FUNCTIONS_REQUEST_BODY_SIZE_LIMIT`` says otherwise."""


class BodyTooLargeError(Exception):
    """The request's body is above the limit."""


class ClientGoneError(Exception):
    """The client went away before its request was complete."""


class HttpApp:
    """The HTTP side of the host: its functions under the route prefix, and its status under ``/admin``."""

    def __init__(
        self,
        router: Router,
        invoker: Invoker,
        keys: HostKeys,
        *,
        prefix: str,
        body_limit: int,
        max_concurrent: int,
        max_outstanding: int,
        status: Callable[[], dict[str, Any]],
        run_timer: Callable[[str], bool],
        cors: CorsPolicy | None = None,
        hub: TaskHub | None = None,
    ) -> None:
        self._router = router
        self._invoker = invoker
        self._keys = keys
        self._prefix = f"/{prefix}/" if prefix else "/"
        self._body_limit = body_limit
        self._slots = asyncio.Semaphore(max_concurrent)
        self._max_outstanding = max_outstanding
        self._outstanding = 0
        self._status = status
        self._run_timer = run_timer
        self._cors = cors
        self._hub = hub

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request (the ASGI entry point)."""
        if scope["type"] != "http":
            raise RuntimeError(f"{scope['type']} is not served")
        method = str(scope["method"]).upper()
        headers = _join((name.decode("latin-1"), text.decode("latin-1")) for name, text in scope["headers"])
        if self._cors is None:
            await self._respond(scope, method, headers, receive, send)
        elif is_preflight(method, headers):
            await _answer(send, 204, headers=self._cors.preflight(headers))
        else:
            allowed = _encode(self._cors.headers_for(headers.get("origin")))
            await self._respond(scope, method, headers, receive, _adding(allowed, send))

    async def _respond(
        self, scope: Scope, method: str, headers: dict[str, str], receive: Receive, send: Send
    ) -> None:
        path = str(scope["path"])
        if path == "/admin/host/status" and method in ("GET", "HEAD"):
            await _answer(send, 200, orjson.dumps(self._status()), [("content-type", "application/json")])
            return
        if path.startswith(ADMIN_FUNCTIONS) and method == "POST":
            await _answer(send, self._requested(path[len(ADMIN_FUNCTIONS) :], headers))
            return
        if self._hub is not None and self._hub.owns(path):
            await self._manage(self._hub, scope, method, headers, receive, send)
            return
        found = None
        if path.lower().startswith(self._prefix.lower()):
            raw = scope.get("raw_path", b"").decode("latin-1") or path
            found = self._router.find(method, raw.partition("?")[0][len(self._prefix) :])
        if found is None:
            await _answer(send, 404)
            return
        route, values = found
        query = _join(parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True))
        if not self._keys.allows(
            route.trigger.auth_level, headers.get("x-functions-key") or query.get("code")
        ):
            log.warning("http_unauthorized", function=route.spec.name, level=route.trigger.auth_level)
            await _answer(send, 401)
            return
        if self._outstanding >= self._max_outstanding:
            await _answer(send, 429, headers=[("retry-after", "1")])
            return
        self._outstanding += 1
        try:
            async with self._slots:
                body = await _read_body(receive, headers, self._body_limit)
                request = _request(scope, method, headers, query, values, body)
                await self._invoke(route.spec, request, send)
        except BodyTooLargeError:
            await _answer(send, 413, f"The body may have at most {self._body_limit} bytes.".encode())
        except ClientGoneError:
            log.info("http_client_gone", function=route.spec.name)
        finally:
            self._outstanding -= 1

    def _requested(self, function: str, headers: Mapping[str, str]) -> int:
        """Start a timer for an administrator; return the status of the answer, which does not wait for it."""
        if not self._keys.allows("admin", headers.get("x-functions-key")):
            log.warning("http_unauthorized", function=function, level="admin")
            return 401
        return 202 if self._run_timer(function) else 404

    async def _manage(
        self,
        hub: TaskHub,
        scope: Scope,
        method: str,
        headers: dict[str, str],
        receive: Receive,
        send: Send,
    ) -> None:
        """Answer a request about orchestrations."""
        raw = scope.get("raw_path", b"").decode("latin-1") or str(scope["path"])
        query = _join(parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True))
        try:
            request = Request(
                method=method,
                path=tuple(unquote(part) for part in raw.partition("?")[0].strip("/").split("/")),
                query=query,
                headers=headers,
                body=await _read_body(receive, headers, self._body_limit),
                origin=f"{scope.get('scheme', 'http')}://{headers.get('host') or 'localhost'}",
            )
        except BodyTooLargeError:
            await _answer(send, 413)
            return
        except ClientGoneError:
            return
        key = headers.get("x-functions-key") or query.get("code")
        reply = await hub.answer(request, is_admin=self._keys.allows("admin", key))
        body = b"" if reply.body is None else _json(reply.body)
        await _answer(
            send, reply.status, body, [("content-type", "application/json"), *reply.headers.items()]
        )

    async def _invoke(self, spec: FunctionSpec, request: Datum, send: Send) -> None:
        outcome = await self._invoker.invoke(
            spec,
            lambda: HttpRequestConverter.decode(request, trigger_metadata=None),
            fields={"method": request.value["method"].value},
        )
        if outcome.error is not None:
            await _answer(send, 500)
        elif isinstance(outcome.value, func.HttpResponse):
            await _answer_response(send, spec, outcome.value)
        else:
            body = str(outcome.value).encode(errors="replace")
            await _answer(send, 200, body, [("content-type", "text/plain; charset=utf-8")])


def _json(value: Any) -> bytes:
    """Return JSON. Orchestrations may hold numbers of more than 64 bits and lone surrogates as well."""
    try:
        return orjson.dumps(value)
    except TypeError:
        return json.dumps(value).encode()


def _join(pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Collect names and values; several values of one name are joined by commas, as on the platform."""
    found: dict[str, str] = {}
    for name, value in pairs:
        found[name] = f"{found[name]},{value}" if name in found else value
    return found


def _request(
    scope: Scope,
    method: str,
    headers: dict[str, str],
    query: dict[str, str],
    values: dict[str, str],
    body: bytes,
) -> Datum:
    """Put a request into the shape that the worker's converter takes."""
    host = headers.get("host") or "localhost"
    text = scope["query_string"].decode("latin-1")
    url = f"{scope.get('scheme', 'http')}://{host}{scope['path']}" + (f"?{text}" if text else "")

    def texts(source: dict[str, str]) -> dict[str, Datum]:
        return {name: Datum(value, "string") for name, value in source.items()}

    return Datum(
        {
            "method": Datum(method, "string"),
            "url": Datum(url, "string"),
            "headers": texts(headers),
            "query": texts(query),
            "params": texts(values),
            "body": Datum(body, "bytes"),
        },
        "http",
    )


async def _read_body(receive: Receive, headers: dict[str, str], limit: int) -> bytes:
    declared = headers.get("content-length", "0")
    if declared.isdigit() and int(declared) > limit:
        raise BodyTooLargeError
    parts: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientGoneError
        parts.append(message.get("body", b""))
        size += len(parts[-1])
        if size > limit:
            raise BodyTooLargeError
        if not message.get("more_body"):
            break
    return b"".join(parts)


async def _answer_response(send: Send, spec: FunctionSpec, response: func.HttpResponse) -> None:
    headers = [
        (str(name), str(value))
        for name, value in response.headers
        if str(name).lower() not in ("content-length", "transfer-encoding")  # the server counts itself
    ]
    if not any(name.lower() == "content-type" for name, _ in headers):
        charset = f"; charset={response.charset}" if response.mimetype.startswith("text/") else ""
        headers.append(("content-type", f"{response.mimetype}{charset}"))
    bad = [name for name, value in headers if not _is_sendable(name + value)]
    if bad:
        log.error("http_header_unusable", function=spec.name, headers=bad)
        await _answer(send, 500)
        return
    await _answer(send, response.status_code, response.get_body() or b"", headers)


def _is_sendable(text: str) -> bool:
    """Whether a header may hold a text: Latin-1 without line breaks, which would begin another header."""
    return all(32 <= ord(character) < 256 or character == "\t" for character in text)


def _encode(headers: Headers) -> list[tuple[bytes, bytes]]:
    return [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers]


def _adding(headers: list[tuple[bytes, bytes]], send: Send) -> Send:
    """Return a ``send`` that adds headers to the answer."""

    async def wrapped(message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            message["headers"] = [*message["headers"], *headers]
        await send(message)

    return wrapped


async def _answer(send: Send, status: int, body: bytes = b"", headers: Headers = ()) -> None:
    named = _encode(headers)
    if status not in (204, 304):
        named.append((b"content-length", str(len(body)).encode()))
    await send({"type": "http.response.start", "status": status, "headers": named})
    await send({"type": "http.response.body", "body": b"" if status in (204, 304) else body})
