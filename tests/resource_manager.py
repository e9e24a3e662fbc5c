"""A stand-in of Azure Resource Manager: databases and containers of one account, as its reference describes.

It accepts a change with 202, makes it after some questions about the operation, and refuses what the service
refuses: another partition key, a throughput that is too low, autoscale settings for manual throughput.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from azure.core.credentials import AccessToken
from azure.core.pipeline.transport import AsyncHttpResponse, AsyncHttpTransport, HttpRequest

from tests.scripted_service import Answer

GROUP = "/subscriptions/0000-1111/resourceGroups/group-1"
ACCOUNT = f"{GROUP}/providers/Microsoft.DocumentDB/databaseAccounts/account-1"
STATES = "https://westeurope.management.azure.com/subscriptions/0000-1111/providers/Microsoft.DocumentDB"
SERVICE_S_OWN = {"_rid": "PD5DALigDgw=", "_ts": 1459200611, "_etag": '"00005900"'}
TOKEN = "token-of-the-operator"


class Identity:
    """The operator's identity."""

    def __init__(self) -> None:
        self.closed = False

    async def get_token(self, *scopes: str, **_: Any) -> AccessToken:
        assert scopes == ("https://management.azure.com/.default",)
        return AccessToken(TOKEN, 9_999_999_999)

    async def close(self) -> None:
        self.closed = True

    async def __aenter__(self) -> Identity:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()


@dataclass
class StoredContainer:
    """A container: its resource, and its throughput, None for one without its own."""

    resource: dict[str, Any]
    throughput: dict[str, Any] | None
    least: int = 1_000


@dataclass
class _Operation:
    work: Callable[[], None]
    error: dict[str, str] | None
    questions: int


