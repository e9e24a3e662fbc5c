"""Which errors are the service's, and how often an operation is tried."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import aiohttp
from azure.core.exceptions import AzureError, ServiceRequestError, ServiceResponseError
from azure.cosmos.exceptions import (
    CosmosBatchOperationError,
    CosmosClientTimeoutError,
    CosmosHttpResponseError,
)
from tenacity import (
    AsyncRetrying,
    RetryCallState,
    retry_if_exception,
    stop_after_attempt,
    wait_random_exponential,
)

REQUEST_TIMEOUT_SECONDS = 30
"""The specification's ``request_timeout_seconds``."""

READ_SESSION_NOT_AVAILABLE = 1002
"""Sub-status of a 404 by a replica that has not yet seen what the client has."""

TRANSIENT_STATUSES = frozenset({408, 410, 429, 449, 500, 502, 503, 504})
"""The service could not answer now; the same request may succeed later."""

ATTEMPTS = 6
"""Tries of one operation within an invocation, about 10 s in all; then the function's policy takes over."""

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
