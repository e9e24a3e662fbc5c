"""The edge to Cosmos DB: a client from settings, what each call cost, and which errors are the service's."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import aiohttp
from azure.core.exceptions import AzureError, ServiceRequestError, ServiceResponseError
from azure.core.pipeline.transport import AioHttpTransport
from azure.cosmos.aio import ContainerProxy, CosmosClient
from azure.cosmos.exceptions import (
    CosmosBatchOperationError,
    CosmosClientTimeoutError,
    CosmosHttpResponseError,
    CosmosResourceNotFoundError,
)
from azure.identity.aio import DefaultAzureCredential
from tenacity import (
    AsyncRetrying,
    RetryCallState,
    retry_if_exception,
    stop_after_attempt,
    wait_random_exponential,
)

from shared.settings import Settings, SettingsError

REQUEST_TIMEOUT_SECONDS = 30
"""The specification's ``request_timeout_seconds``."""

READ_SESSION_NOT_AVAILABLE = 1002
"""Sub-status of a 404 by a replica that has not yet seen what the client has."""

TRANSIENT_STATUSES = frozenset({408, 410, 429, 449, 500, 502, 503, 504})
"""The service could not answer now; the same request may succeed later."""

ATTEMPTS = 6
"""Tries of one operation within an invocation, about 10 s in all; then the function's policy takes over."""


def transport(endpoint: str) -> AioHttpTransport:
    """Return the HTTP transport for a client of the account at ``endpoint``; closing the client closes it.

    At its default the SDK asks the environment for a proxy and ``~/.netrc`` for a password before every
    request, each in a thread. Whether the environment names a proxy for the account does not change, so it is
    asked once, here; only behind a proxy the SDK goes on asking. Up to 100 connections are pooled.
    """
    address = urlsplit(endpoint)
    proxied = address.scheme in getproxies() and not proxy_bypass(address.hostname or "")
    return AioHttpTransport(use_env_settings=proxied)


def endpoint_of(connection_string: str) -> str:
    """Return the endpoint in a connection string.

    Raises
    ------
    ValueError
        There is none.
    """
    for part in connection_string.split(";"):
        name, _, value = part.partition("=")
        if name.strip() == "AccountEndpoint" and value:
            return value.strip()
    raise ValueError("the connection string has no AccountEndpoint")


def connect(settings: Settings, *, user_agent: str) -> CosmosClient:
    """Return a client for the account that the settings name. Makes no connection yet.

    Parameters
    ----------
    user_agent
        Suffix of the User-Agent header: tells in the account's logs who spent the request units.

    Raises
    ------
    SettingsError
        ``CosmosDb`` is not a connection string.
    """
    options: dict[str, Any] = {
        "consistency_level": "Session",
        "user_agent_suffix": user_agent,
        "connection_timeout": REQUEST_TIMEOUT_SECONDS,
        # The service's 2 MB are of what is sent: of Devanagari 3 bytes a letter, escaped 6.
        "enable_compact_utf8_item_writes": True,
    }
    if settings.cosmos_connection_string:
        text = settings.cosmos_connection_string
        try:
            return CosmosClient.from_connection_string(
                text, transport=transport(endpoint_of(text)), **options
            )
        except (ValueError, KeyError):
            raise SettingsError(
                "The setting CosmosDb is not a connection string of the form "
                "AccountEndpoint=https://…;AccountKey=…;."
            ) from None
    if not settings.cosmos_account_endpoint:
        raise SettingsError("The setting CosmosDb or CosmosDb__accountEndpoint must be set.")
    endpoint = settings.cosmos_account_endpoint
    return CosmosClient(endpoint, DefaultAzureCredential(), transport=transport(endpoint), **options)


_ANSWERS = (CosmosHttpResponseError, CosmosBatchOperationError)
"""The service's no to a request, and to one operation of a transactional batch: 207, with 429 inside."""


