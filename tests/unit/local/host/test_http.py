"""The HTTP side as a client sees it, without a socket: keys, limits, results, the status page."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import azure.functions as func
import pytest

from local.host.bindings import AuthLevel, FunctionSpec, HttpTrigger
from local.host.cors import CorsPolicy, load_cors
from local.host.errors import HostStartError
from local.host.invoke import Invoker
from local.host.keys import HostKeys
from local.host.routes import Router
from local.host.trigger_http import HttpApp

KEYS = HostKeys(master="master-key", function="function-key", durable="durable-key")


def function(
    call: Callable[..., Any],
    route: str,
    level: AuthLevel = "anonymous",
    methods: frozenset[str] | None = None,
) -> FunctionSpec:
    trigger = HttpTrigger(route, methods, level)
    is_async = asyncio.iscoroutinefunction(call)
    return FunctionSpec(route, call, is_async, "req", None, trigger, None, Path())


class Client:
    """Sends one request at a time to the application."""

    def __init__(
        self,
        *functions: FunctionSpec,
        body_limit: int = 100,
        max_outstanding: int = 10,
        cors: CorsPolicy | None = None,
    ) -> None:
        self.requested: list[str] = []
        self.app = HttpApp(
            Router(list(functions)),
            Invoker(timeout=None, threads=1),
            KEYS,
            prefix="api",
            body_limit=body_limit,
            max_concurrent=1,
            max_outstanding=max_outstanding,
            status=lambda: {"state": "Running"},
            run_timer=self._run_timer,
            cors=cors,
        )

    def _run_timer(self, name: str) -> bool:
        self.requested.append(name)
        return name == "known"

    async def send(
        self,
        path: str,
        *,
        method: str = "GET",
        query: str = "",
        headers: list[tuple[str, str]] | None = None,
        body: list[bytes] | None = None,
    ) -> tuple[int, dict[str, str], bytes]:
        parts = body or [b""]
        incoming = [
            {"type": "http.request", "body": part, "more_body": index < len(parts) - 1}
            for index, part in enumerate(parts)
        ]
        sent: list[Any] = []

        async def receive() -> Any:
            return incoming.pop(0)

        async def send(message: Any) -> None:
            sent.append(message)

        scope = {
            "type": "http",
            "method": method,
            "path": path,
            "raw_path": path.encode(),
            "query_string": query.encode(),
            "headers": [(name.encode(), text.encode()) for name, text in headers or []],
        }
        await self.app(scope, receive, send)
        received = {name.decode(): text.decode() for name, text in sent[0]["headers"]}
        return sent[0]["status"], received, sent[1]["body"]


async def echo(req: func.HttpRequest) -> func.HttpResponse:
    seen = {
        "method": req.method,
        "url": req.url,
        "params": dict(req.params),
        "route": dict(req.route_params),
        "agent": req.headers.get("User-Agent"),
        "body": req.get_body().decode(),
    }
    return func.HttpResponse(json.dumps(seen), mimetype="application/json", headers={"X-Extra": "1"})


async def test_a_function_sees_the_whole_request() -> None:
    status, headers, body = await Client(function(echo, "echo/{id}")).send(
        "/api/echo/7",
        method="POST",
        query="a=1&a=2&b=%20x",
        headers=[("host", "h:81"), ("user-agent", "test")],
        body=[b"one", b"two"],
    )
    assert (status, headers["content-type"], headers["x-extra"]) == (200, "application/json", "1")
    assert headers["content-length"] == str(len(body))
    assert json.loads(body) == {
        "method": "POST",
        "url": "http://h:81/api/echo/7?a=1&a=2&b=%20x",
        "params": {"a": "1,2", "b": " x"},
        "route": {"id": "7"},
        "agent": "test",
        "body": "onetwo",
    }


@pytest.mark.parametrize(
    ("level", "query", "headers", "status"),
    [
        ("function", "", [], 401),
        ("function", "code=wrong", [], 401),
        ("function", "code=function-key", [], 200),
        ("function", "", [("x-functions-key", "function-key")], 200),
        ("admin", "", [("x-functions-key", "function-key")], 401),
        ("admin", "", [("x-functions-key", "master-key")], 200),
        ("anonymous", "", [], 200),
    ],
)
async def test_keys(level: AuthLevel, query: str, headers: list[tuple[str, str]], status: int) -> None:
    client = Client(function(echo, "x", level))
    assert (await client.send("/api/x", query=query, headers=headers))[0] == status


@pytest.mark.parametrize(
    ("result", "status", "body"),
    [
        ("text", 200, b"text"),
        (None, 500, b""),  # as the worker: it can encode text and responses only
        (func.HttpResponse("made", status_code=201), 201, b"made"),
        (func.HttpResponse(status_code=204), 204, b""),
        (func.HttpResponse("x", headers={"Content-Length": "99", "Transfer-Encoding": "chunked"}), 200, b"x"),
        (func.HttpResponse("x", headers={"X-Name": "नमस्ते"}), 500, b""),
        ("\ud800", 200, b"?"),
        ({"not": "a response"}, 500, b""),
    ],
)
async def test_results(result: Any, status: int, body: bytes) -> None:
    assert (await Client(function(lambda req: result, "x")).send("/api/x"))[::2] == (status, body)


async def test_an_error_in_a_function_is_a_500_and_the_next_request_works() -> None:
    def broken(req: func.HttpRequest) -> str:
        raise ValueError("secret text")

    client = Client(function(broken, "broken"), function(echo, "x"))
    status, _, body = await client.send("/api/broken")
    assert (status, body) == (500, b"")
    assert (await client.send("/api/x"))[0] == 200


@pytest.mark.parametrize(
    ("headers", "body"),
    [([("content-length", "101")], [b""]), ([], [b"x" * 60, b"x" * 60])],
    ids=["declared", "streamed"],
)
async def test_a_body_above_the_limit_is_refused(headers: list[tuple[str, str]], body: list[bytes]) -> None:
    client = Client(function(echo, "x"))
    assert (await client.send("/api/x", method="POST", headers=headers, body=body))[0] == 413
    assert (await client.send("/api/x", method="POST", body=[b"x" * 100]))[0] == 200


async def test_too_many_requests_at_once_are_told_to_come_later() -> None:
    release = asyncio.Event()

    async def slow(req: func.HttpRequest) -> str:
        await release.wait()
        return "done"

    client = Client(function(slow, "slow"), max_outstanding=2)
    waiting = [asyncio.create_task(client.send("/api/slow")) for _ in range(2)]
    await asyncio.sleep(0)
    status, headers, _ = await client.send("/api/slow")
    assert (status, headers["retry-after"]) == (429, "1")
    release.set()
    assert [answer[0] for answer in await asyncio.gather(*waiting)] == [200, 200]


@pytest.mark.parametrize("path", ["/", "/api", "/api/other", "/other/x", "/admin/keys"])
async def test_unknown_paths(path: str) -> None:
    assert (await Client(function(echo, "x")).send(path))[0] == 404


async def test_the_status_page_needs_no_key() -> None:
    status, headers, body = await Client().send("/admin/host/status")
    assert (status, headers["content-type"], json.loads(body)) == (
        200,
        "application/json",
        {"state": "Running"},
    )


@pytest.mark.parametrize(
    ("method", "status"), [("GET", 200), ("POST", 404), ("HEAD", 404), ("OPTIONS", 404), ("DELETE", 404)]
)
async def test_a_method_that_no_function_answers_is_unknown_as_on_the_platform(
    method: str, status: int
) -> None:
    client = Client(function(echo, "x", methods=frozenset({"GET"})))
    assert (await client.send("/api/x", method=method))[0] == status


@pytest.mark.parametrize("method", ["HEAD", "OPTIONS", "PATCH", "DELETE"])
async def test_a_function_without_methods_answers_all(method: str) -> None:
    status, _, body = await Client(function(echo, "x")).send("/api/x", method=method)
    assert (status, json.loads(body)["method"]) == (200, method)


async def test_a_request_that_its_client_broke_off_never_reaches_the_function() -> None:
    calls: list[str] = []
    client = Client(function(lambda req: calls.append("called"), "x"))
    messages = [
        {"type": "http.request", "body": b"half of", "more_body": True},
        {"type": "http.disconnect"},
    ]

    async def receive() -> Any:
        return messages.pop(0)

    async def send(message: Any) -> None:
        raise AssertionError("nobody listens")

    scope = {"type": "http", "method": "POST", "path": "/api/x", "query_string": b"", "headers": []}
    await client.app(scope, receive, send)
    assert calls == []
    assert (await client.send("/api/x"))[0] == 500  # the slot is free again


PAGE = "https://page.example"


async def test_a_preflight_request_is_answered_by_the_host() -> None:
    client = Client(function(echo, "x", "function"), cors=CorsPolicy(frozenset({PAGE}), credentials=True))
    asked = [
        ("origin", PAGE),
        ("access-control-request-method", "PUT"),
        ("access-control-request-headers", "x-one,x-two"),
    ]
    status, headers, body = await client.send("/api/x", method="OPTIONS", headers=asked)
    assert (status, body) == (204, b"")
    assert headers == {
        "access-control-allow-origin": PAGE,
        "access-control-allow-credentials": "true",
        "access-control-allow-methods": "PUT",
        "access-control-allow-headers": "x-one,x-two",
    }


async def test_a_preflight_request_of_a_stranger_gets_no_permission() -> None:
    client = Client(function(echo, "x"), cors=CorsPolicy(frozenset({PAGE})))
    asked = [("origin", "https://other.example"), ("access-control-request-method", "PUT")]
    assert await client.send("/api/x", method="OPTIONS", headers=asked) == (204, {}, b"")


@pytest.mark.parametrize(
    ("origins", "origin", "expected"),
    [
        ({PAGE}, PAGE, {"access-control-allow-origin": PAGE}),
        ({PAGE, "http://b"}, PAGE, {"access-control-allow-origin": PAGE, "vary": "Origin"}),
        ({"*"}, "https://any.example", {"access-control-allow-origin": "*"}),
        ({PAGE}, "https://other.example", {}),
        ({PAGE}, None, {}),
    ],
)
async def test_an_answer_says_which_page_may_read_it(
    origins: set[str], origin: str | None, expected: dict[str, str]
) -> None:
    client = Client(function(echo, "x"), cors=CorsPolicy(frozenset(origins)))
    for path, status in (("/api/x", 200), ("/api/unknown", 404)):
        answer = await client.send(path, headers=[("origin", origin)] if origin else [])
        assert answer[0] == status
        found = {name: text for name, text in answer[1].items() if name.startswith(("access", "vary"))}
        assert found == expected


async def test_without_a_policy_options_is_a_method_like_others() -> None:
    asked = [("origin", PAGE), ("access-control-request-method", "PUT")]
    status, headers, _ = await Client(function(echo, "x")).send("/api/x", method="OPTIONS", headers=asked)
    assert status == 200
    assert not any(name.startswith("access-control") for name in headers)


@pytest.mark.parametrize(
    ("host", "policy"),
    [
        ({}, None),
        ({"CORS": ""}, None),
        ({"LocalHttpPort": 7071, "CORS": "*"}, CorsPolicy(frozenset({"*"}))),
        (
            {"CORS": "https://A.example/, http://localhost:3000", "CORSCredentials": True},
            CorsPolicy(frozenset({"https://a.example", "http://localhost:3000"}), True),
        ),
    ],
)
def test_cors_comes_from_the_local_settings(tmp_path: Path, host: Any, policy: CorsPolicy | None) -> None:
    assert load_cors(tmp_path) is None
    (tmp_path / "local.settings.json").write_text(json.dumps({"Host": host}))
    assert load_cors(tmp_path) == policy


@pytest.mark.parametrize(
    ("host", "word"),
    [
        ({"CORS": "*", "CORSCredentials": True}, "name the origins"),
        ({"CORS": "page.example"}, "page.example"),
        ({"CORS": ["*"]}, "separated by commas"),
        ({"CORS": "*", "CORSCredentials": "yes"}, "CORSCredentials"),
        ([], None),
        (["x"], "'Host'"),
    ],
)
def test_cors_that_cannot_be_used_is_named(tmp_path: Path, host: Any, word: str | None) -> None:
    (tmp_path / "local.settings.json").write_text(json.dumps({"Host": host}))
    if word is None:
        assert load_cors(tmp_path) is None
        return
    with pytest.raises(HostStartError, match=word):
        load_cors(tmp_path)


@pytest.mark.parametrize(
    ("name", "key", "status", "requested"),
    [
        ("known", KEYS.master, 202, ["known"]),
        ("unknown", KEYS.master, 404, ["unknown"]),
        ("known", KEYS.function, 401, []),
        ("known", "", 401, []),
    ],
)
async def test_a_timer_runs_on_request_of_whoever_has_the_master_key(
    name: str, key: str, status: int, requested: list[str]
) -> None:
    client = Client()
    found, _, _ = await client.send(
        f"/admin/functions/{name}", method="POST", headers=[("x-functions-key", key)]
    )
    assert (found, client.requested) == (status, requested)
