"""HTTP: what is refused with which status, and that every request is answered in time."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import azure.functions as func
import pytest
from azure.core.exceptions import ServiceRequestError
from azure.cosmos.exceptions import CosmosHttpResponseError
from hypothesis import example, given, settings
from hypothesis import strategies as st

from functions import http
from shared.cosmos.retries import HTTP_SECONDS, UnavailableError
from shared.errors import (
    TEMPORARY,
    FleetError,
    GenerationIncompleteError,
    NotReadyError,
    PoisonChangedError,
    PoisonNotFoundError,
    ReplayError,
    SettingsError,
)
from tests.every_error import of_the_fleet, of_the_service
from tests.unit.functions.registered import functions_of, invoke
from tests.virtual_time import run

ROW = "poison_" + "0" * 32
DECIDED = {"id": ROW, "status": "resolved", "status_changed_at": "now", "status_changed_by": "ana"}
ROUTES = ("health", "ready", "list_poison", "get_poison", "settle_poison")
KNOWN = {"list_poison": {"status": "pending", "limit": "5"}}


class Fleet:
    """Stands for the fleet, its poison store and its replayer; answers, waits or raises."""

    def __init__(self, error: BaseException | None = None, seconds: float = 0.0) -> None:
        self._error, self._seconds = error, seconds

    @property
    def poison(self) -> Fleet:
        return self

    replayer = poison

    async def _do(self) -> dict[str, Any]:
        await asyncio.sleep(self._seconds)
        if self._error is not None:
            raise self._error
        return DECIDED

    async def list(self, *_: Any, **__: Any) -> Any:
        yield await self._do()

    async def get(self, _: str) -> dict[str, Any]:
        return await self._do()

    async def replay(self, _: str, *, by: str) -> dict[str, Any]:
        return await self._do()

    async def check_ready(self) -> None:
        await self._do()

    async def set_status(self, *_: Any, by: str) -> dict[str, Any]:
        return await self._do()


def ask(
    route: str,
    *,
    fleet: Fleet | None = None,
    params: dict[str, str] | None = None,
    body: bytes = b'{"by": "ana"}',
    action: str = "resolve",
    row: str = ROW,
) -> tuple[func.HttpResponse, float]:
    """Return the answer to a request, and the seconds that it took on a clock of its own."""
    request = func.HttpRequest(
        method="POST" if route == "settle_poison" else "GET",
        url=f"http://localhost/api/{route}",
        params=params or {},
        route_params={"poison_id": row, "action": action},
        body=body,
    )
    function = functions_of(http.blueprint)[route]

    async def work() -> tuple[func.HttpResponse, float]:
        return await invoke(function, request), asyncio.get_running_loop().time()

    async def connected() -> Fleet:
        return fleet or Fleet()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(http, "fleet", connected)
        patch.setattr(http, "check_ready", (fleet or Fleet()).check_ready)
        return run(work())


def told(answer: func.HttpResponse) -> str:
    text: str = json.loads(answer.get_body())["error"]
    return text


@pytest.mark.parametrize("route", ROUTES)
def test_no_answer_is_stored_on_the_way(route: str) -> None:
    answer, _ = ask(route)
    assert (answer.status_code, answer.headers["Cache-Control"]) == (200, "no-store")


@pytest.mark.parametrize(
    "error", [SettingsError("Set FLEET_GENERATION to 2."), NotReadyError("Create them with `fleet …`.")]
)
def test_a_fleet_that_refuses_all_work_is_alive_and_not_ready_and_says_what_to_do(error: Exception) -> None:
    assert ask("health", fleet=Fleet(error))[0].status_code == 200
    answer, _ = ask("ready", fleet=Fleet(error))
    assert (answer.status_code, told(answer)) == (503, str(error))
    assert answer.headers["Retry-After"]


def test_readiness_does_not_quote_the_service() -> None:
    refused = CosmosHttpResponseError(status_code=503, message="of account secret-account")
    answer, _ = ask("ready", fleet=Fleet(refused))
    assert answer.status_code == 503
    assert "secret" not in answer.get_body().decode()


@pytest.mark.parametrize("route", ROUTES)
def test_the_platform_s_parameters_and_the_route_s_own_are_accepted(route: str) -> None:
    answer, _ = ask(route, params={"code": "k", "clientId": "c", **KNOWN.get(route, {})})
    assert answer.status_code == 200


@pytest.mark.parametrize("route", ROUTES)
@example("field", "user_rating")
@example("Status", "pending")
@example("limit ", "1")
@given(st.text(min_size=1), st.text())
@settings(max_examples=40, deadline=None)
def test_a_parameter_that_is_not_known_is_refused_and_not_echoed(route: str, name: str, value: str) -> None:
    if name in {"code", "clientId", *KNOWN.get(route, {})}:
        return
    answer, _ = ask(route, params={name: value})
    assert answer.status_code == 400
    assert told(answer).startswith("query: has a parameter that is not known; the known ones: ")
    assert len(name) < 6 or name not in told(answer)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)
bodies = st.one_of(
    st.binary(max_size=200),
    json_values.map(lambda value: json.dumps(value).encode()),
    json_values.map(lambda value: json.dumps({"by": value}).encode()),
    st.integers(1, 4_999).map(lambda depth: b"[" * depth + b"]" * depth),
    st.integers(1, 1_500).map(lambda depth: b'{"by":' * depth + b"1" + b"}" * depth),
    st.characters(categories=["Cs", "Cc"]).map(lambda c: json.dumps({"by": f"ana{c}"}).encode()),
    st.integers(10_001, 11_000).map(lambda size: b" " * size),
)


@example(b"[" * 4_999)
@example(b'{"by": "\\ud800"}')
@example(b'{"by": "   "}')
@example(b"")
@given(bodies)
@settings(max_examples=150, deadline=None)
def test_whatever_the_body_is_it_is_accepted_or_refused_and_never_an_error(body: bytes) -> None:
    answer, _ = ask("settle_poison", body=body)
    try:
        by = json.loads(body)["by"]
        by.encode("utf-8")
        named = isinstance(by, str) and 0 < len(by) <= http.MAX_NAME and by.isprintable() and not by.isspace()
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        named = False
    assert answer.status_code == (200 if named and len(body) <= http.MAX_BODY_BYTES else 400)


@given(st.text())
@settings(max_examples=40, deadline=None)
def test_an_unknown_action_or_id_is_refused_and_not_echoed(text: str) -> None:
    long = text * 50
    for answer, _ in (ask("settle_poison", action=long), ask("get_poison", row=long)):
        assert answer.status_code == 400
        assert len(answer.get_body()) < 200


@pytest.mark.parametrize("limit", ["0", "1001", "-1", "1e3", "١٢", " 5", "5\n", "99999", ""])
def test_a_limit_out_of_range_is_refused(limit: str) -> None:
    answer, _ = ask("list_poison", params={"limit": limit})
    assert answer.status_code == 400


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (PoisonNotFoundError("no"), 404),
        (ReplayError("no"), 409),
        (PoisonChangedError("no"), 409),
        (GenerationIncompleteError("no"), 409),
    ],
)
@pytest.mark.parametrize("route", ["get_poison", "settle_poison"])
def test_a_refusal_says_why(error: Exception, status: int, route: str) -> None:
    answer, _ = ask(route, fleet=Fleet(error))
    assert (answer.status_code, told(answer)) == (status, "no")


@pytest.mark.parametrize(
    ("error", "text", "retry_after"),
    [
        (UnavailableError("poison_messages query: 429", 2.2), "poison_messages query: 429", "3"),
        (UnavailableError("poison_messages query: no answer"), "poison_messages query: no answer", "5"),
        (SettingsError("FLEET_SHARDS is 3"), "FLEET_SHARDS is 3", "5"),
        (
            CosmosHttpResponseError(status_code=403, message="key of ana"),
            "did not do as asked.",
            "5",
        ),
        (ServiceRequestError("cannot connect to ana"), "did not do as asked.", "5"),
    ],
)
@pytest.mark.parametrize("route", ROUTES[1:])
def test_what_may_pass_is_503_with_the_time_to_wait(
    error: Exception, text: str, retry_after: str, route: str
) -> None:
    answer, _ = ask(route, fleet=Fleet(error))
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, retry_after)
    assert text in told(answer)
    assert "ana" not in told(answer)


@pytest.mark.parametrize("route", ROUTES[1:])
def test_a_database_that_never_answers_holds_no_caller(route: str) -> None:
    answer, seconds = ask(route, fleet=Fleet(seconds=1_000))
    assert answer.status_code == 503
    assert seconds == HTTP_SECONDS < 20


def test_liveness_needs_no_database() -> None:
    answer, seconds = ask("health", fleet=Fleet(seconds=1_000))
    assert (json.loads(answer.get_body()), seconds) == ({"status": "alive"}, 0)


@pytest.mark.parametrize(
    "error", [*of_the_fleet(), *of_the_service()], ids=lambda error: type(error).__name__
)
def test_every_error_is_answered_with_a_status_and_one_sentence(error: Exception) -> None:
    answer, _ = ask("get_poison", fleet=Fleet(error))
    assert answer.status_code in (400, 404, 409, 503)
    text = json.loads(answer.get_body())["error"]
    assert text.strip()
    assert "\n" not in text
    if isinstance(error, TEMPORARY) or not isinstance(error, FleetError):
        assert answer.status_code == 503
    assert (answer.status_code == 503) == ("Retry-After" in answer.headers)
