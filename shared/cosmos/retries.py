"""Every number of retries and deadlines, and the errors of the service that they are for.

One layer repeats a request: :class:`~shared.cosmos.transport.PatientTransport`, under the SDK, whose own
retries are off. :func:`retrying` is for conflicts: it reads and decides again after another instance changed
a document. The platform runs a failed invocation again (:data:`INVOCATION`).
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
)

from shared.errors import DeadlineError, FleetError

OPERATION_SECONDS = 30.0
"""Longest duration of one request, with all of its attempts and the pauses between them: the specification's
``request_timeout_seconds``. A request of a query is one page."""

ATTEMPT_SECONDS = 12.0
"""Longest duration of one attempt, from connecting to the last byte of the answer. A connection that was lost
without notice leaves time for a second attempt."""

CREDENTIAL_SECONDS = 15.0
"""Longest wait for a token of the identity."""

HTTP_SECONDS = 15.0
"""Longest work for one HTTP request. The answer is sent within 20 s."""

INVOCATION_SECONDS = 540.0
"""Longest work of one invocation of a feed or timer: below ``functionTimeout`` in ``host.json``. It ends
by itself, with an error, before the platform ends the process."""

RECORD_SECONDS = 20.0
"""Longest time between reading what is known of a new person and sending the transaction that makes their
record. A person may have been erased since."""

ERASED_RECORD_SECONDS = 150.0
"""Seconds for which the record of a person who is being erased stays, after their tombstone was written. It
stops every transaction that would make the person's record again. Later ones read the tombstone: a replica
lags by 60 s, a transaction begins 20 s after it was read, and lasts 30 s."""

RUN_SECONDS = 45.0
"""Seconds after which a run of the auditor or of the repricer begins no further piece. The next run
continues. No invocation is to take a minute."""

SCHEDULED_SECONDS = 40.0
"""The same for the scheduled views, whose pieces take longer."""

FAULT_SUMMARY_SECONDS = 30.0
"""Seconds between two log events about faults of the service: the first fault is logged at once."""

READ_SESSION_NOT_AVAILABLE = 1002
"""Sub-status of a 404 from a replica that lags behind the client's session."""

TRANSIENT_STATUSES = frozenset({408, 410, 429, 449, 500, 502, 503, 504})
"""The service could not answer now. The same request may succeed later."""


_SERVICE_ERRORS = (CosmosHttpResponseError, CosmosBatchOperationError)
"""The service's refusal of a request, and of one operation of a transactional batch: 207, with 429 inside."""


class UnavailableError(FleetError, AzureError):
    """The database did not do a request: not in all attempts, or not within its time.

    It is raised below the SDK, which repeats no request after an error of this type. The message names the
    container, the operation and the last fault, after "The database did not do as asked: ".

    Parameters
    ----------
    message
        The sentence.
    retry_after
        Seconds for which the service asked to wait; 0 if it did not.
    """

    def __init__(self, message: str, retry_after: float = 0.0) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class StorageUnavailableError(UnavailableError):
    """Blob Storage did not do a request: not in all attempts, or not within its time."""


def is_transient(error: BaseException) -> bool:
    """Return whether an error comes from the service or the network, and is temporary."""
    if isinstance(error, _SERVICE_ERRORS):
        lags = isinstance(error, CosmosHttpResponseError) and error.sub_status == READ_SESSION_NOT_AVAILABLE
        return error.status_code in TRANSIENT_STATUSES or (error.status_code == 404 and lags)
    return isinstance(
        error,
        UnavailableError
        | DeadlineError
        | ServiceRequestError
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


def retry_after_seconds(headers: Mapping[str, str] | None) -> float:
    """Return the pause that an answer requests, in seconds.

    The database says it in ``x-ms-retry-after-ms``, Azure Resource Manager in ``Retry-After``.
    """
    known = headers or {}
    millis = known.get("x-ms-retry-after-ms")
    return 1000 * milliseconds(known.get("Retry-After")) if millis is None else milliseconds(millis)


def milliseconds(value: Any) -> float:
    """Return a pause in milliseconds as the service says it, in seconds. 0 if it says none, or no number."""
    try:
        return max(0.0, float(value or 0) / 1000)
    except (TypeError, ValueError, OverflowError):
        return 0.0


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """The number of attempts and the pauses between them. Pauses are exponential with full jitter."""

    attempts: int | None
    """Number of attempts, including the first. None: no limit."""
    first_pause: float
    """Upper bound of the first pause, in seconds. Doubles with each attempt."""
    longest_pause: float
    """Upper bound of every pause, in seconds."""

    def allows(self, attempt: int) -> bool:
        """Return whether there may be an attempt with this number; the first is 1."""
        return self.attempts is None or attempt <= self.attempts


MANAGEMENT_SECONDS = 900.0
"""Longest wait for one operation of Azure Resource Manager, such as the creation of a container."""

MANAGEMENT_POLL = RetryPolicy(attempts=None, first_pause=1.0, longest_pause=15.0)
"""Questions whether an operation of Azure Resource Manager has ended. Its pauses come on top of the requested
ones."""

REQUEST = RetryPolicy(attempts=7, first_pause=0.1, longest_pause=5.0)
"""One request, of whatever operation. Its pauses come on top of the pause that the service requests."""

CONFLICT = RetryPolicy(attempts=6, first_pause=0.05, longest_pause=5.0)
"""One document, against writers in other instances: pauses of 1.6 s at most in all."""

FOLD = RetryPolicy(attempts=12, first_pause=0.05, longest_pause=5.0)
"""One shard's changes, against writers in other instances: pauses of 26 s at most in all. Each conflict means
that another instance made progress."""

LAG = RetryPolicy(attempts=4, first_pause=0.2, longest_pause=2.0)
"""One shard's changes, if its documents do not fit together; a live document that is older than what was
delivered. A replica may lag."""

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
    *conflicts: type[BaseException], policy: RetryPolicy = CONFLICT, results: tuple[type, ...] = ()
) -> AsyncRetrying:
    """Return what runs a coroutine function by a policy: ``await retrying(ConflictError)(work, argument)``.

    After the last attempt its error is raised, or its result is returned. An error of the service is raised
    at once: its requests were repeated already.

    Parameters
    ----------
    conflicts
        The errors after which the function runs again.
    results
        Types of results that are retried like errors: of a function that returns why it has to run again.
    """

    def pause(state: RetryCallState) -> float:
        return jittered_pause(policy, state.attempt_number)

    def last_outcome(state: RetryCallState) -> Any:
        return state.outcome.result() if state.outcome else None

    return AsyncRetrying(
        retry=retry_any(
            retry_if_exception(lambda error: isinstance(error, conflicts)),
            retry_if_result(lambda result: isinstance(result, results)),
        ),
        stop=stop_never if policy.attempts is None else stop_after_attempt(policy.attempts),
        wait=pause,
        retry_error_callback=last_outcome,
    )


def jittered_pause(policy: RetryPolicy, attempt: int) -> float:
    """Return the pause after a failed attempt in seconds: random, up to a bound that doubles each time."""
    return random.uniform(0, min(policy.longest_pause, policy.first_pause * 2.0 ** (attempt - 1)))
