"""Retry policies, and the errors that are retried.

Three layers retry. The SDK uses its defaults. Within an invocation one of the policies below applies. The
platform runs a failed invocation again (:data:`INVOCATION`).
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

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
    retry_any,
    retry_if_exception,
    retry_if_result,
    stop_after_attempt,
    stop_never,
    wait_random_exponential,
)

REQUEST_TIMEOUT_SECONDS = 30
"""The specification's ``request_timeout_seconds``."""

READ_SESSION_NOT_AVAILABLE = 1002
"""Sub-status of a 404 from a replica that lags behind the client's session."""

TRANSIENT_STATUSES = frozenset({408, 410, 429, 449, 500, 502, 503, 504})
"""The service could not answer now. The same request may succeed later."""


_SERVICE_ERRORS = (CosmosHttpResponseError, CosmosBatchOperationError)
"""The service's refusal of a request, and of one operation of a transactional batch: 207, with 429 inside."""


def is_transient(error: BaseException) -> bool:
    """Return whether an error comes from the service or the network, and is temporary."""
    if isinstance(error, _SERVICE_ERRORS):
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


def is_service_fault(error: BaseException) -> bool:
    """Return whether an error has another cause than a document: service, network, key, missing container.

    Only two responses of the service concern the document: 400 (it is malformed) and 413 (it is too large).
    """
    if isinstance(error, _SERVICE_ERRORS):
        return error.status_code not in (400, 413)
    return isinstance(error, AzureError) or is_transient(error)


def retry_after_seconds(error: BaseException | None) -> float:
    """Return the pause that the service requests (``x-ms-retry-after-ms``) in seconds, 0 without one."""
    headers: Mapping[str, str] = getattr(error, "headers", None) or {}
    try:
        return min(float(headers.get("x-ms-retry-after-ms", 0)) / 1000, REQUEST_TIMEOUT_SECONDS)
    except ValueError:
        return 0.0


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """The number of attempts and the pauses between them. Pauses are exponential with full jitter."""

    attempts: int | None
    """Number of attempts, including the first. None: no limit."""
    first_pause: float
    """Upper bound of the first pause, in seconds. Doubles with each attempt."""
    longest_pause: float
    """Upper bound of every pause, in seconds. A pause that the service requests may be longer."""


OPERATION = RetryPolicy(attempts=6, first_pause=0.05, longest_pause=5.0)
"""One operation, or one document's publication, within an invocation: pauses of 1.6 s at most in all."""

FOLD = RetryPolicy(attempts=12, first_pause=0.05, longest_pause=5.0)
"""One shard's changes, against writers in other instances: pauses of 26 s at most in all. Each conflict means
that another instance made progress."""

REBUILD_PASSES = 20
"""Number of times that a rebuild reads a shard again, for partials that the feeds changed in the meantime. It
makes no pauses: reading a shard lasts longer than any pause."""

INVOCATION = RetryPolicy(attempts=None, first_pause=1.0, longest_pause=60.0)
"""For a change feed function, by the platform. Without a policy the trigger advances its lease after a
failure, and the batch is lost. Unlimited retries hold the lease until the service answers."""


def document_pause(attempt: int, first_pause: float) -> float:
    """Return the pause after an attempt at a document that fails alone, in seconds.

    How often such a document is tried is a setting, and so is the first pause. It doubles with each attempt;
    half to all of it is waited, at random.
    """
    return first_pause * 2.0 ** (attempt - 1) * random.uniform(0.5, 1.0)


def retrying(
    *also: type[BaseException], policy: RetryPolicy = OPERATION, results: tuple[type, ...] = ()
) -> AsyncRetrying:
    """Return what runs a coroutine function by a policy: ``await retrying(ConflictError)(work, argument)``.

    A pause is at least as long as the service asks for (``x-ms-retry-after-ms``). After the last attempt its
    error is raised, or its result is returned.

    Parameters
    ----------
    also
        Errors to retry besides the transient ones.
    results
        Types of results that are retried like errors: of a function that returns why it has to run again.
    """

    def pause(state: RetryCallState) -> float:
        error = state.outcome.exception() if state.outcome else None
        return max(retry_after_seconds(error), jittered_pause(policy, state))

    def last_outcome(state: RetryCallState) -> Any:
        return state.outcome.result() if state.outcome else None

    return AsyncRetrying(
        retry=retry_any(
            retry_if_exception(lambda error: is_transient(error) or isinstance(error, also)),
            retry_if_result(lambda result: isinstance(result, results)),
        ),
        stop=stop_never if policy.attempts is None else stop_after_attempt(policy.attempts),
        wait=pause,
        retry_error_callback=last_outcome,
    )


def jittered_pause(policy: RetryPolicy, state: RetryCallState) -> float:
    """Return the pause after a failed attempt in seconds: random, up to a bound that doubles each time."""
    return wait_random_exponential(multiplier=policy.first_pause, max=policy.longest_pause)(state)
