"""The one place where a request to the database is repeated, and where it ends.

All requests of a client pass its transport: reads and writes, pages of queries and feeds, and what the SDK
asks for itself. The SDK's own retries are switched off where they can be. Where they cannot, they send the
same request object through here again, or a new one for the same operation, and get neither more attempts nor
more time by that.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, NamedTuple, Self
from urllib.parse import urlsplit
from weakref import WeakKeyDictionary

import aiohttp
from azure.core.exceptions import AzureError, ServiceRequestError
from azure.core.pipeline.transport import AsyncHttpResponse, AsyncHttpTransport, HttpRequest

from shared.cosmos.deadlines import seconds_left
from shared.cosmos.faults import FAULTS, FaultLog, Operation
from shared.cosmos.retries import (
    ATTEMPT_SECONDS,
    OPERATION_SECONDS,
    READ_SESSION_NOT_AVAILABLE,
    REQUEST,
    TRANSIENT_STATUSES,
    UnavailableError,
    jittered_pause,
    milliseconds,
    retry_after_seconds,
)

FAILED_DEPENDENCY = 424
"""Status of the operations of a transactional batch that another one of them made fail."""

GONE = {"query": frozenset({"1002"}), "change_feed": frozenset({"1002", "1007"})}
"""Sub-statuses of a 410 after which the SDK asks which physical partitions there are now, by operation. The
service routes other operations by their key."""

MOST_HANDOVERS = 3
"""How often the SDK is told that the partition of a page is gone. For a page of a query it gives up after the
next time, and for one of the change feed it asks again without any limit."""

MADE_AGAIN = "1024"
"""Sub-status of a 400: the container was made again, and has another resource id than the client knows."""

LEARNS_OF_A_NEW_CONTAINER = frozenset({"read", "create", "upsert", "replace", "patch", "delete", "batch"})
"""Operations after which the SDK reads the new id, and asks again. With others it fails with an error of its
own, which would count as the fault of a document."""

OTHER_REGION = frozenset({"3", "1008"})
"""Sub-statuses of a 403 after which the SDK asks which regions the account has."""


class Fault(NamedTuple):
    """Why an attempt did not do what was asked, though a later one may."""

    what: str
    """The status of the answer, or why there is none."""
    retry_after: float = 0.0
    """Seconds for which the service asked to wait."""
    error: BaseException | None = None
    for_sdk: AsyncHttpResponse | None = None
    """The answer, if the SDK is to have it: it asks where to send the request, and sends it again."""


@dataclass(slots=True)
class _Request:
    """What has become of one request, however often it is sent, and by whom."""

    began: float
    attempts: dict[str, int] = field(default_factory=dict)
    """Attempts by the host that they were sent to. The SDK goes on to another region if one is down."""
    last: Fault | None = None
    lagged: bool = False
    """Whether a replica lagged once. The SDK then asks the region that accepts writes."""
    gone: int = 0
    """How often the SDK was told that the partition is gone."""


_handed_over: ContextVar[tuple[Operation, _Request] | None] = ContextVar("handed_over", default=None)
"""The page of a query or feed about which the SDK asks, in this task, where to send it. Its next request for
the operation is for the same page, though a new object."""


class PatientTransport(AsyncHttpTransport[HttpRequest, AsyncHttpResponse]):
    """Sends requests through another transport, and repeats those that fail in a way that may pass.

    A request is sent at most as often as :data:`REQUEST` says to one region, for :data:`OPERATION_SECONDS` in
    all, and not beyond the deadline of the work in progress. It is not sent again before the pause is over
    that the service requests. Every write of the fleet may be repeated: it is guarded by an etag, or its
    outcome is the same each time.

    Parameters
    ----------
    inner
        Sends a request once.
    """

    def __init__(self, inner: AsyncHttpTransport[HttpRequest, AsyncHttpResponse], faults: FaultLog = FAULTS):
        self.inner = inner
        self._faults = faults
        self._requests: WeakKeyDictionary[HttpRequest, _Request] = WeakKeyDictionary()

    async def open(self) -> None:
        await self.inner.open()

    async def close(self) -> None:
        await self.inner.close()

    async def __aenter__(self) -> Self:
        await self.inner.__aenter__()
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None = None,
        exc_value: BaseException | None = None,
        traceback: TracebackType | None = None,
    ) -> None:
        await self.inner.__aexit__(exc_type, exc_value, traceback)

    async def send(self, request: HttpRequest, **options: Any) -> AsyncHttpResponse:
        """Return the answer of the service.

        Raises
        ------
        UnavailableError
            The service refused or did not answer all attempts, or the time is up.
        ServiceRequestError
            No connection to this region. The SDK goes on to the next one, if the account has several.
        """
        operation = operation_of(request)
        known = self._known(request, operation)
        try:
            answer = await self._patiently(request, operation, known, options)
        except BaseException:
            _handed_over.set(None)
            raise
        if known.last is not None and operation.name in GONE:
            _handed_over.set((operation, known))
        elif (before := _handed_over.get()) is not None and before[0] == operation:
            _handed_over.set(None)
        return answer

    def _known(self, request: HttpRequest, operation: Operation) -> _Request:
        """Return what is known of a request object, or of the one that it continues."""
        if (known := self._requests.get(request)) is None:
            before = _handed_over.get()
            continues = before is not None and before[0] == operation
            known = before[1] if before and continues else _Request(asyncio.get_running_loop().time())
            self._requests[request] = known
        return known

    async def _patiently(
        self, request: HttpRequest, operation: Operation, known: _Request, options: Mapping[str, Any]
    ) -> AsyncHttpResponse:
        clock, host = asyncio.get_running_loop().time, urlsplit(request.url).netloc
        while True:
            left = min(known.began + OPERATION_SECONDS - clock(), seconds_left())
            attempt = known.attempts.get(host, 0) + 1
            if left <= 0 or not REQUEST.allows(attempt):
                raise _unavailable(operation, known, clock())
            known.attempts[host] = attempt
            answer = await self._attempt(request, min(left, ATTEMPT_SECONDS), options)
            if isinstance(answer, Fault):
                fault = answer
            elif (found := _fault_of(operation, answer, known)) is None:
                known.last = None
                return answer
            else:
                fault = found
            known.last = fault
            self._faults.record(operation, fault.what)
            pause = fault.retry_after + jittered_pause(REQUEST, attempt)
            left = min(known.began + OPERATION_SECONDS - clock(), seconds_left())
            if pause >= left or not REQUEST.allows(attempt + 1):
                raise _unavailable(operation, known, clock())
            await asyncio.sleep(pause)
            if fault.for_sdk is not None:
                return fault.for_sdk

    async def _attempt(
        self, request: HttpRequest, seconds: float, options: Mapping[str, Any]
    ) -> AsyncHttpResponse | Fault:
        try:
            async with asyncio.timeout(seconds):
                return await self.inner.send(request, **options)
        except ServiceRequestError as error:
            return Fault("no connection", error=error)
        except TimeoutError as error:
            return Fault("no answer", error=error)
        except (AzureError, OSError, aiohttp.ClientError) as error:
            return Fault("connection lost", error=error)


def operation_of(request: HttpRequest) -> Operation:
    """Return what a request does. The names are those of the local server's fault rules."""
    path = urlsplit(request.url).path.strip("/").split("/")
    container = path[3] if len(path) > 3 and path[2] == "colls" else ""
    kind = path[-1 if len(path) % 2 else -2] if path[0] else "account"
    headers = {name.lower(): str(value) for name, value in request.headers.items()}
    if kind != "docs":
        return Operation(container, f"{request.method.lower()}_{kind}")
    for header, name in (
        ("x-ms-cosmos-is-batch-request", "batch"),
        ("x-ms-cosmos-is-query-plan-request", "query_plan"),
        ("x-ms-documentdb-isquery", "query"),
        ("a-im", "change_feed"),
        ("x-ms-documentdb-is-upsert", "upsert"),
    ):
        if headers.get(header, "false").lower() not in ("", "false"):
            return Operation(container, name)
    names = {"GET": "read", "POST": "create", "PUT": "replace", "PATCH": "patch", "DELETE": "delete"}
    return Operation(container, names[request.method])


