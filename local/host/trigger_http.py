"""The HTTP trigger: an ASGI application that checks keys, limits and routes, and calls the function."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import Any
from urllib.parse import parse_qsl

import azure.functions as func
import orjson
from azure.functions.http import HttpRequestConverter
from azure.functions.meta import Datum

from local.host.bindings import FunctionSpec
from local.host.invoke import Invoker
from local.host.keys import HostKeys
from local.host.logs import log
from local.host.routes import Router

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Headers = Iterable[tuple[str, str]]

DEFAULT_BODY_LIMIT = 100 * 1024 * 1024
"""Bytes; what the platform accepts unless ``FUNCTIONS_REQUEST_BODY_SIZE_LIMIT`` says otherwise."""


class BodyTooLargeError(Exception):
    """The request's body is above the limit."""


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

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request (the ASGI entry point)."""
        if scope["type"] != "http":
            raise RuntimeError(f"{scope['type']} is not served")
        path, method = str(scope["path"]), str(scope["method"]).upper()
        if path == "/admin/host/status" and method in ("GET", "HEAD"):
            await _answer(send, 200, orjson.dumps(self._status()), [("content-type", "application/json")])
            return
        found = None
        if path.lower().startswith(self._prefix.lower()):
            raw = scope.get("raw_path", b"").decode("latin-1") or path
            found = self._router.find(method, raw.partition("?")[0][len(self._prefix) :])
        if found is None:
            await _answer(send, 404)
            return
        route, values = found
        headers = _join((name.decode("latin-1"), text.decode("latin-1")) for name, text in scope["headers"])
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
        finally:
            self._outstanding -= 1

    async def _invoke(self, spec: FunctionSpec, request: Datum, send: Send) -> None:
        outcome = await self._invoker.invoke(
            spec,
            lambda: HttpRequestConverter.decode(request, trigger_metadata=None),
            fields={"method": request.value["method"].value},
        )
        if outcome.error is not None:
            await _answer(send, 500)
        elif isinstance(outcome.value, func.HttpResponse):
            await _answer_response(send, outcome.value)
        elif isinstance(outcome.value, str):
            await _answer(send, 200, outcome.value.encode(), [("content-type", "text/plain; charset=utf-8")])
        elif outcome.value is None:
            await _answer(send, 204)
        else:
            log.error("http_result_unusable", function=spec.name, result_type=type(outcome.value).__name__)
            await _answer(send, 500)


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
            break
        parts.append(message.get("body", b""))
        size += len(parts[-1])
        if size > limit:
            raise BodyTooLargeError
        if not message.get("more_body"):
            break
    return b"".join(parts)


async def _answer_response(send: Send, response: func.HttpResponse) -> None:
    headers = [(str(name), str(value)) for name, value in response.headers]
    if not any(name.lower() == "content-type" for name, _ in headers):
        charset = f"; charset={response.charset}" if response.mimetype.startswith("text/") else ""
        headers.append(("content-type", f"{response.mimetype}{charset}"))
    await _answer(send, response.status_code, response.get_body() or b"", headers)


async def _answer(send: Send, status: int, body: bytes = b"", headers: Headers = ()) -> None:
    named = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers]
    if status not in (204, 304) and not any(name == b"content-length" for name, _ in named):
        named.append((b"content-length", str(len(body)).encode()))
    await send({"type": "http.response.start", "status": status, "headers": named})
    await send({"type": "http.response.body", "body": b"" if status in (204, 304) else body})
