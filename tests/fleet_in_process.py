"""The whole function app on the in-process database server, each function under an identity of its own.

One function at a time is invoked, as the platform would: a trigger with what its feed holds since its last
invocation. The token of the function is its name, so that the server's books say which function used what.
"""

from __future__ import annotations

import importlib
import json
import pkgutil
import time
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime
from typing import Any
from unittest.mock import patch

import azure.functions as func
from azure.core.credentials import AccessToken
from azure.core.pipeline.transport import HttpRequest
from azure.cosmos.aio import CosmosClient, DatabaseProxy

import functions
from functions import runtime
from shared.clock import Clock
from shared.containers import CATALOGUE
from shared.fleet import wiring as composition
from shared.rights import Identity
from shared.settings import Settings
from tests.cosmos_in_process import DATABASE, ENDPOINT, KEY, InProcessCosmos, InProcessTransport


def _functions() -> dict[str, Any]:
    app = func.FunctionApp()
    for module in pkgutil.iter_modules(functions.__path__, "functions."):
        blueprint = getattr(importlib.import_module(module.name), "blueprint", None)
        if blueprint is not None:
            app.register_functions(blueprint)
    return {each.get_function_name(): each for each in app.get_functions()}


FUNCTIONS = _functions()
"""Every function of the app, by name."""


def _defined(function: Any) -> Any:
    """Return the function as it is written: the package wraps orchestrators in one of its own."""
    wrapped = function.get_user_function()
    return getattr(wrapped, "orchestrator_function", wrapped)


MODULES: dict[str, str] = {name: _defined(function).__module__ for name, function in FUNCTIONS.items()}
"""Where each function is defined."""

SETTINGS = Settings(
    CosmosDb__accountEndpoint=ENDPOINT,
    CosmosDb__clientId=Identity.FLEET,
    LifecycleCosmosDb__clientId=Identity.LIFECYCLE,
    COSMOS_DATABASE=DATABASE,
    FLEET_DOCUMENT_BACKOFF_SECONDS=0,
)


class Token:
    """A credential whose token is a name."""

    def __init__(self, name: str) -> None:
        self._name = name

    async def get_token(self, *_: str, **__: Any) -> AccessToken:
        return AccessToken(self._name, int(time.time()) + 3600)

    async def close(self) -> None:
        return None

    async def __aenter__(self) -> Token:
        return self

    async def __aexit__(self, *_: object) -> None:
        return None


async def ask_server(cosmos: InProcessCosmos, method: str, path: str, body: Any = None) -> Any:
    """Ask the administration of the server."""
    headers = {"x-local-key": KEY, "content-type": "application/json"}
    data = None if body is None else json.dumps(body)
    request = HttpRequest(method, f"{ENDPOINT}_local/{path}", headers=headers, data=data)
    answer = await InProcessTransport(cosmos.app).send(request)
    assert answer.status_code == 200, answer.text()
    return json.loads(answer.text())


class FleetInProcess:
    """The function app, its database, and a clock that a test moves."""

    def __init__(self, cosmos: InProcessCosmos, database: DatabaseProxy, clock: list[datetime]) -> None:
        self.cosmos = cosmos
        self.database = database
        self._clock = clock
        self._delivered: dict[str, str] = {}
        self.connected_as: dict[str, set[str]] = {}
        """The identities that each function connected with."""

    @property
    def now(self) -> datetime:
        return self._clock[0]

    @now.setter
    def now(self, moment: datetime) -> None:
        self._clock[0] = moment

    async def grant(self, tokens: Mapping[str, Mapping[str, Iterable[str]]]) -> None:
        """Let the server know these tokens and no others, and forget what was used."""
        body = {name: {place: sorted(of) for place, of in grants.items()} for name, grants in tokens.items()}
        await ask_server(self.cosmos, "PUT", "rights", {"tokens": body})

    async def used(self) -> dict[str, dict[str, set[str]]]:
        """Return the data actions that each function used, by container."""
        return _sets((await ask_server(self.cosmos, "GET", "rights"))["used"])

    async def refused(self) -> dict[str, dict[str, set[str]]]:
        """Return the data actions that each function was refused, by container."""
        return _sets((await ask_server(self.cosmos, "GET", "rights"))["refused"])

    async def invoke(self, name: str, **arguments: Any) -> Any:
        """Invoke a function in a process of its own, as far as its connections and caches go."""

        def connect(settings: Settings, **_: Any) -> Any:
            self.connected_as.setdefault(name, set()).add(str(settings.cosmos_client_id))
            return self.client(name)

        with patch.object(composition, "connect", connect):
            own: dict[Identity, runtime._Runtime] = {}

            def of(identity: Identity) -> runtime._Runtime:
                return own.setdefault(identity, runtime._Runtime(identity))

            with patch.object(runtime, "_runtime", of):
                try:
                    return await FUNCTIONS[name].get_user_function()(**arguments)
                finally:
                    for each in own.values():
                        if each.lifetime is not None:
                            await each.lifetime.__aexit__(None, None, None)

    async def feed(self, name: str) -> int:
        """Invoke a change feed function with what it has not seen yet; return with how many documents."""
        container = FUNCTIONS[name].get_trigger().get_dict_repr()["containerName"]
        client, since = self.database.get_container_client(container), self._delivered.get(name)
        start = {"continuation": since} if since else {"start_time": "Beginning"}
        documents = [item async for item in client.query_items_change_feed(**start)]
        self._delivered[name] = client.client_connection.last_response_headers["etag"]
        if documents:
            batch = func.DocumentList([func.Document.from_dict(item) for item in documents])
            await self.invoke(name, documents=batch)
        return len(documents)

    @asynccontextmanager
    async def client(self, token: str) -> AsyncIterator[CosmosClient]:
        transport = InProcessTransport(self.cosmos.app)
        async with CosmosClient(ENDPOINT, Token(token), transport=transport) as client:
            yield client


def _sets(rows: Mapping[str, Mapping[str, Iterable[str]]]) -> dict[str, dict[str, set[str]]]:
    return {name: {place: set(of) for place, of in places.items()} for name, places in rows.items()}


@asynccontextmanager
async def fleet_in_process(start: datetime) -> AsyncIterator[FleetInProcess]:
    """Open the app on a new database with the catalogue's containers."""
    clock = [start]

    def seconds() -> float:
        return clock[0].timestamp()

    cosmos = InProcessCosmos(seconds)
    async with AsyncExitStack() as stack:
        stack.callback(cosmos.close)
        stack.enter_context(cosmos.at_its_time())
        stack.enter_context(patch.object(Clock, "now", lambda _: clock[0].astimezone(UTC)))
        stack.enter_context(patch.object(runtime, "current_settings", lambda: SETTINGS))
        database = await stack.enter_async_context(cosmos.client())
        await cosmos.create(database, CATALOGUE)
        yield FleetInProcess(cosmos, database, clock)