def _fault_of(operation: Operation, answer: AsyncHttpResponse, known: _Request) -> Fault | None:
    """Return the fault that an answer reports, None for the answer to what was asked."""
    status, sub_status = answer.status_code, answer.headers.get("x-ms-substatus", "")
    retry_after = retry_after_seconds(answer.headers)
    if status == 207 and operation.name == "batch":
        return _fault_in_batch(answer, retry_after)
    if status == 410 and sub_status in GONE.get(operation.name, ()):
        known.gone += 1
        moved = answer if known.gone <= MOST_HANDOVERS else None
        return Fault(f"410.{sub_status}", retry_after, for_sdk=moved)
    if status == 400 and sub_status == MADE_AGAIN and operation.name not in LEARNS_OF_A_NEW_CONTAINER:
        return Fault(f"400.{sub_status}", retry_after)
    if status == 403 and sub_status in OTHER_REGION:
        return Fault(f"403.{sub_status}", retry_after, for_sdk=answer)
    if status == 404 and sub_status == str(READ_SESSION_NOT_AVAILABLE):
        first, known.lagged = not known.lagged, True
        return Fault("replica lags", retry_after, for_sdk=answer if first else None)
    return Fault(str(status), retry_after) if status in TRANSIENT_STATUSES else None


def _fault_in_batch(answer: AsyncHttpResponse, retry_after: float) -> Fault | None:
    """Return the fault of the operation that made a transactional batch fail.

    An answer without a status for each operation was cut off: it is not an answer.
    """
    try:
        results = [(one["statusCode"], one) for one in json.loads(answer.body())]
        failed = [one for status, one in results if int(status) >= 400 and status != FAILED_DEPENDENCY]
    except (ValueError, TypeError, KeyError, OverflowError, RecursionError) as error:
        return Fault("answer cut off", retry_after, error)
    if not failed or failed[0]["statusCode"] not in TRANSIENT_STATUSES:
        return None
    requested = milliseconds(failed[0].get("retryAfterMilliseconds"))
    return Fault(str(failed[0]["statusCode"]), max(retry_after, requested))


def _unavailable(operation: Operation, known: _Request, now: float) -> AzureError:
    fault, attempts = known.last, sum(known.attempts.values())
    if fault is None:
        return UnavailableError(f"{operation}: there was no time left")
    if isinstance(fault.error, ServiceRequestError):
        return fault.error  # with any other error, the SDK would not try the next region
    message = f"{operation}: {fault.what}, after {attempts} attempts in {now - known.began:.1f} s"
    error = UnavailableError(message, fault.retry_after)
    error.__cause__ = fault.error
    return error