def is_transient(error: BaseException) -> bool:
    """Say whether an error is the service's or the network's, and may pass."""
    if isinstance(error, _ANSWERS):
        lags = isinstance(error, CosmosHttpResponseError) and error.sub_status == READ_SESSION_NOT_AVAILABLE
        return error.status_code in TRANSIENT_STATUSES or (error.status_code == 404 and lags)
    return isinstance(
        error,
        ServiceRequestError
        | ServiceResponseError
        | CosmosClientTimeoutError
        | asyncio.TimeoutError
        | aiohttp.ClientError
        | ConnectionError,
    )


def blames_service(error: BaseException) -> bool:
    """Say whether an error is no document's fault: the service, the network, a key or a missing container.

    Only two answers of the service speak of the document: 400 (it is malformed) and 413 (it is too large).
    """
    if isinstance(error, _ANSWERS):
        return error.status_code not in (400, 413)
    return isinstance(error, AzureError) or is_transient(error)


def retry_after_seconds(error: BaseException | None) -> float:
    """Return how long the service asked to wait (``x-ms-retry-after-ms``), 0 if it did not."""
    headers: Mapping[str, str] = getattr(error, "headers", None) or {}
    try:
        return min(float(headers.get("x-ms-retry-after-ms", 0)) / 1000, REQUEST_TIMEOUT_SECONDS)
    except ValueError:
        return 0.0


_BACKOFF = wait_random_exponential(multiplier=0.05, max=5)


def _pause(state: RetryCallState) -> float:
    error = state.outcome.exception() if state.outcome else None
    return max(retry_after_seconds(error), _BACKOFF(state))


def retrying(*also: type[BaseException], attempts: int = ATTEMPTS) -> AsyncRetrying:
    """Return the policy for one operation: a few tries, jittered exponential pauses, retry-after honoured.

    Parameters
    ----------
    also
        Errors to retry besides the transient ones.
    """
    return AsyncRetrying(
        retry=retry_if_exception(lambda error: is_transient(error) or isinstance(error, also)),
        stop=stop_after_attempt(attempts),
        wait=_pause,
        reraise=True,
    )


@dataclass(slots=True)
class Charge:
    """What a piece of work has cost so far."""

    requests: int = 0
    request_units: float = 0.0
    within: Charge | None = None
    """The work that this is a part of."""

    def add(self, request_units: float) -> None:
        """Count one request."""
        self.requests += 1
        self.request_units += request_units
        if self.within is not None:
            self.within.add(request_units)


_charge: ContextVar[Charge | None] = ContextVar("charge", default=None)


@contextmanager
def charging() -> Iterator[Charge]:
    """Collect what the calls made inside, also in tasks started inside, are charged.

    Work within work: what is collected inside another ``charging`` is part of that one too.
    """
    charge = Charge(within=_charge.get())
    token = _charge.set(charge)
    try:
        yield charge
    finally:
        _charge.reset(token)


def record_charge(headers: Mapping[str, Any], _result: object = None) -> None:
    """Add a response's charge to the work in progress: pass it as ``response_hook`` of an SDK call."""
    charge = _charge.get()
    if charge is not None:
        charge.add(float(headers.get("x-ms-request-charge", 0)))


async def find_item(container: ContainerProxy, item_id: str, partition_key: Any) -> dict[str, Any] | None:
    """Return a document, None if there is none; the charge is added to the work in progress.

    Raises
    ------
    CosmosHttpResponseError, ServiceRequestError, ServiceResponseError
        The service did not answer, also where it answers 404 for another reason: see :func:`is_absent`.
    """
    try:
        return dict(await container.read_item(item_id, partition_key, response_hook=record_charge))
    except CosmosResourceNotFoundError as error:
        if not is_absent(error):
            raise
        record_charge(error.headers or {})
        return None


def is_absent(error: CosmosResourceNotFoundError) -> bool:
    """Say whether a 404 means that there is no such document.

    With a sub-status it does not: a replica lags behind what this client has seen (1002), or what the
    document belongs to is not there (1003).
    """
    return not error.sub_status
