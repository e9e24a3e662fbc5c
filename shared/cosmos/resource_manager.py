"""Containers through Azure Resource Manager (ARM), with the operator's own identity.

An identity's roles on data cannot create or change containers, nor read throughput; roles on resources can:
"DocumentDB Account Contributor", or "Cosmos DB Operator". Not run against Azure yet, only against a stand-in
made from its reference (https://learn.microsoft.com/rest/api/cosmos-db-resource-provider/sql-resources).
"""

from __future__ import annotations

import asyncio
import json
import re
from contextlib import AsyncExitStack
from typing import Any, Self
from urllib.parse import quote, urlsplit

from azure.core.credentials_async import AsyncTokenCredential
from azure.core.exceptions import HttpResponseError
from azure.core.pipeline import AsyncPipeline
from azure.core.pipeline.policies import AsyncBearerTokenCredentialPolicy, UserAgentPolicy
from azure.core.pipeline.transport import AsyncHttpResponse, AsyncHttpTransport, HttpRequest

from shared.containers import Container
from shared.cosmos.client import transport
from shared.cosmos.container_plan import Found
from shared.cosmos.identity import TimedCredential
from shared.cosmos.provisioning import NO_THROUGHPUT
from shared.cosmos.retries import (
    MANAGEMENT_POLL,
    MANAGEMENT_SECONDS,
    UnavailableError,
    jittered_pause,
    retry_after_seconds,
)
from shared.cosmos.transport import PatientTransport
from shared.errors import SettingsError

ENDPOINT = "https://management.azure.com"
SCOPE = f"{ENDPOINT}/.default"
API_VERSION = "2025-10-15"

_ACCOUNT = re.compile(
    r"/subscriptions/[0-9a-zA-Z-]{1,64}/resourceGroups/[\w.()-]{1,90}"
    r"/providers/Microsoft\.DocumentDB/databaseAccounts/[a-z0-9-]{3,50}",
    re.IGNORECASE,
)
_POLLED = re.compile(r"(?:[a-z0-9-]+\.)?management\.azure\.com")
"""Hosts that say how an operation stands. The token goes to no other host."""

_SUCCEEDED, _FAILED = "succeeded", frozenset({"failed", "canceled", "cancelled"})

Transport = AsyncHttpTransport[HttpRequest, AsyncHttpResponse]