@dataclass
class ResourceManager(AsyncHttpTransport[HttpRequest, AsyncHttpResponse]):  # type: ignore[misc]
    """Answers requests about the account.

    Parameters
    ----------
    questions
        Times that an operation is in progress when it is asked for.
    by_location
        Whether an accepted change names only the place of its result.
    """

    questions: int = 2
    by_location: bool = False
    states: str = STATES
    serverless: bool = False
    databases: dict[str, dict[str, StoredContainer]] = field(default_factory=dict)
    requests: list[tuple[str, str]] = field(default_factory=list)
    failures: list[int] = field(default_factory=list)
    """Statuses of the next answers, whatever is asked for."""
    _operations: list[_Operation] = field(default_factory=list)

    async def open(self) -> None:
        return None

    async def close(self) -> None:
        return None

    async def __aexit__(self, *_: object) -> None:
        return None

    @property
    def writes(self) -> Counter[str]:
        """The changes that were asked for, by method."""
        return Counter(method for method, _ in self.requests if method != "GET")

    async def send(self, request: HttpRequest, **_: Any) -> AsyncHttpResponse:
        target = urlsplit(request.url)
        assert request.headers["Authorization"] == f"Bearer {TOKEN}"
        self.requests.append((request.method, target.path))
        if self.failures:
            return _error(request, self.failures.pop(0), "Planned", "planned by the test")
        if "/operationsStatus/" in target.path:
            return self._state(request, int(target.path.rpartition("/")[2]))
        assert parse_qs(target.query)["api-version"]
        body = json.loads(request.body) if request.body else {}
        if request.body:
            assert request.headers["Content-Type"] == "application/json"
        assert target.path.startswith(ACCOUNT)
        steps = [unquote(step) for step in target.path.removeprefix(ACCOUNT).split("/")[1:]]
        assert steps[0] == "sqlDatabases"
        known = self.databases.get(steps[1])
        if len(steps) == 2:
            return self._database(request, steps[1])
        if known is None:
            return _error(request, 404, "NotFound", "the database does not exist")
        if len(steps) == 4:
            return self._container(request, known, steps[3], body)
        return self._throughput(request, known.get(steps[3]), steps[4:], body)

    def _database(self, request: HttpRequest, name: str) -> AsyncHttpResponse:
        if request.method == "PUT":
            return self._accept(request, lambda: self.databases.setdefault(name, {}) and None)
        if name not in self.databases:
            return _error(request, 404, "NotFound", "the database does not exist")
        return _found(request, {"id": name})

    def _container(
        self, request: HttpRequest, known: dict[str, StoredContainer], name: str, body: dict[str, Any]
    ) -> AsyncHttpResponse:
        stored = known.get(name)
        if request.method == "GET":
            if stored is None:
                return _error(request, 404, "NotFound", f"{name} does not exist")
            return _found(request, stored.resource)
        resource, options = body["properties"]["resource"], body["properties"]["options"]
        assert resource["id"] == name
        assert not any(field.startswith("_") for field in resource)
        if stored is not None:
            if resource["partitionKey"] != stored.resource["partitionKey"]:
                return self._accept(request, error="The partition key cannot be changed.")
            assert options == {}
            return self._accept(request, lambda: stored.resource.update(_whole(stored, resource)))
        if self.serverless and options:
            return _error(request, 400, "BadRequest", "Throughput is not supported for Serverless accounts.")
        throughput = None
        if options:
            maximum = options["autoscaleSettings"]["maxThroughput"]
            throughput = {"throughput": maximum // 10, "autoscaleSettings": {"maxThroughput": maximum}}
        policy = {"conflictResolutionPolicy": {"mode": "LastWriterWins"}}
        made = StoredContainer(resource | policy, throughput)
        return self._accept(request, lambda: known.update({name: made}))

    def _throughput(
        self, request: HttpRequest, stored: StoredContainer | None, steps: list[str], body: dict[str, Any]
    ) -> AsyncHttpResponse:
        assert steps[:2] == ["throughputSettings", "default"]
        if stored is None or stored.throughput is None:
            status = 400 if self.serverless else 404
            return _error(request, status, "NotFound", "it has no throughput of its own")
        kept = stored.throughput
        match request.method, steps[2:]:
            case "GET", []:
                return _found(request, kept | {"minimumThroughput": str(stored.least)})
            case "POST", ["migrateToAutoscale"]:
                autoscale = {"throughput": 400, "autoscaleSettings": {"maxThroughput": 4000}}
                return self._accept(request, lambda: kept.update(autoscale))
            case "PUT", []:
                assert body["properties"].keys() == {"resource"}
                wanted = body["properties"]["resource"]
                if "autoscaleSettings" not in kept:
                    return _error(request, 400, "BadRequest", "migrate to autoscale first")
                if wanted["autoscaleSettings"]["maxThroughput"] < stored.least:
                    return self._accept(request, error=f"The least maximum is {stored.least}.")
                return self._accept(request, lambda: kept.update(wanted))
            case _:
                raise AssertionError(f"{request.method} {steps}")

    def _accept(
        self, request: HttpRequest, work: Callable[[], Any] = lambda: None, *, error: str | None = None
    ) -> AsyncHttpResponse:
        described = None if error is None else {"code": "BadRequest", "message": error}
        self._operations.append(_Operation(work, described, self.questions))
        place = f"{self.states}/locations/westeurope/operationsStatus/{len(self._operations) - 1}"
        headers = (
            {"Location": place} if self.by_location else {"azure-AsyncOperation": place, "Location": "x"}
        )
        return Answer(request, 202, {"status": "Enqueued"}, headers)

    def _state(self, request: HttpRequest, number: int) -> AsyncHttpResponse:
        operation = self._operations[number]
        if operation.questions > 0:
            operation.questions -= 1
            body = None if self.by_location else {"status": "Dequeued"}
            return Answer(request, 202, body, {"Retry-After": "1"})
        if operation.error is not None:
            return Answer(request, 200, {"status": "Failed", "error": operation.error}, {})
        operation.work()
        return Answer(request, 200, {} if self.by_location else {"status": "Succeeded"}, {})


def _whole(stored: StoredContainer, resource: dict[str, Any]) -> dict[str, Any]:
    """Return what the service stores: what a request leaves out is gone, or as at the beginning."""
    stored.resource.clear()
    return {"conflictResolutionPolicy": {"mode": "LastWriterWins"}} | resource


def _found(request: HttpRequest, resource: dict[str, Any]) -> Answer:
    return Answer(request, 200, {"properties": {"resource": resource | SERVICE_S_OWN, "options": {}}}, {})


def _error(request: HttpRequest, status: int, code: str, message: str) -> Answer:
    return Answer(request, status, {"error": {"code": code, "message": message}}, {})