class ResourceManagerPlane:
    """The control plane of one database: ``async with ResourceManagerPlane(account, database, …) as plane``.

    Parameters
    ----------
    account
        The account's resource id:
        ``/subscriptions/…/resourceGroups/…/providers/Microsoft.DocumentDB/databaseAccounts/…``.
    credential
        Closed with the plane.

    Raises
    ------
    SettingsError
        ``account`` is no resource id of an account.
    """

    can_migrate = True

    def __init__(
        self,
        account: str,
        database: str,
        credential: AsyncTokenCredential,
        *,
        user_agent: str,
        inner: Transport | None = None,
    ) -> None:
        if _ACCOUNT.fullmatch(account) is None:
            raise SettingsError(
                "The account must be a resource id: /subscriptions/…/resourceGroups/…/providers/"
                "Microsoft.DocumentDB/databaseAccounts/…. To see it, run: az cosmosdb show --query id"
            )
        self._database_name = database
        self._database = f"{account}/sqlDatabases/{quote(database, safe='')}"
        self._credential = TimedCredential(credential)
        policies: list[Any] = [
            UserAgentPolicy(base_user_agent=user_agent),
            AsyncBearerTokenCredentialPolicy(self._credential, SCOPE),
        ]
        sender = PatientTransport(inner or transport(ENDPOINT))
        self._pipeline: AsyncPipeline[HttpRequest, AsyncHttpResponse] = AsyncPipeline(sender, policies)
        self._open = AsyncExitStack()

    async def __aenter__(self) -> Self:
        self._open.push_async_callback(self._credential.close)
        await self._open.enter_async_context(self._pipeline)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._open.aclose()

    async def database_exists(self) -> bool:
        return await self._get(self._database) is not None

    async def create_database(self) -> None:
        if not await self.database_exists():
            await self._put(self._database, {"id": self._database_name}, {})

    async def read(self, name: str) -> Found | None:
        resource = await self._get(self._container(name))
        if resource is None:
            return None
        throughput = await self._get(self._throughput(name), absent=NO_THROUGHPUT)
        if throughput is None:
            return Found(resource)
        if autoscale := throughput.get("autoscaleSettings"):
            return Found(resource, autoscale_max=int(autoscale["maxThroughput"]))
        return Found(resource, manual=int(throughput["throughput"]))

    async def create(self, wanted: Container, *, with_throughput: bool = True) -> None:
        resource: dict[str, Any] = {
            "id": wanted.name,
            "partitionKey": {"paths": [wanted.partition_key], "kind": "Hash", "version": 2},
            "indexingPolicy": wanted.indexing.policy(),
        }
        if wanted.default_ttl is not None:
            resource["defaultTtl"] = wanted.default_ttl
        options = {"autoscaleSettings": {"maxThroughput": wanted.autoscale_max}}
        await self._put(self._container(wanted.name), resource, options if with_throughput else {})

    async def replace(self, found: Found, properties: dict[str, Any]) -> None:
        await self._put(self._container(properties["id"]), properties, {})

    async def set_autoscale(self, name: str, maximum: int, *, from_manual: bool) -> None:
        settings = self._throughput(name)
        if from_manual:
            await self._finish(await self._send("POST", f"{settings}/migrateToAutoscale"))
        await self._put(settings, {"autoscaleSettings": {"maxThroughput": maximum}})

    def _container(self, name: str) -> str:
        return f"{self._database}/containers/{quote(name, safe='')}"

    def _throughput(self, name: str) -> str:
        return f"{self._container(name)}/throughputSettings/default"

    async def _get(self, path: str, *, absent: frozenset[int] = frozenset({404})) -> dict[str, Any] | None:
        answer = await self._send("GET", path, expected=absent)
        if answer.status_code in absent:
            return None
        resource: dict[str, Any] = _json(answer)["properties"]["resource"]
        return resource

    async def _put(self, path: str, resource: dict[str, Any], options: dict[str, Any] | None = None) -> None:
        properties: dict[str, Any] = {"resource": resource}
        if options is not None:
            properties["options"] = options
        body = {"properties": properties}
        await self._finish(await self._send("PUT", path, body))

    async def _finish(self, answer: AsyncHttpResponse) -> None:
        """Wait until an accepted operation has ended.

        Raises
        ------
        HttpResponseError
            It failed. The message is the service's, the status that of a refused request.
        UnavailableError
            It has not ended within :data:`MANAGEMENT_SECONDS`.
        """
        place = answer.headers.get("Azure-AsyncOperation") or answer.headers.get("Location")
        if answer.status_code not in (201, 202) or place is None:
            return
        target = urlsplit(place)
        if target.scheme != "https" or _POLLED.fullmatch(target.hostname or "") is None:
            raise HttpResponseError("Resource Manager named an unknown host for the state of an operation")
        clock, attempt = asyncio.get_running_loop().time, 0
        end = clock() + MANAGEMENT_SECONDS
        while clock() < end:
            attempt += 1
            requested = retry_after_seconds(answer.headers)
            await asyncio.sleep(requested + jittered_pause(MANAGEMENT_POLL, attempt))
            answer = await self._send("GET", place)
            state = _json(answer)
            status = str(state.get("status", "")).lower()
            if status in _FAILED:
                raise _refusal(state, 400)
            # The place of the result has no status: it answers 202 until there is the result.
            if status == _SUCCEEDED or (not status and answer.status_code != 202):
                return
        raise UnavailableError(f"an operation has not ended within {MANAGEMENT_SECONDS:g} s; run plan later")

    async def _send(
        self,
        method: str,
        path: str,
        body: dict[str, Any] | None = None,
        *,
        expected: frozenset[int] = frozenset(),
    ) -> AsyncHttpResponse:
        url = path if path.startswith("https:") else f"{ENDPOINT}{path}?api-version={API_VERSION}"
        request = HttpRequest(method, url, headers={"Accept": "application/json"})
        if body is not None:
            request.set_json_body(body)
            request.headers["Content-Type"] = "application/json"
        answer = (await self._pipeline.run(request)).http_response
        if answer.status_code < 400 or answer.status_code in expected:
            return answer
        raise _refusal(_json(answer), answer.status_code)


def _json(answer: AsyncHttpResponse) -> dict[str, Any]:
    """Return the object in an answer; an empty one if it has none, as answers of proxies do."""
    try:
        said = json.loads(answer.body())
    except ValueError:
        return {}
    return said if isinstance(said, dict) else {}


def _refusal(said: dict[str, Any], status: int) -> HttpResponseError:
    """Return the error that an answer describes: ``{"error": {"code": …, "message": …}}``."""
    described = said.get("error")
    known = described if isinstance(described, dict) else {}
    text = f"{known.get('code', status)}: {known.get('message', 'no reason given')}"
    error = HttpResponseError(text)
    error.status_code = status
    return error
